"""Where a deployment's secrets must not be: Flower's files, logs, command lines and environments."""

import base64
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from securefed.aggregation import shamir
from securefed.federation import kits


def written(secret):
    """A secret as it may be written down."""
    return secret, secret.hex().encode(), base64.b64encode(secret), base64.urlsafe_b64encode(secret)


def secrets_of(kit, rng, rounds, materials):
    """What nobody but one client may hold: its key, the secrets of its sums, its records."""
    key = bytes.fromhex((kit / "identity.key").read_text())
    with kits.open_owner(kit, materials=materials) as owner:
        records = [row.tobytes() for row in owner.client.features[:8].numpy()]
    sums = [rng("keys", number, kit.name) for number in range(1, rounds + 1)]
    return [key, *(shamir.draw(each) for each in sums for _ in range(3)), *records]


def found(secret, contents):
    """Whether a secret is in one of the contents, however it is written."""
    return any(form in content for form in written(secret) for content in contents)


@contextmanager
def watched(ids):
    """Gather command lines and environments of processes while the block runs.

    Args:
        ids: Called for the ids of processes, again and again: each message has one of its own.
    """
    seen, over = set(), threading.Event()

    def watch():
        while not over.wait(0.3):
            for process in (Path("/proc") / str(number) for number in ids()):
                with suppress(OSError):
                    seen.update(((process / "cmdline").read_bytes(), (process / "environ").read_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
