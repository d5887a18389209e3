"""The page of measurements says what the files say."""

from benchmarks import page


def test_the_page_is_what_its_generator_makes():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run python -m benchmarks.page"


def test_a_row_says_whether_its_goal_is_met():
    found = {"seconds": 7.5, "ratio": {"ratio": 1.25, "quartile_low": 1.0, "quartile_high": 2.0}, "list": [{"x": 1234}]}

    assert page.Row("a", "seconds", "s", most=8.0).line(found) == "| a | 7.50 s | at most 8.00: met |"
    assert page.Row("a", "seconds", "s", least=8.0).line(found) == "| a | 7.50 s | at least 8.00: not met |"
    assert page.Row("a", "ratio", most=1.2).line(found) == "| a | 1.25 (1.00 to 2.00) × | at most 1.20: not met |"
    assert page.Row("a", "list.0.x", "bytes").line(found) == "| a | 1,234 bytes |  |"


def test_a_figure_that_was_not_measured_is_left_out():
    assert page.Row("a", "list.1.x").line({"list": [{"x": 1}]}) is None
    assert page.Row("a", "seconds").line({}) is None
