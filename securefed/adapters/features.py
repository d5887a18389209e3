"""Features of any number of pictures: decoded on demand, streamed through the model, encoded once.

In memory are the features themselves (4 bytes a number: 205 MB for 100,000 vectors of 512; twice that while new ones go
to a cache) and two batches of pictures, never the data set.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import final

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from securefed.adapters.clip import Clip
from securefed.adapters.feature_cache import FeatureCache, Features, Shelf
from securefed.adapters.pictures import Picture, Pictures, Rows
from securefed.adapters.transform import Pixels
from securefed.errors import DataError

WORKERS = min(os.cpu_count() or 1, 16)
"""Threads that decode and scale pictures while the model works."""


def encode(
    model: Clip, images: Pixels | Pictures, *, cache: FeatureCache | None = None, console: Console | None = None
) -> Tensor:
    """Return unit features, float32, shape ``(n, dim)``: bit for bit what :meth:`Clip.encode_images` returns.

    Args:
        model: Frozen.
        images: An array as :meth:`Clip.encode_images` takes it, or pictures that are read one by one.
        cache: Where features are kept. What was encoded before an interruption or a bad picture is kept too.
        console: Shows a progress bar.

    Raises:
        ConfigError: If the cache cannot be written.
        DataError: If a picture cannot be used; the message names it.
    """
    pictures: Pictures = Rows(images) if isinstance(images, np.ndarray) else images
    shelf = None if cache is None else cache.shelf(function_of(model), model.dim)
    batch = _Batch(model, np.empty((len(pictures), model.dim), np.float32), shelf)
    try:
        with _bar(console, len(pictures)) as advance:
            for position, arrival in enumerate(_arrivals(model, pictures, shelf)):
                batch.put(position, arrival)
                advance()
            batch.flush()
    finally:
        if shelf is not None:
            shelf.save()
    return torch.from_numpy(batch.features)


def function_of(model: Clip) -> dict[str, object]:
    """Return everything that a picture's features depend on beside its content."""
    layers = hashlib.sha256(repr(model.model.visual).encode()).hexdigest()
    return {
        "weights": model.digest,
        "layers": layers,  # the same weights with another activation are another model
        "transform": model.transform.describe(),
        "placement": model.placement.describe(),
        **versions(),
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of the libraries that decode, fit and encode: reading them takes as long as a small batch."""
    return {name: importlib.metadata.version(name) for name in ("open_clip_torch", "pillow", "torch")}


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Arrival:
    """A picture that is ready: either its features are known, or it is fitted to the model.

    Attributes:
        content: Empty if nothing is kept.
        features: Shape ``(dim,)``, from the cache.
        pixels: Shape ``(*size, 3)``.
    """

    content: bytes = b""
    features: Features | None = None
    pixels: Pixels | None = None


def _arrivals(model: Clip, pictures: Pictures, shelf: Shelf | None) -> Iterator[_Arrival]:
    """Yield all pictures in order; one batch is decoded by threads while the one before it is used."""

    def arrive(indices: range) -> list[_Arrival | DataError]:
        return list(_arrive_until(pictures, indices, model, shelf))

    step = model.placement.batch
    share = -(-step // WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        ready: Iterator[list[_Arrival | DataError]] = iter(())
        for start in range(0, len(pictures), step):
            batch = range(len(pictures))[start : start + step]
            ahead = pool.map(arrive, [batch[at : at + share] for at in range(0, len(batch), share)])
            yield from _unwrapped(ready)
            ready = ahead
        yield from _unwrapped(ready)


def _arrive_until(
    pictures: Pictures, indices: range, model: Clip, shelf: Shelf | None
) -> Iterator[_Arrival | DataError]:
    """Yield some pictures; if one cannot be used, what is wrong with it, and none after it."""
    try:
        for index in indices:
            yield _arrive(pictures[index], model, shelf)
    except DataError as error:
        yield error


def _unwrapped(parts: Iterable[list[_Arrival | DataError]]) -> Iterator[_Arrival]:
    for part in parts:
        for arrival in part:
            if isinstance(arrival, DataError):
                raise arrival
            yield arrival


def _arrive(picture: Picture, model: Clip, shelf: Shelf | None) -> _Arrival:
    content = b""
    if shelf is not None:
        content = picture.content
        if (known := shelf.find(content)) is not None:
            return _Arrival(features=known)
    pixels = picture.decode()
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape or pixels.dtype != np.uint8:
        raise DataError(
            f"{picture.name} has shape {pixels.shape} and type {pixels.dtype}; RGB of type uint8 is encoded"
        )
    try:
        return _Arrival(content=content, pixels=model.transform.fit(pixels))
    except DataError as error:
        raise DataError(f"{picture.name}: {error}") from error


@final
@dataclass(slots=True, eq=False)
class _Batch:
    """Pictures that wait until there are enough of them to be encoded.

    Attributes:
        model: Encodes.
        features: Of all pictures, shape ``(n, dim)``; filled in as they are encoded.
        shelf: Is told of new features.
        waiting: Positions and pictures.
    """

    model: Clip
    features: Features
    shelf: Shelf | None
    waiting: list[tuple[int, _Arrival]] = field(default_factory=list)

    def put(self, position: int, arrival: _Arrival) -> None:
        """Take the next picture."""
        if arrival.features is not None:
            self.features[position] = arrival.features
            return
        self.waiting.append((position, arrival))
        if len(self.waiting) == self.model.placement.batch:
            self.flush()

    def flush(self) -> None:
        """Encode what waits."""
        if not self.waiting:
            return
        fitted = np.stack([arrival.pixels for _, arrival in self.waiting if arrival.pixels is not None])
        encoded = self.model.encode_fitted(fitted).numpy()
        self.features[[position for position, _ in self.waiting]] = encoded
        if self.shelf is not None:
            self.shelf.put([arrival.content for _, arrival in self.waiting], encoded)
        self.waiting.clear()


@contextmanager
def _bar(console: Console | None, total: int) -> Iterator[Callable[[], None]]:
    """Yield what is called once a picture."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=console is None) as progress:
        task = progress.add_task("encoding images", total=total)
        yield lambda: progress.advance(task)
