"""Personalisation: the released adapter, tuned to one client's own records, for that client alone.

Tuning goes along exact gradients, without a bound on a record and without noise, so a personal adapter tells of the
records that it was tuned on. The ledger's rule for it has two halves:

* *What never leaves is not charged.* The released adapter is paid for; whatever the client computes from it and from
  its own records, as often as it likes, nobody else learns. :func:`tuned` takes no ledger.
* *What is measured on it does not leave uncharged*, its accuracy included. One record can change all that a personal
  adapter says, so a figure about it is as sensitive as its range is wide, however many records it is a mean over.
  :func:`measured` is the way out for one such figure: behind the door, charged first, with the noise of its range.

A :class:`Personal` is no :class:`securefed.adapters.base.Adapter`: no round starts from one, no message and no pickle
holds one. What is not protected: somebody who is given the saved file, or may ask for predictions, attacks a model that
was trained without privacy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, final

import numpy as np
import torch
from torch import Tensor

from securefed.adapters.base import Adapter
from securefed.encoding import Integers
from securefed.errors import ConfigError
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency
from securefed.privacy.release import release
from securefed.privacy.sampling import FullBatch, Indices
from securefed.privacy.shares import Shares, SumOfShares
from securefed.rng import Source
from securefed.training import check, clipped_update

UNITS = 2**20
"""Ring units of an accuracy of one: the whole range, and so the sensitivity."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """How a client tunes.

    Attributes:
        learning_rate: Of a step along the mean gradient; the plan's is of the right size.
        clip_norm: Largest norm of a step's mean gradient, for stability; it bounds no record. The plan's, likewise.
        steps: Largest number of steps, on all of the client's records that are not held out.
        proximal: Weight of the distance to the released adapter (Ditto, Li et al. 2021, arXiv:2012.04221); 0 for none.
        held_out: Share of the records that decides after which step to stop.
    """

    learning_rate: float
    clip_norm: float
    steps: int = 50
    proximal: float = 0.0
    held_out: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what tunes nothing."""
        for name, value in (("learning_rate", self.learning_rate), ("clip_norm", self.clip_norm)):
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name} is {value}; it must be positive and finite")
        if self.steps < 1:
            raise ConfigError(f"steps is {self.steps}; tuning takes at least one")
        if not (self.proximal >= 0 and math.isfinite(self.proximal)):
            raise ConfigError(f"proximal is {self.proximal}; it must be finite and not negative")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is {self.held_out}; a share between 0 and 1 decides when to stop")


@final
class Personal:
    """A tuned adapter, for the eyes of the client whose records it was tuned on; see the module's text.

    Attributes:
        provenance: ``"personal"``, which :mod:`securefed.training` refuses to train for others.
    """

    __slots__ = ("_adapter",)

    provenance = "personal"

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def predict(self, features: Tensor) -> Tensor:
        """Return class indices, int64, shape ``(n,)``, for the client's own use."""
        return self._adapter.logits(features).argmax(dim=1)

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Return the share of records that are predicted right, for the client's own eyes: see :func:`measured`."""
        return self._adapter.accuracy(features, labels)

    def save(self, path: Path) -> None:
        """Write everything that is needed to use it as a safetensors file that its owner alone may read.

        Raises:
            FileExistsError: If there is such a file.
        """
        from safetensors.numpy import save

        content = save(self._adapter.tensors(), metadata={"provenance": self.provenance})
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)

    def __repr__(self) -> str:
        """Return no parameter: logs leave."""
        return "Personal(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse to become bytes."""
        raise ConfigError("a personal adapter does not leave its client, so it cannot be pickled; save() keeps it here")


