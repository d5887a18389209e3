"""Every private figure of a report, computed again from the raw lines of the ledgers with none of our code.

The arithmetic here is that of the Gaussian mechanism (Balle and Wang 2018), on SciPy alone: JSON in, numbers out.
"""

import json
import math

import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr
from scipy.stats import norm

from securefed.reports.report import RunRecord, build


def charges(folder, client):
    """Return the raw charges of one client: every line but the first, which is the header, and the signature."""
    lines = (folder / "ledger" / f"{client}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[1:-1]]


def mu_of(entries, *, colluders):
    """One Gaussian mechanism that all charges amount to: the noise of the honest shares against the sensitivity.

    The rounding of a share to integers costs ``r = 2`` of its variance (see docs/guarantees.md).
    """
    total = 0.0
    for entry in entries:
        event = entry["event"]
        honest = event["shares"] - event["max_dropouts"] - (event["max_colluders"] if colluders else 0)
        total += event["sensitivity"] ** 2 / (honest * event["share_stddev"] ** 2 - 4)
    return math.sqrt(total)


def delta_at(mu, epsilon):
    return norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu))


def epsilon_at(mu, delta):
    return brentq(lambda epsilon: delta_at(mu, epsilon) - delta, 0, 50, xtol=1e-13)


def tpr_at(mu, fpr):
    return norm.cdf(norm.ppf(fpr) + mu)


@pytest.fixture(scope="module")
def report(_finished):
    return build(RunRecord.read(_finished))


def test_epsilon_in_both_views(finished, report):
    entries, delta = charges(finished, "client-0"), report["delta"]

    assert report["epsilon"] == pytest.approx(epsilon_at(mu_of(entries, colluders=True), delta), rel=1e-8)
    assert report["epsilon_server_view"] == pytest.approx(epsilon_at(mu_of(entries, colluders=False), delta), rel=1e-8)


def test_epsilon_at_three_deltas(finished, report):
    mu = mu_of(charges(finished, "client-0"), colluders=True)
    shown = report["bounds"]["epsilon_at"]

    assert [float(delta) for delta in shown] == pytest.approx([1e-3, 1e-4, 1e-6])
    for delta, epsilon in shown.items():
        assert epsilon == pytest.approx(epsilon_at(mu, float(delta)), rel=1e-8)


def test_mu_advantage_rates_and_the_whole_curve(finished, report):
    mu, found = mu_of(charges(finished, "client-0"), colluders=True), report["bounds"]

    assert found["mu"] == pytest.approx(mu, rel=1e-9)
    assert found["advantage"] == pytest.approx(2 * norm.cdf(mu / 2) - 1, rel=1e-9)
    assert len(found["delta_curve"]) > 30
    for epsilon, delta in found["delta_curve"]:
        assert delta == pytest.approx(delta_at(mu, epsilon), rel=1e-6, abs=1e-15)
    for fpr, tpr in found["tpr_at_fpr"].items():
        assert tpr_at(mu, float(fpr)) <= tpr * (1 + 1e-9) < 1.02 * tpr_at(mu, float(fpr))


def test_spend_of_every_round_and_what_was_left_after_it(finished, report):
    entries, spend = charges(finished, "client-0"), report["spend"]
    expected = [
        epsilon_at(mu_of([e for e in entries if e["round"] <= number], colluders=True), report["delta"])
        for number in (1, 2, 3)
    ]

    assert spend["before_this_run"] == 0
    assert spend["per_round"] == pytest.approx(expected, rel=1e-8)
    assert spend["total_by_round"] == pytest.approx(expected, rel=1e-8)
    assert spend["left_by_round"] == pytest.approx([2.0 - value for value in expected], abs=1e-7)


def test_spend_of_every_client(finished, report):
    for name, shown in report["spend"]["per_client"].items():
        header = json.loads((finished / "ledger" / f"{name}.jsonl").read_text().splitlines()[0])
        epsilon = epsilon_at(mu_of(charges(finished, name), colluders=True), report["delta"])

        assert shown["epsilon"] == pytest.approx(epsilon, rel=1e-8)
        assert shown["budget"] == header["budget_epsilon"]
        assert shown["left"] == pytest.approx(max(header["budget_epsilon"] - epsilon, 0), abs=1e-7)
        assert (shown["charges"], shown["runs"]) == (3, 1)


def test_dropouts_survivors_and_bytes(finished, report):
    transcripts = [(finished / "transcript" / f"000{i}.jsonl").read_text().splitlines() for i in (1, 2, 3)]
    senders = [
        [entry["client"] for entry in map(json.loads, lines) if entry.get("message") == "MASKED" and "client" in entry]
        for lines in transcripts
    ]
    messages = [json.loads(line) for line in (finished / "messages.jsonl").read_text().splitlines()]
    up = sum(message["bytes"] for message in messages if message["direction"] == "answer")

    assert report["secure_sum"]["survivors_by_round"] == senders
    assert report["secure_sum"]["dropped_by_round"] == [["client-0"], ["client-1"], ["client-2"]]
    assert report["secure_sum"]["bytes_up_per_client_and_round"] == pytest.approx(up / 12)


def test_every_figure_of_the_page_is_one_of_the_reports(finished, report):
    """The headline, where a wrong number would do most harm."""
    html = (finished / "report.html").read_text()

    for value in (report["epsilon"], report["epsilon_server_view"]):
        assert f"<dd>ε = {value:.4f}<small>" in html
    for value in (report["bounds"]["mu"], report["bounds"]["advantage"], report["accuracy"]):
        assert f"<dd>{value:.4f}<small>" in html
