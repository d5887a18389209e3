"""Good hyper-parameters as a function of the noise, so that nobody has to look at private data to find them.

What works without noise is destroyed by it: large steps most of all. The table in ``assets/recipes.json`` was made by
``python -m tools.choose`` on generated domains that serve for nothing else; ``benchmarks/results/KIND_choices.json``
holds the searches' figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, final

from pydantic import TypeAdapter

from securefed.adapter_choices import KINDS, AnyAdapter, CacheChoices
from securefed.adapters.facts import EMBEDDED, Facts, facts
from securefed.adapters.templates import single
from securefed.aggregation.parameters import default_threshold
from securefed.data import public, task
from securefed.data.world import CLASSES
from securefed.errors import ChoiceError, ConfigError
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.privacy import accounting

TABLE = Path(__file__).parent / "assets" / "recipes.json"

ADAPTERS: TypeAdapter[AnyAdapter] = TypeAdapter(AnyAdapter)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Hyper-parameters for one level of noise.

    Attributes:
        unit: Of privacy: what is clipped.
        level: Standard deviation, per coordinate and in units of ``clip_norm``, that the mean gradient would carry if
            the whole budget were spent in one round.
        adapter: Of the adapter's choices, those that depend on the noise.
        relative_clip: ``clip_norm`` as a share of the adapter's :meth:`norm`.
        step: Learning rate in units of ``1 / clip_norm``.
        momentum: Of the server.
        rounds: Model updates.
    """

    unit: str
    level: float
    adapter: Mapping[str, Any] = field(default_factory=dict)
    relative_clip: float
    step: float
    momentum: float
    rounds: int


@cache
def table() -> Mapping[str, tuple[Choice, ...]]:
    """Return the best choices found, by kind of adapter; for each unit, levels ascending."""
    rows = json.loads(TABLE.read_text(encoding="utf-8"))
    return {kind: tuple(Choice(**row) for row in found) for kind, found in rows.items()}


def choice_for(kind: str, unit: str, level: float) -> Choice:
    """Return the choice for an adapter and a unit of privacy whose level is nearest on a logarithmic scale.

    Raises:
        ChoiceError: If there is no such adapter.
    """
    if kind not in KINDS:
        raise ChoiceError("adapter", kind, KINDS)
    known = [choice for choice in table()[kind] if choice.unit == unit]
    floor = min(choice.level for choice in known if choice.level > 0) / 3

    def distance(choice: Choice) -> float:
        return abs(math.log(max(choice.level, floor)) - math.log(max(level, floor)))

    return min(known, key=distance)


def noise_level(*, setting: str, epsilon: float | None, delta: float, clients: int, honest: int, records: int) -> float:
    """Return the level of noise that a plan will have on full batches; see :class:`Choice`."""
    if setting == "none" or epsilon is None:
        return 0.0
    shares = clients if setting == "per-client" else clients / honest
    units = clients if setting == "client-level" else records
    return math.sqrt(shares) / (accounting.mu_of(epsilon, delta) * units)


def adapter_of(kind: str, choice: Choice, model: Facts) -> AnyAdapter:
    """Return an adapter's choices: those that depend on the noise, and what follows from the model."""
    values: dict[str, Any] = {"kind": kind, **choice.adapter}
    if kind in ("flora", "prompts"):
        values["text_width"] = model.text_width
    if kind == "flora":
        values["text_layers"] = model.text_layers
    return ADAPTERS.validate_python(values)


def cachefl(**choices: Any) -> Plan:
    """Return a calibrated plan for CacheFL; see :func:`recipe`."""
    return recipe("cachefl", **choices)