def tuned(released: Adapter, features: Tensor, labels: Tensor, *, tuning: Tuning, rng: Source) -> Personal:
    """Return the adapter after gradient descent on one client's records; nothing is charged, because nothing leaves.

    Of all steps, the one with the least loss on the held-out records is kept; that may be none of them, and then the
    personal adapter is the released one.

    Args:
        released: The adapter that the run ended with.
        features: The client's features, shape ``(n, feature_dim)``.
        labels: Their classes, shape ``(n,)``.
        tuning: How.
        rng: Of the choice of held-out records.

    Raises:
        ConfigError: If the adapter is not a released one, shapes disagree, or there are too few records to hold some
            out.
    """
    check(released, features, labels)
    held = round(tuning.held_out * len(labels))
    if not 0 < held < len(labels):
        raise ConfigError(
            f"{len(labels)} records, of which {tuning.held_out:g} are held out; both parts need one. Use more records"
        )
    order = torch.from_numpy(rng.generator().permutation(len(labels)))
    deciding, own = order[:held], order[held:]
    best, least = released, _loss(released, features[deciding], labels[deciding])
    for local in _descent(released, features[own], labels[own], tuning):
        if (loss := _loss(local, features[deciding], labels[deciding])) < least:
            best, least = local, loss
    return Personal(best)


def measurement(
    *,
    clients: int,
    max_dropouts: int,
    max_colluders: int,
    noise_multiplier: float,
    unit: str = "record",
    adjacency: Adjacency = Adjacency.ADD_OR_REMOVE_ONE,
) -> SumOfShares:
    """Return what it costs each client to let its accuracy into a sum over the cohort.

    The mean over ``m`` clients carries noise of about ``noise_multiplier / m``: worth asking in large cohorts only.

    Args:
        clients: That add their accuracy and a share of the noise.
        max_dropouts: Of these, how many may be missing from the sum.
        max_colluders: Of these, how many may reveal their share.
        noise_multiplier: Ratio of the noise to the range, as a coalition sees it.
        unit: ``record`` or ``client``; the range bounds what either can change.
        adjacency: Which data sets are neighbours; the range bounds how far all of them are apart.

    Raises:
        ConfigError: If a value is out of bounds.
    """
    honest = clients - max_dropouts - max_colluders
    return SumOfShares(
        sensitivity=float(UNITS),
        share_stddev=accounting.share_stddev(noise_multiplier, sensitivity=float(UNITS), honest_shares=honest),
        shares=clients,
        max_dropouts=max_dropouts,
        max_colluders=max_colluders,
        dim=1,
        unit=unit,
        adjacency=adjacency,
    )


def measured(
    personal: Personal,
    features: Tensor,
    labels: Tensor,
    *,
    event: Shares,
    charge: Callable[[Shares], object],
    rng: Source,
) -> Integers:
    """Return the personal adapter's accuracy on the client's own held-out records, with a share of noise.

    Args:
        personal: The adapter.
        features: Records that it was not tuned on, shape ``(n, feature_dim)``; without any, the accuracy counts as 0.
        labels: Their classes, shape ``(n,)``.
        event: See :func:`measurement`.
        charge: Charges the client's ledger.
        rng: Of the noise: :func:`securefed.rng.secure` in use.

    Returns:
        Int64, shape ``(1,)``, in units of ``1 / UNITS``: the client's part of a sum over the cohort.

    Raises:
        ConfigError: If the event is about less than the whole range, or about more than one number; nothing was
            charged.
        BudgetExceeded: If the ledger refuses; nothing was measured.
    """
    if event.sensitivity < UNITS or event.dim != 1:
        raise ConfigError(
            f"the event is about {event.dim} numbers of sensitivity {event.sensitivity:g}; an accuracy is one, and a "
            f"single record of the client can move it by its whole range, {UNITS} units"
        )

    def answer(records: Indices) -> Integers:
        found = personal.accuracy(features[records], labels[records]) if len(records) else 0.0
        return np.array([round(UNITS * found)], np.int64)

    return release(FullBatch(event).draw(len(labels), number=1, rng=rng), answer, charge=charge, rng=rng)


def _descent(released: Adapter, features: Tensor, labels: Tensor, tuning: Tuning) -> Iterator[Adapter]:
    """Yield the adapter after each step."""
    rate, start, local = tuning.learning_rate, released.vector(), released
    for _ in range(tuning.steps):
        mean = clipped_update(local, features, labels, clip_norm=tuning.clip_norm, steps=1, learning_rate=rate)
        local = local.moved_to(local.vector() - rate * (mean + tuning.proximal * (local.vector() - start)))
        yield local


def _loss(adapter: Adapter, features: Tensor, labels: Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(adapter.logits(features), labels))
