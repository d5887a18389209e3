"""The colours of a page, for paper and for the dark: named by what they are for."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#fcfcfa",
    "card": "#f3f3ee",
    "ink": "#1b1d20",
    "muted": "#55595f",
    "line": "#d3d3cc",
    "rule": "#767a80",
    "first": "#1b5a86",
    "second": "#a4440c",
    "good": "#1c6636",
    "open": "#7a5200",
    "bad": "#a30d1c",
    "stamp": "#fdeaea",
}

DARK: Mapping[str, str] = {
    "paper": "#14161a",
    "card": "#1d2025",
    "ink": "#e9e7e2",
    "muted": "#a9afb7",
    "line": "#363b42",
    "rule": "#888e97",
    "first": "#7db8e3",
    "second": "#f0a067",
    "good": "#7fca9a",
    "open": "#e2bf62",
    "bad": "#ff9a9a",
    "stamp": "#3c1417",
}

TEXT = ("ink", "muted", "first", "second", "good", "open", "bad")
"""What text is set in; it has to be read on ``paper`` and ``card``."""

DRAWN = ("first", "second", "rule")
"""What lines and bars are drawn in."""


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
