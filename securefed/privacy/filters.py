"""Online filters: whether one more event fits into a budget, however the events so far were chosen.

Epsilon of a schedule that was fixed in advance says nothing about parameters chosen while looking at outputs. A filter
does: it adds up one number, decided before the first event, and stops before a limit. A ledger keeps one filter for
life: switching between two that are each valid is not.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from securefed.errors import ConfigError, LedgerError
from securefed.privacy import accounting
from securefed.privacy.events import Event, View
from securefed.privacy.gdp import ROOM, GaussianProfile, mu_of
from securefed.privacy.renyi import RenyiBudget

SLACK_CAP = 1e-15
"""Slack that a whole ledger may reach: enough for a hundred thousand of the smallest shares that are accepted."""

SIZED_FOR: View = "coalition"
"""Budgets hold against the strongest adversary that the shares are sized for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter(ABC):
    """Says what events have spent and whether they fit; see the subclasses.

    Events are given one by one, or as a ``Counter`` that says how often each was charged; both mean the same.

    Attributes:
        epsilon: The budget.
        delta: The delta at which it is stated.
    """

    epsilon: float
    delta: float

    @abstractmethod
    def spent(self, events: Iterable[Event]) -> float:
        """Return the epsilon that the events have spent; infinity if this filter cannot tell."""

    @abstractmethod
    def admits(self, events: Iterable[Event]) -> bool:
        """Tell whether the events, all together, stay within the budget."""

    @abstractmethod
    def accepts(self, event: Event) -> None:
        """Refuse a kind of event that this filter can never admit.

        Raises:
            LedgerError: With a way out.
        """


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianFilter(Filter):
    """Adds up ``mu^2``: the exact filter of Gaussian mechanisms (Smith and Thakurta 2022, arXiv:2210.17520).

    ``mu^2`` and slack have a limit each, so that no choice of events trades one for the other.
    """

    @property
    def largest(self) -> float:
        """Largest ``mu`` that the budget has room for when all slack is used."""
        return mu_of(self.epsilon - 2 * SLACK_CAP, self.delta * math.exp(-SLACK_CAP)) * (1 + ROOM / 10)

    def spent(self, events: Iterable[Event]) -> float:
        """Return the exact epsilon."""
        return self._profile(events).epsilon(self.delta)

    def admits(self, events: Iterable[Event]) -> bool:
        """Tell whether the events stay within the budget."""
        together = self._profile(events)
        return together.mu <= self.largest and together.slack <= SLACK_CAP

    def accepts(self, event: Event) -> None:
        """Refuse Poisson samples and Skellam shares.

        Raises:
            LedgerError: With a way out.
        """
        if event.sampling.rate < 1 or event.gaussian(SIZED_FOR) is None:
            raise LedgerError(
                f"this ledger adds up full-batch Gaussian events and cannot take one of {event.mechanism} at rate "
                f"{event.sampling.rate:g}; make a ledger with the filter 'renyi' before any of the data is used"
            )

    def _profile(self, events: Iterable[Event]) -> GaussianProfile:
        together = accounting.profile(events, view=SIZED_FOR)
        return together if isinstance(together, GaussianProfile) else GaussianProfile(mu=math.inf)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class RenyiFilter(Filter):
    """Adds up Rényi costs at one order (Feldman and Zrnic 2021, arXiv:2008.11193, Theorem 4.3).

    It takes every kind of event.

    Attributes:
        order: See :class:`securefed.privacy.renyi.RenyiBudget`; :func:`securefed.privacy.accounting.best_order` finds
            the one for a plan.
    """

    order: int = 0

    @property
    def budget(self) -> RenyiBudget:
        """The budget at the filter's order."""
        return RenyiBudget(epsilon=self.epsilon, delta=self.delta, order=self.order)

    def spent(self, events: Iterable[Event]) -> float:
        """Return epsilon at the filter's order; nothing spent is 0, although the order has a price of its own."""
        cost = self._cost(events)
        return max(0.0, cost + self.budget.price) if cost else 0.0

    def admits(self, events: Iterable[Event]) -> bool:
        """Tell whether the events stay within the budget."""
        return self._cost(events) <= self.budget.largest

    def accepts(self, event: Event) -> None:
        """Take every kind of event."""

    def _cost(self, events: Iterable[Event]) -> float:
        return float(accounting.renyi_curve(events, view=SIZED_FOR)[self.budget.place])


def filter_of(name: str, *, epsilon: float, delta: float) -> Filter:
    """Return the filter that a ledger names: ``gaussian``, ``renyi``, or ``renyi-ORDER``.

    Raises:
        ConfigError: If there is no such filter.
    """
    kind, _, order = name.partition("-")
    if name == "gaussian":
        return GaussianFilter(epsilon=epsilon, delta=delta)
    if kind == "renyi" and (name == kind or order.isdecimal()):
        found = RenyiFilter(epsilon=epsilon, delta=delta, order=int(order or 0))
        _ = found.budget  # raises ConfigError if the order is unknown
        return found
    raise ConfigError(f"filter is {name!r}; there are 'gaussian', 'renyi', and 'renyi-ORDER'")
