"""Any small torch module as an adapter: per-record gradients through Opacus, behind guards against its known traps.

Opacus (Yousefpour et al. 2021, arXiv:2109.12298) records what enters and leaves every layer and forms one gradient for
each row of the layers' first dimension. Whether such a row is a record is for the caller to know: a module that feeds
its prompts through a layer gets one gradient for each prompt, a module that normalises over the batch gets gradients
that depend on the neighbours of a record, and neither is an error to Opacus. Clipping those bounds nothing.

So a module is tried before it is trusted, on public random features and at the very parameters that it is to be used
with (:meth:`ModuleAdapter.moved_to` tries again): see :func:`_try_out`. What a module was made to hide, such as a
branch that only one particular feature takes, no trial finds; adapters with a closed form need none.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from securefed import rng
from securefed.adapters.base import Adapter, RecordGradients
from securefed.encoding import Vector
from securefed.errors import ConfigError

TRIALS = (5, 7)
"""Records of the trial batches; of two sizes, so that no other dimension can pass for theirs by chance."""

AGREEMENT = 1e-9
"""Largest relative difference between a record's gradient in a batch and by itself."""


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


@final
class ModuleAdapter(Adapter):
    """A module from features, shape ``(n, feature_dim)``, to class scores, shape ``(n, classes)``.

    Its trainable parameters are those that require a gradient, in the order of ``named_parameters``; everything else is
    public and fixed. The module is copied, in float64 and in training mode, because that is the mode it is tried in.

    Attributes:
        provenance: Where the initial parameters came from; only ``"public"`` may be trained under privacy.

    Guarantees:
        * No row of :meth:`record_gradients` depends on another record, as far as the trials see.
        * A record with a feature that is not finite is never shown to the module and contributes nothing.
    """

    def __init__(self, module: nn.Module, *, text: Tensor, scale: float, provenance: str) -> None:
        """Copy a module and try it out.

        Args:
            module: Any module whose layers Opacus can follow.
            text: Unit class texts of the frozen model, shape ``(classes, feature_dim)``.
            scale: Its logit scale.
            provenance: ``"public"`` if no record had a part in the module's parameters and buffers.

        Raises:
            ConfigError: If the module fails a trial; the message names which.
        """
        self.provenance = provenance
        self._text, self._scale = text.double(), scale
        self._module = copy.deepcopy(module).double().train()
        self._names = _trainable(self._module)
        _try_out(self._module, self._names, self._text)

    def logits(self, features: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``."""
        with torch.no_grad():
            return self._module(features.double())

    def record_gradients(self, features: Tensor, labels: Tensor) -> DenseGradients:
        """Return each record's gradient of the cross-entropy; a row that is not finite where a feature is not.

        Raises:
            ConfigError: If the layers saw another number of rows than there are records.
        """
        features = features.double()
        rows = torch.full((len(features), len(self.vector())), torch.nan, dtype=torch.float64)
        # A module could mix a value that is not finite into other records, or stop on it, which everybody would see.
        finite = torch.isfinite(features).all(dim=1)
        if bool(finite.any()):
            rows[finite] = _gradients(self._module, self._names, features[finite], labels[finite])
        return DenseGradients(rows)

    def vector(self) -> Vector:
        """Return the trainable parameters, one after the other."""
        parameters = (self._module.get_parameter(name) for name in self._names)
        return torch.cat([each.detach().reshape(-1) for each in parameters]).numpy().copy()

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other trainable parameters, tried out again: a gate may have opened.

        Raises:
            ConfigError: If the module fails a trial there.
        """
        module = copy.deepcopy(self._module)
        _place(module, self._names, vector)
        return type(self)(module, text=self._text, scale=self._scale, provenance=self.provenance)

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return the frozen model's own class scores, shape ``(n, classes)``."""
        return self._scale * features.double() @ self._text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return all parameters and buffers of the module, the texts and the scale."""
        state = {f"module.{name}": tensor.detach().numpy() for name, tensor in self._module.state_dict().items()}
        return state | {"text": self._text.numpy(), "scale": np.array([self._scale])}


def _trainable(module: nn.Module) -> list[str]:
    """Return the names of the trainable parameters.

    Raises:
        ConfigError: If there is none, or one has two names: Opacus would not add up the gradients of its two places.
    """
    named = [(name, each) for name, each in module.named_parameters(remove_duplicate=False) if each.requires_grad]
    if not named:
        raise ConfigError("the module has no parameter that requires a gradient; nothing could be trained")
    if len({id(each) for _, each in named}) < len(named):
        raise ConfigError("the module has tied parameters: one tensor under several names. Give each layer its own")
    return [name for name, _ in named]


def _place(module: nn.Module, names: list[str], vector: Vector) -> None:
    """Write a vector into the trainable parameters."""
    parameters = [module.get_parameter(name) for name in names]
    expected = sum(each.numel() for each in parameters)
    if vector.shape != (expected,):
        raise ConfigError(f"the vector has shape {vector.shape}; the module has {expected} trainable parameters")
    values = torch.from_numpy(vector.copy()).split([each.numel() for each in parameters])
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value.reshape(parameter.shape))


def _gradients(module: nn.Module, names: list[str], features: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of each record's loss through Opacus, shape ``(n, dim)``."""
    from opacus import GradSampleModule

    # Opacus' own check of modules is replaced by the trials, which look at what modules do, not at what they are.
    watched = GradSampleModule(module, loss_reduction="sum", strict=False)
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")  # that no gradient of features is needed
            _loss(watched, features, labels).backward()
        rows = [_rows(name, module.get_parameter(name), len(features)) for name in names]
    finally:
        watched.zero_grad(set_to_none=True)
        watched.to_standard_module()
    return torch.cat(rows, dim=1)


def _loss(module: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
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


def _try_out(module: nn.Module, names: list[str], text: Tensor) -> None:
    """Try a module on public random features.

    Raises:
        ConfigError: If its scores are not a function of its features; if a record's scores or gradient change with
            another record or with their number; if its layers see other rows than records; if a record's gradient is
            not what autograd finds for the record by itself; or if the module stops.
    """
    classes, dim = text.shape
    draw = rng.seeded(0, "trial").generator()
    for records in TRIALS:
        features = torch.from_numpy(draw.normal(size=(records, dim)))
        labels = torch.arange(records) % classes
        try:
            _is_a_function(module, features)
            _scores_stay_apart(module, features)
            rows = _gradients(module, names, features, labels)
            _gradients_stay_apart(module, names, features, labels, rows)
            _equal_alone(module, names, features, labels, rows)
        except ConfigError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"the module, or Opacus on it, stopped on {records} random features: {error}") from error


def _is_a_function(module: nn.Module, features: Tensor) -> None:
    """Refuse randomness, and anything that the module keeps from one batch to the next."""
    before = torch.get_rng_state()
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        first, _, again = module(features), module(2 * features + 1), module(features)
    drawn = not torch.equal(before, torch.get_rng_state())
    torch.set_rng_state(before)
    if drawn or not torch.equal(first, again):
        raise ConfigError(
            "the module gives different scores for the same features: it draws random numbers (dropout) or remembers "
            "earlier batches. Remove that part"
        )
    if changed := [name for name, tensor in module.state_dict().items() if not torch.equal(tensor, kept[name])]:
        raise ConfigError(
            f"the module changed {changed[0]!r} when it saw features: running statistics leave with the adapter and "
            "no noise covers them. Use fixed ones"
        )


def _scores_stay_apart(module: nn.Module, features: Tensor) -> None:
    """Refuse a module in which one record changes another's scores."""
    with torch.no_grad():
        scores = module(features)
        for rest, changed, _ in _neighbours(features, torch.zeros(len(features))):
            _check_apart(module(changed)[rest], scores[rest])


def _gradients_stay_apart(module: nn.Module, names: list[str], features: Tensor, labels: Tensor, rows: Tensor) -> None:
    """Refuse a module, or a loss, in which one record or its label changes another's gradient."""
    for rest, changed, others in _neighbours(features, labels):
        _check_apart(_gradients(module, names, changed, others)[rest], rows[rest])


def _neighbours(features: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield batches with one record turned, made huge or labelled otherwise, and the places of the rest."""
    for place in (0, len(features) - 1):
        for factor, shift in ((-1.0, 0), (1e3, 0), (1.0, 1)):
            changed, others = features.clone(), labels.clone()
            changed[place] *= factor
            others[place] = labels[(place + shift) % len(labels)]
            yield torch.arange(len(features)) != place, changed, others


def _check_apart(found: Tensor, expected: Tensor) -> None:
    if not torch.equal(found, expected):
        raise ConfigError(
            "one record changes the gradient of another: the module mixes the batch (batch normalisation, attention or "
            "negatives across it, a weighted mean). Clipping would not bound what a record adds"
        )


def _equal_alone(module: nn.Module, names: list[str], features: Tensor, labels: Tensor, rows: Tensor) -> None:
    """Refuse a module whose per-record gradients are not those of each record by itself, by plain autograd."""
    parameters = [module.get_parameter(name) for name in names]
    for place in range(len(features)):
        with torch.enable_grad():
            loss = _loss(module, features[place, None], labels[place, None])
        found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        alone = torch.cat([each.reshape(-1) for each in found])
        if not torch.linalg.vector_norm(rows[place] - alone) <= AGREEMENT * torch.linalg.vector_norm(alone):
            raise ConfigError(
                "a record's gradient in a batch is not its gradient by itself: the module depends on how many records "
                "there are, or uses a parameter where Opacus does not look"
            )
