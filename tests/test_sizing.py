"""The page about sizes says what was measured, and what follows from it."""

import json

import pytest

from benchmarks import engine, fitted, sizing
from benchmarks.sampled import Case, measured, survival

FOUND = json.loads((sizing.RESULTS / "engine.json").read_text(encoding="utf-8"))


def test_the_page_is_what_its_generator_makes():
    assert sizing.PAGE.read_text(encoding="utf-8") == sizing.text(), "run python -m benchmarks.sizing"


@pytest.mark.parametrize("row", [row for row in [*FOUND["cohorts"], *FOUND["points"]] if not row["leaving"]])
def test_bytes_of_frames_are_the_bytes_that_were_measured(row):
    assert fitted.bytes_of(row) == (row["bytes_up"], row["bytes_down"])


def test_a_fit_finds_the_costs_that_made_its_rows():
    rows = [
        {"neighbours": k, "dim": dim, "rounds_a_deal": rounds, "clients": 100, "leaving": leaving}
        for k, dim, rounds, leaving in ((40, 1_000, 1, 0), (40, 9_000, 8, 10), (90, 5_000, 2, 30), (60, 2_000, 4, 5))
    ]
    made = [3 * row["neighbours"] / row["rounds_a_deal"] + 0.5 * row["neighbours"] for row in rows]
    found = fitted.fit(rows, made, fitted.CLIENT)

    assert list(found.costs.values()) == pytest.approx([3, 0.5, 0], abs=1e-9)
    assert found.worst == pytest.approx(0, abs=1e-9)
    assert found(rows[0]) == pytest.approx(made[0])


def test_the_cases_that_were_measured_are_met_within_the_error_that_the_page_states():
    rows = [*FOUND["cohorts"], *FOUND["points"]]
    found = fitted.client(rows)

    assert max(abs(found(row) / row["client_milliseconds"] - 1) for row in rows) == pytest.approx(found.worst)


def test_the_memory_that_was_measured_is_met_within_the_error_that_the_page_states():
    rows = json.loads((sizing.RESULTS / "server_memory.json").read_text(encoding="utf-8"))["cases"]
    found = fitted.memory(rows)

    assert max(abs(found(row) / row["server_bytes"] - 1) for row in rows) == pytest.approx(found.worst)


def test_the_server_does_not_hold_every_clients_adapter_and_vector():
    rows = json.loads((sizing.RESULTS / "server_memory.json").read_text(encoding="utf-8"))["cases"]
    held = [row["server_bytes"] for row in rows if row["dim"] == 1_000_000]
    everybodys = [row["everybodys_bytes"] for row in rows if row["dim"] == 1_000_000]

    assert max(everybodys) == 3 * min(everybodys)
    assert max(held) < 1.25 * min(held)


def test_a_sum_survives_what_its_threshold_tolerates_and_nothing_more():
    case = Case(registered=150, clients=150, dim=1, tolerated=0.1, leaving=0.1)
    beyond = Case(registered=150, clients=150, dim=1, tolerated=0.1, leaving=0.2)

    assert survival(case, seeds=5, by_coin=False) == 1
    assert 0 < survival(case, seeds=20, by_coin=True) < 1
    assert survival(beyond, seeds=5, by_coin=False) == 0


def test_a_measured_sum_is_exact_within_the_threshold_and_none_beyond_it():
    within = measured(Case(registered=20, clients=8, dim=10, tolerated=0.25, leaving=0.25), seeds=1)
    beyond = measured(Case(registered=20, clients=8, dim=10, tolerated=0.25, leaving=0.5), seeds=1)

    assert (within["exact"], within["leaving"], within["threshold"]) == (1, 2, 6)
    assert (beyond["exact"], "seconds" in beyond) == (0, False)


def test_an_engine_that_is_not_installed_is_skipped_and_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None if name == "ray" else name)

    assert engine._measured("simulation", None, None) == {"skipped": "ray not installed"}


def test_the_shares_of_a_round_add_up_to_all_of_it():
    for name in ("embedded", "simulation", "deployment"):
        shares = FOUND["engines"][name]["shares"]
        assert sum(shares.values()) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in shares.values())
