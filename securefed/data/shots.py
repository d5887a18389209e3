"""Few-shot partitions: at most so many records of each class with each client."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from securefed.data.world import Labels
from securefed.errors import ConfigError, DataError
from securefed.rng import Source

Parts: TypeAlias = tuple[Labels, ...]


def few_shot(labels: Labels, clients: int, *, shots: int, rng: Source) -> Parts:
    """Give each client exactly ``shots`` records of each class, no record to two clients; the rest stay unused.

    Args:
        labels: Of the records, shape ``(n,)``.
        clients: At least one.
        shots: Records of each class with each client.
        rng: Of the choice.

    Raises:
        ConfigError: If ``shots`` is below one.
        DataError: If a class has fewer than ``clients * shots`` records.
    """
    drawn = [own[: clients * shots].reshape(clients, shots) for own in _classes(labels, clients * shots, shots, rng)]
    return _sorted(np.concatenate(drawn, axis=1))


def few_shot_overlapping(labels: Labels, clients: int, *, shots: int, rng: Source) -> Parts:
    """Let each client draw ``shots`` records of each class by itself, so that some lie with several clients.

    This is what FLoRA's code does (Nguyen et al. 2024, arXiv:2404.15182). A record that several clients hold moves the
    sum of their updates several times: what protects one record of one client does not protect it (:func:`copies`).

    Args:
        labels: As in :func:`few_shot`.
        clients: Likewise.
        shots: Likewise.
        rng: Likewise.

    Raises:
        ConfigError: If ``shots`` is below one.
        DataError: If a class has fewer than ``shots`` records.
    """
    random = rng.generator()
    classes = _classes(labels, shots, shots, rng)
    draws = [[random.permutation(own)[:shots] for own in classes] for _ in range(clients)]
    return _sorted([np.concatenate(drawn) for drawn in draws])


def at_most(parts: Parts, labels: Labels, *, shots: int, rng: Source) -> Parts:
    """Keep at most ``shots`` records of each class with each client.

    Args:
        parts: Positions of each client's records.
        labels: Of all records, shape ``(n,)``.
        shots: Largest number that is kept.
        rng: Of the choice.

    Raises:
        ConfigError: If ``shots`` is below one.
    """
    _check(shots)
    random = rng.generator()

    def kept(part: Labels) -> Labels:
        mixed = random.permutation(part)
        return np.concatenate([mixed[labels[mixed] == label][:shots] for label in np.unique(labels[mixed])])

    return _sorted([kept(part) for part in parts])


def copies(parts: Parts) -> int:
    """Return with how many clients the most widely spread record lies; 1 unless parts overlap."""
    return int(np.bincount(np.concatenate(parts)).max())


def _classes(labels: Labels, needed: int, shots: int, rng: Source) -> list[Labels]:
    """Return the shuffled positions of each class's records."""
    _check(shots)
    random = rng.generator()
    classes = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    for label, own in zip(np.unique(labels), classes, strict=True):
        if len(own) < needed:
            raise DataError(
                f"class {label} has {len(own)} records; {needed} are needed for {shots} shots with each client. Use "
                "fewer shots or clients, or cap another partition, as in 'iid+few-shot:16'"
            )
    return classes


def _check(shots: int) -> None:
    if shots < 1:
        raise ConfigError(f"few-shot is {shots}; each client needs at least one record of a class")


def _sorted(parts: list[Labels] | Labels) -> Parts:
    return tuple(np.sort(part).astype(np.int64) for part in parts)
