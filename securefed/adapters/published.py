"""Training as the papers did it: local epochs with their own optimisers and losses, averaged, without any privacy.

For comparison only. A client's steps on its own batches have no bound on what one record does, and its number of
records weighs in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, final

import torch
from torch import Tensor

from securefed.adapters import averaging
from securefed.adapters.cosine import CosineModel
from securefed.adapters.losses import Loss, batch_loss
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.rng import Source

Model = TypeVar("Model", bound=CosineModel)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How clients train.

    Attributes:
        optimiser: ``adam`` with ``weight_decay`` added to the gradient, as published (not AdamW), or ``sgd``.
        learning_rate: Of a step.
        weight_decay: Share of the parameters that is added to the gradient.
        betas: Adam's.
        eps: Adam's.
        keep_moments: Whether a client's optimiser lives through all rounds; otherwise each round starts a new one.
        batch: Records of a step; a last batch of one record is left out, which has no negatives.
        epochs: Local epochs a round.
        loss: See :mod:`securefed.adapters.losses`.
        proximal: FedProx's weight of the distance from the round's start (Li et al. 2020, arXiv:1812.06127); 0 is
            FedAvg.
        weighted: Whether numbers of records weigh in the server's mean.
    """

    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    keep_moments: bool = False
    batch: int
    epochs: int = 1
    loss: Loss = "cross-entropy"
    proximal: float = 0.0
    weighted: bool = True

    def __post_init__(self) -> None:
        for name, value in (("learning_rate", self.learning_rate), ("batch", self.batch), ("epochs", self.epochs)):
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name} is {value}; it must be positive and finite")
        for name, value in (("weight_decay", self.weight_decay), ("proximal", self.proximal)):
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"{name} is {value}; it must be finite and not negative")


FEDCLIP = Recipe(learning_rate=5e-5, weight_decay=0.2, batch=32, loss="info-nce", weighted=False)
FLORA = Recipe(learning_rate=5e-5, weight_decay=0.2, batch=128, loss="info-nce", keep_moments=True)
PROMPTFL = Recipe(optimiser="sgd", learning_rate=1e-3, batch=32, epochs=5, weighted=False)


@final
class Trainer:
    """One client's training: its records, and its optimiser from round to round."""

    def __init__(self, recipe: Recipe, inputs: Tensor, labels: Tensor, *, rng: Source) -> None:
        self._recipe, self._inputs, self._labels = recipe, inputs, labels
        self._random = rng.generator()
        self._moments: dict[str, object] | None = None

    def __len__(self) -> int:
        return len(self._labels)

    def trained(self, model: CosineModel) -> Vector:
        """Return the parameters after one round of local training, shape ``(size,)``."""
        recipe = self._recipe
        start = torch.from_numpy(model.vector())
        free = start.clone().requires_grad_()
        optimiser = self._optimiser(free)
        for _ in range(recipe.epochs):
            for rows in torch.from_numpy(self._random.permutation(len(self))).split(recipe.batch):
                if len(rows) == 1 and recipe.loss == "info-nce":
                    continue
                optimiser.zero_grad()
                with torch.enable_grad():
                    images, texts = model.pair(free, self._inputs[rows])
                    loss = batch_loss(recipe.loss, images, texts, self._labels[rows], scale=model.scale)
                    (loss + recipe.proximal / 2 * (free - start).square().sum()).backward()
                optimiser.step()
        if recipe.keep_moments:
            self._moments = optimiser.state_dict()
        return free.detach().numpy()

    def _optimiser(self, free: Tensor) -> torch.optim.Optimizer:
        recipe = self._recipe
        optimiser: torch.optim.Optimizer
        if recipe.optimiser == "sgd":
            optimiser = torch.optim.SGD([free], lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        else:
            optimiser = torch.optim.Adam(
                [free], lr=recipe.learning_rate, betas=recipe.betas, eps=recipe.eps, weight_decay=recipe.weight_decay
            )
        if self._moments is not None:
            optimiser.load_state_dict(self._moments)
        return optimiser


def averaged_round(model: Model, trainers: Sequence[Trainer], *, weighted: bool) -> Model:
    """Return the model after every client trained once and the server averaged.

    Args:
        model: At the round's start, the same for all.
        trainers: The clients.
        weighted: Whether numbers of records weigh in the mean.
    """
    vectors = [trainer.trained(model) for trainer in trainers]
    return model.moved_to(averaging.mean(vectors, [len(trainer) for trainer in trainers] if weighted else None))
