"""One round of SecAgg+ from Flower's primitives: keys, shares, masks, and what its server takes off again.

The order of work is that of Flower's SecAgg+ workflow with everybody as everybody's neighbour and nobody leaving;
messages are handed over in memory, so nothing is counted for a network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import dequantize, quantize
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_concat,
    share_keys_plaintext_separate,
)
from flwr.supercore.primitives.asymmetric import generate_key_pairs, private_key_to_bytes

TARGET, MODULUS = 1 << 22, 1 << 32
"""Flower's own defaults: levels of quantisation, and the modulus of masks and sums."""

Reals = npt.NDArray[np.float64]


@final
@dataclass(slots=True)
class Client:
    """One client's keys and what it holds of others."""

    mask_pair: tuple[Any, Any] = field(default_factory=generate_key_pairs)
    box_pair: tuple[Any, Any] = field(default_factory=generate_key_pairs)
    seed: bytes = field(default_factory=lambda: os.urandom(32))
    seed_shares: dict[int, bytes] = field(default_factory=dict)


def summed(vectors: Sequence[Reals], *, threshold: int, bound: float) -> Reals:
    """Return the sum of the vectors, each clipped to ``bound`` in every coordinate and quantised."""
    clients = [Client() for _ in vectors]
    _share(clients, threshold)
    masked = [_masked(clients, own, vector, bound) for own, vector in enumerate(vectors)]
    total = masked[0]
    for other in masked[1:]:
        total = parameters_addition(total, other)
    for own in range(len(clients)):
        seed = combine_shares([client.seed_shares[own] for client in clients[:threshold]])
        total = parameters_subtraction(total, pseudo_rand_gen(seed, MODULUS, [vectors[0].shape]))
    levels = parameters_mod(total, MODULUS)[0]
    # The levels of a sum of n begin at n times the lowest.
    lowest = dequantize([np.zeros(1, dtype=np.int64)], bound, TARGET)[0]
    return np.asarray(dequantize([levels], bound, TARGET)[0] + (len(clients) - 1) * lowest, dtype=np.float64)


def _share(clients: Sequence[Client], threshold: int) -> None:
    """Share every client's seed and mask key, sealed to each holder, and open them there."""
    for own, client in enumerate(clients):
        seeds = create_shares(client.seed, threshold, len(clients))
        keys = create_shares(private_key_to_bytes(client.mask_pair[0]), threshold, len(clients))
        for other, holder in enumerate(clients):
            plain = share_keys_plaintext_concat(own, other, seeds[other], keys[other])
            box = encrypt(generate_shared_key(client.box_pair[0], holder.box_pair[1]), plain)
            opened = decrypt(generate_shared_key(holder.box_pair[0], client.box_pair[1]), box)
            holder.seed_shares[own] = share_keys_plaintext_separate(opened)[2]


def _masked(clients: Sequence[Client], own: int, vector: Reals, bound: float) -> list[Any]:
    masked = quantize([vector], bound, TARGET)
    masked = parameters_addition(masked, pseudo_rand_gen(clients[own].seed, MODULUS, [vector.shape]))
    for other, peer in enumerate(clients):
        if other != own:
            key = generate_shared_key(clients[own].mask_pair[0], peer.mask_pair[1])
            mask = pseudo_rand_gen(key, MODULUS, [vector.shape])
            masked = (parameters_addition if own > other else parameters_subtraction)(masked, mask)
    return list(parameters_mod(masked, MODULUS))
