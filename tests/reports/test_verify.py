"""Verification: a true run passes, and whatever is changed in it is found."""

import json
import shutil

import pytest

from securefed.errors import ConfigError, SecureFedError, VerificationError
from securefed.reports.verify import verify


def test_a_true_run_passes(finished):
    assert verify(finished)["rounds"] == 3


def changed(path, edit):
    report = json.loads(path.read_text())
    edit(report)
    path.write_text(json.dumps(report))


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (lambda r: r.update(epsilon=r["epsilon"] - 0.1), "report.epsilon"),
        (lambda r: r.update(accuracy=0.99), "report.accuracy"),
        (lambda r: r.update(private=1), "report.private"),
        (lambda r: r["spend"]["per_client"]["client-0"].update(left=1.0), "per_client.client-0.left"),
        (lambda r: r["accuracy_by_round"].pop(), "accuracy_by_round has 2 items"),
        (lambda r: r.update(praise="best"), "other entries"),
        (lambda r: r["assumptions"][0].update(status="attested"), "report.assumptions.0.status"),
    ],
    ids=str,
)
def test_a_changed_figure_is_named(finished, edit, where):
    changed(finished / "report.json", edit)

    with pytest.raises(VerificationError, match=where):
        verify(finished)


def test_a_changed_record_of_a_sum_is_found(finished):
    path = finished / "transcript" / "0002.jsonl"
    path.write_text(path.read_text().replace('"client":"client-0"', '"client":"client-3"', 1))

    with pytest.raises(VerificationError, match=r"transcript/0002\.jsonl"):
        verify(finished)


def test_records_of_sums_in_another_order_are_found(finished):
    first, second = (finished / "transcript" / f"000{i}.jsonl" for i in (1, 2))
    swapped = second.read_text(), first.read_text()
    first.write_text(swapped[0])
    second.write_text(swapped[1])

    with pytest.raises(VerificationError, match=r"transcript/0001\.jsonl is the record of another"):
        verify(finished)


def test_a_survivor_that_did_not_sign_is_found(finished):
    path = finished / "metrics.jsonl"
    path.write_text(
        path.read_text().replace('["client-1", "client-2", "client-3"]', '["client-0", "client-2", "client-3"]')
    )

    with pytest.raises(VerificationError, match="who survived"):
        verify(finished)


def test_another_roster_is_found(finished):
    path = finished / "roster.json"
    path.write_text(path.read_text().replace("a", "b", 3))

    with pytest.raises(VerificationError, match=r"roster\.json"):
        verify(finished)


def test_another_plan_is_found(finished):
    text = (finished / "plan.toml").read_text()
    (finished / "plan.toml").write_text(text.replace("momentum = ", "momentum = 0.1 #"))

    with pytest.raises(VerificationError, match="not the plan of this run"):
        verify(finished)


def test_another_adapter_is_found(finished):
    content = bytearray((finished / "adapter.safetensors").read_bytes())
    content[-1] ^= 1
    (finished / "adapter.safetensors").write_bytes(content)

    with pytest.raises(VerificationError, match=r"adapter\.safetensors"):
        verify(finished)


def test_a_ledger_that_lost_its_last_charge_is_found(finished):
    path = finished / "ledger" / "client-3.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    with pytest.raises(VerificationError, match="client-3"):
        verify(finished)


def test_a_missing_ledger_is_found(finished):
    (finished / "ledger" / "client-3.jsonl").unlink()

    with pytest.raises(VerificationError, match="one ledger for each client"):
        verify(finished)


def test_another_clients_ledger_in_its_place_is_found(finished):
    """Each client signs its own export."""
    shutil.copy(finished / "ledger" / "client-1.jsonl", finished / "ledger" / "client-3.jsonl")

    with pytest.raises(VerificationError, match=r"signature of client-3\.jsonl"):
        verify(finished)


@pytest.mark.parametrize(
    "name",
    [
        "plan.toml",
        "metrics.jsonl",
        "messages.jsonl",
        "roster.json",
        "transcript/0001.jsonl",
        "report.json",
        "adapter.safetensors",
    ],
)
def test_a_missing_file_is_named(finished, name):
    (finished / name).unlink()

    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        verify(finished)


@pytest.mark.parametrize(
    "name",
    [
        "plan.toml",
        "metrics.jsonl",
        "messages.jsonl",
        "roster.json",
        "transcript/0001.jsonl",
        "report.json",
        "ledger/client-0.jsonl",
    ],
)
def test_bytes_that_are_no_text_are_an_error_not_a_crash(finished, name):
    (finished / name).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SecureFedError):
        verify(finished)
