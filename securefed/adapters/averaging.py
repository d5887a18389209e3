"""How servers without secure sums average what clients trained: the published ways, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from securefed.encoding import Vector
from securefed.errors import ConfigError


def mean(vectors: Sequence[Vector], weights: Sequence[float] | None = None) -> Vector:
    """Return the weighted mean of the clients' parameters, coordinate by coordinate.

    For low-rank factors this is *separate averaging*: the mean of all ``A`` beside the mean of all ``B``.

    Args:
        vectors: One a client, shape ``(dim,)`` each.
        weights: Not negative, such as numbers of records; by default all equal (FedCLIP).

    Raises:
        ConfigError: If there is no client, or the weights are not one a client with a positive sum.
    """
    shares = np.ones(len(vectors)) if weights is None else np.asarray(weights, np.float64)
    if not vectors or len(shares) != len(vectors) or not (shares >= 0).all() or not shares.sum() > 0:
        raise ConfigError(f"{len(vectors)} clients and weights {shares.tolist()}; each client needs one, not all zero")
    return shares / shares.sum() @ np.stack(vectors)
