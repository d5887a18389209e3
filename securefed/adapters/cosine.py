"""Models that score by cosine: one unit vector an image, one a class, and CLIP's scale between them.

With image vectors ``V`` (n, dim) and class vectors ``T`` (classes, dim), the logits are ``scale V T^T``. FedCLIP and
CLIP-Adapter move ``V``, FLoRA and prompts move ``T``, full fine-tuning moves both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from securefed.encoding import Vector


class CosineModel(ABC):
    """A trainable model of images and classes whose logits are scaled cosines.

    Attributes:
        scale: CLIP's logit scale (already exponentiated), frozen.
    """

    scale: float

    @abstractmethod
    def pair(self, parameters: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit image vectors, shape ``(n, dim)``, and unit class vectors, shape ``(classes, dim)``.

        Args:
            parameters: Shape ``(size,)``, in the order of :meth:`vector`; both results are differentiable in them.
            inputs: One row a record.
        """

    @abstractmethod
    def vector(self) -> Vector:
        """Return the trainable parameters, float64, shape ``(size,)``."""

    @abstractmethod
    def moved_to(self, vector: Vector) -> Self:
        """Return the same model with other trainable parameters."""

    def logits(self, inputs: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``."""
        with torch.no_grad():
            images, texts = self.pair(torch.from_numpy(self.vector()), inputs)
        return self.scale * images @ texts.T


def through_length(gradient: Tensor, unit: Tensor, length: Tensor) -> Tensor:
    """Return the gradient with respect to vectors, given the one with respect to the vectors at unit length.

    Args:
        gradient: With respect to ``unit``, shape ``(n, dim)``.
        unit: Shape ``(n, dim)``.
        length: Of the vectors before they were scaled, shape ``(n, 1)``.
    """
    return (gradient - (gradient * unit).sum(1, keepdim=True) * unit) / length


def diameter(text: Tensor) -> float:
    """Return the largest distance between two class vectors: a public number.

    A record's gradient with respect to its unit image vector is ``scale sum_c p_c (t_c - t_y)``, so ``scale`` times the
    diameter bounds its norm, whatever the record is.
    """
    return float(torch.cdist(text, text).max())
