"""What one client of a masked sum works, against the floor and against Flower's SecAgg+.

Work: one million coordinates in a ring of 32 bits, 10 neighbours, and a complete graph of 100 clients. Ours is the
whole MASKED answer (open and check the neighbours' sealed shares, add every mask, pack, hash, sign, frame) and the key
agreements that the masks come from. The floor takes the same vector into 32-bit words and adds one AES-256-CTR
keystream for each mask, and nothing else. Flower's is the same step of its SecAgg+ client by its own primitives: open
the shares, load and agree on keys, add masks, reduce, serialise (its step signs and hashes nothing). Quantisation is
left out on both sides. Interleaved, seconds of the processor, of all threads: ours adds 100 masks by two.

Ours makes the same keystream by AES-GCM, whose code in OpenSSL is faster than that of counter mode on processors with
wide AES instructions. So there are two floors: ``floor`` by counter mode, the plain way to such masks, and
``fastest_floor`` by the same GCM as ours. What ours works beyond the latter is told apart: ``hash``, the BLAKE3 of the
packed vector alone, which our signature needs, and ``agreements``, the X25519 and HKDF of all neighbours.
``over_all_needed`` is ours over the faster floor with both added: what a signed message of that vector cannot do
without. ``sha256`` is what another hash of the same vector would take.
"""

from __future__ import annotations

import copy
import hashlib
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM
from flwr.common import ndarray_to_bytes
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

from benchmarks.floors import keystreams
from benchmarks.timing import interleaved, ratio
from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.derivations import pair_mask_key
from securefed.aggregation.identity import is_signed
from securefed.aggregation.keys import agree, load, payload_hash
from securefed.aggregation.packing import packed_size

NAME = "client-0"


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    dim = 100_000 if quick else 1_000_000
    few, many = _case(11, dim, repetitions=3 if quick else 31), _case(100, dim, repetitions=2 if quick else 7)
    return {
        "dim": dim,
        "bits": 32,
        "ratio_to_floor": few["ratio_to_floor"],
        "speedup_over_flower": few["speedup_over_flower"],
        "bytes_per_parameter": {str(bits): _bytes(dim, bits) for bits in (16, 20, 32)},
        "neighbours_10": few,
        "complete_graph_of_100": many,
    }


def _case(clients: int, dim: int, *, repetitions: int) -> dict[str, object]:
    vector = np.arange(dim, dtype=np.uint64)
    rig = Rig(clients, vectors=_Same(vector), dim=dim)
    rig.run_until("share")
    keys = _private_keys(rig)
    request = rig.run_until("mask")[NAME]
    client, state = rig.clients[NAME], rig.mind(NAME)
    hand = copy.copy(state.hand)
    adverts = [advert.mask_keys[0] for place, advert in rig.state.dealt.adverts.items() if place]

    def agreements() -> None:
        private = load(keys)
        for peer, public in enumerate(adverts, start=1):
            pair_mask_key(rig.session, 0, peer, agree(private, public))

    def ours() -> bytes:
        is_signed.cache_clear()
        agreements()
        client._state = replace(state, hand=copy.copy(hand))
        return client.answer(request)

    packed = bytes(4 * dim)
    work: dict[str, Callable[[], object]] = {
        "ours": ours,
        "floor": lambda: keystreams(clients, vector, CTR(bytes(16))),
        "fastest_floor": lambda: keystreams(clients, vector, GCM(bytes(12))),
        "flower": _flower(clients, dim),
        "hash": lambda: payload_hash(packed).digest(),
        "sha256": lambda: hashlib.sha256(packed).digest(),
        "agreements": agreements,
    }
    seconds = interleaved(work, repetitions=repetitions)
    return {
        "milliseconds": {name: 1000 * statistics.median(times) for name, times in seconds.items()},
        "least_milliseconds": {name: 1000 * min(times) for name, times in seconds.items()},
        "ratio_to_floor": ratio(seconds["ours"], seconds["floor"])["ratio"],
        "ratio_to_floor_spread": ratio(seconds["ours"], seconds["floor"]),
        "ratio_to_fastest_floor": ratio(seconds["ours"], seconds["fastest_floor"]),
        "over_all_needed": ratio(seconds["ours"], _added(seconds, "fastest_floor", "hash", "agreements")),
        "speedup_over_flower": ratio(seconds["flower"], seconds["ours"])["ratio"],
        "speedup_over_flower_spread": ratio(seconds["flower"], seconds["ours"]),
        "answer_bytes_per_parameter": len(ours()) / dim,
    }


def _added(seconds: Mapping[str, list[float]], *names: str) -> list[float]:
    """Return the sums of what was measured in the same repetitions."""
    return [sum(parts) for parts in zip(*(seconds[name] for name in names), strict=True)]


class _Same(dict[str, np.ndarray]):
    """The same vector for every client."""

    def __init__(self, vector: np.ndarray) -> None:
        super().__init__({"": vector})

    def __missing__(self, name: str) -> np.ndarray:
        return self[""]


def _private_keys(rig: Rig) -> bytes:
    key: bytes = rig.mind(NAME).secrets.mask_keys[0]
    return key


def _flower(clients: int, dim: int) -> Callable[[], object]:
    """Return the work of Flower's client between opened shares and the upload."""
    private, _ = generate_key_pairs()
    publics = [generate_key_pairs()[1] for _ in range(clients - 1)]
    boxes = [(key := generate_shared_key(private, public), encrypt(key, bytes(200))) for public in publics]
    own, peers = private_key_to_bytes(private), [public_key_to_bytes(public) for public in publics]
    quantised = [np.arange(dim, dtype=np.int32)]

    def work() -> bytes:
        for key, box in boxes:
            decrypt(key, box)
        masked = parameters_addition(quantised, pseudo_rand_gen(bytes(range(32)), 1 << 32, [(dim,)]))
        for peer, public in enumerate(peers):
            key = generate_shared_key(bytes_to_private_key(own), bytes_to_public_key(public))
            mask = pseudo_rand_gen(key, 1 << 32, [(dim,)])
            masked = (parameters_addition if peer % 2 else parameters_subtraction)(masked, mask)
        return ndarray_to_bytes(parameters_mod(masked, 1 << 32)[0])

    return work


def _bytes(dim: int, bits: int) -> float:
    return packed_size(dim, bits) / dim
