"""What every command does with a bad flag, a missing file, an empty input and a run that was interrupted.

The cases are parametrised over the commands there are: a new one without its cases fails the first test.
"""

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from securefed.cli import app
from securefed.cli.failures import Command


def _leaves(group, before=""):
    """Return every command by its whole name: those of a group below its word."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(_leaves(get_command(app)))

NONE = None
"""The command reads nothing of the kind."""

MISSING = {
    "plan": ("--data", "folder:nowhere"),
    "run": ("nowhere.toml", "--out", "new"),
    "resume": ("nowhere",),
    "report": ("nowhere",),
    "verify": ("nowhere",),
    "compare": ("nowhere",),
    "data": ("folder:nowhere",),
    "audit": NONE,
    "provision": ("nowhere.toml", "--task", "t", "--out", "new"),
    "encode": ("nowhere", "nowhere"),
    "agent": ("--policy", "nowhere/policy.toml", "--socket", "socket"),
    "decryptor": ("--kit", "nowhere", "--socket", "socket"),
    "deploy": ("nowhere.toml", "--out", "new"),
    "simulate": ("nowhere.toml", "--out", "new"),
    "threats list": NONE,
    "threats show": ("nowhere",),
    "threats run": ("nowhere",),
    "threats scorecard": NONE,
    "threats doc": ("--results", "nowhere", "--page", "page.md"),
    "threats diff": ("nowhere.json", "nowhere.json"),
}
"""Arguments that name a file, or a row, which is not there."""

EMPTY = {
    "plan": ("--data", "folder:{folder}"),
    "run": ("{file}", "--out", "new"),
    "resume": ("{folder}",),
    "report": ("{folder}",),
    "verify": ("{folder}",),
    "compare": ("{folder}",),
    "data": ("folder:{folder}",),
    "audit": NONE,
    "provision": ("{file}", "--task", "t", "--out", "new"),
    "encode": ("{folder}", "{folder}"),
    "agent": ("--policy", "{file}", "--socket", "socket"),
    "decryptor": ("--kit", "{folder}", "--socket", "socket"),
    "deploy": ("{file}", "--out", "new"),
    "simulate": ("{file}", "--out", "new"),
    "threats list": NONE,
    "threats show": ("",),
    "threats run": ("",),
    "threats scorecard": NONE,
    "threats doc": ("--results", "{folder}", "--page", "page.md"),
    "threats diff": ("{file}", "{file}"),
}
"""Arguments that name an empty folder, an empty file, or nobody."""

UNFINISHED = {
    **dict.fromkeys(COMMANDS, NONE),
    "resume": ("{run}",),
    "report": ("{run}",),
    "verify": ("{run}",),
    "compare": ("{run}",),
}
"""Arguments that name a run which was interrupted, and whose folder no longer has what it could go on from."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="securefed")


def refused(result, here):
    """It is bad input: one readable block, nothing on standard output, nothing left behind."""
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(("error: ", "settings from"))
    assert "Traceback" not in result.stderr
    assert "securefed itself" not in result.stderr
    assert result.stdout == ""
    assert not list(here.iterdir())
    return result.stderr


def cases(of):
    return pytest.mark.parametrize(
        ("name", "arguments"), [(name, given) for name, given in of.items() if given], ids=lambda value: str(value)[:40]
    )


@pytest.mark.parametrize("of", [MISSING, EMPTY, UNFINISHED], ids=["missing", "empty", "unfinished"])
def test_every_command_has_its_cases(of):
    assert set(of) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_flag_is_named_with_those_there_are_and_the_nearest(name, here):
    said = refused(call(*name.split(), "--jsom"), here)

    assert "there is no option --jsom" in said
    assert f"'securefed {name} --help'" in said
    assert "allowed: " in said
    assert "nearest: --" in said


NUMBERS = ("integer", "float", "integer range", "float range")


def _numbers():
    for name, command in COMMANDS.items():
        for param in command.params:
            if param.opts[0].startswith("--") and param.type.name in NUMBERS:
                yield pytest.param(name, max(param.opts, key=len), id=f"{name} {param.name}")


@pytest.mark.parametrize(("name", "option"), list(_numbers()))
def test_a_number_that_is_none_is_named_with_what_it_should_be(name, option, here):
    said = refused(call(*name.split(), option, "many"), here)

    assert f"{option}: 'many' is not a valid" in said
    assert "number" in said.partition("allowed: ")[2]


