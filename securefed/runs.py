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
      resume/               what an unfinished run needs to go on (:mod:`securefed.checkpoint`); gone afterwards
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from safetensors.numpy import save_file

from securefed import checkpoint, inventory
from securefed import rng as randomness
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import open_journals
from securefed.aggregation.masked_client import LEAST
from securefed.aggregation.policy import Policy
from securefed.aggregation.provision import to_json
from securefed.checkpoint import Beginning, Checkpoint
from securefed.errors import ConfigError
from securefed.journey import Journey, Terms
from securefed.lines import Lines
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.preparation import prepare
from securefed.privacy.events import Event
from securefed.privacy.ledger import Ledger
from securefed.rounds import Owners, Sources
from securefed.stopwatch import Stopwatch


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
    plan: Plan, folder: Path, *, budget: float | None = None, mirrors: Path | None = None, run: str | None = None
) -> Iterator[dict[str, Ledger]]:
    """Open one ledger a client, and refuse the whole plan now if any of them would refuse a round later.

    A ledger belongs to a client's data, not to a run: one that exists already keeps its budget, and what earlier runs
    spent counts.

    Args:
        plan: What shall be charged.
        folder: Where the ledgers are, or will be.
        budget: Epsilon that a new ledger allows over all runs; by default what this plan needs.
        mirrors: Folder in another place, where each ledger's progress is remembered (:mod:`securefed.privacy.mirror`).
        run: Name of a run that has begun: what it has charged already is not asked for again.

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
            ledger.preflight(_left(plan, ledger, run) if run else plan.events)
            ledgers[name] = ledger
        yield ledgers


def _left(plan: Plan, ledger: Ledger, run: str) -> list[Event]:
    """Return what a run that has begun will still charge."""
    charged = sum(entry.run == run for entry in ledger.read().entries)
    batches = plan.batches(run)
    return [batches.event_of(step) for step in range(charged + 1, plan.rounds * plan.steps + 1)]


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
    if audit is not None:
        shutil.copyfile(audit, out / "audit.json")
    members = checkpoint.new_parties(out, plan.cohort, rng=randomness.secure())
    beginning = Beginning(
        run=uuid.uuid4().hex[:12],
        plan_digest=plan.digest,
        roster_root=members.roster.root.hex(),
        ledgers=ledgers or out / "ledger",
        budget=budget,
        mirrors=mirrors,
        policy=policy,
        vanishing=vanishing,
        is_secret=_is_secret(rng),
        machine=machine or Machine(),
    )
    beginning.write(out)
    _go_on(plan, out, beginning, members, Terms(rng, on_round, console))


def resume(
    out: Path,
    *,
    rng: Sources = lambda _purpose, _round, _client: randomness.secure(),
    on_round: Callable[[int, float], None] = lambda _number, _accuracy: None,
    console: Console | None = None,
) -> None:
    """Go on with a run whose process has died, from the last round that was over.

    It has the same ledgers, journals, identities and transcripts. The round that was going on is attempted once more: a
    charge that is there already pays for it, if the client's journal shows that nothing has left. If a vector may have
    left, the round is lost: it stays charged, its sum counts as zero, and the adapter moves by momentum alone, because
    clients contribute to a model once.

    Args:
        out: Folder of the run.
        rng: As for :func:`execute`; as secret as it was then.
        on_round: As for :func:`execute`.
        console: Shows the progress of encoding.

    Raises:
        ConfigError: If there is no run to go on with, its plan or data are not what they were, or the round that was
            lost leaves the adapter where it was, so that no client would contribute again.
        BudgetExceeded: If a ledger refuses what is left of the plan.
    """
    beginning, plan = Beginning.read(out), Plan.from_toml(out / "plan.toml")
    if plan.digest != beginning.plan_digest:
        raise ConfigError(f"{out / 'plan.toml'} is not the plan that this run began with; put that one back")
    if _is_secret(rng) != beginning.is_secret:
        raise ConfigError("a run whose noise is secret is resumed with secret noise, and one with a seed with a seed")
    if (out / inventory.NAME).exists():
        checkpoint.forget(out)
        return
    _go_on(plan, out, beginning, checkpoint.parties(out, beginning), Terms(rng, on_round, console))


def _go_on(plan: Plan, out: Path, beginning: Beginning, members: Federation, terms: Terms) -> None:
    """Carry out what is left of a run."""
    known, watch = Checkpoint.read(out), Stopwatch()
    if known is not None:
        known = replace(known, attempt=known.attempt + 1)
        watch.seconds.update(known.seconds)
    ledgers = open_ledgers(
        plan, beginning.ledgers, budget=beginning.budget, mirrors=beginning.mirrors, run=beginning.run
    )
    with ledgers as books:
        (out / "roster.json").write_text(to_json(members.roster), encoding="utf-8")
        (out / "transcript").mkdir(exist_ok=True)
        materials = prepare(plan, beginning.machine, stage=watch.stage, console=terms.console)
        materials.manifest.write(out / "manifest.json")
        with (
            Lines(out / "metrics.jsonl") as metrics,
            Lines(out / "messages.jsonl") as messages,
            open_journals(out / "journal", plan.cohort) as journals,
        ):
            floor = LEAST if beginning.policy is None else Policy.load(beginning.policy)
            journey = Journey(
                plan, out, beginning, members, Owners(floor, journals), materials, books, metrics, messages, watch
            )
            state = journey.train(known or Checkpoint.initial(materials.adapter), terms)
            save_file(state.adapter.tensors(), out / "adapter.safetensors", metadata={"plan_digest": plan.digest})
            (out / "ledger").mkdir(exist_ok=True)
            for name, book in books.items():
                book.export(out / "ledger" / f"{name}.jsonl", sign=members.clients[name].sign)
            digest = hashlib.sha256((out / "adapter.safetensors").read_bytes()).hexdigest()
            if metrics.last["kind"] != "end":
                metrics.append(
                    kind="end", adapter_sha256=digest, seconds=watch.seconds, **materials.beyond(state.adapter)
                )
        inventory.write(out, sign=members.server.sign)
    checkpoint.forget(out)


def _is_secret(rng: Sources) -> bool:
    return all(rng(purpose, 0, "").is_secret for purpose in ("noise", "keys"))
