"""What nobody can avoid: keystreams and additions, key agreements, signatures."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM

from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.keys import agree, load, public_key
from securefed.rng import secure

CHUNK = 1 << 17


def keystreams(masks: int, vector: np.ndarray, mode: CTR | GCM) -> None:
    """One keystream and one addition for each mask, piece by piece, so that all of it stays in the cache."""
    total = vector.astype(np.uint32)
    zeros, buffer = bytes(CHUNK), bytearray(CHUNK)
    words, step = np.frombuffer(buffer, dtype=np.uint32), CHUNK // 4
    streams = [Cipher(AES(n.to_bytes(32, "little")), mode).encryptor().update_into for n in range(masks)]
    for start in range(0, len(total), step):
        part = total[start : start + step]
        mask = words[: len(part)]
        for stream in streams:
            stream(zeros, buffer)
            np.add(part, mask, out=part)


def exchange_seconds() -> float:
    """Return the mean of a key agreement."""
    private, public = load(secure().bytes(32)), public_key(secure().bytes(32))
    return _each(partial(agree, private, public))


def signature_seconds() -> float:
    """Return the mean of signing and verifying."""
    identity = Federation.throwaway((), rng=secure()).server
    signature = identity.sign(b"")
    check = is_signed.__wrapped__
    return (_each(partial(identity.sign, b"")) + _each(partial(check, identity.public, b"", signature))) / 2


def _each(work: Callable[[], object], times: int = 2000) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times
