"""Partitions: every record with exactly one client, no client without one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.data import datasets, partition, shots
from securefed.errors import ChoiceError, ConfigError, DataError
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


SHOTS = ("pathological:2", "few-shot:3", "few-shot-overlapping:3", "iid+few-shot:3", "domain+dirichlet:0.5+few-shot:2")


@pytest.mark.parametrize("spec", [*SPECS, *SHOTS])
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


@pytest.mark.parametrize("spec", [*SPECS, *SHOTS])
@pytest.mark.parametrize("clients", [1, 0, -3])
def test_fewer_than_two_clients_are_refused(spec, clients):
    with pytest.raises(DataError, match=f"{clients} clients cannot be federated; at least two"):
        partition.partition(spec, images(50), clients, rng=seeded(0))


@pytest.mark.parametrize("spec", [*SPECS, *SHOTS])
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
    "spec", ["", "IID", "iid:0.5", "domain:2", "dirichlet", "dirichlet:", "dirichlet:x", "domains"]
)
@pytest.mark.parametrize("cap", ["", "+few-shot:2"])
def test_an_unknown_text_is_refused_with_what_is_allowed(spec, cap):
    with pytest.raises(ConfigError, match="dirichlet:ALPHA"):
        partition.partition(spec + cap, images(50), 5, rng=seeded(0))


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [
        ("dirichelt:0.5", "dirichlet:ALPHA"),
        ("dirichlet", "dirichlet:ALPHA"),
        ("domian", "domain"),
        ("domain-dirichlet:0.5", "domain+dirichlet:ALPHA"),
        ("idd+few-shot:2", "iid"),
        ("few_shot:16", "few-shot:SHOTS"),
    ],
)
def test_a_mistyped_text_is_told_the_nearest(spec, nearest):
    with pytest.raises(ChoiceError) as caught:
        partition.partition(spec, images(50), 5, rng=seeded(0))

    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    "spec", ["domain+iid", "iid+few-shot:x", "few-shot", "few-shot:1.5", "few-shot:-1", "pathological:"]
)
def test_another_unknown_text_is_refused_likewise(spec):
    with pytest.raises(ConfigError, match="dirichlet:ALPHA"):
        partition.partition(spec, images(50), 5, rng=seeded(0))


@given(
    clients=st.integers(2, 12),
    classes=st.integers(1, 10),
    each=st.integers(1, 10),
    extra=st.integers(0, 30),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_pathological_clients_hold_so_many_classes_and_every_record_lies_with_one(clients, classes, each, extra, seed):
    labels = np.concatenate([np.arange(clients * classes) % classes, np.zeros(extra, np.int64)])
    if each > classes or each * clients < classes:
        with pytest.raises(DataError, match=f"cannot hold all of them; use {-(-classes // clients)} to {classes}"):
            partition.pathological(labels, clients, classes=each, rng=seeded(seed))
        return
    parts = partition.pathological(labels, clients, classes=each, rng=seeded(seed))
    assert [len(np.unique(labels[part])) for part in parts] == [each] * clients
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    holders = [sum(label in labels[part] for part in parts) for label in range(classes)]
    assert max(holders) - min(holders) <= 1


def test_pathological_blocks_are_disjoint_where_classes_are_enough():
    data = images(100, classes=10)
    parts = partition.partition("pathological:2", data, 5, rng=seeded(0))
    assert sorted(label for part in parts for label in np.unique(data.labels[part])) == list(range(10))


def test_a_class_with_fewer_records_than_holders_is_refused():
    with pytest.raises(DataError, match="3 clients share a class of 1 records"):
        partition.pathological(np.array([0, 1, 1, 1]), 3, classes=2, rng=seeded(0))


@pytest.mark.parametrize("spec", ["few-shot:3", "few-shot-overlapping:3"])
def test_few_shot_clients_hold_exactly_so_many_records_of_each_class(spec):
    data = images(100, classes=4)
    for part in partition.partition(spec, data, 5, rng=seeded(0)):
        assert np.bincount(data.labels[part]).tolist() == [3] * 4
        assert len(np.unique(part)) == len(part)


def test_few_shot_records_lie_with_one_client_unless_overlapping_was_asked_for():
    data = images(100, classes=4)
    apart, overlapping = (
        partition.partition(f"{kind}:5", data, 5, rng=seeded(0)) for kind in ("few-shot", "few-shot-overlapping")
    )
    assert shots.copies(apart) == 1
    assert shots.copies(overlapping) > 1


def test_overlapping_draws_are_uniform_and_independent_of_one_another():
    """Each of 10 records is drawn by each of 4 clients with probability 3 / 10; two clients share 0.9 on average."""
    drawn, shared = np.zeros(10), 0
    for seed in range(2000):
        parts = shots.few_shot_overlapping(np.zeros(10, np.int64), 4, shots=3, rng=seeded(seed))
        drawn += np.bincount(np.concatenate(parts), minlength=10)
        shared += len(set(parts[0]) & set(parts[1]))
    hypergeometric = 3 * 0.3 * 0.7 * 7 / 9
    assert abs(shared / 2000 - 0.9) < 5 * np.sqrt(hypergeometric / 2000)
    share = drawn / (4 * 2000)
    assert (np.abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 8000)).all()


@pytest.mark.parametrize("base", ["iid", "dirichlet:0.1", "pathological:2", "domain", "domain+dirichlet:0.5"])
def test_a_cap_keeps_a_part_of_what_each_client_had(base):
    data = images(200, domains=2)
    whole = partition.partition(base, data, 4, rng=seeded(0))
    capped = partition.partition(f"{base}+few-shot:4", data, 4, rng=seeded(0))
    for all_of_it, part in zip(whole, capped, strict=True):
        had = np.bincount(data.labels[all_of_it], minlength=3)
        assert set(part) <= set(all_of_it)
        assert np.array_equal(np.bincount(data.labels[part], minlength=3), np.minimum(had, 4))


def test_few_shot_needs_enough_records_of_every_class():
    with pytest.raises(DataError, match=r"class 0 has 10 records; 12 are needed for 3 shots .* 'iid\+few-shot:16'"):
        shots.few_shot(np.repeat([0, 1], [10, 30]), 4, shots=3, rng=seeded(0))


@pytest.mark.parametrize("spec", ["few-shot:0", "few-shot-overlapping:0", "iid+few-shot:0"])
def test_no_shots_are_refused(spec):
    with pytest.raises(ConfigError, match="few-shot is 0; each client needs at least one"):
        partition.partition(spec, images(50), 5, rng=seeded(0))
