"""What somebody decides about an adapter: public values from which the length of its updates follows.

Every kind of adapter is one class; a plan holds one of them, told apart by ``kind``. How the adapter itself is built
from these values is said in :mod:`securefed.initial`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Site = Literal["out", "q", "k", "v", "mlp"]
"""As in :mod:`securefed.adapters.lora`."""


class AdapterChoices(BaseModel, ABC):
    """Public choices of one adapter.

    Attributes:
        kind: Which adapter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @abstractmethod
    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of an update: what travels each way."""

    def parameters(self, classes: int, feature_dim: int) -> int:
        """Return how many numbers are trained in the end; other than :meth:`dim` where clients train class texts."""
        return self.dim(classes, feature_dim)

    @abstractmethod
    def norm(self, scale: float, feature_dim: int) -> float:
        """Return what clip norms are chosen relative to.

        The largest norm that a record's gradient can have where one is known before any record; elsewhere about how
        long gradients are.

        Args:
            scale: CLIP's logit scale.
            feature_dim: Length of features.
        """


class CacheChoices(AdapterChoices):
    """Public choices of CacheFL; see :mod:`securefed.adapters.cachefl`.

    Attributes:
        alpha: Weight of the cache beside CLIP's logits.
        beta: Sharpness of the affinity.
        keys_per_class: Keys of each class.
        images_per_class: Generated images of each class, from which keys and whitening are made.
        shrinkage: Of the whitening, in ``(0, 1]``; None for none, as where keys are class texts.
    """

    kind: Literal["cachefl"] = "cachefl"
    alpha: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    beta: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    keys_per_class: int = Field(default=4, ge=1)
    images_per_class: int = Field(default=80, ge=2)
    shrinkage: float | None = Field(default=None, gt=0, le=1)

    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of all keys."""
        return classes * self.keys_per_class * feature_dim

    @property
    def gradient_bound(self) -> float:
        """Largest norm that one record's gradient can have: ``|a_i| <= alpha beta sqrt(keys) |p - y|``."""
        return self.alpha * self.beta * math.sqrt(2 * self.keys_per_class)

    def norm(self, scale: float, feature_dim: int) -> float:
        """Return the gradient's bound."""
        return self.gradient_bound


class FedClipChoices(AdapterChoices):
    """Public choices of FedCLIP; see :mod:`securefed.adapters.fedclip`.

    Attributes:
        start: ``drawn`` as published, or both layers the ``identity``.
        length: Of features before they are scaled to unit length.
    """

    kind: Literal["fedclip"] = "fedclip"
    start: Literal["drawn", "identity"] = "drawn"
    length: float = Field(default=10.0, gt=0, allow_inf_nan=False)

    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of two layers with their biases."""
        return 2 * feature_dim * (feature_dim + 1)

    def norm(self, scale: float, feature_dim: int) -> float:
        """Return the second layer's share of the gradient's bound, for class texts one apart."""
        return scale * math.sqrt(feature_dim + 1)


class LinearChoices(AdapterChoices):
    """The linear probe has nothing to choose; see :mod:`securefed.adapters.linear`."""

    kind: Literal["linear"] = "linear"

    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of weight and bias."""
        return classes * (feature_dim + 1)

    def norm(self, scale: float, feature_dim: int) -> float:
        """Return the gradient's bound."""
        return math.sqrt(2 * (scale**2 + 1))


class ClipAdapterChoices(AdapterChoices):
    """Public choices of CLIP-Adapter; see :mod:`securefed.adapters.clip_adapter`.

    Attributes:
        ratio: Share of the bottleneck beside the feature itself.
        reduction: How much narrower than a feature the bottleneck is.
    """

    kind: Literal["clip-adapter"] = "clip-adapter"
    ratio: float = Field(default=0.2, gt=0, lt=1)
    reduction: int = Field(default=4, ge=1)

    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of two layers."""
        return 2 * feature_dim * (feature_dim // self.reduction)

    def norm(self, scale: float, feature_dim: int) -> float:
        """Return how far the bottleneck can move a score."""
        return scale * self.ratio


class FloraChoices(AdapterChoices):
    """Public choices of FLoRA; see :mod:`securefed.adapters.flora`.

    Attributes:
        text_width: Of the model's text tower.
        text_layers: Its blocks.
        trained: What clients send gradients of: class ``texts``, which the server makes factors of; or the ``factors``
            themselves, ``b`` alone, or both ``alternating``.
        fit: How the server makes factors of texts: many steps (``distil``) or one of the chain rule (``pull-back``).
        when: How often it does.
        sites: Which weights of each block are changed.
        rank: Of each change.
        alpha: Its scale.
    """

    kind: Literal["flora"] = "flora"
    text_width: int = Field(ge=1)
    text_layers: int = Field(ge=1)
    trained: Literal["texts", "factors", "b", "alternating"] = "texts"
    fit: Literal["distil", "pull-back"] = "distil"
    when: Literal["every round", "at the end"] = "at the end"
    sites: tuple[Site, ...] = Field(default=("out",), min_length=1)
    rank: int = Field(default=2, ge=1)
    alpha: float = Field(default=32.0, gt=0, allow_inf_nan=False)

    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of all class texts, or of the factors that are trained in one round."""
        if self.trained == "texts":
            return classes * feature_dim
        return self._factors() if self.trained == "factors" else self._factors(inputs=0)

    def parameters(self, classes: int, feature_dim: int) -> int:
        """Return the length of the factors."""
        return self._factors(inputs=0) if self.trained == "b" else self._factors()

    def norm(self, scale: float, feature_dim: int) -> float:
        """Return the bound of a gradient with respect to class texts; longer ones of the factors are clipped to it."""
        return math.sqrt(2) * scale

    def _factors(self, *, inputs: int = 1) -> int:
        """Return the length of all factors; with ``inputs`` zero, of those on the side of a weight's outputs."""
        width = self.text_width
        shapes = {"mlp": ((width, 4 * width), (4 * width, width))}
        each = [shape for site in self.sites for shape in shapes.get(site, ((width, width),))]
        return self.text_layers * self.rank * sum(inputs * left + right for left, right in each)


class PromptChoices(AdapterChoices):
    """Public choices of prompt tuning; see :mod:`securefed.adapters.prompts`.

    Attributes:
        text_width: Of the model's text tower.
        context: Words to start from; empty for drawn ones.
        words: How many there are, as the model's tokenizer counts them.
    """

    kind: Literal["prompts"] = "prompts"
    text_width: int = Field(ge=1)
    context: str = "a photo of a"
    words: int = Field(default=4, ge=1)

    def dim(self, classes: int, feature_dim: int) -> int:
        """Return the length of all context words."""
        return self.words * self.text_width

    def norm(self, scale: float, feature_dim: int) -> float:
        """Return the scale of the logits: context words are short, and their gradients long."""
        return scale


AnyAdapter: TypeAlias = Annotated[
    CacheChoices | FedClipChoices | LinearChoices | ClipAdapterChoices | FloraChoices | PromptChoices,
    Field(discriminator="kind"),
]
"""One of them, read from plain values by its ``kind``."""

KINDS = ("cachefl", "fedclip", "flora", "linear", "clip-adapter", "prompts")
"""All there are; the first is the default."""
