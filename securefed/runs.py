"""A run on disk: what was planned, what was charged, what was sent, what came out.

::

    runs/NAME/
      plan.toml             every public choice
      manifest.json         which records each simulated client holds and what is in them; for nobody else
      ledger/CLIENT.sqlite  what each client's data was charged (unless another folder is named)
      ledger/CLIENT.jsonl   its export, signed by the client, which reports and verification read
      roster.json           public keys of the parties
      transcript/0001.jsonl signed, hash-chained record of each round's masked sum
      journal/CLIENT.sqlite what each client remembers of its sums: one contribution to a model, one unmask in a sum
      messages.jsonl        round, phase, size and digest of every message
      metrics.jsonl         what was measured, round by round
      adapter.safetensors   the released adapter
      audit.json            what an audit of the pipeline found, if its result was given to the run
      files.json            digests of all these but the SQLite files, signed by the server
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, final

from rich.console import Console
from safetensors.numpy import save_file

from securefed import inventory
from securefed import rng as randomness
from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import open_journals
from securefed.aggregation.masked_client import LEAST
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.policy import Policy
from securefed.aggregation.provision import to_json
from securefed.errors import ConfigError
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.preparation import Materials, prepare
from securefed.privacy.ledger import Ledger
from securefed.rounds import Client, Owners, ServerState, Sources, run_round

VANISH_PHASES = ("mask", "encrypt", "plain")
"""Where a simulated dropout leaves: keys and shares are out, noise is drawn, its vector never arrives."""


@final
@dataclass(slots=True)
class Stopwatch:
    """Seconds spent in each stage of a run.

    Attributes:
        seconds: By stage, in the order of their first end; a stage inside another counts for itself only.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _inner: float = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start, outer, self._inner = time.perf_counter(), self._inner, 0.0
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inner
            self._inner = outer + spent


