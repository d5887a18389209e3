"""Numbers in and out of SEAL's objects, which TenSEAL reads and writes only as files or number by number.

On Linux the files are anonymous memory of this process and never on a disk, so masks and decrypted polynomials may pass
through them. Elsewhere such secrets are read number by number, some times slower, and what is public goes in through a
temporary file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

IN_MEMORY = hasattr(os, "memfd_create") and Path("/proc/self/fd").exists()
"""Whether files can be anonymous memory, and whole arrays be read at once."""

_HEADER = 16
"""Bytes that SEAL writes before what it compressed."""

_ZSTD = 2
"""What SEAL's header says of its usual compression."""


def put(kind: Any, context: Any, content: bytes) -> Any:
    """Return an object of SEAL's, loaded from public bytes that this process has framed."""
    loaded = kind()
    with _file() as path:
        path.write_bytes(content)
        loaded.load(context, str(path))
    return loaded


def numbers(array: Any) -> npt.NDArray[np.uint64]:
    """Return the numbers of one of SEAL's arrays."""
    return _at_once(array) if IN_MEMORY else one_by_one(array)


def one_by_one(array: Any) -> npt.NDArray[np.uint64]:
    """Return the numbers of one of SEAL's arrays, read through its Python interface."""
    return np.fromiter(map(array.at, range(array.size())), dtype=np.uint64, count=array.size())


def version() -> tuple[int, int]:
    """Return the version of SEAL's format."""
    from tenseal import sealapi

    with _file() as path:
        sealapi.Plaintext(1).save(str(path))
        header = path.read_bytes()[:_HEADER]
    return header[3], header[4]


def _at_once(array: Any) -> npt.NDArray[np.uint64]:
    size = 8 * array.size()
    with _file() as path:
        array.save(str(path))
        content = path.read_bytes()
    if content[5] != _ZSTD:
        return one_by_one(array)
    plain = zstandard.ZstdDecompressor().decompress(content[_HEADER:], max_output_size=size + 8)
    return np.frombuffer(plain, dtype="<u8", offset=8).astype(np.uint64)


@contextmanager
def _file() -> Iterator[Path]:
    """Give the path of an empty file that is gone afterwards; in memory where that can be."""
    if IN_MEMORY:
        descriptor = os.memfd_create("securefed", os.MFD_CLOEXEC)
        try:
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory(prefix="securefed-") as folder:
            yield Path(folder) / "public"
