"""A complete federation on this machine as real processes: SuperLink with TLS, SuperNodes with keys, agents.

::

    FOLDER/
      kits/            each party's files
      certificates/    ca.crt, server.crt, server.key
      keys/            what SuperNodes register with
      app/             the Flower app
      flower/          Flower's own settings
      logs/            one a party
      run/             what comes of it

Servers listen on the loopback address alone. Every process is ended by its own id together with what it has started
(:mod:`securefed.federation.flower.processes`); nothing else is touched.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from securefed import inventory
from securefed.aggregation.encrypted_session import DECRYPTOR
from securefed.errors import ConfigError, SecureFedError
from securefed.federation import greeting, kits
from securefed.federation.courier import Unreachable, carry
from securefed.federation.flower import app, certificates
from securefed.federation.flower.processes import Process, starting
from securefed.federation.flower.quiet import QUIET
from securefed.federation.gate import ENCRYPTED
from securefed.plan import Plan
from securefed.rng import Source
from securefed.runs import create_folder

START = 180.0
"""Seconds that a party may take to start."""

AGENT = (sys.executable, "-m", "securefed.federation.process")
"""How an agent is started; policy and socket follow."""

REGISTERING = (sys.executable, "-m", "securefed.federation.flower.registering")
"""How SuperNodes are registered; their public keys follow."""

GATE = (sys.executable, "-m", "securefed.federation.decrypting")
"""How a decryptor is started; kit and socket follow."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """A federation that is up.

    Attributes:
        folder: Where its files are.
        plan: What it runs.
        port: Where it is on the loopback address.
        superlink: Flower's server.
        supernodes: Flower's clients, by client.
        agents: The clients' trusted processes, by client.
        sockets: Where agents listen, by client.
        decryptor: The decryptor's process and socket, if sums are encrypted.
    """

    folder: Path
    plan: Plan
    port: int
    superlink: Process
    supernodes: dict[str, Process]
    agents: dict[str, Process]
    sockets: dict[str, Path]
    decryptor: tuple[Process, Path] | None

    def run(self, *, patience: float = 300.0, extra: Sequence[str] = ()) -> None:
        """Run the task, or what is left of it, and wait for its end.

        Raises:
            SecureFedError: If the run did not end well; the logs say why.
        """
        config = f'kit="{self.folder / "kits" / "server"}" out="{self.folder / "run"}" patience={patience:g}'
        if self.decryptor is not None:
            config += f' decryptor="{self.decryptor[1]}"'
        log = self.folder / "logs" / "run.log"
        done = flwr(self.folder, "run", str(self.folder / "app"), "here", "--stream", "-c", config, *extra)
        with log.open("a", encoding="utf-8") as file:
            file.write(done.stdout)
        if not (self.folder / "run" / inventory.NAME).exists():
            raise SecureFedError(f"the run has not ended well; {log} and {self.superlink.log} say why")


def flwr(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Flower's command line against the federation in a folder."""
    return _told([program("flwr"), *arguments], folder)


