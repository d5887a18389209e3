"""Exact sampling of integer noise, vectorised, from a source of uniform bits.

The discrete Gaussian of parameter ``s`` (Canonne, Kamath and Steinke 2020, arXiv:2004.00010, Definition 1) gives the
integer ``x`` a probability proportional to ``exp(-x^2 / (2 s^2))``. A rounded float Gaussian does not: the gaps and
tails of floats betray what was added (Mironov 2012). So every decision here is exact: floats decide only where their
error cannot matter, and what comes too close to call is decided on further random bits, in the end by arithmetic of
whatever precision it takes.

The method is rejection. Magnitudes are parted into blocks of ``w`` integers, ``w`` a power of two. A block ``j`` is
drawn with probability proportional to ``exp(-(j w)^2 / (2 s^2))``, an offset ``u`` in it uniformly, and ``x = j w + u``
is kept with probability ``exp(-u (2 j w + u) / (2 s^2))``; a sign is drawn beside, and a negative zero is not kept.

One proposal takes 16 bits for the block, 16 for keeping it, and 16 for offset and sign, or 32 where blocks are wider.
The first 16 bits nearly always name the block by a table; where the end of a block lies among them, 48 bits more are
drawn. The second 16 nearly always tell whether to keep; where they do not, 32 bits more are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from securefed.encoding import Integers
from securefed.errors import ConfigError
from securefed.privacy.digits import Uniform, block_ends, exponential, words_of
from securefed.rng import Source

LARGEST = 2.0**30
"""Largest parameter: block offsets have to fit into 31 bits."""

MARGIN = 2.0**-44
"""Relative error that a double's probability may have here; numpy's exp and its argument stay below ``2**-50``."""

CHUNK = 1 << 14
"""Proposals that are decided at one time: what they need stays in the cache."""

_ENTRIES = 1 << 16


def discrete_gaussian(stddev: float, count: int, *, rng: Source) -> Integers:
    """Draw independent discrete Gaussians.

    Args:
        stddev: The parameter ``s``, at most ``2**30``. The standard deviation is ``s`` up to a relative ``1e-7`` for
            ``s >= 1``, and never above it.
        count: How many.
        rng: Where the bits come from: :func:`securefed.rng.secure` in use.

    Returns:
        Integers, int64, shape ``(count,)``.

    Guarantees:
        * The distribution is exact, if the bits are uniform.

    Raises:
        ConfigError: If ``stddev`` is not positive or too large, or ``count`` is negative.
    """
    if not 0 < stddev <= LARGEST:
        raise ConfigError(f"stddev is {stddev}; it must lie above 0 and not above 2**30 ring units. Use a larger step")
    if count < 0:
        raise ConfigError(f"count is {count}; it must not be negative")
    blocks = Blocks.of(stddev)
    drawn = np.empty(count, dtype=np.int64)
    done = 0
    while done < count:
        proposals = min(CHUNK, (count - done) * 29 // 28 + 16)
        kept = blocks.draw(proposals, rng)[: count - done]
        drawn[done : done + len(kept)] = kept
        done += len(kept)
    return drawn


@final
@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks for one parameter.

    Attributes:
        stddev: The parameter ``s``.
        shift: ``w`` is ``2**shift``.
        ends: Word of 64 bits in which the end of each block's share of the unit interval lies, ascending.
        table: The block that 16 bits name, or -1 if a block ends among them, shape ``(65536,)``.
    """

    stddev: float
    shift: int
    ends: npt.NDArray[np.uint64] = field(repr=False)
    table: npt.NDArray[np.int16] = field(repr=False)

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, stddev: float) -> Blocks:
        """Part the integers for a parameter."""
        shift = max(0, math.floor(math.log2(stddev)) - 4)
        ends = words_of(lambda digits: block_ends(stddev, shift, digits=digits), bits=64)
        first = np.arange(_ENTRIES, dtype=np.uint64) << np.uint64(48)
        before = np.searchsorted(ends, first, side="left")
        until = np.searchsorted(ends, first + np.uint64(2**48 - 1), side="right")
        return cls(stddev, shift, ends, np.where(before == until, before, -1).astype(np.int16))

    def draw(self, count: int, rng: Source) -> Integers:
        """Return the integers that were kept out of ``count`` proposals."""
        proposals = np.frombuffer(rng.bytes(self._proposal.itemsize * count), dtype=self._proposal)
        block, rest = self._blocks(proposals["block"], rng), proposals["rest"]
        offset = rest & rest.dtype.type(2**self.shift - 1)
        kept = self._keep(block, offset, proposals["keep"], rng)
        sign = rest >> rest.dtype.type(8 * rest.itemsize - 1)
        drawn = block.astype(self._integer)
        drawn <<= self.shift
        drawn += offset
        # Where the sign is -1, adding it and then inverting all bits negates; only a negative zero is below zero here.
        drawn += sign
        kept &= drawn >= 0
        drawn ^= sign
        return drawn[kept]

    @property
    def _proposal(self) -> np.dtype[np.void]:
        """The bits of one proposal; the sign is the highest bit of the rest, above every bit of the offset."""
        return np.dtype([("block", "<u2"), ("keep", "<u2"), ("rest", "<i2" if self.shift < 16 else "<i4")])

    @property
    def _integer(self) -> type[np.signedinteger]:
        """The smaller type that holds every integer of every block: half the memory to go through."""
        return np.int32 if len(self.ends) + 1 < 2 ** (31 - self.shift) else np.int64

    def _blocks(self, words: npt.NDArray[np.uint16], rng: Source) -> npt.NDArray[np.int16]:
        """Return the block of each proposal; ``words`` are the first 16 bits of what chooses it."""
        block = np.take(self.table, words)
        unclear = np.flatnonzero(block < 0)
        longer = words[unclear].astype(np.uint64) << np.uint64(48) | rng.uint64(len(unclear)) >> np.uint64(16)
        found = np.searchsorted(self.ends, longer, side="right")
        for i in np.flatnonzero((found > 0) & (self.ends[found - 1] == longer)):
            found[i] = self.exact_block(int(longer[i]), rng)
        block[unclear] = found
        return block

    def _keep(
        self,
        block: npt.NDArray[np.int16],
        offset: npt.NDArray[np.int16 | np.int32],
        words: npt.NDArray[np.uint16],
        rng: Source,
    ) -> npt.NDArray[np.bool_]:
        """Tell which proposals are kept; ``words`` are the first 16 bits of the number that decides.

        Single precision is good to ``2**-19`` here; what lies within ``2**-16`` of its probability is decided anew.
        """
        scaled = offset.astype(np.float32)
        power = block.astype(np.float32)
        power *= np.float32(2.0 ** (self.shift + 1))
        power += scaled
        scaled *= np.float32(-0.5 / max(self.stddev, 2.0**-32) ** 2)  # below one, every offset is zero
        power *= scaled
        above = np.exp(power, out=power)
        above *= np.float32(2**16)
        above -= words
        kept = above >= 2
        unclear = np.flatnonzero(~kept & (above > -1))
        if len(unclear):
            further = np.frombuffer(rng.bytes(4 * len(unclear)), dtype="<u4")
            longer = words[unclear].astype(np.int64) << 32 | further
            wide = [part[unclear].astype(np.int64) for part in (block, offset)]
            kept[unclear] = self.keep_exactly(wide[0], wide[1], longer, rng)
        return kept

    def keep_exactly(self, block: Integers, offset: Integers, words: Integers, rng: Source) -> npt.NDArray[np.bool_]:
        """Tell which proposals are kept; ``words`` are the first 48 bits of the number that decides."""
        exponent = offset * ((block << (self.shift + 1)) + offset)
        probability = np.exp(exponent / (-2 * self.stddev**2)) * 2.0**48
        kept = (words < probability) | (offset == 0)
        unclear = (np.abs(words + 0.5 - probability) <= 0.5 + MARGIN * 2.0**48) & (offset > 0)
        for i in np.flatnonzero(unclear):
            uniform = Uniform(int(words[i]), 48, rng)
            kept[i] = uniform.is_below(exponential(int(exponent[i]), self.stddev))
        return kept

    def exact_block(self, word: int, rng: Source) -> int:
        """Return the block in whose share a uniform number lies that begins with these 64 bits."""
        return Uniform(word, 64, rng).first_above(lambda digits: block_ends(self.stddev, self.shift, digits=digits))
