"""Lower bounds on privacy from experiments: what an attacker achieved, against what is claimed.

An audit can refute a claim, never prove one. Each bound here holds with a stated confidence; an audit that finds more
than is claimed has found a bug. Audits of this kind find noise that is halved, not noise that is a tenth too small:
for that, look at the noise itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError
from securefed.privacy.gdp import bisect, gaussian_epsilon

Scores = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """How often somebody who guessed membership was wrong.

    Attributes:
        false_positives: Guesses "in" that were wrong.
        negatives: Cases that were out.
        false_negatives: Guesses "out" that were wrong.
        positives: Cases that were in.
    """

    false_positives: int
    negatives: int
    false_negatives: int
    positives: int

    def __post_init__(self) -> None:
        """Refuse counts that no experiment gives."""
        if not (0 <= self.false_positives <= self.negatives and 0 <= self.false_negatives <= self.positives):
            raise ConfigError(f"{self} counts more errors than cases")

    def rates(self, confidence: float) -> tuple[float, float]:
        """Return upper bounds on both error rates that hold together with this confidence."""
        each = 1 - (1 - confidence) / 2
        return (
            upper_rate(self.false_positives, self.negatives, confidence=each),
            upper_rate(self.false_negatives, self.positives, confidence=each),
        )

    def epsilon(self, *, delta: float, confidence: float = 0.95) -> float:
        """Return a lower bound on epsilon: ``TPR <= e^eps FPR + delta``, and the same with the roles changed."""
        false_positive, false_negative = self.rates(confidence)
        ratios = [
            (1 - false_negative - delta) / false_positive,
            (1 - false_positive - delta) / false_negative,
        ]
        return max(math.log(max(ratio, 1.0)) for ratio in ratios)

    def mu(self, *, confidence: float = 0.95) -> float:
        """Return a lower bound on ``mu``, if the mechanism is Gaussian (Nasr et al. 2023, arXiv:2302.07956).

        It is much tighter than :meth:`epsilon`, because errors of middling size say something, too.
        """
        from scipy.special import ndtri

        false_positive, false_negative = self.rates(confidence)
        return max(0.0, float(ndtri(1 - false_positive) - ndtri(false_negative)))


def upper_rate(events: int, trials: int, *, confidence: float) -> float:
    """Return the upper bound of Clopper and Pearson (1934) on a rate of which ``events`` in ``trials`` were seen."""
    from scipy.special import betaincinv

    if events >= trials:
        return 1.0
    return float(betaincinv(events + 1, trials - events, confidence))


def paired(out: Scores, inside: Scores) -> Errors:
    """Return the errors of the best threshold, chosen on one half of the scores and counted on the other.

    Args:
        out: Scores of runs, or canaries, without the unit, shape ``(n,)``; higher means "in" is more likely.
        inside: Scores with it, shape ``(m,)``.

    Raises:
        ConfigError: If there are fewer than four of either.
    """
    if min(len(out), len(inside)) < 4:
        raise ConfigError(f"{len(out)} and {len(inside)} scores; an audit needs at least four of both")
    threshold = _best_threshold(out[::2], inside[::2])
    return Errors(
        false_positives=int((out[1::2] >= threshold).sum()),
        negatives=len(out[1::2]),
        false_negatives=int((inside[1::2] < threshold).sum()),
        positives=len(inside[1::2]),
    )


def _best_threshold(out: Scores, inside: Scores) -> float:
    """Return the threshold with the largest lower bound on ``mu`` on these scores."""
    candidates = np.quantile(np.concatenate([out, inside]), np.linspace(0.02, 0.98, 49))

    def bound(threshold: float) -> float:
        return Errors(
            false_positives=int((out >= threshold).sum()),
            negatives=len(out),
            false_negatives=int((inside < threshold).sum()),
            positives=len(inside),
        ).mu()

    return float(max(candidates, key=bound))


def epsilon_of_mu(mu: float, delta: float) -> float:
    """Return the epsilon that a Gaussian mechanism of this ``mu`` has."""
    return gaussian_epsilon(mu, delta) if mu else 0.0


def one_run_epsilon(*, canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95) -> float:
    """Return a lower bound on epsilon from one run with many canaries, each in by a coin of its own.

    Steinke, Nasr and Jagielski 2023 (arXiv:2305.08846), Theorem 5.2: with ``(eps, delta)``-DP, ``correct`` or more of
    ``guesses`` are right with a probability of at most that of a binomial of ``e^eps / (1 + e^eps)``, plus a term for
    delta. It makes no assumption on the mechanism.

    Args:
        canaries: How many coins were thrown.
        guesses: How many an attacker chose to guess.
        correct: How many guesses were right.
        delta: As in the claim.
        confidence: With which the bound holds.

    Raises:
        ConfigError: If the counts do not fit.
    """
    if not 0 <= correct <= guesses <= canaries:
        raise ConfigError(f"{correct} correct of {guesses} guesses on {canaries} canaries is no result")

    def refuted(epsilon: float) -> bool:
        return _chance(canaries, guesses, correct, epsilon, delta) <= 1 - confidence

    return bisect(refuted)[0] if refuted(0.0) else 0.0


def _chance(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Return a bound on the probability of that many correct guesses, if the claim holds."""
    from scipy.stats import binom

    rate = 1 / (1 + math.exp(-min(epsilon, 700.0)))
    tail = float(binom.sf(correct - 1, guesses, rate))
    steps = np.arange(1, correct + 1)
    slopes = np.cumsum(binom.pmf(correct - steps, guesses, rate)) / steps
    return tail + 2 * canaries * delta * float(slopes.max(initial=0.0))


def one_run_guesses(scores: Scores, inside: npt.NDArray[np.bool_], *, guesses: int) -> int:
    """Return how many guesses are right if the highest scores are called "in" and the lowest "out".

    Args:
        scores: One of each canary, shape ``(canaries,)``.
        inside: Which canaries were in, shape ``(canaries,)``.
        guesses: How many; the canaries in the middle are left alone.
    """
    order = np.argsort(scores)
    half = guesses // 2
    return int((~inside[order[:half]]).sum() + inside[order[len(order) - (guesses - half) :]].sum())
