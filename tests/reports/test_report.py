"""Reports: every figure follows from the run, and what was not private says so."""

import json

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld
from scipy.stats import norm

from securefed import recipes, runs
from securefed.errors import ConfigError, LedgerError, VerificationError
from securefed.privacy import crosscheck
from securefed.privacy.ledger import read_export
from securefed.reports import render
from securefed.reports.report import RunRecord, build


def report_of(folder):
    return build(RunRecord.read(folder))


def test_epsilon_equals_that_of_dp_accounting_from_the_ledger_lines(finished):
    """Recomputed from the raw JSON of the export, with none of our accounting."""
    lines = [json.loads(line) for line in (finished / "ledger" / "client-1.jsonl").read_text().splitlines()[1:-1]]
    accountant = pld.PLDAccountant()
    for line in lines:
        event = line["event"]
        honest = event["shares"] - event["max_dropouts"] - event["max_colluders"]
        noise_multiplier = honest**0.5 * event["share_stddev"] / event["sensitivity"]
        accountant.compose(dp_accounting.GaussianDpEvent(noise_multiplier))

    report = report_of(finished)
    assert report["epsilon"] == pytest.approx(accountant.get_epsilon(report["delta"]), rel=1e-4)


def test_a_report_carries_what_people_look_for(finished):
    report = report_of(finished)

    assert report["setting"] == "distributed"
    assert report["secure"] == "mask"
    assert report["clients"] == 4
    assert report["rounds"] == 3
    assert report["private"] is True
    assert 0 < report["epsilon_server_view"] < report["epsilon"] <= 2.0
    assert report["epsilon_this_run"] == report["epsilon"]
    assert 0 <= report["zero_shot_accuracy"] <= 1
    assert report["accuracy"] == report["accuracy_by_round"][-1]
    assert report["warnings"] == []


def test_spend_grows_by_round_up_to_the_total(finished):
    report = report_of(finished)
    spend = report["spend"]["per_round"]

    assert len(spend) == 3
    assert sorted(spend) == spend
    assert spend[-1] == pytest.approx(report["epsilon"])


def test_the_evidence_for_each_assumption_is_that_of_the_run(finished):
    status = {item["assumption"]: item["status"] for item in report_of(finished)["assumptions"]}

    assert status["noise comes from the operating system's generator"] == "enforced"
    assert status["at least 3 clients are in every sum"] == "enforced"
    assert status["the server follows the secure sum's protocol"] == "attested"
    assert "violated" not in status.values()


def test_bytes_on_the_wire_are_those_of_the_messages(finished):
    lines = [json.loads(line) for line in (finished / "messages.jsonl").read_text().splitlines()]
    up = sum(line["bytes"] for line in lines if line["direction"] == "answer")

    assert report_of(finished)["secure_sum"]["bytes_up_per_client_and_round"] == pytest.approx(up / 12)


def test_a_run_with_seeded_noise_is_stamped_and_its_assumption_violated(seeded_run):
    report = report_of(seeded_run)

    assert report["private"] is False
    assert "NOT PRIVATE" in report["warnings"][0]
    assert "violated" in {item["status"] for item in report["assumptions"]}


def test_all_runs_on_the_same_data_count(tmp_path):
    books = tmp_path / "books"
    half = recipes.cachefl(
        data="world:sketch,neon",
        records=90,
        classes=("cat", "star", "key"),
        clients=4,
        rounds=3,
        delta=1e-3,
        epsilon=0.8,
    )
    for name in ("first", "second"):
        runs.execute(half, tmp_path / name, ledgers=books, budget=2.0)
    report = report_of(tmp_path / "second")

    assert report["epsilon_this_run"] == pytest.approx(0.8, rel=1e-6)
    assert report["epsilon"] > 1.05
    assert report["spend"]["per_client"]["client-0"]["runs"] == 2
    assert [run["is_this_run"] for run in report["runs_on_this_data"]] == [False, True]
    assert [run["epsilon"] for run in report["runs_on_this_data"]] == pytest.approx([0.8, 0.8])
    assert report["spend"]["before_this_run"] == pytest.approx(0.8)
    assert report["spend"]["total_by_round"][-1] == pytest.approx(report["epsilon"])
    assert "all runs on the data" in render.to_html(report)


