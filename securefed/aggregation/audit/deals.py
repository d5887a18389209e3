"""Moves against rounds that share a deal: what is revealed or lost in one of them must say nothing of another."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import numpy as np

from securefed.aggregation import merkle
from securefed.aggregation.audit.expect import attempt, expect
from securefed.aggregation.audit.privacy import as_bytes, is_uniform, masked, reachable
from securefed.aggregation.audit.rig import Rig, dealt_for, following
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.derivations import pair_mask_key, self_mask_key
from securefed.aggregation.keys import agree, load
from securefed.aggregation.masks import Masks
from securefed.aggregation.members import Members
from securefed.aggregation.refusals import BadSignature, Malformed, WrongContext
from securefed.aggregation.server_states import opening
from securefed.aggregation.transcript import canonical
from securefed.aggregation.verification import verify_transcript
from securefed.aggregation.wire import Kind, decode, encode
from securefed.errors import OutOfTurn, SecureFedError, VerificationError

FIRST, TARGET = "client-0", "client-4"
DEALING = ("advertise", "share")
STEADY = ("mask", "agree")
DIM = 20_000


def ask_again() -> Finding:
    """The server has two rounds of a deal done and asks for each of them again, as another attempt."""
    first = dealt_for(4)
    first.run()
    second = following(first)
    second.run()
    third = following(second)
    third.run()
    again = [following(rig, attempt=1) for rig in (first, second)]
    return expect([open_round(rig) for rig in again], OutOfTurn)


def open_round(rig: Rig, *, trailing: bytes = b"") -> SecureFedError | None:
    """Send the first client the request that opens a steady round; return why it refuses."""
    return attempt(rig.clients[FIRST].answer, rig.server.requests()[FIRST] + trailing)


def both_secrets_of_two_rounds() -> Finding:
    """The server takes a client's mask key in one round and its self mask in the next, and both to its vectors."""
    rig = dealt_for(2, dim=DIM)
    rig.vectors = dict.fromkeys(rig.vectors, np.zeros(DIM, dtype=np.uint64))
    rig.run_until("share")
    secrets = rig.mind(TARGET).secrets
    rig.run_until("mask")
    adverts = rig.server.dealt.adverts if rig.server.dealt else {}
    rig.run(answer=lambda phase, name, data: None if (phase, name) == ("mask", TARGET) else data)
    after = following(rig)
    after.run()
    vector = masked(after)[TARGET].copy()
    keys = {
        peer: pair_mask_key(
            after.session, 4, peer, agree(load(secrets.mask_keys[0]), adverts[peer].mask_keys[after.session.slot])
        )
        for peer in range(4)
    }
    seed = self_mask_key(after.session, 4, secrets.self_masks[1])
    Masks(added=keys.values(), subtracted=[seed]).apply(vector)
    return Finding(f"uniform rest: {is_uniform(vector)}", is_uniform(vector))


def past_secrets() -> Finding:
    """Search a client's memory, after each round of a deal, for what the rounds so far have used."""
    rig, hits = dealt_for(3), 0
    rig.run_until("share")
    secrets = rig.mind(FIRST).secrets
    for slot in range(3):
        rig = following(rig) if slot else rig
        rig.run_until("agree")
        known = [*reachable(rig.clients[FIRST]), *reachable(rig.hands[FIRST])]
        memory = b"".join(map(as_bytes, known))
        used = [secrets.box_key, *secrets.mask_keys, *secrets.self_masks[: slot + 1]]
        hits += sum(needle in memory for needle in used)
        rig.run()
    left = sum(len(as_bytes(found)) == 32 for found in reachable(rig.hands[FIRST]))
    return Finding(f"{hits} used secrets found; {left} strings of key size at the end", hits == 0 and left == 0)


def returns(phase: str) -> Finding:
    """Every client in turn leaves in one phase of a steady round, and is back in the next."""
    exact = 0
    for name in (FIRST, TARGET):
        first = dealt_for(3)
        first.run()
        second = following(first)
        left = second.run(answer=lambda at, who, data, name=name: None if (at, who) == (phase, name) else data)  # type: ignore[misc]
        third = following(second).run()
        exact += left.total is not None and left.exact and third.exact and len(third.survivors) == 5
    return Finding(f"{exact} of 2 clients were back in an exact sum", exact == 2)


def misses_inbox() -> Finding:
    """A client leaves before it has seen what it was dealt, and is back in the next round."""
    first = dealt_for(2)
    first.run(request=lambda phase, name, data: None if (phase, name) == ("mask", TARGET) else data)
    outcome = following(first).run()
    return Finding(outcome.describe(), outcome.total is not None and outcome.exact and TARGET in outcome.survivors)


def misses_deal(phase: str) -> Finding:
    """A client leaves while keys are dealt, and is asked in the next round: it holds none, and the others go on."""
    first = dealt_for(2)
    first.run(answer=lambda at, name, data: None if (at, name) == (phase, TARGET) else data)
    after = following(first)
    outcome = after.run()
    plan = after.session.write(
        Kind.PLAN, [after.session.plan], by=after.members.server, sender=after.session.server, receiver=4
    )[0]
    refused = type(attempt(after.clients[TARGET].answer, plan)) is OutOfTurn
    return Finding(outcome.describe(), refused and outcome.exact and outcome.survivors == tuple(first.clients)[:4])


