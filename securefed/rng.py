"""The only sources of randomness: :func:`secure` and :func:`seeded`.

Masks, keys and noise are drawn from :func:`secure`, the operating system's generator. :func:`seeded` is for
data (partitions, generated images) and for tests; a run whose noise came from it is stamped as not private.
No function of securefed reads a global generator, so seeding numpy, torch or random changes nothing.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import final

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError


class Source(ABC):
    """A stream of independent uniform bits.

    Attributes:
        is_secret: True only if nobody can predict or repeat the stream.
    """

    is_secret: bool

    @abstractmethod
    def bytes(self, count: int) -> bytes:
        """Return the next ``count`` uniform bytes."""

    def uint64(self, count: int) -> npt.NDArray[np.uint64]:
        """Return ``count`` uniform integers in ``[0, 2**64)``, shape ``(count,)``."""
        return np.frombuffer(self.bytes(8 * count), dtype="<u8").astype(np.uint64, copy=False)

    def generator(self) -> np.random.Generator:
        """Return a numpy generator for data choices (never for masks, keys or noise)."""
        return np.random.Generator(np.random.Philox(int.from_bytes(self.bytes(16), "little")))


@final
class _Secure(Source):
    is_secret = True

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


@final
class _Seeded(Source):
    is_secret = False

    def __init__(self, seed: int, *labels: str | int) -> None:
        entropy = [seed, *(int.from_bytes(str(label).encode(), "little") for label in labels)]
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))

    def bytes(self, count: int) -> bytes:
        return self._generator.bytes(count)


def secure() -> Source:
    """Return the operating system's generator: for masks, keys and noise."""
    return _Secure()


def seeded(seed: int, *labels: str | int) -> Source:
    """Return a repeatable stream: for data and tests only.

    Args:
        seed: Any non-negative integer.
        *labels: Names that part one stream from another under the same seed.

    Raises:
        ConfigError: If the seed is negative.
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it must be 0 or more")
    return _Seeded(seed, *labels)
