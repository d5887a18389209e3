"""What is made of the sums of groups when some may be poisoned: a gate on norms, then a median or a trimmed mean.

With at most ``faulty`` bad means among ``2 faulty + 1`` or more, every coordinate of the median and of the mean without
the ``faulty`` smallest and largest lies between means of good groups (Yin et al. 2018, arXiv:1803.01498). A group
beyond the gate is bad but for a false alarm, so dropping it costs one mean and one of the bad: a majority is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

import numpy as np

from securefed.encoding import Vector
from securefed.errors import ConfigError, ProtocolError

Rule: TypeAlias = Literal["median", "trimmed mean", "mean"]

FALSE_ALARM = 1e-6
"""Probability with which noise alone makes the gate drop a good group."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """The largest norm of a group's sum that is believed.

    Attributes:
        bound: Largest norm of one honest client's vector before noise.
        stddev: Of one client's noise in each coordinate.
        dim: Coordinates.
    """

    bound: float
    stddev: float
    dim: int

    def largest(self, members: int) -> float:
        """Return the gate for a group of so many clients.

        Honest vectors add up to at most ``members * bound``; the norm of Gaussian noise of stddev ``s`` in ``dim``
        coordinates exceeds ``s (sqrt(dim) + sqrt(2 log(1 / p)))`` with probability below ``p`` (concentration of a
        1-Lipschitz function).
        """
        noise = math.sqrt(members) * self.stddev
        return members * self.bound + noise * (math.sqrt(self.dim) + math.sqrt(2 * math.log(1 / FALSE_ALARM)))

    def looseness(self, members: int) -> float:
        """Return how many times what honest vectors add up to passes the gate: 1 without noise."""
        return self.largest(members) / (members * self.bound)

    def admits(self, total: Vector, members: int) -> bool:
        """Tell whether a group's sum, shape ``(dim,)``, is believed."""
        return bool(np.linalg.norm(total) <= self.largest(members))


def combined(means: Sequence[Vector], *, faulty: int, rule: Rule) -> Vector:
    """Return what stands for the mean of all groups, shape ``(dim,)``.

    The plain mean bears no bad group that passed the gate; it is for comparison.

    Raises:
        ConfigError: If the rule is unknown.
        ProtocolError: If there are fewer than ``2 faulty + 1`` means.
    """
    if rule not in get_args(Rule):
        raise ConfigError(f"rule is {rule!r}; choose one of {', '.join(get_args(Rule))}")
    if len(means) < 2 * faulty + 1:
        raise ProtocolError(
            f"{len(means)} groups are left and {faulty} of them may be bad; it takes {2 * faulty + 1}. The round is "
            "lost: repeat it with other groups"
        )
    ordered = np.sort(np.stack(means), axis=0)
    if rule == "median":
        return np.asarray(np.median(ordered, axis=0))
    cut = faulty if rule == "trimmed mean" else 0
    return np.asarray(ordered[cut : len(means) - cut].mean(0))
