"""The page: valid, self-contained, readable, and harmless whatever names others chose."""

import copy
import itertools
import re
from html.parser import HTMLParser

import html5lib
import pytest
from markdown_it import MarkdownIt

from securefed.reports import palette, render
from securefed.reports.names import for_markdown, short, visible
from securefed.reports.report import RunRecord, build

HOSTILE = (
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "{{ report }}{% raw %}",
    "a\u202etxt.exe\u2066\u200b\u0000",
    "N" * 300,
    "| cell | [link](http://evil.example) `code` **bold** http://evil.example www.evil.example",
    "\nnew line\n# heading",
)


@pytest.fixture(scope="session")
def report(_finished):
    return build(RunRecord.read(_finished))


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def hostile(request, report):
    """A report in which everything that somebody can name has a hostile name."""
    name, values = request.param, copy.deepcopy(report)
    clients = [f"{name}{i}" for i in range(4)]
    values["spend"]["per_client"] = dict(zip(clients, values["spend"]["per_client"].values(), strict=True))
    values["spend"]["worst_client"] = values["accounting"]["client"] = clients[0]
    for key in ("survivors_by_round", "dropped_by_round"):
        values["secure_sum"][key] = [clients[: len(names)] for names in values["secure_sum"][key]]
    values["secure_sum"]["transcript"]["refusals"] = [{"round": 1, "client": name, "reason": name}]
    for run in values["runs_on_this_data"]:
        run |= {"run": name, "purposes": [name]}
    values |= {"data": name, "partition": name, "run": name, "model": {"name": name, "sha256": "00"}}
    values["warnings"] = [name]
    return name, values


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.content = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.content.append(data)


def test_the_page_is_valid_html(report):
    """By the parser of the standard, in which every error is one; see also the browser's test."""
    html5lib.HTMLParser(strict=True).parse(render.to_html(report))


def test_what_is_no_valid_html_is_noticed():
    with pytest.raises(html5lib.html5parser.ParseError):
        html5lib.HTMLParser(strict=True).parse("<!DOCTYPE html><title>t</title><p><b></p>")


def test_the_page_needs_nothing_but_itself(report):
    page = Page(render.to_html(report))
    names = {name for name, _ in page.attributes}

    assert not names & {"src", "srcset", "onclick", "onload", "style", "background", "poster", "data", "action"}
    assert not set(page.tags) & {"script", "link", "iframe", "object", "embed", "form", "base", "img"}
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "url(" not in render.to_html(report)
    assert "@import" not in render.to_html(report)


def test_every_id_is_there_once_and_every_link_leads_somewhere(report):
    page = Page(render.to_html(report))
    ids = [value for name, value in page.attributes if name == "id"]

    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)


def test_every_picture_says_what_it_shows_and_has_its_table(report):
    text = render.to_html(report)
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)

    assert len(figures) == 5
    for figure in figures:
        assert re.search(r'<svg viewBox="[\d. ]+" role="group" aria-label="[^"]{20,}"', figure)
        assert re.search(r"<details>.*<table.*<th scope", figure, re.DOTALL)


def test_every_point_can_be_read_with_the_keyboard(report):
    text = render.to_html(report)
    points = re.findall(r'<g class="value" tabindex="0" role="img" aria-label="([^"]+)">', text)

    assert f"round 3: ε = {report['spend']['per_round'][2]:.4f}" in points
    assert f"ε = {report['spend']['per_round'][2]:.4f}: accuracy {report['accuracy']:.4f}" in points
    assert "round 1: 1 dropped out, 3 in the sum" in points


def test_headings_do_not_skip_a_level(report):
    levels = [int(tag[1]) for tag in Page(render.to_html(report)).tags if re.fullmatch(r"h\d", tag)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("colors", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_text_and_pictures_stand_out_from_what_they_are_on(colors):
    """WCAG 2.2, AA: 4.5 for text (1.4.3), 3 for what is drawn (1.4.11)."""
    for ground in ("paper", "card"):
        for name in palette.TEXT:
            assert palette.contrast(colors[name], colors[ground]) >= 4.5, (name, ground)
        for name in palette.DRAWN:
            assert palette.contrast(colors[name], colors[ground]) >= 3, (name, ground)
    assert palette.contrast(colors["bad"], colors["stamp"]) >= 4.5


def test_contrast_is_that_of_the_standard():
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_every_colour_of_the_style_is_in_both_palettes(report):
    used = set(re.findall(r"var\(--(\w+)\)", render.to_html(report)))

    assert used <= set(palette.LIGHT)
    assert set(palette.LIGHT) == set(palette.DARK)


def test_hostile_names_are_shown_harmlessly_in_html(hostile, report):
    name, values = hostile
    text = render.to_html(values)
    html5lib.HTMLParser(strict=True).parse(text)
    page, plain = Page(text), Page(render.to_html(report))

    assert set(page.tags) <= set(plain.tags) | {"div", "p"}
    assert {name for name, _ in page.attributes} <= {name for name, _ in plain.attributes}
    assert visible(name) in " ".join(page.content)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u0000]", text)


def test_hostile_names_are_shown_harmlessly_in_markdown(hostile, report):
    name, values = hostile
    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(render.to_markdown(values))
    plain = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(render.to_markdown(report))
    page, other = Page(shown), Page(plain)

    assert set(page.tags) - {"blockquote"} <= set(other.tags)
    assert page.tags.count("tr") <= other.tags.count("tr") + 1
    assert page.tags.count("h1") + page.tags.count("h2") == other.tags.count("h1") + other.tags.count("h2")
    assert visible(name) in "".join(page.content)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u0000]", shown)


def test_markdown_makes_no_link_of_an_address_by_itself():
    text = for_markdown("see http://evil.example or WWW.evil.example or me@evil.example")

    assert not re.search(r"://|www\.|(?<!\\)@", text, re.IGNORECASE)


def test_a_name_that_is_too_long_for_a_picture_is_cut_there_only(hostile):
    name, values = hostile
    text = render.to_html(values)
    labels = re.findall(r'<text x="90"[^>]*>([^<]*)</text>', text)

    assert len(labels) == 4
    assert short("N" * 300, 14) == "N" * 13 + "…"
    if name.startswith("N"):
        assert set(labels) == {"N" * 13 + "…"}
        assert "N" * 300 in text


@pytest.mark.parametrize("rounds", [1, 2, 200])
@pytest.mark.parametrize("clients", [2, 200])
def test_pictures_hold_any_number_of_rounds_and_clients(report, rounds, clients):
    values = copy.deepcopy(report)
    spend, (client, *_) = values["spend"], values["spend"]["per_client"].values()
    spend["per_client"] = {f"client-{i}": client for i in range(clients)}
    spend["worst_client"] = "client-0"
    for key in ("per_round", "total_by_round", "left_by_round"):
        spend[key] = [spend[key][0]] * rounds
    values |= {
        "rounds": rounds,
        "accuracy_by_round": [0.5] * rounds,
        "zero_shot_accuracy": 0.5,
        "initial_accuracy": 0.5,
    }
    for key in ("survivors_by_round", "dropped_by_round"):
        values["secure_sum"][key] = [[] for _ in range(rounds)]
    text = render.to_html(values)

    html5lib.HTMLParser(strict=True).parse(text)
    places = [float(x) for line in re.findall(r'points="([^"]+)"', text) for x in re.split("[ ,]", line)]
    assert all(0 <= place <= 360 for place in places)
