"""What is foretold of a plan: epsilon under other colluders and dropouts, seconds, and the region of its accuracy."""

import itertools
import json
import math

import pytest
from PIL import Image

from benchmarks.seeds import CELLS
from securefed import recipes
from securefed.aggregation import encryption
from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy import accounting
from securefed.privacy.gdp import gaussian_epsilon
from securefed.reports import regions, seconds, whatif_plot
from securefed.reports.degradation import degradation
from securefed.reports.seconds import Seconds
from securefed.reports.whatif import what_if
from tests import toys
from tools.regions import OUT, table


@pytest.fixture(scope="module")
def plan():
    return recipes.cachefl(epsilon=4.0)


def rows_of(plan):
    return {(row["colluders"], row["dropouts"]): row["epsilon"] for row in degradation(plan)}


def test_epsilon_under_colluders_and_dropouts_is_that_of_the_shares_that_are_left(plan):
    rows = rows_of(plan)
    event = plan.event

    assert rows[plan.max_colluders, plan.max_dropouts] == accounting.epsilon(
        plan.events, delta=plan.delta, view="coalition"
    )
    assert rows[0, plan.max_dropouts] == accounting.epsilon(plan.events, delta=plan.delta, view="server")
    for (colluders, dropouts), found in rows.items():
        left = plan.clients - colluders - dropouts
        ratio = math.sqrt(left * event.share_stddev**2 - 4) / event.sensitivity
        assert found == pytest.approx(gaussian_epsilon(math.sqrt(plan.rounds) / ratio, plan.delta), rel=1e-9)


def test_more_colluders_or_dropouts_never_cost_less():
    rows = rows_of(toys.plan(clients=40, expected_records=400, max_dropouts=9, max_colluders=3))

    for (colluders, dropouts), found in rows.items():
        assert all(found <= other for (c, d), other in rows.items() if c >= colluders and d >= dropouts)
    assert {dropouts for _, dropouts in rows} == {0, 9}
    assert {colluders for colluders, _ in rows} >= {0, 3, 30}


def test_one_row_is_marked_as_what_the_ledger_charges(plan):
    (marked,) = [row for row in degradation(plan) if row["planned"]]

    assert marked["epsilon"] == pytest.approx(plan.epsilon)


def test_private_messages_do_not_degrade_and_a_run_without_privacy_has_nothing_that_could():
    assert len(set(rows_of(toys.plan(setting="per-client")).values())) == 1
    assert degradation(toys.plan(setting="none")) == []


def test_seconds_grow_with_neighbours_coordinates_and_plaintexts():
    small, clients, coordinates = Seconds(1.0, 2.0), Seconds(9.0, 2.0), Seconds(1.5, 3.0)
    few, many = (toys.plan(clients=number, expected_records=60, max_dropouts=1) for number in (4, 12))
    found = seconds.masked(few, small, clients, coordinates)
    per_coordinate = few.dim / (seconds.DIM - seconds.SMALL[1])

    assert found.client == pytest.approx(1 + 0.5 * per_coordinate)
    assert found.server == pytest.approx(2 + 1.0 * per_coordinate)
    assert seconds.masked(many, small, clients, coordinates).client == pytest.approx(9 + 0.5 * 3 * per_coordinate)
    long = toys.plan(feature_dim=6000)
    chosen = encryption.choose("ckks", bits=40, summand=1000, weight=5, dim=long.dim)
    count = chosen.lanes.plaintexts(long.dim)
    assert count > 1
    assert seconds.encrypted(long, chosen, Seconds(1, 2, 3)) == Seconds(count, 2 * count, 3 * count)


def test_noise_in_a_measurement_never_makes_seconds_negative():
    plan = toys.plan(clients=3, max_dropouts=0, max_colluders=0)
    found = seconds.masked(plan, Seconds(2, 2), Seconds(1, 1), Seconds(1, 1))

    assert found.client >= 0
    assert found.server >= 0


def test_seconds_of_every_kind_of_sum_are_measured_and_said_to_be_a_prediction(monkeypatch):
    shown = seconds.seconds(toys.plan())

    assert all(shown[f"seconds_of_a_client_{kind}"] > 0 for kind in ("mask", "ckks", "bfv"))
    assert "predicted" in shown["seconds_are"]
    monkeypatch.setattr(encryption, "SECURE_BITS", {2048: 30, 4096: 40})
    assert seconds.seconds(toys.plan())["seconds_of_a_client_ckks"] is None


