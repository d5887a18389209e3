"""Moves of malicious clients, which hold their signing keys, and of clients that leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from securefed.aggregation.audit.expect import aborts, attempt, clients_refuse, expect, put_aside
from securefed.aggregation.audit.rig import ANSWERS, Outcome, Rig
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.derivations import box_key
from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.keys import agree, load, seal, unseal
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.messages import Advert, Sealed, split_records
from securefed.aggregation.packing import pack, unpack
from securefed.aggregation.refusals import (
    BadBox,
    BadMembership,
    BadShare,
    BadSignature,
    InconsistentSum,
    Malformed,
    WrongSender,
)
from securefed.aggregation.shamir import draw
from securefed.aggregation.wire import decode, encode
from securefed.encoding import FixedPoint
from securefed.errors import CapacityError, ConfigError, ThresholdError
from securefed.rng import secure

TRAITOR = "client-3"


def rewritten(rig: Rig, phase: str, change: Callable[[bytes], bytes]) -> Callable[[str, str, bytes], bytes]:
    """Return a tamper: in one phase the traitor changes its payload's byte string and signs the result."""

    def tamper(at: str, name: str, data: bytes) -> bytes:
        if (at, name) != (phase, TRAITOR):
            return data
        _, (content,) = decode(rig.answer_payload(phase, name, data), numbers=0, strings=1)
        return rig.forge_answer(phase, name, encode([], [change(content)]))

    return tamper


def flip(at: int) -> Callable[[bytes], bytes]:
    """Return a change of one bit."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def wrong_share() -> Finding:
    """A client reveals a share that it was not dealt."""
    rig = Rig(7)
    return put_aside(rig.run(answer=rewritten(rig, "reveal", flip(5))), BadShare, TRAITOR, survives=True)


def short_reveal() -> Finding:
    """A client reveals fewer shares than it holds."""
    rig = Rig(7)
    outcome = rig.run(answer=rewritten(rig, "reveal", lambda data: data[:-32]))
    return put_aside(outcome, Malformed, TRAITOR, survives=True)


def other_agreement() -> Finding:
    """A client signs other survivors than it was shown."""
    rig = Rig(7)
    return put_aside(rig.run(answer=rewritten(rig, "agree", flip(0))), Malformed, TRAITOR, survives=True)


def unusable_key() -> Finding:
    """A client advertises a key with which everybody has the same secret."""
    rig = Rig(7)
    zero = Advert(bytes(32), (bytes(32),), (bytes(32),)).to_bytes()
    return put_aside(rig.run(answer=rewritten(rig, "advertise", lambda data: zero)), BadMembership, TRAITOR)


def copied_key() -> Finding:
    """A client advertises another client's keys as its own."""
    rig = Rig(7)
    copied: list[bytes] = []

    def tamper(phase: str, name: str, data: bytes) -> bytes:
        if phase == "advertise" and name == "client-0":
            _, (content,) = decode(rig.answer_payload(phase, name, data), numbers=0, strings=1)
            copied.append(content)
        return rewritten(rig, "advertise", lambda own: copied[0])(phase, name, data)

    return put_aside(rig.run(answer=tamper), BadMembership, TRAITOR)


def impersonation() -> Finding:
    """A client sends its message in another client's name, as it is or relabelled."""
    errors = []
    for phase, kind in ANSWERS.items():
        rig = Rig(7)
        requests = rig.run_until(phase)
        sent = rig.clients[TRAITOR].answer(requests[TRAITOR])
        session, victim = rig.session, rig.place("client-1")
        errors.append(attempt(session.read, kind, sent, sender=victim, receiver=session.server))
        payload, own = rig.answer_payload(phase, TRAITOR, sent), rig.members.clients[TRAITOR]
        forged, _ = session.write(kind, [payload], by=own, sender=victim, receiver=session.server)
        errors.append(attempt(session.read, kind, forged, sender=victim, receiver=session.server))
    return expect(errors, WrongSender, BadSignature)


def deal_rubbish() -> Finding:
    """A client deals shares that it did not commit to, in boxes that open."""
    rig = Rig(7)
    rig.run_until("share")
    private = load(rig.mind(TRAITOR).secrets.box_key)
    peers = {place: Advert.of(record[:-SIGNATURE]) for place, record in rig.state.adverts.items()}

    def bend(records: bytes) -> bytes:
        bent = []
        for holder, record in enumerate(split_records(records, Sealed.size(1), len(peers))):
            sealed = Sealed.of(record)
            key = box_key(rig.session, agree(private, peers[holder].box_key), owner=3, holder=holder)
            content = flip(0)(unseal(key, sealed.box, sealed.commitments))
            bent.append(sealed.commitments + seal(key, content, sealed.commitments))
        return b"".join(bent)

    return clients_refuse(rig.run(answer=rewritten(rig, "share", bend)), BadBox, at_least=6)


def deal_another(secret: str, *, lost: bool) -> Outcome:
    """Let the traitor deal shares of another secret than it advertised."""
    rig = Rig(7)
    rig.run_until("share")
    changed: dict[str, Any] = {secret: (draw(secure()),)}
    rig.change_mind(TRAITOR, secrets=replace(rig.mind(TRAITOR).secrets, **changed))
    return rig.run(answer=lambda phase, name, data: None if lost and (phase, name) == ("mask", TRAITOR) else data)


