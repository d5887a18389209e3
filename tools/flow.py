"""The picture of a round, drawn for wide and for narrow screens: what happens where, and who sees what.

    python -m tools.flow

writes ``docs/static/flow-wide.svg`` and ``docs/static/flow-tall.svg``. Both follow the reader's choice of light or dark
and name no font that would have to be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "static"

CLIENT = (
    ("images", "never leave", "this machine"),
    ("features", "frozen CLIP,", "encoded once"),
    ("clip", "every record", "by itself"),
    ("quantise", "to integers,", "no overflow"),
    ("+ noise", "this client's", "integer share"),
    ("mask", "or encrypt,", "and sign"),
)
LEDGER = ("ledger", "charged, on disk, before the noise is drawn; refuses to overspend")
SERVER = (("sum", "masks cancel,", "noise adds up"), ("step", "to the next", "adapter"))
PUBLIC = (("report", "from ledgers", "and transcripts"), ("adapter", "released after", "the last round"))

BANDS = (
    ("client", "Each client", "sees its own records and every adapter"),
    ("server", "Server", "sees who took part; the noisy sum, (ε, δ)-DP"),
    ("public", "Recipients", "get the adapter, (ε, δ)-DP, and the report"),
)

STYLE = """
text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.title { font-size: 14px; font-weight: 600; }
.who { font-weight: 600; }
.box { fill: var(--paper); stroke: var(--line); }
.band { stroke-width: 1.5; }
.client { fill: #2f7d4f22; stroke: #2f7d4f; }
.server { fill: #b3541e22; stroke: #b3541e; }
.public { fill: #3567b222; stroke: #3567b2; }
.arrow { fill: none; stroke: var(--ink); stroke-width: 1.5; marker-end: url(#head); }
#head path { fill: var(--ink); }
svg { --ink: #1c2024; --paper: #ffffff; --line: #80868c; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e8ea; --paper: #1b1f23; --line: #8b929a; } }
"""

TITLE = "A round: images, features, clipping, quantising, noise and masks at each client; sum and step at the server"


def wide() -> str:
    """Return the picture for wide screens: clients above, from left to right, and the way back below."""
    left = [22 + 121 * number for number in range(6)]
    parts = [
        _band(0, (8, 8), (744, 196), 21),
        _band(2, (8, 244), (350, 112), 100),
        _band(1, (376, 244), (376, 112), 100),
    ]
    parts += [_box(x, 44, 110, 74, *words) for x, words in zip(left, CLIENT, strict=True)]
    parts += [_arrow((x + 110, 81), (x + 120, 81)) for x in left[:-1]]
    parts += [_box(left[0], 146, 594, 44, *LEDGER), _arrow((left[4] + 55, 146), (left[4] + 55, 119))]
    parts += [
        _box(x, 258, 110, 66, *told) for x, told in zip((44, 234, 398, 627), (*PUBLIC, *SERVER[::-1]), strict=True)
    ]
    parts += [_arrow((682, 118), (682, 257)), _text(672, 228, "masked vectors", anchor="end")]
    parts += [_arrow((627, 291), (509, 291)), _arrow((398, 291), (345, 291))]
    parts += [_arrow((99, 190), (99, 257)), _arrow((289, 258), (289, 205)), _text(299, 228, "next round")]
    return _picture(760, 364, parts)


def tall() -> str:
    """Return the picture for narrow screens: from top to bottom."""
    steps = [*CLIENT[:4], ("ledger", "charged on disk first"), *CLIENT[4:], *SERVER, *PUBLIC[::-1]]
    tops = [44 + 62 * number for number in range(7)] + [568, 630, 772, 834]
    parts = [_band(0, (8, 8), (344, 466), 23), _band(1, (8, 532), (344, 156), 23), _band(2, (8, 736), (344, 156), 23)]
    parts += [_row(y, *words) for y, words in zip(tops, steps, strict=True)]
    parts += [_arrow((180, y + 44), (180, y + 61)) for y in (*tops[:6], tops[7])]
    parts += [_arrow((180, 474), (180, 531)), _text(192, 508, "masked vectors")]
    parts += [_arrow((180, 688), (180, 735)), _text(192, 716, "also for the next round")]
    return _picture(360, 900, parts)


def _picture(width: int, height: int, parts: Sequence[str]) -> str:
    head = '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    title = f"<title>{escape(TITLE)}</title>\n<style>{STYLE}</style>"
    marker = f'<defs>{head}<path d="M0 0 8 4 0 8z"/></marker></defs>'
    return "\n".join((opening, title, marker, *parts, "</svg>", ""))


def _band(number: int, corner: tuple[int, int], size: tuple[int, int], line: int) -> str:
    """Return a party's frame; its words stand ``line`` below the upper edge."""
    (kind, who, sees), (x, y), (width, height) = BANDS[number], corner, size
    shape = f'<rect class="band {kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
    words = f'<tspan class="who">{escape(who)}</tspan> {escape(sees)}'
    return f'{shape}\n<text x="{x + 14}" y="{y + line}">{words}</text>'


def _box(x: int, y: int, width: int, height: int, title: str, *lines: str) -> str:
    middle = x + width // 2
    first = y + (height - 16 * len(lines)) // 2 + 4
    told = [_text(middle, first + 17 * (row + 1), line, anchor="middle") for row, line in enumerate(lines)]
    return "\n".join((_frame(x, y, width, height), _text(middle, first, title, anchor="middle", kind="title"), *told))


def _row(y: int, title: str, *lines: str) -> str:
    """Return a box of the narrow picture, with its title on the left."""
    words = _text(132, y + 27, " ".join(lines).strip())
    return "\n".join((_frame(24, y, 312, 44), _text(38, y + 27, title, kind="title"), words))


def _frame(x: int, y: int, width: int, height: int) -> str:
    return f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>'


def _text(x: int, y: int, words: str, *, anchor: str = "start", kind: str = "words") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _arrow(*points: tuple[int, int]) -> str:
    return f'<path class="arrow" d="M{" ".join(f"{x} {y}" for x, y in points)}"/>'


PICTURES = {"flow-wide.svg": wide, "flow-tall.svg": tall}


def main() -> None:
    """Write both pictures."""
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
