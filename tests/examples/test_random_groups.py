"""Random groups against poisoned updates, as a user starts them: what is printed, what is borne, what is refused."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from securefed import preparation

SCRIPT = Path(__file__).parents[2] / "examples" / "random_groups.py"
SMALL = ("--secure", "plain", "--rounds", "3")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("random_groups", SCRIPT)
    sys.modules["random_groups"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["random_groups"]


@pytest.fixture(scope="module", autouse=True)
def encoded_once():
    """Tests whose plans say the same of data and adapter train on the same materials."""
    kept, prepare = {}, preparation.prepare

    def prepared(plan):
        key = (plan.clients, plan.expected_records, plan.adapter)
        if key not in kept:
            kept[key] = prepare(plan)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "prepare", prepared)
        yield


def figures(printed, name):
    return [float(found) for found in re.findall(rf"{name}\s+([\d.]+)", printed)]


def test_longer_vectors_destroy_the_mean_and_are_borne_by_groups_at_the_same_epsilon(example, capsys):
    assert example.main(["--attack", "boosted", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    borne, destroyed = figures(printed, r"\n  accuracy")
    (zero_shot,) = figures(printed, "zero-shot accuracy")

    assert destroyed < zero_shot - 0.2 < borne
    assert figures(printed, "hiding set") == [3, 15]
    assert figures(printed, "epsilon in the ledger") == [4.0, 4.0]
    assert figures(printed, "gate  +passes")[0] > 1.2
    assert figures(printed, "groups refused") == figures(printed, "2 rounds,") != [0]  # those that held them


def test_vectors_as_long_as_honest_ones_pass_every_gate(example, capsys):
    assert example.main(["--attack", "flipped", *SMALL]) == 0
    assert figures(capsys.readouterr().out, "groups refused") == [0]


def test_long_vectors_pass_the_gate_when_the_noise_is_longer_and_the_example_says_so(example, capsys):
    assert example.main(["--secure", "plain", "--epsilon", "0.1", "--rounds", "8"]) == 0
    printed = capsys.readouterr().out

    assert figures(printed, "groups refused") == [0]
    assert figures(printed, "8 rounds,")[0] >= 8


def test_without_malicious_clients_nobody_is_refused_and_both_learn(example, capsys):
    assert example.main(["--attack", "none", *SMALL, "--faulty", "1", "--groups", "4"]) == 0
    printed = capsys.readouterr().out
    (zero_shot,) = figures(printed, "zero-shot accuracy")

    assert min(figures(printed, r"\n  accuracy")) > zero_shot
    assert figures(printed, "groups refused") == [0]
    assert "5 in each round" in printed


def test_the_example_fails_if_the_groups_bear_nothing(example, monkeypatch):
    def careless(plan, *, faulty, groups, rules=example.rules):
        _, robust = rules(plan, faulty=faulty, groups=groups)
        return robust, replace(robust, rule="mean", gated=False)

    monkeypatch.setattr(example, "rules", careless)
    with pytest.raises(AssertionError):
        example.main(["--attack", "boosted", *SMALL])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faulty", "3"], "it takes 7 groups"),
        (["--faulty", "-1"], "-1 malicious"),
        (["--groups", "6"], "groups of 2 or more"),
        (["--groups", "99"], "groups of 0 or more"),
    ],
    ids=str,
)
def test_what_groups_cannot_bear_is_refused_before_anybody_trains(example, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr("securefed.rounds.contribution", None)
    assert example.main([*arguments, *SMALL]) == 2
    assert words in capsys.readouterr().err
