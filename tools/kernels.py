"""The work that must not grow unnoticed: what a private masked round spends its time on, each small and repeatable.

    python -m tools.kernels NAME TIMES

does one of them so often. Randomness is seeded, so that every repetition takes the same path; :mod:`tools.guard` counts
the instructions of one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from securefed.aggregation import merkle, shamir
from securefed.aggregation.base import secure_sum
from securefed.aggregation.derivations import box_key, key_share_commitment, pair_mask_key, self_share_commitment
from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.keys import agree, load, public_key, seal, unseal
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.masks import Masks
from securefed.aggregation.packing import pack, unpack
from securefed.aggregation.parameters import Context, Parameters, default_threshold
from securefed.aggregation.session import Session
from securefed.privacy.discrete import discrete_gaussian
from securefed.rng import seeded

Work: TypeAlias = Callable[[], object]

CONTEXT = Context(task="guard", round=0, model=bytes(32), plan=bytes(32))


def mask() -> Work:
    """Add eleven masks to 100,000 words of 32 bits."""
    vector, keys = np.zeros(100_000, dtype="<u4"), [seeded(place).bytes(32) for place in range(11)]

    def work() -> None:
        Masks(added=keys[:6], subtracted=keys[6:]).apply(vector)

    return work


def share() -> Work:
    """Share two secrets among 133 of 10,000 clients, and rebuild one from a set of survivors not seen before."""
    secrets = [shamir.draw(seeded(0)), shamir.draw(seeded(1))]
    points = sorted({int(place) % 10_000 + 1 for place in seeded(2).uint64(140)})[:133]

    def work() -> None:
        shamir.lagrange_at_zero.cache_clear()
        shares, _ = shamir.split(secrets, threshold=80, points=points, rng=seeded(3))
        shamir.combine(dict(zip(points, shares, strict=True)), threshold=80)

    return work


def noise() -> Work:
    """Draw 50,000 discrete Gaussians."""
    return lambda: discrete_gaussian(1e6, 50_000, rng=seeded(0))


def clip() -> Work:
    """Clip and add the gradients of 256 records of 512 features with respect to 160 cache keys."""
    import torch

    from securefed.adapters.cachefl import CacheFL
    from securefed.training import clipped_sum

    def unit(*shape: int) -> torch.Tensor:
        drawn = torch.from_numpy(seeded(sum(shape)).generator().standard_normal(shape))
        return torch.nn.functional.normalize(drawn, dim=1)

    torch.set_num_threads(1)
    labels, text = torch.arange(160) // 16, unit(10, 512)
    cache = CacheFL.from_generated(
        unit(160, 512), labels, text=text, scale=100.0, alpha=3.0, beta=3.0, keys_per_class=16, shrinkage=None
    )
    features, classes = unit(256, 512), torch.arange(256) % 10
    return lambda: clipped_sum(cache, features, classes, clip_norm=1.0)


def packing() -> Work:
    """Pack 100,000 integers of 20 bits, and unpack them."""
    vector = (np.arange(100_000, dtype=np.uint32) * 7919) & np.uint32(2**20 - 1)
    return lambda: unpack(bytes(pack(vector, 20)), dim=len(vector), bits=20)


def pair() -> Work:
    """Do what two neighbours cost one client: agreements, keys, commitments, one box out and one in, a Merkle proof."""
    session = _session(16)
    private, public = load(seeded(0).bytes(32)), public_key(seeded(1).bytes(32))
    tree = merkle.levels([merkle.leaf(bytes([place])) for place in range(16)])
    shared = seeded(2).bytes(32)

    def work() -> None:
        secret = agree(private, public)
        pair_mask_key(session, 0, 1, secret)
        first = self_share_commitment(session, 0, 0, 1, shared)
        second = key_share_commitment(session, 0, 0, 1, shared)
        box = seal(box_key(session, secret, owner=0, holder=1), shared + shared, first + second)
        unseal(box_key(session, secret, owner=0, holder=1), box, first + second)
        merkle.root_of({3: tree[0][3], 7: tree[0][7]}, count=16, proof=merkle.prove(tree, [3, 7]))

    return work


def whole_sum() -> Work:
    """Add the vectors of 16 clients, 1,000 coordinates each, from the first key to the sum; one client drops out."""
    session, vector = _session(16), np.arange(1000, dtype=np.uint64)
    members = Federation.throwaway(session.parameters.cohort, rng=seeded(0))

    def work() -> None:
        is_signed.cache_clear()
        shamir.lagrange_at_zero.cache_clear()
        scheme = MaskedSum(session.parameters, members)
        clients = {name: scheme.client(name, vector, rng=seeded(0, name)) for name in members.clients}
        secure_sum(scheme.server(), clients, lost=lambda phase, name: (phase, name) == ("mask", "client-03"))

    return work


KERNELS: dict[str, Callable[[], Work]] = {
    factory.__name__: factory for factory in (mask, share, noise, clip, packing, pair, whole_sum)
}


def _session(clients: int) -> Session:
    names = tuple(f"client-{place:02d}" for place in range(clients))
    threshold = default_threshold(clients)
    public = Parameters(bits=32, dim=1000, cohort=names, threshold=threshold, context=CONTEXT)
    return Session(public, Federation.throwaway(names, rng=seeded(0)).roster)


def main() -> None:
    """Do the work that the command line names, so often."""
    work = KERNELS[sys.argv[1]]()
    for _ in range(int(sys.argv[2])):
        work()


if __name__ == "__main__":
    main()
