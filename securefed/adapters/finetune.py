"""Full fine-tuning: all of CLIP, both towers, as FedAvg and FedProx baselines train it; without privacy.

Every parameter but the logit scale is trained, from pixels, so nothing can be encoded once. Batch normalisation, where
the image tower has it, keeps the statistics of pretraining. There is no :class:`securefed.adapters.base.Adapter` of it:
one gradient for each record would be the size of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, final

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import normalize

from securefed.adapters.cosine import CosineModel
from securefed.encoding import Vector

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip


@final
@dataclass(frozen=True, slots=True, eq=False)
class FullModel(CosineModel):
    """A whole CLIP model and the prompts of its classes.

    Attributes:
        module: The model; its parameters are where it started.
        names: Of the trained parameters.
        parameters: Their values, one after the other, float64, shape ``(size,)``.
        prompts: Tokens, shape ``(classes, context_length)``.
        scale: Its logit scale (already exponentiated), frozen.
    """

    module: nn.Module = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    parameters: Tensor = field(repr=False)
    prompts: Tensor = field(repr=False)
    scale: float

    @classmethod
    def of(cls, clip: Clip, classes: Sequence[str], *, template: str = "a photo of a {}.") -> FullModel:
        """Start at a frozen model's weights.

        Args:
            clip: The model, which is copied.
            classes: Class names.
            template: The prompt that they are put into.
        """
        module = _Pair(copy.deepcopy(clip.model).to("cpu").float())
        names = tuple(name for name, _ in module.named_parameters() if not name.endswith("logit_scale"))
        parameters = torch.cat([module.get_parameter(name).detach().double().reshape(-1) for name in names])
        prompts = clip.tokenizer([template.format(name) for name in classes])
        return cls(module, names, parameters, prompts, clip.logit_scale)

    def pair(self, parameters: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit image vectors and unit class vectors.

        Args:
            parameters: Shape ``(size,)``.
            inputs: What :meth:`securefed.adapters.clip.Clip.prepared` returns, shape ``(n, 3, size, size)``.
        """
        shapes = [self.module.get_parameter(name).shape for name in self.names]
        values = parameters.float().split([shape.numel() for shape in shapes])
        state = {name: value.reshape(shape) for name, value, shape in zip(self.names, values, shapes, strict=True)}
        images, texts = functional_call(self.module, state, (inputs, self.prompts))
        return normalize(images.double(), dim=1), normalize(texts.double(), dim=1)

    def vector(self) -> Vector:
        """Return all trained parameters."""
        return self.parameters.numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the model with other parameters."""
        return replace(self, parameters=torch.from_numpy(vector.copy()))


class _Pair(nn.Module):
    """Both towers in one call."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.encode_image(images), self.model.encode_text(prompts)  # type: ignore[operator]
