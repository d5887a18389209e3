"""Parameters behind the text tower, trained by their own exact gradients.

The gradient of one record's cross-entropy with respect to the class texts is ``G_i = scale (p_i - y_i) f_i^T``; with
respect to the parameters ``u`` behind them it is ``J^T vec(G_i)`` with ``J = dT/du`` the same for all records. ``J`` is
found once a step; norms and clipped sums then are matrix products. ``J`` has ``classes * dim * size`` numbers, which is
little on small models and too much on large ones: those are trained in :mod:`securefed.adapters.text_space`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.adapters.base import Adapter, OuterProducts, RecordGradients, softmax_error
from securefed.adapters.cosine import CosineModel
from securefed.adapters.text_tower import TunedText, jacobian
from securefed.encoding import Vector
from securefed.errors import ConfigError

Trained = Literal["both", "b", "alternating"]
"""Which of the two low-rank factors are trained."""

LARGEST = 2**31
"""Bytes that the derivative of the class texts may take."""

CHUNK = 512
"""Records whose gradients are written out at one time."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class ChainRule(RecordGradients):
    """Gradients that each record meets through one outer product and one derivative that all records share.

    Attributes:
        outer: Gradients with respect to the inner matrix, ``inner`` coordinates each.
        derivative: Of the inner matrix, shape ``(inner, dim)``.
    """

    outer: OuterProducts
    derivative: Tensor

    def norms(self) -> Tensor:
        """Return the L2 norm of every record's gradient, a few records at a time."""
        parts = zip(self.outer.left.split(CHUNK), self.outer.right.split(CHUNK), strict=True)
        return torch.cat([(OuterProducts(*part).dense() @ self.derivative).norm(dim=1) for part in parts])

    def weighted_sum(self, weights: Tensor) -> Tensor:
        """Return the sum as one product with the shared derivative."""
        return self.outer.weighted_sum(weights) @ self.derivative

    def dense(self) -> Tensor:
        """Return all gradients written out."""
        return self.outer.dense() @ self.derivative


@final
@dataclass(frozen=True, slots=True, eq=False)
class ThroughText(CosineModel, Adapter):
    """An adapter whose parameters make the class texts.

    Attributes:
        encoder: The texts as a function of the parameters.
        parameters: All of them, shape ``(size,)``.
        is_a: Which belong to a factor ``A``, bool, shape ``(size,)``; none but in low-rank changes.
        trained: Which are trained.
        turn: Under ``alternating``, whether ``A`` is trained in this round.
        text: Their class texts, shape ``(classes, dim)``.
        zero_shot_text: CLIP's own, shape ``(classes, dim)``.
        scale: CLIP's logit scale (already exponentiated).
        provenance: ``"public"``: parameters start from a public seed or from words.
    """

    encoder: TunedText = field(repr=False)
    parameters: Tensor
    is_a: Tensor = field(repr=False)
    trained: Trained
    turn: bool
    text: Tensor
    zero_shot_text: Tensor
    scale: float
    provenance: str

    @classmethod
    def over(cls, encoder: TunedText, *, is_a: Tensor | None = None, trained: Trained = "both") -> ThroughText:
        """Start at the encoder's own initial parameters.

        Args:
            encoder: The texts as a function of the parameters.
            is_a: Which parameters belong to a factor ``A``; by default none.
            trained: Which are trained.

        Raises:
            ConfigError: If the derivative would take more than :data:`LARGEST` bytes, or there are no two factors of
                equal size to alternate between.
        """
        start = encoder.start
        is_a = torch.zeros(len(start), dtype=torch.bool) if is_a is None else is_a
        with torch.no_grad():
            text = encoder.texts(start)
        if (needed := 8 * text.numel() * len(start)) > LARGEST:
            raise ConfigError(
                f"{text.shape[0]} classes of dimension {text.shape[1]} and {len(start)} parameters need {needed} bytes "
                f"for exact gradients, {LARGEST} are allowed; train through class texts instead"
            )
        if trained not in ("both", "b", "alternating"):
            raise ConfigError(f"trained is {trained!r}; choose 'both', 'b' or 'alternating'")
        if trained == "alternating" and 2 * int(is_a.sum()) != len(start):
            raise ConfigError(f"factors of {int(is_a.sum())} and {int((~is_a).sum())} numbers cannot alternate")
        own = encoder.tower.encode({})
        return cls(encoder, start, is_a, trained, False, text, own, encoder.tower.scale, "public")

    def pair(self, parameters: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features as they are, and the texts of the parameters."""
        return inputs.double(), self.encoder.texts(self._whole(parameters))

    def logits(self, inputs: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``."""
        return self.scale * inputs.double() @ self.text.T

    def record_gradients(self, features: Tensor, labels: Tensor) -> ChainRule:
        """Return each record's gradient with respect to the trained parameters."""
        features = features.double()
        error = softmax_error(self.logits(features), labels)
        return ChainRule(OuterProducts(self.scale * error, features), _derivative(self))

    def vector(self) -> Vector:
        """Return the trained parameters, in their order."""
        return self.parameters[self.used].numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other trained parameters."""
        parameters = self._whole(torch.from_numpy(vector.copy()))
        with torch.no_grad():
            return replace(self, parameters=parameters, text=self.encoder.texts(parameters))

    def settled(self) -> Self:
        """Return the adapter with the other factor's turn, if they alternate."""
        return replace(self, turn=not self.turn) if self.trained == "alternating" else self

    def kept(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return all parameters, and whose turn it is: the vector may be one of two factors."""
        return {"parameters": self.parameters.numpy(), "turn": np.array([self.turn], dtype=np.float64)}

    def restored(self, kept: Mapping[str, npt.NDArray[np.float64]]) -> Self:
        """Return the adapter with kept parameters and turn."""
        parameters = torch.from_numpy(kept["parameters"].copy())
        with torch.no_grad():
            text = self.encoder.texts(parameters)
        return replace(self, parameters=parameters, text=text, turn=bool(kept["turn"][0]))

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return CLIP's own class scores, shape ``(n, classes)``."""
        return self.scale * features.double() @ self.zero_shot_text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return parameters, the texts they make, CLIP's own texts and the scale."""
        tensors = {"parameters": self.parameters, "text": self.text, "zero_shot_text": self.zero_shot_text}
        return {name: tensor.numpy() for name, tensor in tensors.items()} | {"scale": np.array([self.scale])}

    @property
    def used(self) -> Tensor:
        """Which parameters are trained in this round, bool, shape ``(size,)``."""
        if self.trained == "both":
            return torch.ones_like(self.is_a)
        return self.is_a if self.turn else ~self.is_a

    def _whole(self, trained: Tensor) -> Tensor:
        """Return all parameters, with these in the place of the trained ones."""
        return self.parameters.masked_scatter(self.used, trained)


@lru_cache(maxsize=1)
def _derivative(adapter: ThroughText) -> Tensor:
    """Return the texts' derivative by what is trained; in one process many clients start from the same adapter."""
    return jacobian(adapter.encoder, adapter.parameters)[:, adapter.used]
