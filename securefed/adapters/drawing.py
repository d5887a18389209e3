"""Initial parameters, drawn from a public seed."""

from __future__ import annotations

import torch
from torch import Tensor

from securefed.rng import Source


def uniform(*shape: int, bound: float, rng: Source) -> Tensor:
    """Return independent uniform values in ``[-bound, bound)``, float64; linear layers start so in PyTorch."""
    return torch.from_numpy(rng.generator().uniform(-bound, bound, size=shape))


def normal(*shape: int, stddev: float, rng: Source) -> Tensor:
    """Return independent Gaussian values, float64."""
    return torch.from_numpy(rng.generator().normal(0.0, stddev, size=shape))
