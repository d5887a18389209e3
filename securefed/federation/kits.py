"""What each party of a federation gets as files, and nothing more: the client's kit, the server's kit.

::

    FOLDER/roster.json                     public; its root is pinned in every kit
    FOLDER/clients/NAME/
      identity.key                         this client's alone
      policy.toml                          its floor; its owner may raise it
      agent.toml                           name, pinned root of the roster
      roster.json, plan.toml               public
      data.safetensors                     features and labels, if the owner puts its own there
      ledger.sqlite, journal.sqlite        made by the agent; never leave
    FOLDER/decryptor/                      only if sums are encrypted
      identity.key                         the decryptor's alone
      decryptor.toml                       name of the run, pinned root of the roster
      roster.json, plan.toml               public
      journal.sqlite                       made by the decryptor; never leaves
    FOLDER/server/
      identity.key                         the server's alone
      task.toml                            name of the run, pinned root of the roster
      roster.json, plan.toml               public
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_session import DECRYPTOR
from securefed.aggregation.identity import SERVER, Identity, Roster
from securefed.aggregation.journal import Journal
from securefed.aggregation.policy import HARD_FLOOR, Policy
from securefed.aggregation.provision import load_identity, load_roster, provision
from securefed.errors import ConfigError
from securefed.federation.agent import Owner, unpredictable
from securefed.federation.gate import ENCRYPTED, Gate, RemoteDecryptor
from securefed.federation.server import Task
from securefed.plan import Plan
from securefed.preparation import Encoded, Materials, prepare
from securefed.privacy.ledger import Ledger
from securefed.rng import Source
from securefed.rounds import Client, Sources

_POLICY = """\
# What this client demands before it takes part in a sum. No message from a server can lower it.
minimum_cohort = {cohort}
corruption = 0.1
maximum_rounds = {rounds}
clip_norm = {clip_norm}
# Under another name of the run a server could ask this data again.
tasks = [{task}]
"""


def write(plan: Plan, task: str, folder: Path, *, rng: Source) -> Roster:
    """Write a kit for every party of a plan.

    Args:
        plan: What all of them will take part in.
        task: Name of the run.
        folder: Where the kits go; must not exist or be empty.
        rng: Where the private keys come from.

    Raises:
        ConfigError: If the folder is not empty, or a name cannot be used.
    """
    roster = provision(plan.cohort, folder, rng=rng)
    pinned = f"roster_root = {json.dumps(roster.root.hex())}\n"
    if plan.secure in ENCRYPTED:
        # Drawn after the others' keys, which stay what they are without it.
        pinned += f"decryptor = {json.dumps(_decryptor(plan, task, folder, pinned, rng=rng).hex())}\n"
    for name in plan.cohort:
        home = folder / "clients" / name
        _public(plan, folder, home)
        _text(home / "agent.toml", f"name = {json.dumps(name)}\n{pinned}")
        cohort = max(HARD_FLOOR, plan.threshold)
        values = {"cohort": cohort, "rounds": plan.rounds + 1, "clip_norm": plan.clip_norm, "task": json.dumps(task)}
        _text(home / "policy.toml", _POLICY.format(**values))
    _public(plan, folder, folder / SERVER)
    _text(folder / SERVER / "task.toml", f"name = {json.dumps(task)}\n{pinned}")
    return roster


def _decryptor(plan: Plan, task: str, folder: Path, pinned: str, *, rng: Source) -> bytes:
    """Write the decryptor's kit, and return its public key."""
    home, key = folder / DECRYPTOR, rng.bytes(32)
    home.mkdir(mode=0o700)
    _text(home / "identity.key", key.hex() + "\n")
    _public(plan, folder, home)
    _text(home / "decryptor.toml", f"name = {json.dumps(task)}\n{pinned}")
    return Identity(DECRYPTOR, key).public


@contextmanager
def open_gate(kit: Path, *, rng: Source) -> Iterator[Gate]:
    """Open the decryptor's kit, and close its journal at the end.

    Args:
        kit: Its folder.
        rng: Where its keys come from; :func:`securefed.rng.secure` in use.

    Raises:
        ConfigError: If a file is missing or does not fit the others.
    """
    plan = Plan.from_toml(kit / "plan.toml")
    task, roster, _ = _settings(kit / "decryptor.toml", kit)
    identity = load_identity(kit / "identity.key", name=DECRYPTOR)
    with closing(Journal(kit / "journal.sqlite")) as journal:
        yield Gate(plan, task, identity, roster, Decryptor(identity, roster, rng=rng, journal=journal))


