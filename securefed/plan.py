"""Plan: every public choice of a run, in one frozen object that can refuse.

Clip norm, noise, ring, threshold, dropouts, rounds and accounting depend on one another, so they meet here and nowhere
else. What follows from the choices (step, sensitivity, share of noise, event) is derived, never stored beside them.
A plan holds public values only: the true number of records, cohorts and keys are not in it.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from securefed.aggregation.parameters import default_threshold
from securefed.aggregation.policy import HARD_FLOOR
from securefed.encoding import TAIL, FixedPoint
from securefed.errors import CapacityError, ConfigError
from securefed.privacy import accounting
from securefed.privacy.accounting import SumOfShares
from securefed.privacy.clipping import Adjacency

Setting = Literal["distributed", "per-client", "none"]
Secure = Literal["mask", "plain"]

FINEST = 24
"""``clip_norm / step`` is at most ``2**FINEST``: finer steps change nothing that can be seen."""


class CacheChoices(BaseModel):
    """Public choices of the CacheFL adapter; see :mod:`securefed.adapters.cachefl`.

    Attributes:
        alpha: Weight of the cache beside CLIP's logits.
        beta: Sharpness of the affinity.
        keys_per_class: Keys of each class.
        images_per_class: Generated images of each class, from which keys and whitening are made.
        shrinkage: Of the whitening, in ``(0, 1]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    beta: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    keys_per_class: int = Field(default=4, ge=1)
    images_per_class: int = Field(default=80, ge=2)
    shrinkage: float = Field(default=0.03, gt=0, le=1)

    @property
    def gradient_bound(self) -> float:
        """Largest norm that one record's gradient can have: ``|a_i| <= alpha beta sqrt(keys) |p - y|``."""
        return self.alpha * self.beta * math.sqrt(2 * self.keys_per_class)


