"""Sums by Flower's own SecAgg+: its workflow on the server's side, its mod on each client's, nothing of them rewritten.

Messages are handed over in memory, so nothing is counted for a network, its processes or Flower's engine; the weight of
every client is one, since a count of records would leave it otherwise. Everybody is everybody's neighbour.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
from flwr.app import Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import (
    Code,
    ConfigRecord,
    FitRes,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext
from flwr.server.client_manager import SimpleClientManager
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.supercore.task_identity import TaskIdentity

LEVELS, MODULUS = 1 << 22, 1 << 32
"""Flower's own defaults: levels of quantisation, and the modulus of masks and sums."""

SERVER = 1_000_000
"""A node that is no client."""

Reals = npt.NDArray[np.float64]


@final
class FlowerSum:
    """The server and the clients of any number of sums.

    Args:
        clients: How many there are.
        threshold: Shares that rebuild a secret.
    """

    def __init__(self, clients: int, *, threshold: int) -> None:
        logging.getLogger("flwr").setLevel(logging.ERROR)
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, SERVER
        self._threshold = threshold
        self._contexts = [_context(node) for node in range(clients)]
        manager = SimpleClientManager()
        for node in range(clients):
            manager.register(_Proxy(node))  # type: ignore[arg-type]
        strategy = FedAvg(fraction_fit=1.0, min_fit_clients=clients, min_available_clients=clients)
        self._context = LegacyContext(_context(SERVER), strategy=strategy, client_manager=manager)

    def __call__(self, vectors: Sequence[Reals], *, bound: float) -> Reals:
        """Return the sum of the vectors, each clipped to ``bound`` in every coordinate and quantised."""
        workflow = SecAggPlusWorkflow(
            len(vectors), self._threshold, max_weight=1.0, clipping_range=float(bound), modulus_range=MODULUS
        )
        state = self._context.state
        state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 2})
        state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(
            ndarrays_to_parameters([np.zeros_like(vectors[0])]), keep_input=False
        )
        workflow(_Handed(self._contexts, vectors), self._context)  # type: ignore[arg-type]
        mean = compat.arrayrecord_to_parameters(state.array_records[MAIN_PARAMS_RECORD], keep_input=True)
        return np.asarray(len(vectors) * parameters_to_ndarrays(mean)[0], dtype=np.float64)


@final
class _Proxy:
    """What Flower's client manager wants to know of a client."""

    def __init__(self, node: int) -> None:
        self.cid, self.node_id = str(node), node


@final
class _Handed:
    """A grid without a network: every message is answered by its client's mod at once."""

    def __init__(self, contexts: Sequence[Context], vectors: Sequence[Reals]) -> None:
        self._contexts, self._vectors = contexts, vectors

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Return the answers."""
        return [self._answered(message) for message in messages]

    def _answered(self, message: Message) -> Message:
        # Clients take the settings out of a message, and the workflow puts one record into the messages of all.
        settings = {RECORD_KEY_CONFIGS: ConfigRecord(dict(message.content.config_records[RECORD_KEY_CONFIGS]))}
        own = Message(RecordDict({**message.content, **settings}), metadata=message.metadata)  # type: ignore[call-overload]
        return secaggplus_mod(own, self._contexts[message.metadata.dst_node_id], self._trained)

    def _trained(self, message: Message, context: Context) -> Message:
        parameters = ndarrays_to_parameters([self._vectors[message.metadata.dst_node_id]])
        fitted = FitRes(Status(Code.OK, ""), parameters, num_examples=1, metrics={})
        return Message(compat.fitres_to_recorddict(fitted, keep_input=False), reply_to=message)


def _context(node: int) -> Context:
    settings: dict[str, Any] = {}
    return Context(run_id=1, node_id=node, node_config=settings, state=RecordDict(), run_config=settings)
