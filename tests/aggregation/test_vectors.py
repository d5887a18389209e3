"""The wire never changes, and an implementation that shares no code with ours reads it.

Everything below the imports is written from docs/wire-format.md: HKDF by hmac, masks by AES on counter blocks, frames
by a general CBOR reader, sums by Python's integers.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import cbor2
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.session import Session
from securefed.aggregation.verification import verify_transcript
from securefed.aggregation.wire import Kind
from securefed.errors import ProtocolError
from tests.aggregation.reference import agreed, hkdf, interpolated, label, mask, public
from tools.make_wire_vectors import PATH, _rig, build

VECTORS = json.loads(Path(PATH).read_text(encoding="utf-8"))
NAMES = VECTORS["parameters"]["cohort"]
BITS, DIM = VECTORS["parameters"]["bits"], VECTORS["parameters"]["dim"]
KINDS = {"advertise": 2, "share": 4, "mask": 6, "agree": 8, "reveal": 10}


def message(phase: str, client: str, direction: str) -> list:
    """The envelope of a message: sender, receiver, context, payload, signature."""
    (frame,) = (
        bytes.fromhex(each["frame"])
        for each in VECTORS["messages"]
        if (each["phase"], each["client"], each["direction"]) == (phase, client, direction)
    )
    kind = KINDS[phase] + (direction == "answer")
    magic, version, found, length = struct.unpack_from(">4sBBI", frame)
    assert (magic, version, found) == (b"SFED", 3, kind)
    assert not any(frame[10 + length :])
    return cbor2.loads(frame[10 : 10 + length])


def payload(phase: str, client: str, direction: str) -> list:
    return cbor2.loads(message(phase, client, direction)[3])


CONTEXT, DEAL = bytes.fromhex(VECTORS["context"]), bytes.fromhex(VECTORS["deal"])
SECRETS = {
    name: {what: bytes.fromhex(value) for what, value in secrets.items()}
    for name, secrets in VECTORS["secrets"].items()
}
MASKED = [name for name in NAMES if name != VECTORS["lost"][1]]


def test_the_same_coins_still_make_the_same_bytes():
    """A change here is a change of the wire: it needs a new version."""
    assert build() == VECTORS


def test_the_context_is_the_hash_of_the_plan_and_the_plan_is_the_parameters():
    plan = bytes.fromhex(VECTORS["plan_payload"])
    fields, context = cbor2.loads(plan), VECTORS["parameters"]["context"]

    assert hashlib.sha256(label("masked sum", plan)).digest() == CONTEXT
    assert payload("advertise", "ann", "request") == fields
    assert fields[:13] == [
        context["round"],
        context["attempt"],
        BITS,
        DIM,
        VECTORS["parameters"]["limit"],
        4,
        4,
        4,
        5,
        4,
        context["round"],
        context["attempt"],
        1,
    ]
    assert fields[13:15] == [b"vectors", bytes.fromhex(context["plan"])]
    assert fields[15:17] == [bytes.fromhex(context["model"]), bytes.fromhex(context["previous"])]
    assert fields[17:] == [bytes.fromhex(VECTORS["roster_root"]), b"\x1f"]


def test_the_deal_is_the_hash_of_the_plan_without_model_and_record():
    fields = cbor2.loads(bytes.fromhex(VECTORS["plan_payload"]))
    common = cbor2.dumps([*fields[:15], bytes(32), bytes(32), *fields[17:]], canonical=True)

    assert hashlib.sha256(label("deal", common)).digest() == DEAL


def test_the_roster_root_is_the_hash_of_names_and_keys():
    keys = {
        name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)).public_key().public_bytes_raw()
        for name, key in VECTORS["private_keys"].items()
    }
    content = cbor2.dumps([keys["server"], *([name, keys[name]] for name in NAMES)], canonical=True)

    assert hashlib.sha256(b"securefed/1/roster\0" + content).hexdigest() == VECTORS["roster_root"]


def test_every_message_is_signed_as_documented():
    for each in VECTORS["messages"]:
        sender, receiver, context, content, signature = message(each["phase"], each["client"], each["direction"])
        kind = Kind(KINDS[each["phase"]] + (each["direction"] == "answer"))
        name = "server" if sender == 5 else NAMES[sender]
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["private_keys"][name])).public_key()
        bound = DEAL if kind in (Kind.ADVERT, Kind.KEYS, Kind.SHARES, Kind.INBOX) else CONTEXT
        statement = label(f"message {kind.name}", bound, sender, receiver) + blake3(content).digest()
        assert context == bound
        assert {sender, receiver} == {5, NAMES.index(each["client"])}
        key.verify(signature, statement)


def test_keys_are_derived_as_documented():
    for pair, key in VECTORS["pairwise_mask_keys"].items():
        one, other = pair.split()
        secret = agreed(SECRETS[one]["mask_key"], public(SECRETS[other]["mask_key"]))
        info = label("pairwise mask", CONTEXT, NAMES.index(one), NAMES.index(other))
        assert hkdf(secret, info).hex() == key
    for name, key in VECTORS["self_mask_keys"].items():
        info = label("self mask", CONTEXT, NAMES.index(name))
        assert hkdf(SECRETS[name]["self_mask"], info).hex() == key
    for pair, key in VECTORS["box_keys"].items():
        owner, holder = pair.split(" to ")
        secret = agreed(SECRETS[owner]["box_key"], public(SECRETS[holder]["box_key"]))
        assert hkdf(secret, label("box", DEAL, NAMES.index(owner), NAMES.index(holder))).hex() == key


def test_adverts_hold_public_keys_and_a_commitment():
    for place, name in enumerate(NAMES):
        (record,) = payload("advertise", name, "answer")
        secrets = SECRETS[name]
        commitment = hashlib.sha256(label("self mask commitment", DEAL, place, 0) + secrets["self_mask"]).digest()
        assert record == public(secrets["box_key"]) + public(secrets["mask_key"]) + commitment


def opened_shares() -> dict[tuple[str, str], tuple[int, int]]:
    """By owner and holder: the shares of self mask and mask key that every box holds."""
    shares = {}
    for owner in NAMES:
        (records,) = payload("share", owner, "answer")
        for place, holder in enumerate(NAMES):
            record = records[144 * place : 144 * place + 144]
            key = bytes.fromhex(VECTORS["box_keys"][f"{owner} to {holder}"])
            content = AESGCM(key).decrypt(bytes(12), record[64:], record[:64])
            for at, what in ((0, "self mask"), (32, "mask key")):
                info = label(f"share of {what}", DEAL, NAMES.index(owner), place, 0)
                assert hashlib.sha256(info + content[at : at + 32]).digest() == record[at : at + 32]
            shares[owner, holder] = tuple(int.from_bytes(content[at : at + 32], "little") for at in (0, 32))
    return shares


def test_boxes_hold_committed_shares_of_both_secrets():
    shares = opened_shares()
    for owner in NAMES:
        for which, secret in enumerate(("self_mask", "mask_key")):
            found = interpolated({place + 1: shares[owner, holder][which] for place, holder in enumerate(NAMES[:4])})
            assert found.to_bytes(32, "little") == SECRETS[owner][secret]


def test_masked_vectors_are_vectors_ones_and_masks():
    modulus = 2**BITS
    checks = -(-64 // BITS)
    for place, name in enumerate(NAMES):
        if name not in MASKED:
            continue
        words = [*VECTORS["vectors"][name], *([1] * checks)]
        own = mask(bytes.fromhex(VECTORS["self_mask_keys"][name]), len(words))
        words = [word + added for word, added in zip(words, own, strict=True)]
        for peer in NAMES:
            if peer != name:
                key = VECTORS["pairwise_mask_keys"][" ".join(sorted((name, peer)))]
                sign = 1 if place < NAMES.index(peer) else -1
                shared = mask(bytes.fromhex(key), len(words))
                words = [word + sign * added for word, added in zip(words, shared, strict=True)]
        packed = sum(word % modulus << BITS * at for at, word in enumerate(words)).to_bytes(
            -(-len(words) * BITS // 8), "little"
        )
        assert payload("mask", name, "answer") == [packed]


def test_revealed_shares_give_the_total():
    """What the server does, from the wire alone, by other means."""
    checks, modulus = -(-64 // BITS), 2**BITS
    length = DIM + checks
    total = [0] * length
    for name in MASKED:
        number = int.from_bytes(payload("mask", name, "answer")[0], "little")
        total = [value + (number >> BITS * at) % modulus for at, value in enumerate(total)]
    revealed = {name: payload("reveal", name, "answer")[0] for name in MASKED}
    for at, owner in enumerate(NAMES):
        shares = {
            NAMES.index(h) + 1: int.from_bytes(data[32 * at : 32 * at + 32], "little") for h, data in revealed.items()
        }
        secret = interpolated(shares).to_bytes(32, "little")
        if owner in MASKED:
            own = mask(hkdf(secret, label("self mask", CONTEXT, at)), length)
            total = [value - taken for value, taken in zip(total, own, strict=True)]
            continue
        for peer in MASKED:
            (advert,) = payload("advertise", peer, "answer")
            places = sorted((at, NAMES.index(peer)))
            shared = mask(hkdf(agreed(secret, advert[32:64]), label("pairwise mask", CONTEXT, *places)), length)
            sign = 1 if NAMES.index(peer) < at else -1
            total = [value - sign * taken for value, taken in zip(total, shared, strict=True)]
    total = [value % modulus for value in total]

    assert total[:DIM] == VECTORS["total"] == [sum(VECTORS["vectors"][n][at] for n in MASKED) for at in range(DIM)]
    assert total[DIM:] == [len(MASKED)] * checks


@pytest.fixture(scope="module")
def rig() -> Rig:
    return _rig({name: bytes.fromhex(key) for name, key in VECTORS["private_keys"].items()})


def test_the_transcript_verifies(rig):
    verified = verify_transcript(VECTORS["transcript"], rig.members.roster)

    assert list(verified.survivors) == VECTORS["survivors"]
    words = b"".join(value.to_bytes(8, "little") for value in VECTORS["total"])
    assert verified.total == hashlib.sha256(words).digest()


def test_every_forged_message_is_refused_for_its_reason(rig):
    session = Session(rig.parameters, rig.members.roster)
    for forged in VECTORS["forged"]:
        with pytest.raises(ProtocolError) as caught:
            session.read(
                Kind[forged["kind"]],
                bytes.fromhex(forged["frame"]),
                sender=forged["sender"],
                receiver=forged["receiver"],
            )
        assert type(caught.value).__name__ == forged["refusal"], forged["change"]


def test_known_answers_of_the_parts():
    parts = VECTORS["primitives"]
    assert parts["mask"]["words_32_bits"] == mask(bytes(range(32)), 6)
    for each in parts["packing"]:
        number = sum(value << each["bits"] * at for at, value in enumerate(each["values"]))
        assert number.to_bytes(-(-len(each["values"]) * each["bits"] // 8), "little").hex() == each["bytes"]
    assert parts["bitmap"]["bytes"] == (1 | 1 << 2 | 1 << 11).to_bytes(2, "little").hex()
    values = [int.from_bytes(bytes.fromhex(share), "little") for share in parts["shamir"]["shares"]]
    assert interpolated({1: values[0], 3: values[2]}) == interpolated({2: values[1], 3: values[2]}) == 5
    graph = parts["graph"]
    stream = mask(hkdf(bytes(range(32)), label("graph", b"")), len(graph["members"]), width=8)
    circle = [member for _, member in sorted(zip(stream, graph["members"], strict=True))]
    for seat, place in enumerate(circle):
        around = [circle[(seat + step) % len(circle)] for step in range(-2, 3)]
        assert graph["holders"][str(place)] == sorted(around)
    assert graph["witnesses"] == sorted(circle[:3])
