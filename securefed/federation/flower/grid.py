"""Flower's grid as a transport: messages are pushed and pulled, and matched by their ids.

Which machine a client is behind is found out by greetings; Flower's own node ids mean nothing to the roles. Replies are
matched by the id of the message that they answer: a dead node's error comes from the SuperLink under another node id.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, final

from flwr.app import Message, RecordDict
from flwr.common.constant import ErrorCode

from securefed.aggregation.identity import Roster
from securefed.errors import ProtocolError, ThresholdError
from securefed.federation import greeting
from securefed.federation.flower.records import QUERY, refusal, unwrap, wrap
from securefed.federation.transport import LEDGERS, Dropout, Exchange, Reason, Transport
from securefed.rng import Source

if TYPE_CHECKING:
    from flwr.serverapp import Grid

POLL = 0.1
"""Seconds between two looks for answers."""

GRACE = 5.0
"""Seconds that a message lives longer than it is waited for."""

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

    def exchange(self, phase: str, requests: Mapping[str, bytes], *, deadline: float) -> Exchange:
        """Push a phase's requests and pull the answers; see :class:`Transport`."""
        start = time.monotonic()
        if phase in REFRESH and requests.keys() - self._nodes.keys():
            self._greet(least=1, patience=min(deadline, RETURN))
        contents = {name: wrap(request) for name, request in requests.items() if name in self._nodes}
        answers = self._ask({self._nodes[name]: content for name, content in contents.items()}, phase, deadline)
        replies: dict[str, bytes] = {}
        dropped = {name: Dropout(Reason.GONE, "no node answers for it") for name in requests.keys() - contents.keys()}
        for name in contents:
            match outcome_of(answers.get(self._nodes[name])):
                case bytes() as reply:
                    replies[name] = reply
                case Dropout() as dropout:
                    dropped[name] = dropout
        for name in dropped:
            # It may come back as another node.
            self._nodes.pop(name, None)
        return Exchange.of(requests, replies, dropped, seconds=time.monotonic() - start)

    def _greet(self, *, least: int, patience: float) -> None:
        """Ask nodes that nobody is known to be behind who is there."""
        strangers = [node for node in self._grid.get_node_ids() if node not in self._nodes.values()]
        if len(strangers) < least:
            return
        question = greeting.challenge(self._rng.bytes(greeting.NONCE))
        for node, reply in self._ask(dict.fromkeys(strangers, wrap(question)), "greet", patience).items():
            answer = outcome_of(reply)
            name = greeting.recognise(question, answer, self._roster) if isinstance(answer, bytes) else None
            if name is not None:
                self._nodes[name] = node

    def _ask(self, contents: Mapping[int, RecordDict], group: str, deadline: float) -> dict[int, Message]:
        """Return the replies that came before the deadline, by the node that was asked."""
        end = time.monotonic() + deadline
        outgoing = [
            Message(content, dst_node_id=node, message_type=QUERY, group_id=group, ttl=deadline + GRACE)
            for node, content in contents.items()
        ]
        ids = dict(zip(self._grid.push_messages(outgoing), contents, strict=True))
        replies: dict[int, Message] = {}
        while len(replies) < len(ids):
            for reply in self._grid.pull_messages([id_ for id_, node in ids.items() if node not in replies]):
                replies[ids[reply.metadata.reply_to_message_id]] = reply
            if time.monotonic() >= end:
                break
            if len(replies) < len(ids):
                time.sleep(POLL)
        return replies


def outcome_of(reply: Message | None) -> bytes | Dropout:
    """Return an answer, or which of the ways to be missing it is."""
    if reply is None:
        return Dropout(Reason.SILENT)
    if reply.has_error():
        reason = Reason.GONE if reply.error.code in _GONE else Reason.FAILED
        return Dropout(reason, f"code {reply.error.code}: {reply.error.reason}")
    if (why := refusal(reply.content)) is not None:
        return Dropout(Reason.REFUSED, why)
    try:
        return unwrap(reply.content)
    except ProtocolError as error:
        return Dropout(Reason.FAILED, str(error))
