"""What a shell offers: through the same machinery that a shell asks."""

from typing import get_args

import pytest
from click.shell_completion import ShellComplete
from typer.main import get_command

from securefed import choices
from securefed.adapter_choices import KINDS
from securefed.adapters import clip
from securefed.cli import app, values
from securefed.data.named import KINDS as PUBLISHED
from securefed.data.partition import ALLOWED
from securefed.data.world import DOMAINS


def offered(*words):
    """Return what a shell would offer for the last word."""
    *before, incomplete = words
    complete = ShellComplete(get_command(app), {}, "securefed", "_SECUREFED_COMPLETE")
    return [item.value for item in complete.get_completions(list(before), incomplete)]


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("--setting", get_args(choices.Setting)),
        ("--secure", get_args(choices.Secure)),
        ("--sampling", get_args(choices.Sample)),
        ("--noise", get_args(choices.Noise)),
        ("--adapter", KINDS),
    ],
)
def test_every_value_there_is_is_offered_and_no_other(option, known):
    assert offered("plan", option, "") == list(known)
    assert offered("plan", option, known[-1][:2]) == [value for value in known if value.startswith(known[-1][:2])]


def test_the_embedded_model_is_offered_first():
    assert values.TINY == clip.EMBEDDED
    assert offered("plan", "--model", "")[0] == clip.EMBEDDED
    assert offered("plan", "--model", "sec") == [clip.EMBEDDED]


@pytest.mark.parametrize("command", ["plan", "data"])
def test_every_kind_of_partition_is_offered(command):
    found = offered(command, "--partition", "")

    assert all(f"'{kind}" in ALLOWED for kind in found)
    assert {kind.partition(":")[0] for kind in found} == {
        word.partition("'")[0].partition(":")[0] for word in ALLOWED.split("'")[1::2] if not word.startswith("+")
    }


def test_data_sets_are_offered_step_by_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()

    assert "digits" in offered("data", "")
    assert offered("plan", "--data", "wor") == ["world:"]
    assert offered("data", "world:") == [f"world:{domain}" for domain in DOMAINS]
    assert offered("data", "world:neon,sk") == ["world:neon,sketch"]
    assert offered("data", "torchvision:") == [f"torchvision:{kind}" for kind in PUBLISHED]
    assert offered("data", "folder:pic") == ["folder:pictures/"]
    assert offered("plan", "--left-out", "ch") == ["chalk"]


@pytest.mark.parametrize("command", ["report", "verify", "compare", "resume"])
def test_folders_of_runs_are_offered_before_others(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/two", "runs/one", "runs/.hidden", "rust"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("two", ".hidden"):
        (tmp_path / "runs" / name / "plan.toml").touch()

    assert offered(command, "ru") == ["runs/", "rust/"]
    assert offered(command, "runs/") == ["runs/two", "runs/one/"]
    assert offered(command, "nowhere/") == []


@pytest.mark.parametrize("command", ["run", "plan"])
def test_devices_and_files_are_offered(command):
    assert offered("run", "--device", "c") == ["cpu", "cuda"]
    assert f"--{'out'}" in offered(command, "--o")


def test_every_option_that_lists_its_values_in_its_help_offers_them():
    for name, command in get_command(app).commands.items():
        for option in (param for param in command.params if param.param_type_name == "option"):
            if " or " in (option.help or "") and option.type.name == "text":
                assert offered(name, max(option.opts, key=len), "")
