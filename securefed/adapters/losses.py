"""The two losses that these systems are trained with, and which of them privacy allows.

FedCLIP and FLoRA were published with CLIP's own symmetric contrastive loss, in which every record of a batch is a
negative for all others: one record then moves the gradients of the whole batch, and clipping "each record's gradient"
bounds nothing. Per-record cross-entropy over the class texts keeps records apart.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from securefed.errors import ConfigError

Loss = Literal["cross-entropy", "info-nce"]


def batch_loss(loss: Loss, images: Tensor, texts: Tensor, labels: Tensor, *, scale: float) -> Tensor:
    """Return the mean loss of a batch.

    Args:
        loss: ``cross-entropy`` over all classes, or ``info-nce``: each image against the texts of the batch's labels
            and each text against its images, where the ``i``-th belongs to the ``i``-th alone. Images of one class are
            negatives for one another there, as published.
        images: Unit image vectors, shape ``(n, dim)``.
        texts: Unit class vectors, shape ``(classes, dim)``.
        labels: Shape ``(n,)``.
        scale: CLIP's logit scale.
    """
    if loss == "cross-entropy":
        return cross_entropy(scale * images @ texts.T, labels)
    scores = scale * images @ texts[labels].T
    own = torch.arange(len(labels), device=scores.device)
    return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2


def check(loss: Loss, *, unit: Literal["record", "client"] | None) -> None:
    """Refuse a loss that couples the units of privacy.

    Args:
        loss: The loss of a run.
        unit: What is clipped, or None in a run without privacy.

    Raises:
        ConfigError: If the loss is unknown, or records are clipped under ``info-nce``.
    """
    if loss not in ("cross-entropy", "info-nce"):
        raise ConfigError(f"loss is {loss!r}; choose 'cross-entropy' or 'info-nce'")
    if loss == "info-nce" and unit == "record":
        raise ConfigError(
            "loss 'info-nce' compares the records of a batch with one another, so no record has a gradient of its own "
            "and clipping each bounds nothing; use 'cross-entropy', or the client as the unit of privacy"
        )