@cases(MISSING)
def test_a_missing_file_is_named(name, arguments, here):
    assert "nowhere" in refused(call(*name.split(), *arguments), here)


@cases(EMPTY)
def test_an_empty_input_is_refused_with_what_it_lacks(name, arguments, here, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    given = [word.format(folder=tmp_path / "folder", file=tmp_path / "file") for word in arguments]

    assert len(refused(call(*name.split(), *given), here)) > 40


@cases(UNFINISHED)
def test_an_interrupted_run_is_refused_with_the_way_to_go_on(name, arguments, here, finished):
    (finished / "files.json").unlink()
    metrics = finished / "metrics.jsonl"
    metrics.write_text("".join(line for line in metrics.read_text().splitlines(True) if '"end"' not in line))

    assert "resume" in refused(call(*name.split(), *(word.format(run=finished) for word in arguments)), here)


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_is_no_traceback(name, here, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Command, "invoke", pressed)
    result = call(*name.split(), *_least(name))

    assert result.exit_code == 1
    assert result.stderr.startswith("interrupted: ")


def _least(name):
    """The fewest arguments that a command can be read with."""
    words = []
    for param in COMMANDS[name].params:
        if param.required:
            words += [max(param.opts, key=len), "x"] if param.opts[0].startswith("--") else ["x"]
    return words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name):
    text = call(*name.split(), "--help").stdout

    assert f"Example: securefed {name}" in text
    assert "\\[" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_speaks_json(name):
    assert "--json" in [option for param in COMMANDS[name].params for option in param.opts]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("veryfy", "x"), ["command is 'veryfy'", "allowed: plan, run", "nearest: verify"]),
        (("--confg", "x", "plan"), ["no option --confg", "nearest: --config"]),
        (("run",), ["PLAN is missing", "'securefed run --help'", "allowed: a path"]),
        (("verify", "a", "b"), ["unexpected extra argument (b)", "'securefed verify"]),
        (("data", "digits", "--clients", "0"), ["--clients: 0 is not in the range", "from 1", "nearest: 1"]),
        (("data", "digits", "--partition"), ["requires an argument", "'securefed data'"]),
        (
            ("plan", "--setting", "per-cleint"),
            ["setting is 'per-cleint'", "allowed: distributed", "nearest: per-client"],
        ),
        (("plan", "--adapter", "cachfl"), ["'cachfl'", "nearest: cachefl"]),
        (("plan", "--data", "world:noen"), ["nearest: neon"]),
        (("plan", "--data", "wrold:neon"), ["'wrold:neon' is 'wrold'", "allowed: digits, world", "nearest: world"]),
        (("plan", "--data", "folder"), ["write 'folder:PATH'"]),
        (("data", "digtis"), ["nearest: digits"]),
        (("data", "digits", "--partition", "dirichelt:0.5"), ["allowed: iid", "nearest: dirichlet:ALPHA"]),
        (("plan", "--data", "world:neon,chalk", "--left-out", "chlak"), ["'chlak'", "nearest: chalk"]),
        (("threats", "show", "t09"), ["row is 't09'", "nearest: T09"]),
    ],
    ids=str,
)
def test_a_mistake_is_told_with_place_allowed_values_and_the_nearest(arguments, said, here):
    text = refused(call(*arguments), here)

    for part in said:
        assert part in text


def test_a_traceback_comes_only_with_debug(here, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("by the test")

    monkeypatch.setattr("securefed.reports.verify.verify", broken)
    quiet, loud = call("verify", "x"), call("verify", "x", "--debug")

    assert quiet.exit_code == loud.exit_code == 1
    assert "error: RuntimeError" in quiet.stderr
    assert isinstance(quiet.exception, SystemExit)
    assert isinstance(loud.exception, RuntimeError)


def test_nothing_at_all_is_answered_with_the_help():
    result = CliRunner().invoke(app, [])

    assert result.exit_code == 2
    assert "Commands:" in result.output


@cases(MISSING)
def test_with_json_an_error_is_the_same_block_and_standard_output_stays_empty(name, arguments, here):
    assert refused(call(*name.split(), *arguments, "--json"), here) == call(*name.split(), *arguments).stderr
