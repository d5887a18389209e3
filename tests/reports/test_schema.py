"""The published schema: it is that of the code, reports obey it, and what it forbids is refused."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from securefed.reports.report import RunRecord, build
from securefed.reports.schema import SCHEMA, json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "report-schema.json"


@pytest.fixture(scope="module")
def schema():
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def test_the_published_schema_is_that_of_the_code(schema):
    """If not: python -c 'import json; from securefed.reports.schema import json_schema; print(json.dumps(...))'."""
    assert PUBLISHED.read_text(encoding="utf-8") == json.dumps(json_schema(), indent=2) + "\n"
    assert schema["properties"]["schema"]["const"] == SCHEMA
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("run", ["finished", "open_run", "seeded_run"])
def test_reports_obey_the_published_schema(run, request, schema):
    report = json.loads((request.getfixturevalue(run) / "report.json").read_text())

    jsonschema.validate(report, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "edit",
    [
        lambda report: report.pop("epsilon"),
        lambda report: report.update(praise="best"),
        lambda report: report.update(schema="securefed-report/1"),
        lambda report: report["assumptions"][0].update(status="probably"),
        lambda report: report["bounds"].update(advantage=2.0),
        lambda report: report["spend"]["per_client"]["client-0"].pop("left"),
        lambda report: report.update(warnings="none"),
    ],
)
def test_what_is_no_report_is_refused(finished, schema, edit):
    report = copy.deepcopy(build(RunRecord.read(finished)))
    edit(report)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, schema, cls=jsonschema.Draft202012Validator)


def test_every_entry_that_a_reader_could_misread_is_described(schema):
    described = {
        name
        for part in (schema, *schema["$defs"].values())
        for name, entry in part["properties"].items()
        if "description" in entry
    }

    assert described >= {"mu", "advantage", "tpr_at_fpr", "delta_curve", "per_round", "head", "root", "gaussian", "any"}