def _told(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return what it said."""
    return subprocess.run(  # noqa: S603 - our own command, no shell
        command,
        env=environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def environment(folder: Path) -> dict[str, str]:
    """Return what every process of a federation is started with."""
    return {**os.environ, **QUIET, "FLWR_HOME": str(folder / "flower")}


@contextmanager
def deployed(plan: Plan, folder: Path, *, task: str, rng: Source, agent: Sequence[str] = AGENT) -> Iterator[Deployment]:
    """Bring a federation up, and take it down at the end.

    Args:
        plan: What it will run.
        folder: Where its files go; must not exist or be empty.
        task: Name of the run.
        rng: Where the parties' keys come from.
        agent: How an agent is started.

    Raises:
        ConfigError: If the folder is not empty, or a party does not start.
    """
    create_folder(folder)
    folder = folder.resolve()  # Flower takes no relative path to a certificate
    kits.write(plan, task, folder / "kits", rng=rng)
    certificates.authority(folder / "certificates")
    app.write(folder / "app")
    for name in ("logs", "flower"):
        (folder / name).mkdir()
    with ExitStack() as running:
        sockets = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="securefed-")))
        port, paths = free_port(), {name: sockets / f"{number}.sock" for number, name in enumerate(plan.cohort)}
        serve, join = running.enter_context(starting()), running.enter_context(starting())
        _configure(folder, port)
        superlink, gate = serve(_superlink(folder, port)), None
        if plan.secure in ENCRYPTED:
            at = sockets / "decryptor.sock"
            gate = serve(_gate(folder, at)), at
        agents = {name: join(_agent(agent, folder, name, path)) for name, path in paths.items()}
        wait(lambda: healthy(folder, port), superlink)
        register(folder, plan.cohort)
        supernodes = {name: join(supernode(folder, name, port, path)) for name, path in paths.items()}
        for name in plan.cohort:
            wait(lambda at=paths[name]: answers(at), agents[name])  # type: ignore[misc]
        if gate is not None:
            wait(lambda: answers(gate[1]), gate[0])
        yield Deployment(folder, plan, port, superlink, supernodes, agents, paths, gate)


def register(folder: Path, names: Sequence[str]) -> None:
    """Make SuperNodes' keys and let the SuperLink know their public halves.

    Raises:
        ConfigError: If the SuperLink refuses one.
    """
    for name in names:
        certificates.node_key(folder / "keys" / name)
    done = _told([*REGISTERING, *(str(folder / "keys" / f"{name}.pub") for name in names)], folder)
    if done.returncode:
        raise ConfigError(f"SuperNodes cannot be registered: {done.stdout.strip()}")


def supernode(folder: Path, name: str, port: int, agent: Path, *, authority: Path | None = None) -> Process:
    """Return the SuperNode of a client, not started yet."""
    command = [program("flower-supernode"), "--superlink", f"127.0.0.1:{port}"]
    command += ["--root-certificates", str(authority or folder / "certificates" / "ca.crt")]
    command += ["--auth-supernode-private-key", str(folder / "keys" / name)]
    command += ["--host", "127.0.0.1", "--port", str(free_port()), "--node-config", f'agent="{agent}"']
    return Process(command, folder / "logs" / f"supernode-{name}.log", environment(folder))


def answers(path: Path) -> bool:
    """Tell whether an agent answers a greeting."""
    try:
        return bool(carry(path, greeting.challenge(bytes(greeting.NONCE)), patience=5))
    except Unreachable:
        return False


def healthy(folder: Path, port: int) -> bool:
    """Tell whether the SuperLink answers."""
    trusted = ssl.create_default_context(cafile=str(folder / "certificates" / "ca.crt"))
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/health", context=trusted, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait(ready: Callable[[], bool], process: Process) -> None:
    """Wait for a party.

    Raises:
        ConfigError: If it ends, or takes too long.
    """
    end = time.monotonic() + START
    while not ready():
        if process.code is not None or time.monotonic() > end:
            raise ConfigError(f"{process.command[0]} has not started; {process.log} says why")
        time.sleep(0.2)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _superlink(folder: Path, port: int) -> Process:
    certificate = folder / "certificates"
    command = [program("flower-superlink"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ssl-ca-certfile", str(certificate / "ca.crt"), "--ssl-certfile", str(certificate / "server.crt")]
    command += ["--ssl-keyfile", str(certificate / "server.key"), "--enable-supernode-auth"]
    command += ["--isolation", "subprocess", "--disable-runtime-dependency-installation"]
    command += ["--database", str(folder / "flower" / "state.db")]
    return Process(command, folder / "logs" / "superlink.log", environment(folder))


def _agent(program: Sequence[str], folder: Path, name: str, path: Path) -> Process:
    policy = folder / "kits" / "clients" / name / "policy.toml"
    return Process([*program, str(policy), str(path)], folder / "logs" / f"agent-{name}.log", environment(folder))


def _gate(folder: Path, path: Path) -> Process:
    command = [*GATE, str(folder / "kits" / DECRYPTOR), str(path)]
    return Process(command, folder / "logs" / "decryptor.log", environment(folder))


def _configure(folder: Path, port: int) -> None:
    """Tell Flower's command line where the federation is."""
    certificate = json.dumps(str(folder / "certificates" / "ca.crt"))
    text = f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{port}"\n'
    (folder / "flower" / "config.toml").write_text(f"{text}root-certificates = {certificate}\n", encoding="utf-8")


def program(name: str) -> str:
    """Return the path of one of Flower's programs, which lie beside this Python."""
    return str(Path(sys.executable).parent / name)
