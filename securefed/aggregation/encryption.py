"""Which encryption a homomorphic sum uses: chosen from what must be added, and proved before anything is encrypted.

A :class:`Encryption` can only be built if all of this holds:

* **Security.** The primes together have at most as many bits as the table of the Homomorphic Encryption Standard
  (homomorphicencryption.org, 2018, Table 1: ternary secret, classical attacks, 128 bits) allows for the degree.
* **Exactness.** The worst-case noise of a sum of all planned weights is at most half a unit divided by
  :data:`securefed.aggregation.noise.MARGIN`.
* **Room.** No sum of coordinates leaves its lane, no slot its plaintext, no plaintext its modulus.

There are one special prime and as few data primes as the scheme needs (CKKS one, BFV two), because ciphertexts are only
ever added: nothing is multiplied, so there are no relinearisation or rotation keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from securefed.aggregation.lanes import Lanes
from securefed.aggregation.noise import MARGIN, after
from securefed.errors import CapacityError, ConfigError

Scheme: TypeAlias = Literal["ckks", "bfv"]

SECURE_BITS = {2048: 54, 4096: 109, 8192: 218}
"""Bits of all primes together at which a degree still has 128 bits of security against classical attacks."""

SPECIAL_BITS = 40
"""Bits of the special prime: enough that the noise of encryption disappears in that of rounding."""

SPARE = 2.0**-8
"""Primes of ``b`` bits are above ``2**b * (1 - SPARE)``: SEAL takes the largest ones."""

MOST_LANES = 16


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Encryption:
    """An encryption under which a planned sum is exact.

    Attributes:
        scheme: ``"ckks"`` or ``"bfv"``.
        degree: Degree of the ring.
        data_bits: Size of each data prime.
        data_primes: How many data primes there are: one for CKKS, two for BFV.
        special_bits: Size of the special prime.
        plain_bits: CKKS: ``log2`` of the scale; BFV: size of the plaintext modulus.
        lanes: How coordinates lie in plaintexts.

    Raises:
        ConfigError: If the parameters have less than 128 bits of security, or are none of SEAL's.
        CapacityError: If the planned sum would not be exact.
    """

    scheme: Scheme
    degree: int
    data_bits: int
    data_primes: int
    special_bits: int
    plain_bits: int
    lanes: Lanes

    def __post_init__(self) -> None:
        """Refuse what is not secure or not exact."""
        if self.scheme not in ("ckks", "bfv"):
            raise ConfigError(f"the scheme is {self.scheme!r}; there are 'ckks' and 'bfv'")
        if self.data_primes != (1 if self.scheme == "ckks" else 2) or not 30 <= self.data_bits <= 60:
            raise ConfigError(
                f"{self.scheme} has {self.data_primes} data primes of {self.data_bits} bits; see `choose`"
            )
        if self.total_bits > SECURE_BITS.get(self.degree, 0):
            raise ConfigError(
                f"{self.total_bits} bits of primes at degree {self.degree} have less than 128 bits of security; "
                f"at most {SECURE_BITS} are allowed"
            )
        if not 20 <= self.special_bits <= 60 or self.lanes.slots != self.degree or not 1 <= self.plain_bits <= 60:
            raise ConfigError(
                "special prime and plaintext have at most 60 bits, and a plaintext one slot a coefficient"
            )
        if self.scheme == "bfv" and self.plain_bits in (self.data_bits, self.special_bits):
            raise ConfigError("the plaintext modulus has another size than the primes, so that it is none of them")
        self._check_room()

    @property
    def total_bits(self) -> int:
        """Bits of all primes together."""
        return self.data_primes * self.data_bits + self.special_bits

    @property
    def noise(self) -> int:
        """Largest magnitude of the noise of a sum, in the worst case."""
        rounding = 0 if self.scheme == "ckks" else 1
        return after(self.lanes.weight, self.degree, self.special_bits, rounding=rounding)

    @property
    def unit(self) -> int:
        """Noise that one unit of a slot is apart from the next: at least this much."""
        if self.scheme == "ckks":
            return 1 << self.plain_bits
        return self._least_modulus >> self.plain_bits

    @property
    def bytes_of_one(self) -> int:
        """Bytes of one ciphertext on the wire."""
        return 2 * self.data_primes * self.degree * self.data_bits // 8

    def size(self, dim: int) -> int:
        """Return how many bytes a vector's ciphertexts have on the wire."""
        return self.lanes.plaintexts(dim) * self.bytes_of_one

    @property
    def _least_modulus(self) -> int:
        return int((1 << self.data_bits) * (1 - SPARE)) ** self.data_primes

    def _check_room(self) -> None:
        if 2 * MARGIN * self.noise > self.unit:
            raise CapacityError(
                f"after {self.lanes.weight} additions the noise may reach {self.noise}, which leaves a unit of "
                f"{self.unit} without its margin of {MARGIN}. Use fewer clients, smaller weights or a larger scale"
            )
        if self.scheme == "ckks":
            used, room = 2 * ((self.lanes.largest << self.plain_bits) + self.noise), self._least_modulus
        else:
            used, room = 2 * self.lanes.largest, int((1 << self.plain_bits) * (1 - SPARE))
        if used >= room or self.lanes.lanes * self.lanes.width > 62:
            raise CapacityError(
                f"{self.lanes.lanes} lanes of {self.lanes.width} bits do not fit a slot of this {self.scheme} ring. "
                "Use fewer clients, fewer bits or a larger step"
            )


