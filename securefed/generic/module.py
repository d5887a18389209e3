"""Any small torch module as an adapter, behind guards against the known traps of per-record gradients.

A module is tried before it is trusted, and again wherever its parameters are moved to
(:mod:`securefed.generic.trials`). Adapters with a closed form need no trial.

Who may be told of a refusal depends on whose parameters they are. The first ones, and those that a server moves, are
public: a refusal there is an error. Between local steps a client moves an adapter along its own records, and an error
would tell of them: there a module that fails its trial, or stops on a record, contributes nothing.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from securefed.adapters.base import Adapter, fitting
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.generic.gradients import DenseGradients, without_stopping
from securefed.generic.trials import try_out


@final
class ModuleAdapter(Adapter):
    """A module from features, shape ``(n, feature_dim)``, to class scores, shape ``(n, classes)``.

    Its trainable parameters are those that require a gradient, in the order of ``named_parameters``; everything else is
    public and fixed. The module is copied, in float64 and in training mode, because that is the mode it is tried in.

    Attributes:
        provenance: Where the initial parameters came from; only ``"public"`` may be trained under privacy.

    Guarantees:
        * No row of :meth:`record_gradients` depends on another record, as far as the trials see.
        * :meth:`record_gradients` and :meth:`moved_to` never raise because of a record or of what was made of one. A
          record with a feature that is not finite is never shown to the module; it contributes nothing, as does one on
          which the module stops, and as do all records where the module fails its trial.
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
        self._trusted()

    @cached_property
    def refusal(self) -> ConfigError | None:
        """Why the module is not trusted at its parameters; None if it is."""
        try:
            try_out(self._module, self._names, self._text)
        except ConfigError as error:
            return error
        return None

    def _trusted(self) -> Self:
        if self.refusal is not None:
            raise self.refusal
        return self

    def logits(self, features: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``.

        Raises:
            ConfigError: If the module fails a trial at its parameters.
        """
        self._trusted()
        with torch.no_grad():
            return self._module(features.double())

    def record_gradients(self, features: Tensor, labels: Tensor) -> DenseGradients:
        """Return each record's gradient of the cross-entropy; a row that is not finite where it shall weigh nothing."""
        features = features.double()
        rows = torch.full((len(features), len(self.vector())), torch.nan, dtype=torch.float64)
        # A module could mix a value that is not finite into other records, or stop on it, which everybody would see.
        finite = torch.isfinite(features).all(dim=1)
        if bool(finite.any()) and self.refusal is None:
            rows[finite] = without_stopping(self._module, self._names, features[finite], labels[finite])
        return DenseGradients(rows)

    def vector(self) -> Vector:
        """Return the trainable parameters, one after the other."""
        parameters = (self._module.get_parameter(name) for name in self._names)
        return torch.cat([each.detach().reshape(-1) for each in parameters]).numpy().copy()

    @property
    def chunk(self) -> int:
        """How many records' gradients are made at one time: they are written out."""
        return fitting(self.size)

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other trainable parameters, to be tried out again: a gate may have opened.

        Raises:
            ConfigError: If the vector has another length.
        """
        moved = copy.copy(self)
        vars(moved).pop("refusal", None)
        moved._module = copy.deepcopy(self._module)
        _place(moved._module, self._names, vector)
        return moved

    def settled(self) -> Self:
        """Return the adapter as a server goes on with it.

        Raises:
            ConfigError: If the module fails a trial at its parameters, which are public here.
        """
        return self._trusted()

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
