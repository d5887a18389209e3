"""Float Gaussian noise of a trusted curator: a baseline to compare with, for use without a secure sum only.

Floats cannot hold a Gaussian: which values can come out, and how often, betrays a little of what was added (Mironov
2012; Jin et al. 2021, arXiv:2112.05307). The accounting below ignores that. Integer shares do not have this gap
(:mod:`securefed.privacy.discrete`), and nothing of securefed but comparisons uses what is in this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from securefed.encoding import Vector
from securefed.privacy import renyi
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import FULL_BATCH, Event, Gaussian, Sampling, View, check_positive, check_sampling
from securefed.rng import Source


def gaussian_noise(stddev: float, count: int, *, rng: Source) -> Vector:
    """Draw independent Gaussians by inverting their distribution at uniform numbers of 53 bits.

    Args:
        stddev: Standard deviation, positive.
        count: How many.
        rng: Where the bits come from.

    Returns:
        Float64, shape ``(count,)``.

    Raises:
        ConfigError: If ``stddev`` is not positive and finite.
    """
    from scipy.special import ndtri

    check_positive(stddev=stddev)
    # The middle of each of 2**53 parts of the unit interval: neither 0 nor 1, so the result is finite.
    uniform = ((rng.uint64(count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return stddev * ndtri(np.minimum(uniform, 1 - 2.0**-53))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class CentralGaussian(Event):
    """One query answered by a trusted curator with float Gaussian noise; see :mod:`securefed.privacy.gaussian`.

    Attributes:
        sensitivity: L2 sensitivity of the sum under ``adjacency``.
        stddev: Standard deviation of the noise, in the same units.
        unit: What one unit of privacy is.
        adjacency: Which data sets are neighbours.
        sampling: Which records it was about.

    Raises:
        ConfigError: If a value is out of bounds.
    """

    mechanism: ClassVar[str] = "central-gaussian"

    sensitivity: float
    stddev: float
    unit: str
    adjacency: Adjacency
    sampling: Sampling = FULL_BATCH

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        check_positive(sensitivity=self.sensitivity, stddev=self.stddev)
        check_sampling(self.sampling, self.adjacency)

    def gaussian(self, view: View) -> Gaussian:
        """Return it as a Gaussian mechanism; both views see the same."""
        return Gaussian(self.stddev / self.sensitivity, 0.0)

    def curve(self, view: View) -> renyi.Curve:
        """Return its Rényi costs."""
        return renyi.sampled_gaussian(self.stddev / self.sensitivity, self.sampling.rate)
