"""``securefed.toml``: found by itself, overridden by flags, refused where it says what nobody understands."""

import json
import re
import tomllib

import pytest
from typer.testing import CliRunner

from securefed.cli import app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("place", ["securefed.toml", "data/securefed.toml"])
def test_it_is_found_by_itself_and_named(folder, place):
    (folder / "data").mkdir()
    (folder / place).write_text("[plan]\nclients = 12\nmax-dropouts = 1\n")
    result = call("plan", "--json")

    assert json.loads(result.stdout)["clients"] == 12
    assert json.loads(result.stdout)["max_dropouts"] == 1
    assert f"settings from {place}: clients, max_dropouts" in result.stderr


def test_the_working_folder_goes_before_the_data_and_flags_before_both(folder):
    (folder / "data").mkdir()
    (folder / "data" / "securefed.toml").write_text("[plan]\nclients = 20\n")
    (folder / "securefed.toml").write_text("[plan]\nclients = 12\nepsilon = 2.0\n")
    shown = json.loads(call("plan", "--epsilon", 3, "--json").stdout)

    assert shown["clients"] == 12
    assert shown["epsilon_coalition"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--data", "folder:pictures"),
        ("plan", "--data=folder:pictures", "--epsilon", "2"),
        ("data", "folder:pictures", "--clients", "2"),
        ("plan", "--data-root", "elsewhere", "--data", "folder:pictures"),
    ],
    ids=" ".join,
)
def test_it_is_found_beside_the_data_that_are_named(folder, words):
    place = folder / ("elsewhere" if "elsewhere" in words else "data") / "pictures"
    place.mkdir(parents=True)
    (place / "securefed.toml").write_text("[plan]\nclients = 0\n[data]\nclients = 0\n")
    result = call(*words)

    assert f"settings from {place.relative_to(folder)}/securefed.toml: clients" in result.stderr
    assert result.exit_code == 2


def test_folders_above_are_not_searched(folder, monkeypatch):
    (folder / "securefed.toml").write_text("[plan]\nclients = 12\n")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")

    assert json.loads(call("plan", "--json").stdout)["clients"] == 8


def test_a_path_starts_where_the_file_is(folder):
    (folder / "data").mkdir()
    (folder / "data" / "securefed.toml").write_text('[plan]\nout = "plan.toml"\n')

    assert call("plan").exit_code == 0
    assert (folder / "data" / "plan.toml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plan]\nclint = 3\n", "nearest: clients"),
        ("[pln]\nclients = 3\n", "nearest: plan"),
        ("[plan]\ndebug = true\n", "'debug'"),
        ("clients = 3\n", "clients"),
        ("plan = 3\n", "outside a table"),
        ('[plan]\nclients = "many"\n', "clients"),
        ("[plan\n", "is not TOML"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused(folder, text, said):
    (folder / "securefed.toml").write_text(text)
    result = call("plan")

    assert result.exit_code == 2
    assert said in result.stderr


def test_a_named_file_must_be_there(folder):
    assert call("--config", "nowhere.toml", "plan").exit_code == 2
    assert json.loads(call("plan", "--json").stdout)["clients"] == 8


def test_init_writes_a_file_that_explains_every_setting_and_sets_none(folder):
    assert call("plan", "--init").exit_code == 0
    text = (folder / "securefed.toml").read_text()

    assert tomllib.loads(text) == {"plan": {}, "run": {}}
    assert "# epsilon = 4.0" in text
    assert json.loads(call("plan", "--json").stdout)["clients"] == 8
    again = call("plan", "--init")
    assert again.exit_code == 2
    assert "exists" in again.stderr


def test_every_line_that_init_wrote_is_understood_when_its_mark_is_taken_away(folder):
    call("plan", "--init")
    path = folder / "securefed.toml"
    lines = [
        line[2:] if re.match(r"# [a-z-]+ = [^\"]|# [a-z-]+ = \"..", line) else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines))
    result = call("plan", "--json")

    assert "epsilon" in result.stderr
    assert json.loads(result.stdout)["clients"] == 8
