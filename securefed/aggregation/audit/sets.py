"""Moves of a malicious server with sets of clients, sealed shares, agreements and repetitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from securefed.aggregation import merkle
from securefed.aggregation.audit.expect import aborts, attempt, expect
from securefed.aggregation.audit.rig import Rig, in_context
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.journal import Journal
from securefed.aggregation.members import Members
from securefed.aggregation.messages import Sealed
from securefed.aggregation.refusals import (
    BadBox,
    BadMembership,
    BadSignature,
    Equivocation,
    InconsistentSum,
    Malformed,
    Replay,
)
from securefed.aggregation.server_states import opening
from securefed.aggregation.wire import Kind, decode, encode
from securefed.errors import OutOfTurn, SecureFedError, ThresholdError

FIRST = "client-0"
SEALED = Sealed.size(1)


def survivors_shown(rig: Rig, alive: Members, place: int) -> bytes:
    """Return a SURVIVORS request over any survivors, consistent in itself."""
    inputs = {each: rig.state.inputs.get(each, bytes(96)) for each in alive}
    tree = merkle.levels([merkle.leaf(inputs[each]) for each in alive])
    payload = opening(alive, alive.among(rig.state.dealt.graph.holders(place)), inputs, tree)
    return rig.forge_request("agree", rig.session.name(place), payload)


def agreed_in_halves(rig: Rig) -> dict[int, bytes]:
    """Tell two halves different survivors; return every client's signature."""
    rig.run_until("agree")
    everybody, fewer = Members.everybody(7), Members.of(range(6), 7)
    signatures = {}
    for place in range(6):
        request = survivors_shown(rig, everybody if place < 3 else fewer, place)
        answer = rig.clients[rig.session.name(place)].answer(request)
        _, signatures[place] = rig.session.read(Kind.AGREEMENT, answer, sender=place, receiver=rig.session.server)
    return signatures


def ask_to_reveal(rig: Rig, place: int, signatures: Mapping[int, bytes]) -> SecureFedError | None:
    """Show one client some agreements; return why it refuses to reveal."""
    name = rig.session.name(place)
    signers = Members.of(signatures, rig.session.size)
    payload = encode([], [signers.to_bytes(), b"".join(signatures[each] for each in signers)])
    return attempt(rig.clients[name].answer, rig.forge_request("reveal", name, payload))


