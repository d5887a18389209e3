"""Verification: a true run passes, and whatever is changed in it is found, even by who can sign as the server."""

import json
import shutil
from pathlib import Path

import pytest

from securefed import inventory
from securefed.errors import ConfigError, LedgerError, SecureFedError, VerificationError
from securefed.privacy.book import digest, line_of
from securefed.reports import render
from securefed.reports.verify import verify
from securefed.rng import seeded


def test_a_true_run_passes(finished, members):
    found = verify(finished)

    assert found.report["rounds"] == 3
    assert found.roster_root == members.roster.root.hex()
    assert not found.root_was_pinned
    assert len(found.checks) == 5


def test_a_root_that_is_known_from_elsewhere_is_compared(finished, members):
    assert verify(finished, roster_root=members.roster.root.hex()).root_was_pinned
    with pytest.raises(VerificationError, match=r"roster\.json: its root is .*, not 00"):
        verify(finished, roster_root="00" * 32)


def checked(folder: Path) -> list[str]:
    """Every file of a run but the owners'."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.endswith(".sqlite") and name != "manifest.json")


def test_one_flipped_bit_anywhere_is_found_and_its_file_named(finished):
    """In every file: first byte, last byte, and some in between."""
    names = checked(finished)
    assert len(names) == 16

    for name in names:
        path = finished / name
        content = path.read_bytes()
        drawn = seeded(3, name).uint64(10)
        for place in (0, len(content) - 1, *(int(u) % len(content) for u in drawn[:5])):
            spoilt = bytearray(content)
            spoilt[place] ^= 1 << (int(drawn[5]) + place) % 8
            path.write_bytes(spoilt)
            with pytest.raises(SecureFedError) as caught:
                verify(finished)
            assert name in str(caught.value), (name, place)
        path.write_bytes(content)
    verify(finished)


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "messages.jsonl", "ledger/client-2.jsonl", "transcript/0003.jsonl", "plan.toml"]
)
def test_the_line_that_was_changed_is_named(finished, name):
    lines = (finished / name).read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b"1", b"2", 1) if b"1" in lines[3] else lines[3] + b" "
    (finished / name).write_bytes(b"\n".join(lines))

    with pytest.raises(VerificationError) as caught:
        verify(finished)
    assert caught.value.where == f"{name}:4"


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_the_line_of_a_rendering_that_was_changed_is_named(finished, name):
    lines = (finished / name).read_text().split("\n")
    lines[5] += " "
    (finished / name).write_text("\n".join(lines))

    with pytest.raises(VerificationError) as caught:
        verify(finished)
    assert caught.value.where == f"{name}:6"


def test_a_file_that_nobody_vouches_for_is_found(finished):
    (finished / "report-final.html").write_text("<p>private</p>")

    with pytest.raises(VerificationError, match=r"report-final\.html: it is not listed"):
        verify(finished)


def test_the_owners_files_may_change_after_the_run(finished):
    """They belong to the data, not to the run: later runs charge them."""
    with (finished / "ledger" / "client-0.sqlite").open("ab") as file:
        file.write(b"more")
    (finished / "ledger" / "client-0.sqlite-wal").write_bytes(b"more")

    verify(finished)


@pytest.mark.parametrize("name", ["ledger/x.sqlite.html", "client-0.sqlite", "ledger/deep/x.sqlite"])
def test_nothing_hides_behind_the_name_of_an_owners_file(finished, name):
    (finished / name).parent.mkdir(exist_ok=True)
    (finished / name).write_text("hidden")

    with pytest.raises(VerificationError, match="it is not listed"):
        verify(finished)


def test_an_inventory_that_another_party_signed_is_found(finished, members):
    """Whoever changes a file and lists it anew cannot sign as the server."""
    (finished / "metrics.jsonl").write_text((finished / "metrics.jsonl").read_text().replace("0.98", "0.99"))
    inventory.write(finished, sign=members.clients["client-1"].sign)

    with pytest.raises(VerificationError, match=r"files\.json: the server of roster\.json did not sign it"):
        verify(finished)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a\\b"])
def test_an_inventory_stays_within_its_folder(finished, members, name):
    listed = inventory.read(finished)
    away = inventory.Inventory(
        files={**listed.files, name: listed.files["plan.toml"]}, versions=listed.versions, signature=b""
    )
    (finished / "files.json").write_text(away.to_json())

    with pytest.raises(VerificationError, match=r"files\.json: it is not an inventory: .* does not lie in"):
        verify(finished)


def changed(path, edit):
    report = json.loads(path.read_text())
    edit(report)
    path.write_text(render.to_json(report))


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
def test_a_changed_figure_is_named_with_its_line(finished, edit, where):
    """And with all renderings made again from the changed figures."""
    changed(finished / "report.json", edit)

    with pytest.raises(VerificationError, match=rf"report\.json:\d+: .*{where}"):
        verify(finished)


def test_a_report_of_another_schema_is_named(finished):
    changed(finished / "report.json", lambda report: report.update(schema="securefed-report/1"))

    with pytest.raises(VerificationError, match=r"report\.json: its schema is 'securefed-report/1'"):
        verify(finished)


def swapped(folder):
    first, second = (folder / "transcript" / f"000{i}.jsonl" for i in (1, 2))
    texts = second.read_text(), first.read_text()
    first.write_text(texts[0])
    second.write_text(texts[1])


def replaced(name, old, new):
    def edit(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return edit


def last_byte(folder):
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))


def without_its_last_charge(folder):
    path = folder / "ledger" / "client-3.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:-2], lines[-1]]))


def rechained(folder):
    """One charge less, and every hash made again: all that the chain alone can show is gone."""
    path = folder / "ledger" / "client-3.jsonl"
    lines, head = [], ""
    for line in path.read_text().splitlines()[:-1]:
        values = json.loads(line)
        values.pop("previous")
        if "event" in values:
            values["event"]["share_stddev"] *= 2
        lines.append(line_of(head, values))
        head = digest(lines[-1])
    path.write_text("\n".join([*lines, path.read_text().splitlines()[-1]]) + "\n")


def unlisted_ledger(folder):
    (folder / "ledger" / "client-3.jsonl").unlink()


@pytest.mark.parametrize(
    ("edit", "error", "where"),
    [
        (swapped, VerificationError, r"transcript/0001\.jsonl:1: it is the record of another"),
        (
            replaced("transcript/0002.jsonl", '"client":"client-0"', '"client":"client-3"'),
            VerificationError,
            r"transcript/0002\.jsonl:\d+: ",
        ),
        (
            replaced("metrics.jsonl", '["client-1", "client-2"', '["client-0", "client-2"'),
            VerificationError,
            r"transcript/0001\.jsonl: it and metrics\.jsonl disagree on who survived",
        ),
        (
            replaced("metrics.jsonl", '"number": 2', '"number": 3'),
            VerificationError,
            r"metrics\.jsonl: it does not hold",
        ),
        (replaced("metrics.jsonl", '"number": 2', '"number": "2"'), VerificationError, r"metrics\.jsonl:3: number"),
        (replaced("roster.json", "a", "b"), VerificationError, r"roster\.json: it is not the roster"),
        (
            replaced("plan.toml", "momentum = ", "momentum = 0.1 #"),
            VerificationError,
            r"plan\.toml: it is not the plan",
        ),
        (last_byte, VerificationError, r"adapter\.safetensors: it is not the adapter"),
        (without_its_last_charge, VerificationError, r"ledger/client-3\.jsonl: it does not hold"),
        (rechained, VerificationError, r"ledger/client-3\.jsonl:2: it was charged for something else than"),
        (replaced("ledger/client-2.jsonl", '"round":2', '"round":9'), LedgerError, r"client-2\.jsonl line 4 does not"),
        (unlisted_ledger, VerificationError, "ledger: there is not exactly one ledger for each client"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_even_the_server_cannot_change_unseen(finished, reseal, edit, error, where):
    """With the server's key, the inventory and the report made again."""
    edit(finished)
    reseal()

    with pytest.raises(error, match=where):
        verify(finished)


