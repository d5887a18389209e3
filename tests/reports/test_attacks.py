"""The scorecard as a page: valid, self-contained, and every interval and picture in words."""

import base64
import copy
import re

import html5lib
import pytest

from securefed.reports.attacks import to_page
from securefed.threat_models.pictures import Picture

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ARM = {
    "row": "T01",
    "title": "find a picture",
    "adversary": "curious server",
    "measure": "share of records",
    "defences": "none",
    "value": 1.0,
    "low": 0.9,
    "high": 1.0,
    "chance": 0.1,
    "at_most": None,
    "n": 40,
    "note": "",
    "accuracy": 0.9,
    "verdict": "CONTROL",
}
CLAIMED = ARM | {
    "defences": "noise",
    "value": 0.1,
    "low": 0.05,
    "high": 0.2,
    "at_most": 0.3,
    "verdict": "PASS",
    "note": "a note",
}
CARD = {
    "format": "securefed-scorecard/2",
    "version": "0.1.0",
    "profile": "full",
    "seeds": [1, 2],
    "results": [ARM, CLAIMED],
}
SEEN = Picture("Defences: none", "Eight digits and what was rebuilt of them.", PNG)


def page(card=CARD, pictures=(SEEN,)):
    return to_page(card, pictures, command="securefed threats scorecard --seed 1")


@pytest.mark.parametrize("pictures", [(), (SEEN,)], ids=["without pictures", "with one"])
def test_the_page_is_valid_html(pictures):
    html5lib.HTMLParser(strict=True).parse(page(pictures=pictures))


def test_the_page_loads_and_runs_nothing():
    text = page()

    assert not re.search(r"<script|<link|<iframe|https?://|url\(|@import", text)
    assert re.findall(r'src="(\w+:)', text) == ["data:"]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text


def test_every_picture_and_every_interval_is_there_in_words():
    text = page()

    assert f'alt="{SEEN.text}"' in text
    labels = re.findall(r'<svg class="strip"[^>]*aria-label="([^"]+)"', text)
    assert labels == [
        "1.000, between 0.900 and 1.000; chance 0.1",
        "0.100, between 0.050 and 0.200; chance 0.1, at most 0.3 is allowed",
    ]


def test_every_row_can_be_reached_from_the_top():
    text = page()
    ids = re.findall(r' id="([^"]+)"', text)

    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_claim_that_fails_is_said_at_the_top():
    assert "stamp" not in re.sub(r"<style>.*</style>", "", page(), flags=re.DOTALL)

    card = copy.deepcopy(CARD)
    card["results"][1]["verdict"] = "FAIL"
    assert "1 claims do not hold; 0 arms" in page(card)


def test_names_from_a_file_are_text_and_nothing_else():
    card = copy.deepcopy(CARD)
    card["results"][1] |= {"defences": '<script>alert("x")</script>', "note": "a\u202eb"}
    text = page(card)

    html5lib.HTMLParser(strict=True).parse(text)
    assert "<script" not in text
    assert "a\\u202eb" in text
