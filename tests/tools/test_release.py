"""Release: what is locked is what the project asks for, and the bill of materials lists what is locked."""

import hashlib
import json
import re
import tomllib

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import release

TESTED = {**default_environment(), "sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"}


def locked():
    """Name, version and hashes of each entry."""
    for entry in re.split(r"\n(?=\S)", release.LOCK.read_text()):
        requirement = Requirement(entry.split(" \\")[0].split(" --hash")[0])
        if requirement.marker is None or requirement.marker.evaluate(TESTED):
            version = next(iter(requirement.specifier)).version
            yield canonicalize_name(requirement.name), version, re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)


def asked():
    project = tomllib.loads((release.ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["test"]]


def test_every_dependency_is_locked_within_its_bounds():
    versions = {name: version for name, version, _ in locked()}
    for requirement in asked():
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), str(requirement)


def test_every_locked_file_is_named_by_its_hash():
    assert all(hashes for _, _, hashes in locked())


def test_the_bill_of_materials_lists_what_is_locked_and_no_address_of_a_registry():
    bill = json.loads(release.SBOM.read_text())
    listed = {(canonicalize_name(part["name"]), part.get("version")) for part in bill["components"]}
    assert {(name, version) for name, version, _ in locked()} <= listed
    assert not re.search(r"file://|/simple/", release.SBOM.read_text())


def test_the_bill_of_materials_lists_the_weights_that_are_shipped():
    bill = json.loads(release.SBOM.read_text())
    listed = {part["name"]: part["hashes"][0]["content"] for part in bill["components"] if "hashes" in part}
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in release.ASSETS.iterdir()}
    assert files == {name: listed[name] for name in files}


def test_wheels_that_differ_are_found(monkeypatch, capsys):
    """The build itself needs a network for its backend; what compares the wheels is tried here."""
    monkeypatch.setattr(release, "_wheel_digest", lambda build_time, _umask: f"{build_time}")
    assert release.wheel() == 1
    monkeypatch.setattr(release, "_wheel_digest", lambda _build_time, _umask: "same")
    assert release.wheel() == 0
    assert "same" in capsys.readouterr().out


def test_what_is_shipped_is_described_anew_and_nothing_else(tmp_path, monkeypatch):
    bill = json.loads(release.SBOM.read_text())
    old = [part | {"hashes": [{"alg": "SHA-256", "content": "0" * 64}]} for part in release.weights()[:2]]
    others = [part for part in bill["components"] if "hashes" not in part]
    monkeypatch.setattr(release, "SBOM", tmp_path / "sbom.cdx.json")
    release.SBOM.write_text(json.dumps(bill | {"components": [*others, *old]}))

    release.describe_shipped()

    assert json.loads(release.SBOM.read_text()) == bill


@pytest.mark.parametrize("command", release.COMMANDS)
def test_a_command_that_fails_says_so(command, monkeypatch):
    monkeypatch.setattr(release, "_python", lambda *_words: 3)
    monkeypatch.setattr(release, "_wheel_digest", lambda build_time, _umask: f"not built at {build_time}")
    assert release.COMMANDS[command]() != 0
