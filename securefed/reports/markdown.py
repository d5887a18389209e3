"""A report as Markdown. All text but headings passes through one of three functions, which make it harmless."""

from __future__ import annotations

from collections.abc import Iterable

from securefed.reports import tables
from securefed.reports.names import for_markdown
from securefed.reports.record import Json
from securefed.reports.tables import Table

SIGNED = {
    True: "The result was in the run when its server signed it.",
    False: "The result came to the run afterwards; nobody signed it.",
}


def to_markdown(report: Json) -> str:
    """Return the report as Markdown."""
    words = report["plain_words"]
    parts = [
        "# Privacy report" if report["private"] else "# NOT PRIVATE: privacy report",
        *(f"> **{for_markdown(warning)}**" for warning in report["warnings"]),
        _table(tables.headline(report)),
        "## In plain words",
        _bullets((name.replace("_", " "), text) for name, text in words.items()),
        "## Who is trusted",
        _paragraph(report["trust"]),
        "## What the epsilon speaks of",
        _bullets(report["definition"].items()),
        *(_spent(report) if report["spend"] else ()),
        "## Rounds",
        _table(tables.rounds(report)),
        "## Mechanism, randomness and numbers",
        _table(tables.facts(report["mechanism"])),
        _bullets((report["randomness"] | report["numeric"]).items()),
        "## Secure sum",
        _table(tables.secure_sum(report)),
        "## Audits",
        *_audit(report),
        "## Not protected",
        _bullets(("", text) for text in report["unprotected"]),
        "## By the blocks of NIST SP 800-226",
        _table(tables.nist(report)),
        "## By the fields of the registry of deployments",
        _table(tables.registry(report)),
        "## To repeat or check",
        _table(tables.origin(report)),
        "`securefed verify` with the folder of this file recomputes every figure from the ledgers.",
    ]
    return "\n\n".join(parts) + "\n"


def _spent(report: Json) -> Iterable[str]:
    return [
        "## Accounting",
        *([] if report["private"] else ["**VOID: what follows would hold, had the warnings at the top no cause.**"]),
        _bullets(report["accounting"].items()),
        _table(tables.bounds(report)),
        "## Assumptions",
        _table(tables.assumptions(report)),
        "## Spend",
        _table(tables.spend(report)),
        "## All runs on the same data",
        _table(tables.runs(report)),
    ]


def _audit(report: Json) -> Iterable[str]:
    if report["audit"] is None:
        return [_paragraph("No audit of this run was made, or its result is not in the run's folder.")]
    audit = report["audit"]
    return [
        _paragraph(
            f"What attacks achieved on the pipeline beside what is claimed for it, at δ = {audit['delta']:g}; each "
            f"lower bound holds with {100 * audit['confidence']:g} % confidence. With a deliberate bug, the claim has "
            f"to be exceeded. {SIGNED[audit['signed_by_the_server']]}"
        ),
        _table(tables.audit(report)),
    ]


def _paragraph(text: str) -> str:
    return for_markdown(text)


def _bullets(items: Iterable[tuple[str, object]]) -> str:
    return "\n".join(
        f"- **{for_markdown(name.replace('_', ' '))}**: {for_markdown(tables.shown(value))}"
        if name
        else f"- {for_markdown(tables.shown(value))}"
        for name, value in items
    )


def _table(table: Table) -> str:
    rule = ["---:" if column in table.numbers else "---" for column in range(len(table.head))]
    lines = [_row(table.head), "| " + " | ".join(rule) + " |", *map(_row, table.rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(for_markdown, cells)) + " |"
