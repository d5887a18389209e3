"""What a server with a client, and a decryptor with clients, learn of one victim's vector.

The victim is client 0 of four. In each game the mutant is our own protocol with one thing taken away: openers that the
server can read, or bodies that the decryptor is given one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tenseal import sealapi

from securefed.aggregation.decryptor import Decryptor, DecryptorRole, decrypted
from securefed.aggregation.encrypted_server import Releasing
from securefed.aggregation.lanes import signed
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.refusals import InconsistentSum
from securefed.aggregation.wire import Kind
from securefed.encoding import RingVector
from tests.aggregation.cohorts import parameters
from tests.aggregation.homomorphic.parties import Parties

SCHEMES = ("ckks", "bfv")


def small(scheme: str) -> Parties:
    parties = Parties(parameters(4, dim=50, bits=20), scheme)
    parties.inputs = {name: vector % np.uint64(2**10) for name, vector in parties.inputs.items()}
    return parties


def openers_of(parties: Parties, answer: bytes, place: int) -> np.ndarray:
    """What the decryptor reads in a box."""
    session, key = parties.session, parties.decryptor._open[parties.session.context].key
    sealed = SealedOpeners.read(
        session, place, answer[session.frame_size(Kind.ENCRYPTED) :], fingerprint=key.fingerprint
    )
    return session.ring.data.unpack(sealed.open(session, place, key.box))


def sealed_bytes(parties: Parties, answer: bytes, place: int) -> np.ndarray:
    """What the server reads in a box: the sealed bytes, as numbers below the primes."""
    session = parties.session
    frame = answer[session.frame_size(Kind.ENCRYPTED) :]
    box = session.read(Kind.OPENERS, frame, sender=place, receiver=session.decrypting)
    shape = session.ring.data.zeros(1).shape
    numbers = np.frombuffer(box[: len(box) // 8 * 8], dtype=np.uint64)
    return np.resize(numbers, shape) % np.array(session.ring.data.primes, dtype=np.uint64)[:, np.newaxis]


def minus(parties: Parties, halves: list[np.ndarray]) -> np.ndarray:
    primes = np.array(parties.session.ring.data.primes, dtype=np.uint64)[:, np.newaxis]
    return (primes - sum(halves, start=np.zeros_like(halves[0])) % primes) % primes


def cancelled(parties: Parties, read: Callable[[Parties, bytes, int], np.ndarray]) -> RingVector:
    """Return what the decryptor releases if client 3 sends openers that cancel those of all but the victim.

    The server claims that the victim's bodies are the sum of all.
    """
    releasing = parties.releasing()
    sent = [parties.answer(place) for place in range(3)]
    victims = releasing.read(0, sent[0]).bodies
    cancelling = minus(parties, [read(parties, sent[place], place) for place in (1, 2)])
    sent.append(parties.made_up(3, np.zeros_like(victims), cancelling))
    for place, answer in enumerate(sent):
        releasing.add(releasing.read(place, answer))
    releasing.sum.total = victims
    return releasing.close()[0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_reads_openers_has_one_vector_decrypted_with_the_help_of_one_client(scheme):
    """The mutant: whole ciphertexts at the server, all signed, distinct and enough of them."""
    parties = small(scheme)
    assert (cancelled(parties, openers_of) == parties.inputs["client-000"]).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_openers_that_are_sealed_cannot_be_cancelled(scheme):
    with pytest.raises(InconsistentSum):
        cancelled(small(scheme), sealed_bytes)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_decryptor_that_is_given_bodies_one_by_one_reads_them(scheme):
    """The mutant: whole ciphertexts at the decryptor."""
    parties = small(scheme)
    answer = parties.answer(0)
    bodies = parties.releasing().read(0, answer).bodies
    read = decrypted(parties.session, parties.secret(), bodies, openers_of(parties, answer, 0))
    assert (read == parties.inputs["client-000"]).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_decryptor_that_is_given_the_sum_of_bodies_opens_that_sum_and_no_part_of_it(scheme):
    parties = small(scheme)
    releasing, key = parties.releasing(), parties.secret()
    openers = []
    for place in range(4):
        answer = parties.answer(place)
        openers.append(openers_of(parties, answer, place))
        releasing.add(releasing.read(place, answer))
    bodies = releasing.sum.total
    opener = parties.decryptor._open[parties.session.context].sum.total
    assert (decrypted(parties.session, key, bodies, opener) == sum(parties.inputs.values())).all()
    for some in (openers[:1], openers[1:], openers[::2]):
        with pytest.raises(InconsistentSum):
            decrypted(parties.session, key, bodies, minus(parties, [minus(parties, some)]))


class Recording(DecryptorRole):
    """A decryptor that keeps what it is given."""

    def __init__(self, decryptor: Decryptor) -> None:
        self.decryptor, self.given = decryptor, []

    def public_key(self, session):
        return self.decryptor.public_key(session)

    def take(self, session, place, data):
        self.given.append(data)
        self.decryptor.take(session, place, data)

    def release(self, session, request):
        self.given.append(request)
        return self.decryptor.release(session, request)


def test_no_message_has_a_clients_openers_in_clear_and_none_to_the_decryptor_has_its_bodies():
    parties = small("ckks")
    recording = Recording(parties.decryptor)
    releasing = Releasing(parties.session, parties.members.server, recording)
    answers = [parties.answer(place) for place in range(4)]
    openers = [bytes(parties.session.ring.data.pack(openers_of(parties, one, n))) for n, one in enumerate(answers)]
    bodies = [bytes(parties.session.ring.data.pack(releasing.read(n, one).bodies)) for n, one in enumerate(answers)]
    for place, answer in enumerate(answers):
        releasing.add(releasing.read(place, answer))
    releasing.close()

    assert len(recording.given) == 5
    assert all(body in answer for body, answer in zip(bodies, answers, strict=True))
    assert not any(body in message for body in bodies for message in recording.given)
    assert not any(opener in message for opener in openers for message in (*answers, *recording.given))


def test_a_client_that_adds_a_multiple_of_the_key_gives_the_server_the_key_and_no_vector():
    """``(0, k)`` adds ``k`` times the key to the total: it is not prevented, and opens nothing but that total."""
    parties = Parties(parameters(4, dim=4096, bits=32))
    parties.inputs = {name: vector % np.uint64(100) for name, vector in parties.inputs.items()}
    session, releasing = parties.session, parties.releasing()
    truth, nothing = key_polynomial(parties), session.ring.data.zeros(1)
    multiple = nothing.copy()
    multiple[0, 0, 0] = 1000 << session.encryption.plain_bits
    answers = [parties.made_up(0, nothing, multiple), *(parties.answer(place) for place in range(1, 4))]
    read = [releasing.read(place, answer) for place, answer in enumerate(answers)]
    for one in read:
        releasing.add(one)
    key = parties.secret()
    total = signed(releasing.close()[0], 32)

    learnt = np.rint((total - 150) / 1000).astype(np.int64)
    assert (learnt == truth).all()
    rest = sum(vector for name, vector in parties.inputs.items() if name != "client-000")
    assert (total - 1000 * learnt == rest.astype(np.int64)).all()

    for guess in (sealed_bytes(parties, answers[1], 1), multiple, minus(parties, [one.bodies for one in read])):
        with pytest.raises(InconsistentSum):
            decrypted(session, key, read[1].bodies, guess)


def key_polynomial(parties: Parties) -> np.ndarray:
    """The coefficients of the secret key."""
    session, unit = parties.session, np.zeros(parties.session.ring.shape, dtype=np.uint64)
    unit[1, 0, 0] = 1
    return parties.secret()._polynomial(session.ring.load(sealapi.Ciphertext, unit))
