"""A scorecard as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "Row",
    "Adversary",
    "What it tries",
    "Defences",
    "Achieved (95 % interval)",
    "Chance",
    "At most",
    "n",
    "Accuracy",
    "Verdict",
)

ABOUT_ROW = 3
"""How many of them, the first, say the same for all arms of a row."""


def markdown(card: Mapping[str, Any]) -> str:
    """Return the scorecard as Markdown, with what repeats it above the table."""
    return f"Profile `{card['profile']}`, {seeds(card)}, securefed {card['version']}.\n\n{table(card)}\n"


def table(card: Mapping[str, Any]) -> str:
    """Return the scorecard as a Markdown table."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    return "\n".join([*head, *("| " + " | ".join(cells(result)) + " |" for result in card["results"])])


def command(card: Mapping[str, Any]) -> str:
    """Return what plays the same scorecard again."""
    return f"securefed threats scorecard --profile {card['profile']} --seed {card['seeds'][0]}"


def seeds(card: Mapping[str, Any]) -> str:
    """Return the seeds in words."""
    first, last = card["seeds"][0], card["seeds"][-1]
    return f"seed {first}" if first == last else f"seeds {first} to {last}"


def number(value: float | None) -> str:
    """Return three digits after the point; what would look like nothing but is not, as a power of ten; or a dash."""
    if value is None:
        return "–"
    return f"{value:.3f}" if value == 0 or abs(value) >= 5e-4 else f"{value:.0e}"


def cells(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return an arm in text, one cell a column."""
    return (
        result["row"],
        result["adversary"],
        f"{result['title']}: {result['measure']}",
        result["defences"],
        f"{number(result['value'])} ({number(result['low'])} to {number(result['high'])})",
        number(result["chance"]),
        number(result["at_most"]),
        str(result["n"]),
        f"{result['accuracy']:.3f}",
        result["verdict"],
    )
