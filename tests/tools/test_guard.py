"""What the guard counts does what its name says, and growth does not pass."""

import json

import numpy as np
import pytest

from tools import guard
from tools.kernels import KERNELS


@pytest.mark.parametrize("name", [name for name in KERNELS if name != "whole_sum"])
def test_every_kernel_can_be_repeated(name):
    work = KERNELS[name]()
    first, second = work(), work()

    assert np.array_equal(first, second)


def test_every_kernel_has_a_count_on_record():
    kept = json.loads(guard.RECORD.read_text(encoding="utf-8"))

    assert set(kept["instructions"]) == set(KERNELS)
    assert set(kept["versions"]) == set(guard.versions())


def test_a_kernel_that_grew_is_named_and_one_that_fell_is_not():
    kept = {"mask": 1000, "noise": 1000, "clip": 1000}

    assert guard.judge({"mask": 1051, "noise": 1049, "clip": 10}, kept) == ["mask"]
    assert guard.judge({"new": 1}, kept) == ["new"]
