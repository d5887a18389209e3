"""Plan: the choices of a run together with the noise that they need, in one frozen object that can refuse.

Clip norm, noise, ring, threshold, dropouts, rounds and accounting depend on one another, so they meet here and nowhere
else. What follows from the choices (step, sensitivity, share of noise, events) is derived, never stored beside them.
A plan holds public values only: the true number of records, cohorts and keys are not in it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from securefed.aggregation import encryption
from securefed.aggregation.encryption import Encryption, Scheme
from securefed.choices import Choices, Noise, Sample, Secure, Setting
from securefed.encoding import TAIL, FixedPoint
from securefed.errors import CapacityError, ChoiceError, ConfigError
from securefed.privacy import accounting, skellam
from securefed.privacy.events import Event
from securefed.privacy.filters import filter_of
from securefed.privacy.sampling import Batches, FullBatch, PartBatches, PoissonBatches
from securefed.privacy.shares import Shares, SkellamShares, SumOfShares

__all__ = ["Noise", "Plan", "Sample", "Secure", "Setting"]

FINEST = 24
"""``clip_norm / step`` is at most ``2**FINEST``: finer steps change nothing that can be seen."""

LOOSE = 4.0
"""How much more noise than a Gaussian's a first guess at Skellam noise has."""


Read = TypeVar("Read", bound=BaseModel)


class Plan(Choices):
    """Every public choice of a run, and the noise that follows from them.

    Build one with :meth:`create`, which calibrates the noise. A plan cannot be built if the ring could overflow, if the
    noise that remains after the tolerated dropouts and colluders falls short, or if epsilon does not hold.

    Attributes:
        noise_multiplier: Ratio of the noise that every view is left with to the sensitivity; 0 only without privacy.
    """

    noise_multiplier: float = Field(ge=0, allow_inf_nan=False)

    @classmethod
    def create(cls, **choices: object) -> Self:
        """Build a plan and calibrate its noise to ``epsilon`` and ``delta``.

        Args:
            **choices: The attributes of :class:`securefed.choices.Choices`.

        Raises:
            ConfigError: If the choices cannot hold together; the message names the value and the bound.
        """
        chosen = _read(Choices, choices)
        if chosen.epsilon is None:
            return cls.read({**choices, "noise_multiplier": 0.0})
        if chosen.noise == "skellam":
            return cls._with_skellam(chosen)
        return cls.read({**choices, "noise_multiplier": gaussian_multiplier(chosen)})

    @classmethod
    def _with_skellam(cls, chosen: Choices) -> Self:
        """Return a plan whose Skellam noise was made smaller until it just holds: its cost depends on the ring."""
        values = chosen.model_dump()
        epsilon, delta = chosen.epsilon or 0.0, chosen.delta
        needed = LOOSE * accounting.calibrate(epsilon=epsilon, delta=delta, rounds=chosen.queries)
        for _ in range(3):
            plan = cls.read({**values, "noise_multiplier": needed})
            needed = accounting.calibrate_skellam(
                epsilon=epsilon, delta=delta, rounds=plan.queries, sensitivity=plan.event.sensitivity, dim=plan.dim
            )
        return plan

    @classmethod
    def read(cls, values: dict[str, object]) -> Self:
        """Build a plan from plain values, as found in a file.

        Raises:
            ConfigError: If a value is unknown, missing or out of bounds.
        """
        return _read(cls, values)

    @model_validator(mode="after")
    def _holds(self) -> Self:
        """Refuse noise or a ring that falls short, before any data is seen."""
        if not self.private and self.noise_multiplier != 0:
            raise ConfigError("setting 'none' has no epsilon and no noise; choose 'distributed' or 'per-client'")
        if self.private and not self.noise_multiplier:
            raise ConfigError("noise_multiplier is 0; a private run has noise. Leave it to Plan.create")
        _ = self.encoding  # raises CapacityError if the ring could overflow
        if self.secure in ("ckks", "bfv"):
            _ = self.encryption  # raises CapacityError if no secure encryption adds these vectors exactly
        if self.private:
            self._epsilon_holds()
        return self

    def _epsilon_holds(self) -> None:
        budget = filter_of(self.ledger_filter, epsilon=self.epsilon or 0.0, delta=self.delta)
        if not budget.admits(self.events):
            needed = "" if self.noise == "skellam" else f"; {gaussian_multiplier(self):.4f} would hold it"
            raise ConfigError(
                f"noise_multiplier {self.noise_multiplier:.4f} over {self.rounds} rounds gives epsilon "
                f"{budget.spent(self.events):.4f}, above the target {self.epsilon:.4f}{needed}"
            )

    @cached_property
    def _ring(self) -> tuple[FixedPoint, float]:
        """The finest encoding that the ring has room for, and the stddev of one client's noise in ring units."""
        for resolution in range(FINEST, 3, -1):
            units = 2.0**resolution
            stddev = self._stddev(units)
            if self.noise == "skellam" and stddev > skellam.LARGEST:
                continue
            try:
                encoding = FixedPoint(
                    bits=self.bits,
                    step=self.clip_norm / units,
                    bound=self.clip_norm * (1 if self.unit == "client" else self.expected_records),
                    summands=self.clients * self.steps,
                    noise_stddev=stddev * math.sqrt(self.clients * self.steps),
                )
            except CapacityError:
                continue
            return encoding, stddev
        raise CapacityError(
            f"a ring of {self.bits} bits cannot hold the sum of {self.expected_records} records from {self.clients} "
            f"clients with room for {TAIL:g} standard deviations of noise; use more bits (at most 64)"
        )

    def _stddev(self, units: float) -> float:
        """Return the stddev of one client's noise in ring units when ``clip_norm`` is ``units`` ring units."""
        if not self.private:
            return 0.0
        moved = self.adjacency.multiple * units
        sensitivity = moved * (1 + 2.0**-20) + math.sqrt(self.dim)
        shares = 1 if self.setting == "per-client" else self.honest_shares
        return accounting.share_stddev(self.noise_multiplier, sensitivity=sensitivity, honest_shares=shares)

    @property
    def encoding(self) -> FixedPoint:
        """Reals to ring and back."""
        return self._ring[0]

    @property
    def encryption(self) -> Encryption:
        """How vectors are encrypted under ``ckks`` and ``bfv``."""
        scheme: Scheme = "bfv" if self.secure == "bfv" else "ckks"
        limit = self.encoding.largest_sum
        return encryption.choose(scheme, bits=self.bits, summand=limit, weight=self.clients, dim=self.dim)

    @property
    def share_stddev(self) -> float:
        """Standard deviation of one client's noise in one step, in ring units."""
        return self._ring[1]

    @cached_property
    def event(self) -> Shares:
        """What one step on a full batch costs each unit."""
        if not self.private:
            raise ConfigError("a run without privacy has no event to charge")
        shared = self.setting != "per-client"
        kind = SkellamShares if self.noise == "skellam" else SumOfShares
        return kind(
            sensitivity=self.encoding.sensitivity(clip_norm=self.adjacency.multiple * self.clip_norm, dim=self.dim),
            share_stddev=self.share_stddev,
            shares=self.clients if shared else 1,
            max_dropouts=self.max_dropouts if shared else 0,
            max_colluders=self.max_colluders if shared else 0,
            dim=self.dim,
            unit=self.unit,
            adjacency=self.adjacency,
        )

    def batches(self, run: str) -> Batches:
        """Return what draws one client's batches in a run; each batch carries what it costs."""
        if self.sampling == "poisson":
            return PoissonBatches(self.event, self.sampling_rate)
        if self.sampling == "shuffled":
            return PartBatches(self.event, self.parts, run, shuffled=True)
        return FullBatch(self.event)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """What the whole run will charge each client's data; a run's own name stands where parts are named."""
        steps = range(1, self.rounds * self.steps + 1)
        batches = self.batches("run")
        return tuple(batches.event_of(number) for number in steps)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan, bound into every mask, ledger line and report."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the plan as TOML, readable by :meth:`from_toml`."""
        values = self.model_dump(mode="json")
        adapter = values.pop("adapter")
        return "\n".join([*_lines(values), "", "[adapter]", *_lines(adapter)]) + "\n"

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


