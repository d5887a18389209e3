"""Every error that securefed raises on purpose.

::

    SecureFedError
      x ConfigError        an input or a plan that cannot hold what it promises
        + CapacityError    a sum that could leave the ring
        + DataError        a data set, image or label that cannot be used
        + DigestError      a file whose content is not the content it was pinned to
        + ChoiceError      a value that is none of those there are (carries them, and the nearest)
      x ProtocolError      a message that no honest party would send
        + OutOfTurn        a role used twice or in the wrong phase
        + ThresholdError   fewer survivors than the threshold (carries both numbers)
      x BudgetExceeded     the ledger refuses a charge (carries spent, asked, left)
      x LedgerError        a ledger that cannot be written, or whose chain does not hold
      x VerificationError  a recorded value that differs from its recomputation

Messages name the value, the bound it broke and the way out. They never contain a secret, a record or
anything computed from records.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SecureFedError(Exception):
    """The root: catch it to catch everything that securefed raises on purpose.

    It comes through a process pool as it was raised, with everything that it carries.
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Return how a copy is made: exceptions call their class with the message alone, which some of these refuse."""
        return _copied, (type(self), self.args, vars(self))


def _copied(kind: type[SecureFedError], args: tuple[object, ...], carried: dict[str, object]) -> SecureFedError:
    error = kind.__new__(kind, *args)
    vars(error).update(carried)
    return error


class ConfigError(SecureFedError, ValueError):
    """An input or a plan that cannot hold what it promises."""


class CapacityError(ConfigError):
    """A sum that could leave the ring."""


class DataError(ConfigError):
    """A data set, image or label that cannot be used."""


class DigestError(ConfigError):
    """A file whose content is not the content it was pinned to."""


class ChoiceError(ConfigError):
    """A value that is none of those there are.

    Attributes:
        where: What was to be chosen, such as the name of a field.
        value: What was given.
        allowed: What there is.
    """

    def __init__(self, where: str, value: str, allowed: Iterable[str]) -> None:
        self.where, self.value, self.allowed = where, value, tuple(allowed)
        super().__init__(
            f"{where} {value!r} is unknown; did you mean {self.nearest!r}? Known: {', '.join(self.allowed)}"
        )

    @property
    def nearest(self) -> str:
        """The allowed value that looks most like the given one."""
        return difflib.get_close_matches(self.value, self.allowed, n=1, cutoff=0.0)[0]


class ProtocolError(SecureFedError):
    """A message that no honest party would send."""


class OutOfTurn(ProtocolError):
    """A role used twice or in the wrong phase."""


class ThresholdError(ProtocolError):
    """Fewer survivors than the threshold.

    Attributes:
        survivors: How many clients answered.
        threshold: How many were needed.
    """

    def __init__(self, *, survivors: int, threshold: int) -> None:
        super().__init__(
            f"{survivors} clients answered, {threshold} are needed; the round is aborted and nothing is revealed"
        )
        self.survivors = survivors
        self.threshold = threshold


class BudgetExceeded(SecureFedError):
    """The ledger refuses a charge that would overspend the budget.

    Attributes:
        spent: Epsilon of everything already in the ledger.
        asked: Epsilon that the ledger would have after the refused charge.
        budget: Epsilon that the owner of the data allowed.
        delta: The delta at which all three are stated.
    """

    def __init__(self, *, spent: float, asked: float, budget: float, delta: float) -> None:
        super().__init__(
            f"privacy budget exceeded: {spent:.4f} of epsilon {budget:.4f} (delta {delta:g}) is spent, "
            f"this charge would make it {asked:.4f}; {max(budget - spent, 0.0):.4f} is left. "
            "Use a smaller epsilon, fewer rounds, or data that has not been used before"
        )
        self.spent = spent
        self.asked = asked
        self.budget = budget
        self.delta = delta

    @property
    def left(self) -> float:
        """Epsilon that is left, never below zero."""
        return max(self.budget - self.spent, 0.0)


class LedgerError(SecureFedError):
    """A ledger that cannot be written, or whose chain does not hold."""


class VerificationError(SecureFedError):
    """A recorded value that differs from its recomputation.

    Attributes:
        problem: The message without the place.
        where: What does not hold, as ``FILE`` or ``FILE:LINE``; empty if the error is about no file.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.problem, self.where = message, where
