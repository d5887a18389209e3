"""An audit of a plan's mechanism: below the claim as it is, above it with half of the noise, red where it fails."""

import json

import pytest
from typer.testing import CliRunner

from securefed import recipes, rounds
from securefed.cli import app
from securefed.errors import ConfigError
from securefed.privacy.shares import SumOfShares
from securefed.reports.audits import Audit
from securefed.rng import seeded
from securefed.threat_models import plan_audit


def row(found, arm):
    (only,) = found["audits"][arm].values()
    return only


@pytest.fixture(scope="module")
def found():
    return plan_audit.audit(recipes.cachefl(), rng=seeded(1), trials=500)


def test_the_mechanism_as_it_is_stays_below_the_claim_and_a_bug_is_found(found):
    assert row(found, "none")["claimed"] == pytest.approx(4.0)
    assert 0 < row(found, "none")["gaussian"] < 4.0
    assert row(found, "noise_halved")["gaussian"] > 4.0
    assert Audit.model_validate(found).confidence == 0.999


def test_noise_that_is_missing_in_the_code_itself_is_found(monkeypatch):
    draw = SumOfShares.draw
    monkeypatch.setattr(SumOfShares, "draw", lambda self, *, rng: draw(self, rng=rng) // 8)
    leaking = plan_audit.audit(recipes.cachefl(), rng=seeded(2), trials=60)

    assert row(leaking, "none")["gaussian"] > row(leaking, "none")["claimed"]


def test_records_that_are_clipped_too_late_are_found(monkeypatch):
    clipped = rounds.clipped_sum
    monkeypatch.setattr(rounds, "clipped_sum", lambda *args, clip_norm: clipped(*args, clip_norm=1e9))
    loose = plan_audit.audit(recipes.cachefl(), rng=seeded(3), trials=60)

    assert row(loose, "none")["gaussian"] > row(loose, "none")["claimed"]


def test_private_messages_and_whole_clients_are_audited_as_such():
    for choices in ({"setting": "per-client"}, {"setting": "client-level", "clients": 20}):
        found = plan_audit.audit(recipes.cachefl(**choices), rng=seeded(4), trials=200)
        assert row(found, "none")["gaussian"] < row(found, "none")["claimed"] == pytest.approx(4.0)
        assert row(found, "noise_halved")["gaussian"] > row(found, "none")["gaussian"]


def test_a_plan_without_privacy_has_no_claim_to_audit():
    with pytest.raises(ConfigError, match="claims nothing"):
        plan_audit.audit(recipes.cachefl(setting="none"), rng=seeded(5))


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plan_file(small_plan, tmp_path, monkeypatch):
    audit = plan_audit.audit
    monkeypatch.setattr(plan_audit, "TRIALS", 40)
    monkeypatch.setattr(plan_audit, "audit", lambda plan, *, rng, **named: audit(plan, rng=seeded(6), **named))
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    return tmp_path / "plan.toml"


def test_a_run_keeps_its_audit_under_the_servers_signature(plan_file, tmp_path):
    out = tmp_path / "run"
    result = call("run", plan_file, "--out", out, "--audit")
    report = json.loads((out / "report.json").read_text())

    assert result.exit_code == 0, result.output
    assert report["private"]
    assert report["audit"]["signed_by_the_server"]
    assert [each["bug"] for each in report["audit"]["rows"]] == ["", "noise halved"]
    assert call("verify", out).exit_code == 0


def test_a_failed_audit_stops_a_run_before_anything_is_charged_and_is_red_in_one_that_keeps_it(
    plan_file, tmp_path, monkeypatch
):
    draw, out = SumOfShares.draw, tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(SumOfShares, "draw", lambda self, *, rng: draw(self, rng=rng) // 20)
        stopped = call("run", plan_file, "--out", out, "--audit")
    kept = tmp_path / "run.audit.json"

    assert stopped.exit_code == 1
    assert "Nothing was run or charged" in stopped.stderr
    assert not out.exists()
    assert call("run", plan_file, "--out", out, "--audit-result", kept).exit_code == 0
    report = json.loads((out / "report.json").read_text())
    assert not report["private"]
    assert report["audit"]["failed"]
    assert any("audit" in warning.lower() for warning in report["warnings"])
    assert call("run", plan_file, "--out", tmp_path / "x", "--audit", "--audit-result", kept).exit_code == 2
