"""Parameters behind the text tower, trained through class texts: clients never run the tower, and noise covers all.

Data meet the parameters ``u`` only through the class texts ``T(u)``, a public function of ``u``. So a round clips and
noises gradients with respect to ``T``,

    G_i = scale (p_i - y_i) f_i^T,    |G_i| <= sqrt(2) scale for every record,

and what the server makes of the noisy sum (pulling it back to ``u`` by the chain rule, or fitting ``u`` to texts that
were moved) is post-processing. The release is the Gaussian mechanism that the ledger has charged, as long as the eight
conditions of :mod:`securefed.adapters.conditions` hold. The sums are exact: no client has factors of its own.

Two ways to make parameters of texts, and two times to do so:

* :class:`PullBack`, one step of the chain rule, ``u - J^T (T(u) - target)``; after every round it is the gradient
  step that the clients' noisy gradient implies.
* :class:`Distil`, many steps towards the target. At the end of a run, clients have by then trained the texts
  themselves, as free prototypes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.adapters import conditions
from securefed.adapters.base import Adapter, OuterProducts, softmax_error
from securefed.adapters.cosine import CosineModel
from securefed.adapters.text_tower import TunedText
from securefed.encoding import Vector
from securefed.errors import ConfigError

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip

When = Literal["every round", "at the end"]


class Fit(ABC):
    """How the server makes parameters of class texts; it sees nothing but public values."""

    @abstractmethod
    def __call__(self, encoder: TunedText, parameters: Tensor, target: Tensor) -> Tensor:
        """Return parameters whose texts are nearer to the target, shape ``(size,)``.

        Args:
            encoder: The texts as a function of the parameters.
            parameters: Where to start, shape ``(size,)``.
            target: Shape ``(classes, dim)``, of any length.
        """


def centred(matrix: Tensor) -> Tensor:
    """Return rows without what they have in common: it moves all logits alike and changes no probability."""
    return matrix - matrix.mean(0)


@final
@dataclass(frozen=True, slots=True)
class PullBack(Fit):
    """One step of the chain rule.

    The true gradient's rows sum to zero over the classes (``p - y`` does); what noise has in common over the classes is
    noise only, and is taken out before the step.
    """

    def __call__(self, encoder: TunedText, parameters: Tensor, target: Tensor) -> Tensor:
        """Return ``u - J^T centred(T(u) - target)``."""
        free = parameters.clone().requires_grad_()
        with torch.enable_grad():
            texts = encoder.texts(free)
            (step,) = torch.autograd.grad(texts, free, centred(texts.detach() - target))
        return parameters - step


@final
@dataclass(frozen=True, slots=True, eq=False)
class Distil(Fit):
    """Many steps of Adam towards the texts.

    The distance is that of the logits of public images: ``sum_c |F (T - target)_c|^2`` with their features ``F``. Noise
    in directions that no feature has changes no logit, and is not fitted.

    Attributes:
        steps: How many.
        learning_rate: Of the first; it falls to zero as half a cosine.
        metric: Of public features: see :func:`second_moment`. None for the plain distance of texts.
    """

    steps: int = 300
    learning_rate: float = 3e-4
    metric: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps is {self.steps}; fitting takes at least one")
        if not 0 < self.learning_rate < 1:
            raise ConfigError(f"learning_rate is {self.learning_rate}; Adam's lies between 0 and 1, far below 1")

    def __call__(self, encoder: TunedText, parameters: Tensor, target: Tensor) -> Tensor:
        """Return parameters whose texts differ from the target by little beyond what all classes have in common."""
        free = parameters.clone().requires_grad_()
        adam = torch.optim.Adam([free], lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.steps)
        with torch.enable_grad():
            for _ in range(self.steps):
                adam.zero_grad()
                self._distance(centred(encoder.texts(free) - target)).backward()
                adam.step()
                schedule.step()
        return free.detach()

    def _distance(self, difference: Tensor) -> Tensor:
        return (difference * (difference if self.metric is None else difference @ self.metric)).sum()


def second_moment(features: Tensor) -> Tensor:
    """Return ``mean_i f_i f_i^T`` of public features, shape ``(n, dim)``, as :class:`Distil` measures with."""
    features = features.double()
    return features.T @ features / len(features)


@final
@dataclass(frozen=True, slots=True, eq=False)
class TextSpace(CosineModel, Adapter):
    """An adapter whose class texts are what clients train.

    Attributes:
        encoder: The texts as a function of the parameters.
        parameters: Shape ``(size,)``; only the server changes them.
        text: What clients train, shape ``(classes, dim)``.
        zero_shot_text: CLIP's own, shape ``(classes, dim)``.
        scale: CLIP's logit scale (already exponentiated).
        fit: How the server makes parameters of texts.
        when: How often it does.
        provenance: ``"public"``: parameters start from a public seed or from words.
    """

    encoder: TunedText = field(repr=False)
    parameters: Tensor
    text: Tensor
    zero_shot_text: Tensor
    scale: float
    fit: Fit
    when: When
    provenance: str

    @classmethod
    def over(cls, encoder: TunedText, *, clip: Clip, classes: Sequence[str], fit: Fit, when: When) -> TextSpace:
        """Start at the encoder's own initial parameters, and try the conditions under which this is private.

        Args:
            encoder: The texts as a function of the parameters.
            clip: The frozen model that features come from.
            classes: The plan's class names.
            fit: How the server makes parameters of texts.
            when: How often it does.

        Raises:
            ConfigError: If ``when`` is unknown.
            TextSpaceError: If a condition does not hold.
        """
        if when not in ("every round", "at the end"):
            raise ConfigError(f"when is {when!r}; choose 'every round' or 'at the end'")
        with torch.no_grad():
            text, own = encoder.texts(encoder.start), encoder.tower.encode({})
        adapter = cls(encoder, encoder.start, text, own, encoder.tower.scale, fit, when, "public")
        conditions.check(adapter, encoder, encoder.start, clip=clip, classes=classes)
        return adapter

    def pair(self, parameters: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the texts as they are."""
        return inputs.double(), parameters.reshape(self.text.shape)

    def record_gradients(self, features: Tensor, labels: Tensor) -> OuterProducts:
        """Return each record's gradient with respect to the class texts, as outer products."""
        features = features.double()
        error = softmax_error(self.scale * features @ self.text.T, labels)
        return OuterProducts(self.scale * error, features)

    @property
    def gradient_bound(self) -> float:
        """Largest norm that any record's gradient can have: with this as ``clip_norm``, nothing is ever clipped."""
        return float(np.sqrt(2)) * self.scale

    def vector(self) -> Vector:
        """Return the class texts, class by class."""
        return self.text.reshape(-1).numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other class texts; the parameters follow when the server settles it."""
        return replace(self, text=torch.from_numpy(vector.copy()).reshape(self.text.shape))

    def settled(self) -> Self:
        """Return the adapter with parameters that follow the texts, and the texts that they make, if it is time."""
        return self._fitted() if self.when == "every round" else self

    def released(self) -> Self:
        """Return the adapter with parameters fitted to the texts, and the texts that they make."""
        return self._fitted() if self.when == "at the end" else self

    def kept(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return texts and parameters: fitting goes on from the parameters of the round before."""
        return {"vector": self.vector(), "parameters": self.parameters.numpy()}

    def restored(self, kept: Mapping[str, npt.NDArray[np.float64]]) -> Self:
        """Return the adapter with kept texts and parameters."""
        return replace(self.moved_to(kept["vector"]), parameters=torch.from_numpy(kept["parameters"].copy()))

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return CLIP's own class scores, shape ``(n, classes)``."""
        return self.scale * features.double() @ self.zero_shot_text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return parameters, texts, CLIP's own texts and the scale."""
        tensors = {"parameters": self.parameters, "text": self.text, "zero_shot_text": self.zero_shot_text}
        return {name: tensor.numpy() for name, tensor in tensors.items()} | {"scale": np.array([self.scale])}

    def _fitted(self) -> Self:
        parameters = self.fit(self.encoder, self.parameters, self.text)
        with torch.no_grad():
            return replace(self, parameters=parameters, text=self.encoder.texts(parameters))
