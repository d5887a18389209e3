"""Random groups of a cohort, each with a secure sum of its own, so that sums can be compared without seeing a client.

A secure sum hides a poisoned vector among the others. A sum for each group shows which group is out of line, and a rule
that bears some bad groups bears as many bad clients (Velicheti et al. 2021, arXiv:2110.02940). The price is the hiding
set: a client hides among its group, no longer among its cohort, and groups of later rounds give further sums. Groups
follow from a coin that nobody chooses (:mod:`securefed.aggregation.coin`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

from securefed.aggregation.policy import HARD_FLOOR
from securefed.errors import ConfigError


@final
@dataclass(frozen=True, slots=True)
class Groups:
    """A cohort in groups.

    Attributes:
        members: Names in each group, sorted.
        faulty: How many clients may be malicious.
    """

    members: tuple[tuple[str, ...], ...]
    faulty: int

    @classmethod
    def drawn(cls, names: Sequence[str], coin: bytes, *, size: int, faulty: int) -> Self:
        """Return the groups that a coin decides; whoever knows the coin computes the same.

        Args:
            names: Of the cohort.
            coin: Public and unpredictable, from :func:`securefed.aggregation.coin.toss`.
            size: Least number of clients in a group.
            faulty: Of how many malicious clients a median shall bear the vectors.

        Raises:
            ConfigError: If groups are smaller than any policy allows, or fewer than ``2 faulty + 1``.
        """
        count = len(names) // size if size >= HARD_FLOOR else 0
        if faulty < 0 or count < 2 * faulty + 1:
            raise ConfigError(
                f"{len(names)} clients make {count} groups of {size} or more; against {faulty} malicious clients it "
                f"takes {2 * faulty + 1} groups of at least {HARD_FLOOR}. Use a larger cohort, smaller groups, or "
                "claim to bear fewer"
            )
        order = sorted(names, key=lambda name: hashlib.sha256(coin + name.encode()).digest())
        return cls(tuple(tuple(sorted(order[at::count])) for at in range(count)), faulty)

    @property
    def hiding(self) -> int:
        """Clients among whom each one hides: the smallest group."""
        return min(map(len, self.members))
