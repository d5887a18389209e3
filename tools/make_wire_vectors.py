"""Write tests/vectors/masked_sum.json: one whole masked sum with fixed coins, its inner values, and forged messages.

    python -m tools.make_wire_vectors

Everything is hexadecimal or a number; an independent implementation can follow it from identities to total. The keys
are public from the moment that they are written here: never use them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from securefed.aggregation.audit.network import changes
from securefed.aggregation.audit.rig import ANSWERS, REQUESTS, Rig
from securefed.aggregation.derivations import box_key, pair_mask_key, self_mask_key
from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import SERVER, Federation, Identity, Roster
from securefed.aggregation.keys import agree, load
from securefed.aggregation.masks import add_mask
from securefed.aggregation.members import Members
from securefed.aggregation.merkle import leaf, levels, prove
from securefed.aggregation.packing import pack
from securefed.aggregation.parameters import Context, Parameters
from securefed.aggregation.shamir import split
from securefed.aggregation.topology import Topology
from securefed.errors import ProtocolError
from securefed.rng import seeded

PATH = Path(__file__).parents[1] / "tests" / "vectors" / "masked_sum.json"
NAMES, LOST = ("ann", "bob", "cyd", "dan", "eve"), ("mask", "dan")


def build() -> dict[str, Any]:
    """Return the content of the file."""
    private = {name: seeded(1, name).bytes(32) for name in (SERVER, *NAMES)}
    rig = _rig(private)
    inner = _inner(rig)
    outcome = rig.run(answer=lambda phase, name, data: None if (phase, name) == LOST else data)
    if outcome.total is None:
        raise AssertionError(outcome.describe())
    messages = [
        {"phase": phase, "client": name, "direction": direction, "frame": data.hex()}
        for (phase, name, direction), data in rig.wire.items()
    ]
    return {
        "about": "One masked sum of five clients, of which one leaves, by version 2 of docs/wire-format.md.",
        "private_keys": {name: key.hex() for name, key in private.items()},
        "parameters": _parameters_as_json(rig.parameters),
        "vectors": {name: vector.tolist() for name, vector in rig.vectors.items()},
        "lost": list(LOST),
        **inner,
        "messages": messages,
        "survivors": list(outcome.survivors),
        "total": outcome.total.tolist(),
        "transcript": rig.server.transcript.lines,
        "forged": list(_forged(rig)),
        "primitives": _primitives(),
    }


def _rig(private: dict[str, bytes]) -> Rig:
    identities = {name: Identity(name, key) for name, key in private.items()}
    roster = Roster(identities[SERVER].public, {name: identities[name].public for name in NAMES})
    context = Context(task="vectors", round=7, attempt=1, model=b"\x0a" * 32, plan=b"\x0b" * 32, previous=b"\x0c" * 32)
    parameters = Parameters(bits=20, dim=5, cohort=NAMES, threshold=4, context=context, limit=5000)
    vectors = {name: seeded(2, name).uint64(5) % np.uint64(1000) for name in NAMES}
    members = Federation(roster, identities[SERVER], {name: identities[name] for name in NAMES})
    return Rig(parameters=parameters, members=members, vectors=vectors, coins=lambda name: seeded(3, name))


def _parameters_as_json(parameters: Parameters) -> dict[str, Any]:
    context = parameters.context
    digests = {field: getattr(context, field).hex() for field in ("model", "plan", "previous")}
    numbers = {"task": context.task, "round": context.round, "attempt": context.attempt}
    sizes = {field: getattr(parameters, field) for field in ("bits", "dim", "threshold", "limit")}
    return {**sizes, "cohort": list(parameters.cohort), "context": {**numbers, **digests}}


def _inner(rig: Rig) -> dict[str, Any]:
    """Return what parties compute and never send, up to the masked vectors."""
    rig.run_until("share")
    secrets = {name: rig.mind(name).secrets for name in NAMES}
    session, place = rig.session, rig.place
    adverts = {name: rig.mind(name).advert for name in NAMES}
    pairs = [(one, other) for at, one in enumerate(NAMES) for other in NAMES[at + 1 :]]
    masks = {
        f"{one} {other}": pair_mask_key(
            session, place(one), place(other), agree(load(secrets[one].mask_keys[0]), adverts[other].mask_keys[0])
        )
        for one, other in pairs
    }
    boxes = {
        f"{owner} to {holder}": box_key(
            session,
            agree(load(secrets[owner].box_key), adverts[holder].box_key),
            owner=place(owner),
            holder=place(holder),
        )
        for owner in NAMES
        for holder in NAMES
    }
    selves = {name: self_mask_key(session, place(name), secrets[name].self_masks[0]) for name in NAMES}
    return {
        "roster_root": rig.members.roster.root.hex(),
        "plan_payload": session.plan.hex(),
        "context": session.context.hex(),
        "deal": session.deal.hex(),
        "secrets": {
            name: {"box_key": s.box_key.hex(), "mask_key": s.mask_keys[0].hex(), "self_mask": s.self_masks[0].hex()}
            for name, s in secrets.items()
        },
        "box_keys": {name: key.hex() for name, key in boxes.items()},
        "pairwise_mask_keys": {name: key.hex() for name, key in masks.items()},
        "self_mask_keys": {name: key.hex() for name, key in selves.items()},
    }


def _forged(rig: Rig) -> Any:
    """Yield messages that must be refused, each with the refusal's name."""
    session, server = rig.session, rig.session.server
    for kinds, direction in ((REQUESTS, "request"), (ANSWERS, "answer")):
        for phase, kind in kinds.items():
            sender, receiver = (server, 1) if direction == "request" else (1, server)
            for change, data in changes(rig.wire[phase, "bob", direction], {}):
                if "bit 7" in change:
                    continue
                try:
                    session.read(kind, data, sender=sender, receiver=receiver)
                except ProtocolError as error:
                    described = {"kind": kind.name, "change": change, "sender": sender, "receiver": receiver}
                    yield {**described, "refusal": type(error).__name__, "frame": data.hex()}


