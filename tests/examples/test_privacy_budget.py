"""The study of budgets: its published figures follow from its runs, and a run can be repeated."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = json.loads((ROOT / "benchmarks" / "results" / "privacy_budget.json").read_text())


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("privacy_budget", ROOT / "examples" / "privacy_budget.py")
    sys.modules["privacy_budget"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["privacy_budget"]


def test_the_published_summary_follows_from_the_published_runs(study):
    assert len(KEPT["runs"]) == (len(study.SETTINGS) * len(study.EPSILONS) + 1) * len(study.SEEDS)
    assert study.summary(KEPT["runs"], study.EPSILONS) == KEPT["summary"]
    assert all(run["target"] is None or run["epsilon"] <= run["target"] * (1 + 1e-9) for run in KEPT["runs"])


@pytest.mark.parametrize("setting", ["distributed", "per-client", "client-level"])
def test_one_run_of_each_setting_keeps_its_target(study, setting):
    found = study.measure(study.Case(setting, 4.0, 0), quick=True)

    assert 3.5 < found["epsilon"] <= 4.0 * (1 + 1e-9)
    assert 0.5 < found["accuracy"] <= 1


def test_the_plot_is_made_from_the_figures(study, tmp_path):
    study.plot(KEPT, tmp_path / "plot.png")

    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_whole_command_writes_figures_and_plot(study, tmp_path, monkeypatch, capsys):
    def pretended(case, quick):
        return {"setting": case.setting, "target": case.target, "seed": case.seed, "accuracy": 0.9, "rounds": 1,
                "zero_shot_accuracy": 0.7, "epsilon": case.target, "epsilon_server_view": case.target}  # fmt: skip

    monkeypatch.setattr(study, "measure", pretended)
    monkeypatch.setattr(study, "ProcessPoolExecutor", lambda _: InThisProcess())
    assert study.main(["--quick", "--out", str(tmp_path / "study")]) == 0
    assert {path.name for path in (tmp_path / "study").iterdir()} == {"privacy_budget.json", "privacy_budget.png"}
    assert "accuracy 0.900" in capsys.readouterr().out


class InThisProcess:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def map(self, function, *arguments):
        return map(function, *arguments)