def _leaves(value, name=""):
    """Return the numbers of nested values by their paths."""
    if not isinstance(value, dict | list):
        return {name: value} if isinstance(value, int | float) else {}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {path: leaf for key, each in items for path, leaf in _leaves(each, f"{name}/{key}").items()}


def test_the_table_of_regions_is_that_of_the_published_grid():
    cells = json.loads(CELLS.read_text(encoding="utf-8"))

    assert _leaves(table(cells)) == pytest.approx(_leaves(regions.table())), "make it anew: python -m tools.regions"
    assert OUT == regions.TABLE


def test_less_noise_never_promises_less():
    for kind, rows in regions.table()["adapters"].items():
        gains = [regions.gain_at(kind, row["level"] * share) for row in rows for share in (0.7, 1.0, 1.3)]
        levels = [row["level"] * share for row in rows for share in (0.7, 1.0, 1.3)]
        falling = [gain for _, gain in sorted(zip(levels, gains, strict=True))]
        assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))


def test_each_change_by_itself_reaches_the_wanted_accuracy(plan):
    wanted = 0.74
    needed = {row["change"]: row["needed"] for row in regions.changes(plan, wanted)}

    assert regions.region(plan)["expected"] < wanted
    for change in ({"epsilon": needed["epsilon"]}, {"expected_records": needed["records"]}):
        changed = Plan.create(**plan.model_dump(exclude={"noise_multiplier"}) | change)
        assert regions.region(changed)["expected"] == pytest.approx(wanted, abs=2e-5)
        assert regions.changes(changed, wanted - 2e-5) == []


def test_fewer_tolerated_or_a_shared_noise_are_named_only_where_they_are_enough(plan):
    tolerated = "tolerated dropouts and colluders together"
    near = regions.region(plan)["expected"] + 1e-3
    needed = {row["change"]: row["needed"] for row in regions.changes(plan, near)}
    fewer = Plan.create(
        **plan.model_dump(exclude={"noise_multiplier"}) | {"max_dropouts": needed[tolerated], "max_colluders": 0}
    )
    alone = recipes.cachefl(setting="per-client")
    by = {accuracy: regions.changes(alone, accuracy) for accuracy in (0.73, 0.75)}

    assert regions.region(fewer)["expected"] >= near
    assert {row["change"]: row["needed"] for row in regions.changes(plan, 0.75)}[tolerated] is None
    assert [row["needed"] for row in by[0.73] if row["change"] == "setting"] == ["distributed"]
    assert regions.region(recipes.cachefl(max_dropouts=2, max_colluders=1))["expected"] >= 0.73
    assert [row["needed"] for row in by[0.75] if row["change"] == "setting"] == [None]


@pytest.mark.parametrize(
    ("choices", "accuracy", "said"),
    [
        ({}, 0.9, "out of reach of less noise"),
        ({}, 1.5, "between 0 and 1"),
        ({"setting": "client-level"}, 0.7, "privacy of records"),
        ({"adapter": "prompts"}, 0.7, "nothing is known of prompts"),
    ],
    ids=str,
)
def test_what_was_not_measured_or_cannot_be_reached_is_said_so(choices, accuracy, said):
    with pytest.raises(ConfigError, match=said):
        what_if(recipes.recipe(**choices), accuracy)


def test_more_noise_than_was_measured_is_told():
    assert regions.region(recipes.cachefl(epsilon=0.2))["beyond"]
    assert not regions.region(recipes.cachefl(epsilon=4.0))["beyond"]


@pytest.mark.parametrize("choices", [{}, {"setting": "none"}, {"setting": "per-client"}, {"setting": "client-level"}])
def test_a_picture_is_drawn_of_every_setting(choices, tmp_path):
    plan = recipes.recipe(**choices)
    shown = what_if(plan, 0.72 if plan.unit == "record" else None)
    whatif_plot.draw(plan, shown, tmp_path / "plot.png")

    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width > 1000
    json.dumps(shown, allow_nan=False)
