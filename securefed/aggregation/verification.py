"""Verify a transcript offline, with nothing but the roster.

It shows that these clients, and no others, signed these messages for this plan, that enough witnesses agreed on the
survivors, and that the server stands by the total. It cannot show that the total is the sum of what the clients sent:
that would need the masked vectors.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from securefed.aggregation import merkle
from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import SERVER, Roster, verify
from securefed.aggregation.keys import payload_hash
from securefed.aggregation.members import Members
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.plan import read_plan
from securefed.aggregation.session import Session
from securefed.aggregation.transcript import FORMAT, canonical, signed
from securefed.aggregation.wire import Kind, encode
from securefed.errors import SecureFedError, VerificationError

_ORDER = (Kind.MASKED, Kind.AGREEMENT, Kind.REVEAL)
"""Answers of every round; in one that begins with a deal, those that deal come before."""


@final
@dataclass(frozen=True, slots=True)
class Dealing:
    """What a transcript says about a deal.

    Attributes:
        deal: Digest of the deal.
        graph: Who advertised which keys.
        sharing: Clients whose shares were dealt.
    """

    deal: bytes
    graph: Graph
    sharing: Members


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What a verified transcript says.

    Attributes:
        parameters: The plan of the sum.
        survivors: Whose vectors are in it.
        agreeing: Which of the witnesses signed that.
        refusals: Clients whose answers were put aside, with the reason.
        total: SHA-256 of the sum.
        head: What the next round's context holds.
        dealt: The keys and shares that the sum used, and that sums of later rounds may.
    """

    parameters: Parameters
    survivors: tuple[str, ...]
    agreeing: tuple[str, ...]
    refusals: tuple[tuple[str, str], ...]
    total: bytes
    head: bytes
    dealt: Dealing


