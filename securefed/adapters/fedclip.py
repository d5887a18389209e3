"""FedCLIP: an attention over feature channels beside the frozen image tower (Lu et al. 2023, arXiv:2302.13485).

With the image tower's feature ``f`` before it is scaled to unit length (n, dim) and unit class texts ``T``::

    h      = tanh(W1 f + b1)                           (n, dim)
    g      = softmax(W2 h + b2)                        attention over the channels, (n, dim)
    v      = g * f                                     (n, dim)
    logits = scale (v / |v|) T^T                       (n, classes)

``W1, b1, W2, b2`` are trained: ``2 (dim^2 + dim)`` numbers, 525,312 for dim 512, and as many travel each way. The
server takes their uniform mean.

Features are kept at unit length, and how long they were matters: the length cancels when ``v`` is scaled, but not
inside ``tanh``. So ``f`` is the unit feature times ``length``, a public constant. Faithful is the mean length that the
tower gives to public images (:func:`mean_length`), about 10 for the published ViT-B/32. Towers that were trained with
other initial values can give lengths in the hundreds, which saturate ``tanh`` and leave ``W1`` without a gradient; for
those, 10 is faithful to how the published module works. What a constant takes away is how lengths differ from image to
image, and with it the only part of a record that the bound below would not hold for.

The gradient of one record's cross-entropy is two outer products; with ``e = softmax(logits) - y`` and ``w = v / |v|``::

    dw = scale e T,    dv = (dw - (dw.w) w) / |v|
    d2 = v * dv                                        because the softmax's centring, g.(f * dv) = v.dv, is zero
    d1 = (d2 W2) * (1 - h^2)

    gradient = d2 [h, 1]^T beside d1 [f, 1]^T,    |gradient|^2 = |d2|^2 (|h|^2 + 1) + |d1|^2 (|f|^2 + 1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.adapters import drawing
from securefed.adapters.base import Adapter, OuterProducts, SideBySide, softmax_error
from securefed.adapters.cosine import CosineModel, diameter, through_length
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.rng import Source

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip
    from securefed.adapters.transform import Pixels


LENGTH = 10.0
"""About what the published image tower gives to features."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class FedCLIP(CosineModel, Adapter):
    """The attention adapter; see the module's text for the equations.

    Attributes:
        first: ``W1`` with ``b1`` as its last column, trainable, shape ``(dim, dim + 1)``.
        second: ``W2`` with ``b2`` as its last column, trainable, shape ``(dim, dim + 1)``.
        text: Unit class texts, shape ``(classes, dim)``.
        scale: CLIP's logit scale (already exponentiated).
        length: Of features before they are scaled to unit length.
        provenance: ``"public"`` when the initial layers were drawn from a public seed.
    """

    first: Tensor
    second: Tensor
    text: Tensor
    scale: float
    length: float
    provenance: str

    @classmethod
    def drawn(cls, *, text: Tensor, scale: float, rng: Source, length: float = LENGTH) -> FedCLIP:
        """Build the published adapter: both layers as PyTorch initialises them.

        Args:
            text: Unit class texts, shape ``(classes, dim)``.
            scale: CLIP's logit scale.
            rng: Of the layers; a public seed.
            length: Of features before they are scaled to unit length; see :func:`mean_length`.

        Raises:
            ConfigError: If ``length`` is not positive and finite.
        """
        dim = text.shape[1]
        layers = (drawing.uniform(dim, dim + 1, bound=dim**-0.5, rng=rng) for _ in range(2))
        return cls._public(*layers, text=text, scale=scale, length=length)

    @classmethod
    def identity(cls, *, text: Tensor, scale: float, length: float = LENGTH) -> FedCLIP:
        """Build the variant of later comparisons: both layers start as the identity without bias.

        Args:
            text: As in :meth:`drawn`.
            scale: Likewise.
            length: Likewise.

        Raises:
            ConfigError: If ``length`` is not positive and finite.
        """
        layer = torch.eye(text.shape[1], text.shape[1] + 1, dtype=torch.float64)
        return cls._public(layer, layer.clone(), text=text, scale=scale, length=length)

    @classmethod
    def _public(cls, first: Tensor, second: Tensor, *, text: Tensor, scale: float, length: float) -> FedCLIP:
        if not (length > 0 and math.isfinite(length)):
            raise ConfigError(f"length is {length}; features have a positive, finite one")
        return cls(first, second, text=text.double(), scale=scale, length=length, provenance="public")

    def pair(self, parameters: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attended features at unit length, and the frozen texts."""
        first, second = parameters.reshape(2, *self.first.shape)
        features = self.length * inputs.double()
        hidden = torch.tanh(with_one(features) @ first.T)
        attended = torch.softmax(with_one(hidden) @ second.T, dim=1) * features
        return torch.nn.functional.normalize(attended, dim=1), self.text

    def record_gradients(self, features: Tensor, labels: Tensor) -> SideBySide:
        """Return each record's gradient with respect to the two layers, as outer products."""
        features = self.length * features.double()
        hidden = torch.tanh(with_one(features) @ self.first.T)
        attended = torch.softmax(with_one(hidden) @ self.second.T, dim=1) * features
        length = torch.linalg.vector_norm(attended, dim=1, keepdim=True)
        unit = attended / length
        error = softmax_error(self.scale * unit @ self.text.T, labels)
        at_second = attended * through_length(self.scale * error @ self.text, unit, length)
        at_first = (at_second @ self.second[:, :-1]) * (1 - hidden**2)
        return SideBySide((OuterProducts(at_first, with_one(features)), OuterProducts(at_second, with_one(hidden))))

    @property
    def gradient_bound(self) -> float:
        """Largest norm that any record's gradient can have at these public parameters.

        ``|d2| <= |v| |dv| <= scale diameter(T)``, ``|h|^2 <= dim`` and ``|d1| <= |W2| |d2|``.
        """
        dim = len(self.second)
        largest = float(torch.linalg.matrix_norm(self.second[:, :-1], ord=2))
        return self.scale * diameter(self.text) * math.hypot(math.sqrt(dim + 1), largest * math.hypot(self.length, 1))

    def vector(self) -> Vector:
        """Return both layers, row by row, each row with its bias."""
        return torch.stack([self.first, self.second]).reshape(-1).numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other layers."""
        first, second = torch.from_numpy(vector.copy()).reshape(2, *self.first.shape)
        return replace(self, first=first, second=second)

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return CLIP's own class scores, shape ``(n, classes)``."""
        return self.scale * features.double() @ self.text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the layers, the texts and the two constants."""
        layers = {"first": self.first.numpy(), "second": self.second.numpy(), "text": self.text.numpy()}
        return layers | {"scale_length": np.array([self.scale, self.length])}


def with_one(rows: Tensor) -> Tensor:
    """Return rows with a one at their end, which a layer's bias is multiplied with."""
    return torch.nn.functional.pad(rows, (0, 1), value=1.0)


@torch.inference_mode()
def mean_length(clip: Clip, pixels: Pixels) -> float:
    """Return the mean length of the image tower's features of public images, before they are scaled to unit length.

    Args:
        clip: The frozen model.
        pixels: RGB, uint8, shape ``(n, height, width, 3)``: generated or otherwise public; a few dozen are enough.
    """
    images = clip.prepared(pixels).to(clip.placement.device, clip.placement.dtype)
    parts = [clip.model.encode_image(part).double().norm(dim=1) for part in images.split(clip.placement.batch)]
    return float(torch.cat(parts).mean())
