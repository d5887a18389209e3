"""Encrypted sums against the usual use of TenSEAL, and beside masks and the plain sum; one thread, interleaved.

The usual use is that of vectors of floats: degree 8192, primes of 60, 40 and 40 bits, scale 2**40, one ``ckks_vector``
for every 4096 parameters, approximate sums. Ours adds 20 clients whose sums have 19 bits, exactly. *encrypt* is from
numbers to bytes for the wire, *verify* from bytes to checked ciphertexts, at server and decryptor (theirs only parses),
*add* adds one vector to a sum in memory, both halves of it, *decrypt* is from the sum to numbers. Seconds are of the
process, for a million parameters.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tenseal

from benchmarks.timing import interleaved, ratio
from securefed.aggregation.base import SecureSum, secure_sum
from securefed.aggregation.ciphertexts import unpacked
from securefed.aggregation.decryptor import Decryptor, decrypted
from securefed.aggregation.encrypted_client import contribution
from securefed.aggregation.encrypted_server import Releasing
from securefed.aggregation.encryption import Scheme, candidates
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.keys import public_key
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.openers import Announced, SealedOpeners
from securefed.aggregation.parameters import Context, Parameters
from securefed.aggregation.plain import PlainSum
from securefed.aggregation.residues import Residues
from securefed.aggregation.seal import PublicKey, SecretKey, ring
from securefed.encoding import RingVector
from securefed.rng import secure, seeded

MILLION = 1_000_000
CLIENTS = 20
SCHEMES: tuple[Scheme, ...] = ("ckks", "bfv")
SUMMAND = 2**18 // CLIENTS - 1
"""Sums of 20 clients lie within 2**18 on either side: 19 bits."""


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    dim, repetitions = (50_000, 2) if quick else (MILLION, 5)
    ours: dict[str, dict[str, Callable[[], object]]] = {}
    sizes: dict[str, float] = {}
    for scheme in SCHEMES:
        ours[scheme], sizes[scheme] = _ours(scheme, dim)
    ours["usual"], sizes["usual"] = _usual(dim, tenseal.ENCRYPTION_TYPE.ASYMMETRIC)
    ours["usual_symmetric"], _ = _usual(dim, tenseal.ENCRYPTION_TYPE.SYMMETRIC)
    work = {f"{scheme} {step}": do for scheme, steps in ours.items() for step, do in steps.items()}
    seconds = interleaved(work, repetitions=repetitions)
    return {
        **{f"{scheme}_bytes_per_parameter": size for scheme, size in sizes.items()},
        "dim": dim,
        "seconds_per_million": {name: statistics.median(times) * MILLION / dim for name, times in seconds.items()},
        "speedup_over_usual": {
            f"{scheme} {step} over {peer}": ratio(seconds[f"{peer} {step}"], seconds[f"{scheme} {step}"])
            for scheme in SCHEMES
            for step in ("encrypt", "add")
            for peer in ("usual", "usual_symmetric")
        },
        "side_by_side": _side_by_side(dim=20_000 if quick else MILLION, clients=5),
        "parameter_sets": _sets(),
        "ten_million": _streamed(100_000 if quick else 10 * MILLION),
    }


def _parameters(clients: int, dim: int) -> Parameters:
    names = tuple(f"client-{place:02d}" for place in range(clients))
    context = Context(task="benchmark", round=0, model=bytes(32), plan=bytes(32))
    return Parameters(bits=20, dim=dim, cohort=names, threshold=clients - 1, context=context)


def _vector(dim: int) -> RingVector:
    values = seeded(0, "vector").generator().integers(-SUMMAND, SUMMAND + 1, dim)
    return values.astype(np.uint64) & np.uint64(2**20 - 1)


def _ours(scheme: Scheme, dim: int) -> tuple[dict[str, Callable[[], object]], float]:
    """Return what to time of one of our schemes, and its bytes a parameter."""
    members = Federation.throwaway(_parameters(CLIENTS, dim).cohort, rng=secure())
    decryptor = Decryptor.throwaway(members.roster, rng=secure())
    public = _parameters(CLIENTS, dim)
    session = HomomorphicSum(public, members, scheme=scheme, summand=SUMMAND, decryptor=decryptor).session
    server = Releasing(session, members.server, decryptor)
    key, box, vector, identity = SecretKey(session.ring), secure().bytes(32), _vector(dim), members.clients["client-00"]
    announced = Announced(PublicKey(session.ring, key.public()), public_key(box), server.fingerprint)

    def encrypt() -> bytes:
        return contribution(session, announced, identity, vector, rng=secure())

    def verify() -> tuple[Residues, Residues]:
        sent = server.read(0, frame)
        sealed = SealedOpeners.read(session, 0, sent.openers, fingerprint=server.fingerprint)
        return sent.bodies, unpacked(session, sealed.open(session, 0, box))

    def add() -> None:
        for total, half in zip(totals, halves, strict=True):
            session.ring.data.add(total, half)

    frame = encrypt()
    halves = verify()
    totals = [session.ring.data.zeros(len(half)) for half in halves]
    steps: dict[str, Callable[[], object]] = {
        "encrypt": encrypt,
        "verify": verify,
        "add": add,
        "decrypt": lambda: decrypted(session, key, *halves),
    }
    if not np.array_equal(decrypted(session, key, *halves), vector):
        raise AssertionError("the decryption differs from what was encrypted")
    return steps, len(frame) / dim


def _usual(dim: int, kind: Any) -> tuple[dict[str, Callable[[], object]], float]:
    """Return what to time of the usual use, and its bytes a parameter."""
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40], encryption_type=kind, n_threads=1
    )
    context.global_scale = 2**40
    values = (seeded(0, "floats").generator().normal(0, 0.01, dim)).tolist()

    def encrypt() -> list[bytes]:
        return [tenseal.ckks_vector(context, values[at : at + 4096]).serialize() for at in range(0, dim, 4096)]

    def parse() -> list[Any]:
        return [tenseal.ckks_vector_from(context, data) for data in blobs]

    def add() -> None:
        for one, other in zip(total, more, strict=True):
            one.add_(other)

    blobs = encrypt()
    total, more = parse(), parse()
    steps: dict[str, Callable[[], object]] = {
        "encrypt": encrypt,
        "verify": parse,
        "add": add,
        "decrypt": lambda: [vector.decrypt() for vector in more],
    }
    return steps, sum(map(len, blobs)) / dim


def _side_by_side(*, dim: int, clients: int) -> dict[str, object]:
    """Return what a user who has to choose is shown: whole sums of one cohort, one client of which leaves."""
    public = _parameters(clients, dim)
    schemes: dict[str, SecureSum] = {
        "plain": PlainSum(public),
        "masks": MaskedSum(public),
        "bfv": HomomorphicSum(public, scheme="bfv", summand=SUMMAND),
        "ckks": HomomorphicSum(public, scheme="ckks", summand=SUMMAND),
        "ckks_inner_mask": HomomorphicSum(public, scheme="ckks", inner_mask=True),
    }
    rows = {name: _whole(scheme) for name, scheme in schemes.items()}
    if len({bytes(total) for total, _ in rows.values()}) != 1:
        raise AssertionError("the sums differ")
    return {"clients": clients, "dim": dim, "rows": {name: row for name, (_, row) in rows.items()}}


def _whole(scheme: SecureSum) -> tuple[RingVector, dict[str, float]]:
    public, vector, sent = scheme.parameters, _vector(scheme.parameters.dim), [0]

    def count(phase: str, client: str, direction: str, message: bytes) -> None:
        sent[0] += len(message) if client == public.cohort[0] and direction == "answer" else 0

    server = scheme.server()
    roles = {name: scheme.client(name, vector, rng=secure()) for name in public.cohort}
    start = time.process_time()
    total = secure_sum(server, roles, record=count, lost=lambda phase, name: False)
    seconds = time.process_time() - start
    return total, {"bytes_per_parameter_sent_by_a_client": sent[0] / public.dim, "seconds_of_all_parties": seconds}


def _sets() -> list[dict[str, str | float]]:
    """Compare parameter sets: bytes and seconds to encrypt and decrypt a million parameters."""
    found: list[dict[str, str | float]] = []
    for scheme in SCHEMES:
        for one in candidates(scheme, bits=20, summand=SUMMAND, weight=CLIENTS):
            if one.lanes.digits > 1:
                continue
            here = ring(one)
            key = SecretKey(here)
            public, slots = PublicKey(here, key.public()), one.lanes.encode(_vector(one.lanes.coordinates))
            steps = {"encrypt": lambda: public.encrypt(slots), "decrypt": lambda: key.open(public.encrypt(slots))}  # noqa: B023
            seconds = interleaved(steps, repetitions=5)
            scale = MILLION / one.lanes.coordinates
            encrypting = statistics.median(seconds["encrypt"])
            found.append(
                {
                    "scheme": scheme,
                    "degree": one.degree,
                    "data_bits": one.data_primes * one.data_bits,
                    "lanes": one.lanes.lanes,
                    "bytes_per_parameter": one.bytes_of_one / one.lanes.coordinates,
                    "encrypt_seconds_per_million": scale * encrypting,
                    "decrypt_seconds_per_million": scale * (statistics.median(seconds["decrypt"]) - encrypting),
                }
            )
    return found


def _streamed(dim: int) -> dict[str, object]:
    """Run a whole sum of long vectors in a process of its own, for its peak memory.

    Linux starts a child's peak at what its parent held, so a figure is an upper bound.
    """
    figures: dict[str, object] = {}
    for scheme in SCHEMES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures[scheme] = pool.apply(_long, (scheme, dim))
    return {"dim": dim, "clients": 3, **figures}


def _long(scheme: Scheme, dim: int) -> dict[str, float]:
    public = _parameters(3, dim)
    sum_ = HomomorphicSum(public, scheme=scheme, summand=SUMMAND)
    vector = _vector(dim)
    server, start = sum_.server(), time.process_time()
    total = secure_sum(server, {name: sum_.client(name, vector, rng=secure()) for name in public.cohort})
    if not np.array_equal(total, vector * np.uint64(3) & public.modulus_mask):
        raise AssertionError("the sum is wrong")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_megabytes": peak, "seconds": time.process_time() - start}
