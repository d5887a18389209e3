"""A report's plain values to what people read."""

from __future__ import annotations

import json
from pathlib import Path

from securefed.errors import ConfigError
from securefed.reports.bounds import in_words
from securefed.reports.record import Json, RunRecord
from securefed.reports.report import build

ACCOUNTANTS = {
    "stated": "the tightest bound that is proved: the one stated",
    "renyi": "Rényi costs, whole orders",
    "pld": "privacy loss distribution (dp-accounting)",
    "rdp": "Rényi costs (dp-accounting)",
    "prv": "privacy random variables (Opacus)",
}


def write_report(folder: Path) -> dict[str, Path]:
    """Derive the report of a finished run from its folder and write it there.

    Returns:
        The files by kind: ``json``, ``md`` and ``html``.

    Raises:
        ConfigError: If the folder is not a finished run, or cannot be written.
    """
    write(build(RunRecord.read(folder)), folder)
    return {kind: folder / f"report.{kind}" for kind in ("json", "md")}


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
    return {"report.json": to_json(report), "report.md": to_markdown(report)}


def to_json(report: Json) -> str:
    """Return the report as JSON; numbers that JSON does not have are refused."""
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


def to_markdown(report: Json) -> str:
    """Return the report as Markdown."""
    parts = [
        "# Privacy report",
        *(f"> **{warning}**" for warning in report["warnings"]),
        _headline(report),
        f"**Who is trusted.** {report['trust']}",
        "## What the epsilon speaks of",
        _bullets([f"**{name}**: {text}" for name, text in report["definition"].items()]),
    ]
    if report["spend"]:
        parts += ["## What it means", in_words(report["bounds"], report["unit"]), _bounds(report)]
        parts += ["## Assumptions", _assumptions(report), "## Spend", _spend(report)]
    parts += [
        "## Accuracy and spend by round",
        _rounds(report),
        "## Mechanism",
        _bullets([f"{name}: {_shown(value)}" for name, value in report["mechanism"].items()]),
        "## Secure sum",
        _bullets([f"{k}: {_shown(v)}" for k, v in report["secure_sum"].items() if k != "survivors_by_round"]),
        "## Not protected",
        _bullets(report["unprotected"]),
        "## To repeat or check",
        _bullets(
            [
                f"plan {report['plan_digest']}",
                f"model {report['model']['name']}, weights {report['model']['sha256']}",
                f"adapter {report['adapter_sha256']}",
                ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
                "`securefed verify` with the folder of this file recomputes every figure from the ledgers",
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _headline(report: Json) -> str:
    budget = "no differential privacy"
    if report["spend"]:
        budget = (
            f"(ε = {report['epsilon']:.4f}, δ = {report['delta']:g}) against the server and its colluders, "
            f"ε = {report['epsilon_server_view']:.4f} against everybody else"
        )
    return _table(
        ["", ""],
        [
            ["Setting", f"{report['setting']}, {report['clients']} clients, {report['rounds']} rounds"],
            ["Updates travel", report["secure"]],
            ["Budget spent", budget],
            ["Accuracy", f"{report['accuracy']:.4f} on the held-out split of {report['data']}"],
            ["Zero-shot accuracy", f"{report['zero_shot_accuracy']:.4f}"],
        ],
    )


def _assumptions(report: Json) -> str:
    rows = [[item["assumption"], item["status"], item["evidence"]] for item in report["assumptions"]]
    return _table(["Assumption", "Status", "Evidence"], rows)


def _bounds(report: Json) -> str:
    found = report["bounds"]
    rows = [[f"ε by {ACCOUNTANTS[name]}", f"{value:.4f}"] for name, value in found["accountants"].items()]
    rows += [[f"ε at δ = {delta}", f"{value:.4f}"] for delta, value in found["epsilon_at"].items()]
    rows.append(["μ of a Gaussian mechanism that gives away as much", f"{found['mu']:.4f}"])
    rows.append(["largest membership advantage", f"{found['advantage']:.4f}"])
    rows += [
        [f"largest true positive rate at a false one of {fpr}", f"{tpr:.4f}"]
        for fpr, tpr in found["tpr_at_fpr"].items()
    ]
    return _table(["All against a coalition of the tolerated size", ""], rows)


def _spend(report: Json) -> str:
    rows = [
        [name, f"{spend['epsilon']:.4f}", f"{spend['budget']:.4f}", f"{spend['left']:.4f}", str(spend["runs"])]
        for name, spend in report["spend"]["per_client"].items()
    ]
    return _table(["Client", "ε spent", "ε budget", "ε left", "Runs on this data"], rows)


def _rounds(report: Json) -> str:
    spent = report["spend"]["per_round"] if report["spend"] else [None] * report["rounds"]
    rows = [
        [str(number), f"{accuracy:.4f}", "none" if epsilon is None else f"{epsilon:.4f}", str(len(survivors))]
        for number, (accuracy, epsilon, survivors) in enumerate(
            zip(report["accuracy_by_round"], spent, report["secure_sum"]["survivors_by_round"], strict=True), 1
        )
    ]
    return _table(["Round", "Accuracy", "ε so far", "Clients in the sum"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