def choose(scheme: Scheme, *, bits: int, summand: int | None, weight: int, dim: int) -> Encryption:
    """Return the encryption with the fewest bytes for a planned sum; of equals the one of the smallest degree.

    Args:
        scheme: ``"ckks"`` or ``"bfv"``.
        bits: Size of the ring.
        summand: Largest magnitude of one client's coordinate, read as a signed number; None for any ring element.
        weight: Total of the weights of all clients that may be added.
        dim: Length of the vectors.

    Raises:
        ConfigError: If the scheme is none.
        CapacityError: If no secure encryption has room for the sum.
    """
    if scheme not in ("ckks", "bfv"):
        raise ConfigError(f"the scheme is {scheme!r}; there are 'ckks' and 'bfv'")
    whole = 1 << (bits - 1)
    found = candidates(scheme, bits=bits, summand=min(summand or whole, whole), weight=weight)
    best = min(found, key=lambda one: (one.size(dim), one.degree), default=None)
    if best is None:
        raise CapacityError(
            f"no {scheme} encryption of 128 bits of security adds weights of {weight} over a ring of {bits} bits "
            "exactly. Use fewer clients, smaller weights or masks"
        )
    return best


def candidates(scheme: Scheme, *, bits: int, summand: int, weight: int) -> Iterator[Encryption]:
    """Yield, for every degree and layout, the encryption with the smallest data primes."""
    layouts = [(digits, lanes) for digits in range(1, 5) for lanes in range(1, MOST_LANES + 1)]
    for degree in SECURE_BITS:
        for digits, lanes in layouts:
            layout = Lanes(bits=bits, summand=summand, weight=weight, digits=digits, lanes=lanes, slots=degree)
            if lanes * layout.width <= 62 and (found := _smallest(scheme, degree, layout)) is not None:
                yield found


def _smallest(scheme: Scheme, degree: int, lanes: Lanes) -> Encryption | None:
    """Return the encryption with the smallest data primes that has room for a layout, if one has."""
    primes = 1 if scheme == "ckks" else 2
    special = min(SPECIAL_BITS, SECURE_BITS[degree] // 2)
    noise = after(lanes.weight, degree, special, rounding=primes - 1)
    unit_bits = (2 * MARGIN * noise - 1).bit_length()
    plain_bits = unit_bits if scheme == "ckks" else _plain_bits(degree, lanes, special)
    needed = (2 * lanes.largest).bit_length() + unit_bits + 1
    for data_bits in range(max(30, -(-needed // primes) - 1), min(60, (SECURE_BITS[degree] - special) // primes) + 1):
        try:
            return Encryption(
                scheme=scheme,
                degree=degree,
                data_bits=data_bits,
                data_primes=primes,
                special_bits=special,
                plain_bits=plain_bits,
                lanes=lanes,
            )
        except ConfigError:
            continue
    return None


def _plain_bits(degree: int, lanes: Lanes, special: int) -> int:
    """Return the size of a plaintext modulus that has room for a slot and is not the special prime."""
    bits = max(int(2 * lanes.largest / (1 - SPARE)).bit_length(), degree.bit_length() + 12)
    return bits + (bits == special)