def test_another_clients_ledger_in_its_place_is_found(finished, reseal):
    """Each client signs its own export."""
    shutil.copy(finished / "ledger" / "client-1.jsonl", finished / "ledger" / "client-3.jsonl")
    reseal()

    with pytest.raises(VerificationError, match=r"signature of client-3\.jsonl"):
        verify(finished)


def test_what_the_server_alone_vouches_for_can_be_changed_by_the_server(finished, reseal):
    """Said in the module's text: accuracies rest on the server's word."""
    replaced("metrics.jsonl", '"accuracy": 0.9', '"accuracy": 0.8')(finished)
    reseal()
    render.write_report(finished)

    verify(finished)


@pytest.mark.parametrize(
    "name", ["plan.toml", "metrics.jsonl", "messages.jsonl", "transcript/0001.jsonl", "report.json"]
)
def test_a_missing_file_is_named(finished, name):
    (finished / name).unlink()

    with pytest.raises(SecureFedError, match=name.replace(".", r"\.")):
        verify(finished)


def test_an_unfinished_run_is_bad_input(finished):
    (finished / "files.json").unlink()

    with pytest.raises(ConfigError, match="a run has it when it is finished"):
        verify(finished)


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not sealed"])
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"", b"[" * 100_000, b"{}\n{}\n"], ids=["bytes", "empty", "deep", "{}"]
)
def test_files_that_hold_nonsense_are_an_error_not_a_crash(finished, reseal, content, sealed):
    for name in checked(finished):
        before = (finished / name).read_bytes()
        (finished / name).write_bytes(content)
        if sealed:
            reseal()
        if not sealed or name not in ("adapter.safetensors", "files.json"):
            with pytest.raises(SecureFedError):
                verify(finished)
        (finished / name).write_bytes(before)


def test_a_figure_that_changed_by_less_than_machines_differ_is_found(finished):
    """Floats are compared with room for other machines; the digest leaves none for a changed file."""
    changed(finished / "report.json", lambda report: report.update(epsilon=report["epsilon"] * (1 + 1e-12)))

    with pytest.raises(VerificationError, match=r"report\.json:\d+: .*report\.digest"):
        verify(finished)
