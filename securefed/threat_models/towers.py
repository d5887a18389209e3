"""FLoRA on the digits that games are played on: clients send gradients of the factors themselves, or of class texts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from securefed.adapter_choices import FloraChoices
from securefed.plan import Plan
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.game import Arm

if TYPE_CHECKING:
    import numpy.typing as npt

    from securefed.adapters.base import Adapter

Sent: TypeAlias = Literal["factors", "texts"]
"""What clients send gradients of."""

WIDTH, LAYERS = 128, 2
"""Of the embedded model's text tower."""

CLIP: dict[Sent, float] = {"factors": 90.0, "texts": 4.0}
"""In parameter units; as for cache keys, about two of five real digits have a longer gradient."""


def choices(sent: Sent) -> FloraChoices:
    """Return the public choices."""
    return FloraChoices(text_width=WIDTH, text_layers=LAYERS, trained=sent)


@lru_cache
def adapter(sent: Sent) -> Adapter:
    """Return the public initial adapter."""
    from securefed.adapters import clip, templates
    from securefed.initial import Materials, build

    world = cohorts.world()
    model = clip.load(clip.EMBEDDED, sha256=clip.EMBEDDED_SHA256)
    drawn = seeded(0, "factors")
    return build(choices(sent), Materials(model, world.classes, (templates.PLAIN,), *world.public, True, drawn))


def plan_of(arm: Arm, sent: Sent, *, clients: int) -> Plan:
    """Return the plan of one round in which every client has one record."""
    return cohorts.plan_of(arm, clients=clients, records=clients, adapter=choices(sent), clip_norm=CLIP[sent])


@lru_cache
def gradients(sent: Sent) -> npt.NDArray[np.float64]:
    """Return the clipped gradients of all records at the initial adapter, shape ``(n, dim)``."""
    world = cohorts.world()
    return cohorts.gradients(world.features, world.labels, adapter=adapter(sent), clip_norm=CLIP[sent])


@lru_cache
def exposed(sent: Sent) -> npt.NDArray[np.int64]:
    """Return the places of records whose gradients are clipped."""
    return np.flatnonzero(np.linalg.norm(gradients(sent), axis=1) >= CLIP[sent] * (1 - 1e-9))