def gaussian_multiplier(choices: Choices) -> float:
    """Return the smallest noise multiplier that holds the target with Gaussian noise."""
    _, _, order = choices.ledger_filter.partition("-")
    return accounting.calibrate(
        epsilon=choices.epsilon or 0.0,
        delta=choices.delta,
        rounds=choices.queries,
        rate=choices.sampling_rate if choices.sampling == "poisson" else 1.0,
        order=int(order or 0),
    )


def _lines(values: dict[str, object]) -> list[str]:
    """Return values as lines of TOML, which has no word for None: what is None is left out."""
    return [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]


def _read(kind: type[Read], values: dict[str, object]) -> Read:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        findings = error.errors()
        if len(findings) == 1 and (unknown := _unknown(kind, findings[0])):
            raise unknown from None
        raise ConfigError("; ".join(_problem(details) for details in findings)) from None


def _unknown(kind: type[BaseModel], details: ErrorDetails) -> ChoiceError | None:
    """Return one of pydantic's findings as an unknown choice, if it is one."""
    where, value = ".".join(map(str, details["loc"])), details["input"]
    if details["type"] == "literal_error" and isinstance(value, str):
        return ChoiceError(where, value, re.findall(r"'([^']+)'", details["ctx"]["expected"]))
    if details["type"] == "extra_forbidden" and len(details["loc"]) == 1:
        return ChoiceError("field of a plan", where, kind.model_fields)
    return None


def _problem(details: ErrorDetails) -> str:
    """Return one of pydantic's findings as a sentence."""
    if cause := details.get("ctx", {}).get("error"):
        return str(cause)
    where = ".".join(map(str, details["loc"]))
    return f"{where} is {details['input']!r:.80}: {details['msg']}"
