"""What theory allows an attacker, and how sure an experiment can be of what it saw."""

from __future__ import annotations

from securefed.errors import ConfigError
from securefed.privacy.accounting import Profile
from securefed.privacy.auditing import upper_rate
from securefed.privacy.membership import advantage, tpr_at_fpr

CONFIDENCE = 0.95
"""Of every interval: each of its two ends is wrong in at most half of the remaining cases."""

SURE = 0.999
"""Of the interval by which a rate refutes a claim. A scorecard has some hundred of them, and many rates lie exactly at
their bound: at ``CONFIDENCE``, every other scorecard would have a failure by chance."""


def interval(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson (1934) for a success rate.

    It is exact: it misses the rate with a probability of at most ``1 - confidence``, whatever the rate. The number of
    trials must be fixed before the first is looked at.

    Raises:
        ConfigError: If the counts are no result of an experiment.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ConfigError(f"{successes} successes in {trials} trials is no result; play at least one trial")
    each = 1 - (1 - confidence) / 2
    return 1 - upper_rate(trials - successes, trials, confidence=each), upper_rate(successes, trials, confidence=each)


def membership_success(profile: Profile) -> float:
    """Return the largest probability of telling whether one unit was in, if it was with probability one half.

    ``(1 + TV) / 2``, where the total variation is the profile's delta at epsilon 0; ``Phi(mu / 2)`` for a Gaussian.
    """
    return (1 + advantage(profile)) / 2


def identification_success(profile: Profile, candidates: int) -> float:
    """Return the largest probability of picking one unit out of equally likely candidates.

    Without the unit the view says nothing of it, and the best guess is right once in ``candidates``; with it, no more
    often than a test of this false positive rate has power (Hayes, Mahloujifar and Balle 2023, arXiv:2302.07225,
    Theorem 2). ``Phi(Phi^-1(1 / candidates) + mu)`` for a Gaussian.

    Raises:
        ConfigError: If there is no candidate.
    """
    if candidates < 1:
        raise ConfigError(f"candidates is {candidates}; there is at least one")
    return tpr_at_fpr(profile, 1 / candidates)
