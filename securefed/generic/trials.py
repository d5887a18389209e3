"""What a module has to show on public random features before records are clipped by its gradients.

A module that feeds its prompts through a layer gets one gradient for each prompt, a module that normalises over the
batch gets gradients that depend on the neighbours of a record, and neither is an error to Opacus. Clipping those bounds
nothing. What a module was made to hide, such as a branch that only one particular feature takes, no trial finds.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from securefed import rng
from securefed.errors import ConfigError
from securefed.generic.gradients import per_record, summed_loss

TRIALS = (5, 7)
"""Records of the trial batches; of two sizes, so that no other dimension can pass for theirs by chance."""

AGREEMENT = 1e-11
"""Largest relative difference between a record's gradient in a batch and by itself.

If every one of ``n`` records changed that much when one joins them, a clipped sum would move by ``n`` times as much:
for 95,000 records still no more than the slack of :meth:`securefed.encoding.FixedPoint.sensitivity`.
"""


def try_out(module: nn.Module, names: list[str], text: Tensor) -> None:
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
            rows = per_record(module, names, features, labels)
            _gradients_stay_apart(module, names, features, labels, rows)
            _equal_alone(module, names, features, labels, rows)
        except ConfigError:
            raise
        except Exception as error:  # a module is somebody else's code, and may stop in any way
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
        _check_apart(per_record(module, names, changed, others)[rest], rows[rest])


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
            loss = summed_loss(module, features[place, None], labels[place, None])
        found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        alone = torch.cat([each.reshape(-1) for each in found])
        if not torch.linalg.vector_norm(rows[place] - alone) <= AGREEMENT * torch.linalg.vector_norm(alone):
            raise ConfigError(
                "a record's gradient in a batch is not its gradient by itself: the module depends on how many records "
                "there are, or uses a parameter where Opacus does not look"
            )
