"""What the look at the built site finds: anything that is loaded from elsewhere, and dead links."""

import pytest

from tools.site import problems


@pytest.fixture
def site(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "style.css").write_text("body { background: url(data:image/png;base64,AA) }")
    (tmp_path / "other.html").write_text('<h1 id="there">x</h1><a href="https://example.org/">elsewhere</a>')
    return tmp_path


def found(site, body):
    (site / "index.html").write_text(f'<link rel="stylesheet" href="_static/style.css">{body}')
    return [problem.partition(": ")[2] for problem in problems(site)]


def test_a_whole_site_has_no_problem(site):
    assert found(site, '<a href="other.html#there">x</a><a href="#">up</a><img src="data:image/png;base64,AA">') == []


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<img src="//cdn.example/x.png">',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<picture><source srcset="http://cdn.example/x.svg"></picture>',
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(site, body):
    assert [problem.endswith("from elsewhere") for problem in found(site, body)] == [True]


@pytest.mark.parametrize("address", ["url('https://fonts.example/a.woff')", '@import "//fonts.example/a.css"'])
def test_fonts_from_elsewhere_are_found(site, address):
    (site / "_static" / "style.css").write_text(f"{address};")
    assert [problem.endswith("from elsewhere") for problem in found(site, "")] == [True]


@pytest.mark.parametrize("link", ["gone.html", "other.html#gone", "#gone", "_static/gone.pdf"])
def test_dead_links_are_found(site, link):
    assert found(site, f'<a href="{link}">x</a>') == [f"nothing is at {link}"]


def test_a_site_without_pages_is_none(tmp_path):
    assert list(problems(tmp_path)) == [f"{tmp_path} holds no pages"]
