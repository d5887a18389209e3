"""Worst-case noise of sums of ciphertexts, as whole numbers: no probability, no average case.

Setting: a ring of degree ``N``, a ternary secret ``s`` (coefficients -1, 0, 1), a data modulus ``q`` and a special
prime ``p``. SEAL encrypts zero under a public key ``(b, a)`` with ``b = -(a s + e)`` as

    (u b + e0, u a + e1)    modulo q p,

with ``u`` ternary and ``e, e0, e1`` of coefficients at most :data:`ERROR` in magnitude (a centred binomial of 42 coins;
SEAL's clipped normal has at most 19), divides both by ``p`` with rounding, and drops ``p``.

**Fresh noise.** Before the division, ``c0 + c1 s = -u e + e0 + e1 s``. A coefficient of a product of two polynomials of
which one is ternary is a signed sum of ``N`` coefficients of the other, so each coefficient is at most
``(2 N + 1) ERROR``. The division adds rounding polynomials ``r0 + r1 s`` with coefficients of ``r0, r1`` of at most one
half, together at most ``(N + 1) / 2``. Hence every coefficient of ``c0 + c1 s`` is at most

    F = (N + 1) / 2 + (2 N + 1) ERROR / p,   rounded up.                                                (:func:`fresh`)

**Message.** CKKS plaintexts here are polynomials with coefficients ``delta * m``, ``m`` a whole number and ``delta`` a
power of two: they are added to ``c0`` modulo ``q`` in whole numbers, so the canonical embedding, and with it its
rounding error, never occurs; encoding adds exactly 0. BFV rounds ``q m / t`` to whole numbers, which adds at most 1
(the error of the rounding and of its carries).

**Sums.** Noise adds, and a public weight ``w`` multiplies it, so after clients with weights of total ``W`` it is at
most ``W F`` for CKKS and ``W (F + 1)`` for BFV, whatever the clients' coins and whichever of them took part.

**Rounding is exact** if the noise is below half a unit: a unit is ``delta`` in CKKS and ``q / t`` in BFV. Plans keep
:data:`MARGIN` times more room than that (:mod:`securefed.aggregation.encryption`).

The bound holds for ciphertexts that were made by the rule above. A client that makes up a ciphertext can spoil the
sum, as it can by sending a wrong vector.
"""

from __future__ import annotations

ERROR = 21
"""Largest magnitude of an error coefficient in SEAL."""

MARGIN = 4
"""The worst-case noise is at most half a unit divided by this.

Four, so that a refusal is all that a lying server learns of noise: whatever known number it adds to a sum, what passes
the check of noise rounds to one value, although BFV's noise is checked to a power of two only. With noise up to ``B``
and a check that lets up to ``2 B`` pass, two neighbouring values could both pass only if a unit were at most ``6 B``;
a unit is at least ``8 B``.
"""


def fresh(degree: int, special_bits: int) -> int:
    """Return the largest magnitude of a noise coefficient of a fresh encryption of zero.

    Args:
        degree: Degree ``N`` of the ring.
        special_bits: Size of the special prime, which is above ``2**(special_bits - 1)``.
    """
    halves = (degree + 1) + -(-2 * (2 * degree + 1) * ERROR // 2 ** (special_bits - 1))
    return -(-halves // 2)


def after(weight: int, degree: int, special_bits: int, *, rounding: int) -> int:
    """Return the largest noise of a sum of ciphertexts whose weights total ``weight``.

    Args:
        weight: Total of the public weights; the number of clients if all weigh one.
        degree: Degree of the ring.
        special_bits: Size of the special prime.
        rounding: What encoding adds to each fresh ciphertext: 0 for CKKS, 1 for BFV.
    """
    return weight * (fresh(degree, special_bits) + rounding)
