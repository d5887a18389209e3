"""The primitives are the standards' own: published vectors, and what our labels add."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from securefed.aggregation import masks
from securefed.aggregation.identity import Identity, is_signed
from securefed.aggregation.keys import agree, derive, is_usable, label, load, payload_hash, public_key, seal, unseal
from securefed.aggregation.masks import CHUNK, LONG, add_mask, subtract_mask
from securefed.aggregation.refusals import BadBox, Malformed
from securefed.rng import seeded

CONTEXT = bytes(32)

BLAKE3 = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
}
"""The hashes in the designers' test vectors, by length of the input 0, 1, .., 250, 0, 1, .."""


@pytest.mark.parametrize(("length", "expected"), BLAKE3.items())
def test_the_hash_of_payloads_is_blake3(length, expected):
    content = bytes(at % 251 for at in range(length))
    pieces = payload_hash()
    for at in range(0, length, 100):
        pieces.update(content[at : at + 100])

    assert payload_hash(content).hexdigest() == pieces.hexdigest() == expected


def test_x25519_is_that_of_rfc_7748_section_5_2():
    scalar = point = (9).to_bytes(32, "little")
    results = []
    for _ in range(1000):
        scalar, point = agree(load(scalar), point), scalar
        results.append(scalar.hex())

    assert results[0] == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    assert results[999] == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def test_hkdf_is_that_of_rfc_5869_appendix_a_3():
    okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"

    assert derive(b"\x0b" * 22, b"").hex() == okm


def test_masks_are_aes_256_in_counter_mode_from_block_two():
    """Under the zero key, block 2 is the ciphertext of case 14 of the GCM specification."""
    words = np.zeros(12, dtype="<u4")
    add_mask(words, bytes(32))

    assert words.tobytes().hex() == (
        "cea7403d4d606b6e074ec5d3baf39d18726003ca37a62a74d1a2f58e7506358edd4ab1284d4ae17b41e85924470c36f7"
    )


def test_boxes_are_aes_256_gcm():
    """Cases 13 and 14 of the GCM specification: zero key, zero nonce, no associated data."""
    assert seal(bytes(32), b"", b"").hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    assert seal(bytes(32), bytes(16), b"").hex() == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"


def test_signatures_are_those_of_rfc_8032_section_7_1():
    private = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signature = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    identity = Identity("test 1", private)

    assert identity.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert identity.sign(b"").hex() == signature
    assert is_signed(identity.public, b"", bytes.fromhex(signature))
    assert not is_signed(identity.public, b"x", bytes.fromhex(signature))
    assert not is_signed(identity.public, b"", bytes.fromhex(signature)[:-1])
    assert not is_signed(b"short", b"", bytes.fromhex(signature))


@pytest.mark.parametrize(
    "point",
    [
        bytes(32),
        (1).to_bytes(32, "little"),
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        b"short",
    ],
)
def test_points_of_small_order_are_refused(point):
    assert not is_usable(point)
    with pytest.raises(Malformed):
        agree(load(seeded(0).bytes(32)), point)


def test_both_ends_agree():
    one, other = seeded(1).bytes(32), seeded(2).bytes(32)

    assert agree(load(one), public_key(other)) == agree(load(other), public_key(one))
    assert is_usable(public_key(one))


def test_labels_part_every_use():
    """Name, context and places cannot be shifted into one another."""
    uses = itertools.product(
        ("box", "pairwise mask", "self mask"), (CONTEXT, b"\1" * 32), ((), (0,), (0, 1), (1, 0), (256,))
    )
    labels = [label(name, context, *places) for name, context, places in uses]

    assert len(set(labels)) == len(labels)
    assert len({derive(bytes(32), each) for each in labels}) == len(labels)


@pytest.mark.parametrize("at", [0, 20, 40, 63])
def test_a_changed_box_does_not_open(at):
    key = seeded(3).bytes(32)
    box = seal(key, bytes(48), b"meant for you")
    changed = box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]

    assert unseal(key, box, b"meant for you") == bytes(48)
    for wrong in ((key, changed, b"meant for you"), (key, box, b"meant for me"), (bytes(32), box, b"meant for you")):
        with pytest.raises(BadBox):
            unseal(*wrong)


