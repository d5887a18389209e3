"""The game of Li and Micciancio: recover the key from what is released.

The adversary is more than our aggregator: it knows both halves ``(c0, c1)`` of the sum, and what was released. If
that is the decryption as it comes out, ``v = c0 + c1 s`` holds exactly, and the key is ``s = (v - c0) / c1`` in the
ring: one division. Rounded whole numbers leave out the noise, and the division gives something uniform.
"""

from __future__ import annotations

import numpy as np
import pytest
from tenseal import sealapi

from tests.aggregation.cohorts import parameters
from tests.aggregation.homomorphic.parties import Parties


def root(prime: int, order: int) -> int:
    """A primitive root of unity whose order is a power of two."""
    for base in range(2, 100):
        candidate = pow(base, (prime - 1) // order, prime)
        if pow(candidate, order // 2, prime) == prime - 1:
            return candidate
    raise AssertionError("no root")


def cyclic(values: list[int], omega: int, prime: int) -> list[int]:
    if len(values) == 1:
        return values
    even, odd = cyclic(values[::2], omega * omega % prime, prime), cyclic(values[1::2], omega * omega % prime, prime)
    half, power, low, high = len(even), 1, [], []
    for place in range(half):
        product = odd[place] * power % prime
        low.append((even[place] + product) % prime)
        high.append((even[place] - product) % prime)
        power = power * omega % prime
    return low + high


def transform(values: list[int], psi: int, prime: int) -> list[int]:
    """Evaluate a polynomial at the odd powers of ``psi``: products in the ring become products of values."""
    twisted, power = [], 1
    for value in values:
        twisted.append(value * power % prime)
        power = power * psi % prime
    return cyclic(twisted, psi * psi % prime, prime)


def back(values: list[int], psi: int, prime: int) -> list[int]:
    inverse, size = pow(psi, -1, prime), pow(len(values), -1, prime)
    untwisted, power = [], size
    for value in cyclic(values, inverse * inverse % prime, prime):
        untwisted.append(value * power % prime)
        power = power * inverse % prime
    return untwisted


def attack(ciphertext: np.ndarray, released: list[int], prime: int) -> np.ndarray:
    """The adversary's key, centred: ``(released - c0) / c1``."""
    psi = root(prime, 2 * len(released))
    c0, c1 = (part[0].tolist() for part in ciphertext)
    left = transform([(v - c) % prime for v, c in zip(released, c0, strict=True)], psi, prime)
    right = transform(c1, psi, prime)
    key = back([a * pow(b, -1, prime) % prime for a, b in zip(left, right, strict=True)], psi, prime)
    return np.array([value - prime if value > prime // 2 else value for value in key], dtype=object)


@pytest.fixture(scope="module")
def game():
    """An honest sum; the true key, the aggregator's ciphertexts, the noisy decryption and the released slots."""
    parties = Parties(parameters(4, dim=4096, bits=20, limit=2**15))
    parties.inputs = {name: vector % np.uint64(2**13) for name, vector in parties.inputs.items()}
    releasing, key, session = parties.gathered(), parties.secret(), parties.session
    openers = parties.decryptor._open[session.context].sum.total
    ciphertext = np.stack([releasing.sum.total[0], openers[0]])
    unit = np.zeros_like(ciphertext)
    unit[1, 0, 0] = 1
    truth = key._polynomial(session.ring.load(sealapi.Ciphertext, unit))
    noisy = key._polynomial(session.ring.load(sealapi.Ciphertext, ciphertext))
    total, _ = releasing.close()
    assert set(truth.tolist()) == {-1, 0, 1}
    return session, truth, ciphertext, noisy, total


def recovered(guess: np.ndarray, truth: np.ndarray) -> int:
    return int((guess == truth).sum())


def test_a_decryptor_that_releases_unrounded_floats_gives_its_key_away(game):
    session, truth, ciphertext, noisy, _ = game
    scale = 2.0**session.encryption.plain_bits
    floats = noisy.astype(np.float64) / scale
    exact = [round(value * scale) for value in floats.tolist()]
    assert recovered(attack(ciphertext, exact, session.ring.prime), truth) == len(truth)


def test_what_our_decryptor_releases_gives_nothing_of_the_key(game):
    session, truth, ciphertext, _, total = game
    slots = session.encryption.lanes.encode(total)
    guess = attack(ciphertext, [int(v) << session.encryption.plain_bits for v in slots], session.ring.prime)
    assert recovered(guess, truth) == 0
    assert recovered(np.clip(guess, -1, 1), truth) < 0.45 * len(truth)
