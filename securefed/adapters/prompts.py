"""Prompt tuning: learned context words in front of the class name.

CoOp (Zhou et al. 2021, arXiv:2109.01134), federated as PromptFL (Guo et al. 2022, arXiv:2208.11625). The
words of a prompt before the class name are embedded vectors ``c_1 .. c_M`` that no vocabulary needs to hold::

    prompt of class k = [start] c_1 .. c_M [name of k] . [end]

They are shared by all classes; ``M * width`` numbers travel each way, 8,192 for sixteen words of width 512. As with
FLoRA, data meet them only through the class texts, so they can be trained exactly
(:class:`securefed.adapters.through_text.ThroughText`) or through class texts
(:class:`securefed.adapters.text_space.TextSpace`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from securefed.adapters import drawing
from securefed.adapters.text_tower import TextTower, TunedText
from securefed.errors import ConfigError
from securefed.rng import Source

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip

STDDEV = 0.02
"""Of drawn context words, as published."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Prompts(TunedText):
    """Class texts of prompts with learned context words.

    Attributes:
        tower: The frozen text tower; its prompts hold the words in places ``1`` to ``words``.
        words: Number of context words.
        start: Initial words, one after the other, shape ``(words * width,)``.
    """

    tower: TextTower = field(repr=False)
    words: int
    start: Tensor = field(repr=False)

    @classmethod
    def from_words(
        cls, clip: Clip, names: Sequence[str], *, words: str = "a photo of a", precision: torch.dtype = torch.float64
    ) -> Prompts:
        """Start from words of the vocabulary.

        Args:
            clip: The frozen model.
            names: Class names.
            words: What stands before the name.
            precision: As in :meth:`securefed.adapters.text_tower.TextTower.of`.

        Raises:
            ConfigError: If there are no words, or prompts are longer than the model can read.
        """
        count = len(clip.tokenizer.encode(words))
        if not count:
            raise ConfigError(f"the context {words!r} has no words; 'a photo of a' is a common one")
        tower = TextTower.of(clip, names, (f"{words} {{}}.",), precision=precision)
        return cls(tower, count, tower.tokens[0, 0, 1 : 1 + count].double().reshape(-1))

    @classmethod
    def drawn(
        cls, clip: Clip, names: Sequence[str], *, rng: Source, words: int = 16, precision: torch.dtype = torch.float64
    ) -> Prompts:
        """Start from random words.

        Args:
            clip: The frozen model.
            names: Class names.
            rng: Of the words; a public seed.
            words: How many.
            precision: As in :meth:`securefed.adapters.text_tower.TextTower.of`.

        Raises:
            ConfigError: If there is no word, or prompts are longer than the model can read.
        """
        placed = cls.from_words(clip, names, words=" ".join(["x"] * words), precision=precision)
        width = placed.tower.tokens.shape[-1]
        return cls(placed.tower, placed.words, drawing.normal(placed.words * width, stddev=STDDEV, rng=rng))

    def texts(self, parameters: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return unit class texts, shape ``(classes, dim)``."""
        tokens = self.tower.tokens
        words = parameters.to(tokens.dtype).reshape(self.words, -1).expand(*tokens.shape[:2], -1, -1)
        joined = torch.cat([tokens[:, :, :1], words, tokens[:, :, 1 + self.words :]], dim=2)
        return self.tower.encode({}, joined, rows)
