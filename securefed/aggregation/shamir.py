"""Shamir's secret sharing over the field of ``2**255 - 19`` elements.

A secret is the value at zero of a random polynomial of degree ``threshold - 1``; the share of holder ``x`` is its
value at ``x``. Any ``threshold`` shares give the polynomial, fewer say nothing at all about the secret (Shamir
1979).

The field is that of Curve25519 because its elements fit into 32 bytes, which is what an X25519 key has. Arithmetic is
Python's integers: points are small, so a value is reduced once, at the end, and the Lagrange coefficients of a set of
holders are computed once for all secrets. Where many secrets go to many holders, all of them are evaluated at once, in
words of 32 bits.
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

POINTS = 2**24
"""Points lie below it, so that a word times a point and what it carries fit into 64 bits."""

WORTH = 6000
"""Products of coefficients and points that are worth arrays: below it, starting them takes longer."""

_WORDS = SHARE // 4
_WORD = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
_FOLD = np.uint64(2**256 % PRIME)


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
    if len(set(points)) < len(points) or not all(0 < x < POINTS for x in points):
        raise ConfigError(f"the holders' points are different and lie in [1, {POINTS})")
    polynomials = [[_element(secret), *_draw(threshold - 1, rng)] for secret in secrets]
    evaluate = one_by_one if len(secrets) * threshold * len(points) < WORTH else all_at_once
    return evaluate(polynomials, points)


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


def one_by_one(polynomials: Sequence[Sequence[int]], points: Sequence[int]) -> list[list[bytes]]:
    """Return the values of polynomials (lowest degree first) at points, by Horner's rule."""
    return [[_value(each[::-1], point) for point in points] for each in polynomials]


def _value(highest_first: Sequence[int], point: int) -> bytes:
    value = 0
    for coefficient in highest_first:
        value = value * point + coefficient
    return (value % PRIME).to_bytes(SHARE, "little")


def all_at_once(polynomials: Sequence[Sequence[int]], points: Sequence[int]) -> list[list[bytes]]:
    """Return what :func:`one_by_one` returns, by the same rule for all polynomials of one degree and all points."""
    data = b"".join([each.to_bytes(SHARE, "little") for polynomial in polynomials for each in polynomial])
    words = np.frombuffer(data, dtype="<u4").reshape(len(polynomials), -1, _WORDS)
    lowest_first = words.transpose(1, 2, 0)[..., np.newaxis].astype(np.uint64)
    factors = np.array(points, dtype=np.uint64)
    values = np.zeros((_WORDS, len(polynomials), len(points)), dtype=np.uint64)
    carried = np.empty_like(values)
    for coefficients in lowest_first[::-1]:
        values *= factors
        values += coefficients
        _carry(values, carried)
    while (values > _LOW).any():
        _carry(values, carried)
    found = values.astype("<u4").transpose(1, 2, 0).tobytes()
    shares = [
        (int.from_bytes(found[at : at + SHARE], "little") % PRIME).to_bytes(SHARE, "little")
        for at in range(0, len(found), SHARE)
    ]
    return [shares[at : at + len(points)] for at in range(0, len(shares), len(points))]


def _carry(values: npt.NDArray[np.uint64], carried: npt.NDArray[np.uint64]) -> None:
    """Move what is beyond 32 bits of a word to the next, and from the last to the first.

    Words below 2**33 times a point are below 2**57, carry less than 2**26, and 38 times that is less than 2**32: they
    are below 2**33 again. That nothing is left to carry matters at the end alone.
    """
    np.right_shift(values, _WORD, out=carried)
    values &= _LOW
    values[1:] += carried[:-1]
    values[0] += _FOLD * carried[-1]


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
