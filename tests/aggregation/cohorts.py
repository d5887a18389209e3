"""The vocabulary of the aggregation tests: cohorts, parameters, vectors, runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from securefed.aggregation.base import ClientRole, SecureSum, ServerRole, secure_sum
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Parameters, default_threshold
from securefed.aggregation.plain import PlainSum
from securefed.encoding import RingVector
from securefed.rng import secure, seeded

PHASES = ("advertise", "share", "mask", "agree", "reveal")


def context(**changes: object) -> Context:
    values: dict[str, object] = {"task": "test", "round": 0, "model": bytes(32), "plan": bytes(32)}
    return Context(**(values | changes))  # type: ignore[arg-type]


def parameters(clients: int = 5, dim: int = 10, bits: int = 32, **changes: object) -> Parameters:
    values: dict[str, object] = {
        "bits": bits,
        "dim": dim,
        "cohort": tuple(f"client-{place:03d}" for place in range(clients)),
        "threshold": default_threshold(clients),
        "context": context(),
    }
    return Parameters(**(values | changes))  # type: ignore[arg-type]


def vectors(public: Parameters, seed: int = 0) -> dict[str, RingVector]:
    """Uniform ring vectors: every value, and so every overflow, occurs."""
    return {name: seeded(seed, name).uint64(public.dim) & public.modulus_mask for name in public.cohort}


def added(public: Parameters, inputs: Mapping[str, RingVector], names: tuple[str, ...]) -> RingVector:
    """The sum by Python's integers, independent of the package."""
    columns = zip(*(inputs[name].tolist() for name in names), strict=True)
    return np.array([sum(column) % 2**public.bits for column in columns], dtype=np.uint64)


@dataclass
class Run:
    """One secure sum with everything that an observer of the wire saw."""

    scheme: SecureSum
    inputs: Mapping[str, RingVector]
    lost: frozenset[tuple[str, str]] = frozenset()
    messages: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    server: ServerRole = field(init=False)
    clients: dict[str, ClientRole] = field(init=False)

    def __post_init__(self) -> None:
        self.server = self.scheme.server()
        names = self.scheme.parameters.cohort
        self.clients = {name: self.scheme.client(name, self.inputs[name], rng=secure()) for name in names}

    def total(self) -> RingVector:
        lost = self.lost
        return secure_sum(
            self.server,
            self.clients,
            lost=lambda phase, client: (phase, client) in lost,
            record=lambda *message: self.messages.append(message),
        )

    def sent(self, phase: str, direction: str) -> dict[str, bytes]:
        return {name: data for at, name, way, data in self.messages if (at, way) == (phase, direction)}


def masked_run(public: Parameters, inputs: Mapping[str, RingVector] | None = None, **changes: object) -> Run:
    return Run(MaskedSum(public), inputs or vectors(public), **changes)  # type: ignore[arg-type]


def plain_run(public: Parameters, inputs: Mapping[str, RingVector] | None = None, **changes: object) -> Run:
    return Run(PlainSum(public), inputs or vectors(public), **changes)  # type: ignore[arg-type]
