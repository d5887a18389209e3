"""Packed vectors waste no bit and have one encoding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.packing import pack, packed_size, to_ring, unpack, word
from securefed.errors import ProtocolError
from securefed.rng import seeded


def reference_pack(values: list[int], bits: int) -> bytes:
    """One big integer, written little-endian."""
    return sum(v << (i * bits) for i, v in enumerate(values)).to_bytes(packed_size(len(values), bits), "little")


@settings(max_examples=150, deadline=None)
@given(bits=st.integers(2, 64), dim=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_packing_is_one_big_little_endian_integer(bits, dim, seed):
    vector = seeded(seed).uint64(dim) & np.uint64(2**bits - 1)
    packed = pack(vector, bits)

    assert packed == reference_pack(vector.tolist(), bits)
    assert (to_ring(unpack(packed, dim=dim, bits=bits), bits) == vector).all()


@pytest.mark.parametrize(("bits", "size"), [(20, 2_500_000), (32, 4_000_000), (2, 250_000), (64, 8_000_000)])
def test_no_bit_is_wasted(bits, size):
    assert packed_size(1_000_000, bits) == size


def test_words_above_the_ring_are_reduced():
    assert pack(np.array([0xFF, 0x11], dtype=word(4)), 4) == b"\x1f"


@pytest.mark.parametrize("bits", [3, 20, 33])
def test_bits_after_the_last_coordinate_are_refused(bits):
    packed = bytearray(pack(np.zeros(5, dtype=np.uint64), bits))
    packed[-1] |= 0x80

    with pytest.raises(ProtocolError, match="after its last"):
        unpack(bytes(packed), dim=5, bits=bits)


@pytest.mark.parametrize("change", [-1, 1])
def test_another_length_is_refused(change):
    with pytest.raises(ProtocolError, match="bytes"):
        unpack(bytes(packed_size(5, 20) + change), dim=5, bits=20)
