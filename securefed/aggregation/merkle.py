"""Merkle trees: one digest over many records, and proofs for several of them at once.

Leaves and inner nodes are hashed with different prefixes; a node without a sibling moves up as it is (RFC 9162, section
2.1). A proof holds, level by level from the leaves and from left to right, the siblings that cannot be computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from securefed.aggregation.refusals import Malformed

HASH = 32
"""Bytes of a node."""


def leaf(record: bytes) -> bytes:
    """Return the leaf of a record."""
    return hashlib.sha256(b"\0" + record).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return every level of the tree, leaves first, root last."""
    tree = [list(leaves)]
    while len(tree[-1]) > 1:
        below = tree[-1]
        pairs = [_parent(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
        tree.append(pairs + below[len(below) - len(below) % 2 :])
    return tree


def prove(tree: Sequence[Sequence[bytes]], places: Sequence[int]) -> bytes:
    """Return the proof for the leaves at some places."""
    proof, known = [], dict.fromkeys(sorted(places))
    for level in tree[:-1]:
        count = len(level)
        proof += [level[other] for at in known if (other := at ^ 1) not in known and other < count]
        known = {at >> 1: None for at in known}
    return b"".join(proof)


def root_of(leaves: Mapping[int, bytes], *, count: int, proof: bytes) -> bytes:
    """Return the root of a tree of ``count`` leaves of which some are known.

    Args:
        leaves: The known leaves by place; at least one.
        count: How many leaves the tree has.
        proof: What :func:`prove` gave for these places.

    Raises:
        Malformed: If the proof has too many or too few nodes.
    """
    if len(proof) % HASH:
        raise Malformed(f"a proof of {len(proof)} bytes is not made of {HASH}-byte nodes")
    siblings = iter([proof[at : at + HASH] for at in range(0, len(proof), HASH)])
    known = dict(sorted(leaves.items()))
    try:
        while count > 1:
            known = _climb(known, count, siblings)
            count = (count + 1) // 2
    except StopIteration:
        raise Malformed("a proof has fewer nodes than it needs") from None
    if next(siblings, None) is not None:
        raise Malformed("a proof has more nodes than it needs")
    return known[0]


def proof_limit(known: int, count: int) -> int:
    """Return how many bytes a proof for at most ``known`` of at most ``count`` leaves takes; none if all are known."""
    nodes = 0
    if known >= count:
        return 0
    while count > 1:
        nodes += min(known, count // 2)
        count = (count + 1) // 2
    return nodes * HASH


def _climb(known: Mapping[int, bytes], count: int, siblings: Iterator[bytes]) -> dict[int, bytes]:
    """Return the known nodes of the level above; both levels are in the order of their places."""
    above: dict[int, bytes] = {}
    for at, node in known.items():
        if at % 2:
            if at >> 1 not in above:
                above[at >> 1] = _parent(next(siblings), node)
        elif at + 1 == count:
            above[at >> 1] = node
        else:
            above[at >> 1] = _parent(node, known.get(at + 1) or next(siblings))
    return above


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
