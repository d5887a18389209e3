"""What pages name exists: commands, options, files, places in other pages; and what docstrings refer to."""

import importlib
import re
import shlex
from fnmatch import fnmatch

import click
import pytest

from tests.docs.pages import PAGES, ROOT, blocks, inline, tokens
from tools import commands, flow

COMMANDS = commands.commands()
OPTIONS = {name: {flag for parameter in it.params for flag in parameter.opts} for name, it in COMMANDS.items()}
GROUPS = {name.partition(" ")[0] for name in COMMANDS if " " in name}
EVERYWHERE = {"--help", "--debug", "--config", "--install-completion"}
ELSEWHERE = {"--node-config"}
"""Options of other programs that pages name."""


def examples():
    """Options of the examples and benchmarks."""
    sources = [*ROOT.glob("examples/*.py"), ROOT / "benchmarks" / "__main__.py"]
    return {flag for path in sources for flag in re.findall(r'"(--[\w-]+)"', path.read_text(encoding="utf-8"))}


def unknown(line):
    """Return what is wrong with a command of securefed, or None."""
    words = shlex.split(line, comments=True)[1:]
    if words[0].startswith("-"):
        return None if words[0] in EVERYWHERE else f"no option {words[0]}"
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    if name is None:
        return None if words[0] in ("COMMAND", *GROUPS) else f"no command {words[0]}"
    flags = {word.partition("=")[0] for word in words if word.startswith("--")}
    return next((f"no option {flag}" for flag in flags - OPTIONS[name] - EVERYWHERE), None)


def commands_on(page):
    told = [line for language, _, text in blocks(page) if language == "bash" for line in text.splitlines()]
    told += [" ".join(token.content.split()) for token in inline(page, "code_inline")]
    return [line for line in told if line.startswith("securefed ")]


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_that_a_page_names_exist(page):
    assert [(line, told) for line in commands_on(page) if (told := unknown(line))] == []
    known = set().union(EVERYWHERE, ELSEWHERE, examples(), *OPTIONS.values())
    flags = {flag for token in inline(page, "code_inline") for flag in re.findall(r"(?:^|\s)(--[\w-]+)", token.content)}
    assert flags - known == set()


def test_a_command_or_option_that_there_is_not_is_found():
    assert unknown("securefed bogus") == "no command bogus"
    assert unknown("securefed run plan.toml --ouut x") == "no option --ouut"


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/")])
def test_files_that_a_page_outside_the_site_links_to_exist(page):
    """Within the site its builder looks after links."""
    targets = [token.attrs["href"] for token in inline(page, "link_open")]
    files = [target.partition("#")[0] for target in targets if not re.match(r"\w+:|#", target)]
    assert [file for file in files if not ((ROOT / page).parent / file).exists()] == []


@pytest.mark.parametrize("contents", [page for page in PAGES if page.endswith("/index.md")])
def test_every_page_of_the_site_is_in_a_table_of_contents(contents):
    """Its builder would refuse the site."""
    folder = (ROOT / contents).parent
    tables = [token.content for token in tokens(contents) if token.info == "{toctree}"]
    entries = {line for table in tables for line in table.splitlines() if line and not line.startswith(":")}
    names = {path.stem for path in folder.glob("*.md")} - {"index"}
    assert {name for name in names if not any(fnmatch(name, entry) for entry in entries)} == set()


def test_the_page_of_the_command_line_says_all_that_help_says():
    page = commands.reference()
    assert commands.MARKER in (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for name, command in COMMANDS.items():
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert command.help in section
        for parameter in (it for it in command.params if "--debug" not in it.opts):
            shown = parameter.get_help_record(click.Context(command)) or (parameter.name.upper(),)
            assert shown[0] in section, (name, parameter.name)
            assert parameter.help in section, (name, parameter.name)


@pytest.mark.parametrize(("name", "draw"), flow.PICTURES.items())
def test_the_picture_of_a_round_is_the_one_that_is_drawn(name, draw):
    assert (flow.FOLDER / name).read_text(encoding="utf-8") == draw()


def exists(name):
    """Tell whether a dotted name can be reached, its last parts within a class included."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            declared = part in getattr(found, "__annotations__", {}) or part in getattr(found, "model_fields", {})
            if not declared and not hasattr(found, part):
                return False
            found = getattr(found, part, None)
        return True
    return False


def test_what_docstrings_refer_to_exists():
    role = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`~?(securefed[\w.]*)`")
    named = {
        (path.name, name)
        for path in (ROOT / "securefed").rglob("*.py")
        for name in role.findall(path.read_text(encoding="utf-8"))
    }
    assert len(named) > 30
    assert sorted(pair for pair in named if not exists(pair[1])) == []
    assert not exists("securefed.privacy.ledger.Ledgerr")


def test_the_api_pages_name_modules_that_exist():
    named = [name for page in PAGES for name in re.findall(r"automodule:: (\S+)", (ROOT / page).read_text("utf-8"))]
    assert len(named) > 80
    assert [name for name in named if not exists(name)] == []