def _primitives() -> dict[str, Any]:
    """Return known answers of the parts, small enough to follow by hand."""
    words = np.zeros(6, dtype=np.uint32)
    add_mask(words, bytes(range(32)))
    tree = levels([leaf(bytes([place])) for place in range(5)])
    topology = Topology(degree=4, share_threshold=4, witnesses=3, witness_threshold=2)
    graph = Graph(topology, Members.of((0, 2, 3, 5, 6, 7, 9, 11), 12), bytes(range(32)))
    (shares,) = split([(5).to_bytes(32, "little")], threshold=2, points=[1, 2, 3], rng=seeded(4))
    return {
        "mask": {"key": bytes(range(32)).hex(), "words_32_bits": words.tolist()},
        "packing": [
            {"bits": bits, "values": values, "bytes": bytes(pack(np.array(values, dtype=np.uint64), bits)).hex()}
            for bits, values in ((4, [1, 2, 15]), (20, [1, 2, 0xFFFFF]), (32, [1, 0xFFFFFFFF]), (33, [2**33 - 1, 1]))
        ],
        "bitmap": {"total": 12, "places": [0, 2, 11], "bytes": Members.of((0, 2, 11), 12).to_bytes().hex()},
        "merkle": {
            "records": [bytes([place]).hex() for place in range(5)],
            "root": tree[-1][0].hex(),
            "places": [1, 4],
            "proof": prove(tree, [1, 4]).hex(),
        },
        "graph": {
            "root": bytes(range(32)).hex(),
            "members": list(graph.members),
            "degree": 4,
            "holders": {str(place): list(graph.holders(place)) for place in graph.members},
            "witnesses": sorted(graph.witnesses),
        },
        "shamir": {"secret": (5).to_bytes(32, "little").hex(), "threshold": 2, "shares": [s.hex() for s in shares]},
    }


def main() -> None:
    """Write the file."""
    PATH.write_text(json.dumps(build(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
