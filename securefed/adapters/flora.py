"""FLoRA: low-rank changes of CLIP's text tower, beside frozen image features (Nguyen et al. 2024, arXiv:2404.15182).

In every block of the text tower the weight ``W`` of attention's output projection (and others, if chosen) becomes
``W + alpha (A B)^T`` with rank 2 and ``alpha = 32`` as published. With ``T(A, B)`` the unit class texts of that tower
and unit features ``f``::

    logits = scale f T(A, B)^T                          (n, classes)

``A`` starts Gaussian with variance ``1 / rank``, ``B`` at zero, so the first texts are CLIP's own. For ViT-B-32's text
tower, 12 blocks of width 512, that makes 24,576 parameters.

Two ways to train it, by what clients send:

* :func:`exact`: gradients with respect to ``A`` and ``B`` themselves, as published; each record's, so that they can be
  clipped. The server averages ``A`` and ``B`` one by one, which is not the mean of their products once clients took
  steps of their own. ``"b"`` trains ``B`` only (FFA-LoRA, Sun et al. 2024, arXiv:2403.12313): exact, and half as long.
  ``"alternating"`` trains ``B`` and ``A`` in turn, round by round (RoLoRA, Chen et al. 2024, arXiv:2409.02346): exact.
* :func:`of_prototypes`: gradients with respect to the class texts, ``classes * dim`` numbers, which add up exactly;
  only the server runs the text tower. Its steps are post-processing of the noisy sums
  (:mod:`securefed.adapters.text_space`). This is how FLoRA is trained under privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from torch import Tensor

from securefed.adapters.lora import Lora, Site
from securefed.adapters.text_space import Distil, Fit, TextSpace, When
from securefed.adapters.text_tower import TextTower, TunedText
from securefed.adapters.through_text import ThroughText, Trained
from securefed.rng import Source

if TYPE_CHECKING:
    from securefed.adapters.clip import Clip

RANK, ALPHA = 2, 32.0
"""As published."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class LowRankText(TunedText):
    """Class texts of a text tower with low-rank changes.

    Attributes:
        tower: The frozen text tower.
        lora: Where the factors lie.
        start: Initial factors, shape ``(size,)``.
    """

    tower: TextTower = field(repr=False)
    lora: Lora = field(repr=False)
    start: Tensor = field(repr=False)

    @classmethod
    def drawn(
        cls, tower: TextTower, *, rng: Source, sites: Sequence[Site] = ("out",), rank: int = RANK, alpha: float = ALPHA
    ) -> LowRankText:
        """Draw the initial factors.

        Args:
            tower: Whose weights are changed.
            rng: Of ``A``; a public seed, the same for all clients.
            sites: Which weights of each block are changed: some of ``out``, ``q``, ``k``, ``v``, ``mlp``.
            rank: Of each change.
            alpha: Its scale.

        Raises:
            ConfigError: If the choices describe no low-rank change.
        """
        lora = Lora.at(tower, sites, rank=rank, alpha=alpha)
        return cls(tower, lora, lora.drawn(rng=rng))

    def texts(self, parameters: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return unit class texts, shape ``(classes, dim)``."""
        return self.tower.encode(self.lora.weights(self.tower, parameters), rows=rows)


def exact(text: LowRankText, *, trained: Trained = "both") -> ThroughText:
    """Return FLoRA whose factors are trained by their own gradients.

    Args:
        text: The tower with its initial factors.
        trained: ``both``, ``b`` or ``alternating``; the last needs a server without momentum, because what the vector
            holds changes from round to round.

    Raises:
        ConfigError: If the factors do not allow the choice, or their derivative does not fit into memory.
    """
    return ThroughText.over(text, is_a=text.lora.is_a(), trained=trained)


def of_prototypes(
    text: LowRankText, *, clip: Clip, classes: Sequence[str], fit: Fit | None = None, when: When = "at the end"
) -> TextSpace:
    """Return FLoRA that is trained through class texts.

    Args:
        text: The tower with its initial factors.
        clip: The frozen model that features come from.
        classes: The plan's class names.
        fit: How the server makes factors of noisy texts; by default :class:`securefed.adapters.text_space.Distil`.
        when: How often it does.

    Raises:
        TextSpaceError: If a condition of the privacy argument does not hold.
    """
    return TextSpace.over(text, clip=clip, classes=classes, fit=fit or Distil(), when=when)
