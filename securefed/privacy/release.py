"""The only door: nothing that depends on a record leaves a client except through :func:`release`.

What a client's messages may hold besides is fixed by their schemas (:mod:`securefed.aggregation.messages`): keys,
shares of keys, signatures and the names of public things. No count, no loss, no norm has a field there.
"""

from __future__ import annotations

from collections.abc import Callable

from securefed.encoding import Integers
from securefed.errors import ConfigError
from securefed.privacy.sampling import Batch, Indices
from securefed.privacy.shares import Shares
from securefed.rng import Source


def release(
    batch: Batch, query: Callable[[Indices], Integers], *, charge: Callable[[Shares], object], rng: Source
) -> Integers:
    """Answer one query about a batch, with the noise that the batch's own event is charged for.

    The order is what makes it safe. The charge is durable before a record is looked at; a refused charge raises here
    and nothing was computed. The noise is drawn for the very event that was charged, so that the accountant and the
    sampler cannot be told different things. A crash in between costs budget, never privacy.

    Args:
        batch: Which records, and what asking about them costs; good for one use.
        query: Called with the places of the batch's records; moves by at most the event's sensitivity between
            neighbours, in ring units.
        charge: Charges a ledger.
        rng: Where the noise comes from: :func:`securefed.rng.secure` in use.

    Returns:
        The noisy answer, int64, shape ``(dim,)``.

    Raises:
        BudgetExceeded: If the ledger refuses.
        ConfigError: If the batch was used before, or the answer does not have the event's length.
    """
    event = batch.event
    answer = query(batch.take(charge))
    if answer.shape != (event.dim,):
        raise ConfigError(f"the answer has shape {answer.shape}, what was charged is about {event.dim} coordinates")
    return answer + event.draw(rng=rng)
