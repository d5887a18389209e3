"""From an adapter's choices to the adapter that a run starts with, built from public materials alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from securefed.adapter_choices import (
    AnyAdapter,
    CacheChoices,
    ClipAdapterChoices,
    FedClipChoices,
    FloraChoices,
    LinearChoices,
    PromptChoices,
)
from securefed.adapters import flora
from securefed.adapters.base import Adapter
from securefed.adapters.cachefl import CacheFL
from securefed.adapters.clip import Clip
from securefed.adapters.clip_adapter import ClipAdapter
from securefed.adapters.fedclip import FedCLIP
from securefed.adapters.flora import LowRankText
from securefed.adapters.linear import LinearProbe
from securefed.adapters.prompts import Prompts
from securefed.adapters.text_space import Distil, Fit, PullBack, second_moment
from securefed.adapters.text_tower import TextTower
from securefed.adapters.through_text import ThroughText, Trained
from securefed.errors import ConfigError
from securefed.rng import Source


@final
@dataclass(frozen=True, slots=True, eq=False)
class Materials:
    """What adapters are built from: values that belong to no client.

    Attributes:
        model: The frozen CLIP model.
        classes: Class names.
        templates: Prompts that they are put into.
        features: Of public images, shape ``(n, dim)``; or of single class texts where there are no images.
        labels: Their classes, shape ``(n,)``.
        images: Whether the features are those of images.
        rng: A public seed, the same for all clients.
    """

    model: Clip
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    features: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    images: bool
    rng: Source

    @classmethod
    def of_texts(cls, model: Clip, classes: Sequence[str], templates: Sequence[str], *, rng: Source) -> Materials:
        """Return materials without any image: one feature for each class and template."""
        each = [model.encode_classes(classes, (template,)) for template in templates]
        labels = torch.arange(len(classes)).repeat(len(templates))
        return cls(model, tuple(classes), tuple(templates), torch.cat(each), labels, False, rng)

    @property
    def text(self) -> Tensor:
        """Unit class texts, float64, shape ``(classes, dim)``."""
        return self.model.encode_classes(self.classes, self.templates).double()


def build(choices: AnyAdapter, public: Materials) -> Adapter:
    """Return the adapter that a run starts with.

    Args:
        choices: What was decided about it.
        public: What it is built from.

    Raises:
        ConfigError: If the choices do not fit the model or the public images.
    """
    text, scale = public.text, public.model.logit_scale
    match choices:
        case CacheChoices():
            return _cache(choices, public, text)
        case FedClipChoices():
            return _fedclip(choices, public, text)
        case LinearChoices():
            return LinearProbe.from_text(text=text, scale=scale)
        case ClipAdapterChoices():
            ratio, reduction = choices.ratio, choices.reduction
            return ClipAdapter.drawn(text=text, scale=scale, rng=public.rng, ratio=ratio, reduction=reduction)
        case FloraChoices():
            return _flora(choices, public)
        case PromptChoices():
            return _prompts(choices, public)


def _cache(choices: CacheChoices, public: Materials, text: Tensor) -> CacheFL:
    return CacheFL.from_generated(
        public.features,
        public.labels,
        text=text,
        scale=public.model.logit_scale,
        alpha=choices.alpha,
        beta=choices.beta,
        keys_per_class=choices.keys_per_class,
        shrinkage=choices.shrinkage,
    )


def _fedclip(choices: FedClipChoices, public: Materials, text: Tensor) -> FedCLIP:
    scale, length = public.model.logit_scale, choices.length
    if choices.start == "identity":
        return FedCLIP.identity(text=text, scale=scale, length=length)
    return FedCLIP.drawn(text=text, scale=scale, rng=public.rng, length=length)


def _flora(choices: FloraChoices, public: Materials) -> Adapter:
    tower = TextTower.of(public.model, public.classes, public.templates, precision=torch.float32)
    text = LowRankText.drawn(tower, rng=public.rng, sites=choices.sites, rank=choices.rank, alpha=choices.alpha)
    found = len(text.start)
    if found != (expected := choices.parameters(len(public.classes), public.model.dim)) and choices.trained != "b":
        raise ConfigError(
            f"the factors have {found} numbers, text_width {choices.text_width} and text_layers {choices.text_layers} "
            f"make {expected}; name those of model {public.model.name!r}"
        )
    if choices.trained == "texts":
        return flora.of_prototypes(
            text, clip=public.model, classes=public.classes, fit=_fit(choices, public), when=choices.when
        )
    trained: dict[str, Trained] = {"factors": "both", "b": "b", "alternating": "alternating"}
    return flora.exact(text, trained=trained[choices.trained])


def _fit(choices: FloraChoices, public: Materials) -> Fit:
    if choices.fit == "pull-back":
        return PullBack()
    return Distil(metric=second_moment(public.features) if public.images else None)


def _prompts(choices: PromptChoices, public: Materials) -> ThroughText:
    precision = torch.float32
    if choices.context:
        prompts = Prompts.from_words(public.model, public.classes, words=choices.context, precision=precision)
    else:
        prompts = Prompts.drawn(public.model, public.classes, rng=public.rng, words=choices.words, precision=precision)
    return ThroughText.over(prompts)
