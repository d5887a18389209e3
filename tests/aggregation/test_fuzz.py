"""No bytes crash a decoder, and no bytes but the true ones are accepted.

INPUTS mutations of true messages for each of ten kinds, as many of each request's payload under the server's true
signature, and a tenth as many of each answer's under the client's: 46,500 in all. Every one must be refused by a
ProtocolError (what a client signs may count as its word). Hypothesis adds some 4,000 pieces of rubbish for the decoders
of messages, plans, adverts, bitmaps, proofs, packed vectors, transcripts, rosters and policies.
"""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securefed.aggregation.audit.rig import ANSWERS, REQUESTS, Rig
from securefed.aggregation.members import Members
from securefed.aggregation.merkle import root_of
from securefed.aggregation.messages import Advert
from securefed.aggregation.packing import unpack
from securefed.aggregation.plan import read_plan
from securefed.aggregation.policy import Policy
from securefed.aggregation.provision import load_roster
from securefed.aggregation.verification import verify_transcript
from securefed.aggregation.wire import Kind, decode, unframe
from securefed.errors import ConfigError, ProtocolError, SecureFedError, VerificationError

INPUTS = 3_000
VICTIM = "client-2"
ROSTER = Rig(3).members.roster


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """One to four changes: a flipped bit, a random byte, a cut, a copy, or an inserted or removed byte."""
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 5))):
        at = int(generator.integers(0, len(changed) + 1))
        match int(generator.integers(0, 6)):
            case 0 if at < len(changed):
                changed[at] ^= 1 << int(generator.integers(0, 8))
            case 1 if at < len(changed):
                changed[at] = int(generator.integers(0, 256))
            case 2:
                del changed[at:]
            case 3:
                changed[at:at] = changed[: int(generator.integers(0, 40))]
            case 4:
                changed.insert(at, int(generator.integers(0, 256)))
            case _:
                del changed[at : at + 1]
    return bytes(changed)


def variants(data: bytes, seed: int):
    generator = np.random.Generator(np.random.Philox(seed))
    made = (mutated(data, generator) for _ in range(INPUTS))
    return [each for each in made if each != data]


@pytest.mark.parametrize("phase", REQUESTS)
def test_no_mutated_request_is_accepted(phase):
    rig = Rig()
    request = rig.run_until(phase)[VICTIM]
    client, state = rig.clients[VICTIM], rig.mind(VICTIM)
    for data in variants(request, seed=1):
        client._state = state
        with pytest.raises(ProtocolError):
            client.answer(data)


@pytest.mark.parametrize("phase", REQUESTS)
def test_no_mutated_payload_is_accepted_even_if_the_server_signs_it(phase):
    rig = Rig()
    payload = rig.request_payload(phase, VICTIM, rig.run_until(phase)[VICTIM])
    client, state = rig.clients[VICTIM], rig.mind(VICTIM)
    for changed in variants(payload, seed=2):
        client._state = state
        try:
            request = rig.forge_request(phase, VICTIM, changed)
        except ProtocolError:
            continue
        with pytest.raises(ProtocolError):
            client.answer(request)


@pytest.mark.parametrize("phase", ANSWERS)
def test_no_mutated_answer_is_accepted(phase):
    rig = Rig()
    answer = rig.clients[VICTIM].answer(rig.run_until(phase)[VICTIM])
    session, place = rig.session, rig.place(VICTIM)
    for data in variants(answer, seed=3):
        with pytest.raises(ProtocolError):
            session.read(ANSWERS[phase], data, sender=place, receiver=session.server)


@pytest.mark.parametrize("phase", ANSWERS)
def test_no_mutated_payload_of_a_client_crashes_the_server(phase):
    """The client signs it: it is put aside, or it counts as that client's word, but nothing else happens."""
    rig = Rig(6, dim=1)
    answers = {name: rig.clients[name].answer(data) for name, data in rig.run_until(phase).items()}
    payload, state = rig.answer_payload(phase, VICTIM, answers[VICTIM]), rig.state
    for changed in variants(payload, seed=4)[: INPUTS // 10]:
        rig.server._state = state
        try:
            answers[VICTIM] = rig.forge_answer(phase, VICTIM, changed)
        except ProtocolError:
            continue
        ended = None
        try:
            rig.server.collect(answers)
        except SecureFedError as error:
            ended = error
        assert ended is None or phase in ("agree", "reveal"), ended


rubbish = st.binary(max_size=200)


def keyed(values):
    return st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(["server", "clients", "ann"]), values)


@settings(max_examples=400, deadline=None)
@given(data=rubbish, body=rubbish, kind=st.sampled_from(Kind))
def test_rubbish_is_no_frame(data, body, kind):
    for framed in (data, b"SFED\1" + bytes([kind]) + len(body).to_bytes(4, "big") + body):
        try:
            unframe(kind, framed, size=256)
        except ProtocolError:
            continue
        raise AssertionError("accepted")


@settings(max_examples=400, deadline=None)
@given(data=rubbish)
def test_rubbish_is_refused_by_every_decoder(data):
    decoders = [
        lambda: decode(data, numbers=2, strings=3),
        lambda: Advert.decode(data, rounds=1),
        lambda: read_plan(data, ROSTER),
        lambda: root_of({0: b"\0" * 32}, count=50, proof=data),
        lambda: verify_transcript([data.decode("latin-1")], ROSTER),
    ]
    for decoder in decoders:
        with pytest.raises((ProtocolError, ConfigError, VerificationError)):
            decoder()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=rubbish, text=st.recursive(st.none() | st.integers() | st.text(max_size=70), keyed, max_leaves=6))
def test_rubbish_is_no_roster_and_no_policy(tmp_path, data, text):
    path = tmp_path / "file"
    for content in (data, json.dumps(text).encode(), json.dumps({"server": text, "clients": {"ann": text}}).encode()):
        path.write_bytes(content)
        with pytest.raises(ConfigError):
            load_roster(path, root=bytes(32))
        with suppress(ConfigError):
            assert Policy.load(path) == Policy()


@settings(max_examples=300, deadline=None)
@given(data=rubbish, bits=st.integers(2, 64), dim=st.integers(1, 60), total=st.integers(1, 900))
def test_bitmaps_and_vectors_are_refused_or_within_their_bounds(data, bits, dim, total):
    with suppress(ProtocolError):
        assert int(unpack(data, dim=dim, bits=bits).max()) < 2**bits
    with suppress(ProtocolError):
        assert max(Members.read(data, total), default=0) < total
