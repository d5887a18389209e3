"""What is trained in the games: every kind of adapter, on the digits that they are played on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, final

import numpy as np

from securefed.adapter_choices import (
    AnyAdapter,
    ClipAdapterChoices,
    FedClipChoices,
    LinearChoices,
    PromptChoices,
)
from securefed.encoding import Vector
from securefed.plan import Plan
from securefed.rng import seeded
from securefed.threat_models import cohorts, towers
from securefed.threat_models.game import Arm

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from securefed.adapters.base import Adapter

CHOSEN: Mapping[str, tuple[AnyAdapter, float]] = {
    "cachefl": (cohorts.CACHE, cohorts.CLIP),
    "fedclip": (FedClipChoices(), 1.7),
    "flora": (towers.choices("texts"), towers.CLIP["texts"]),
    "linear": (LinearChoices(), 4.4),
    "clip-adapter": (ClipAdapterChoices(), 0.22),
    "prompts": (PromptChoices(text_width=towers.WIDTH), 0.18),
}
"""Public choices of each kind, and a clip norm that about two of five real digits exceed."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One kind of adapter.

    Attributes:
        choices: Its public choices.
        adapter: The public initial adapter.
        clip_norm: In parameter units.
        exposed: Places of the records whose gradients are clipped, shape ``(n,)``.
    """

    choices: AnyAdapter
    adapter: Adapter = field(repr=False)
    clip_norm: float
    exposed: npt.NDArray[np.int64] = field(repr=False)

    def plan_of(self, arm: Arm, *, clients: int, records: int) -> Plan:
        """Return the plan of one round."""
        return cohorts.plan_of(arm, clients=clients, records=records, adapter=self.choices, clip_norm=self.clip_norm)

    def gradient(self, features: Tensor, labels: Tensor) -> Vector:
        """Return what records add to a sum: whoever has the software computes it, shape ``(dim,)``."""
        from securefed import training

        return training.clipped_sum(self.adapter, features, labels, clip_norm=self.clip_norm)


@lru_cache
def subject(kind: str) -> Subject:
    """Return the subject of a kind, built as a run builds it."""
    choices, clip_norm = CHOSEN[kind]
    world = cohorts.world()
    adapter = world.adapter if kind == "cachefl" else _built(choices)
    norms = adapter.record_gradients(world.features, world.labels).norms()
    return Subject(choices, adapter, clip_norm, np.flatnonzero((norms >= clip_norm).numpy()))


def _built(choices: AnyAdapter) -> Adapter:
    from securefed import initial
    from securefed.adapters import clip, templates

    world = cohorts.world()
    model = clip.load(clip.EMBEDDED, sha256=clip.EMBEDDED_SHA256)
    drawn = seeded(0, "adapter")
    return initial.build(
        choices, initial.Materials(model, world.classes, (templates.PLAIN,), *world.public, True, drawn)
    )