@pytest.mark.parametrize("dtype", ["<u1", "<u2", "<u4", "<u8"])
@pytest.mark.parametrize("size", [1, 1000, CHUNK, CHUNK + 1, 2 * CHUNK + 17])
def test_a_mask_is_one_stream_whatever_the_pieces(dtype, size):
    """Long vectors are masked in pieces: the pieces must continue the stream, not repeat it."""
    key = seeded(4).bytes(32)
    words = np.zeros(size, dtype=dtype)
    add_mask(words, key)

    assert words.tobytes() == Cipher(AES(key), CTR((2).to_bytes(16, "big"))).encryptor().update(bytes(words.nbytes))
    subtract_mask(words, key)
    assert not words.any()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("plus", "minus"), [(0, 0), (1, 0), (0, 1), (4, 3)])
@pytest.mark.parametrize("size", [1, CHUNK // 4, LONG // 2 + 17])
def test_masks_that_threads_share_are_those_of_one_after_the_other(threads, plus, minus, size, monkeypatch):
    monkeypatch.setattr(masks, "THREADS", threads)
    monkeypatch.setattr(masks, "WORTH", 0)
    keys = [seeded(6, place).bytes(32) for place in range(plus + minus)]
    words = np.arange(size, dtype="<u4")
    masks.Masks(added=keys[:plus], subtracted=keys[plus:]).apply(words)
    monkeypatch.setattr(masks, "WORTH", 1 << 60)
    for key in keys[:plus]:
        subtract_mask(words, key)
    for key in keys[plus:]:
        add_mask(words, key)

    assert np.array_equal(words, np.arange(size))


@pytest.mark.parametrize(("count", "size"), [(31, CHUNK), (32, LONG)])
def test_pieces_are_long_only_where_threads_share_the_masks(count, size):
    pieces = masks.Masks(added=[bytes(32)] * count).pieces(LONG, 4)

    assert {piece.stop - piece.start for piece in pieces} == {size // 4}
    assert (pieces[0].start, pieces[-1].stop) == (0, LONG)


def test_few_or_short_masks_start_no_thread(monkeypatch):
    """A small sum has other work for its processors."""
    monkeypatch.setattr(masks.ThreadPoolExecutor, "submit", lambda *_: pytest.fail("a thread was started"))
    masks.Masks(added=[bytes(32)] * 31).apply(np.zeros(CHUNK // 4, dtype="<u4"))
    masks.Masks(added=[bytes(32)] * 200).apply(np.zeros(CHUNK // 32, dtype="<u4"))
    if masks.THREADS > 1:
        with pytest.raises(pytest.fail.Exception, match="was started"):
            masks.Masks(added=[bytes(32)] * 32).apply(np.zeros(CHUNK // 4, dtype="<u4"))


def linear_complexity(bits: list[int]) -> int:
    """The length of the shortest linear feedback register that makes a sequence (Berlekamp and Massey)."""
    current, previous, length, since = 1, 1, 0, 1
    for at in range(len(bits)):
        window = sum(bits[at - back] << back for back in range(length + 1))
        if (current & window).bit_count() % 2 == 0:
            since += 1
            continue
        kept, current = current, current ^ (previous << since)
        if 2 * length <= at:
            length, previous, since = at + 1 - length, kept, 0
        since += 1
    return length


def test_the_low_bits_of_a_mask_have_no_short_linear_recurrence():
    """A weak generator (Mersenne Twister, LFSR, LCG) has a complexity far below half the length."""
    words = np.zeros(2000, dtype="<u4")
    add_mask(words, seeded(5).bytes(32))
    register = [1, 0, 0, 1, 0]
    for _ in range(1995):
        register.append(register[-5] ^ register[-3])

    assert abs(linear_complexity([int(word) & 1 for word in words]) - 1000) <= 15
    assert linear_complexity(register) == 5
