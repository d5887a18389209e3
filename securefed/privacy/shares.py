"""Queries whose noise is a sum of integer shares, one of each client."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias, final

import numpy as np

from securefed.encoding import Integers
from securefed.errors import ConfigError
from securefed.privacy import renyi
from securefed.privacy.clipping import Adjacency
from securefed.privacy.discrete import discrete_gaussian
from securefed.privacy.events import FULL_BATCH, Event, Gaussian, Sampling, View, check_positive, check_sampling
from securefed.privacy.skellam import skellam
from securefed.rng import Source

RADIUS = 2.0
"""``r`` of the second step in :mod:`securefed.privacy.accounting`, in ring units."""

LARGEST_SLACK = 1e-20
"""Largest ``tau`` of one round; above it the shares are too small for the argument and are refused."""


def l1_of(l2: float, dim: int) -> float:
    """Return the largest L1 norm of integers of L2 norm ``l2``: ``min(l2 sqrt(dim), l2^2)``."""
    return l2 * min(math.sqrt(dim), l2)


@lru_cache(maxsize=256)
def _slack(share_stddev: float, honest: int) -> float:
    """Return ``tau_1 + tau_2`` of one coordinate of a sum of ``honest`` discrete Gaussian shares."""
    square = share_stddev**2
    if square <= RADIUS**2:
        return math.inf
    k = np.arange(1, honest)
    sums = float(np.exp(-2 * math.pi**2 * square * k / (k + 1)).sum())
    ripple = 2 * sum(math.exp(-2 * math.pi**2 * RADIUS**2 * k**2) for k in (1, 2, 3))
    return 10 * sums + math.log1p(ripple) - math.log1p(-ripple)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shares(Event):
    """Fields of one query whose noise is a sum of integer shares.

    Attributes:
        sensitivity: L2 sensitivity of the encoded sum under ``adjacency``, in ring units.
        share_stddev: Standard deviation of one client's share, in ring units.
        shares: Clients that add a share.
        max_dropouts: Of these, how many may be missing from the sum.
        max_colluders: Of these, how many may reveal their share.
        dim: Coordinates of the sum.
        unit: What one unit of privacy is.
        adjacency: Which data sets are neighbours.
        sampling: Which records it was about.

    Raises:
        ConfigError: If a value is out of bounds or the shares are too small to account for.
    """

    sensitivity: float
    share_stddev: float
    shares: int
    max_dropouts: int
    max_colluders: int
    dim: int
    unit: str
    adjacency: Adjacency
    sampling: Sampling = FULL_BATCH

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        check_positive(sensitivity=self.sensitivity, share_stddev=self.share_stddev)
        if self.dim < 1 or self.max_dropouts < 0 or self.max_colluders < 0 or self.honest("coalition") < 1:
            raise ConfigError(
                f"of {self.shares} shares {self.max_dropouts} may be missing and {self.max_colluders} revealed; "
                "at least one must remain"
            )
        check_sampling(self.sampling, self.adjacency)

    @abstractmethod
    def draw(self, *, rng: Source) -> Integers:
        """Return one client's share of the noise, int64, shape ``(dim,)``."""

    def honest(self, view: View) -> int:
        """Return how many shares are in the sum and unknown to a viewer, at least."""
        return self.shares - self.max_dropouts - (self.max_colluders if view == "coalition" else 0)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SumOfShares(_Shares):
    """One query whose noise is a sum of discrete Gaussian shares; see :mod:`securefed.privacy.accounting`."""

    mechanism: ClassVar[str] = "discrete-gaussian-shares"

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        _Shares.__post_init__(self)
        if not self.slack("coalition") <= LARGEST_SLACK:
            raise ConfigError(
                f"share_stddev is {self.share_stddev:g} ring units; sums of shares this small are not close enough "
                "to a Gaussian. Use a smaller step or more bits"
            )

    def draw(self, *, rng: Source) -> Integers:
        """Return one client's share of the noise, int64, shape ``(dim,)``."""
        return discrete_gaussian(self.share_stddev, self.dim, rng=rng)

    def slack(self, view: View) -> float:
        """Return ``tau_1 + tau_2``: how far the mechanism may be from a post-processed Gaussian."""
        return self.dim * _slack(self.share_stddev, self.honest(view))

    def noise_multiplier(self, view: View) -> float:
        """Return the ratio of the noise of the ideal Gaussian to the sensitivity."""
        return math.sqrt(self.honest(view) * self.share_stddev**2 - RADIUS**2) / self.sensitivity

    def gaussian(self, view: View) -> Gaussian:
        """Return it as a Gaussian mechanism."""
        return Gaussian(self.noise_multiplier(view), self.slack(view))

    def curve(self, view: View) -> renyi.Curve:
        """Return its Rényi costs."""
        return renyi.sampled_gaussian(self.noise_multiplier(view), self.sampling.rate) + renyi.slack_of(
            self.slack(view)
        )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SkellamShares(_Shares):
    """One query whose noise is a sum of Skellam shares, which is a Skellam share itself, however small."""

    mechanism: ClassVar[str] = "skellam-shares"

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        _Shares.__post_init__(self)
        if self.sampling.rate != 1:
            raise ConfigError("Skellam shares are accounted for without Poisson sampling; use discrete Gaussian shares")

    def draw(self, *, rng: Source) -> Integers:
        """Return one client's share of the noise, int64, shape ``(dim,)``."""
        return skellam(self.share_stddev, self.dim, rng=rng)

    @property
    def l1(self) -> float:
        """L1 sensitivity, in ring units."""
        return l1_of(self.sensitivity, self.dim)

    def gaussian(self, view: View) -> None:
        """Return None: its tails are heavier than a Gaussian's."""

    def curve(self, view: View) -> renyi.Curve:
        """Return its Rényi costs."""
        variance = self.honest(view) * self.share_stddev**2
        return renyi.skellam(l1=self.l1, l2=self.sensitivity, variance=variance)


Shares: TypeAlias = SumOfShares | SkellamShares
"""Every kind of event whose noise clients add."""
