"""Shamir's secret sharing over the field of ``2**255 - 19`` elements.

A secret is the value at zero of a random polynomial of degree ``threshold - 1``; the share of holder ``x`` is its
value at ``x``. Any ``threshold`` shares give the polynomial, fewer say nothing at all about the secret (Shamir
1979).

The field is that of Curve25519 because its elements fit into 32 bytes, which is what an X25519 key has. Arithmetic is
Python's integers: points are small, so a value is reduced once, at the end, and the Lagrange coefficients of a set of
holders are computed once for all secrets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError, ProtocolError, ThresholdError
from securefed.rng import Source

PRIME = 2**255 - 19
SHARE = 32
"""Bytes of a secret and of a share."""


def draw(rng: Source) -> bytes:
    """Return a uniform element of the field, 32 little-endian bytes."""
    return _draw(1, rng)[0].to_bytes(SHARE, "little")


def split(secrets: Sequence[bytes], *, threshold: int, points: Sequence[int], rng: Source) -> list[list[bytes]]:
    """Share secrets among holders.

    Args:
        secrets: Elements of the field, 32 little-endian bytes each.
        threshold: How many shares give a secret back.
        points: One small positive number for each holder, all different.
        rng: Where the polynomials come from.

    Returns:
        ``shares[s][i]``, the share of secret ``s`` for the holder at ``points[i]``.

    Raises:
        ConfigError: If the threshold is not between 1 and the number of holders, or points are not small, positive
            and different.
        ProtocolError: If a secret is not an element of the field.
    """
    if not 1 <= threshold <= len(points):
        raise ConfigError(f"threshold is {threshold}; it lies between 1 and the {len(points)} holders")
    if len(set(points)) < len(points) or not all(0 < x < 2**32 for x in points):
        raise ConfigError("the holders' points are different and lie in [1, 2**32)")
    polynomials = [[_element(secret), *_draw(threshold - 1, rng)] for secret in secrets]
    return [[value.to_bytes(SHARE, "little") for value in _evaluate(each, points)] for each in polynomials]


def combine(shares: Mapping[int, bytes], *, threshold: int) -> bytes:
    """Return the secret of which ``shares[x]`` is the share of holder ``x``.

    Shares beyond the first ``threshold`` (in the order of ``x``) are not used. A wrong share gives a wrong secret
    and no error: check shares against commitments first.

    Raises:
        ThresholdError: If there are fewer shares than the threshold.
        ProtocolError: If a share is not an element of the field.
    """
    if len(shares) < threshold:
        raise ThresholdError(survivors=len(shares), threshold=threshold)
    holders = tuple(sorted(shares))[:threshold]
    terms = zip(lagrange_at_zero(holders), holders, strict=True)
    return (sum(weight * _element(shares[x]) for weight, x in terms) % PRIME).to_bytes(SHARE, "little")


@lru_cache(maxsize=64)
def lagrange_at_zero(holders: tuple[int, ...]) -> tuple[int, ...]:
    """Return the weights ``∏ x_j / (x_j - x_i)`` over ``j ≠ i`` modulo the prime, one for each holder ``i``."""
    points = np.array(holders, dtype=np.int64)
    differences = points - points[:, np.newaxis]
    np.fill_diagonal(differences, points)
    # The weight is the product of all points over x_i times the differences from x_i.
    inverses = _invert_all([product % PRIME for product in _products(differences)])
    product = math.prod(holders) % PRIME
    return tuple(product * inverse % PRIME for inverse in inverses)


def _products(rows: npt.NDArray[np.int64]) -> list[int]:
    """Return the product of every row; as many factors as surely fit into a machine word are multiplied there."""
    width = max(63 // int(np.abs(rows).max()).bit_length(), 1)
    words = np.multiply.reduceat(rows, range(0, rows.shape[1], width), axis=1)
    return [math.prod(row) for row in words.tolist()]


def _invert_all(values: Sequence[int]) -> list[int]:
    """Invert many elements at the price of one inversion (Montgomery's trick)."""
    prefixes = [1]
    for value in values:
        prefixes.append(prefixes[-1] * value % PRIME)
    inverse = pow(prefixes[-1], -1, PRIME)
    inverses = []
    for value, prefix in zip(reversed(values), reversed(prefixes[:-1]), strict=True):
        inverses.append(inverse * prefix % PRIME)
        inverse = inverse * value % PRIME
    return inverses[::-1]


def _evaluate(coefficients: Sequence[int], points: Sequence[int]) -> list[int]:
    """Return the values of a polynomial (lowest degree first) at points, by Horner's rule."""
    values, highest_first = [], coefficients[::-1]
    for point in points:
        value = 0
        for coefficient in highest_first:
            value = value * point + coefficient
        values.append(value % PRIME)
    return values


def _draw(count: int, rng: Source) -> list[int]:
    """Return uniform elements: 255-bit numbers, of which those that are not below the prime are drawn again."""
    data = rng.bytes(SHARE * count)
    drawn = [int.from_bytes(data[at : at + SHARE], "little") % 2**255 for at in range(0, len(data), SHARE)]
    below = [value for value in drawn if value < PRIME]
    return below if len(below) == count else below + _draw(count - len(below), rng)


def _element(data: bytes) -> int:
    value = int.from_bytes(data, "little")
    if len(data) != SHARE or value >= PRIME:
        raise ProtocolError(f"a share of {len(data)} bytes is not an element of the field")
    return value
