"""TensorBoard and MLflow: what they are told is public, charged already, and is read back from their own files.

Without the packages the tests that need them are skipped; one stand-in then still sees everything that is told.
"""

import importlib
import json
import types

import pytest
from typer.testing import CliRunner

from securefed.cli import app, trackers
from securefed.privacy import accounting
from securefed.privacy.ledger import read_export


def run(plan, folder, *options):
    (folder / "plan.toml").write_text(plan.to_toml())
    arguments = ["run", folder / "plan.toml", "--out", folder / "run", *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def charged(folder, plan):
    """Return epsilon after each round, from the ledger that a client signed."""
    events = read_export(folder / "run" / "ledger" / "client-0.jsonl").events
    return [
        accounting.epsilon(events[:count], delta=plan.delta, view="coalition") for count in range(1, plan.rounds + 1)
    ]


def accuracies(folder):
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return [line["accuracy"] for line in lines if line["kind"] == "round"]


@pytest.fixture
def told(monkeypatch):
    """Return all that a stand-in for TensorBoard was told, and what stood in the ledgers then."""
    found = []
    writer = types.SimpleNamespace(
        add_scalar=lambda *told: found.append(told), close=lambda: found.append("closed"), name="writer"
    )
    monkeypatch.setattr(trackers, "_imported", lambda *_: types.SimpleNamespace(Writer=lambda _: writer))
    return found


def test_a_tracker_is_told_of_each_round_what_the_ledger_had_charged(small_plan, tmp_path, told):
    result = run(small_plan, tmp_path, "--tensorboard", tmp_path / "events")

    assert result.exit_code == 0, result.output
    assert told.pop() == "closed"
    assert {name for name, _, _ in told} == {"accuracy", "epsilon"}
    assert [value for name, value, _ in told if name == "epsilon"] == pytest.approx(charged(tmp_path, small_plan))
    assert [value for name, value, _ in told if name == "accuracy"] == accuracies(tmp_path)
    assert [number for name, _, number in told if name == "epsilon"] == [1, 2, 3]


def test_a_round_that_is_over_is_charged_before_a_tracker_hears_of_it(small_plan, tmp_path, told, monkeypatch):
    """What is on disk when a tracker is told, not what is planned, is what bounds it."""
    from securefed.privacy.ledger import Ledger

    charges = []
    real = Ledger.charge
    monkeypatch.setattr(Ledger, "charge", lambda self, *args, **named: charges.append(real(self, *args, **named)))
    writer = trackers._imported("tensorboard.summary", "tensorboard").Writer("")
    monkeypatch.setattr(writer, "add_scalar", lambda *told: charges.append(told))
    assert run(small_plan, tmp_path, "--tensorboard", tmp_path / "events").exit_code == 0

    kinds = ["told" if isinstance(each, tuple) else "charged" for each in charges]
    per_round = ["charged"] * small_plan.clients * small_plan.steps + ["told"] * 2
    assert kinds == per_round * small_plan.rounds


def test_tensorboard_reads_back_what_was_charged(small_plan, tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    result = run(small_plan, tmp_path, "--tensorboard", tmp_path / "events")
    events = accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()

    assert result.exit_code == 0, result.output
    assert set(events.Tags()["tensors"] + events.Tags()["scalars"]) == {"accuracy", "epsilon"}
    found = {name: _values(events, name) for name in ("accuracy", "epsilon")}
    assert found["epsilon"] == pytest.approx(charged(tmp_path, small_plan), rel=1e-6)
    assert found["accuracy"] == pytest.approx(accuracies(tmp_path), rel=1e-6)


def _values(events, name):
    if name in events.Tags()["scalars"]:
        return [event.value for event in events.Scalars(name)]
    tensor_util = importlib.import_module("tensorboard.util.tensor_util")
    return [float(tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(name)]


@pytest.mark.filterwarnings("ignore")  # of MLflow's own dependencies
def test_mlflow_reads_back_what_was_charged(small_plan, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    result = run(small_plan, tmp_path, "--mlflow", "study")

    assert result.exit_code == 0, result.output
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params == {"plan_digest": small_plan.digest, "setting": "distributed", "secure": "mask"}
    assert set(found.data.metrics) == {"accuracy", "epsilon"}
    history = [metric.value for metric in client.get_metric_history(found.info.run_id, "epsilon")]
    assert history == pytest.approx(charged(tmp_path, small_plan))
