"""Leave one domain out, as FedCLIP was published: who trains, who chooses the round, and what is reported.

Each domain but one is a client. In every round all clients train and the server averages. *Personalised* is the
accuracy of the one adapter that all share, on each client's own test records; *generalised* is its accuracy on the
domain that nobody trained on. Both are those of the round in which the clients' validation accuracy was best, so that
no test record has a say in the choice.

For comparison only, as :mod:`securefed.adapters.published` is: accuracies are exact here, and a client that reported
one in earnest would have released something about its records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias, final

import torch
from torch import Tensor

from securefed.adapters.base import top1
from securefed.adapters.cosine import CosineModel
from securefed.adapters.published import Model, Recipe, Trainer, averaged_round
from securefed.errors import ConfigError
from securefed.rng import Source

Records: TypeAlias = tuple[Tensor, Tensor]
"""Inputs, one row a record, and their classes, shape ``(n,)``."""

TRAIN, VALIDATION = 0.6, 0.2
"""Shares of a client's records, as published; the rest is for its test."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """One client's records.

    Attributes:
        train: Steps are taken on these.
        validation: They choose the round.
        test: They are reported on.
    """

    train: Records
    validation: Records
    test: Records

    @classmethod
    def split(cls, inputs: Tensor, labels: Tensor, *, rng: Source) -> Domain:
        """Shuffle and part one domain's records.

        Raises:
            ConfigError: If a part would be empty.
        """
        sizes = [int(TRAIN * len(labels)), int(VALIDATION * len(labels))]
        if 0 in sizes:
            raise ConfigError(
                f"{len(labels)} records cannot be parted into training, validation and test; use 5 or more"
            )
        order = torch.from_numpy(rng.generator().permutation(len(labels)))
        parts = order.split([*sizes, len(labels) - sum(sizes)])
        return cls(*((inputs[part], labels[part]) for part in parts))


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What is reported.

    Attributes:
        round: Whose adapter it is about, from 0, which is the initial one.
        personalised: Accuracy on each client's test records.
        generalised: Accuracy on the domain that was left out.
    """

    round: int
    personalised: tuple[float, ...]
    generalised: float


def leave_one_out(
    model: Model, seen: Sequence[Domain], unseen: Records, *, recipe: Recipe, rounds: int, rng: Source
) -> Outcome:
    """Train on all domains but one and report.

    Args:
        model: The initial one.
        seen: The clients.
        unseen: All records of the domain that is left out.
        recipe: How clients train; ``recipe.weighted`` is False as published.
        rounds: How many; none reports the initial model.
        rng: Of the clients' batches.

    Raises:
        ConfigError: If there is no client.
    """
    if not seen:
        raise ConfigError("no domain is left to train on; leave one out of two or more")
    trainers = [Trainer(recipe, *client.train, rng=rng) for client in seen]
    best, chosen, at = _validated(model, seen), model, 0
    for number in range(1, rounds + 1):
        model = averaged_round(model, trainers, weighted=recipe.weighted)
        if (found := _validated(model, seen)) > best:
            best, chosen, at = found, model, number
    personalised = tuple(_accuracy(chosen, client.test) for client in seen)
    return Outcome(at, personalised, _accuracy(chosen, unseen))


def _validated(model: CosineModel, seen: Sequence[Domain]) -> float:
    return fmean(_accuracy(model, client.validation) for client in seen)


def _accuracy(model: CosineModel, records: Records) -> float:
    inputs, labels = records
    return top1(model.logits(inputs), labels)
