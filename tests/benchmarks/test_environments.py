"""The suite measures beside the peers it names, at their pins, and says so where it cannot."""

import json
import subprocess

import pytest

from benchmarks import __main__ as suite
from benchmarks import environments, measured


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "RESULTS", tmp_path)
    return tmp_path


def test_peers_are_read_off_the_imports_also_those_of_helpers():
    assert environments.peers_of("dp_step") == ("opacus",)
    assert environments.peers_of("end_to_end") == ("dp_accounting", "flwr", "opacus")
    assert environments.peers_of("integer_noise") == ()


def test_pins_are_versions_that_the_package_is_tested_with():
    for peer, pin in environments.PINS.items():
        name, _, version = pin.partition("==")
        assert name.replace("-", "_") == peer
        assert version


def test_a_peer_that_cannot_be_installed_is_a_reason_and_old_figures_stay(results, monkeypatch, capsys):
    def offline(peers):
        raise subprocess.CalledProcessError(1, "pip", stderr="ERROR: no network")

    monkeypatch.setattr(environments, "search_path", offline)
    (results / "shamir.json").write_text("{}")

    assert suite.measure("shamir") == {"benchmark": "shamir", "skipped": "ERROR: no network"}
    assert (results / "shamir.json").read_text() == "{}"
    assert "no network" in capsys.readouterr().err


def test_a_measurement_that_fails_is_told_and_old_figures_stay(results, monkeypatch):
    def broken(*arguments, path):
        raise subprocess.CalledProcessError(1, "python")

    monkeypatch.setattr(environments, "search_path", lambda peers: "")
    monkeypatch.setattr(suite, "_python", broken)
    (results / "shamir.json").write_text("{}")

    assert "failed" in suite.measure("shamir")
    assert (results / "shamir.json").read_text() == "{}"


def test_figures_of_the_same_code_are_not_measured_again_and_others_are(results):
    file = results / "shamir.json"
    assert not suite.is_kept("shamir")
    file.write_text(json.dumps({"sources": measured.sources()}))
    assert suite.is_kept("shamir")
    file.write_text(json.dumps({"sources": "of other code"}))
    assert not suite.is_kept("shamir")


def test_a_fresh_process_sees_the_pinned_peer_before_the_installed_one(tmp_path, monkeypatch):
    package = (
        tmp_path
        / "flwr-1.41.0"
        / "lib"
        / f"python{environments.sys.version_info.major}.{environments.sys.version_info.minor}"
        / "site-packages"
        / "flwr"
    )
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("pinned = True")
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)

    path = environments.search_path(["flwr"])

    assert suite._python("-c", "import flwr; print(flwr.pinned)", path=path) == "True\n"
