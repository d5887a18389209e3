"""Who holds the key, and what whoever works together can see."""

from __future__ import annotations

import numpy as np
import pytest

from securefed.aggregation.base import secure_sum
from securefed.aggregation.decryptor import Decryptor, decrypted
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.refusals import PolicyViolation
from securefed.aggregation.shared_key import SharedKeySum, SharedKeyWarning
from securefed.aggregation.verification import verify_transcript
from securefed.aggregation.wire import Kind, decode
from securefed.errors import OutOfTurn
from securefed.rng import secure
from tests.aggregation.cohorts import PHASES, Run, added, parameters, vectors


def together(scheme: HomomorphicSum, decryptor: Decryptor, answer: bytes, place: int) -> np.ndarray:
    """What server and decryptor together read in one client's answer."""
    session, cut = scheme.session, scheme.session.frame_size(Kind.ENCRYPTED)
    payload = session.read(Kind.ENCRYPTED, answer[:cut], sender=place, receiver=session.server)
    fingerprint, _, bodies = decode(payload, numbers=0, strings=3)[1]
    sealed = SealedOpeners.read(session, place, answer[cut:], fingerprint=fingerprint)
    key, unpack = decryptor._keys[session.encryption], session.ring.data.unpack
    return decrypted(session, key.secret, unpack(bodies), unpack(sealed.open(session, place, key.box)))


def colluding(inner_mask: bool) -> tuple[np.ndarray, Run, HomomorphicSum]:
    public = parameters(5, dim=200, bits=16)
    members = Federation.throwaway(public.cohort, rng=secure())
    decryptor = Decryptor.throwaway(members.roster, rng=secure())
    scheme = HomomorphicSum(public, members, decryptor=decryptor, inner_mask=inner_mask)
    run = Run(scheme, dict.fromkeys(public.cohort, np.full(public.dim, 3, dtype=np.uint64)))
    run.total()
    frame = run.sent("mask" if inner_mask else "encrypt", "answer")["client-002"]
    return together(scheme, decryptor, frame, 2), run, scheme


def test_aggregator_and_decryptor_together_read_a_vector_without_an_inner_mask():
    seen, run, _ = colluding(inner_mask=False)
    assert (seen == run.inputs["client-002"]).all()


def test_under_an_inner_mask_aggregator_and_decryptor_together_read_noise():
    seen, run, scheme = colluding(inner_mask=True)
    vector = seen[: scheme.parameters.dim]
    assert (vector == run.inputs["client-002"]).mean() < 0.05
    assert len(set(vector.tolist())) > 150


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_sums_under_an_inner_mask_survive_dropouts_in_every_phase(phase, scheme):
    public = parameters(7, dim=20)
    sum_ = HomomorphicSum(public, scheme=scheme, inner_mask=True)
    run = Run(sum_, vectors(public), frozenset({(phase, "client-005")}))
    total = run.total()
    assert (total == added(public, run.inputs, run.server.survivors)).all()
    assert ("client-005" in run.server.survivors) == (phase in PHASES[3:])


def test_the_transcript_of_a_sum_under_an_inner_mask_verifies():
    public = parameters(5)
    members = Federation.throwaway(public.cohort, rng=secure())
    run = Run(HomomorphicSum(public, members, inner_mask=True), vectors(public))
    run.total()
    assert verify_transcript(run.server.transcript.lines, members.roster).survivors == public.cohort


def test_a_swapped_voucher_is_refused():
    """A client that vouches for another masked vector than it signed is out of the sum."""
    public = parameters(5)
    run = Run(HomomorphicSum(public, inner_mask=True), vectors(public))
    while run.server.phase != "mask":
        run.server.collect({name: run.clients[name].answer(data) for name, data in run.server.requests().items()})
    answers = {name: run.clients[name].answer(data) for name, data in run.server.requests().items()}
    answers["client-001"], answers["client-002"] = answers["client-002"], answers["client-001"]
    with pytest.raises(Exception, match="3 clients answered, 4 are needed"):
        run.server.collect(answers)
    assert set(run.server.refusals) == {"client-001", "client-002"}


def shared(**changes) -> SharedKeySum:
    public = parameters(4, dim=20)
    options = {"clients_share_key": True, "aggregator_sees_totals": False}
    return SharedKeySum(public, **(options | changes))


def test_a_shared_key_warns():
    with pytest.warns(SharedKeyWarning, match="reads every client's vector"):
        shared()


@pytest.mark.parametrize("changes", [{"clients_share_key": False}, {"aggregator_sees_totals": True}])
def test_a_shared_key_is_refused_unasked_and_where_the_aggregator_sees_totals(changes):
    with pytest.raises(PolicyViolation):
        shared(**changes)


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_clients_with_a_shared_key_learn_the_sum_and_the_server_does_not(scheme):
    with pytest.warns(SharedKeyWarning):
        sum_ = shared(scheme=scheme)
    inputs, server = vectors(sum_.parameters), sum_.server()
    clients = {name: sum_.client(name, inputs[name], rng=secure()) for name in sum_.parameters.cohort}
    with pytest.raises(OutOfTurn, match="refused in this arrangement"):
        secure_sum(server, clients, lost=lambda phase, name: (phase, name) == ("encrypt", "client-003"))
    assert server.survivors == sum_.parameters.cohort[:3]
    for name in server.survivors:
        assert (clients[name].total() == added(sum_.parameters, inputs, server.survivors)).all()