def recipe(
    adapter: str = "cachefl",
    *,
    data: str = "digits",
    partition: str = "iid",
    left_out: str | None = None,
    clients: int = 8,
    setting: str = "distributed",
    secure: str = "mask",
    epsilon: float | None = 4.0,
    delta: float = 1e-5,
    rounds: int | None = None,
    local_steps: int = 1,
    sampling: str = "full",
    sampling_rate: float = 1.0,
    noise: str = "discrete-gaussian",
    max_dropouts: int | None = None,
    max_colluders: int | None = None,
    records: int | None = None,
    classes: tuple[str, ...] | None = None,
    model: str = EMBEDDED.name,
    pretrained: str | None = None,
    templates: tuple[str, ...] | None = None,
    seed: int = 0,
    machine: Machine | None = None,
    loaded: task.Task | None = None,
) -> Plan:
    """Return a calibrated plan.

    Args:
        adapter: One of :data:`securefed.adapter_choices.KINDS`.
        data: Name of the data set.
        partition: How records are parted among clients.
        left_out: Domain that nobody trains on; by default none.
        clients: Size of the cohort.
        setting: See :class:`securefed.plan.Plan`.
        secure: Likewise.
        epsilon: Target; ignored without privacy.
        delta: Target.
        rounds: Model updates; by default what the level of noise calls for, fewer if clients take several steps each.
        local_steps: See :class:`securefed.choices.Choices`, as the next three.
        sampling: Likewise.
        sampling_rate: Likewise.
        noise: Likewise.
        max_dropouts: Tolerated dropouts; by default as many as the secure sum can bear.
        max_colluders: Tolerated colluders; by default one where three or more clients are left.
        records: Number of training records; by default all that the data set has.
        classes: Class names; by default those of the data set.
        model: As :func:`securefed.adapters.clip.load` takes it.
        pretrained: Tag of published weights; a checkpoint is named by the machine.
        templates: Prompts for class names; by default those that fit the data set.
        seed: Of the data choices.
        machine: Where files lie.
        loaded: What :func:`securefed.data.task.load` returns for these choices, where it is at hand already.

    Raises:
        ConfigError: If the choices do not hold together.
    """
    _check(clients=clients, private=setting != "none", epsilon=epsilon, delta=delta)
    machine = machine or Machine()
    found = loaded or task.load(data, seed=seed, records=records, classes=classes, left_out=left_out, root=machine.root)
    train = found.data.train
    clip = facts(model, pretrained=machine.checkpoint or pretrained)
    max_dropouts = clients - default_threshold(clients) if max_dropouts is None else max_dropouts
    max_colluders = min(1, clients - max_dropouts - 2) if max_colluders is None else max_colluders
    choice = choice_for(
        adapter,
        "client" if setting == "client-level" else "record",
        noise_level(
            setting=setting,
            epsilon=epsilon,
            delta=delta,
            clients=clients,
            honest=max(clients - max_dropouts - max_colluders, 1),
            records=len(train),
        ),
    )
    prompts = templates or single(data)
    source = public_source(machine, train.class_names)
    chosen = _fitting(adapter_of(adapter, choice, clip), source, prompts)
    clip_norm = choice.relative_clip * chosen.norm(clip.scale, clip.dim)
    return Plan.create(
        setting=setting,
        secure=secure,
        data=data,
        partition=partition,
        left_out=left_out,
        seed=seed,
        classes=train.class_names,
        model=model,
        pretrained=pretrained,
        model_digest=clip.digest,
        feature_dim=clip.dim,
        templates=prompts,
        adapter=chosen.model_dump(),
        **source,
        clients=clients,
        rounds=max(choice.rounds // max(local_steps, 1), 1) if rounds is None else rounds,
        local_steps=local_steps,
        sampling=sampling,
        sampling_rate=sampling_rate,
        noise=noise,
        expected_records=len(train),
        clip_norm=clip_norm,
        learning_rate=choice.step / clip_norm,
        momentum=choice.momentum,
        epsilon=None if setting == "none" else epsilon,
        delta=delta,
        max_dropouts=max_dropouts,
        max_colluders=max_colluders,
    )


def public_source(machine: Machine, classes: tuple[str, ...]) -> dict[str, str]:
    """Return what adapters start from: a folder if one is named, else generated images, else class texts.

    Raises:
        ConfigError: If the folder has no images of a class.
    """
    if machine.public_images is not None:
        digest = public.digest_of(public.of_folder(machine.public_images, classes))
        return {"public": "folder", "public_digest": digest}
    return {"public": "generated" if set(classes) <= set(CLASSES) else "texts"}


def _fitting(chosen: AnyAdapter, source: Mapping[str, str], templates: tuple[str, ...]) -> AnyAdapter:
    """Return the choices as far as the public materials carry them: class texts make few keys and no whitening."""
    if not isinstance(chosen, CacheChoices) or source["public"] != "texts":
        return chosen
    keys = min(chosen.keys_per_class, len(templates))
    return chosen.model_copy(update={"keys_per_class": keys, "shrinkage": None})


def _check(*, clients: int, private: bool, epsilon: float | None, delta: float) -> None:
    if clients < 2:
        raise ConfigError(f"clients is {clients}; a sum over fewer than 2 is that client's update")
    if private and not (epsilon is not None and epsilon > 0 and math.isfinite(epsilon)):
        raise ConfigError(f"epsilon is {epsilon}; it must be positive and finite (4 is a common choice)")
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}; it must lie between 0 and 1, far below 1 / records")
