"""Several records at once belong to one root, or they do not."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.merkle import leaf, levels, proof_limit, prove, root_of
from securefed.errors import ProtocolError


def reference_root(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 9162, section 2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + reference_root(leaves[:split]) + reference_root(leaves[split:])).digest()


@st.composite
def openings(draw):
    count = draw(st.integers(1, 40))
    places = draw(st.lists(st.integers(0, count - 1), min_size=1, unique=True).map(sorted))
    return [leaf(bytes([place])) for place in range(count)], places


@settings(max_examples=200, deadline=None)
@given(case=openings())
def test_a_proof_gives_the_root(case):
    leaves, places = case
    tree = levels(leaves)
    proof = prove(tree, places)

    assert tree[-1] == [reference_root(leaves)]
    assert root_of({place: leaves[place] for place in places}, count=len(leaves), proof=proof) == tree[-1][0]
    assert len(proof) <= proof_limit(len(places), len(leaves))


@settings(max_examples=100, deadline=None)
@given(case=openings(), data=st.data())
def test_another_record_place_or_node_gives_another_root(case, data):
    leaves, places = case
    tree = levels(leaves)
    known, proof = {place: leaves[place] for place in places}, prove(tree, places)
    changed = data.draw(st.sampled_from(places))
    forged = root_of(known | {changed: leaf(b"forged")}, count=len(leaves), proof=proof)

    assert forged != tree[-1][0]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bent = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
        assert root_of(known, count=len(leaves), proof=bent) != tree[-1][0]


@pytest.mark.parametrize(
    "change", [lambda proof: proof[:-32], lambda proof: proof + bytes(32), lambda proof: proof[1:]]
)
def test_a_proof_of_another_length_is_refused(change):
    leaves = [leaf(bytes([place])) for place in range(9)]
    proof = change(prove(levels(leaves), [2, 5]))

    with pytest.raises(ProtocolError, match="proof"):
        root_of({2: leaves[2], 5: leaves[5]}, count=9, proof=proof)


def test_a_leaf_is_no_inner_node():
    assert leaf(leaf(b"a") + leaf(b"b")) != levels([leaf(b"a"), leaf(b"b")])[-1][0]
