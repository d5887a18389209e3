"""What no private run can do without that signs its messages and remembers its charges: how often, and how long alone.

A run is carried out once under Python's profiler, which counts its calls; then so many bare calls are made one after
the other: of Ed25519 and X25519, of the operating system's generator for the bits of the noise, and of SQLite with the
ledger's settings for commits that have to be on disk before a message may leave.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.keys import agree, load, public_key
from securefed.plan import Plan
from securefed.privacy.storage import connect, writing
from securefed.rng import secure
from securefed.stopwatch import Stopwatch

Calls = dict[str, int]

NOISE_BYTES = 6
"""Random bytes that the sampler asks for each coordinate, as in the measurement of integer noise."""

LINE = "x" * 600
"""About as long as a charge."""


def calls_of(run: Callable[[], object]) -> Calls:
    """Carry out a run and return how often it called what cannot be left out.

    Raises:
        RuntimeError: If one of them is never called: then it has another name here.
    """
    found = called_by(run)
    if not all(found.values()):
        raise RuntimeError(f"the profiler names the primitives otherwise: {found}")
    return found


def called_by(work: Callable[[], object]) -> Calls:
    """Return how often some work called each primitive."""
    profile = cProfile.Profile()
    profile.runcall(work)
    called: Counter[str] = Counter()
    for (file, _, name), (_, times, *_) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        called[f"{Path(file).name} {name}"] += times
    # A round that is begun and contributed to at once is one commit.
    notes = sum(called[f"journal.py {note}"] for note in ("begin", "contribute", "reveal"))
    return {
        "signatures": called[_method("sign", "ed25519.Ed25519PrivateKey")],
        "verifications": called[_method("verify", "ed25519.Ed25519PublicKey")],
        "agreements": called[_method("exchange", "x25519.X25519PrivateKey")],
        "commits": called["ledger.py charge"] + notes - called["journal.py take_part"],
    }


def _method(name: str, kind: str) -> str:
    return f"~ <method '{name}' of 'cryptography.hazmat.bindings._rust.openssl.{kind}' objects>"


def alone(calls: Calls, plan: Plan) -> dict[str, float]:
    """Make so many bare calls and return the seconds of each kind on the clock."""
    watch, rng = Stopwatch(), secure()
    identity = Federation.throwaway((), rng=rng).server
    private, public = load(rng.bytes(32)), public_key(rng.bytes(32))
    message = rng.bytes(128)
    signature = identity.sign(message)
    with watch.stage("signatures"):
        for _ in range(calls["signatures"]):
            identity.sign(message)
    with watch.stage("verifications"):
        for _ in range(calls["verifications"]):
            is_signed.__wrapped__(identity.public, message, signature)
    with watch.stage("agreements"):
        for _ in range(calls["agreements"]):
            agree(private, public)
    with watch.stage("random bits"):
        for _ in range(plan.clients * plan.rounds):
            os.urandom(NOISE_BYTES * plan.dim)
    with tempfile.TemporaryDirectory() as folder:
        database = connect(Path(folder) / "lines", "CREATE TABLE lines (line TEXT NOT NULL)")
        with watch.stage("commits"):
            for _ in range(calls["commits"]):
                with writing(database):
                    database.execute("INSERT INTO lines VALUES (?)", (LINE,))
        database.close()
    return dict(watch.seconds)
