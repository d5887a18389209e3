"""What rows expect: that somebody refuses for one reason, and that no wrong sum comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from securefed.aggregation.audit.rig import Outcome
from securefed.aggregation.audit.row import Finding
from securefed.errors import SecureFedError


def attempt(action: Callable[..., object], *values: object, **named: object) -> SecureFedError | None:
    """Return why an action is refused, or None if it is not."""
    try:
        action(*values, **named)
    except SecureFedError as error:
        return error
    return None


def expect(errors: Iterable[SecureFedError | None], *reasons: type[SecureFedError]) -> Finding:
    """Expect every attempt to be refused, for one of some reasons."""
    found = list(errors)
    names = sorted({"accepted" if error is None else type(error).__name__ for error in found})
    return Finding(f"{len(found)} attempts: {', '.join(names)}", bool(found) and all(type(e) in reasons for e in found))


def clients_refuse(outcome: Outcome, reason: type[SecureFedError], *, at_least: int = 1) -> Finding:
    """Expect clients to refuse, all for one reason, and no wrong sum."""
    named = all(type(error) is reason for error in outcome.refused.values())
    return Finding(outcome.describe(), named and len(outcome.refused) >= at_least and outcome.exact)


def put_aside(outcome: Outcome, reason: type[SecureFedError], culprit: str, *, survives: bool = False) -> Finding:
    """Expect the server to put one client aside for a reason, and the exact sum of the others, or of all."""
    named = set(outcome.refusals) == {culprit} and outcome.refusals[culprit].startswith(reason.__name__)
    ended = outcome.total is not None and outcome.exact and (culprit in outcome.survivors) == survives
    return Finding(outcome.describe(), named and ended and not outcome.refused)


def aborts(outcome: Outcome, reason: type[SecureFedError], naming: str = "") -> Finding:
    """Expect the sum to be given up for a reason."""
    holds = type(outcome.error) is reason and naming in str(outcome.error)
    return Finding(outcome.describe(), holds and outcome.total is None)
