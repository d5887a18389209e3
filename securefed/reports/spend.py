"""What was spent, from the exported ledgers: per round, per client, and by every run on the same data."""

from __future__ import annotations

from collections import Counter, defaultdict

from securefed.privacy import accounting
from securefed.privacy.accounting import LossProfile
from securefed.privacy.events import Event
from securefed.privacy.gdp import GaussianProfile
from securefed.privacy.ledger import Book, Entry
from securefed.reports.bounds import bounds, epsilon
from securefed.reports.record import Json, RunRecord

PRIVATE = ("epsilon", "epsilon_target", "epsilon_server_view", "epsilon_this_run", "bounds", "accounting", "spend")
"""What only a private run has."""

STATED_BY = {
    GaussianProfile: "the exact profile of the Gaussian mechanism that all charges amount to",
    LossProfile: "the privacy loss distribution of all charges",
}

HOLDS_FOR = {
    GaussianProfile: "parameters chosen in advance or while looking at outputs",
    LossProfile: "parameters fixed in advance; the ledger's own filter holds in any case",
}


def privacy(record: RunRecord) -> Json:
    """Return epsilon in both views, what it means, and what each round, client and run spent."""
    plan = record.plan
    if not plan.private:
        return {"delta": plan.delta, **dict.fromkeys(PRIVATE), "runs_on_this_data": []}
    clients = {name: client_spend(book, plan.delta) for name, book in record.ledgers.items()}
    worst = max(clients, key=lambda name: clients[name]["epsilon"])
    book, run = record.ledgers[worst], record.start.run
    own = [_until(book, run, number) for number in _rounds(record)]
    return {
        "delta": plan.delta,
        "epsilon": clients[worst]["epsilon"],
        "epsilon_target": plan.epsilon,
        "epsilon_server_view": clients[worst]["epsilon_server_view"],
        "epsilon_this_run": epsilon(own[-1], plan.delta, "coalition"),
        "bounds": bounds(book.events, delta=plan.delta),
        "accounting": _accounting(book, worst, len(clients)),
        "spend": {
            "worst_client": worst,
            "per_round": [epsilon(events, plan.delta, "coalition") for events in own],
            **_by_round(book, record),
            "per_client": clients,
        },
        "runs_on_this_data": runs_on_this_data(record),
    }


def client_spend(book: Book, delta: float) -> Json:
    """Return what one client's data has spent over all runs, and what is left of its budget."""
    events = tuple(book.events)
    spent = epsilon(events, delta, "coalition")
    return {
        "epsilon": spent,
        "epsilon_server_view": epsilon(events, delta, "server"),
        "filter": book.filter,
        "budget": book.budget_epsilon,
        "left": max(book.budget_epsilon - spent, 0.0),
        "charges": len(events),
        "runs": len({entry.run for entry in book.entries}),
        "head": book.head,
    }


def runs_on_this_data(record: RunRecord) -> list[Json]:
    """Return every run that charged one of the ledgers, in the order of its first charge, tuning included."""
    charges: dict[str, dict[str, list[Entry]]] = defaultdict(dict)
    for name, book in record.ledgers.items():
        for entry in book.entries:
            charges[entry.run].setdefault(name, []).append(entry)
    return [
        {
            "run": run,
            "is_this_run": run == record.start.run,
            "purposes": sorted({entry.purpose for entries in clients.values() for entry in entries}),
            "clients": len(clients),
            "charges": max(map(len, clients.values())),
            "epsilon": max(_alone(entries, record.plan.delta) for entries in clients.values()),
        }
        for run, clients in charges.items()
    ]


def _alone(entries: list[Entry], delta: float) -> float:
    return epsilon(tuple(entry.event for entry in entries), delta, "coalition")


def _by_round(book: Book, record: RunRecord) -> Json:
    """Return what one client's data had spent, over all runs, before this run and after each of its rounds."""
    own = [(place, entry.round) for place, entry in enumerate(book.entries) if entry.run == record.start.run]
    first = own[0][0] if own else len(book.entries)
    events = book.events
    # A round that the client was not in ends where the one before it did.
    ends = [max((place + 1 for place, of in own if of <= number), default=first) for number in _rounds(record)]
    spent = [epsilon(tuple(events[:end]), record.plan.delta, "coalition") for end in ends]
    before = epsilon(tuple(events[:first]), record.plan.delta, "coalition")
    return {
        "before_this_run": before,
        "total_by_round": spent,
        "left_by_round": [max(book.budget_epsilon - each, 0.0) for each in spent],
    }


def _until(book: Book, run: str, number: int) -> tuple[Event, ...]:
    """Return what one run had charged when a round was over."""
    return tuple(entry.event for entry in book.entries if entry.run == run and entry.round <= number)


def _rounds(record: RunRecord) -> range:
    return range(1, record.plan.rounds + 1)


def _accounting(book: Book, worst: str, clients: int) -> Json:
    profile = type(accounting.profile(book.events, view="coalition"))
    kinds = Counter(event.to_json()["mechanism"] for event in book.events)
    return {
        "client": worst,
        "over_clients": f"the largest of {clients} clients is stated; that holds if no unit belongs to two",
        "stated_by": STATED_BY.get(profile, "the Rényi costs of all charges, at the best order"),
        "holds_for": HOLDS_FOR.get(profile, "parameters fixed in advance; the ledger's own filter holds in any case"),
        "composition": f"all {len(book.events)} charges of the ledger, every run on the data included",
        "charges": dict(kinds),
        "filter": book.filter,
    }
