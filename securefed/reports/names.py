"""Names that others chose, made harmless: what cannot be seen, or turns text around, is shown as its number."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories of what has no glyph: controls, direction marks, joiners, surrogates, line separators."""

MARKDOWN = re.compile(r"([\\`*_\[\]<>&|~#@])|(?<=:)(?=//)|(?<=www)(?=\.)|^(?=[-+=])", re.IGNORECASE)
"""What Markdown would read as more than text, links that it makes by itself included."""


def visible(text: str) -> str:
    r"""Return text in which every character is seen: ``\u202e`` stands for a mark that turns the direction.

    Examples:
        >>> visible("a\u202eb")
        'a\\u202eb'
    """
    return "".join(_shown(character) for character in text)


def for_markdown(text: str) -> str:
    r"""Return text as Markdown that shows it and means nothing.

    Examples:
        >>> for_markdown("<b> http://x")
        '\\<b\\> http:\\//x'
    """
    return MARKDOWN.sub(lambda match: "\\" + (match.group(1) or ""), visible(text))


def short(text: str, length: int) -> str:
    """Return the beginning of a long text, for a place without room."""
    return text if len(text) <= length else text[: length - 1] + "…"


def for_picture(text: str, length: int) -> str:
    r"""Return the beginning of a text as matplotlib shows it: two dollars would make a formula of what is between.

    Examples:
        >>> for_picture("$x^$", 8)
        '\\$x^\\$'
    """
    return short(visible(text), length).replace("$", r"\$")


def tamed(value: Any, form: Any) -> Any:
    """Return plain values with a function applied to every text in them, keys included, so that none is forgotten."""
    if isinstance(value, str):
        return form(value)
    if isinstance(value, dict):
        return {form(key): tamed(item, form) for key, item in value.items()}
    if isinstance(value, list):
        return [tamed(item, form) for item in value]
    return value


def _shown(character: str) -> str:
    if unicodedata.category(character) not in HIDDEN:
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 2**16 else f"\\U{number:08x}"
