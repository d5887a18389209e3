"""Bundles: one file that is verified like the folder, and the same file every time."""

import zipfile

import pytest

from securefed.errors import ConfigError, SecureFedError, VerificationError
from securefed.reports.bundle import archive, bundle
from securefed.reports.verify import verify
from securefed.rng import seeded


def test_a_bundle_is_verified_like_its_folder(finished):
    path = bundle(finished)

    assert path == finished.parent / "run.securefed.zip"
    assert verify(path) == verify(finished)


def test_a_bundle_is_the_same_bytes_every_time_and_holds_no_owners_file(finished, tmp_path):
    first, second = bundle(finished, tmp_path / "a.zip"), bundle(finished, tmp_path / "b.zip")

    assert first.read_bytes() == second.read_bytes()
    assert not [name for name in zipfile.ZipFile(first).namelist() if "sqlite" in name]


def test_one_flipped_bit_anywhere_in_a_bundle_is_found(finished):
    """Dates, permissions and padding of the archive included."""
    path = bundle(finished)
    content = path.read_bytes()
    places = [0, 5, 11, len(content) - 1, len(content) - 23, *(int(u) % len(content) for u in seeded(1).uint64(25))]
    # The directory at the end repeats every name with its attributes.
    places += [len(content) - 1 - int(u) % 1500 for u in seeded(2).uint64(25)]
    for place in places:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(spoilt)
        with pytest.raises(SecureFedError):
            verify(path)


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/../../escaped", "a\\..\\escaped", "a//escaped"])
def test_a_bundle_writes_nothing_outside_its_folder(tmp_path, name):
    path = tmp_path / "deep" / "hostile.zip"
    path.parent.mkdir()
    path.write_bytes(archive({name: b"x"}))

    with pytest.raises(VerificationError, match="does not lie in the bundle"):
        verify(path)
    assert not list(tmp_path.rglob("escaped"))


def test_a_bundle_cannot_swell(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(10**6))

    with pytest.raises(VerificationError, match="not stored as it is"):
        verify(path)


def test_what_is_no_bundle_is_named(tmp_path):
    (tmp_path / "text.zip").write_text("not an archive")

    with pytest.raises(VerificationError, match=r"text\.zip: it is not a whole ZIP archive"):
        verify(tmp_path / "text.zip")


def test_a_bundle_is_never_overwritten(finished):
    bundle(finished)

    with pytest.raises(ConfigError, match="exists; name a new file"):
        bundle(finished)


def test_a_folder_that_is_no_run_has_no_bundle(tmp_path):
    with pytest.raises(ConfigError, match="a run has it when it is finished"):
        bundle(tmp_path)
