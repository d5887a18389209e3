"""Open one client's encrypted vector with what several parties hold together.

A ciphertext is a body, which the server has, and an opener, which the decryptor has with the key. In the control one
key serves all and every client has it, as where clients share a key of their own: then the server needs one client.
Here it needs the decryptor. Without it, the best that is known is to make a client's openers cancel all others but the
target's, so that the sum that is released is the target's vector; sealed openers leave nothing to cancel.
"""

from __future__ import annotations

import numpy as np

from securefed.aggregation.decryptor import decrypted
from securefed.aggregation.encrypted_server import Releasing
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.refusals import InconsistentSum
from securefed.aggregation.residues import Residues
from securefed.encoding import RingVector
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import SERVER_AND_CLIENTS
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.games.tables import Corrupted, Table, bodies, what_a_box_says

CLIENTS = 4
TARGET, HELPER = 0, CLIENTS - 1
SHARED_KEY = "CKKS, one key that every client has: server and a client"
SERVER_SIDE = "CKKS, a decryptor's key and sealed openers: server and a client"
DECRYPTOR_SIDE = "CKKS, bodies come as a sum: decryptor and a client"
BOTH_SIDES = "CKKS: server and decryptor"


def minus(session: EncryptedSession, halves: list[Residues]) -> Residues:
    """Return the negated sum of polynomials."""
    primes = np.array(session.ring.data.primes, dtype=np.uint64)[:, np.newaxis]
    return (primes - sum(halves, start=np.zeros_like(halves[0])) % primes) % primes


def opened_by_all(table: Table, *, summed: bool) -> RingVector:
    """Return the target's vector as whoever has the key opens it: with its bodies, or only with their sum.

    A decryptor gets bodies as a sum, and takes off those of the client that helps it.
    """
    session = table.session
    corrupted = Corrupted(session, table.deciding, table.rng)
    answers = [table.answer(place, corrupted.announced) for place in range(CLIENTS)]
    theirs = bodies(session, answers[TARGET], TARGET)
    if summed:
        own = [bodies(session, answer, place) for place, answer in enumerate(answers) if place != HELPER]
        theirs = minus(session, [minus(session, own)])
    return decrypted(session, corrupted.secret, theirs, corrupted.openers(answers[TARGET], TARGET))


def released_to(table: Table) -> RingVector:
    """Return what an honest decryptor releases when all openers but the target's shall cancel."""
    session = table.session
    releasing = Releasing(session, table.members.server, table.honest)
    answers = [table.answer(place, releasing.announced) for place in range(HELPER)]
    target = bodies(session, answers[TARGET], TARGET)
    others = [what_a_box_says(session, answers[place], place) for place in range(HELPER) if place != TARGET]
    answers.append(table.crafted(HELPER, releasing.announced, np.zeros_like(target), minus(session, others)))
    for place, answer in enumerate(answers):
        releasing.add(releasing.read(place, answer))
    releasing.sum.total = target
    return releasing.close()[0]


def play_once(arm: Arm, seed: int, trial: int) -> bool:
    """Return whether the coalition holds the target's vector."""
    plan, rng = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS), seeded(seed, "halves", trial)
    dealt = cohorts.shards(cohorts.deal(rng, clients=plan.cohort, each=1, among=cohorts.exposed()))
    vectors = cohorts.contributions(plan, dealt, rng=cohorts.seeded_sources(seed, arm.defences, "halves", trial))
    table = Table.laid(plan, vectors, rng)
    try:
        if arm.defences == SERVER_SIDE:
            found = released_to(table)
        else:
            found = opened_by_all(table, summed=arm.defences == DECRYPTOR_SIDE)
    except InconsistentSum:
        return False
    return bool((found == vectors[plan.cohort[TARGET]]).all())


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the target's vector is opened."""
    return rate(sum(play_once(arm, seed, trial) for trial in range(trials)), trials, chance=0.0)


ROW = Row(
    id="T15",
    title="open a client's encrypted vector together",
    adversary=SERVER_AND_CLIENTS,
    measure="share of targets whose vector is opened",
    play=play,
    arms=(
        Arm(defences=SHARED_KEY, claim="control", limit=0.5, secure="ckks"),
        Arm(defences=SERVER_SIDE, claim="claimed", limit=0.0, secure="ckks"),
        Arm(defences=DECRYPTOR_SIDE, claim="claimed", limit=0.0, secure="ckks"),
        Arm(defences=BOTH_SIDES, claim="none", secure="ckks"),
    ),
    trials={"smoke": 8, "full": 20},
    covers=frozenset({"ckks"}),
)
