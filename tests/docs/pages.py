"""The project's Markdown, taken apart: code blocks with the reason why one is not run, words in code, links."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]

PLACES = ("*.md", "docs/**/*.md", "tools/*.md", "examples/*/*.md")

PAGES = sorted(path.relative_to(ROOT).as_posix() for place in PLACES for path in ROOT.glob(place))

REASON = re.compile(r"<!-- not run: (.+) -->")


def tokens(page):
    return MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text(encoding="utf-8"))


def blocks(page):
    """Yield language, reason or None, and text of each code block; directives of the site are none."""
    before = None
    for token in tokens(page):
        if token.type == "code_block" or (token.type == "fence" and not token.info.startswith("{")):
            reason = REASON.match(before.content) if before is not None and before.type == "html_block" else None
            yield token.info.strip(), reason and reason.group(1), token.content
        before = token


def inline(page, kind):
    return [child for token in tokens(page) for child in token.children or () if child.type == kind]
