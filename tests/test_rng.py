"""Randomness is an argument: seeded streams repeat, the secure one never does, and no global seed reaches either."""

import random

import numpy as np
import torch

from securefed import rng


def test_the_same_seed_and_labels_give_the_same_stream():
    assert rng.seeded(1, "a").bytes(64) == rng.seeded(1, "a").bytes(64)


def test_other_seeds_and_other_labels_give_other_streams():
    streams = {rng.seeded(seed, label).bytes(16) for seed in (0, 1) for label in ("a", "b")}

    assert len(streams) == 4


def test_global_seeds_do_not_reach_the_secure_source():
    drawn = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the point is that it has no effect
        torch.manual_seed(0)
        drawn.append(rng.secure().bytes(32))

    assert drawn[0] != drawn[1]


def test_only_the_secure_source_calls_itself_secret():
    assert rng.secure().is_secret
    assert not rng.seeded(0).is_secret


def test_integers_use_all_64_bits():
    drawn = rng.seeded(0).uint64(2000)

    assert drawn.dtype == np.uint64
    ones = np.unpackbits(drawn.view(np.uint8)).reshape(2000, 64).mean(0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(2000)
