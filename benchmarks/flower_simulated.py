"""The run that peers' parts make on Flower's own simulation engine, as their users would put it together.

A server app with Flower's default workflow and SecAgg+ inside, a client app with the SecAgg+ mod whose ``fit`` is the
peers' gradient and noise, both handed to ``run_simulation``: ray's workers are the clients. What a client trains on
lies in a file that was written before, so that nothing is prepared twice. Everything listens on the loopback address.
"""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from unittest import mock

import numpy as np
import torch
from flwr.client import Client, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import Context, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import Grid, LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import ServerApp

from benchmarks.flower_sum import MODULUS
from securefed.adapters.cachefl import CacheFL
from securefed.federation.flower.quiet import QUIET
from securefed.preparation import Encoded

NoisySum = Callable[[CacheFL, Encoded], np.ndarray]
"""What a client does with the adapter and its records; importable by its name, for ray's workers."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Federation:
    """What the clients and the server of a run agree on.

    Attributes:
        adapter: The public one that they begin with.
        shards: Each client's records.
        noisy_sum: What a client answers.
        moved: The server's step: the adapter after a sum.
        rounds: How many.
        threshold: Shares that rebuild a secret.
        bound: Of a coordinate that a client sends, for Flower's quantisation.
    """

    adapter: CacheFL
    shards: Sequence[Encoded]
    noisy_sum: NoisySum
    moved: Callable[[CacheFL, np.ndarray], CacheFL]
    rounds: int
    threshold: int
    bound: float

    @contextmanager
    def ready(self) -> Iterator[Callable[[], CacheFL]]:
        """Write what the clients train on; yield what runs the federation and returns its last adapter."""
        # Ray's sockets need a short path, and without the file it asks the network which cloud it runs in.
        with tempfile.TemporaryDirectory(prefix="flower-") as name, mock.patch.dict(os.environ, QUIET):
            folder = Path(name)
            (folder / "ray_bootstrap_config.yaml").write_text("provider:\n  type: local\n", encoding="utf-8")
            torch.save((self.adapter, list(self.shards), self.noisy_sum), folder / "records")
            paths = {"HOME": name, "RAY_TMPDIR": name, "FLWR_HOME": name}
            with mock.patch.dict(os.environ, paths):
                yield functools.partial(self._run, folder)

    def _run(self, folder: Path) -> CacheFL:
        from flwr.simulation import run_simulation  # imports ray, which reads its environment then

        strategy = _Strategy(self.adapter, self.moved, clients=len(self.shards))
        server = ServerApp()

        @server.main()
        def main(grid: Grid, context: Context) -> None:
            secure = SecAggPlusWorkflow(
                len(self.shards), self.threshold, max_weight=1.0, clipping_range=self.bound, modulus_range=MODULUS
            )
            legacy = LegacyContext(context, config=ServerConfig(num_rounds=self.rounds), strategy=strategy)
            DefaultWorkflow(fit_workflow=secure)(grid, legacy)

        client = ClientApp(client_fn=functools.partial(_client, str(folder / "records")), mods=[secaggplus_mod])
        logging.getLogger("flwr").setLevel(logging.ERROR)
        run_simulation(
            server,
            client,
            len(self.shards),
            backend_config={
                "init_args": {
                    "_node_ip_address": "127.0.0.1",
                    "num_cpus": os.cpu_count() or 1,
                    "include_dashboard": False,
                    "log_to_driver": False,
                },
                "client_resources": {"num_cpus": 1},
            },
        )
        if strategy.rounds != self.rounds:
            raise RuntimeError(f"Flower's simulation ended after {strategy.rounds} of {self.rounds} rounds")
        return strategy.adapter


@final
class _Strategy(FedAvg):
    """Sends the keys of the cache and moves them along the mean that comes back, times the clients."""

    def __init__(self, adapter: CacheFL, moved: Callable[[CacheFL, np.ndarray], CacheFL], *, clients: int) -> None:
        super().__init__(
            fraction_fit=1.0,
            fraction_evaluate=0.0,
            min_fit_clients=clients,
            min_available_clients=clients,
            initial_parameters=ndarrays_to_parameters([adapter.vector()]),
        )
        self.adapter, self._moved, self._clients, self.rounds = adapter, moved, clients, 0

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:
        """Take a step."""
        if failures or len(results) != self._clients:
            raise RuntimeError(f"{len(results)} of {self._clients} clients answered: {failures}")
        mean = parameters_to_ndarrays(results[0][1].parameters)[0]
        self.adapter = self._moved(self.adapter, self._clients * np.asarray(mean, dtype=np.float64))
        self.rounds += 1
        return ndarrays_to_parameters([self.adapter.vector()]), {}


def _client(records: str, context: Context) -> Client:
    return _Trainer(*_read(records), int(context.node_config["partition-id"])).to_client()


@functools.cache
def _read(records: str) -> tuple[CacheFL, list[Encoded], NoisySum]:
    torch.set_num_threads(1)
    found: tuple[CacheFL, list[Encoded], NoisySum] = torch.load(records, weights_only=False)
    return found


@final
class _Trainer(NumPyClient):
    def __init__(self, adapter: CacheFL, shards: list[Encoded], noisy_sum: NoisySum, place: int) -> None:
        self._adapter, self._shard, self._noisy_sum = adapter, shards[place], noisy_sum

    def fit(self, parameters: list[np.ndarray], config: Any) -> tuple[list[np.ndarray], int, dict[str, Any]]:
        """Return the noisy sum at these keys; its weight is one."""
        return [self._noisy_sum(self._adapter.moved_to(parameters[0]), self._shard)], 1, {}
