"""Parties' processes end with what has started them, whatever interrupts."""

import os
import signal
import sys
import threading
import time

import pytest

from securefed.federation.flower.processes import Process, is_alive, starting

SLOW = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit()))
print("up", flush=True)
time.sleep(60)
"""
"""A party that takes half a second to end, and whose child does not listen."""


@pytest.fixture
def parties(tmp_path):
    return [Process([sys.executable, "-c", SLOW], tmp_path / f"{number}.log", dict(os.environ)) for number in range(3)]


def up(party):
    end = time.monotonic() + 60
    while "up" not in party.log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_twice_leaves_no_process_behind(parties, number, monkeypatch):
    monkeypatch.setattr("securefed.federation.flower.processes.END", 1.5)
    again = threading.Timer(0.2, os.kill, (os.getpid(), number))
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match="first"), starting() as start:
        for party in parties:
            start(party)
            up(party)
        found = [each for party in parties for each in party.tree()]
        again.start()
        raise KeyboardInterrupt("first")
    again.join()

    assert len(found) == 6
    assert not any(map(is_alive, found))
    assert signal.getsignal(number) is before


def test_a_party_that_was_not_started_needs_no_end(parties):
    parties[0].end()

    assert parties[0].code is None
