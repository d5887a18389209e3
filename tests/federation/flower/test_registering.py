"""Keys of SuperNodes at a SuperLink: tried again, and a key that is not taken is told."""

import warnings

import pytest

with warnings.catch_warnings():
    # Flower's command line names options that its own Typer is about to drop.
    warnings.simplefilter("ignore", DeprecationWarning)
    from securefed.federation.flower import registering


@pytest.fixture
def told(monkeypatch):
    """A SuperLink that takes key ``slow`` when it is told again, ``never`` never, and all others at once."""
    calls = []

    def app(command, **_):
        key = command[2]
        calls.append(key)
        if key == "never" or (key == "slow" and calls.count("slow") == 1):
            raise SystemExit("no answer")

    monkeypatch.setattr(registering, "app", app)
    monkeypatch.setattr(registering.time, "sleep", lambda _: None)
    return calls


@pytest.mark.parametrize(("keys", "status"), [(["one", "slow"], 0), (["one", "never"], 1), (["never", "one"], 1)])
def test_the_exit_status_is_zero_if_every_key_was_taken(told, keys, status):
    assert registering.main(keys) == status
    assert told.count("never") in {0, registering.TRIES}
