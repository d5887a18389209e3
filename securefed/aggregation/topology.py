"""How many neighbours, shares and witnesses a masked sum needs.

Up to :data:`COMPLETE` clients everybody masks with everybody. Above, masks and shares run along a random graph in
which every client has ``degree`` neighbours (Bell et al. 2020, "Secure Single-Server Aggregation with
(Poly)Logarithmic Overhead"), and the survivors are agreed on by a random committee of witnesses. Both come from the
hash of all advertised keys, so nobody chooses them. Their sizes are the smallest for which the following fail with
small probability, if a fraction ``corruption`` of the cohort works with the server and all but ``threshold`` clients
may leave:

* privacy, together at most ``2**-privacy_bits``, if the server chooses who leaves once it knows the graph: no client
  has so many corrupt share holders that both of its secrets could be revealed (with ``h`` holders and threshold ``t``
  that takes ``2 t - h`` of them), the clients that are left hang together through their masks, and no two survivor
  sets find enough witnesses;
* correctness, together at most ``2**-correctness_bits``, if those who leave know nothing of the graph: every client
  keeps ``t`` holders, and enough witnesses are left.

Clients hang together unless the circle is cut in two places. A cut is ``degree / 2`` seats in a row without an honest
client that stays. Whoever sits beside it keeps ``t`` holders, or its self mask would never come off; so at most
``h - t`` of those seats are clients that were sent away, and the others have to be corrupt.

The probabilities are tails of the hypergeometric distribution, added over all clients or pairs of cuts (that two cuts
have many corrupt seats is less likely than if they were independent, since one takes from the other). They hold for
keys that were advertised before the graph was known; a server that lets corrupt clients try ``2**g`` sets of keys until
it likes the graph takes ``g`` off ``privacy_bits``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from securefed.errors import ConfigError

COMPLETE = 128
"""Largest cohort in which everybody is everybody's neighbour."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """The public sizes of a masked sum.

    Attributes:
        degree: How many neighbours a client masks with.
        share_threshold: How many holders of a client's shares reveal a secret.
        witnesses: How many clients vouch for the survivors.
        witness_threshold: How many of them must agree.
    """

    degree: int
    share_threshold: int
    witnesses: int
    witness_threshold: int

    def __post_init__(self) -> None:
        """Refuse sizes under which both secrets of a client, or two survivor sets, could pass without a traitor."""
        for kind, threshold, size in (
            ("share", self.share_threshold, self.holders),
            ("witness", self.witness_threshold, self.witnesses),
        ):
            if not size < 2 * threshold <= 2 * size:
                raise ConfigError(f"the {kind} threshold is {threshold} of {size}; it is more than half of them")

    @property
    def holders(self) -> int:
        """How many clients hold shares of one client: its neighbours and itself."""
        return self.degree + 1


def complete(clients: int, threshold: int) -> Topology:
    """Return the topology in which everybody masks with, shares with and vouches for everybody."""
    return Topology(degree=clients - 1, share_threshold=threshold, witnesses=clients, witness_threshold=threshold)


def sparse(
    clients: int,
    threshold: int,
    *,
    corruption: float = 0.1,
    privacy_bits: int = 40,
    correctness_bits: int = 20,
) -> Topology:
    """Return the smallest topology that a cohort needs.

    Args:
        clients: Size of the cohort.
        threshold: Least number of clients that survive.
        corruption: Largest fraction of the cohort that may work with the server.
        privacy_bits: Privacy fails with probability at most ``2**-privacy_bits``.
        correctness_bits: The sum is aborted for want of shares with probability at most ``2**-correctness_bits``.

    Raises:
        ConfigError: If no share threshold lies between what privacy needs and what dropouts leave.
    """
    odds = _Odds.of(clients, threshold, corruption)
    privacy, correctness = _limits(privacy_bits), _limits(correctness_bits)
    for degree in range(2, clients, 2):
        shares = odds.threshold(degree + 1, privacy=privacy + odds.log, correctness=correctness + odds.log)
        if shares and odds.connected(degree, shares, privacy=privacy):
            size, agreed = _committee(odds, privacy=privacy, correctness=correctness)
            return Topology(degree=degree, share_threshold=shares, witnesses=size, witness_threshold=agreed)
    raise ConfigError(
        f"{clients} clients of which {odds.corrupt} are corrupt and {odds.gone} leave: no threshold keeps secrets and "
        "still survives. Raise the threshold, expect fewer corrupt clients, or take a larger cohort"
    )


def choose(clients: int, threshold: int) -> Topology:
    """Return the complete topology of a small cohort, or the sparse one of a large one."""
    return complete(clients, threshold) if clients <= COMPLETE else sparse(clients, threshold)


def is_safe(topology: Topology, *, clients: int, threshold: int, corruption: float, privacy_bits: int = 40) -> bool:
    """Tell whether privacy holds under a topology, whoever proposed it."""
    odds, privacy = _Odds.of(clients, threshold, corruption), _limits(privacy_bits)
    return (
        topology.share_threshold >= odds.least(min(topology.holders, clients), privacy=privacy + odds.log)
        and topology.witness_threshold >= odds.least(min(topology.witnesses, clients), privacy=privacy)
        and (
            topology.degree >= clients - 1 or odds.connected(topology.degree, topology.share_threshold, privacy=privacy)
        )
    )


def _limits(bits: int) -> float:
    """Return the negative logarithm of a third of ``2**-bits``: at most three things share a failure probability."""
    return bits * math.log(2) + math.log(3)


def _committee(odds: _Odds, *, privacy: float, correctness: float) -> tuple[int, int]:
    for size in range(3, odds.clients + 1):
        if threshold := odds.threshold(size, privacy=privacy, correctness=correctness):
            return size, threshold
    raise ConfigError(f"no committee among {odds.clients} clients is safe with {odds.corrupt} corrupt ones")


@final
@dataclass(frozen=True, slots=True)
class _Odds:
    """A cohort with its corrupt and its leaving members; probabilities are negative natural logarithms."""

    clients: int
    corrupt: int
    gone: int

    @classmethod
    def of(cls, clients: int, threshold: int, corruption: float) -> _Odds:
        if not (0 <= corruption < 1 and 1 <= threshold <= clients):
            raise ConfigError(
                f"corruption is {corruption} and threshold {threshold}; expected [0, 1) and 1 to {clients}"
            )
        return cls(clients, math.ceil(corruption * clients), clients - threshold)

    @property
    def log(self) -> float:
        """What a bound for every single client must be stricter by than one for all together."""
        return math.log(self.clients)

    def least(self, size: int, *, privacy: float) -> int:
        """Return the least safe threshold ``t`` for a random group: fewer than ``2 t - size`` members are corrupt.

        The group is drawn from those who stay, and every corrupt client stays.
        """
        corrupt = _quantile(max(self.clients - self.gone, size), self.corrupt, size, privacy)
        return (size + corrupt) // 2 + 1

    def threshold(self, size: int, *, privacy: float, correctness: float) -> int | None:
        """Return the largest threshold of a random group that leaving members do not break, or None if it is unsafe."""
        threshold = size - _quantile(self.clients, self.gone, size, correctness)
        return threshold if threshold >= self.least(size, privacy=privacy) else None

    def connected(self, degree: int, threshold: int, *, privacy: float) -> bool:
        """Tell whether the circle stays whole, whoever is sent away: nowhere are two cuts.

        The seats of both cuts are drawn from those who stay, and every corrupt client stays; so many as may leave are
        counted once more as those that the server sends away.
        """
        run = degree // 2
        if 2 * run > self.corrupt + self.gone:
            return True
        corrupt = run - min(degree + 1 - threshold, self.gone)
        one = _tail(max(self.clients - self.gone, run), self.corrupt, run, corrupt)
        return -2 * (one + self.log) + math.log(2) >= privacy


def _quantile(population: int, marked: int, drawn: int, limit: float) -> int:
    """Return the smallest ``m`` of which more are drawn with probability at most ``exp(-limit)``."""
    tail, bound = 0.0, math.exp(-limit)
    for count in range(min(marked, drawn), -1, -1):
        tail += math.exp(_log_probability(population, marked, drawn, count))
        if tail > bound:
            return count
    return 0


def _tail(population: int, marked: int, drawn: int, least: int) -> float:
    """Return the logarithm of the probability that at least ``least`` marked ones are drawn."""
    counts = range(max(least, 0), min(marked, drawn) + 1)
    chance = math.fsum(math.exp(_log_probability(population, marked, drawn, count)) for count in counts)
    return math.log(chance) if chance else -math.inf


def _log_probability(population: int, marked: int, drawn: int, count: int) -> float:
    if drawn - count > population - marked:
        return -math.inf
    chosen = _log_choose(marked, count) + _log_choose(population - marked, drawn - count)
    return chosen - _log_choose(population, drawn)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