@contextmanager
def open_owner(
    kit: Path, *, policy: Path | None = None, rng: Sources = unpredictable, materials: Materials | None = None
) -> Iterator[Owner]:
    """Open a client's kit: load data and model, open ledger and journal, and close them at the end.

    Args:
        kit: The client's folder.
        policy: Its floor; by default the kit's ``policy.toml``.
        rng: Where noise and keys come from; tests alone name another.
        materials: Those of the plan, if they are prepared already.

    Raises:
        ConfigError: If a file is missing or does not fit the others.
        PolicyViolation: If the plan is below the floor.
    """
    plan, floor = Plan.from_toml(kit / "plan.toml"), Policy.load(policy or kit / "policy.toml")
    floor.check_clip(plan.clip_norm)
    name, roster, decryptor = _settings(kit / "agent.toml", kit)
    identity = load_identity(kit / "identity.key", name=name)
    if roster.clients.get(name) != identity.public:
        raise ConfigError(f"{kit / 'identity.key'} is not the key that the roster has for {name!r}")
    with ExitStack() as files:
        journal = Journal(kit / "journal.sqlite")
        files.callback(journal.close)
        ledger = _ledger(plan, kit, name)
        if ledger is not None:
            files.callback(ledger.close)
        materials = materials or prepare(plan)
        own = _data(kit / "data.safetensors") or materials.shards[name]
        yield Owner(
            plan=plan,
            adapter=materials.adapter,
            client=Client(name=name, features=own.features, labels=own.labels, ledger=ledger),
            identity=identity,
            roster=roster,
            policy=floor,
            journal=journal,
            decryptor=decryptor,
            rng=rng,
        )


def open_task(kit: Path, materials: Materials, plan: Plan, *, decryptor: Path | None = None) -> Task:
    """Return the task of a server's kit.

    Args:
        kit: The server's folder.
        materials: Those of the plan.
        plan: The kit's.
        decryptor: The socket of the decryptor, if sums are encrypted.

    Raises:
        ConfigError: If a file is missing or does not fit the others.
    """
    name, roster, public = _settings(kit / "task.toml", kit)
    identity: Identity = load_identity(kit / "identity.key", name=SERVER)
    if roster.server != identity.public:
        raise ConfigError(f"{kit / 'identity.key'} is not the key that the roster has for the server")
    remote = None if decryptor is None else RemoteDecryptor(decryptor, public)
    return Task(name, plan, roster, identity, materials.adapter, remote)


def _settings(path: Path, kit: Path) -> tuple[str, Roster, bytes]:
    """Return the name in a kit's own file, the roster that it pins, and the decryptor's key, empty if there is none."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        name, root = str(values["name"]), bytes.fromhex(values["roster_root"])
        decryptor = bytes.fromhex(values.get("decryptor", ""))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} does not say name and roster_root: {error}") from error
    return name, load_roster(kit / "roster.json", root=root), decryptor


def _ledger(plan: Plan, kit: Path, name: str) -> Ledger | None:
    if plan.epsilon is None:
        return None
    return Ledger.open(
        kit / "ledger.sqlite",
        dataset=f"{plan.data}/{name}",
        budget_epsilon=plan.epsilon,
        budget_delta=plan.delta,
        filter=plan.ledger_filter,
    )


def _data(path: Path) -> Encoded | None:
    """Return features and labels that the owner has put into the kit, if any."""
    if not path.exists():
        return None
    from safetensors.torch import load_file

    tensors = load_file(path)
    if set(tensors) != {"features", "labels"} or len(tensors["features"]) != len(tensors["labels"]):
        raise ConfigError(f"{path} holds {', '.join(tensors)}; it must hold as many features as labels")
    return Encoded(tensors["features"], tensors["labels"])


def _public(plan: Plan, folder: Path, home: Path) -> None:
    shutil.copy(folder / "roster.json", home / "roster.json")
    _text(home / "plan.toml", plan.to_toml())


def _text(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
