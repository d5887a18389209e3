"""Encrypted sums over the wire: a decryptor in a party of its own, asked through its socket."""

import numpy as np
import pytest

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.journal import Journal
from securefed.aggregation.refusals import Malformed, WrongContext
from securefed.aggregation.wire import encode
from securefed.errors import ConfigError, ProtocolError, ThresholdError
from securefed.federation import gate, kits
from securefed.federation.deadlines import Deadlines
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.gate import MAGIC, Asked, Gate
from securefed.federation.memory import Memory
from securefed.federation.transport import Dropout, Reason
from securefed.rng import secure
from tests import toys

GONE = Dropout(Reason.GONE)


class Killed(BaseException):
    """The server's process ends here."""


def end(parties, transport=None):
    with parties.server(transport or EmbeddedTransport(parties.agents)) as server:
        return [(each.state.adapter.vector(), each.survivors) for each in server.rounds()]


@pytest.fixture
def masked(federate):
    return end(federate(toys.plan(rounds=2), "masked"))


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_what_a_decryptor_in_another_process_releases_is_bit_for_bit_what_masks_add_to(federate, masked, scheme):
    parties = federate(toys.plan(rounds=2, secure=scheme))
    for (found, survivors), (expected, _) in zip(end(parties), masked, strict=True):
        assert np.array_equal(found, expected)
        assert survivors == parties.plan.cohort
    assert all(parties.charged(name) == [1, 2] for name in parties.plan.cohort)


@pytest.mark.parametrize("place", ["asked", "answered", "released"])
def test_a_server_killed_before_or_after_the_release_goes_on_and_nothing_is_charged_twice(
    federate, masked, monkeypatch, place
):
    parties = federate(toys.plan(rounds=2, secure="ckks"))

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        if place == "released":
            patch.setattr(Memory, "finish", kill)
        if place == "answered":
            patch.setattr(Deadlines, "learn", kill)
        fault = {"before": lambda _, name: kill() if name == "client-3" else None} if place == "asked" else {}
        with pytest.raises(Killed):
            end(parties, EmbeddedTransport(parties.agents, **fault))

    assert np.array_equal(end(parties)[-1][0], masked[-1][0])
    assert all(parties.charged(name) == [1, 2] for name in parties.plan.cohort)


def test_below_the_threshold_nothing_is_released(federate):
    parties = federate(toys.plan(rounds=2, secure="ckks"))
    transport = EmbeddedTransport(parties.agents, before=lambda _, name: GONE if name < "client-2" else None)
    with pytest.raises(ThresholdError):
        end(parties, transport)


@pytest.fixture
def restart():
    """Starts a decryptor again behind its socket: what it has held in memory is gone, its journal stays."""
    journals = []

    def again(parties):
        opened, roster = [], parties.members.roster

        def answer(request):
            # In the thread of the door, where SQLite wants the journal to stay.
            if not opened:
                while journals:
                    journals.pop().close()
                journals.append(Journal(parties.folder / "decryptor.journal"))
                decryptor = Decryptor(parties.decryptor, roster, rng=secure(), journal=journals[0])
                opened.append(Gate(parties.plan, "run", parties.decryptor, roster, decryptor))
            return opened[0].answer(request)

        parties.gate.answer = answer

    return again


def test_a_decryptor_may_be_started_again_between_two_sums(federate, masked, restart):
    parties = federate(toys.plan(rounds=2, secure="ckks"))
    restart(parties)
    with parties.server(EmbeddedTransport(parties.agents)) as server:
        found = []
        for done in server.rounds():
            restart(parties)
            found.append(done.state.adapter.vector())
    assert np.array_equal(found, [expected for expected, _ in masked])


@pytest.mark.parametrize("place", ["client-0", "client-4"])
def test_a_decryptor_that_dies_in_a_sum_ends_the_run_there_and_nobody_is_charged_twice(federate, restart, place):
    parties, begun = federate(toys.plan(rounds=3, secure="ckks")), []
    restart(parties)

    def dies(_, name):
        begun.append(name)
        if name == place and begun.count(name) == 2:
            restart(parties)

    with (
        parties.server(EmbeddedTransport(parties.agents, before=dies)) as server,
        pytest.raises(ThresholdError, match="nothing is revealed"),
    ):
        list(server.rounds())
    for _ in range(2):
        with pytest.raises(ThresholdError):
            end(parties)

    with parties.server(EmbeddedTransport(parties.agents)) as server:
        assert [done.number for done in server.memory.finished()] == [1]
    assert all(parties.charged(name) == [1, 2] for name in parties.plan.cohort)


def asked(parties, **changes):
    values = {
        "what": Asked.PUBLIC_KEY,
        "round": 1,
        "task": b"run",
        "plan": bytes.fromhex(parties.plan.digest),
    } | changes
    strings = [values["task"], values["plan"], bytes(32), bytes(32), b""]
    return MAGIC + encode([values["what"], values["round"], 0, 0], strings)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"task": b"other"}, WrongContext),
        ({"plan": bytes(32)}, WrongContext),
        ({"round": 3}, WrongContext),
        ({"round": 0}, WrongContext),
        ({"what": 9}, Malformed),
        ({"what": Asked.RELEASE}, ProtocolError),
        ({"what": Asked.TAKE}, ProtocolError),
    ],
)
def test_the_gate_serves_its_own_run_and_nobody_elses(federate, changes, kind):
    parties = federate(toys.plan(rounds=2, secure="ckks"))
    with pytest.raises(kind):
        parties.gate.answer(asked(parties, **changes))
    for bad in (b"", b"key, please", MAGIC):
        with pytest.raises(ProtocolError):
            parties.gate.answer(bad)


def test_a_sum_that_was_left_is_not_taken_up_again(federate):
    parties = federate(toys.plan(rounds=2, secure="ckks"))
    first = asked(parties)
    assert parties.gate.answer(first) == parties.gate.answer(first)
    parties.gate.answer(asked(parties, round=2))
    with pytest.raises(ProtocolError):
        parties.gate.answer(asked(parties, what=Asked.RELEASE))


def test_a_decryptors_kit_is_its_own_and_every_other_pins_its_key(tmp_path):
    plan = toys.plan(rounds=2, secure="ckks")
    kits.write(plan, "run", tmp_path / "kits", rng=secure())
    home = tmp_path / "kits" / "decryptor"
    key = (home / "identity.key").read_text().strip()
    others = [path for path in (tmp_path / "kits").rglob("*") if path.is_file() and home not in path.parents]

    assert not any(key in path.read_text() for path in others)
    assert home.stat().st_mode & 0o077 == 0
    with kits.open_gate(home, rng=secure()) as opened:
        pinned = opened._identity.public.hex()
    for path in (tmp_path / "kits" / "server" / "task.toml", tmp_path / "kits" / "clients" / "client-1" / "agent.toml"):
        assert pinned in path.read_text()


def test_a_plan_without_encryption_has_no_decryptor(federate):
    parties = federate(toys.plan(rounds=2))
    with pytest.raises(ConfigError, match="a decryptor serves plans with ckks or bfv"):
        Gate(parties.plan, "run", parties.members.server, parties.members.roster, None)
    assert "plain" not in gate.ENCRYPTED
