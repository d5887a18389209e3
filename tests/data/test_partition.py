"""Partitions: every record with exactly one client, no client without one."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.data import datasets, partition
from securefed.errors import ConfigError, DataError
from securefed.rng import seeded

SPECS = ("iid", "dirichlet:0.5", "dirichlet:0.001", "domain", "domain+dirichlet:0.5")


def images(records, domains=1, classes=3):
    i = np.arange(records)
    return datasets.Images(
        pixels=np.zeros((records, 1, 1, 3), np.uint8),
        labels=i % classes,
        domains=i % domains,
        class_names=tuple("abcdefghij"[:classes]),
        domain_names=tuple("pqrstuvw"[:domains]),
    )


@pytest.mark.parametrize("spec", SPECS)
@given(
    clients=st.integers(2, 12),
    extra=st.integers(0, 60),
    domains=st.integers(1, 6),
    classes=st.integers(1, 10),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_every_record_lies_with_exactly_one_client_and_every_client_has_one(
    spec, *, clients, extra, domains, classes, seed
):
    data = images(clients * domains + extra, domains, classes)
    parts = partition.partition(spec, data, clients, rng=seeded(seed))
    assert len(parts) == clients
    assert all(len(part) > 0 and part.dtype == np.int64 for part in parts)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(data)))


@pytest.mark.parametrize("spec", SPECS)
def test_parts_repeat_with_the_seed_and_differ_without_it(spec):
    data = images(400, domains=4)
    first, again, other = (partition.partition(spec, data, 8, rng=seeded(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_iid_shares_are_equal_to_within_one_record():
    sizes = [len(part) for part in partition.iid(np.zeros(103, np.int64), 10, rng=seeded(0))]
    assert max(sizes) - min(sizes) == 1


def skew(labels, parts):
    """Return the mean over clients of the largest class share."""
    return np.mean([np.bincount(labels[part]).max() / len(part) for part in parts])


def test_a_smaller_alpha_makes_clients_more_one_sided():
    labels = np.arange(4000) % 10
    mean = {
        alpha: np.mean([skew(labels, partition.dirichlet(labels, 8, alpha=alpha, rng=seeded(s))) for s in range(20)])
        for alpha in (0.05, 0.5, 100.0)
    }
    assert mean[0.05] > 0.5 > mean[0.5] > 0.2 > mean[100.0] > 0.1


def test_dirichlet_shares_of_a_class_have_the_mean_and_variance_of_their_law():
    """A symmetric Dirichlet share has mean 1 / k and variance (k - 1) / (k^2 (k alpha + 1))."""
    labels, clients, alpha = np.zeros(1000, np.int64), 4, 0.5
    shares = np.array(
        [[len(p) / 1000 for p in partition.dirichlet(labels, clients, alpha=alpha, rng=seeded(s))] for s in range(1500)]
    )
    expected = (clients - 1) / (clients**2 * (clients * alpha + 1))
    assert np.abs(shares.mean(axis=0) - 1 / clients).max() < 0.03
    assert np.abs(shares.var(axis=0) / expected - 1).max() < 0.15


@pytest.mark.parametrize("spec", ["domain", "domain+dirichlet:0.5"])
def test_eight_clients_over_four_domains_are_two_a_domain(spec):
    data = images(800, domains=4)
    parts = partition.partition(spec, data, 8, rng=seeded(0))
    assert [set(data.domains[part]) for part in parts] == [{0}, {0}, {1}, {1}, {2}, {2}, {3}, {3}]


def test_clients_of_one_domain_share_it_equally_or_by_dirichlet():
    data = images(800, domains=4)
    equal = partition.by_domain(data.domains, 8, rng=seeded(0))
    assert {len(part) for part in equal} == {100}
    skewed = partition.by_domain_dirichlet(data.domains, data.labels, 8, alpha=0.5, rng=seeded(0))
    assert skew(data.labels, skewed) > skew(data.labels, equal) + 0.1


def test_with_fewer_clients_than_domains_each_has_whole_domains():
    data = images(120, domains=6)
    parts = partition.by_domain(data.domains, 4, rng=seeded(0))
    held = [set(data.domains[part]) for part in parts]
    assert sum(len(own) for own in held) == 6
    assert set().union(*held) == set(range(6))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("clients", [1, 0, -3])
def test_fewer_than_two_clients_are_refused(spec, clients):
    with pytest.raises(DataError, match=f"{clients} clients cannot be federated; at least two"):
        partition.partition(spec, images(50), clients, rng=seeded(0))


@pytest.mark.parametrize("spec", SPECS)
def test_more_clients_than_records_are_refused(spec):
    with pytest.raises(DataError, match="51 clients share 50 records; each needs at least one"):
        partition.partition(spec, images(50), 51, rng=seeded(0))


@pytest.mark.parametrize("spec", ["domain", "domain+dirichlet:0.5"])
def test_a_domain_with_fewer_records_than_clients_is_refused(spec):
    data = datasets.Images(
        np.zeros((20, 1, 1, 3), np.uint8), np.zeros(20, np.int64), np.arange(20) // 19, ("a",), ("p", "q")
    )
    with pytest.raises(DataError, match="2 clients share a domain of 1 records"):
        partition.partition(spec, data, 4, rng=seeded(0))


@pytest.mark.parametrize("alpha", ["0", "-1", "inf", "nan"])
@pytest.mark.parametrize("kind", ["dirichlet", "domain+dirichlet"])
def test_an_alpha_that_is_no_positive_number_is_refused(kind, alpha):
    with pytest.raises(ConfigError, match=r"one above 0, such as 0\.5"):
        partition.partition(f"{kind}:{alpha}", images(50), 5, rng=seeded(0))


@pytest.mark.parametrize(
    "spec", ["", "IID", "iid:0.5", "domain:2", "dirichlet", "dirichlet:", "dirichlet:x", "domains", "domain+iid"]
)
def test_an_unknown_text_is_refused_with_what_is_allowed(spec):
    with pytest.raises(ConfigError, match=re.escape(partition.ALLOWED)):
        partition.partition(spec, images(50), 5, rng=seeded(0))
