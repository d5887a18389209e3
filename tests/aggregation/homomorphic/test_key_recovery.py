"""The game of Li and Micciancio: recover the key from what is released.

The adversary is more than our aggregator: it knows both halves ``(c0, c1)`` of the sum, and what was released. If
that is the decryption as it comes out, ``v = c0 + c1 s`` holds exactly, and the key is ``s = (v - c0) / c1`` in the
ring: one division. Rounded whole numbers leave out the noise, and the division gives something uniform.
"""

from __future__ import annotations

import numpy as np
import pytest
from tenseal import sealapi

from securefed.threat_models.games.key_recovery import as_decrypted, attack
from tests.aggregation.cohorts import parameters
from tests.aggregation.homomorphic.parties import Parties


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


def recovered(guess: list[int], truth: np.ndarray) -> int:
    return int((np.array(guess, dtype=object) == truth).sum())


def test_the_game_of_the_scorecard_decrypts_as_seal_does(game):
    session, truth, ciphertext, noisy, _ = game
    found = as_decrypted(ciphertext, truth.tolist(), session.ring)
    assert found == (noisy / 2.0**session.encryption.plain_bits).tolist()


def test_a_decryptor_that_releases_unrounded_floats_gives_its_key_away(game):
    session, truth, ciphertext, noisy, _ = game
    floats = noisy.astype(np.float64) / 2.0**session.encryption.plain_bits
    assert recovered(attack(ciphertext, floats.tolist(), session.ring), truth) == len(truth)


def test_what_our_decryptor_releases_gives_nothing_of_the_key(game):
    session, truth, ciphertext, _, total = game
    guess = attack(ciphertext, session.encryption.lanes.encode(total).tolist(), session.ring)
    assert recovered(guess, truth) == 0
    assert recovered(np.clip(np.array(guess, dtype=object), -1, 1), truth) < 0.45 * len(truth)
