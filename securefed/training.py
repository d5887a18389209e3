"""Features and an adapter to one bounded contribution: clipped records, or one clipped client."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from securefed.adapters.base import Adapter, RecordGradients
from securefed.adapters.cosine import CosineModel
from securefed.adapters.losses import batch_loss
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.privacy.clipping import clip_factors


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
    check(adapter, features, labels)
    total: Tensor | None = None
    for gradients in gradients_of(adapter, features, labels):
        factors = torch.from_numpy(clip_factors(gradients.norms().numpy(), clip_norm=clip_norm))
        part = gradients.weighted_sum(factors)
        total = part if total is None else total + part
    return np.zeros(adapter.size) if total is None else total.numpy()


def clipped_update(
    adapter: Adapter, features: Tensor, labels: Tensor, *, clip_norm: float, steps: int, learning_rate: float
) -> Vector:
    """Return one client's whole update, clipped to ``clip_norm``: the unit of privacy is the client.

    The update is the sum of the mean gradients along ``steps`` local steps. What happens inside may depend on the
    client's records in any way, their number included, because the clip bounds all of it at once.

    Args:
        adapter: The adapter at this round's public parameters.
        features: The client's features, shape ``(n, feature_dim)``; ``n`` may be zero.
        labels: Their classes, shape ``(n,)``.
        clip_norm: Largest L2 norm of the update.
        steps: Local steps.
        learning_rate: Of a local step.

    Returns:
        Float64, shape ``(dim,)``; zero if it would not be finite.

    Raises:
        ConfigError: As :func:`clipped_sum`.
    """
    check(adapter, features, labels)
    update = torch.zeros(len(adapter.vector()), dtype=torch.float64)
    start, local = adapter.vector(), adapter
    for _ in range(steps if len(features) else 0):
        for gradients in gradients_of(local, features, labels):
            finite = torch.isfinite(gradients.norms()).double()
            update += gradients.weighted_sum(finite) / len(features)
        local = local.moved_to(start - learning_rate * update.numpy())
    norm = torch.linalg.vector_norm(update).numpy()[None]
    return update.numpy() * clip_factors(norm, clip_norm=clip_norm) if np.isfinite(norm[0]) else np.zeros(len(start))


def compared_sum(adapter: Adapter, features: Tensor, labels: Tensor, *, clip_norm: float) -> Vector:
    """Return a client's gradient of the contrastive loss over its records, as long as a sum over them may be.

    For comparison without privacy: no record has a gradient of its own here, so the whole is clipped, to ``clip_norm``
    for each record, and adding one record can turn all of it around.

    Args:
        adapter: The adapter at this round's parameters; one that scores by cosine.
        features: The client's features, shape ``(n, feature_dim)``; with fewer than two there is nothing to compare.
        labels: Their classes, shape ``(n,)``.
        clip_norm: Largest L2 norm of the result is ``n`` times this.

    Returns:
        Float64, shape ``(dim,)``; zero if it would not be finite.

    Raises:
        ConfigError: As :func:`clipped_sum`, or if the adapter has no image and class vectors.
    """
    check(adapter, features, labels)
    if not isinstance(adapter, CosineModel):
        raise ConfigError(f"{type(adapter).__name__} has no image and class vectors to compare; use 'cross-entropy'")
    free = torch.from_numpy(adapter.vector()).requires_grad_()
    records = len(features)
    if records < 2:
        return np.zeros(len(free))
    with torch.enable_grad():
        loss = batch_loss("info-nce", *adapter.pair(free, features.double()), labels, scale=adapter.scale)
        (gradient,) = torch.autograd.grad(records * loss, free)
    norm = torch.linalg.vector_norm(gradient).numpy()[None]
    finite = np.isfinite(norm[0])
    return gradient.numpy() * clip_factors(norm, clip_norm=records * clip_norm) if finite else np.zeros(len(free))


def gradients_of(adapter: Adapter, features: Tensor, labels: Tensor) -> Iterator[RecordGradients]:
    """Yield the gradients of the records, as many at a time as memory should hold."""
    chunk, records = adapter.chunk, features.shape[0]
    if 0 < records <= chunk:  # the usual case; slicing all of a small batch takes longer than one would think
        yield adapter.record_gradients(features, labels)
        return
    for start in range(0, records, chunk):
        yield adapter.record_gradients(features[start : start + chunk], labels[start : start + chunk])


def check(adapter: Adapter, features: Tensor, labels: Tensor) -> None:
    """Refuse what must not be trained.

    Raises:
        ConfigError: If the adapter's initial parameters are not public, or shapes disagree.
    """
    if adapter.provenance != "public":
        raise ConfigError(
            f"the adapter's initial parameters are {adapter.provenance!r}; only 'public' ones can be trained under "
            "privacy. Start from generated images or class texts"
        )
    if features.shape[0] != labels.shape[0]:
        raise ConfigError(f"{len(features)} features and {len(labels)} labels; each record needs one of both")
