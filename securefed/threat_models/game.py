"""Rows, arms, results and verdicts: the rules that every game is played by.

Every row has a control arm, in which the defence is off and the attack must succeed: an attack that fails there says
nothing about a defence. Other arms have one defence or all of them. A higher value is always better for the attacker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Literal, TypeAlias, final

from securefed.choices import Secure, Setting
from securefed.errors import ConfigError
from securefed.threat_models.adversaries import Adversary
from securefed.threat_models.bounds import SURE, interval

Profile: TypeAlias = Literal["smoke", "full"]


@final
@unique
class Verdict(StrEnum):
    """What an arm says."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INVALID = "INVALID"
    NOT_CLAIMED = "NOT CLAIMED"
    CONTROL = "CONTROL"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What an attack achieved.

    Attributes:
        value: In the row's measure.
        low: Lower end of the confidence interval.
        high: Upper end.
        chance: What somebody achieves who sees nothing.
        bound: What theory allows at most; None if no theorem says.
        n: Trials, fixed beforehand.
        note: What else was seen.
        successes: How many trials succeeded, where the value is a rate.
    """

    value: float
    low: float
    high: float
    chance: float
    bound: float | None
    n: int
    note: str = ""
    successes: int | None = None


def rate(successes: int, trials: int, *, chance: float, bound: float | None = None, note: str = "") -> Measured:
    """Return a success rate with its exact interval."""
    low, high = interval(successes, trials)
    return Measured(
        value=successes / trials,
        low=low,
        high=high,
        chance=chance,
        bound=bound,
        n=trials,
        note=note,
        successes=successes,
    )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way to play a row.

    Attributes:
        defences: The defences that are on, in words.
        claim: ``control`` (off; the attack must succeed), ``claimed`` (it must fail) or ``none`` (measured only).
        limit: For a control, what the lower end of the interval must reach. For a claim, what the value must not
            exceed; None where the theoretical bound alone decides.
        setting: Of the plan that is played.
        secure: Likewise.
    """

    defences: str
    claim: Literal["control", "claimed", "none"]
    limit: float | None = None
    setting: Setting = "none"
    secure: Secure = "plain"


Play: TypeAlias = Callable[[Arm, int, int], Measured]
"""Called with an arm, the number of trials and a seed."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A claim, and the game that tests it.

    Attributes:
        id: Stable name.
        title: What the adversary tries.
        adversary: Who.
        measure: What the value is.
        play: Plays one arm.
        arms: The control first.
        trials: How many, by profile.
        covers: Adapters and schemes that the row is about.
    """

    id: str
    title: str
    adversary: Adversary
    measure: str
    play: Play = field(repr=False)
    arms: tuple[Arm, ...]
    trials: Mapping[Profile, int]
    covers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a row that could not fail."""
        if not self.arms or [arm.claim for arm in self.arms].count("control") != 1 or self.arms[0].claim != "control":
            raise ConfigError(f"row {self.id} has {len(self.arms)} arms; it needs one control, which comes first")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One arm that was played.

    Attributes:
        row: The row.
        arm: The arm.
        measured: What the attack achieved.
        seed: That repeats it.
        seconds: How long it took.
        verdict: What it says.
    """

    row: Row
    arm: Arm
    measured: Measured
    seed: int
    seconds: float
    verdict: Verdict


def play_row(row: Row, *, profile: Profile, seed: int) -> Iterator[Result]:
    """Play every arm of a row; without a control that succeeds, no claim is judged."""
    controlled = True
    for arm in row.arms:
        start = time.perf_counter()
        measured = row.play(arm, row.trials[profile], seed)
        seconds = time.perf_counter() - start
        verdict = judge(arm, measured, controlled=controlled)
        controlled &= verdict is not Verdict.INVALID
        yield Result(row=row, arm=arm, measured=measured, seed=seed, seconds=seconds, verdict=verdict)


def judge(arm: Arm, measured: Measured, *, controlled: bool) -> Verdict:
    """Return what an arm says.

    A claim fails when the interval lies above the theoretical bound, or the value above the row's own limit. A claim
    with neither is judged against chance, as a bound. Of a rate it is the wider interval of :data:`bounds.SURE`.
    """
    if arm.claim == "control":
        return Verdict.CONTROL if measured.low >= (arm.limit or 0.0) else Verdict.INVALID
    if arm.claim == "none":
        return Verdict.NOT_CLAIMED
    if not controlled:
        return Verdict.INVALID
    decided = arm.limit is not None
    bound = measured.chance if measured.bound is None and not decided else measured.bound
    successes = measured.successes
    low = measured.low if successes is None else interval(successes, measured.n, confidence=SURE)[0]
    holds = (bound is None or low <= bound) and (arm.limit is None or measured.value <= arm.limit)
    return Verdict.PASS if holds else Verdict.FAIL
