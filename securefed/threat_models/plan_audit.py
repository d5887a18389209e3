"""An audit of a plan's mechanism before it touches anybody's data: what an attacker achieves beside what is claimed.

One round with and without one record, many times, of the plan's kind of adapter, setting, noise, ring, epsilon and
delta, with all of its budget in that round: clipped, quantised and noised by the code that the run will use. The
records are real digits that come with the package, so an audit costs nobody any budget. The attacker knows every other
record and looks along the gradient of the chosen one, which is longer than clipping allows. The same with half of the
noise, which nobody tells the accountant, shows whether the audit would see a bug of that size.

What it does not see: bugs of the secure sum, which adds what is given to it (``securefed audit`` attacks that), of
sampling, and of what depends on the number of clients or rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from securefed.adapters.facts import EMBEDDED
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy import accounting, auditing
from securefed.privacy.gdp import gaussian_epsilon, mu_of
from securefed.rng import Source
from securefed.rounds import Client, contribution
from securefed.threat_models import cohorts
from securefed.threat_models.cohorts import UNMETERED
from securefed.threat_models.subjects import Subject, subject

if TYPE_CHECKING:
    from torch import Tensor

CLIENTS, TRIALS, CONFIDENCE = 3, 500, 0.999
"""Of the audited rounds: a cohort, rounds with and as many without the record, and how surely the bounds hold.

The attack is the best there is, so at 95 % a mechanism that keeps its claim would fail one audit in twenty.
"""

ARMS = ("none", "noise_halved")
"""The mechanism as it is, and with the bug that has to be found."""


def audit(
    plan: Plan, *, rng: Source, trials: int = TRIALS, on_trial: Callable[[], None] = lambda: None
) -> Mapping[str, object]:
    """Audit the mechanism of a private plan.

    Args:
        plan: The plan.
        rng: Of the noise.
        trials: Rounds with the record, and as many without, for each arm.
        on_trial: Told after each pair of rounds; there are ``len(ARMS) * trials``.

    Returns:
        What :mod:`securefed.reports.audits` reads: for each arm the claimed epsilon and two lower bounds on it.

    Raises:
        ConfigError: If the plan is not private.
    """
    if plan.epsilon is None:
        raise ConfigError("a plan without privacy claims nothing that an audit could refute; run it without one")
    of = subject(plan.adapter.kind)
    twice = gaussian_epsilon(2 * mu_of(plan.epsilon, plan.delta), plan.delta)
    plain, louder = _one_round(plan, of, plan.epsilon), _one_round(plan, of, twice)
    claimed = accounting.epsilon([plain.event], delta=plan.delta, view="server")
    found = {}
    for arm, played in zip(ARMS, (plain, louder), strict=True):
        errors = auditing.paired(*_scores(played, of, rng=rng, trials=trials, on_trial=on_trial))
        found[arm] = {
            f"one round of {plan.adapter.kind}": {
                "claimed": claimed,
                "gaussian": auditing.epsilon_of_mu(errors.mu(confidence=CONFIDENCE), plan.delta),
                "any": errors.epsilon(delta=plan.delta, confidence=CONFIDENCE),
            }
        }
    return {"delta": plan.delta, "confidence": CONFIDENCE, "plan_digest": plan.digest, "audits": found}


def _one_round(plan: Plan, of: Subject, epsilon: float) -> Plan:
    """Return one round of the plan's mechanism on the audited adapter, with all of a budget in it."""
    world = cohorts.world()
    return Plan.create(
        setting=plan.setting,
        secure="plain",
        classes=world.classes,
        model=EMBEDDED.name,
        model_digest=world.model_digest,
        feature_dim=EMBEDDED.dim,
        adapter=of.choices.model_dump(),
        clients=CLIENTS,
        rounds=1,
        expected_records=CLIENTS,
        clip_norm=of.clip_norm,
        learning_rate=1 / of.clip_norm,
        epsilon=epsilon,
        delta=plan.delta,
        adjacency=plan.adjacency,
        noise=plan.noise,
        bits=plan.bits,
    )


def _scores(
    plan: Plan, of: Subject, *, rng: Source, trials: int, on_trial: Callable[[], None]
) -> tuple[Vector, Vector]:
    """Return how much of the record's gradient an attacker finds in rounds without and with it: 0 or 1, noisy."""
    seen = plan.cohort[:1] if plan.setting == "per-client" else plan.cohort
    others = {name: _records(of, place, 1) for place, name in enumerate(seen) if place}
    known = sum((of.gradient(*own) for own in others.values()), np.zeros(plan.dim))
    target = of.gradient(*_records(of, 0, 1))
    found = np.zeros((2, trials))
    for trial in range(trials):
        for held in (0, 1):
            records = {seen[0]: _records(of, 0, held), **others}
            found[held, trial] = (_released(plan, of, records, rng) - known) @ target / (target @ target)
        on_trial()
    return found[0], found[1]


def _released(plan: Plan, of: Subject, records: Mapping[str, tuple[Tensor, Tensor]], rng: Source) -> Vector:
    """Return the decoded sum of what clients send: clipped, quantised, noised, added in the ring."""
    total = np.zeros(plan.dim, np.uint64)
    for name, own in records.items():
        total += contribution(plan, of.adapter, Client(name, *own, UNMETERED), run="audit", number=1, rng=rng)
    return plan.encoding.decode(total & plan.encoding.modulus_mask)


def _records(of: Subject, place: int, count: int) -> tuple[Tensor, Tensor]:
    """Return records whose gradients are clipped."""
    places, world = of.exposed[place : place + count], cohorts.world()
    return world.features[places], world.labels[places]
