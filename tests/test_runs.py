"""A run on disk: complete, repeatable from its plan, and refused before anything is charged."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from securefed import recipes, runs
from securefed.adapters import clip
from securefed.aggregation.journal import open_journals
from securefed.aggregation.parameters import Context
from securefed.aggregation.refusals import PolicyViolation, Replay
from securefed.errors import BudgetExceeded, ConfigError, DigestError, LedgerError
from securefed.plan import Plan
from securefed.privacy.ledger import read_export
from securefed.reports import render
from securefed.reports.report import RunRecord, build
from securefed.reports.verify import verify
from securefed.rng import seeded
from securefed.stopwatch import Stopwatch


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def seeded_sources(purpose, number, client):
    return seeded(5, purpose, number, client)


def test_a_run_leaves_what_its_module_says(finished):
    left = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}

    assert left >= {
        "plan.toml",
        "messages.jsonl",
        "roster.json",
        "transcript/0003.jsonl",
        "metrics.jsonl",
        "adapter.safetensors",
        "files.json",
        "report.json",
        "report.md",
    }
    assert {name for name in left if name.endswith("0.jsonl")} == {"ledger/client-0.jsonl"}
    assert {name for name in left if name.endswith("0.sqlite")} == {"ledger/client-0.sqlite", "journal/client-0.sqlite"}


def test_the_plan_in_the_folder_is_the_plan_of_the_run(finished, small_plan):
    assert Plan.from_toml(finished / "plan.toml") == small_plan


def test_each_round_loses_other_clients_and_keeps_the_rest(finished):
    rounds = [line for line in lines(finished / "metrics.jsonl") if line["kind"] == "round"]

    assert [set(line["survivors"]) for line in rounds] == [
        {f"client-{i}" for i in range(4)} - {f"client-{gone}"} for gone in (0, 1, 2)
    ]


def test_the_list_of_messages_holds_sizes_and_digests_and_no_content(finished):
    allowed = {"round", "phase", "client", "direction", "bytes", "sha256"}

    assert all(set(line) == allowed for line in lines(finished / "messages.jsonl"))


def test_masked_encrypted_and_plain_runs_with_the_same_test_randomness_release_the_same_adapter(tmp_path, small_plan):
    released = []
    for secure in ("plain", "mask", "ckks"):
        plan = Plan.read(small_plan.model_dump() | {"secure": secure})
        runs.execute(plan, tmp_path / secure, rng=seeded_sources, vanishing=1)
        released.append(load_file(tmp_path / secure / "adapter.safetensors"))

    for other in released[1:]:
        assert released[0].keys() == other.keys()
        assert all(np.array_equal(released[0][name], other[name]) for name in other)


def test_a_second_run_on_the_same_ledgers_is_refused_before_it_starts(tmp_path, small_plan):
    books = tmp_path / "books"
    runs.execute(small_plan, tmp_path / "first", ledgers=books)
    with pytest.raises(BudgetExceeded) as refusal:
        runs.execute(small_plan, tmp_path / "second", ledgers=books)

    assert refusal.value.spent == pytest.approx(2.0, rel=1e-6)
    assert refusal.value.asked > 2.0
    assert not (tmp_path / "second" / "metrics.jsonl").exists()
    assert len(read_export(tmp_path / "first" / "ledger" / "client-0.jsonl").entries) == 3


def test_a_cheaper_second_run_composes_with_the_first(tmp_path, small_plan):
    books = tmp_path / "books"
    cheap = Plan.create(**small_plan.model_dump(exclude={"noise_multiplier"}) | {"epsilon": 0.5})
    for name in ("first", "second"):
        runs.execute(cheap, tmp_path / name, ledgers=books, budget=2.0)

    entries = read_export(tmp_path / "second" / "ledger" / "client-0.jsonl").entries
    assert len(entries) == 6
    assert len({entry.run for entry in entries}) == 2


def test_a_run_without_privacy_has_no_ledger(tmp_path):
    plan = recipes.cachefl(
        data="world:sketch", records=60, classes=("cat", "star"), clients=3, rounds=1, delta=1e-3, setting="none"
    )
    runs.execute(plan, tmp_path / "run")

    assert not list((tmp_path / "run" / "ledger").iterdir())


def test_a_folder_that_is_not_empty_is_left_alone(finished, small_plan):
    before = sorted(finished.rglob("*"))
    with pytest.raises(ConfigError, match="not empty"):
        runs.execute(small_plan, finished)

    assert sorted(finished.rglob("*")) == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, small_plan):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        runs.execute(small_plan, tmp_path / "file" / "run")


@pytest.mark.parametrize("vanishing", [2, -1])
def test_more_dropouts_than_the_noise_is_sized_for_are_refused(tmp_path, small_plan, vanishing):
    with pytest.raises(ConfigError, match="tolerates 1 of 4"):
        runs.execute(small_plan, tmp_path / "run", vanishing=vanishing)
    assert not (tmp_path / "run").exists()


def test_a_plan_made_for_other_weights_is_refused_before_anything_is_charged(tmp_path, small_plan):
    other = Plan.read(small_plan.model_dump() | {"model_digest": "0" * 64})
    with pytest.raises(DigestError, match="0000"):
        runs.execute(other, tmp_path / "run", ledgers=tmp_path / "books")


def test_damaged_weights_are_refused(tmp_path, small_plan, monkeypatch):
    name = f"{clip.EMBEDDED}.safetensors"
    folder = tmp_path / "assets"
    folder.mkdir()
    for asset in clip._ASSETS.iterdir():
        content = bytearray(asset.read_bytes())
        if asset.name == name:
            content[-1] ^= 1
        (folder / asset.name).write_bytes(content)
    monkeypatch.setattr(clip, "_ASSETS", folder)

    with pytest.raises(DigestError, match="damaged"):
        runs.execute(small_plan, tmp_path / "run")


def test_seeded_noise_is_recorded(tmp_path, small_plan):
    runs.execute(small_plan, tmp_path / "run", rng=seeded_sources)

    assert lines(tmp_path / "run" / "metrics.jsonl")[0]["secret_noise"] is False


def test_a_stopwatch_adds_up_by_stage():
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("a"):
            pass

    assert list(watch.seconds) == ["a"]
    assert watch.seconds["a"] >= 0


@pytest.mark.parametrize(
    "changes",
    [
        {"setting": "per-client", "local_steps": 2},
        {"setting": "client-level", "local_steps": 2},
        {"sampling": "poisson", "sampling_rate": 0.5},
        {"sampling": "shuffled", "sampling_rate": 0.5},
        {"noise": "skellam"},
        {"setting": "none"},
        {"secure": "ckks"},
        {"secure": "bfv", "setting": "client-level"},
    ],
    ids=str,
)
def test_every_setting_runs_to_a_report_that_verifies(tmp_path, small_plan, changes):
    values = small_plan.model_dump(exclude={"noise_multiplier"}) | {"secure": "plain"} | changes
    plan = Plan.create(**values | ({"epsilon": None} if changes.get("setting") == "none" else {}))
    runs.execute(plan, tmp_path / "run")
    render.write(build(RunRecord.read(tmp_path / "run")), tmp_path / "run")
    report = verify(tmp_path / "run").report

    assert len(report["accuracy_by_round"]) == plan.rounds
    if plan.private:
        assert report["epsilon"] <= small_plan.epsilon * (1 + 1e-9)
        assert len(report["spend"]["per_round"]) == plan.rounds


def test_a_ledger_that_was_put_back_to_an_older_copy_is_refused_where_a_mirror_is_kept(tmp_path, small_plan):
    folders = {"ledgers": tmp_path / "ledgers", "mirrors": tmp_path / "elsewhere", "budget": 4.0}
    with runs.open_ledgers(small_plan, folders["ledgers"], budget=4.0, mirrors=folders["mirrors"]):
        pass
    before = {path: path.read_bytes() for path in folders["ledgers"].iterdir()}
    runs.execute(small_plan, tmp_path / "first", **folders)
    for path, content in before.items():
        path.write_bytes(content)

    with pytest.raises(LedgerError, match="older copy"):
        runs.execute(small_plan, tmp_path / "second", **folders)


@pytest.mark.parametrize("floor", ["clip_norm = 1e-6", "minimum_cohort = 50", "maximum_rounds = 1"])
def test_a_plan_below_the_floor_of_the_clients_owners_charges_nothing(tmp_path, small_plan, floor):
    (tmp_path / "policy.toml").write_text(floor + "\n")
    (tmp_path / "policy.toml").chmod(0o600)
    with pytest.raises(PolicyViolation):
        runs.execute(small_plan, tmp_path / "run", policy=tmp_path / "policy.toml")

    with runs.open_ledgers(small_plan, tmp_path / "run" / "ledger") as books:
        assert not any(book.read().entries for book in books.values())


def test_what_a_client_remembers_outlives_the_run(finished, small_plan):
    """A round that it took part in is not begun again, by whatever server."""
    run = next(line["run"] for line in lines(finished / "metrics.jsonl") if line["kind"] == "start")
    with open_journals(finished / "journal", small_plan.cohort) as journals:
        for journal in journals.values():
            with pytest.raises(Replay, match="is not after round"):
                journal.begin(Context(task=run, round=2, model=bytes(32), plan=bytes.fromhex(small_plan.digest)))
