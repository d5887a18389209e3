"""Reals to integers modulo ``2**bits`` and back, so that sums over clients are exact.

The encoding lies below both privacy and aggregation: a contribution is quantised first, integer noise is added
to the integers, and masks are added to the same integers. Then the sum over clients carries exactly the noise that
the accountant was told, and masked, encrypted and plain sums agree bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.errors import CapacityError, ConfigError

Vector: TypeAlias = npt.NDArray[np.float64]
RingVector: TypeAlias = npt.NDArray[np.uint64]
Integers: TypeAlias = npt.NDArray[np.int64]

TAIL = 14.0
"""Standard deviations of noise that the ring has room for: beyond it lies less than 2**-140 of a Gaussian."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class FixedPoint:
    """Encode reals as integers modulo ``2**bits`` so that sums of up to ``summands`` vectors are exact.

    A coordinate ``x`` becomes ``round(clamp(x, -bound, bound) / step)``. Clamping and scaling never move two vectors
    apart; rounding moves each coordinate by at most half a unit, so two vectors that differ by ``C`` in L2 norm differ
    by at most ``C / step + sqrt(dim)`` units after encoding (:meth:`sensitivity`).

    Guarantees:
        * ``decode(sum of n encodings)`` is exactly ``step`` times the sum of the rounded coordinates for every
          ``n <= summands``, whatever the vectors: an instance that could overflow cannot be built.

    Attributes:
        bits: Size of the ring, ``2 <= bits <= 64``.
        step: Size of one unit, in the units of the vector.
        bound: Largest magnitude of one client's coordinate, in the units of the vector; larger ones are clamped.
        summands: Largest number of vectors that will be added.
        noise_stddev: Standard deviation of all noise added to the sum, in ring units; the ring keeps room for
            ``TAIL`` times as much.

    Raises:
        CapacityError: If ``summands`` vectors and their noise could leave the ring.
    """

    bits: int
    step: float
    bound: float
    summands: int
    noise_stddev: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a ring that could overflow, before any data is seen."""
        if not 2 <= self.bits <= 64:
            raise CapacityError(f"bits is {self.bits}; a ring has 2 to 64 bits")
        if not (self.step > 0 and math.isfinite(self.step)):
            raise CapacityError(f"step is {self.step}; it must be positive and finite")
        if not (self.bound > 0 and math.isfinite(self.bound)):
            raise CapacityError(f"bound is {self.bound}; it must be positive and finite")
        if self.summands < 1:
            raise CapacityError(f"summands is {self.summands}; at least one vector is added")
        if not (self.noise_stddev >= 0 and math.isfinite(self.noise_stddev)):
            raise CapacityError(f"noise_stddev is {self.noise_stddev}; it must be finite and not negative")
        if self.limit >= 2**53:
            raise CapacityError(
                f"bound / step is {self.bound / self.step:.3g}; above 2**53 a float no longer holds every integer. "
                "Use a larger step"
            )
        if self.largest_sum >= 2 ** (self.bits - 1):
            raise CapacityError(
                f"{self.summands} vectors of up to {self.limit} units, and noise of stddev {self.noise_stddev:.3g}, "
                f"can reach {self.largest_sum}, but a ring of {self.bits} bits holds less than {2 ** (self.bits - 1)}. "
                "Use more bits, a larger step or a smaller bound"
            )

    @property
    def limit(self) -> int:
        """Largest magnitude of one encoded coordinate, in ring units."""
        return math.floor(self.bound / self.step + 0.5)

    @property
    def largest_sum(self) -> int:
        """Largest magnitude that a coordinate of the sum can reach, in ring units."""
        return self.summands * self.limit + math.ceil(TAIL * self.noise_stddev)

    def sensitivity(self, *, clip_norm: float, dim: int) -> float:
        """Return the L2 sensitivity of an encoded vector, in ring units.

        The vector before encoding moves by at most ``clip_norm``. Per coordinate,
        ``|round(a) - round(b)| <= |a - b| + 1``; the triangle inequality gives ``clip_norm / step + sqrt(dim)``.
        The relative slack of 2**-20 covers the float error of the sums that made the vector.
        """
        return clip_norm / self.step * (1 + 2.0**-20) + math.sqrt(dim)

    def to_integers(self, vector: Vector) -> Integers:
        """Return the signed integers of a vector, shape ``(dim,)``.

        Raises:
            ConfigError: If the vector is not one-dimensional or holds a value that is not finite.
        """
        if vector.ndim != 1:
            raise ConfigError(f"a vector of shape (dim,) is encoded, this one has shape {vector.shape}")
        if not np.isfinite(vector).all():
            raise ConfigError("the vector holds a value that is not finite; nothing was encoded")
        return np.rint(np.clip(vector, -self.bound, self.bound) / self.step).astype(np.int64)

    def to_ring(self, integers: Integers) -> RingVector:
        """Return integers modulo ``2**bits``, shape ``(dim,)``."""
        return integers.astype(np.uint64) & self.modulus_mask

    def encode(self, vector: Vector) -> RingVector:
        """Return ``to_ring(to_integers(vector))``."""
        return self.to_ring(self.to_integers(vector))

    def to_signed(self, total: RingVector) -> Integers:
        """Return the signed integers that a ring vector stands for, shape ``(dim,)``."""
        shift = np.uint64(64 - self.bits)
        return (total << shift).astype(np.int64) >> np.int64(shift)

    def decode(self, total: RingVector) -> Vector:
        """Return the reals of a sum, shape ``(dim,)``, in the units of the vector."""
        return self.to_signed(total).astype(np.float64) * self.step

    @property
    def modulus_mask(self) -> np.uint64:
        """The mask that reduces modulo ``2**bits``."""
        return np.uint64(2**self.bits - 1)
