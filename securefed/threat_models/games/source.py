"""Tell which client a known record belongs to.

The attacker has the record and everything that was sent, and looks along the record's gradient in each client's own
message. Behind masks a message is uniform whatever it hides, so nothing but chance is left.
"""

from __future__ import annotations

from securefed.encoding import Vector
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

CLIENTS = 4


def attack(view: View, target: Vector) -> str:
    """Return whose message holds most of the target's gradient."""
    return max(view.plan.cohort, key=lambda name: float(cohorts.what_was_sent(view, name) @ target))


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the right client is named."""
    plan, right = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS), 0
    for trial in range(trials):
        rng = seeded(seed, "source", trial)
        places = cohorts.deal(rng, clients=plan.cohort, each=1, among=cohorts.exposed())
        owner = plan.cohort[rng.generator().integers(CLIENTS)]
        source = cohorts.seeded_sources(seed, arm.defences, "source", trial)
        view = View(cohorts.play(plan, cohorts.shards(places), rng=source), CURIOUS_SERVER)
        right += attack(view, cohorts.gradients(*cohorts.shards(places)[owner])[0]) == owner
    return rate(right, trials, chance=1 / CLIENTS)


ROW = Row(
    id="T06",
    title="tell which client a known record belongs to",
    adversary=CURIOUS_SERVER,
    measure=f"share of right names among {CLIENTS}",
    play=play,
    arms=(
        Arm(defences="none", claim="control", limit=0.8),
        Arm(defences="shares of noise", claim="none", setting="distributed"),
        Arm(defences="masks", claim="claimed", secure="mask"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
    ),
    trials={"smoke": 40, "full": 100},
    covers=frozenset({"cachefl", "plain", "mask"}),
)