def another_sharing_set() -> Finding:
    """The server shows a client a second inbox, with fewer dealers, in a later round: nothing changes."""
    first = dealt_for(2)
    first.run()
    after = following(first)
    _, (_, records) = decode(
        first.request_payload("mask", FIRST, first.wire["mask", FIRST, "request"]), numbers=0, strings=2
    )
    fewer = encode([], [Members.of(range(4), 5).to_bytes(), records[: len(records) // 5 * 4]])
    inbox = first.session.write(Kind.INBOX, [fewer], by=first.members.server, sender=5, receiver=0)[0]
    outcome = after.run(request=lambda at, name, data: data + inbox if (at, name) == ("mask", FIRST) else data)
    return Finding(outcome.describe(), outcome.total is not None and outcome.exact)


def foreign_inbox() -> Finding:
    """Somebody hangs another deal's inbox, or rubbish, on the request that opens a steady round."""
    first, other = dealt_for(3), dealt_for(3)
    other.run()
    first.run()
    foreign = other.wire["mask", FIRST, "request"]
    trailing = [foreign, b"\0", bytes(len(foreign)), foreign * 2]
    return expect([open_round(following(first), trailing=each) for each in trailing], WrongContext, Malformed)


def two_models_later() -> Finding:
    """In a steady round the server gives two halves different models, and shows each the vectors of both."""
    first = dealt_for(2, 7)
    first.run()
    halves = [following(first), following(first, model=b"m" * 32)]
    inputs = {}
    for place, name in enumerate(first.clients):
        half = halves[place % 2]
        answer = half.clients[name].answer(half.server.requests()[name])
        inputs[place] = half.session.open(Kind.MASKED, answer, sender=place, receiver=7)[1]
    everybody = Members.everybody(7)
    shown = opening(everybody, range(7), inputs, _tree(inputs))
    errors = [
        attempt(rig.clients[name].answer, rig.forge_request("agree", name, shown))
        for rig, name in ((halves[0], FIRST), (halves[1], "client-1"))
    ]
    return expect(errors, BadSignature)


def earlier_shares() -> Finding:
    """In a steady round the server takes what holders revealed in the round before for what they reveal now."""
    first = dealt_for(2)
    first.run()
    after = following(first)
    after.run_until("agree")
    size, errors = first.session.frame_size(Kind.AGREEMENT), []
    for place, name in enumerate(first.clients):
        sent = first.wire["agree", name, "answer"]
        for kind, frame in ((Kind.AGREEMENT, sent[:size]), (Kind.REVEAL, sent[size:])):
            errors.append(attempt(after.session.read, kind, frame, sender=place, receiver=5))
    return expect(errors, WrongContext)


def other_dealing() -> Finding:
    """The server's record of a steady round names other dealers, other keys, or none; or stands alone."""
    first = dealt_for(2)
    first.run()
    after = following(first)
    after.run()
    roster, lines = first.members.roster, after.server.transcript.lines
    dealt = verify_transcript(first.server.transcript.lines, roster).dealt
    verify_transcript(lines, roster, dealt=dealt)
    entry = json.loads(lines[1])
    changes = [{"root": "00" * 32}, {"sharing": "0f"}, {"members": "0f"}, {"kind": "answer"}]
    forged = [rechained([lines[0], canonical(entry | change), *lines[2:]]) for change in changes]
    errors = [attempt(verify_transcript, each, roster, dealt=dealt) for each in forged]
    errors.append(attempt(verify_transcript, lines, roster))
    return expect(errors, VerificationError)


def rechained(lines: list[str]) -> list[str]:
    """Return lines of which each holds the hash of the one before again."""
    chained = [lines[0]]
    for line in lines[1:]:
        head = hashlib.sha256(chained[-1].encode()).hexdigest()
        chained.append(canonical(json.loads(line) | {"previous": head}))
    return chained


def _tree(inputs: dict[int, bytes]) -> list[list[bytes]]:
    return merkle.levels([merkle.leaf(inputs[place]) for place in sorted(inputs)])


ROWS = (
    Row("D01", "server", "asks again for rounds that a deal has served", "OutOfTurn", ask_again),
    Row("D02", "server", "takes one secret each in two rounds", "uniform rest", both_secrets_of_two_rounds),
    Row("D03", "outsider", "searches memory for secrets of past rounds", "none found", past_secrets),
    *(
        Row(
            f"D{4 + at:02d}",
            "client",
            f"leaves a later round in {phase} and is back",
            "exact sums",
            partial(returns, phase),
        )
        for at, phase in enumerate(STEADY)
    ),
    Row("D06", "client", "leaves before it has seen its shares and is back", "exact sums", misses_inbox),
    *(
        Row(
            f"D{7 + at:02d}",
            "client",
            f"leaves a deal in {phase}",
            "OutOfTurn, others exact",
            partial(misses_deal, phase),
        )
        for at, phase in enumerate(DEALING)
    ),
    Row("D09", "server", "shows another set of dealers in a later round", "nothing changes", another_sharing_set),
    Row("D10", "network", "hangs a foreign inbox on a later round", "WrongContext or Malformed", foreign_inbox),
    Row("D11", "server", "gives halves different models in a later round", "BadSignature", two_models_later),
    Row("D12", "server", "replays shares of the round before", "WrongContext", earlier_shares),
    Row("D13", "server", "records another deal than there was", "VerificationError", other_dealing),
)
