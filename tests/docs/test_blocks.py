"""Every code block of every page runs, or says why it does not."""

import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from securefed.cli import app
from tests.docs.pages import PAGES, blocks

SHOWN = ("text",)
"""Languages of what is shown and is no code: shapes of messages and folders."""


def call(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, f"{arguments}\n{result.output}"


def run_python(text):
    exec(compile(text, "page", "exec"), {})  # noqa: S102 - our own pages


def run_bash(text):
    """Run commands of securefed, in this process; another command has no business in a block that runs."""
    for line in text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "securefed", f"{line!r} is not run by the tests; say above the block why not"
        call(*arguments)


def run_toml(text):
    """Read settings as the command line does, which refuses what it does not know."""
    Path("settings.toml").write_text(text, encoding="utf-8")
    for table in tomllib.loads(text):
        call("--config", "settings.toml", table, "--help")


RUN = {"python": run_python, "bash": run_bash, "toml": run_toml}


def problem(language, reason):
    """Tell what is wrong with how a block is marked."""
    if language in SHOWN:
        return None
    if language not in RUN:
        return f"language {language!r} is none that is run or shown"
    return "a reason says something" if reason is not None and len(reason) < 10 else None


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_shown_or_says_why_not(page):
    assert [(text, told) for language, reason, text in blocks(page) if (told := problem(language, reason))] == []


@pytest.mark.parametrize(("language", "reason"), [("", None), ("sh", "it is long enough"), ("bash", "no")])
def test_a_block_that_is_not_marked_is_found(language, reason):
    assert problem(language, reason) is not None


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(reason is None and kind in RUN for kind, reason, _ in blocks(page))]
)
def test_the_blocks_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for language, reason, text in blocks(page):
        if reason is None and language in RUN:
            RUN[language](text)


def test_a_command_with_an_option_that_there_is_not_fails():
    with pytest.raises(AssertionError, match="epsilonn"):
        run_bash("securefed plan --epsilonn 4")


def test_settings_that_there_are_not_fail(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="epsilonn"):
        run_toml("[plan]\nepsilonn = 4\n")
