"""Ask for the same model twice, the second time without one client, and take the difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from securefed.aggregation.journal import open_journals
from securefed.errors import ProtocolError
from securefed.rng import seeded
from securefed.rounds import NOBODY, Owners
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import MALICIOUS_SERVER
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.games.isolation import is_target
from securefed.threat_models.views import View

CLIENTS = 4
REMEMBERED = "masks, and clients that remember"


def play_once(arm: Arm, seed: int, trial: int) -> bool:
    """Return whether the difference of two sums is the vector of the client that left."""
    whole, fewer = (cohorts.plan_of(arm, clients=count, records=CLIENTS) for count in (CLIENTS, CLIENTS - 1))
    target = whole.cohort[-1]
    rng = seeded(seed, "differencing", trial)
    records = cohorts.shards(cohorts.deal(rng, clients=whole.cohort, each=1, among=cohorts.exposed()))
    source = cohorts.seeded_sources(seed, arm.defences, "differencing", trial)
    with memories(whole.cohort if arm.defences == REMEMBERED else ()) as owners:
        try:
            first = cohorts.play(whole, records, rng=source, owners=owners)
            others = {name: records[name] for name in fewer.cohort}
            second = cohorts.play(fewer, others, rng=source, owners=owners)
        except ProtocolError:
            return False
    one, other = (View(each, MALICIOUS_SERVER).sums[0] for each in (first, second))
    return is_target(one - other, cohorts.gradients(*records[target])[0])


@contextmanager
def memories(names: tuple[str, ...]) -> Iterator[Owners]:
    """Give clients the memory that they have in a run on disk; no names for clients without."""
    if not names:
        yield NOBODY
        return
    with TemporaryDirectory() as folder, open_journals(Path(folder) / "journal", names) as journals:
        yield Owners(journals=journals)


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the difference is the target's vector."""
    return rate(sum(play_once(arm, seed, trial) for trial in range(trials)), trials, chance=0.0)


ROW = Row(
    id="T10",
    title="sum the same model with and without a client, and subtract",
    adversary=MALICIOUS_SERVER,
    measure="share of targets whose vector comes out",
    play=play,
    arms=(
        Arm(defences="masks, and clients that forget", claim="control", limit=0.5, secure="mask"),
        Arm(defences=REMEMBERED, claim="claimed", limit=0.0, secure="mask"),
        Arm(defences="masks and shares of noise", claim="claimed", limit=0.0, setting="distributed", secure="mask"),
    ),
    trials={"smoke": 10, "full": 30},
    covers=frozenset({"mask"}),
)
