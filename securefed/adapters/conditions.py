"""When training through class texts is as private as the ledger says: eight conditions, each tried before a run.

The claim: with ``M = sum_i clip(grad_T l_i) + noise``, each round is a Gaussian mechanism of sensitivity ``clip_norm``
given what was released before, and everything that the server makes of ``M`` is post-processing. The proof needs all of
:class:`Condition`. Each is tried on public random features at the very adapter that is to be trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from securefed import rng
from securefed.adapters.base import Adapter
from securefed.adapters.text_tower import TunedText
from securefed.errors import ConfigError

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip

AGREEMENT = 1e-9
"""Largest relative difference between what should be equal but for rounding."""


class Condition(StrEnum):
    """What the proof needs, in the words of the errors."""

    PUBLIC_CLASSES = "class list and prompts are public and the same for all clients"
    ONE_PATH = "records meet the parameters through the class texts alone"
    RECORDS_APART = "no record changes another's gradient"
    ONE_TEXT = "all images meet the same class texts"
    NO_COINS = "the text tower draws no random numbers"
    PUBLIC_NORMALISER = "gradients are not divided by a number of records"
    CLIPPED_AS_RELEASED = "what is clipped is what leaves the client: class texts, also after local steps"
    NOTHING_ELSE = "nothing else was fitted to records: the scale is the frozen model's"


class TextSpaceError(ConfigError):
    """An adapter that cannot be trained privately through class texts.

    Attributes:
        condition: The one that does not hold.
    """

    def __init__(self, condition: Condition, found: str) -> None:
        super().__init__(f"training through class texts needs that {condition}; {found}")
        self.condition = condition


def check(adapter: Adapter, encoder: TunedText, parameters: Tensor, *, clip: Clip, classes: Sequence[str]) -> None:
    """Refuse an adapter for which one of the conditions does not hold.

    Args:
        adapter: What clients train.
        encoder: The class texts behind it.
        parameters: Where it starts.
        clip: The frozen model that features come from.
        classes: The plan's class names.

    Raises:
        TextSpaceError: Naming the condition.
    """
    _public_classes(encoder, classes)
    _no_coins(encoder, parameters)
    _one_path(adapter, encoder, clip)
    features, labels = _trial(encoder)
    _one_text(adapter, features)
    _records_apart(adapter, features, labels)
    _public_normaliser(adapter, features, labels)
    _clipped_as_released(adapter)
    _nothing_else(adapter, encoder, features)


def _trial(encoder: TunedText) -> tuple[Tensor, Tensor]:
    classes, dim = len(encoder.tower.names), encoder.tower.projection.shape[1]
    drawn = torch.from_numpy(rng.seeded(0, "trial").generator().normal(size=(7, dim)))
    return torch.nn.functional.normalize(drawn, dim=1), torch.arange(7) % classes


def _public_classes(encoder: TunedText, classes: Sequence[str]) -> None:
    if encoder.tower.names != tuple(classes):
        raise TextSpaceError(
            Condition.PUBLIC_CLASSES,
            f"the texts are those of {', '.join(encoder.tower.names)}, the plan's of {', '.join(classes)}. The texts "
            "of only the classes that somebody holds would tell which those are",
        )


def _no_coins(encoder: TunedText, parameters: Tensor) -> None:
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again = encoder.texts(parameters), encoder.texts(parameters)
    drawn = not torch.equal(before, torch.get_rng_state())
    torch.set_rng_state(before)
    if drawn or not torch.equal(first, again):
        raise TextSpaceError(Condition.NO_COINS, "two passes differ, or drew from a generator (dropout). Remove that")


def _one_path(adapter: Adapter, encoder: TunedText, clip: Clip) -> None:
    loose = [name for name, parameter in clip.model.named_parameters() if parameter.requires_grad]
    active = [name for name, module in clip.model.named_modules() if module.training]
    if loose or active:
        raise TextSpaceError(
            Condition.ONE_PATH, f"{(loose or active)[0] or 'the model'!r} of the model still learns. Freeze the model"
        )
    expected = len(encoder.tower.names) * encoder.tower.projection.shape[1]
    if len(adapter.vector()) != expected:
        raise TextSpaceError(
            Condition.ONE_PATH, f"{len(adapter.vector())} numbers are trained, the class texts have {expected}"
        )


def _one_text(adapter: Adapter, features: Tensor) -> None:
    """Refuse scores that are not linear in the features: texts then depend on the image."""
    with torch.no_grad():
        together = adapter.logits(features[:1] + features[1:2])
        apart = adapter.logits(features[:1]) + adapter.logits(features[1:2])
    if not _near(together, apart):
        raise TextSpaceError(
            Condition.ONE_TEXT, "the scores of the sum of two features are not the sum of their scores"
        )


def _records_apart(adapter: Adapter, features: Tensor, labels: Tensor) -> None:
    rows = adapter.record_gradients(features, labels).dense()
    for factor, shift in ((-1.0, 0), (1e3, 0), (1.0, 1)):
        changed, others = features.clone(), labels.clone()
        changed[2] *= factor
        others[2] = labels[2 + shift]
        after = adapter.record_gradients(changed, others).dense()
        rest = torch.arange(len(features)) != 2
        if len(after) != len(features) or not torch.equal(after[rest], rows[rest]):
            raise TextSpaceError(
                Condition.RECORDS_APART, "one changed record changed others (batch statistics, or negatives of a batch)"
            )


def _public_normaliser(adapter: Adapter, features: Tensor, labels: Tensor) -> None:
    together = adapter.record_gradients(features, labels).dense()
    alone = [adapter.record_gradients(features[i, None], labels[i, None]).dense() for i in range(len(features))]
    if not _near(together, torch.cat(alone)):
        raise TextSpaceError(
            Condition.PUBLIC_NORMALISER,
            "a record's gradient depends on how many there are (a mean). Use the sum, divided by a public number",
        )


def _clipped_as_released(adapter: Adapter) -> None:
    moved = adapter.vector() + 1.0
    if not np.array_equal(adapter.moved_to(moved).vector(), moved):
        raise TextSpaceError(
            Condition.CLIPPED_AS_RELEASED,
            "a moved adapter is not where it was moved to: its steps go through the tower",
        )


def _nothing_else(adapter: Adapter, encoder: TunedText, features: Tensor) -> None:
    texts = torch.from_numpy(adapter.vector()).reshape(len(encoder.tower.names), -1)
    if not _near(adapter.logits(features), encoder.tower.scale * features @ texts.T):
        raise TextSpaceError(
            Condition.NOTHING_ELSE,
            f"the scores are not {encoder.tower.scale:.6g} times the cosines. A temperature or bias that was fitted to "
            "records is a release of its own and has to be charged",
        )


def _near(found: Tensor, expected: Tensor) -> bool:
    return bool(torch.linalg.vector_norm(found - expected) <= AGREEMENT * torch.linalg.vector_norm(expected))
