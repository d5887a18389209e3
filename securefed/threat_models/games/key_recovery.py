"""Recover the key of encrypted sums from what is released (Li and Micciancio 2021, eprint 2020/1533).

The attacker is given more than any party has: both halves ``(c0, c1)`` of the sum's ciphertext, and what was released.
If that is the decryption as CKKS makes it, message and noise, then ``v = c0 + c1 s`` holds exactly, and one division in
the ring gives the key; that the message holds noise for privacy changes nothing. Here sums are whole numbers, rounded
before they leave: what is missing is the noise of the lattice, and the quotient is uniform.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from securefed.aggregation.residues import Residues
from securefed.aggregation.seal import PublicKey, Ring, SecretKey, ring
from securefed.encoding import RingVector
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.games import negacyclic

CLIENTS = 3
ROUNDED = "released sums are rounded"


def attack(ciphertext: Residues, released: Sequence[float], lattice: Ring) -> list[int]:
    """Return what should be the key, ``(v - c0) / c1``, from a ciphertext and its decryption in units of a slot."""
    prime, scale = lattice.prime, 2.0**lattice.encryption.plain_bits
    body, opener = (half[0].tolist() for half in ciphertext)
    rest = [(round(value * scale) - c) % prime for value, c in zip(released, body, strict=True)]
    return negacyclic.centred(negacyclic.divided(rest, opener, prime), prime)


def as_decrypted(ciphertext: Residues, key: Sequence[int], lattice: Ring) -> list[float]:
    """Return message and noise as floats: the decryption as a library for CKKS gives it out."""
    body, opener = (half[0].tolist() for half in ciphertext)
    product = negacyclic.times([each % lattice.prime for each in key], opener, lattice.prime)
    whole = [(c + p) % lattice.prime for c, p in zip(body, product, strict=True)]
    return [value / 2.0**lattice.encryption.plain_bits for value in negacyclic.centred(whole, lattice.prime)]


def key_of(secret: SecretKey, lattice: Ring) -> list[int]:
    """Return the true key, to judge by: the content of the ciphertext ``(0, 1)``, which has no noise."""
    one = np.zeros(lattice.shape, dtype=np.uint64)
    one[1, 0, 0] = 1 << lattice.encryption.plain_bits
    return [round(value) for value in secret.open(one).tolist()]


def encrypted_sum(vectors: Iterable[RingVector], public: PublicKey, lattice: Ring) -> Residues:
    """Return the sum of the clients' ciphertexts: the first that their vectors take."""
    lanes, total = lattice.encryption.lanes, np.zeros(lattice.shape, dtype=np.uint64)
    for vector in vectors:
        lattice.data.add(total, public.encrypt(lanes.encode(vector[: lanes.coordinates])))
    return total


def play_once(arm: Arm, seed: int, trial: int) -> float:
    """Return which share of the key's coefficients comes out."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS)
    places = cohorts.deal(seeded(seed, "key", trial), clients=plan.cohort, each=1, among=cohorts.exposed())
    source = cohorts.seeded_sources(seed, arm.defences, "key", trial)
    vectors = cohorts.contributions(plan, cohorts.shards(places), rng=source).values()
    lattice = ring(plan.encryption)
    secret = SecretKey(lattice)
    total = encrypted_sum(vectors, PublicKey(lattice, secret.public()), lattice)
    truth = key_of(secret, lattice)
    rounded = arm.claim == "claimed"
    guess = attack(total, secret.open(total).tolist() if rounded else as_decrypted(total, truth, lattice), lattice)
    return float(np.mean([one == other for one, other in zip(guess, truth, strict=True)]))


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the whole key comes out."""
    shares = [play_once(arm, seed, trial) for trial in range(trials)]
    note = f"{np.mean(shares):.4f} of the coefficients, from one released sum"
    return rate(sum(share == 1 for share in shares), trials, chance=0.0, note=note)


ROW = Row(
    id="T16",
    title="recover the key of encrypted sums from a released sum",
    adversary=CURIOUS_SERVER,
    measure="share of keys that come out whole",
    play=play,
    arms=(
        Arm(defences="CKKS, released as decrypted", claim="control", limit=0.25, secure="ckks"),
        Arm(
            defences="CKKS and shares of noise, released as decrypted",
            claim="none",
            setting="distributed",
            secure="ckks",
        ),
        Arm(defences=f"CKKS, {ROUNDED}", claim="claimed", limit=0.0, secure="ckks"),
        Arm(
            defences=f"CKKS and shares of noise, {ROUNDED}",
            claim="claimed",
            limit=0.0,
            setting="distributed",
            secure="ckks",
        ),
    ),
    trials={"smoke": 3, "full": 8},
    covers=frozenset({"ckks"}),
)