def create_folder(path: Path) -> None:
    """Make the folder of a new run.

    Raises:
        ConfigError: If it exists and is not empty, or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise ConfigError(f"{path} is not empty; a run never overwrites another. Name a new folder")
        probe = path / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}. Name a folder that can") from error


@contextmanager
def open_ledgers(
    plan: Plan, folder: Path, *, budget: float | None = None, mirrors: Path | None = None
) -> Iterator[dict[str, Ledger]]:
    """Open one ledger a client, and refuse the whole plan now if any of them would refuse a round later.

    A ledger belongs to a client's data, not to a run: one that exists already keeps its budget, and what earlier runs
    spent counts.

    Args:
        plan: What shall be charged.
        folder: Where the ledgers are, or will be.
        budget: Epsilon that a new ledger allows over all runs; by default what this plan needs.
        mirrors: Folder in another place, where each ledger's progress is remembered (:mod:`securefed.privacy.mirror`).

    Raises:
        BudgetExceeded: If what is left does not cover the plan.
        LedgerError: If a ledger cannot be opened.
    """
    with ExitStack() as stack:
        ledgers = {}
        for name in plan.cohort if plan.epsilon is not None else ():
            ledger = Ledger.open(
                folder / f"{name}.sqlite",
                dataset=f"{plan.data}/{name}",
                budget_epsilon=budget if budget is not None else plan.epsilon or 0.0,
                budget_delta=plan.delta,
                filter=plan.ledger_filter,
                mirror=None if mirrors is None else mirrors / f"{name}.sqlite",
            )
            stack.callback(ledger.close)
            ledger.preflight(plan.events)
            ledgers[name] = ledger
        yield ledgers


def execute(
    plan: Plan,
    out: Path,
    *,
    machine: Machine | None = None,
    ledgers: Path | None = None,
    budget: float | None = None,
    mirrors: Path | None = None,
    policy: Path | None = None,
    audit: Path | None = None,
    vanishing: int = 0,
    rng: Sources = lambda _purpose, _round, _client: randomness.secure(),
    on_round: Callable[[int, float], None] = lambda _number, _accuracy: None,
    console: Console | None = None,
) -> None:
    """Carry out a plan and leave everything about it in a folder.

    Args:
        plan: The public choices.
        out: Folder of the run; must be new or empty.
        machine: Where weights, images and features lie.
        ledgers: Folder of the clients' ledgers; by default inside the run.
        budget: Epsilon that new ledgers allow over all runs; by default what this plan needs.
        mirrors: Folder in another place that remembers how far each ledger came; by default none, and a ledger that was
            replaced by an older copy goes unnoticed.
        policy: File with the floor that the clients' owners set; by default the least one there is.
        audit: Result of an audit of this pipeline, which is kept with the run under the server's signature.
        vanishing: Simulated dropouts a round: other clients each time, gone after their noise was drawn.
        rng: Where each client's noise and keys come from. Anything but the operating system's generator is recorded,
            and the run's report says that it is not private.
        on_round: Told after each round its number and the accuracy on the held-out split.
        console: Shows the progress of encoding.

    Raises:
        ConfigError: If the plan or the folder does not hold; nothing has been charged.
        BudgetExceeded: If a ledger refuses; nothing has been charged.
        PolicyViolation: If the plan is below the clients' floor; nothing has been charged.
    """
    if not 0 <= vanishing <= plan.max_dropouts:
        raise ConfigError(
            f"{vanishing} clients are to vanish each round, the plan tolerates {plan.max_dropouts} of {plan.clients}; "
            "raise max_dropouts (which adds noise) or let fewer vanish"
        )
    floor = LEAST if policy is None else Policy.load(policy)
    floor.check_clip(plan.clip_norm)
    create_folder(out)
    (out / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")
    watch = Stopwatch()
    with open_ledgers(plan, ledgers or out / "ledger", budget=budget, mirrors=mirrors) as books:
        members = _members(plan, out)
        materials = prepare(plan, machine, stage=watch.stage, console=console)
        materials.manifest.write(out / "manifest.json")
        with (
            Lines(out / "metrics.jsonl") as metrics,
            Lines(out / "messages.jsonl") as messages,
            open_journals(out / "journal", plan.cohort) as journals,
        ):
            state = _train(
                plan,
                materials,
                books,
                members,
                Owners(floor, journals),
                rng=rng,
                vanishing=vanishing,
                metrics=metrics,
                messages=messages,
                out=out,
                watch=watch,
                on_round=on_round,
            )
            save_file(state.adapter.tensors(), out / "adapter.safetensors", metadata={"plan_digest": plan.digest})
            (out / "ledger").mkdir(exist_ok=True)
            for name, book in books.items():
                book.export(out / "ledger" / f"{name}.jsonl", sign=members.clients[name].sign)
            digest = hashlib.sha256((out / "adapter.safetensors").read_bytes()).hexdigest()
            metrics.append(kind="end", adapter_sha256=digest, seconds=watch.seconds, **_beyond(materials, state))
        if audit is not None:
            shutil.copyfile(audit, out / "audit.json")
        inventory.write(out, sign=members.server.sign)


def _train(
    plan: Plan,
    materials: Materials,
    books: Mapping[str, Ledger],
    members: Federation,
    owners: Owners,
    *,
    rng: Sources,
    vanishing: int,
    metrics: Lines,
    messages: Lines,
    out: Path,
    watch: Stopwatch,
    on_round: Callable[[int, float], None],
) -> ServerState:
    """Run all rounds and write down what happens."""
    run = uuid.uuid4().hex[:12]
    clients = [
        Client(
            name=name,
            features=shard.features,
            labels=shard.labels,
            ledger=books.get(name),
            batches=plan.batches(run) if plan.private else None,
        )
        for name, shard in materials.shards.items()
    ]
    metrics.append(
        kind="start",
        run=run,
        plan_digest=plan.digest,
        secret_noise=all(rng(purpose, 0, "").is_secret for purpose in ("noise", "keys")),
        roster_root=members.roster.root.hex(),
        zero_shot_accuracy=materials.test.zero_shot(materials.adapter),
        initial_accuracy=materials.test.accuracy(materials.adapter),
    )
    decryptor = Decryptor.throwaway(members.roster, rng=randomness.secure())
    state, head = ServerState.initial(materials.adapter), bytes(DIGEST)
    for number in range(1, plan.rounds + 1):
        done = run_round(
            plan,
            state,
            clients,
            run=run,
            number=number,
            rng=rng,
            members=members,
            decryptor=decryptor,
            owners=owners,
            previous=head,
            lost=partial(_is_lost, absent(plan, number, vanishing)),
            record=partial(messages.message, number),
            stage=watch.stage,
        )
        state, head = done.state if number < plan.rounds else done.state.released(), done.head
        if done.transcript:
            path = out / "transcript" / f"{number:04d}.jsonl"
            path.write_text("".join(f"{line}\n" for line in done.transcript), encoding="utf-8")
        with watch.stage("evaluate"):
            accuracy = materials.test.accuracy(state.adapter)
        metrics.append(kind="round", number=number, accuracy=accuracy, survivors=done.survivors)
        on_round(number, accuracy)
    return state


def _beyond(materials: Materials, state: ServerState) -> dict[str, float]:
    """Return how adapter and frozen model do on the domain that was left out, if one was."""
    if materials.unseen is None:
        return {}
    return {
        "unseen_accuracy": materials.unseen.accuracy(state.adapter),
        "unseen_zero_shot_accuracy": materials.unseen.zero_shot(state.adapter),
    }


def _members(plan: Plan, out: Path) -> Federation:
    """Make identities that live as long as this run, and leave their public halves in its folder."""
    members = Federation.throwaway(plan.cohort, rng=randomness.secure())
    (out / "roster.json").write_text(to_json(members.roster), encoding="utf-8")
    (out / "transcript").mkdir()
    return members


def absent(plan: Plan, number: int, vanishing: int) -> frozenset[str]:
    """Return who vanishes in a round: the next ``vanishing`` clients in turn."""
    start = (number - 1) * vanishing
    return frozenset(plan.cohort[(start + i) % plan.clients] for i in range(vanishing))


def _is_lost(gone: frozenset[str], phase: str, client: str) -> bool:
    return phase in VANISH_PHASES and client in gone


@final
class Lines:
    """A file of JSON lines that grows while a run goes on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def append(self, **values: object) -> None:
        """Write one line, and hand it to the operating system at once."""
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()

    def message(self, number: int, *message: *tuple[str, str, str, bytes]) -> None:
        """Write down a message of a round: its phase, client, direction, size and SHA-256."""
        phase, client, direction, content = message
        digest = hashlib.sha256(content).hexdigest()
        size = len(content)
        self.append(round=number, phase=phase, client=client, direction=direction, bytes=size, sha256=digest)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()
