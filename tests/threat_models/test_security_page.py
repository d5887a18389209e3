"""SECURITY.md is what promises, messages and published results make, and says what a reader looks for."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest

from securefed.aggregation import audit
from securefed.aggregation.base import secure_sum
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.wire import Kind
from securefed.errors import ConfigError, VerificationError
from securefed.rng import seeded
from securefed.threat_models import fields, security
from securefed.threat_models.promises import NON_GOALS
from securefed.threat_models.registry import ROWS
from securefed.threat_models.scorecard import read

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / security.PAGE).read_text(encoding="utf-8")


def test_the_page_is_what_is_made_from_promises_and_results():
    security.check(ROOT / security.RESULTS, ROOT / security.PAGE)


def test_a_changed_word_on_the_page_is_found_with_its_line(tmp_path):
    page = tmp_path / "SECURITY.md"
    lines = TEXT.splitlines()
    lines[2] += " It is perfectly safe."
    page.write_text("\n".join(lines) + "\n")

    with pytest.raises(VerificationError, match=r"SECURITY.md:3: it is not what"):
        security.check(ROOT / security.RESULTS, page)

    page.write_text("\n".join(TEXT.splitlines()[:-1]) + "\n")
    with pytest.raises(VerificationError, match=rf"SECURITY.md:{len(lines)}: "):
        security.check(ROOT / security.RESULTS, page)


def test_the_page_is_written_where_it_is_asked_for_and_holds_then(tmp_path):
    security.write(ROOT / security.RESULTS, tmp_path / "page.md")

    assert (tmp_path / "page.md").read_text() == TEXT
    with pytest.raises(ConfigError, match="cannot be read"):
        security.check(ROOT / security.RESULTS, tmp_path / "nothing.md")
    with pytest.raises(ConfigError, match="cannot be read"):
        security.write(tmp_path, tmp_path / "page.md")


def test_a_result_that_changes_changes_the_page():
    card = read(ROOT / security.RESULTS / "scorecard.json")
    other = copy.deepcopy(card)
    other["results"][-1]["verdict"] = "FAIL"

    assert security.security(card, None) != security.security(other, None)


@pytest.mark.parametrize(
    "heading",
    [
        "Supported versions",
        "Reporting",
        "Who sees what",
        "Promises by mode",
        "Threats",
        "Not protected",
        "Differential privacy",
        "Primitives",
        "Life of a key",
        "Known limitations",
        "Dependencies",
        "Scorecard",
    ],
)
def test_what_a_reader_looks_for_has_a_heading(heading):
    assert f"\n## {heading}\n" in TEXT


def test_it_says_that_nobody_else_has_looked():
    assert "no third-party audit yet" in TEXT


def test_every_id_on_the_page_leads_to_a_row_a_move_or_a_non_goal():
    known = {row.id for row in ROWS} | {row.id for row in audit.ROWS} | {goal.id for goal in NON_GOALS}
    named = set(re.findall(r"\b(?:[CDNPSX]\d\d|T\d\dt?(?:-[a-z]+(?:-[a-z]+)*)?)\b", TEXT))

    assert len(named) > 40
    assert not named - known


def test_tables_have_as_many_cells_in_every_line():
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block.splitlines()[0]


def test_every_message_that_there_is_stands_on_the_page():
    assert set(Kind) == set(fields.MASKED) | set(fields.ENCRYPTED) | fields.SHARED_KEY
    for field in fields.fields():
        assert f"| {field.kind.name} | {field.content.way} |" in TEXT


@pytest.mark.parametrize("sums", [MaskedSum, HomomorphicSum])
def test_the_sizes_on_the_page_are_those_of_messages_that_are_sent(sums):
    parameters, sent = fields.parameters(), {}
    made = sums(parameters)
    roles = {
        name: made.client(name, np.zeros(parameters.dim, np.uint64), rng=seeded(0, name)) for name in parameters.cohort
    }
    secure_sum(made.server(), roles, record=lambda phase, name, way, data: sent.update({Kind(data[5]): len(data)}))
    stated = {field.kind: field.size for field in fields.fields()}
    if sums is HomomorphicSum:  # bodies and openers leave a client together
        sent[Kind.ENCRYPTED] -= stated[Kind.OPENERS]

    assert len(sent) == (10 if sums is MaskedSum else 2)
    assert sent.items() <= stated.items()


def test_the_published_scorecard_has_every_arm_of_every_row_and_no_claim_failed():
    results = read(ROOT / security.RESULTS / "scorecard.json")["results"]

    assert {(result["row"], result["defences"]) for result in results} == {
        (row.id, arm.defences) for row in ROWS for arm in row.arms
    }
    assert not {"FAIL", "INVALID"} & {result["verdict"] for result in results}
