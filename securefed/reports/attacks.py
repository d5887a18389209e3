"""A scorecard of attacks as one HTML page, in the look of the reports: plain values and pictures in, text out."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, final

from securefed.reports.html import environment
from securefed.reports.names import tamed, visible
from securefed.reports.plane import Scale
from securefed.reports.record import Json

WIDE = 150
"""Width of a strip."""

SHADES = {"PASS": "enforced", "FAIL": "violated", "INVALID": "violated", "NOT CLAIMED": "attested"}
"""Colours of verdicts, by the names that reports have for them."""


class Drawn(Protocol):
    """A picture; see :class:`securefed.threat_models.pictures.Picture`."""

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def text(self) -> str: ...  # noqa: D102

    @property
    def png(self) -> bytes: ...  # noqa: D102


@final
@dataclass(frozen=True, slots=True)
class Strip:
    """An interval between nothing and everything, with chance and what is allowed, as places on a line.

    Attributes:
        low: Where the interval starts.
        high: Where it ends.
        value: What was measured.
        chance: What somebody achieves who sees nothing.
        most: What must not be exceeded; None where nothing is claimed.
        color: Of the interval.
        text: The same in words.
    """

    low: float
    high: float
    value: float
    chance: float
    most: float | None
    color: str
    text: str


def to_page(card: Json, pictures: Sequence[Drawn], *, command: str) -> str:
    """Return a scorecard as one page.

    Args:
        card: As :func:`securefed.threat_models.scorecard.scorecard` returns it.
        pictures: What attackers saw.
        command: What plays it again.
    """
    safe = tamed(card, visible)
    verdicts = [result["verdict"] for result in safe["results"]]
    return (
        environment()
        .get_template("attacks.html.j2")
        .render(
            card=safe,
            rows=list(_rows(safe["results"])),
            counts={name: verdicts.count(name) for name in ("CONTROL", *SHADES)},
            shades=SHADES,
            pictures=[(each.title, each.text, base64.b64encode(each.png).decode()) for each in pictures],
            command=command,
            wide=WIDE,
        )
    )


def _rows(results: list[Json]) -> Iterator[tuple[Json, list[tuple[Json, Strip]]]]:
    """Yield what is said of each row once, and its arms with their strips."""
    for _, group in groupby(results, key=lambda result: str(result["row"])):
        arms = list(group)
        ends = [each[name] for each in arms for name in ("high", "at_most", "chance") if each[name] is not None]
        scale = Scale(0.0, max(1.0, *ends), 0.0, float(WIDE))
        yield arms[0], [(arm, _strip(arm, scale)) for arm in arms]


def _strip(arm: dict[str, Any], scale: Scale) -> Strip:
    most = arm["at_most"]
    allowed = "" if most is None else f", at most {most:.3g} is allowed"
    return Strip(
        low=scale.place(arm["low"]),
        high=scale.place(arm["high"]),
        value=scale.place(arm["value"]),
        chance=scale.place(arm["chance"]),
        most=None if most is None else scale.place(most),
        color="second" if arm["verdict"] in ("CONTROL", "FAIL", "INVALID", "NOT CLAIMED") else "first",
        text=f"{arm['value']:.3f}, between {arm['low']:.3f} and {arm['high']:.3f}; chance {arm['chance']:.3g}{allowed}",
    )
