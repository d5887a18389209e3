"""Moves of somebody on the wire, who holds no key: changed, cut, swapped, replayed and reordered messages.

Every kind of message is changed in every field. A client that meets such a request refuses it by name; the server puts
such an answer aside, and the sum of the others is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from securefed.aggregation.audit.expect import attempt, expect
from securefed.aggregation.audit.rig import ANSWERS, REQUESTS, Rig, in_context
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.refusals import BadBox, BadMembership, BadSignature, Malformed, WrongContext, WrongSender
from securefed.aggregation.wire import HEADER
from securefed.errors import OutOfTurn

VICTIM, OTHER = "client-2", "client-4"


def fields(frame: bytes) -> dict[str, range]:
    """Return where the fields of a frame lie: header, places, context, payload, signature, padding."""
    length = int.from_bytes(frame[6:HEADER], "big")
    end = HEADER + length
    payload = HEADER + 1 + 2 + 2 + 32
    return {
        "magic": range(4),
        "version": range(4, 5),
        "kind": range(5, 6),
        "length": range(6, HEADER),
        "array": range(HEADER, HEADER + 1),
        "sender": range(HEADER + 1, HEADER + 2),
        "receiver": range(HEADER + 2, HEADER + 3),
        "context": range(HEADER + 3, payload),
        "payload": range(payload, end - 66),
        "signature": range(end - 66, end),
        "padding": range(end, len(frame)),
    }


def changes(frame: bytes, others: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Return a frame changed in every way: name of the change, and what arrives."""
    for name, place in fields(frame).items():
        for at in sorted({place[0], place[len(place) // 2], place[-1]}) if place else ():
            for bit in (0, 7):
                yield f"{name} bit {bit} at {at}", frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :]
    for size in (0, 1, HEADER, len(frame) // 2, len(frame) - 1):
        yield f"cut to {size}", frame[:size]
    yield "one byte more", frame + b"\0"
    yield "twice", frame * 2
    yield from others.items()


def strangers(rig: Rig, phase: str, direction: str) -> dict[str, bytes]:
    """Return true messages that do not belong here: another client's, round's, phase's or direction's."""
    others = {}
    before = in_context(rig, round=0)
    before.run()
    again = Rig(members=rig.members)
    again.run()
    others["another round's"] = before.wire[phase, VICTIM, direction]
    others["another client's"] = again.wire[phase, OTHER, direction]
    others["the other direction's"] = again.wire[phase, VICTIM, "answer" if direction == "request" else "request"]
    for other in REQUESTS:
        if other != phase:
            others[f"that of phase {other}"] = again.wire[other, VICTIM, direction]
    return others


def changed_requests(phase: str) -> Finding:
    """Change one phase's request to one client in every way; the client must refuse each by name."""
    rig = Rig()
    request = rig.run_until(phase)[VICTIM]
    client, errors = rig.clients[VICTIM], []
    state = rig.mind(VICTIM)
    for _, arrived in changes(request, strangers(rig, phase, "request")):
        client._state = state
        errors.append(attempt(client.answer, arrived))
    return expect(errors, Malformed, WrongContext, WrongSender, BadSignature)


def changed_answers(phase: str) -> Finding:
    """Change one client's answer in every way; the server must put each aside by name, and nobody else's."""
    rig = Rig(members=(members := Rig().members))
    answers = {name: rig.clients[name].answer(data) for name, data in rig.run_until(phase).items()}
    state, reasons, alone = rig.state, [], True
    for _, arrived in changes(answers[VICTIM], strangers(Rig(members=members), phase, "answer")):
        rig.server._state = state
        state_refusals(rig).clear()
        rig.server.collect({**answers, VICTIM: arrived})
        reasons.append(rig.server.refusals.get(VICTIM, "accepted").split(":")[0])
        alone &= set(rig.server.refusals) == {VICTIM}
    named = {kind.__name__ for kind in (Malformed, WrongContext, WrongSender, BadSignature)}
    return Finding(f"{len(reasons)} attempts: {', '.join(sorted(set(reasons)))}", alone and set(reasons) <= named)


def state_refusals(rig: Rig) -> dict[str, str]:
    """Return the server's own list of refusals."""
    return rig.server._desk.refusals


def out_of_order() -> Finding:
    """Send every request twice, and every later request of the same sum too early."""
    whole = Rig()
    whole.run()
    phases, errors = tuple(REQUESTS), []
    for step, phase in enumerate(phases):
        for later in phases[step + 1 :]:
            rig = Rig(members=whole.members)
            rig.run_until(phase)
            errors.append(attempt(rig.clients[VICTIM].answer, whole.wire[later, VICTIM, "request"]))
        rig = Rig()
        request = rig.run_until(phase)[VICTIM]
        rig.clients[VICTIM].answer(request)
        errors.append(attempt(rig.clients[VICTIM].answer, request))
    return expect(errors, Malformed, OutOfTurn)


def same_context() -> Finding:
    """Replay requests of an earlier run of the very same round, which the server signed."""
    errors = []
    for phase in ("share", "mask", "agree", "reveal"):
        earlier = Rig()
        earlier.run()
        rig = Rig(members=earlier.members)
        rig.run_until(phase)
        errors.append(attempt(rig.clients[VICTIM].answer, earlier.wire[phase, VICTIM, "request"]))
    return expect(errors, BadMembership, BadBox, BadSignature)


ROWS = (
    *(
        Row(
            f"N{2 * at + 1:02d}",
            "network",
            f"changes {kind.name} in every field",
            "named refusal",
            partial(changed_requests, phase),
        )
        for at, (phase, kind) in enumerate(REQUESTS.items())
    ),
    *(
        Row(
            f"N{2 * at + 2:02d}",
            "network",
            f"changes {kind.name} in every field",
            "put aside by name",
            partial(changed_answers, phase),
        )
        for at, (phase, kind) in enumerate(ANSWERS.items())
    ),
    Row("N11", "network", "repeats requests or sends them too early", "Malformed or OutOfTurn", out_of_order),
    Row("N12", "network", "replays an earlier run of the same round", "refused by name", same_context),
)
