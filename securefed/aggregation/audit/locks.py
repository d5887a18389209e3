"""Moves against locks: to have shares opened on which too few agree, or to keep the others' shut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from securefed.aggregation.audit.expect import attempt, expect, put_aside
from securefed.aggregation.audit.rig import Outcome, Rig, dealt_for
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.audit.sets import FIRST, survivors_shown
from securefed.aggregation.derivations import lock_key
from securefed.aggregation.hand import HeldShares
from securefed.aggregation.lock import Locked, unlock
from securefed.aggregation.members import Members
from securefed.aggregation.refusals import BadBox, BadShare
from securefed.aggregation.shamir import draw
from securefed.aggregation.wire import Kind, decode
from securefed.errors import OutOfTurn, ThresholdError
from securefed.rng import secure

CLIENTS = 7
TRAITOR = "client-3"


def cut(rig: Rig, name: str, answer: bytes) -> tuple[bytes, bytes]:
    """Return what a client agrees to, and the payload of what it reveals under locks."""
    session, place, size = rig.session, rig.place(name), rig.session.frame_size(Kind.AGREEMENT)
    agreement = session.read(Kind.AGREEMENT, answer[:size], sender=place, receiver=session.server)[0]
    locked = session.read(Kind.REVEAL, answer[size:], sender=place, receiver=session.server)[0]
    return decode(agreement, numbers=0, strings=1)[1][0], locked


def in_halves(rig: Rig, sets: Mapping[int, Members]) -> tuple[dict[int, bytes], dict[int, Locked]]:
    """Tell every client its own set of survivors; return what each agrees to, and its locked answer."""
    rig.run_until("agree")
    agreed, locked = {}, {}
    for place, alive in sets.items():
        name = rig.session.name(place)
        answer = rig.clients[name].answer(survivors_shown(rig, alive, place))
        agreed[place], payload = cut(rig, name, answer)
        locked[place] = Locked.of(payload, alive)
    return agreed, locked


def two_sets() -> Finding:
    """The server tells two halves different survivors and tries every key that it was given on every box."""
    rig = dealt_for(2, CLIENTS)
    everybody, fewer = Members.everybody(CLIENTS), Members.of(range(6), CLIENTS)
    agreed, locked = in_halves(rig, {place: everybody if place < 3 else fewer for place in range(6)})
    return expect([attempt(unlock, rig.session, owner, locked, agreed[owner]) for owner in range(6)], ThresholdError)


def two_sets_with_traitors() -> Finding:
    """The same with two clients on its side, which give keys for both sets: what opens, opens for one set alone."""
    rig = dealt_for(2, CLIENTS)
    everybody, fewer = Members.everybody(CLIENTS), Members.of(range(6), CLIENTS)
    rig.run_until("agree")
    secrets = {traitor: dict(rig.mind(f"client-{traitor}").locks) for traitor in (0, 1)}
    sets = {place: everybody if place < 5 else fewer for place in range(2, 6)}
    agreed, locked = in_halves(rig, sets)
    opened = set()
    for owner in sets:
        keys = {
            traitor: {owner: lock_key(rig.session, known[owner], owner, traitor, agreed[owner])}
            for traitor, known in secrets.items()
        }
        pool = locked | {traitor: Locked(b"", {}, key) for traitor, key in keys.items()}
        if attempt(unlock, rig.session, owner, pool, agreed[owner]) is None:
            opened.add(agreed[owner])
    return Finding(f"shares of {len(opened)} of 2 sets opened", opened == {agreed[2]})


def ask_twice() -> Finding:
    """The server shows survivors, takes the locked shares, and shows others, or the same again."""
    rig = dealt_for(2, CLIENTS)
    rig.run_until("agree")
    shown = [survivors_shown(rig, Members.of(range(size), CLIENTS), 0) for size in (7, 6)]
    rig.clients[FIRST].answer(shown[0])
    return expect([attempt(rig.clients[FIRST].answer, each) for each in (shown[1], shown[0])], OutOfTurn)


def bent(change: Callable[[Locked], Locked]) -> Outcome:
    """Let the traitor change what it locks, and sign the result."""
    rig = dealt_for(2, CLIENTS)

    def tamper(phase: str, name: str, data: bytes) -> bytes:
        if (phase, name) != ("agree", TRAITOR):
            return data
        session, own = rig.session, rig.members.clients[TRAITOR]
        locked = change(Locked.of(cut(rig, name, data)[1], Members.everybody(CLIENTS)))
        frame = session.write(Kind.REVEAL, [locked.encode()], by=own, sender=3, receiver=session.server)[0]
        return data[: session.frame_size(Kind.AGREEMENT)] + frame

    return rig.run(answer=tamper)


def wrong_keys() -> Finding:
    """A client gives keys that fit no box of the others."""
    outcome = bent(lambda locked: replace(locked, keys=dict.fromkeys(locked.keys, bytes(32))))
    return Finding(outcome.describe(), outcome.total is not None and outcome.exact and not outcome.refusals)


def shut() -> Finding:
    """A client makes boxes that nobody's keys fit, or seals its shares under another key than it shares."""
    boxes = bent(lambda locked: replace(locked, boxes={place: bytes(48) for place in locked.boxes}))
    content = bent(lambda locked: replace(locked, content=bytes(len(locked.content))))
    aside = [
        put_aside(boxes, ThresholdError, TRAITOR, survives=True),
        put_aside(content, BadBox, TRAITOR, survives=True),
    ]
    return Finding("; ".join(each.happened for each in aside), all(each.holds for each in aside))


def wrong_shares() -> Finding:
    """A client locks shares that it was not dealt."""
    rig = dealt_for(2, CLIENTS)
    rig.run_until("agree")
    shares = {owner: HeldShares(draw(secure()), draw(secure())) for owner in rig.mind(TRAITOR).shares}
    rig.change_mind(TRAITOR, shares=shares)
    return put_aside(rig.run(), BadShare, TRAITOR, survives=True)


ROWS = (
    Row("L01", "server", "tells halves different survivors, to open locks", "ThresholdError", two_sets),
    Row("L02", "server", "does so with clients on its side", "one set opens at most", two_sets_with_traitors),
    Row("L03", "server", "asks for locked shares twice", "OutOfTurn", ask_twice),
    Row("L04", "client", "gives keys that fit no lock", "exact sum", wrong_keys),
    Row("L05", "client", "locks its shares so that none can open them", "put aside, sum exact", shut),
    Row("L06", "client", "locks wrong shares", "BadShare, sum exact", wrong_shares),
)
