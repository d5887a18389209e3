"""Errors come through a process pool as they were raised."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from securefed.errors import BudgetExceeded, ChoiceError, DataError, ThresholdError, VerificationError

RAISED = (
    DataError("no image"),
    ChoiceError("adapter", "cache", ["cachefl", "flora"]),
    ThresholdError(survivors=3, threshold=5),
    BudgetExceeded(spent=3.5, asked=4.5, budget=4.0, delta=1e-5),
    VerificationError("it differs", where="ledger.jsonl:3"),
)


def raise_it(number):
    raise RAISED[number]


def test_they_say_and_carry_the_same_in_another_process():
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        for number, error in enumerate(RAISED):
            with pytest.raises(type(error)) as caught:
                pool.submit(raise_it, number).result()

            assert str(caught.value) == str(error)
            assert {name: vars(caught.value)[name] for name in vars(error)} == vars(error)
