"""A preview shows what each kind of sum costs this plan, and who sees what."""

from __future__ import annotations

import numpy as np
import pytest

from securefed.aggregation import encryption
from securefed.aggregation.parameters import Context, Parameters
from securefed.errors import ConfigError
from securefed.reports.preview import preview
from securefed.rounds import NOBODY, sum_of
from tests import toys
from tests.aggregation.cohorts import Run

KINDS = ("plain", "mask", "bfv", "ckks")


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_shown_are_those_that_a_client_sends(kind):
    plan = toys.plan(secure=kind)
    public = Parameters(
        bits=plan.bits,
        dim=plan.dim,
        cohort=plan.cohort,
        threshold=plan.threshold,
        context=Context(task="test", round=0, model=bytes(32), plan=bytes(32)),
        limit=plan.encoding.largest_sum,
    )
    sums = sum_of(plan, public, members=None, decryptor=None, owners=NOBODY)
    run = Run(sums, dict.fromkeys(plan.cohort, np.ones(plan.dim, dtype=np.uint64)))
    run.total()
    sent = sum(len(data) for _, name, way, data in run.messages if (name, way) == (plan.cohort[0], "answer"))
    assert preview(plan)[f"bytes_sent_by_a_client_{kind}"] == sent


def test_every_kind_is_shown_whatever_the_plan_uses():
    shown = preview(toys.plan(secure="mask"))
    assert shown["seen_under_plain"] == "server: every client's update"
    assert all(f"bytes_sent_by_a_client_{kind}" in shown and f"seen_under_{kind}" in shown for kind in KINDS)


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_a_plan_without_a_secure_encryption_that_fits_is_refused_when_it_is_made(scheme, monkeypatch):
    """A stricter table of 128-bit security leaves no parameters: other kinds of sum still can be planned."""
    monkeypatch.setattr(encryption, "SECURE_BITS", {2048: 30, 4096: 40})
    with pytest.raises(ConfigError, match="128 bits of security"):
        toys.plan(secure=scheme)
    shown = preview(toys.plan(secure="mask"))
    assert "128 bits of security" in shown[f"bytes_sent_by_a_client_{scheme}"]
