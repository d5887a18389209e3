"""What the guard counts does what its name says, and growth does not pass."""

import json
import os
import shutil

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


@pytest.mark.parametrize("name", KERNELS)
def test_a_tenth_more_of_any_kernel_on_record_is_too_much_and_what_addresses_move_is_not(name):
    kept = json.loads(guard.RECORD.read_text(encoding="utf-8"))["instructions"]

    assert guard.judge({name: round(1.1 * kept[name])}, kept) == [name]
    assert guard.judge({name: round(1.02 * kept[name])}, kept) == []


KERNEL = """
import sys
work = {"kept": 20_000, "worse": 22_000}[sys.argv[1]]
for _ in range(int(sys.argv[2])):
    total = 0
    for number in range(work):
        total += number * number
"""


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
def test_the_guard_counts_a_tenth_more_work_as_a_tenth_more_and_fires(tmp_path, monkeypatch):
    (tmp_path / "kernel.py").write_text(KERNEL, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    kept, worse = (guard.count(name, "kernel") for name in ("kept", "worse"))

    assert worse / kept == pytest.approx(1.1, abs=0.02)
    assert guard.judge({"kernel": worse}, {"kernel": kept}) == ["kernel"]
    assert guard.judge({"kernel": kept}, {"kernel": kept}) == []
