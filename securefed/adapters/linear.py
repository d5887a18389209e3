"""Linear probe: the simplest baseline, a linear classifier on frozen features that starts as the zero-shot one.

With unit features ``f``, the logits are ``scale W f + b``; at the start ``W`` is the class texts and ``b`` is zero, so
that round zero is zero-shot CLIP and nothing is learned from noise that was already known. ``scale`` is CLIP's own;
with scale 1 the logits are too soft to learn from, which makes a weak baseline.

``classes (dim + 1)`` numbers travel each way. One record's gradient is the outer product ``e [scale f, 1]^T`` with
``e = softmax(logits) - y``; ``|e| <= sqrt(2)`` bounds its norm by ``sqrt(2 (scale^2 + 1))`` for every record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.adapters.base import Adapter, OuterProducts, softmax_error
from securefed.encoding import Vector


@final
@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe(Adapter):
    """A linear classifier on frozen features.

    Attributes:
        weight: ``W`` with ``b`` as its last column, trainable, shape ``(classes, dim + 1)``.
        text: Unit class texts, shape ``(classes, dim)``.
        scale: CLIP's logit scale (already exponentiated).
        provenance: ``"public"`` when the weight came from texts.
    """

    weight: Tensor
    text: Tensor
    scale: float
    provenance: str

    @classmethod
    def from_text(cls, *, text: Tensor, scale: float) -> LinearProbe:
        """Start as the zero-shot classifier.

        Args:
            text: Unit class texts, shape ``(classes, dim)``.
            scale: CLIP's logit scale.
        """
        text = text.double()
        return cls(torch.nn.functional.pad(text, (0, 1)), text=text, scale=scale, provenance="public")

    def logits(self, features: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``."""
        return self._inputs(features) @ self.weight.T

    def record_gradients(self, features: Tensor, labels: Tensor) -> OuterProducts:
        """Return each record's gradient with respect to weight and bias, as outer products."""
        inputs = self._inputs(features)
        return OuterProducts(softmax_error(inputs @ self.weight.T, labels), inputs)

    @property
    def gradient_bound(self) -> float:
        """Largest norm that any record's gradient can have."""
        return math.sqrt(2 * (self.scale**2 + 1))

    def vector(self) -> Vector:
        """Return weight and bias, class by class."""
        return self.weight.reshape(-1).numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the same probe with another weight and bias."""
        return replace(self, weight=torch.from_numpy(vector.copy()).reshape(self.weight.shape))

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return CLIP's own class scores, shape ``(n, classes)``."""
        return self.scale * features.double() @ self.text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return weight, texts and scale."""
        return {"weight": self.weight.numpy(), "text": self.text.numpy(), "scale": np.array([self.scale])}

    def _inputs(self, features: Tensor) -> Tensor:
        """Return what the weight is multiplied with: scaled features with a one at their end."""
        return torch.nn.functional.pad(self.scale * features.double(), (0, 1), value=1.0)
