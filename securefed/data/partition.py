"""How the records of a data set are parted among clients.

Every partition gives each client at least one record, and each record to exactly one client; only few-shot ones
(:mod:`securefed.data.shots`) leave records out or, if they overlap, give them to several. Clients are numbered from
zero; the arrays that are returned hold positions of records, in ascending order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from securefed.data import shots
from securefed.data.images import Images
from securefed.data.shots import Parts
from securefed.data.world import Labels
from securefed.errors import ChoiceError, ConfigError, DataError
from securefed.rng import Source

FORMS = (
    "iid",
    "dirichlet:ALPHA",
    "pathological:CLASSES",
    "domain",
    "domain+dirichlet:ALPHA",
    "few-shot:SHOTS",
    "few-shot-overlapping:SHOTS",
)

ALLOWED = (
    f"{', '.join(map(repr, FORMS[:-1]))} or {FORMS[-1]!r}, with ALPHA above 0 such as 0.5 and whole numbers; "
    "'+few-shot:SHOTS' behind any of the first five keeps at most so many records of each class with each client"
)

_CAP = "+few-shot:"


def iid(labels: Labels, clients: int, *, rng: Source) -> Parts:
    """Part at random into equal shares (to within one record).

    Args:
        labels: Of the records, shape ``(n,)``; only their number matters.
        clients: At least two.
        rng: Of the shuffling.

    Raises:
        DataError: If there are fewer records than clients, or fewer than two clients.
    """
    _check(len(labels), clients)
    return _sorted(np.array_split(rng.generator().permutation(len(labels)), clients))


def dirichlet(labels: Labels, clients: int, *, alpha: float, rng: Source) -> Parts:
    """Part each class by shares drawn from a symmetric Dirichlet distribution (Hsu et al. 2019, arXiv:1909.06335).

    Args:
        labels: Of the records, shape ``(n,)``.
        clients: At least two.
        alpha: Small: each class lies with few clients. Large: like :func:`iid`.
        rng: Of the shares and the shuffling.

    Raises:
        ConfigError: If ``alpha`` is not positive and finite.
        DataError: If there are fewer records than clients, or fewer than two clients.
    """
    _check(len(labels), clients)
    _check_alpha(alpha)
    return _sorted(_by_shares(labels, np.arange(len(labels)), clients, alpha, rng.generator()))


def by_domain(domains: Labels, clients: int, *, rng: Source) -> Parts:
    """Give each client one domain; clients of one domain part it at random into equal shares.

    With fewer clients than domains, a client has several whole domains.

    Args:
        domains: Of the records, shape ``(n,)``.
        clients: At least two; as evenly many to each domain as possible, the first clients to the first domain.
        rng: Of the shuffling.

    Raises:
        DataError: If there are fewer than two clients, or a domain has fewer records than clients.
    """
    random = rng.generator()
    parts: list[Labels] = []
    for records, share in _domain_groups(domains, clients):
        parts += np.array_split(random.permutation(records), share)
    return _sorted(parts)


def by_domain_dirichlet(domains: Labels, labels: Labels, clients: int, *, alpha: float, rng: Source) -> Parts:
    """Give each client one domain; clients of one domain part its classes by Dirichlet shares.

    Args:
        domains: Of the records, shape ``(n,)``.
        labels: Of the records, shape ``(n,)``.
        clients: As in :func:`by_domain`.
        alpha: As in :func:`dirichlet`.
        rng: Of the shares and the shuffling.

    Raises:
        ConfigError: If ``alpha`` is not positive and finite.
        DataError: If there are fewer than two clients, or a domain has fewer records than clients.
    """
    _check_alpha(alpha)
    random = rng.generator()
    parts: list[Labels] = []
    for records, share in _domain_groups(domains, clients):
        parts += _by_shares(labels, records, share, alpha, random)
    return _sorted(parts)


def pathological(labels: Labels, clients: int, *, classes: int, rng: Source) -> Parts:
    """Give each client records of exactly so many classes; clients of one class part it into equal shares.

    Quantity-based label imbalance of Li et al. (2022, arXiv:2102.02079). Classes are dealt out like cards, so each is
    held equally often (to within one client); with ``clients * classes`` equal to their number, clients hold disjoint
    blocks.

    Args:
        labels: Of the records, shape ``(n,)``.
        clients: At least two.
        classes: Of each client.
        rng: Of the dealing and the shuffling.

    Raises:
        DataError: If there are fewer classes than that, some class would lie with nobody, or a class has fewer records
            than clients.
    """
    _check(len(labels), clients)
    random = rng.generator()
    present = random.permutation(np.unique(labels))
    if not 1 <= classes <= len(present) or classes * clients < len(present):
        raise DataError(
            f"{clients} clients with {classes} of {len(present)} classes each cannot hold all of them; "
            f"use {-(-len(present) // clients)} to {len(present)}"
        )
    parts: list[list[Labels]] = [[] for _ in range(clients)]
    for k, label in enumerate(present):
        holders = [i // classes for i in range(k, clients * classes, len(present))]
        own = random.permutation(np.flatnonzero(labels == label))
        if len(own) < len(holders):
            raise DataError(f"{len(holders)} clients share a class of {len(own)} records; use fewer clients or classes")
        for holder, share in zip(holders, np.array_split(own, len(holders)), strict=True):
            parts[holder].append(share)
    return _sorted([np.concatenate(part) for part in parts])


def partition(spec: str, images: Images, clients: int, *, rng: Source) -> Parts:
    """Part images as a short text says.

    Args:
        spec: ``iid``, ``dirichlet:0.5``, ``pathological:2``, ``domain`` or ``domain+dirichlet:0.5``, each with
            ``+few-shot:16`` behind it or not; or ``few-shot:16`` or ``few-shot-overlapping:16``.
        images: What is parted.
        clients: At least two.
        rng: Of everything random.

    Raises:
        ChoiceError: If the text is none of these.
        ConfigError: If the number in it is none.
        DataError: If the records cannot be parted so.
    """
    base, capped, cap = spec.rpartition(_CAP)
    if capped:
        parts = partition(base, images, clients, rng=rng)
        return shots.at_most(parts, images.labels, shots=_whole(cap), rng=rng)
    _check(len(images), clients)
    kind, colon, number = spec.partition(":")
    found = _numbered(kind, number, images, clients, rng) if colon else _plain(kind, images, clients, rng)
    if found is None:
        raise ChoiceError("partition", spec, FORMS)
    return found


def _plain(kind: str, images: Images, clients: int, rng: Source) -> Parts | None:
    match kind:
        case "iid":
            return iid(images.labels, clients, rng=rng)
        case "domain":
            return by_domain(images.domains, clients, rng=rng)
    return None


def _numbered(kind: str, number: str, images: Images, clients: int, rng: Source) -> Parts | None:
    labels, domains = images.labels, images.domains
    match kind:
        case "dirichlet":
            return dirichlet(labels, clients, alpha=_alpha(number), rng=rng)
        case "pathological":
            return pathological(labels, clients, classes=_whole(number), rng=rng)
        case "domain+dirichlet":
            return by_domain_dirichlet(domains, labels, clients, alpha=_alpha(number), rng=rng)
        case "few-shot":
            return shots.few_shot(labels, clients, shots=_whole(number), rng=rng)
        case "few-shot-overlapping":
            return shots.few_shot_overlapping(labels, clients, shots=_whole(number), rng=rng)
    return None


def _whole(number: str) -> int:
    if not number.isdecimal():
        raise ConfigError(f"{number!r} after the colon of a partition is no whole number; choose {ALLOWED}")
    return int(number)


def _alpha(number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise ConfigError(f"{number!r} after the colon of a partition is no number; choose {ALLOWED}") from None


def _check(records: int, clients: int) -> None:
    if clients < 2:
        raise DataError(f"{clients} clients cannot be federated; at least two are needed")
    if records < clients:
        raise DataError(f"{clients} clients share {records} records; each needs at least one. Use fewer clients")


def _check_alpha(alpha: float) -> None:
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ConfigError(f"alpha is {alpha}; a Dirichlet partition needs one above 0, such as 0.5")


def _domain_groups(domains: Labels, clients: int) -> Iterator[tuple[Labels, int]]:
    """Yield groups of records that lie in the same domains, and how many clients share each group."""
    _check(len(domains), clients)
    present = np.unique(domains)
    groups = min(len(present), clients)
    shares = [len(part) for part in np.array_split(np.arange(clients), groups)]
    for own, share in zip(np.array_split(present, groups), shares, strict=True):
        records = np.flatnonzero(np.isin(domains, own))
        if len(records) < share:
            raise DataError(f"{share} clients share a domain of {len(records)} records; use fewer clients")
        yield records, share


def _by_shares(
    labels: Labels, records: Labels, clients: int, alpha: float, random: np.random.Generator
) -> list[Labels]:
    """Part ``records`` class by class, by Dirichlet shares; nobody stays without a record."""
    parts: list[list[Labels]] = [[] for _ in range(clients)]
    for label in np.unique(labels[records]):
        own = random.permutation(records[labels[records] == label])
        cuts = np.rint(np.cumsum(random.dirichlet(np.full(clients, alpha)))[:-1] * len(own)).astype(np.int64)
        for part, piece in zip(parts, np.split(own, cuts), strict=True):
            part.append(piece)
    return _filled([np.concatenate(part) for part in parts], random)


def _filled(parts: list[Labels], random: np.random.Generator) -> list[Labels]:
    """Move single records from the largest part to parts that have none."""
    for i, part in enumerate(parts):
        if len(part) == 0:
            donor = max(range(len(parts)), key=lambda k: len(parts[k]))
            at = int(random.integers(len(parts[donor])))
            parts[i] = parts[donor][at : at + 1]
            parts[donor] = np.delete(parts[donor], at)
    return parts


def _sorted(parts: list[Labels]) -> Parts:
    return tuple(np.sort(part).astype(np.int64) for part in parts)
