"""Bounds on what one unit can contribute, and what they mean for neighbours."""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from securefed.encoding import Vector
from securefed.errors import ConfigError


class Adjacency(StrEnum):
    """Which data sets are neighbours."""

    ADD_OR_REMOVE_ONE = "add-or-remove-one"
    REPLACE_ONE = "replace-one"

    @property
    def multiple(self) -> int:
        """How many times ``clip_norm`` neighbours can move a sum of clipped contributions."""
        return 1 if self is Adjacency.ADD_OR_REMOVE_ONE else 2


def clip_factors(norms: npt.NDArray[np.float64], *, clip_norm: float) -> Vector:
    """Return the factors that bring contributions of these norms down to ``clip_norm``.

    Args:
        norms: L2 norms, shape ``(n,)``.
        clip_norm: The bound, positive and finite.

    Returns:
        ``min(1, clip_norm / norm)``, shape ``(n,)``; 0 where the norm is not finite, so that such a contribution can be
        left out instead of making the sum not finite, which everybody would see.

    Raises:
        ConfigError: If ``clip_norm`` is not positive and finite.
    """
    if not (clip_norm > 0 and math.isfinite(clip_norm)):
        raise ConfigError(f"clip_norm is {clip_norm}; it must be positive and finite")
    factors: Vector = clip_norm / np.maximum(norms, clip_norm)
    factors[np.isnan(factors)] = 0.0
    return factors
