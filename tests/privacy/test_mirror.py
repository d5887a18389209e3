"""Rollback shows in a mirror; signatures tell whose export it is."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from securefed.errors import LedgerError, VerificationError
from securefed.privacy.clipping import Adjacency
from securefed.privacy.ledger import Ledger, read_export
from securefed.privacy.shares import SumOfShares

EVENT = SumOfShares(
    sensitivity=1.0,
    share_stddev=100.0,
    shares=1,
    max_dropouts=0,
    max_colluders=0,
    dim=10,
    unit="record",
    adjacency=Adjacency.ADD_OR_REMOVE_ONE,
)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "here" / "ours.sqlite", tmp_path / "there" / "mirror.sqlite"


def opened(place, **changes):
    path, mirror = place
    return Ledger.open(
        path, **{"dataset": "ours", "budget_epsilon": 4.0, "budget_delta": 1e-5, "mirror": mirror} | changes
    )


def charge(place, count=1, **changes):
    ledger = opened(place, **changes)
    for number in range(count):
        ledger.charge(EVENT, run="run", round=number, purpose="train", plan_digest="00")
    ledger.close()


def copy(place, name):
    return shutil.copytree(place[0].parent, place[0].parent.with_name(name))


def put_back(place, backup):
    shutil.rmtree(place[0].parent)
    shutil.copytree(backup, place[0].parent)


def test_an_unbroken_ledger_passes_its_mirror(place):
    charge(place, 3)
    charge(place, 2)

    ledger = opened(place)
    assert len(ledger.read().entries) == 5
    ledger.close()


def test_an_older_copy_is_refused(place):
    charge(place, 2)
    backup = copy(place, "backup")
    charge(place, 1)
    put_back(place, backup)

    with pytest.raises(LedgerError, match="rolled back"):
        opened(place)


def test_a_ledger_that_went_on_from_an_older_copy_is_refused(place):
    charge(place, 2)
    backup = copy(place, "backup")
    charge(place, 2)
    put_back(place, backup)
    ledger = Ledger.open(place[0], dataset="ours", budget_epsilon=4.0, budget_delta=1e-5)
    for number in range(5):
        ledger.charge(EVENT, run="other", round=number, purpose="train", plan_digest="00")
    ledger.close()

    with pytest.raises(LedgerError, match="not the one that was seen"):
        opened(place)


def test_a_ledger_made_anew_is_refused(place):
    charge(place, 2)
    shutil.rmtree(place[0].parent)

    with pytest.raises(LedgerError, match="rolled back"):
        opened(place)


def test_charges_without_the_mirror_are_accepted_later(place):
    charge(place, 2)
    charge(place, 2, mirror=None)
    charge(place, 1)


def test_a_crash_between_charge_and_mirror_is_no_rollback(place, monkeypatch):
    charge(place, 1)
    ledger = opened(place)
    monkeypatch.setattr(ledger._mirror, "advance", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ledger.charge(EVENT, run="run", round=2, purpose="train", plan_digest="00")
    ledger.close()

    again = opened(place)
    assert len(again.read().entries) == 2
    again.close()


def test_two_writers_with_one_mirror_do_not_accuse_each_other(place):
    one, other = opened(place), opened(place)
    for number in range(4):
        for ledger in (one, other, other):
            ledger.charge(EVENT, run="run", round=number, purpose="train", plan_digest="00")

    assert len(one.read().entries) == 12
    one.close()
    other.close()
    charge(place)


def test_a_mirror_only_goes_forward(place):
    """A writer that was slow to report does not take back what a faster one reported."""
    charge(place, 1)
    ledger = opened(place)
    slow = ledger.read()
    ledger.charge(EVENT, run="run", round=2, purpose="train", plan_digest="00")
    ledger._mirror.advance(slow)

    assert ledger._mirror._mark() == (3, ledger.read().head)
    ledger.close()


def test_what_a_mirror_cannot_detect_both_put_back_together(place):
    charge(place, 1)
    backups = copy(place, "backup"), shutil.copytree(place[1].parent, place[1].parent.with_name("mirror-backup"))
    charge(place, 3)
    put_back(place, backups[0])
    put_back((place[1],), backups[1])

    charge(place)


def test_a_file_that_is_no_mirror_is_an_error(place):
    place[1].parent.mkdir()
    place[1].write_bytes(b"something else" * 100)

    with pytest.raises(LedgerError, match="mirror"):
        opened(place)


def test_a_head_that_somebody_else_kept_serves_as_a_mirror(place):
    charge(place, 2)
    ledger = opened(place)
    book = ledger.read()
    ledger.close()
    book.check_extends(2, book.heads[1])

    with pytest.raises(LedgerError, match="rolled back"):
        book.check_extends(4, "00")
    with pytest.raises(LedgerError, match="not the one"):
        book.check_extends(3, "00")


@pytest.fixture
def signed(place):
    key = Ed25519PrivateKey.generate()
    charge(place, 3)
    ledger = opened(place)
    path = place[0].with_name("export.jsonl")
    ledger.export(path, sign=key.sign)
    ledger.close()
    return path, key


def test_a_signed_export_reads_with_its_key_and_without(signed):
    path, key = signed

    assert read_export(path, verify=key.public_key().verify) == read_export(path)
    assert len(read_export(path).entries) == 3


def test_another_key_is_refused(signed):
    with pytest.raises(VerificationError, match="signature"):
        read_export(signed[0], verify=Ed25519PrivateKey.generate().public_key().verify)


def test_a_line_cut_off_before_the_signature_is_found(signed):
    path, key = signed
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-2], lines[-1]]))

    with pytest.raises(VerificationError, match="signature"):
        read_export(path, verify=key.public_key().verify)


@pytest.mark.parametrize("last", ["", '{"signature":"zz"}', '{"signature":7}'])
def test_a_missing_or_broken_signature_is_found(signed, last):
    path, key = signed
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], last]).strip())

    with pytest.raises(VerificationError, match="signature"):
        read_export(path, verify=key.public_key().verify)
