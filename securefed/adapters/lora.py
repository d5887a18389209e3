"""Low-rank changes of a text tower's weights (Hu et al. 2021, arXiv:2106.09685), and how servers average them.

A weight ``W`` (out, in) becomes ``W + alpha (A B)^T`` with ``A`` (in, rank) and ``B`` (rank, out); only ``A`` and ``B``
are trained. The change of several clients is the mean of their products, and the mean of products is not the product of
means: averaging ``A`` and ``B`` one by one is exact only if all clients share one of the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from securefed.adapters import drawing
from securefed.adapters.text_tower import TextTower
from securefed.errors import ConfigError
from securefed.rng import Source

Site = Literal["out", "q", "k", "v", "mlp"]
"""Weights of a block: attention's output, query, key and value projections; both layers of the perceptron."""

SITES: tuple[Site, ...] = ("out", "q", "k", "v", "mlp")

_PACKED = {"q": 0, "k": 1, "v": 2}
"""Which third of a block's ``in_proj_weight`` a projection is."""


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """Where one weight's two factors lie in the vector of parameters: ``A`` row by row, then ``B`` row by row.

    Attributes:
        weight: Name of the weight in the transformer.
        third: Which third of a packed weight is changed; None for a whole one.
        start: Of ``A``.
        inputs: Columns of the weight.
        outputs: Rows of the weight, or of its third.
        rank: Of the change.
    """

    weight: str
    third: int | None
    start: int
    inputs: int
    outputs: int
    rank: int

    @property
    def middle(self) -> int:
        """Where ``A`` ends and ``B`` starts."""
        return self.start + self.inputs * self.rank

    @property
    def end(self) -> int:
        """Where ``B`` ends."""
        return self.middle + self.rank * self.outputs

    def product(self, parameters: Tensor) -> Tensor:
        """Return ``(A B)^T``, shape ``(outputs, inputs)``."""
        a = parameters[self.start : self.middle].reshape(self.inputs, self.rank)
        b = parameters[self.middle : self.end].reshape(self.rank, self.outputs)
        return (a @ b).T


@final
@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """Low-rank factors at the same sites of every block.

    Attributes:
        pairs: The factors.
        alpha: What the product is multiplied with: ``alpha`` itself, not ``alpha / rank``.
    """

    pairs: tuple[Pair, ...]
    alpha: float

    @classmethod
    def at(cls, tower: TextTower, sites: Sequence[Site], *, rank: int, alpha: float) -> Lora:
        """Lay out the factors.

        Args:
            tower: Whose weights are changed.
            sites: Some of :data:`SITES`.
            rank: Of each change.
            alpha: Its scale.

        Raises:
            ConfigError: If a site is unknown or named twice, or ``rank`` or ``alpha`` is not positive.
        """
        if not sites or len(set(sites)) < len(sites) or not set(sites) <= set(SITES):
            raise ConfigError(f"sites are {', '.join(sites) or 'none'}; name some of {', '.join(SITES)}, each once")
        if rank < 1:
            raise ConfigError(f"rank is {rank}; it must be at least 1")
        if not (alpha > 0 and math.isfinite(alpha)):
            raise ConfigError(f"alpha is {alpha}; it must be positive and finite")
        shapes = {name: tuple(weight.shape) for name, weight in tower.blocks.named_parameters()}
        pairs: list[Pair] = []
        for name, third in _weights(shapes, sites):
            rows, columns = shapes[name]
            outputs = rows if third is None else rows // 3
            pairs.append(Pair(name, third, pairs[-1].end if pairs else 0, columns, outputs, rank))
        return cls(tuple(pairs), alpha)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.pairs[-1].end

    def drawn(self, *, rng: Source) -> Tensor:
        """Return initial parameters: ``A`` Gaussian of variance ``1 / rank``, ``B`` zero, so nothing is changed yet."""
        parameters = torch.zeros(self.size, dtype=torch.float64)
        for pair in self.pairs:
            count = pair.middle - pair.start
            parameters[pair.start : pair.middle] = drawing.normal(count, stddev=pair.rank**-0.5, rng=rng)
        return parameters

    def weights(self, tower: TextTower, parameters: Tensor) -> dict[str, Tensor]:
        """Return the changed weights, by name."""
        changes = {name: torch.zeros_like(tower.blocks.get_parameter(name)) for name in {p.weight for p in self.pairs}}
        for pair in self.pairs:
            change = self.alpha * pair.product(parameters.to(tower.projection.dtype))
            if pair.third is not None:
                above, below = pair.third * pair.outputs, (2 - pair.third) * pair.outputs
                change = torch.nn.functional.pad(change, (0, 0, above, below))
            changes[pair.weight] = changes[pair.weight] + change
        return {name: tower.blocks.get_parameter(name) + change for name, change in changes.items()}

    def is_a(self) -> Tensor:
        """Return which parameters belong to an ``A``, bool, shape ``(size,)``; all others belong to a ``B``."""
        return torch.cat([torch.arange(pair.end - pair.start) < pair.middle - pair.start for pair in self.pairs])


def averaging_error(lora: Lora, clients: Sequence[Tensor]) -> float:
    """Return how far the product of mean factors is from the mean product, relative to the latter, over all weights.

    Args:
        lora: The layout.
        clients: Each client's parameters, shape ``(size,)``.
    """
    stacked = torch.stack(list(clients))
    mean = stacked.mean(0)
    wrong = total = 0.0
    for pair in lora.pairs:
        exact = torch.stack([pair.product(each) for each in stacked]).mean(0)
        wrong += float((pair.product(mean) - exact).square().sum())
        total += float(exact.square().sum())
    return math.sqrt(wrong / total) if total else 0.0


def _weights(shapes: dict[str, tuple[int, ...]], sites: Sequence[Site]) -> list[tuple[str, int | None]]:
    """Return the names of the changed weights, block by block, and which third of a packed one is meant."""
    found: list[tuple[str, int | None]] = []
    for block in [name.removesuffix("attn.in_proj_weight") for name in shapes if name.endswith("attn.in_proj_weight")]:
        for site in sites:
            if site == "mlp":
                found += [(f"{block}mlp.c_fc.weight", None), (f"{block}mlp.c_proj.weight", None)]
            elif site == "out":
                found.append((f"{block}attn.out_proj.weight", None))
            else:
                found.append((f"{block}attn.in_proj_weight", _PACKED[site]))
    return found
