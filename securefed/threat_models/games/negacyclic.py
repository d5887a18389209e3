"""Division of polynomials modulo ``x^degree + 1`` and a prime, in exact whole numbers: what recovers a lattice key."""

from __future__ import annotations

from typing import TypeAlias

Coefficients: TypeAlias = list[int]
"""Of one polynomial, each in ``[0, prime)``; their number is a power of two."""


def root(prime: int, order: int) -> int:
    """Return a primitive root of unity of a prime, whose order is a power of two that divides ``prime - 1``."""
    candidates = (pow(base, (prime - 1) // order, prime) for base in range(2, prime))
    return next(each for each in candidates if pow(each, order // 2, prime) == prime - 1)


def transform(values: Coefficients, psi: int, prime: int) -> Coefficients:
    """Return the values at the odd powers of ``psi``: products of polynomials are products of values."""
    return _cyclic(_twisted(values, psi, prime), psi * psi % prime, prime)


def transform_back(values: Coefficients, psi: int, prime: int) -> Coefficients:
    """Return the polynomial that has these values."""
    inverse, size = pow(psi, -1, prime), pow(len(values), -1, prime)
    scaled = [value * size % prime for value in _cyclic(values, inverse * inverse % prime, prime)]
    return _twisted(scaled, inverse, prime)


def times(one: Coefficients, other: Coefficients, prime: int) -> Coefficients:
    """Return the product of two polynomials."""
    psi = root(prime, 2 * len(one))
    left, right = (transform(each, psi, prime) for each in (one, other))
    return transform_back([a * b % prime for a, b in zip(left, right, strict=True)], psi, prime)


def divided(one: Coefficients, other: Coefficients, prime: int) -> Coefficients:
    """Return the quotient of two polynomials; the divisor is uniform here, and all but surely has an inverse."""
    psi = root(prime, 2 * len(one))
    left, right = (transform(each, psi, prime) for each in (one, other))
    return transform_back([a * pow(b, -1, prime) % prime for a, b in zip(left, right, strict=True)], psi, prime)


def centred(values: Coefficients, prime: int) -> Coefficients:
    """Return coefficients around zero."""
    return [value - prime if value > prime // 2 else value for value in values]


def _twisted(values: Coefficients, psi: int, prime: int) -> Coefficients:
    twisted, power = [], 1
    for value in values:
        twisted.append(value * power % prime)
        power = power * psi % prime
    return twisted


def _cyclic(values: Coefficients, omega: int, prime: int) -> Coefficients:
    """Return the values at all powers of ``omega`` (Cooley and Tukey 1965)."""
    if len(values) == 1:
        return values
    even, odd = (_cyclic(values[first::2], omega * omega % prime, prime) for first in (0, 1))
    powers = _twisted(odd, omega, prime)
    low = [(a + b) % prime for a, b in zip(even, powers, strict=True)]
    return low + [(a - b) % prime for a, b in zip(even, powers, strict=True)]
