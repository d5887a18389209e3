"""CLIP's text tower as a function of a few public parameters, for a fixed list of classes.

``open_clip`` computes attention from the weight tensors of its layers and never calls the layer ``out_proj``, so a
wrapper around that layer changes nothing. Here weights themselves are replaced for one call
(``torch.func.functional_call``), which no layer can ignore.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import normalize

from securefed.errors import ConfigError

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip

AGREEMENT = 1e-3
"""Largest distance of a class text here from the frozen model's own, which may be in a lower precision."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class TextTower:
    """The frozen text tower, and the prompts of all classes as it sees them.

    Prompts are cut after the longest one's end mark: attention is causal, so what follows changes nothing.

    Attributes:
        names: Of the classes, public and fixed.
        blocks: The transformer, in eval mode, without gradients.
        finish: Its last normalisation.
        projection: To the space of features, shape ``(width, dim)``.
        positions: Embeddings of positions, shape ``(length, width)``.
        mask: Of attention, shape ``(length, length)``.
        tokens: Embedded prompts, shape ``(classes, templates, length, width)``.
        ends: Where each prompt's end mark is, shape ``(classes, templates)``.
        scale: CLIP's logit scale (already exponentiated).
    """

    names: tuple[str, ...]
    blocks: nn.Module = field(repr=False)
    finish: nn.Module = field(repr=False)
    projection: Tensor = field(repr=False)
    positions: Tensor = field(repr=False)
    mask: Tensor = field(repr=False)
    tokens: Tensor = field(repr=False)
    ends: Tensor = field(repr=False)
    scale: float

    @classmethod
    def of(
        cls, clip: Clip, names: Sequence[str], templates: Sequence[str], *, precision: torch.dtype = torch.float64
    ) -> TextTower:
        """Copy a model's text tower.

        Args:
            clip: The frozen model, with CLIP's own text tower.
            names: Class names.
            templates: Prompts with a ``{}`` for the name.
            precision: Of all that is computed here. float32 halves the time of a large tower; what reaches features is
                float64 either way.

        Raises:
            ConfigError: If the names or templates cannot be encoded, or the model has another kind of text tower.
        """
        expected = clip.encode_classes(names, templates)
        model = clip.model
        if not isinstance(getattr(model, "token_embedding", None), nn.Embedding) or model.attn_mask is None:
            raise ConfigError(
                f"model {clip.name!r} has another text tower than CLIP's; FLoRA and prompts need that one"
            )
        ids = torch.stack([clip.tokenizer([template.format(name) for template in templates]) for name in names])
        ends = ids.argmax(dim=-1)
        length = int(ends.max()) + 1

        def frozen(tensor: Tensor) -> Tensor:
            return tensor.detach().to("cpu", precision)

        tower = cls(
            names=tuple(names),
            blocks=_frozen(model.transformer, precision),
            finish=_frozen(model.ln_final, precision),
            projection=frozen(model.text_projection),
            positions=frozen(model.positional_embedding[:length]),
            mask=frozen(model.attn_mask[:length, :length]),
            tokens=frozen(model.token_embedding(ids[..., :length].to(clip.placement.device))),
            ends=ends,
            scale=clip.logit_scale,
        )
        if not (tower.encode({}).float() - expected).norm(dim=1).max() < AGREEMENT:
            raise ConfigError(f"model {clip.name!r} computes texts in another way than CLIP does; it cannot be tuned")
        return tower

    def encode(self, weights: Mapping[str, Tensor], tokens: Tensor | None = None, rows: slice = slice(None)) -> Tensor:
        """Return unit class texts, float64, shape ``(classes, dim)``: the mean over the templates.

        Args:
            weights: What replaces weights of the transformer, by their names in it.
            tokens: What replaces the embedded prompts, of the same shape.
            rows: Classes that are encoded; the others are left out.
        """
        tokens = (self.tokens if tokens is None else tokens)[rows]
        ends = self.ends[rows].reshape(-1)
        embedded = (tokens + self.positions).flatten(0, 1)
        # The other kernels have no second-order or batched derivative.
        with sdpa_kernel(SDPBackend.MATH):
            states = functional_call(self.blocks, dict(weights), (embedded,), {"attn_mask": self.mask})
        last = self.finish(states[torch.arange(len(ends)), ends])
        each = normalize(last @ self.projection, dim=1).reshape(*tokens.shape[:2], -1)
        return normalize(each.mean(1), dim=1).double()


class TunedText(ABC):
    """Class texts as a differentiable function of a few parameters, and of nothing else.

    Attributes:
        tower: The frozen text tower.
        start: Initial parameters, public, float64, shape ``(size,)``.
    """

    tower: TextTower
    start: Tensor

    @abstractmethod
    def texts(self, parameters: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return unit class texts, float64, shape ``(classes, dim)``.

        Args:
            parameters: Shape ``(size,)``.
            rows: Classes that are encoded; the others are left out.
        """


def jacobian(encoder: TunedText, parameters: Tensor) -> Tensor:
    """Return the derivative of all class texts, shape ``(classes * dim, size)``.

    Each class is differentiated by itself: the rows of another class cost nothing then.
    """
    rows = [slice(i, i + 1) for i in range(len(encoder.tower.names))]
    parts = [jacrev(lambda values, row=row: encoder.texts(values, row)[0], chunk_size=64)(parameters) for row in rows]
    return torch.cat(parts).detach()


def _frozen(module: nn.Module, precision: torch.dtype) -> nn.Module:
    return copy.deepcopy(module).to("cpu", precision).eval().requires_grad_(False)
