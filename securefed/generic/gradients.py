"""One gradient for each record of any torch module, through Opacus.

Opacus (Yousefpour et al. 2021, arXiv:2109.12298) records what enters and leaves every layer and forms one gradient for
each row of the layers' first dimension. Whether such a row is a record is for the caller to know: here their number is
checked on every batch, and :mod:`securefed.generic.trials` looks at the rest.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from securefed.adapters.base import RecordGradients
from securefed.errors import ConfigError


@final
@dataclass(frozen=True, slots=True, eq=False)
class DenseGradients(RecordGradients):
    """Gradients written out, one row a record.

    Attributes:
        rows: Shape ``(n, dim)``, which takes ``8 n dim`` bytes.
    """

    rows: Tensor

    def norms(self) -> Tensor:
        """Return the L2 norm of every row."""
        return torch.linalg.vector_norm(self.rows, dim=1)

    def weighted_sum(self, weights: Tensor) -> Tensor:
        """Return the sum as one product with the rows that have a weight."""
        used = weights > 0
        return weights[used] @ self.rows[used]

    def dense(self) -> Tensor:
        """Return the rows."""
        return self.rows


def losses(scores: Tensor, labels: Tensor) -> Tensor:
    """Return each record's cross-entropy, shape ``(n,)``: neither a mean nor weighted, so that records stay apart."""
    return nn.functional.cross_entropy(scores, labels, reduction="none")


def per_record(module: nn.Module, names: list[str], features: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of each record's loss through Opacus, shape ``(n, dim)``.

    The work is done on a copy: a module that stops half-way leaves Opacus' notes of this batch on its layers, and the
    gradients of all later batches would miss.
    """
    from opacus import GradSampleModule

    module = copy.deepcopy(module)
    # Opacus' own check of modules is replaced by the trials, which look at what modules do, not at what they are.
    watched = GradSampleModule(module, loss_reduction="sum", strict=False)
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")  # that no gradient of features is needed
            summed_loss(watched, features, labels).backward()
        rows = [_rows(name, module.get_parameter(name), len(features)) for name in names]
    finally:
        watched.zero_grad(set_to_none=True)
        watched.to_standard_module()
    return torch.cat(rows, dim=1)


def without_stopping(module: nn.Module, names: list[str], features: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of each record's loss; one that is not finite for a record on which the module stops."""
    try:
        return per_record(module, names, features, labels)
    except Exception:  # a module is somebody else's code, and may stop in any way
        if len(features) == 1:
            return torch.full((1, sum(module.get_parameter(name).numel() for name in names)), torch.nan).double()
        halves = zip(features.tensor_split(2), labels.tensor_split(2), strict=True)
        return torch.cat([without_stopping(module, names, *half) for half in halves])


def summed_loss(module: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    """Return the plain sum of the records' losses."""
    scores = module(features)
    if scores.ndim != 2 or len(scores) != len(features):
        raise ConfigError(f"the module made scores of shape {tuple(scores.shape)} from {len(features)} records")
    each = losses(scores, labels)
    if each.shape != (len(features),):
        raise ConfigError(f"the loss has shape {tuple(each.shape)}; it must be one number a record, not a mean")
    return each.sum()


def _rows(name: str, parameter: nn.Parameter, records: int) -> Tensor:
    """Return the gradients of one parameter, shape ``(records, numel)``."""
    samples = getattr(parameter, "grad_sample", None)
    if samples is None:
        raise ConfigError(
            f"parameter {name!r} has no per-record gradient: it is unused, or no layer that Opacus follows"
        )
    if not isinstance(samples, Tensor) or len(samples) != records:
        found = len(samples)
        raise ConfigError(
            f"parameter {name!r} has gradients for {found} rows, but there are {records} records: its layer sees "
            "something else, such as prompts, as its batch. Clipping those would not bound what a record adds"
        )
    return samples.detach().reshape(records, -1)