def test_the_files_agree(finished):
    report = report_of(finished)
    render.write(report, finished)

    assert json.loads((finished / "report.json").read_text()) == json.loads(render.to_json(report))
    assert f"ε = {report['epsilon']:.4f}" in (finished / "report.md").read_text()


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        report_of(tmp_path)


def test_an_unfinished_run_is_named(finished):
    lines = (finished / "metrics.jsonl").read_text().splitlines()
    (finished / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n")

    with pytest.raises(ConfigError, match="did not finish"):
        report_of(finished)


def test_a_line_that_is_no_object_is_named(finished):
    with (finished / "metrics.jsonl").open("a") as file:
        file.write("[1]\n")

    with pytest.raises(VerificationError, match=r"metrics\.jsonl:6"):
        report_of(finished)


def test_a_broken_ledger_is_named(finished):
    path = finished / "ledger" / "client-2.jsonl"
    path.write_text(path.read_text().replace('"round":2', '"round":9'))

    with pytest.raises(LedgerError, match=r"client-2\.jsonl line 4 does not hold"):
        report_of(finished)
    assert len(read_export(finished / "ledger" / "client-1.jsonl").entries) == 3


def test_what_the_epsilon_means_follows_from_the_gaussian_profile(finished):
    """Recomputed from the closed forms: mu from the charges, then tails of the normal distribution."""
    report = report_of(finished)
    found, events = report["bounds"], read_export(finished / "ledger" / "client-0.jsonl").events
    mu = sum(event.noise_multiplier("coalition") ** -2 for event in events) ** 0.5

    assert found["mu"] == pytest.approx(mu, rel=1e-9)
    assert found["advantage"] == pytest.approx(2 * norm.cdf(mu / 2) - 1, rel=1e-9)
    for fpr, tpr in found["tpr_at_fpr"].items():
        exact = norm.cdf(norm.ppf(float(fpr)) + mu)
        assert exact <= tpr * (1 + 1e-9) < 1.02 * exact
    for epsilon, delta in found["delta_curve"]:
        assert delta == pytest.approx(
            norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu), rel=1e-6, abs=1e-15
        )
    assert found["epsilon_at"][f"{report['delta']:.3g}"] == pytest.approx(report["epsilon"])
    assert sorted(found["epsilon_at"].values()) == list(found["epsilon_at"].values())


def test_every_accountant_is_shown_and_the_tightest_is_stated(finished):
    report = report_of(finished)
    shown = report["bounds"]["accountants"]

    assert set(shown) == {"stated", "renyi", "pld", "rdp", "prv"}
    assert shown["stated"] == pytest.approx(report["epsilon"])
    assert min(shown.values()) >= report["epsilon"] * (1 - 2e-3)


def test_accountants_that_contradict_one_another_make_no_report(finished, monkeypatch):
    monkeypatch.setattr(crosscheck, "_peers", lambda *_: {"pld": 1.0, "rdp": 9.0, "prv": 1.0})
    with pytest.raises(VerificationError, match="accountants disagree"):
        report_of(finished)


def test_a_domain_that_nobody_trained_on_stands_in_every_rendering(open_run, finished):
    report = json.loads((open_run / "report.json").read_text())
    end = json.loads((open_run / "metrics.jsonl").read_text().splitlines()[-1])

    assert report["unseen"] == {
        "domain": "neon",
        "accuracy": end["unseen_accuracy"],
        "zero_shot_accuracy": end["unseen_zero_shot_accuracy"],
    }
    for name in ("report.md", "report.html"):
        text = (open_run / name).read_text()
        assert "Accuracy on neon" in text
        assert f"{end['unseen_accuracy']:.4f}" in text
    assert json.loads((finished / "report.json").read_text())["unseen"] is None
    assert "which nobody trained on" not in (finished / "report.md").read_text()
