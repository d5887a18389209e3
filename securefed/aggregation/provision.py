"""Files of a federation's identities: the roster for everybody, a private key for each party.

::

    FOLDER/roster.json              public; pin its root outside the federation's own channel
    FOLDER/server/identity.key      for the server alone
    FOLDER/clients/NAME/identity.key, policy.toml     for one client alone
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from securefed.aggregation.identity import SERVER, Federation, Identity, Roster
from securefed.errors import ConfigError, DigestError
from securefed.rng import Source

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_POLICY = """\
# What this client demands before it takes part in a sum. No message from a server can lower it.
minimum_cohort = 5
guard_bits = 1
corruption = 0.1
maximum_rounds = 1000
"""


def provision(names: Sequence[str], folder: Path, *, rng: Source) -> Roster:
    """Make identities for a server and its clients, each in a folder that only its owner can read.

    Args:
        names: The clients' names: letters, digits, dots, dashes and underscores.
        folder: Where the files go; must not exist or be empty.
        rng: Where the private keys come from.

    Returns:
        The roster, whose ``root`` is what every party pins.

    Raises:
        ConfigError: If a name cannot be used or the folder is not empty.
    """
    if bad := [name for name in names if not _NAME.fullmatch(name)]:
        raise ConfigError(f"{bad[0]!r} cannot be a client's name: letters, digits, '.', '-' and '_', at most 64")
    if len(set(names)) < len(names):
        raise ConfigError(f"{len(names) - len(set(names))} of {len(names)} names occur twice")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; identities are never overwritten. Name another folder")
    private = {name: rng.bytes(32) for name in (SERVER, *names)}
    identities = {name: Identity(name, key) for name, key in private.items()}
    roster = Roster(identities[SERVER].public, {name: identities[name].public for name in names})
    _write(folder / "roster.json", to_json(roster), mode=0o644)
    for name, key in private.items():
        home = folder / SERVER if name == SERVER else folder / "clients" / name
        home.mkdir(mode=0o700, parents=True)
        _write(home / "identity.key", key.hex() + "\n", mode=0o600)
        if name != SERVER:
            _write(home / "policy.toml", _POLICY, mode=0o600)
    return roster


def load_federation(folder: Path, *, root: bytes) -> Federation:
    """Read all identities of a folder, for a run in one process."""
    roster = load_roster(folder / "roster.json", root=root)
    clients = {name: load_identity(folder / "clients" / name / "identity.key", name=name) for name in roster.names}
    return Federation(roster, load_identity(folder / SERVER / "identity.key", name=SERVER), clients)


def to_json(roster: Roster) -> str:
    """Return the roster file's text."""
    clients = {name: key.hex() for name, key in roster.clients.items()}
    return json.dumps({"version": 1, "server": roster.server.hex(), "clients": clients}, indent=1) + "\n"


def load_roster(path: Path, *, root: bytes) -> Roster:
    """Read a roster that was pinned by its root.

    Raises:
        ConfigError: If the file is not a roster.
        DigestError: If it is another roster than the pinned one.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        clients = {str(name): bytes.fromhex(key) for name, key in content["clients"].items()}
        roster = Roster(bytes.fromhex(content["server"]), clients)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a roster: {error}") from error
    if roster.root != root:
        raise DigestError(f"{path} has root {roster.root.hex()}, {root.hex()} was pinned; do not use it")
    return roster


def load_identity(path: Path, *, name: str) -> Identity:
    """Read a private key that only its owner can read.

    Raises:
        ConfigError: If others can read it or it is not a key.
    """
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others; make a new identity and keep its file at mode 600")
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ConfigError(f"{path} does not hold a private key")
    return Identity(name, bytes.fromhex(text))


def _write(path: Path, text: str, *, mode: int) -> None:
    """Write a new file that has its mode from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
