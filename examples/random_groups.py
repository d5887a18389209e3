"""Poisoned updates under the secure sum: what random groups, a gate and a median bear, and what they cost.

    python examples/random_groups.py --faulty 2 --attack boosted

Fifteen clients share 1,437 real handwritten digits and train a cache beside a small frozen CLIP model; every client's
message is private by itself. Two of them are malicious. A secure sum hides theirs among the others, so they destroy
what is learned. With the rule, a coin that nobody chooses parts the clients into groups, each group has a secure sum of
its own, groups beyond the gate are refused, and the adapter moves along the median of the other groups' means.

The price is printed beside the gain: a client hides among its group instead of its cohort, and the noise that protects
it lets longer vectors pass the gate. Two attacks show where the rule ends. A vector no longer than an honest one may be
(``--attack flipped``) passes every gate, and the median does about as badly as the mean. So does a long one when the
noise is longer still (``--epsilon 0.5``).

Both trainings charge ledgers of their own, each as if it were the only one: the data is simulated, and a federation
would choose one. Takes less than half a minute on two cores; needs no network and no GPU; keeps nothing.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from securefed import rng
from securefed.errors import BudgetExceeded, SecureFedError

if TYPE_CHECKING:
    from securefed.encoding import RingVector
    from securefed.grouped import GroupedRound, Robustness
    from securefed.plan import Plan
    from securefed.preparation import Materials
    from securefed.privacy.ledger import Ledger
    from securefed.rounds import Client, ServerState

ATTACKS = ("flipped", "boosted", "none")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faulty", type=int, default=2, help="malicious clients, all of which the rule bears")
    parser.add_argument(
        "--attack",
        choices=ATTACKS,
        default="boosted",
        help="flipped: a client's own clipped sum, backwards and as long as an honest one may be; boosted: the same, "
        "as many times longer as there are clients; none: everybody is honest",
    )
    parser.add_argument("--groups", type=int, help="at least so many groups (default 2 * faulty + 1, the fewest)")
    parser.add_argument("--clients", type=int, default=15)
    parser.add_argument("--rounds", type=int, help="model updates (default: chosen by the noise)")
    parser.add_argument("--epsilon", type=float, default=4.0, help="target, per record (default 4)")
    parser.add_argument("--delta", type=float, default=1e-5, help="target, below 1 / records (default 1e-5)")
    parser.add_argument("--secure", choices=("mask", "plain"), default="mask", help="how updates travel")
    parser.add_argument("--records", type=int, help="training records (default: all that there are)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the example; return the exit code: 0 ok, 1 refused by a ledger, 2 bad input or a lost round."""
    options = parse(arguments)
    try:
        demonstrate(options)
    except BudgetExceeded as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 1
    except SecureFedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        accuracy: On held-out images.
        rounds: What each round left behind.
        epsilon: Of the client whose ledger was charged most.
    """

    accuracy: float
    rounds: tuple[GroupedRound, ...]
    epsilon: float

    @property
    def refused(self) -> tuple[frozenset[int], ...]:
        """Groups beyond the gate, by round."""
        return tuple(frozenset(done.dropped) for done in self.rounds)

    @property
    def hidden(self) -> float:
        """The longest vector, in lengths that an honest one may have, that may pass with honest ones and noise."""
        return 2 * max(done.looseness * max(map(len, done.groups.members)) for done in self.rounds)

    def poisoned(self, malicious: Sequence[str]) -> tuple[frozenset[int], ...]:
        """Return the groups with a malicious client, by round; only a simulation knows."""
        return tuple(
            frozenset(at for at, members in enumerate(done.groups.members) if not set(members).isdisjoint(malicious))
            for done in self.rounds
        )


def demonstrate(options: argparse.Namespace) -> None:
    """Plan, train with the rule and without it, compare."""
    from securefed import preparation, recipes

    chosen = {name: getattr(options, name) for name in ("clients", "rounds", "epsilon", "delta", "secure", "records")}
    plan = recipes.cachefl(setting="per-client", **chosen)
    cohort, groups = rules(plan, faulty=options.faulty, groups=options.groups)
    materials = preparation.prepare(plan)
    malicious = plan.cohort[: max(options.faulty, 0)] if options.attack != "none" else ()
    lengths = dict.fromkeys(malicious, plan.clients if options.attack == "boosted" else 1)
    print(f"{plan.clients} clients, {len(malicious)} malicious ({options.attack}), {plan.rounds} rounds")
    print(f"zero-shot accuracy      {materials.test.zero_shot(materials.adapter):.3f}")

    print("\nwith the rule: random groups, a gate, the median")
    robust = train(plan, materials, groups, lengths)
    show(robust, malicious)
    print("\nwithout it: one sum over the cohort")
    plain = train(plan, materials, cohort, lengths)
    show(plain, malicious)

    assert all(outcome.epsilon <= options.epsilon * (1 + 1e-9) for outcome in (robust, plain))
    assert all(done.groups.hiding >= groups.size for done in robust.rounds)
    if options.attack != "boosted":
        assert not any(robust.refused)  # nobody is longer than an honest client may be
    elif malicious and plan.clients > robust.hidden:
        assert robust.refused == robust.poisoned(malicious)
        assert robust.accuracy > plain.accuracy


def rules(plan: Plan, *, faulty: int, groups: int | None) -> tuple[Robustness, Robustness]:
    """Return what is wanted without the rule, which is the mean of one sum over the cohort, and with it."""
    from securefed.grouped import Robustness

    least = max(2 * faulty + 1 if groups is None else groups, 1)
    largest = math.ceil(plan.expected_records / plan.clients)
    whole = Robustness(size=plan.clients, faulty=0, rule="mean", gated=False, records=largest)
    return whole, Robustness(size=plan.clients // least, faulty=faulty, records=largest)


def train(plan: Plan, materials: Materials, wanted: Robustness, lengths: Mapping[str, int]) -> Outcome:
    """Train on new ledgers; ``lengths`` has malicious clients' vectors, in lengths that an honest one may have."""
    from securefed import runs
    from securefed.rounds import Client, ServerState

    state, rounds = ServerState.initial(materials.adapter), []
    with tempfile.TemporaryDirectory() as folder, runs.open_ledgers(plan, Path(folder)) as ledgers:
        shards = materials.shards.items()
        clients = [Client(name, shard.features, shard.labels, ledgers[name]) for name, shard in shards]
        for number in range(1, plan.rounds + 1):
            done = play(plan, state, clients, wanted, lengths, number=number)
            rounds.append(done)
            state = done.state
            print(f"  round {number:3d}   accuracy {materials.test.accuracy(state.adapter):.3f}", flush=True)
        epsilon = max(spent(ledger) for ledger in ledgers.values())
    return Outcome(materials.test.accuracy(state.released().adapter), tuple(rounds), epsilon)