class Plan(BaseModel):
    """Every public choice of a run.

    Build one with :meth:`create`, which calibrates the noise. A plan cannot be built if the ring could overflow, if the
    noise that remains after the tolerated dropouts and colluders falls short, or if epsilon does not hold.

    Attributes:
        setting: ``distributed`` (noise shares add up in the secure sum), ``per-client`` (every message is private by
            itself) or ``none`` (not private).
        secure: How updates travel: ``mask`` or ``plain``.
        data: Name of the data set.
        partition: How records are parted among clients.
        seed: Of the data choices (split, partition, generated images); never of noise or keys.
        classes: Class names, public and fixed.
        model: Name of the CLIP model.
        model_digest: SHA-256 of its weights.
        feature_dim: Length of its features.
        adapter: Public choices of the adapter.
        clients: Size of the cohort.
        rounds: Model updates.
        expected_records: Public number of records over all clients; the normaliser. Never the true count.
        clip_norm: Largest L2 norm of one record's gradient.
        learning_rate: Step of the server on the normalised sum.
        momentum: Of the server.
        epsilon: Target that must hold for the view of a coalition; None only without privacy.
        delta: The target's delta.
        adjacency: Which data sets are neighbours.
        noise_multiplier: Ratio of the noise that every view is left with to the sensitivity; 0 only without privacy.
        max_dropouts: Clients that may vanish after their noise was drawn.
        max_colluders: Clients that may reveal their share of the noise.
        bits: Size of the ring.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    setting: Setting = "distributed"
    secure: Secure = "mask"
    data: str = "digits"
    partition: str = "iid"
    seed: int = Field(default=0, ge=0)
    classes: tuple[str, ...] = Field(min_length=2)
    model: str
    model_digest: str
    feature_dim: int = Field(ge=1)
    adapter: CacheChoices = CacheChoices()
    clients: int = Field(default=8, ge=2)
    rounds: int = Field(default=20, ge=1)
    expected_records: int = Field(ge=2)
    clip_norm: float = Field(gt=0, allow_inf_nan=False)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    epsilon: float | None
    delta: float
    adjacency: Adjacency = Adjacency.ADD_OR_REMOVE_ONE
    noise_multiplier: float = Field(ge=0, allow_inf_nan=False)
    max_dropouts: int = Field(default=0, ge=0)
    max_colluders: int = Field(default=0, ge=0)
    bits: int = Field(default=32, ge=2, le=64)

    @classmethod
    def create(cls, **choices: object) -> Self:
        """Build a plan and calibrate its noise to ``epsilon`` and ``delta``.

        Args:
            **choices: The attributes of this class except ``noise_multiplier``.

        Raises:
            ConfigError: If the choices cannot hold together; the message names the value and the bound.
        """
        epsilon, delta, rounds = choices.get("epsilon"), choices.get("delta"), choices.get("rounds", 20)
        noise_multiplier = 0.0
        if choices.get("setting", "distributed") != "none":
            if not (isinstance(epsilon, int | float) and epsilon > 0 and math.isfinite(epsilon)):
                raise ConfigError(f"epsilon is {epsilon}; it must be positive and finite (4 is a common choice)")
            if not (isinstance(delta, float) and 0 < delta < 1):
                raise ConfigError(f"delta is {delta}; it must lie between 0 and 1, far below 1 / records")
            if not (isinstance(rounds, int) and rounds >= 1):
                raise ConfigError(f"rounds is {rounds}; at least one round is needed")
            noise_multiplier = accounting.calibrate(epsilon=epsilon, delta=delta, rounds=rounds)
        return cls.read({**choices, "noise_multiplier": noise_multiplier})

    @classmethod
    def read(cls, values: dict[str, object]) -> Self:
        """Build a plan from plain values, as found in a file.

        Raises:
            ConfigError: If a value is unknown, missing or out of bounds.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("; ".join(_problem(details) for details in error.errors())) from None

    @model_validator(mode="after")
    def _holds(self) -> Self:
        """Refuse what cannot hold, before any data is seen."""
        if self.expected_records < self.clients:
            raise ConfigError(
                f"{self.clients} clients share {self.expected_records} records; each needs at least one. "
                "Use fewer clients"
            )
        if self.setting == "none":
            if self.epsilon is not None or self.noise_multiplier != 0:
                raise ConfigError("setting 'none' has no epsilon and no noise; choose 'distributed' or 'per-client'")
        else:
            self._privacy_holds()
        if self.secure == "mask" and self.clients < HARD_FLOOR:
            raise ConfigError(
                f"clients is {self.clients}; a sum over two shows each client the other's update. Masked sums have at "
                f"least {HARD_FLOOR} clients"
            )
        if self.max_dropouts > self.clients - default_threshold(self.clients):
            raise ConfigError(
                f"max_dropouts is {self.max_dropouts}; of {self.clients} clients at most "
                f"{self.clients - default_threshold(self.clients)} may drop out: with more, a server "
                "could have two different sets of survivors opened"
            )
        if self.honest_shares - (0 if self.setting == "none" else 1) < 1:
            raise ConfigError(
                f"of {self.clients} clients, {self.max_dropouts} may drop out and {self.max_colluders} may collude; "
                "at least two others must remain, or the sum is one client's update"
            )
        _ = self.encoding  # raises CapacityError if the ring could overflow
        return self

    def _privacy_holds(self) -> None:
        if self.epsilon is None or not 0 < self.epsilon < math.inf:
            raise ConfigError(f"epsilon is {self.epsilon}; it must be positive and finite (4 is a common choice)")
        if not 0 < self.delta < 1 / self.expected_records:
            raise ConfigError(
                f"delta is {self.delta:g}; with {self.expected_records} records it must lie above 0 and below "
                f"{1 / self.expected_records:.3g}: a mechanism that publishes one whole record at random already has "
                "delta = 1 / records"
            )
        reached = accounting.epsilon_gaussian(self.noise_multiplier, rounds=self.rounds, delta=self.delta)
        if reached > self.epsilon * (1 + 1e-9):
            needed = accounting.calibrate(epsilon=self.epsilon, delta=self.delta, rounds=self.rounds)
            raise ConfigError(
                f"noise_multiplier {self.noise_multiplier:.4f} over {self.rounds} rounds gives epsilon {reached:.4f}, "
                f"above the target {self.epsilon:.4f}; {needed:.4f} would hold it"
            )

    @property
    def cohort(self) -> tuple[str, ...]:
        """Names of the clients."""
        width = len(str(self.clients - 1))
        return tuple(f"client-{i:0{width}d}" for i in range(self.clients))

    @property
    def dim(self) -> int:
        """Length of an update."""
        return len(self.classes) * self.adapter.keys_per_class * self.feature_dim

    @property
    def threshold(self) -> int:
        """Clients that must answer for a sum to be opened."""
        return self.clients - self.max_dropouts

    @property
    def honest_shares(self) -> int:
        """Noise shares that even a coalition cannot take away."""
        return self.clients - self.max_dropouts - self.max_colluders

    @property
    def private(self) -> bool:
        """Whether the run gives any differential privacy."""
        return self.setting != "none"

    @cached_property
    def _ring(self) -> tuple[FixedPoint, float]:
        """The finest encoding that the ring has room for, and the stddev of one client's noise in ring units."""
        for resolution in range(FINEST, 3, -1):
            units = 2.0**resolution
            sensitivity = self._sensitivity(units)
            stddev = 0.0
            if self.private:
                shares = self.honest_shares if self.setting == "distributed" else 1
                stddev = accounting.share_stddev(self.noise_multiplier, sensitivity=sensitivity, honest_shares=shares)
            try:
                encoding = FixedPoint(
                    bits=self.bits,
                    step=self.clip_norm / units,
                    bound=self.clip_norm * self.expected_records,
                    summands=self.clients,
                    noise_stddev=stddev * math.sqrt(self.clients),
                )
            except CapacityError:
                continue
            return encoding, stddev
        raise CapacityError(
            f"a ring of {self.bits} bits cannot hold the sum of {self.expected_records} records from {self.clients} "
            f"clients with room for {TAIL:g} standard deviations of noise; use more bits (at most 64)"
        )

    def _sensitivity(self, units: float) -> float:
        """Return the L2 sensitivity in ring units when ``clip_norm`` is ``units`` ring units."""
        moved = self.adjacency.multiple * units
        return moved * (1 + 2.0**-20) + math.sqrt(self.dim)

    @property
    def encoding(self) -> FixedPoint:
        """Reals to ring and back."""
        return self._ring[0]

    @property
    def share_stddev(self) -> float:
        """Standard deviation of one client's noise, in ring units."""
        return self._ring[1]

    @cached_property
    def event(self) -> SumOfShares:
        """What one round costs each record, as the ledger records it."""
        if not self.private:
            raise ConfigError("a run without privacy has no event to charge")
        distributed = self.setting == "distributed"
        return SumOfShares(
            sensitivity=self.encoding.sensitivity(clip_norm=self.adjacency.multiple * self.clip_norm, dim=self.dim),
            share_stddev=self.share_stddev,
            shares=self.clients if distributed else 1,
            max_dropouts=self.max_dropouts if distributed else 0,
            max_colluders=self.max_colluders if distributed else 0,
            dim=self.dim,
            unit="record",
            adjacency=self.adjacency,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan, bound into every mask, ledger line and report."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the plan as TOML, readable by :meth:`from_toml`."""
        values = {key: value for key, value in self.model_dump(mode="json").items() if value is not None}
        adapter = values.pop("adapter")
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines += ["", "[adapter]", *(f"{key} = {json.dumps(value)}" for key, value in adapter.items())]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a plan from a file.

        Raises:
            ConfigError: If the file is missing, is not TOML, or the plan does not hold.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
        values.setdefault("epsilon", None)
        return cls.read(values)


def _problem(details: ErrorDetails) -> str:
    """Return one of pydantic's findings as a sentence."""
    if cause := details.get("ctx", {}).get("error"):
        return str(cause)
    where = ".".join(map(str, details["loc"]))
    return f"{where} is {details['input']!r:.80}: {details['msg']}"
