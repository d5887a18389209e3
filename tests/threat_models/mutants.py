"""The package with one defence weakened: a row must turn red. They exist in the tests only."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from tenseal import sealapi

from securefed import grouped, rounds, training
from securefed.aggregation import openers, plain, shamir
from securefed.aggregation.packing import pack, unpack
from securefed.aggregation.robust import Gate
from securefed.aggregation.seal import SecretKey
from securefed.privacy.discrete import discrete_gaussian
from securefed.privacy.shares import SumOfShares
from securefed.threat_models.games import canary, poisoning, shadows
from securefed.threat_models.games.seeds import SEARCHED, candidate
from tests.aggregation.audit.mutants import (
    clear_counts,
    low_share_threshold,
    no_consistency_round,
    no_context_binding,
    no_memory,
    unsigned_keys,
    vectors_in_clear,
)

Patch = pytest.MonkeyPatch


def noise_divided_by_the_cohort(patch: Patch) -> None:
    """Every client adds a share that is too small by the number of clients."""

    def draw(self, *, rng):
        return discrete_gaussian(self.share_stddev / max(self.shares, 4), self.dim, rng=rng)

    patch.setattr(SumOfShares, "draw", draw)


def own_noise_as_if_shared(patch: Patch) -> None:
    """A client that shall protect itself adds what would do if sixteen did so together."""

    def draw(self, *, rng):
        return discrete_gaussian(self.share_stddev / (4 if self.shares == 1 else 1), self.dim, rng=rng)

    patch.setattr(SumOfShares, "draw", draw)


def no_clipping(patch: Patch) -> None:
    """A record's gradient is as long as it is."""

    exact = training.clipped_sum

    def loose(adapter, features, labels, *, clip_norm):
        return exact(adapter, features, labels, clip_norm=100 * clip_norm)

    for module in (rounds, training):
        patch.setattr(module, "clipped_sum", loose)


def noise_left_out(patch: Patch) -> None:
    """What is charged is never drawn."""
    patch.setattr(SumOfShares, "draw", lambda self, *, rng: np.zeros(self.dim, np.int64))


def noise_in_wrong_units(patch: Patch) -> None:
    """What is in ring units is taken for a sixteenth of one."""

    def draw(self, *, rng):
        return discrete_gaussian(self.share_stddev / 16, self.dim, rng=rng)

    patch.setattr(SumOfShares, "draw", draw)


def shares_split_once_more(patch: Patch) -> None:
    """A share is split among four clients and three rounds a second time."""

    def draw(self, *, rng):
        return discrete_gaussian(self.share_stddev / 12, self.dim, rng=rng)

    patch.setattr(SumOfShares, "draw", draw)


def one_noise_for_all_coordinates(patch: Patch) -> None:
    """One number is drawn and added everywhere."""

    def draw(self, *, rng):
        return np.repeat(discrete_gaussian(self.share_stddev, 1, rng=rng), self.dim)

    patch.setattr(SumOfShares, "draw", draw)


def seeds_of_ten_bits(patch: Patch) -> None:
    """Seeds of masks come from a generator that has a thousand states."""
    patch.setattr(shamir, "draw", lambda rng: candidate(int(rng.uint64(1)[0]) % 2**SEARCHED))


def messages_compressed(patch: Patch) -> None:
    """Plain vectors travel compressed."""
    patch.setattr(plain, "pack", lambda vector, bits: zlib.compress(bytes(pack(vector, bits))))
    patch.setattr(plain, "unpack", lambda data, *, dim, bits: unpack(zlib.decompress(data), dim=dim, bits=bits))


def openers_unsealed(patch: Patch) -> None:
    """The server can read the openers that it carries."""
    patch.setattr(openers.keys, "seal", lambda key, content, associated: content + bytes(openers.keys.TAG))
    patch.setattr(openers.keys, "unseal", lambda key, box, associated: box[: -openers.keys.TAG])


def full_precision_release(patch: Patch) -> None:
    """The decryptor releases message and noise."""

    def unrounded(self, ciphertext):
        lattice = self._ring
        return self._polynomial(lattice.load(sealapi.Ciphertext, ciphertext)) / 2.0**lattice.encryption.plain_bits

    patch.setattr(SecretKey, "open", unrounded)


def gate_in_ring_units(patch: Patch) -> None:
    """Norms are compared with a bound in finer units."""
    largest = Gate.largest
    patch.setattr(Gate, "largest", lambda self, members: 2.0**20 * largest(self, members))


def median_is_the_mean(patch: Patch) -> None:
    """Every group's mean counts as it is."""
    patch.setattr(grouped, "combined", lambda means, *, faulty, rule: np.mean(means, axis=0))


def gate_always_open(patch: Patch) -> None:
    """Whatever the ring holds is believed."""
    patch.setattr(Gate, "admits", lambda self, total, members: True)


def keys_of_any_origin(patch: Patch) -> None:
    """Keys that were made from records are trained like others."""
    for module in (rounds, training):
        patch.setattr(module, "check", lambda adapter, features, labels: None)


def forget() -> None:
    """Let go of what games keep between plays: what a mutant made is for nobody else."""
    canary.scores.cache_clear()
    shadows.spread.cache_clear()
    poisoning.train.cache_clear()


MUTANTS: dict[Callable[[Patch], None], tuple[str, ...]] = {
    noise_divided_by_the_cohort: ("T03",),
    own_noise_as_if_shared: ("T01",),
    noise_in_wrong_units: ("T02",),
    one_noise_for_all_coordinates: ("T02t",),
    no_clipping: ("T04",),
    shares_split_once_more: ("T07",),
    noise_left_out: ("T05", "T08", "T04-fedclip", "T04-flora", "T04-linear", "T04-clip-adapter", "T04-prompts"),
    vectors_in_clear: ("T06",),
    no_context_binding: ("T09",),
    no_memory: ("T10",),
    no_consistency_round: ("T11",),
    seeds_of_ten_bits: ("T12",),
    unsigned_keys: ("T13",),
    low_share_threshold: ("T14",),
    openers_unsealed: ("T15",),
    full_precision_release: ("T16",),
    clear_counts: ("T17",),
    messages_compressed: ("T18",),
    gate_in_ring_units: ("T19",),
    gate_always_open: ("T21a",),
    median_is_the_mean: ("T21b",),
    keys_of_any_origin: ("T23",),
}
"""Every mutant, with the rows that must turn red."""