def play(
    plan: Plan,
    state: ServerState,
    clients: list[Client],
    wanted: Robustness,
    lengths: Mapping[str, int],
    *,
    number: int,
) -> GroupedRound:
    """Run one round: groups first, then contributions; each honest one is charged before its noise is drawn."""
    from securefed.grouped import moved_by, part
    from securefed.rounds import contribution

    parted = part(plan, state, wanted, run="example", number=number, rng=lambda *_: rng.secure())
    vectors = {
        client.name: poisoned(plan, state, client, length=lengths[client.name] * wanted.gate(plan).bound)
        if client.name in lengths
        else contribution(plan, state.adapter, client, run="example", number=number, rng=rng.secure())
        for client in clients
    }
    return moved_by(plan, state, parted, vectors, rng=lambda _: rng.secure())


def poisoned(plan: Plan, state: ServerState, client: Client, *, length: float) -> RingVector:
    """Return a client's own clipped sum backwards, as long as it likes."""
    from securefed.training import clipped_sum

    own = clipped_sum(state.adapter, client.features, client.labels, clip_norm=plan.clip_norm)
    return plan.encoding.encode(-length * own / max(float(np.linalg.norm(own)), 1e-12))


def spent(ledger: Ledger) -> float:
    """Return the epsilon of what a ledger holds."""
    book = ledger.read()
    return book.budget.spent(book.events)


def show(outcome: Outcome, malicious: Sequence[str]) -> None:
    """Print what a training came to, and what its groups cost."""
    first = outcome.rounds[0]
    print(f"  accuracy              {outcome.accuracy:.3f}")
    print(f"  groups                {len(first.groups.members)} in each round")
    print(f"  hiding set            {first.groups.hiding} clients")
    if len(first.groups.members) > 1:
        print(f"  gate                  passes {first.looseness:.1f} times what honest clients may add up to")
        refused, poisoned = (sum(map(len, each)) for each in (outcome.refused, outcome.poisoned(malicious)))
        print(f"  groups refused        {refused} in {len(outcome.rounds)} rounds, {poisoned} held a malicious client")
    print(f"  epsilon in the ledger {outcome.epsilon:.4f}, client charged most")


if __name__ == "__main__":
    sys.exit(main())
