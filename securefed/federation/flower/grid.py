"""Flower's grid as a transport: messages are pushed and pulled, and matched by their ids.

Which machine a client is behind is found out by greetings; Flower's own node ids mean nothing to the roles. Replies are
matched by the id of the message that they answer: a dead node's error comes from the SuperLink under another node id.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, final

from flwr.app import Message
from flwr.common.constant import ErrorCode

from securefed.aggregation.identity import Roster
from securefed.errors import ProtocolError, ThresholdError
from securefed.federation import greeting
from securefed.federation.flower.records import QUERY, refusal, unwrap, wrap
from securefed.federation.transport import LEDGERS, Dropout, Exchange, Keep, Reason, Tally, Transport
from securefed.rng import Source

if TYPE_CHECKING:
    from flwr.serverapp import Grid

POLL = 0.1
"""Seconds between two looks for answers."""

GRACE = 5.0
"""Seconds that a message lives longer than it is waited for."""

PUSHED = 64 * 2**20
"""Bytes of requests after which a portion is pushed: so many requests are in memory at once, and no more."""

PULLED = 16
"""How many answers are asked for at once: no more are in memory."""

REFRESH = ("advertise", "mask", LEDGERS)
"""Phases before which clients that were lost are looked for again: those that open a round, and the last one."""

RETURN = 30.0
"""Seconds that a machine which came back has to say who is there: its engine starts a process for the answer."""

_GONE = (ErrorCode.MESSAGE_UNAVAILABLE, ErrorCode.REPLY_MESSAGE_UNAVAILABLE, ErrorCode.NODE_UNAVAILABLE)


@final
class GridTransport(Transport):
    """Reaches clients through a SuperLink, or through Flower's simulation.

    Args:
        grid: Flower's grid.
        roster: Who may be behind a node.
        rng: Where challenges come from.
    """

    def __init__(self, grid: Grid, roster: Roster, *, rng: Source) -> None:
        self._grid, self._roster, self._rng = grid, roster, rng
        self._nodes: dict[str, int] = {}

    def find(self, names: Iterable[str], *, least: int, deadline: float) -> tuple[str, ...]:
        """Greet nodes until every named client was found, or enough of them when time is up.

        Engines start slowly: the first greeting is also what wakes them.

        Returns:
            The clients found so far, sorted.

        Raises:
            ThresholdError: If fewer than ``least`` of them are there at the deadline.
        """
        wanted, start = set(names), time.monotonic()
        while (missing := wanted - self._nodes.keys()) and (spent := time.monotonic() - start) < deadline:
            # Nodes that come together are greeted together; after half the time, whoever is there.
            self._greet(least=len(missing) if spent < deadline / 2 else 1, patience=deadline / 2)
            time.sleep(POLL)
        found = tuple(sorted(wanted & self._nodes.keys()))
        if len(found) < least:
            raise ThresholdError(survivors=len(found), threshold=least)
        return found

    def exchange(self, phase: str, requests: Mapping[str, bytes], keep: Keep, *, deadline: float) -> Exchange:
        """Push a phase's requests and pull the answers; see :class:`Transport`."""
        tally = Tally(keep)
        if phase in REFRESH and requests.keys() - self._nodes.keys():
            self._greet(least=1, patience=min(deadline, RETURN))
        names = {self._nodes[name]: name for name in requests if name in self._nodes}
        for name in requests.keys() - self._nodes.keys():
            tally.came(name, Dropout(Reason.GONE, "no node answers for it"))
        outgoing = ((node, tally.sent(name, requests[name])) for node, name in names.items())
        for node, outcome in self._ask(outgoing, phase, deadline):
            tally.came(names[node], outcome)
        exchange = tally.exchange(requests)
        for name in exchange.dropped:
            # It may come back as another node.
            self._nodes.pop(name, None)
        return exchange

    def _greet(self, *, least: int, patience: float) -> None:
        """Ask nodes that nobody is known to be behind who is there."""
        strangers = [node for node in self._grid.get_node_ids() if node not in self._nodes.values()]
        if len(strangers) < least:
            return
        question = greeting.challenge(self._rng.bytes(greeting.NONCE))
        for node, answer in self._ask(((node, question) for node in strangers), "greet", patience):
            name = greeting.recognise(question, answer, self._roster) if isinstance(answer, bytes) else None
            if name is not None:
                self._nodes[name] = node

    def _ask(
        self, requests: Iterable[tuple[int, bytes]], group: str, deadline: float
    ) -> Iterator[tuple[int, bytes | Dropout]]:
        """Yield what comes before the deadline, with the node that was asked; no more is held than one portion."""
        end, waiting = time.monotonic() + deadline, dict[str, int]()
        for portion in portions(requests):
            messages = [
                Message(wrap(request), dst_node_id=node, message_type=QUERY, group_id=group, ttl=deadline + GRACE)
                for node, request in portion
            ]
            nodes = (node for node, _ in portion)
            waiting |= zip(self._grid.push_messages(messages), nodes, strict=True)
        while waiting:
            ids = tuple(waiting)
            for first in range(0, len(ids), PULLED):
                for reply in self._grid.pull_messages(ids[first : first + PULLED]):
                    if (node := waiting.pop(reply.metadata.reply_to_message_id, None)) is not None:
                        yield node, outcome_of(reply)
            if time.monotonic() >= end:
                break
            if waiting:
                time.sleep(POLL)


def portions(requests: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield requests in portions: each ends with the request that makes it as large as :data:`PUSHED`."""
    portion: list[tuple[int, bytes]] = []
    size = 0
    for node, request in requests:
        portion.append((node, request))
        size += len(request)
        if size >= PUSHED:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def outcome_of(reply: Message) -> bytes | Dropout:
    """Return an answer, or which of the ways to be missing it is."""
    if reply.has_error():
        reason = Reason.GONE if reply.error.code in _GONE else Reason.FAILED
        return Dropout(reason, f"code {reply.error.code}: {reply.error.reason}")
    if (why := refusal(reply.content)) is not None:
        return Dropout(Reason.REFUSED, why)
    try:
        return unwrap(reply.content)
    except ProtocolError as error:
        return Dropout(Reason.FAILED, str(error))