def verify_transcript(
    lines: Iterable[str], roster: Roster, *, where: str = "transcript", dealt: Dealing | None = None
) -> Verified:
    """Recompute and check everything that a transcript says.

    Args:
        lines: Of the transcript.
        roster: The public keys of the parties.
        where: The transcript's name in errors.
        dealt: What the verified transcript of the round before says about its deal; a round whose keys were dealt
            earlier needs it.

    Raises:
        VerificationError: Names the first line that does not hold.
    """
    entries, head = _chain([line.rstrip("\n") for line in lines], where)
    reader = _Reader(entries, head, roster)
    try:
        return reader.verified(dealt)
    except VerificationError as error:
        raise VerificationError(str(error), where=f"{where}:{reader.line}") from error
    except (SecureFedError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise VerificationError(
            f"it does not hold: {type(error).__name__}: {error}", where=f"{where}:{reader.line}"
        ) from error


def _chain(lines: Sequence[str], where: str) -> tuple[list[dict[str, Any]], bytes]:
    """Return the entries, if every line is canonical and holds the hash of the one before."""
    entries: list[dict[str, Any]] = []
    head = None
    for number, line in enumerate(lines):
        entry = _parse(line, f"{where}:{number + 1}")
        if entry.get("line") != number or (head is not None and entry.get("previous") != head.hex()):
            raise VerificationError(
                "it does not follow the line before it: something was changed or removed", where=f"{where}:{number + 1}"
            )
        entries.append(entry)
        head = hashlib.sha256(line.encode()).digest()
    if head is None:
        raise VerificationError("the transcript is empty", where=where)
    return entries, head


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise VerificationError("it is not JSON", where=where) from error
    if not isinstance(entry, dict) or canonical(entry) != line:
        raise VerificationError("it is not canonical JSON", where=where)
    return entry


@final
class _Reader:
    """Walks through the entries once, in order."""

    def __init__(self, entries: Sequence[dict[str, Any]], head: bytes, roster: Roster) -> None:
        self._entries: Iterator[dict[str, Any]] = iter(entries)
        self._length = len(entries)
        self._head = head
        self._roster = roster
        self._refusals: list[tuple[str, str]] = []
        self._now = next(self._entries)

    @property
    def line(self) -> int:
        """Number of the line that is being read, from 1."""
        return int(self._now["line"]) + 1

    def verified(self, before: Dealing | None) -> Verified:
        """Return what the transcript says, after all of it is checked."""
        self._session = self._read_session()
        dealt = self._read_deal() if self._session.is_dealing else self._read_dealt(before)
        answers, members = {}, {}
        for kind in _ORDER:
            answers[kind], members[kind] = self._read_phase(kind)
        self._check_sets([dealt.sharing, *members.values()])
        agreeing = self._check_agreement(dealt, answers, members)
        total = self._read_end()
        name = self._session.name
        return Verified(
            parameters=self._session.parameters,
            survivors=tuple(name(place) for place in members[Kind.MASKED]),
            agreeing=tuple(name(place) for place in agreeing),
            refusals=tuple(self._refusals),
            total=total,
            head=self._head,
            dealt=dealt,
        )

    def _read_session(self) -> Session:
        if self._now["kind"] != "plan" or self._now["format"] != FORMAT:
            raise VerificationError(f"it is not a plan of format {FORMAT}")
        session = Session(read_plan(bytes.fromhex(self._now["plan"]), self._roster), self._roster)
        if self._now["previous"] != session.parameters.context.previous.hex():
            raise VerificationError("it does not follow the round before that its plan names")
        self._now = next(self._entries)
        return session

    def _read_deal(self) -> Dealing:
        """Return what was dealt in this round, as its clients signed it."""
        session = self._session
        (adverts, members), (_, sharing) = (self._read_phase(kind) for kind in (Kind.ADVERT, Kind.SHARES))
        self._check_sets([members, sharing])
        return Dealing(session.deal, Graph.of(session.topology, members, self._root(adverts, members)), sharing)

    def _read_dealt(self, before: Dealing | None) -> Dealing:
        """Return what was dealt in an earlier round, if that round's own record says the same."""
        session, now = self._session, self._now
        if now["kind"] != "dealt":
            raise VerificationError("its keys were dealt in an earlier round, and it does not say which they were")
        members, sharing = (Members.read(bytes.fromhex(now[each]), session.size) for each in ("members", "sharing"))
        dealt = Dealing(session.deal, Graph.of(session.topology, members, bytes.fromhex(now["root"])), sharing)
        if before is None or dealt != before:
            raise VerificationError(
                "its keys were dealt in an earlier round, whose record says otherwise or was not verified before it"
            )
        self._now = next(self._entries)
        return dealt

    def _read_phase(self, kind: Kind) -> tuple[dict[int, tuple[bytes, bytes]], Members]:
        """Return digest and signature of every answer of one kind, and who is left after it."""
        answers: dict[int, tuple[bytes, bytes]] = {}
        while self._now["kind"] != "members":
            self._read_answer(kind, answers)
            self._now = next(self._entries)
        if self._now["message"] != kind.name:
            raise VerificationError(f"expected the members after {kind.name}, found {self._now['message']}")
        members = Members.read(bytes.fromhex(self._now["members"]), self._session.size)
        self._now = next(self._entries)
        if not members <= Members.of(answers, self._session.size):
            raise VerificationError(f"somebody counts as a sender of {kind.name} without having signed one")
        return answers, members

    def _read_answer(self, kind: Kind, answers: dict[int, tuple[bytes, bytes]]) -> None:
        place = self._session.parameters.index(self._now["client"])
        if self._now["kind"] == "refusal":
            self._refusals.append((self._now["client"], self._now["reason"]))
            return
        if (self._now["kind"], self._now["message"]) != ("answer", kind.name) or place in answers:
            raise VerificationError(f"it does not belong among the answers {kind.name}")
        checksum, signature = bytes.fromhex(self._now["payload"]), bytes.fromhex(self._now["signature"])
        self._session.verify(kind, place, self._session.server, checksum, signature)
        answers[place] = (checksum, signature)

    def _check_sets(self, members: Sequence[Members]) -> None:
        """Nobody answers who had not answered before, and enough do up to the masked vectors."""
        if any(not after <= before for before, after in itertools.pairwise(members)):
            raise VerificationError("somebody sent an answer without having sent the one before")
        if len(members[1]) < self._session.parameters.threshold:
            raise VerificationError(f"{len(members[1])} clients are left, too few for the threshold")

    def _check_agreement(
        self, dealt: Dealing, answers: dict[Kind, dict[int, tuple[bytes, bytes]]], members: dict[Kind, Members]
    ) -> list[int]:
        """Return the witnesses that signed exactly these survivors, if they are enough."""
        graph, inputs = dealt.graph, self._root(answers[Kind.MASKED], members[Kind.MASKED])
        agreed = self._session.agreed(graph, dealt.sharing, members[Kind.MASKED], inputs)
        expected = payload_hash(encode([], [agreed])).digest()
        signers = {place for place in members[Kind.AGREEMENT] if answers[Kind.AGREEMENT][place][0] == expected}
        agreeing = sorted(signers & graph.witnesses)
        if len(agreeing) < self._session.topology.witness_threshold:
            raise VerificationError(f"{len(agreeing)} witnesses agree on the survivors, too few")
        return agreeing

    @staticmethod
    def _root(answers: dict[int, tuple[bytes, bytes]], members: Members) -> bytes:
        return merkle.levels([merkle.leaf(b"".join(answers[place])) for place in members])[-1][0]

    def _read_end(self) -> bytes:
        total = bytes.fromhex(self._now["digest"])
        if self._now["kind"] != "total" or len(total) != 32:
            raise VerificationError("the digest of the total is missing")
        last = next(self._entries)
        if last["kind"] != "signature" or last["line"] != self._length - 1:
            raise VerificationError("the transcript does not end with the server's signature")
        before = bytes.fromhex(last["previous"])
        verify(self._roster.server, signed(before), bytes.fromhex(last["signature"]), name=SERVER)
        return total
