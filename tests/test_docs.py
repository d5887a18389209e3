"""Documents keep their promises: named tests exist, published figures are those of the scripts."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_that_a_guarantee_names_exists():
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    tests = ROOT / "tests"
    sources = {path.relative_to(tests).as_posix(): path.read_text() for path in tests.glob("**/test_*.py")}
    named = re.findall(r"`((?:[\w/]+/)?test_\w+\.py)(?:::(\w+))?`", text)

    assert len(named) > 10
    for file, name in named:
        assert file in sources, file
        assert not name or f"def {name}(" in sources[file], f"{file}::{name}"


def test_the_readmes_figures_are_those_of_the_benchmark():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- results:begin -->")[2].partition("<!-- results:end -->")[0]
    figures = json.loads((ROOT / "benchmarks" / "results" / "main_job.json").read_text())
    shown = [cell for cell in re.findall(r"0\.\d{3}", table)]
    known = {
        f"{case['mean']:.3f}"
        for task in ("digits", "world")
        for case in figures[task].values()
        if isinstance(case, dict)
    }

    assert len(shown) >= 6
    assert set(shown) <= known
