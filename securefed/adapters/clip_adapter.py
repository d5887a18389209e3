"""CLIP-Adapter: a bottleneck on image features, blended with them (Gao et al. 2021, arXiv:2110.04544).

With unit features ``f`` and unit class texts ``T``::

    h      = relu(W1 f)                                (n, dim / reduction)
    v      = ratio relu(W2 h) + (1 - ratio) f          (n, dim)
    logits = scale (v / |v|) T^T                       (n, classes)

The published module takes features before they are scaled to unit length; without biases, ``v`` grows as ``f`` does and
the length cancels, so unit features give the same logits. ``2 dim^2 / reduction`` numbers travel each way.

The gradient of one record's cross-entropy is two outer products, ``d2 h^T`` and ``d1 f^T``; write
``e = softmax(logits) - y`` and ``w = v / |v|``::

    dw = scale e T,    dv = (dw - (dw.w) w) / |v|
    d2 = ratio dv * (W2 h > 0),    d1 = (d2 W2) * (W1 f > 0)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.adapters import drawing
from securefed.adapters.base import Adapter, OuterProducts, SideBySide, softmax_error
from securefed.adapters.cosine import CosineModel, through_length
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.rng import Source


@final
@dataclass(frozen=True, slots=True, eq=False)
class ClipAdapter(CosineModel, Adapter):
    """The bottleneck adapter; see the module's text for the equations.

    Attributes:
        down: ``W1``, trainable, shape ``(dim // reduction, dim)``.
        up: ``W2``, trainable, shape ``(dim, dim // reduction)``.
        text: Unit class texts, shape ``(classes, dim)``.
        scale: CLIP's logit scale (already exponentiated).
        ratio: Share of the bottleneck beside the feature itself.
        provenance: ``"public"`` when the initial layers were drawn from a public seed.
    """

    down: Tensor
    up: Tensor
    text: Tensor
    scale: float
    ratio: float
    provenance: str

    @classmethod
    def drawn(cls, *, text: Tensor, scale: float, rng: Source, ratio: float = 0.2, reduction: int = 4) -> ClipAdapter:
        """Build the published adapter: both layers as PyTorch initialises them.

        Args:
            text: Unit class texts, shape ``(classes, dim)``.
            scale: CLIP's logit scale.
            rng: Of the layers; a public seed.
            ratio: Share of the bottleneck, below 1.
            reduction: How much narrower than a feature the bottleneck is.

        Raises:
            ConfigError: If ``ratio`` is not between 0 and 1, or ``reduction`` leaves no bottleneck.
        """
        dim = text.shape[1]
        if not 0 < ratio < 1:
            raise ConfigError(f"ratio is {ratio}; it must lie between 0 and 1 (0.2 is the published one)")
        if not 1 <= reduction <= dim:
            raise ConfigError(f"reduction is {reduction}; features of length {dim} can be reduced 1 to {dim} times")
        width = dim // reduction
        down = drawing.uniform(width, dim, bound=dim**-0.5, rng=rng)
        up = drawing.uniform(dim, width, bound=width**-0.5, rng=rng)
        return cls(down, up, text=text.double(), scale=scale, ratio=ratio, provenance="public")

    def pair(self, parameters: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the blended features at unit length, and the frozen texts."""
        down, up = self._layers(parameters)
        inner = torch.relu(torch.relu(inputs.double() @ down.T) @ up.T)
        blended = self.ratio * inner + (1 - self.ratio) * inputs.double()
        return torch.nn.functional.normalize(blended, dim=1), self.text

    def record_gradients(self, features: Tensor, labels: Tensor) -> SideBySide:
        """Return each record's gradient with respect to the two layers, as outer products."""
        features = features.double()
        hidden = torch.relu(features @ self.down.T)
        inner = torch.relu(hidden @ self.up.T)
        blended = self.ratio * inner + (1 - self.ratio) * features
        length = torch.linalg.vector_norm(blended, dim=1, keepdim=True)
        unit = blended / length
        error = softmax_error(self.scale * unit @ self.text.T, labels)
        at_up = self.ratio * through_length(self.scale * error @ self.text, unit, length) * (inner > 0)
        at_down = (at_up @ self.up) * (hidden > 0)
        return SideBySide((OuterProducts(at_down, features), OuterProducts(at_up, hidden)))

    def vector(self) -> Vector:
        """Return both layers, row by row."""
        return torch.cat([self.down.reshape(-1), self.up.reshape(-1)]).numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other layers."""
        down, up = self._layers(torch.from_numpy(vector.copy()))
        return replace(self, down=down, up=up)

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return CLIP's own class scores, shape ``(n, classes)``."""
        return self.scale * features.double() @ self.text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the layers, the texts and the two constants."""
        layers = {"down": self.down.numpy(), "up": self.up.numpy(), "text": self.text.numpy()}
        return layers | {"scale_ratio": np.array([self.scale, self.ratio])}

    def _layers(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        down, up = parameters.split([self.down.numel(), self.up.numel()])
        return down.reshape(self.down.shape), up.reshape(self.up.shape)
