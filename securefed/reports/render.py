"""A report's plain values to what people read: JSON, Markdown and one HTML file."""

from __future__ import annotations

import json
from pathlib import Path

from securefed.errors import ConfigError
from securefed.reports.html import to_html
from securefed.reports.markdown import to_markdown
from securefed.reports.record import Json, RunRecord
from securefed.reports.report import build
from securefed.reports.sums import Checked, OnSum, untold

__all__ = ["renderings", "to_html", "to_json", "to_markdown", "write", "write_report"]


def write_report(folder: Path, *, on_sum: OnSum = untold) -> dict[str, Path]:
    """Derive the report of a finished run from its folder and write it there.

    Args:
        folder: Of the run.
        on_sum: Told of every transcript that is checked.

    Returns:
        The files by kind: ``json``, ``md`` and ``html``.

    Raises:
        ConfigError: If the folder is not a finished run, or cannot be written.
        LedgerError: If a ledger's chain does not hold.
        VerificationError: See :func:`securefed.reports.report.build`.
    """
    record = RunRecord.read(folder)
    write(build(record, Checked.of(record, on_sum)), folder)
    return {kind: folder / f"report.{kind}" for kind in ("json", "md", "html")}


def write(report: Json, folder: Path) -> None:
    """Write a report's renderings into a folder.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    try:
        for name, text in renderings(report).items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {folder}: {error.strerror}") from error


def renderings(report: Json) -> dict[str, str]:
    """Return every file that a report is written to, by name; each follows from the values alone, to the byte."""
    return {"report.json": to_json(report), "report.md": to_markdown(report), "report.html": to_html(report)}


def to_json(report: Json) -> str:
    """Return the report as JSON; numbers that JSON does not have are refused."""
    return json.dumps(report, indent=2, allow_nan=False) + "\n"
