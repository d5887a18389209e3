"""What a plan needs to know of a model: public numbers, read from its weights once and written down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from securefed.adapters import clip


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Public numbers of a CLIP model.

    Attributes:
        name: Of the architecture.
        digest: SHA-256 of the weights.
        dim: Length of features.
        scale: Of the logits (already exponentiated).
        text_width: Of the text tower.
        text_layers: Its blocks.
    """

    name: str
    digest: str
    dim: int
    scale: float
    text_width: int
    text_layers: int


EMBEDDED = Facts(
    name=clip.EMBEDDED,
    digest=clip.EMBEDDED_SHA256,
    dim=clip.EMBEDDED_DIM,
    scale=19.016603469848633,
    text_width=128,
    text_layers=2,
)
"""Of the model that comes with the package, so that nobody waits for it to be loaded."""


def facts(name: str, *, pretrained: str | Path | None = None) -> Facts:
    """Return the facts of a model on this machine.

    Args:
        name: As :func:`securefed.adapters.clip.load` takes it.
        pretrained: Likewise.

    Raises:
        ConfigError: If the name is unknown, or there is no file of weights that fits it.
    """
    if name == clip.EMBEDDED and pretrained is None:
        return EMBEDDED
    return of(clip.load(name, pretrained=pretrained))


def of(model: clip.Clip) -> Facts:
    """Return the facts of a loaded model; of another text tower than CLIP's, neither width nor blocks."""
    width = getattr(model.model, "ln_final", None)
    blocks = getattr(getattr(model.model, "transformer", None), "resblocks", ())
    return Facts(
        name=model.name,
        digest=model.digest,
        dim=model.dim,
        scale=model.logit_scale,
        text_width=0 if width is None else int(width.weight.shape[0]),
        text_layers=len(blocks),
    )