def two_survivor_sets() -> Finding:
    """The server tells two halves different survivors and shows each half its own agreements."""
    rig = Rig(7)
    signatures = agreed_in_halves(rig)
    halves = [{place: signatures[place] for place in half} for half in (range(3), range(3, 6))]
    return expect([ask_to_reveal(rig, place, halves[place // 3]) for place in range(6)], Equivocation)


def mixed_agreements() -> Finding:
    """The server tells two halves different survivors and shows everybody all agreements."""
    rig = Rig(7)
    signatures = agreed_in_halves(rig)
    return expect([ask_to_reveal(rig, place, signatures) for place in range(6)], BadSignature)


def few_agreements() -> Finding:
    """The server shows fewer agreements than the threshold, or one of them several times."""
    rig = Rig(7)
    rig.run_until("reveal")
    few = {place: rig.state.vouching[place] for place in range(4)}
    repeated = {place: rig.state.vouching[0] for place in range(7)}
    return expect([ask_to_reveal(rig, 0, few), ask_to_reveal(rig, 1, repeated)], Equivocation, BadSignature)


def both_secrets() -> Finding:
    """The server names a client as survivor and, once agreed, as dropout, to get shares of both its secrets."""
    rig = Rig(7)
    rig.run_until("agree")
    first = survivors_shown(rig, Members.everybody(7), 0)
    second = survivors_shown(rig, Members.of(range(6), 7), 0)
    rig.clients[FIRST].answer(first)
    return expect(
        [attempt(rig.clients[FIRST].answer, second), attempt(rig.clients[FIRST].answer, first)], Malformed, OutOfTurn
    )


def reveal_twice() -> Finding:
    """The server asks for shares a second time."""
    rig = Rig()
    rig.run()
    requests = {name: rig.wire["reveal", name, "request"] for name in rig.clients}
    return expect([attempt(rig.clients[name].answer, data) for name, data in requests.items()], OutOfTurn)


def few_survivors() -> Finding:
    """The server claims that fewer clients survived than the threshold allows."""
    rig = Rig(7)
    rig.run_until("agree")
    request = survivors_shown(rig, Members.of(range(4), 7), 0)
    return expect([attempt(rig.clients[FIRST].answer, request)], ThresholdError)


def invented_survivor() -> Finding:
    """The server claims a masked vector from a client that sent none."""
    rig = Rig(7)
    rig.run_until("agree", lost={("mask", "client-6")})
    request = survivors_shown(rig, Members.everybody(7), 0)
    return expect([attempt(rig.clients[FIRST].answer, request)], BadSignature)


def widened_sets() -> Finding:
    """The server names a sharer that advertised nothing, or leaves the client out."""
    errors = []
    for sharing in (range(7), range(1, 6)):
        rig = Rig(7)
        requests = rig.run_until("mask", lost={("advertise", "client-6")})
        _, (_, records) = decode(rig.request_payload("mask", FIRST, requests[FIRST]), numbers=0, strings=2)
        padded = records.ljust(len(sharing) * SEALED, b"\0")[: len(sharing) * SEALED]
        forged = encode([], [Members.of(sharing, 7).to_bytes(), padded])
        errors.append(attempt(rig.clients[FIRST].answer, rig.forge_request("mask", FIRST, forged)))
    return expect(errors, BadMembership)


def swapped_boxes() -> Finding:
    """The server delivers a sealed share under another owner's name, or changes its commitment."""
    errors = []
    bends: tuple[Callable[[bytes], bytes], ...] = (
        lambda records: records[SEALED : 2 * SEALED] + records[:SEALED] + records[2 * SEALED :],
        lambda records: bytes([records[0] ^ 1]) + records[1:],
        lambda records: records[:-1] + bytes([records[-1] ^ 1]),
    )
    for bend in bends:
        rig = Rig()
        payload = rig.request_payload("mask", FIRST, rig.run_until("mask")[FIRST])
        _, (bitmap, records) = decode(payload, numbers=0, strings=2)
        forged = rig.forge_request("mask", FIRST, encode([], [bitmap, bend(records)]))
        errors.append(attempt(rig.clients[FIRST].answer, forged))
    return expect(errors, BadBox)


def two_sharing_sets() -> Finding:
    """The server tells one client that another dealt no shares, so that their masks do not cancel."""
    rig = Rig(7)

    def forge(phase: str, name: str, data: bytes) -> bytes:
        if (phase, name) != ("mask", FIRST):
            return data
        _, (_, records) = decode(rig.request_payload(phase, name, data), numbers=0, strings=2)
        fewer = encode([], [Members.of(range(6), 7).to_bytes(), records[: 6 * SEALED]])
        return rig.forge_request(phase, name, fewer)

    return aborts(rig.run(request=forge), InconsistentSum)


def after_restart(*, phase: str, cohort: tuple[str, ...] = (), **changes: object) -> Finding:
    """Run a sum up to a phase, restart the clients with their journals, and start a sum in another context."""
    with TemporaryDirectory() as folder:
        first = Rig(journals=(before := journals(Path(folder))))
        first.run_until(phase)
        close(before)
        second = in_context(first, journals=(after := journals(Path(folder))), cohort=cohort, **changes)
        requests = second.server.requests()
        finding = expect([attempt(second.clients[name].answer, data) for name, data in requests.items()], Replay)
        close(after)
        return finding


def journals(folder: Path) -> dict[str, Journal]:
    """Open every client's journal."""
    return {f"client-{place}": Journal(folder / f"{place}.sqlite") for place in range(5)}


def close(opened: Mapping[str, Journal]) -> None:
    """Close every client's journal."""
    for journal in opened.values():
        journal.close()


def replay_round() -> Finding:
    """The server runs a round a second time after the clients were restarted."""
    return after_restart(phase="share", model=b"n" * 32)


def another_cohort() -> Finding:
    """The server asks all but one for the same model in a later round, to take the difference of two sums."""
    return after_restart(phase="done", cohort=("client-0", "client-1", "client-2", "client-3"), round=2)


def second_attempt() -> Finding:
    """The server aborts after the masked vectors were sent and starts a second attempt."""
    return after_restart(phase="agree", attempt=1)


ROWS = (
    Row("S01", "server", "names a client as survivor, then as dropout", "refused", both_secrets),
    Row("S02", "server", "tells two halves different survivors", "Equivocation, nothing revealed", two_survivor_sets),
    Row("S03", "server", "passes off agreements on other survivors", "BadSignature", mixed_agreements),
    Row("S04", "server", "shows too few agreements, or one repeatedly", "refused", few_agreements),
    Row("S05", "server", "asks for shares twice", "OutOfTurn", reveal_twice),
    Row("S18", "server", "claims too few survivors", "ThresholdError", few_survivors),
    Row("S19", "server", "claims a survivor that sent nothing", "BadSignature", invented_survivor),
    Row("S20", "server", "adds strangers to a set, or leaves a client out", "BadMembership", widened_sets),
    Row("S21", "server", "delivers sealed shares under wrong names", "BadBox", swapped_boxes),
    Row("S22", "server", "tells clients different sets of sharers", "InconsistentSum", two_sharing_sets),
    Row("S23", "server", "replays a round to restarted clients", "Replay", replay_round),
    Row("S24", "server", "sums the same model in another cohort", "Replay", another_cohort),
    Row("S25", "server", "starts a second attempt after vectors were sent", "Replay", second_attempt),
)
