"""A whole federation on Flower's simulation engine: its nodes are ray's workers, its agents are one process.

::

    FOLDER/
      kits/            each party's files
      app/             the Flower app
      flower/          Flower's own settings
      logs/            one a party
      run/             what comes of it

Everything listens on the loopback address alone, without TLS and without node keys: any user of this machine could
start a run. Nothing here is secret from the machine's users, so no real data belongs into it.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from securefed import inventory
from securefed.errors import ConfigError, SecureFedError
from securefed.federation import kits
from securefed.federation.flower import app
from securefed.federation.flower.deployment import answers, environment, flwr, free_port, program, wait
from securefed.federation.flower.processes import Process, starting
from securefed.plan import Plan
from securefed.rng import Source
from securefed.runs import create_folder

AGENTS = (sys.executable, "-m", "securefed.federation.cohort")
"""How the agents are started; folders of kits and sockets follow."""

RAY_CLUSTER = "ray_bootstrap_config.yaml"
"""File in the home folder without which ray asks the network which cloud it runs in, even if told to report nothing."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """A simulated federation that is up.

    Attributes:
        folder: Where its files are.
        plan: What it runs.
        superlink: Flower's server, which starts ray for a run and ends it afterwards.
        agents: The clients' side.
        sockets: Where agents listen: ``0.sock`` for the first client of the cohort, and so on.
    """

    folder: Path
    plan: Plan
    superlink: Process
    agents: Process
    sockets: Path

    def run(self, *, patience: float = 300.0) -> None:
        """Run the task, or what is left of it, and wait for its end.

        Raises:
            SecureFedError: If the run did not end well; the logs say why.
        """
        places = {"kit": self.folder / "kits" / "server", "out": self.folder / "run", "agents": self.sockets}
        config = " ".join(f'{name}="{path}"' for name, path in places.items())
        # A courier only waits for its agent: each of ray's workers counts as one of the machine's processors.
        engine = f"num-supernodes={self.plan.clients} client-resources-num-cpus=1"
        choices = ("-c", f"{config} patience={patience:g}", "--federation-config", engine)
        done = flwr(self.folder, "run", str(self.folder / "app"), "here", "--stream", *choices)
        log = self.folder / "logs" / "run.log"
        with log.open("a", encoding="utf-8") as file:
            file.write(done.stdout)
        if not (self.folder / "run" / inventory.NAME).exists():
            raise SecureFedError(f"the run has not ended well; {log} and {self.superlink.log} say why")


@contextmanager
def simulated(
    plan: Plan, folder: Path, *, task: str, rng: Source, agents: Sequence[str] = AGENTS
) -> Iterator[Simulation]:
    """Bring a simulated federation up, and take it down at the end.

    Args:
        plan: What it will run.
        folder: Where its files go; must not exist or be empty.
        task: Name of the run.
        rng: Where the parties' keys come from.
        agents: How the agents are started.

    Raises:
        ConfigError: If ray is missing, the folder is not empty, or a party does not start.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("Flower simulates on ray, which is not installed: pip install 'securefed[simulation]'")
    create_folder(folder)
    kits.write(plan, task, folder / "kits", rng=rng)
    app.write(folder / "app")
    for name in ("logs", "flower"):
        (folder / name).mkdir()
    with ExitStack() as running:
        # The paths of Unix sockets, the agents' and ray's, must be short.
        short = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="securefed-")))
        (sockets := short / "agents").mkdir()
        (short / RAY_CLUSTER).write_text("provider:\n  type: local\n", encoding="utf-8")
        variables = {"agents": {}, "superlink": {"RAY_TMPDIR": str(short), "HOME": str(short)}}
        commands = {
            "agents": [*agents, str(folder / "kits"), str(sockets)],
            "superlink": _superlink(port := free_port()),
        }
        start = running.enter_context(starting())
        started = {
            name: start(Process(command, folder / "logs" / f"{name}.log", environment(folder) | variables[name]))
            for name, command in commands.items()
        }
        address = f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
        (folder / "flower" / "config.toml").write_text(address, encoding="utf-8")
        for number in range(plan.clients):
            wait(lambda at=sockets / f"{number}.sock": answers(at), started["agents"])  # type: ignore[misc]
        wait(lambda: _healthy(port), started["superlink"])
        yield Simulation(folder, plan, started["superlink"], started["agents"], sockets)


def _superlink(port: int) -> list[str]:
    options = ("--isolation", "subprocess", "--disable-runtime-dependency-installation")
    return [
        program("flower-superlink"),
        "--simulation",
        "--insecure",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        *options,
    ]


def _healthy(port: int) -> bool:
    """Tell whether the SuperLink answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
