"""Good hyper-parameters as a function of the noise, so that nobody has to look at private data to find them.

What works without noise is destroyed by it: large steps most of all. :data:`CHOICES` was made by
``python -m tools.choose_cachefl`` on generated domains that serve for nothing else;
``benchmarks/results/cachefl_choices.json`` holds the search's figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from securefed.adapters import clip
from securefed.aggregation.parameters import default_threshold
from securefed.choices import CacheChoices
from securefed.data import datasets
from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy import accounting


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Hyper-parameters for one level of noise.

    Attributes:
        unit: Of privacy: what is clipped.
        level: Standard deviation, per coordinate and in units of ``clip_norm``, that the mean gradient would carry if
            the whole budget were spent in one round.
        alpha: Weight of the cache.
        beta: Sharpness of the affinity.
        keys_per_class: Keys of each class.
        shrinkage: Of the whitening.
        relative_clip: ``clip_norm`` as a share of the largest norm that a gradient can have.
        step: Learning rate in units of ``1 / clip_norm``.
        momentum: Of the server.
        rounds: Model updates.
    """

    unit: str
    level: float
    alpha: float
    beta: float
    keys_per_class: int
    shrinkage: float
    relative_clip: float
    step: float
    momentum: float
    rounds: int


CHOICES = (
    Choice(
        unit="record",
        level=0.0,
        alpha=30.0,
        beta=1.0,
        keys_per_class=2,
        shrinkage=0.03,
        relative_clip=0.1,
        step=4.0,
        momentum=0.9,
        rounds=40,
    ),
    Choice(
        unit="record",
        level=0.0003,
        alpha=30.0,
        beta=1.0,
        keys_per_class=1,
        shrinkage=0.01,
        relative_clip=0.03,
        step=8.0,
        momentum=0.5,
        rounds=20,
    ),
    Choice(
        unit="record",
        level=0.0005,
        alpha=30.0,
        beta=2.0,
        keys_per_class=2,
        shrinkage=0.01,
        relative_clip=0.01,
        step=4.0,
        momentum=0.5,
        rounds=40,
    ),
    Choice(
        unit="record",
        level=0.001,
        alpha=10.0,
        beta=0.5,
        keys_per_class=1,
        shrinkage=0.03,
        relative_clip=0.1,
        step=4.0,
        momentum=0.5,
        rounds=40,
    ),
    Choice(
        unit="record",
        level=0.003,
        alpha=3.0,
        beta=1.0,
        keys_per_class=2,
        shrinkage=0.1,
        relative_clip=0.03,
        step=8.0,
        momentum=0.5,
        rounds=10,
    ),
    Choice(
        unit="record",
        level=0.01,
        alpha=10.0,
        beta=0.5,
        keys_per_class=2,
        shrinkage=0.1,
        relative_clip=0.01,
        step=0.5,
        momentum=0.5,
        rounds=40,
    ),
    Choice(
        unit="client",
        level=0.01,
        alpha=30.0,
        beta=0.5,
        keys_per_class=4,
        shrinkage=0.01,
        relative_clip=0.1,
        step=0.5,
        momentum=0.5,
        rounds=20,
    ),
    Choice(
        unit="client",
        level=0.03,
        alpha=30.0,
        beta=0.5,
        keys_per_class=1,
        shrinkage=0.01,
        relative_clip=0.01,
        step=0.2,
        momentum=0.0,
        rounds=20,
    ),
    Choice(
        unit="client",
        level=0.1,
        alpha=10.0,
        beta=2.0,
        keys_per_class=4,
        shrinkage=0.1,
        relative_clip=0.01,
        step=0.05,
        momentum=0.0,
        rounds=10,
    ),
    Choice(
        unit="client",
        level=0.3,
        alpha=1.0,
        beta=0.5,
        keys_per_class=4,
        shrinkage=0.1,
        relative_clip=0.03,
        step=0.05,
        momentum=0.0,
        rounds=10,
    ),
)
"""The best found for each unit and level, levels ascending."""


def choice_for(unit: str, level: float) -> Choice:
    """Return the choice for a unit of privacy whose level is nearest on a logarithmic scale."""
    known = [choice for choice in CHOICES if choice.unit == unit]
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


def cachefl(
    *,
    data: str = "digits",
    partition: str = "iid",
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
    seed: int = 0,
) -> Plan:
    """Return a calibrated CacheFL plan on the embedded model.

    Args:
        data: Name of the data set.
        partition: How records are parted among clients.
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
        seed: Of the data choices.

    Raises:
        ConfigError: If the choices do not hold together.
    """
    if clients < 2:
        raise ConfigError(f"clients is {clients}; a sum over fewer than 2 is that client's update")
    if setting != "none" and not (epsilon is not None and epsilon > 0 and math.isfinite(epsilon)):
        raise ConfigError(f"epsilon is {epsilon}; it must be positive and finite (4 is a common choice)")
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}; it must lie between 0 and 1, far below 1 / records")
    train = datasets.load(data, seed=seed, records=records, classes=classes).train
    if max_dropouts is None:
        max_dropouts = clients - default_threshold(clients)
    if max_colluders is None:
        max_colluders = min(1, clients - max_dropouts - 2)
    choice = choice_for(
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
    adapter = CacheChoices(
        alpha=choice.alpha, beta=choice.beta, keys_per_class=choice.keys_per_class, shrinkage=choice.shrinkage
    )
    clip_norm = choice.relative_clip * adapter.gradient_bound
    return Plan.create(
        setting=setting,
        secure=secure,
        data=data,
        partition=partition,
        seed=seed,
        classes=train.class_names,
        model=clip.EMBEDDED,
        model_digest=clip.EMBEDDED_SHA256,
        feature_dim=clip.EMBEDDED_DIM,
        adapter=adapter.model_dump(),
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