def deal_another_seed() -> Finding:
    """A client deals shares of another self mask than it committed to."""
    return aborts(deal_another("self_masks", lost=False), BadShare, naming=TRAITOR)


def deal_another_key() -> Finding:
    """A client deals shares of another key than it advertised, and leaves."""
    return aborts(deal_another("mask_keys", lost=True), BadShare, naming=TRAITOR)


def poison() -> Finding:
    """A client adds a vector beyond the limit, past its own check."""
    base = Rig(7).parameters
    rig = Rig(parameters=replace(base, limit=7 * 999))
    huge = np.full(base.dim, 2**30, dtype=np.uint64)
    rig.change_mind(TRAITOR, vector=lambda: huge)
    return aborts(rig.run(), InconsistentSum)


def miscount() -> Finding:
    """A client counts itself twice."""
    rig = Rig(7)
    session, bits = rig.session, rig.parameters.bits

    def bend(packed: bytes) -> bytes:
        words = unpack(packed, dim=session.length, bits=bits).copy()
        words[-1] += 1
        return bytes(pack(words, bits))

    return aborts(rig.run(answer=rewritten(rig, "mask", bend)), InconsistentSum)


def unfit_vectors() -> Finding:
    """A client is given a vector of the wrong shape, type, or magnitude, or without dimension."""
    rig = Rig(parameters=replace(Rig().parameters, limit=5000))
    unfit = [np.zeros(shape, dtype=np.uint64) for shape in ((), (0,), (7,), (9,), (8, 1), (2, 4))] + [
        np.full(8, value) for value in (np.nan, np.inf, 1e-310, 1.0)
    ]
    beyond = [np.full(8, value, dtype=np.uint64) for value in (5001, 2**32 - 5001, 2**32, 2**64 - 1)]
    identity = rig.members.clients[TRAITOR]
    errors = [attempt(MaskedClient, rig.session, identity, vector, rng=secure()) for vector in (*unfit, *beyond)]
    return expect(errors, ConfigError, CapacityError)


def not_finite() -> Finding:
    """A client's contribution holds NaN or infinity, or has no dimension."""
    encoding = FixedPoint(bits=32, step=0.01, bound=1.0, summands=5)
    vectors = [np.array([value, 0.0]) for value in (np.nan, np.inf, -np.inf)] + [np.array(0.5)]
    return expect([attempt(encoding.encode, vector) for vector in vectors], ConfigError)


def overfull() -> Finding:
    """More clients than planned, or larger values, would leave the ring."""
    plans: list[dict[str, Any]] = [{"summands": 2**25}, {"bound": 1e12}, {"noise_stddev": 1e9}]
    base = {"bits": 32, "step": 0.01, "bound": 1.0, "summands": 5}
    return expect([attempt(FixedPoint, **(base | plan)) for plan in plans], CapacityError)


def leave(phase: str, lost: tuple[str, ...]) -> Outcome:
    """Lose some of six clients' answers in one phase; one may leave."""
    return Rig(6).run(answer=lambda at, name, data: None if at == phase and name in lost else data)


def leave_tolerated() -> Finding:
    """One client leaves, in any phase."""
    outcomes = [leave(phase, (name,)) for phase in ANSWERS for name in Rig(6).clients]
    exact = sum(outcome.total is not None and outcome.exact for outcome in outcomes)
    return Finding(f"{exact} of {len(outcomes)} sums exact", exact == len(outcomes))


def leave_too_many() -> Finding:
    """Two clients leave, in any phase."""
    pairs = list(combinations(Rig(6).clients, 2))
    return expect([leave(phase, pair).error for phase in ANSWERS for pair in pairs], ThresholdError)


ROWS = (
    Row("C01", "client", "reveals a wrong share", "BadShare, sum exact", wrong_share),
    Row("C02", "client", "reveals fewer shares than it holds", "Malformed, sum exact", short_reveal),
    Row("C03", "client", "signs other survivors than shown", "Malformed, sum exact", other_agreement),
    Row("C04", "client", "advertises an unusable key", "put aside, sum of the others", unusable_key),
    Row("C05", "client", "copies another client's keys", "put aside, sum of the others", copied_key),
    Row("C06", "client", "speaks in another client's name", "WrongSender or BadSignature", impersonation),
    Row("C07", "client", "deals shares it did not commit to", "BadBox", deal_rubbish),
    Row("C08", "client", "deals shares of another self mask", "BadShare naming it", deal_another_seed),
    Row("C09", "client", "deals shares of another key and leaves", "BadShare naming it", deal_another_key),
    Row("C10", "client", "adds a vector beyond the limit", "InconsistentSum", poison),
    Row("C11", "client", "counts itself twice", "InconsistentSum", miscount),
    Row("C12", "client", "brings a vector of wrong shape, type or size", "ConfigError or CapacityError", unfit_vectors),
    Row("C13", "client", "brings NaN, infinity or a scalar", "ConfigError", not_finite),
    Row("C14", "client", "brings more than the ring holds", "CapacityError when planned", overfull),
    Row("C15", "client", "leaves in any phase, within the tolerance", "exact sum", leave_tolerated),
    Row("C16", "client", "leaves in any phase, beyond the tolerance", "ThresholdError", leave_too_many),
)
