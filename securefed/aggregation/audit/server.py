"""Moves of a malicious server before vectors are sent: plans, rosters, thresholds, keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from securefed.aggregation import merkle
from securefed.aggregation.audit.expect import attempt, expect
from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.identity import Federation
from securefed.aggregation.keys import payload_hash
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.members import Members
from securefed.aggregation.messages import Advert, advert_leaf
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.refusals import (
    BadMembership,
    BadSignature,
    PolicyViolation,
    WrongContext,
)
from securefed.aggregation.server_states import opening
from securefed.aggregation.session import Session
from securefed.aggregation.topology import Topology
from securefed.aggregation.wire import Kind, decode, encode
from securefed.errors import ConfigError, SecureFedError
from securefed.rng import secure

FIRST = "client-0"


def shown_keys(records: Mapping[int, bytes], total: int) -> bytes:
    """Return a KEYS payload over any advertisements, consistent in itself."""
    members = Members.of(records, total)
    tree = merkle.levels([advert_leaf(records[place]) for place in members])
    return opening(members, members.places, records, tree)


def with_keys(change: Callable[[Rig, dict[int, bytes]], Mapping[int, bytes]]) -> SecureFedError | None:
    """Show the first client changed advertisements under a root that fits them; return why it refuses."""
    rig = Rig()
    rig.run_until("share")
    records = {**rig.state.adverts, **change(rig, dict(rig.state.adverts))}
    payload = shown_keys(records, rig.session.size)
    return attempt(rig.clients[FIRST].answer, rig.forge_request("share", FIRST, payload))


def substitute_key() -> Finding:
    """The server puts its own keys into a client's advertisement."""
    own = Advert(b"\7" * 32, (b"\x08" * 32,), (bytes(32),)).to_bytes()
    return expect([with_keys(lambda rig, records: {2: own + records[2][-64:]})], BadSignature)


def swap_keys() -> Finding:
    """The server shows two clients' advertisements the wrong way round, or one of them twice."""
    swapped = with_keys(lambda rig, records: {1: records[2], 2: records[1]})
    doubled = with_keys(lambda rig, records: {2: records[1]})
    return expect([swapped, doubled], BadSignature)


def self_signed_key() -> Finding:
    """The server signs keys of its own with an identity of its own."""

    def forge(rig: Rig, records: dict[int, bytes]) -> dict[int, bytes]:
        own = Advert(b"\7" * 32, (b"\x08" * 32,), (bytes(32),))
        statement = rig.session.statement(Kind.ADVERT, 2, rig.session.server, payload_hash(own.encode()).digest())
        return {2: own.to_bytes() + rig.members.server.sign(statement)}

    return expect([with_keys(forge)], BadSignature)


def old_own_key() -> Finding:
    """The server shows a client keys that the same client advertised before it was restarted."""

    def earlier(rig: Rig, records: dict[int, bytes]) -> dict[int, bytes]:
        identity, vector = rig.members.clients[FIRST], rig.vectors[FIRST]
        before = MaskedClient(rig.session, identity, vector, rng=secure())
        answer = before.answer(rig.wire["advertise", FIRST, "request"])
        payload, signature = rig.session.read(Kind.ADVERT, answer, sender=0, receiver=rig.session.server)
        return {0: Advert.decode(payload, rounds=1).to_bytes() + signature}

    return expect([with_keys(earlier)], BadMembership)


def grind_graph() -> Finding:
    """The server names another root, from which another graph would follow."""
    rig = Rig()
    _, fields = decode(rig.request_payload("share", FIRST, rig.run_until("share")[FIRST]), numbers=0, strings=4)
    ground = encode([], [fields[0], bytes(32), *fields[2:]])
    return expect([attempt(rig.clients[FIRST].answer, rig.forge_request("share", FIRST, ground))], BadMembership)


def weak_graph() -> Finding:
    """The server proposes fewer neighbours or smaller thresholds than the cohort needs."""
    weak = [
        Topology(degree=4, share_threshold=3, witnesses=9, witness_threshold=7),
        Topology(degree=8, share_threshold=5, witnesses=9, witness_threshold=7),
        Topology(degree=8, share_threshold=7, witnesses=9, witness_threshold=5),
    ]
    base = Rig(9).parameters
    return expect([attempt(Rig, parameters=replace(base, topology=each)) for each in weak], PolicyViolation)


def lower_threshold() -> Finding:
    """The server asks for a threshold of two thirds of the cohort or less."""
    base = Rig(9).parameters
    return expect([attempt(Rig, parameters=replace(base, threshold=each)) for each in (5, 6)], PolicyViolation)


