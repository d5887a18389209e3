"""Features and an adapter to one bounded contribution: per-record clipping with closed forms."""

from __future__ import annotations

import torch
from torch import Tensor

from securefed.adapters.base import Adapter
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.privacy.clipping import clip_factors

CHUNK = 4096
"""Records whose factors are in memory at one time."""


def clipped_sum(adapter: Adapter, features: Tensor, labels: Tensor, *, clip_norm: float) -> Vector:
    """Return the sum of the records' gradients, each clipped to ``clip_norm``.

    Args:
        adapter: The adapter at this round's public parameters.
        features: One client's features, shape ``(n, feature_dim)``; ``n`` may be zero.
        labels: Their classes, shape ``(n,)``.
        clip_norm: Largest L2 norm of one record's gradient.

    Returns:
        Float64, shape ``(dim,)``. It is a sum, not a mean: dividing by the true number of records would let that
        number change the noise of the released mean, which no accountant covers.

    Guarantees:
        * Adding or removing one record moves the result by at most ``clip_norm`` in L2 norm, up to float64 rounding.
        * A record whose gradient is not finite contributes nothing.

    Raises:
        ConfigError: If the adapter's initial parameters are not public, or shapes disagree.
    """
    if adapter.provenance != "public":
        raise ConfigError(
            f"the adapter's initial parameters are {adapter.provenance!r}; only 'public' ones can be trained under "
            "privacy. Start from generated images or class texts"
        )
    if len(features) != len(labels):
        raise ConfigError(f"{len(features)} features and {len(labels)} labels; each record needs one of both")
    total = torch.zeros(len(adapter.vector()), dtype=torch.float64)
    for start in range(0, len(features), CHUNK):
        gradients = adapter.record_gradients(features[start : start + CHUNK], labels[start : start + CHUNK])
        factors = torch.from_numpy(clip_factors(gradients.norms().numpy(), clip_norm=clip_norm))
        total += gradients.weighted_sum(factors)
    return total.numpy()
