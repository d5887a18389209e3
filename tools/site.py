"""A look at the built documentation site: it loads nothing from elsewhere, and no link in it is dead.

    sphinx-build -W --keep-going -q docs build/site
    python -m tools.site build/site

Links to other sites are for readers to follow and are not tried: this needs no network. Exit
code 1 names what is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    ("img", "src"),
    ("script", "src"),
    ("iframe", "src"),
    ("source", "srcset"),
    ("source", "src"),
    ("link", "href"),
}
"""What a browser fetches by itself."""

FOLLOWED = {("a", "href")}

STYLED = re.compile(r"""(?:url\(|@import)\s*["']?([^"')]+)""")


class Page(HTMLParser):
    """What one page refers to, and the places in it that can be referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.followed: list[str] = []
        self.places = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element loads, links to and is called."""
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            if (tag, name) in LOADS and value:
                self.loads.append(value)
            if (tag, name) in FOLLOWED and value:
                self.followed.append(value)


def problems(site: Path) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with the site in a folder."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site} holds no pages"
    for path, page in pages.items():
        yield from _asked_elsewhere(path, page.loads)
        for link in (*page.loads, *page.followed):
            if not _leads_somewhere(path, link, pages):
                yield f"{path}: nothing is at {link}"
    for path in sorted(site.rglob("*.css")):
        yield from _asked_elsewhere(path, STYLED.findall(path.read_text(encoding="utf-8")))


def _asked_elsewhere(path: Path, loads: list[str]) -> Iterator[str]:
    for address in loads:
        parts = urlsplit(address)
        if parts.netloc or parts.scheme not in ("", "data"):
            yield f"{path}: loads {address} from elsewhere"


def _leads_somewhere(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target in pages:
        return unquote(parts.fragment) in pages[target].places
    return target.exists()


def main() -> int:
    """Print what is wrong."""
    found = list(problems(Path(sys.argv[1])))
    sys.stdout.write("".join(f"{problem}\n" for problem in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