def absurd_threshold() -> Finding:
    """The server asks for a threshold of at most half of the clients, 1, 0, -3, or more than there are."""
    base = Rig(9).parameters

    def propose(threshold: int) -> Rig:
        return Rig(parameters=replace(base, threshold=threshold))

    return expect([attempt(propose, each) for each in (4, 2, 1, 0, -3, 10)], ConfigError)


def pad_cohort() -> Finding:
    """The server fills the cohort with clients that nobody vouches for."""
    rig = Rig()
    padded = replace(rig.parameters, cohort=(*rig.parameters.cohort, "sybil-1", "sybil-2"))
    return expect([attempt(Session, padded, rig.members.roster)], ConfigError)


def other_roster() -> Finding:
    """The server names a roster of its own making."""
    rig = Rig()
    own = Federation.throwaway(rig.parameters.cohort, rng=secure())
    plan = Session(rig.parameters, own.roster).plan
    return expect([attempt(rig.clients[FIRST].answer, rig.forge_request("advertise", FIRST, plan))], WrongContext)


def plan_unlike_told(change: Callable[[Parameters], Parameters]) -> SecureFedError | None:
    """Send the first client another plan than it was told; return why it refuses."""
    rig = Rig()
    plan = Session(change(rig.parameters), rig.members.roster).plan
    return attempt(rig.clients[FIRST].answer, rig.forge_request("advertise", FIRST, plan))


CHANGES: tuple[Callable[[Parameters], Parameters], ...] = (
    lambda p: replace(p, context=replace(p.context, model=b"m" * 32)),
    lambda p: replace(p, context=replace(p.context, plan=b"p" * 32)),
    lambda p: replace(p, context=replace(p.context, previous=b"h" * 32)),
    lambda p: replace(p, context=replace(p.context, round=2)),
    lambda p: replace(p, context=replace(p.context, attempt=1)),
    lambda p: replace(p, context=replace(p.context, task="other")),
    lambda p: replace(p, limit=2**30),
    lambda p: replace(p, threshold=5),
)
"""Everything that a server could tell different clients differently, and that leaves frames as they are."""


def two_plans() -> Finding:
    """The server tells a client one plan and asks it to take part in another."""
    return expect([plan_unlike_told(change) for change in CHANGES], WrongContext)


def equivocate(change: Callable[[Parameters], Parameters]) -> SecureFedError | None:
    """Tell half of the clients another plan and show each half the keys of both; return why a client refuses.

    What is not known yet when keys are dealt, model and record of the round before, is bound by the masked vectors.
    """
    rig = Rig()
    other = Rig(parameters=change(rig.parameters), members=rig.members, vectors=rig.vectors)
    rig.run_until("share")
    other.run_until("share")
    mixed = {place: (rig if place < 3 else other).state.adverts[place] for place in range(5)}
    if rig.session.deal != other.session.deal:
        return attempt(rig.clients[FIRST].answer, rig.forge_request("share", FIRST, shown_keys(mixed, 5)))
    rig.run_until("agree")
    other.run_until("agree")
    inputs = {place: (rig if place < 3 else other).state.inputs[place] for place in range(5)}
    tree = merkle.levels([merkle.leaf(inputs[place]) for place in range(5)])
    shown = opening(Members.everybody(5), range(5), inputs, tree)
    return attempt(rig.clients[FIRST].answer, rig.forge_request("agree", FIRST, shown))


def two_models() -> Finding:
    """The server gives two halves of the cohort different models, plans, rounds or parameters."""
    return expect([equivocate(change) for change in CHANGES], BadSignature)


ROWS = (
    Row("S06", "server", "asks for a threshold of two thirds or less", "PolicyViolation", lower_threshold),
    Row("S07", "server", "asks for a threshold of half, 1, 0, -3 or above all", "ConfigError", absurd_threshold),
    Row("S08", "server", "proposes too sparse a graph", "PolicyViolation", weak_graph),
    Row("S09", "server", "substitutes a client's keys", "BadSignature", substitute_key),
    Row("S10", "server", "swaps or doubles clients' keys", "BadSignature", swap_keys),
    Row("S11", "server", "signs keys for a client itself", "BadSignature", self_signed_key),
    Row("S12", "server", "shows a client its keys from before a restart", "BadMembership", old_own_key),
    Row("S13", "server", "pads the cohort with unknown clients", "ConfigError", pad_cohort),
    Row("S14", "server", "brings its own roster", "WrongContext", other_roster),
    Row("S15", "server", "sends another plan than it told", "WrongContext", two_plans),
    Row("S16", "server", "gives two halves different models or plans", "BadSignature", two_models),
    Row("S17", "server", "grinds the graph by naming another root", "BadMembership", grind_graph),
)
