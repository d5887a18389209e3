"""What the documents say about privacy is tested where they say it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rows(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]


@pytest.mark.parametrize("name", ["guarantees.md", "pitfalls.md"])
def test_rows_are_numbered_and_name_tests_that_exist(name):
    lines = rows(name)

    assert [int(line.split("|")[1]) for line in lines] == list(range(1, len(lines) + 1))
    for line in lines:
        named = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", line)
        assert named, line
        for file, test in named:
            source = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in source, f"{file}::{test}"
