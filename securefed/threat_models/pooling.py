"""Several seeds of one arm as one measurement."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from securefed.errors import ConfigError
from securefed.threat_models.game import Measured, rate


def pooled(found: Sequence[Measured]) -> Measured:
    """Return what an arm achieved over all seeds.

    Rates are added up, trial by trial, and have one exact interval: seeds are independent and their number is fixed
    beforehand. Of other measures the median is taken, of the value and of both ends: the median of confidence bounds is
    a bound of at least the same confidence, because it errs only if most of them do.

    Raises:
        ConfigError: If nothing was measured.
    """
    if not found:
        raise ConfigError("no seed was played; play at least one")
    first = found[0]
    note = first.note if all(each.note == first.note for each in found) else f"first seed: {first.note}"
    successes = [each.successes for each in found if each.successes is not None]
    bound = None if first.bound is None else max(each.bound or 0.0 for each in found)
    if len(successes) == len(found):
        trials = sum(each.n for each in found)
        return rate(sum(successes), trials, chance=first.chance, bound=bound, note=note)
    return Measured(
        value=median(each.value for each in found),
        low=median(each.low for each in found),
        high=median(each.high for each in found),
        chance=first.chance,
        bound=bound,
        n=sum(each.n for each in found),
        note=note,
    )
