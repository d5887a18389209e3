"""Masks under the encryption: what is encrypted is the vector of a masked sum.

The five phases are those of :class:`securefed.aggregation.masked.MaskedSum`; in the third, the masked vector travels
encrypted, with its digest and signature beside it (the *voucher*), so that the survivors agree on what they signed as
they do without encryption. The decryptor releases the sum of the masked vectors, and the server takes the masks off
with what the survivors reveal. Aggregator and decryptor together see masked vectors only: what the masked sum promises
against its server holds against both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from securefed.aggregation import merkle
from securefed.aggregation.base import ClientRole, ServerRole
from securefed.aggregation.decryptor import DecryptorRole
from securefed.aggregation.desk import Desk
from securefed.aggregation.encrypted_client import contribution, read_key
from securefed.aggregation.encrypted_server import Releasing
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.identity import Identity
from securefed.aggregation.keys import payload_hash
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.packing import to_ring, unpack, word
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.requests import Requests
from securefed.aggregation.server_state import Aborted, ServerState
from securefed.aggregation.server_states import Advertising, Agreeing, Masking
from securefed.aggregation.session import Session
from securefed.aggregation.transcript import Transcript
from securefed.aggregation.wire import Kind, decode
from securefed.encoding import RingVector
from securefed.errors import ProtocolError
from securefed.rng import Source


@final
class InnerMaskClient(ClientRole):
    """A client of a masked sum that encrypts its masked vector.

    Args:
        session: The encryption.
        masked: The masked sum within.
        identity: The client's signing key.
        client: Its role in the masked sum.
        rng: Where the key of the box for its openers comes from.
    """

    def __init__(
        self, session: EncryptedSession, masked: Session, identity: Identity, client: MaskedClient, *, rng: Source
    ) -> None:
        self._session = session
        self._masked = masked
        self._identity = identity
        self._client = client
        self._rng = rng

    def answer(self, request: bytes) -> bytes:
        """Return the answer of the masked sum, encrypted if it is the vector; see :class:`ClientRole`."""
        inbox = self._masked.frame_size(Kind.INBOX)
        if len(request) != inbox + self._session.frame_size(Kind.PUBLIC_KEY):
            return self._client.answer(request)
        announced = read_key(self._session, request[inbox:])
        place = self._masked.parameters.index(self._identity.name)
        answer = self._client.answer(request[:inbox])
        payload, signature = self._masked.read(Kind.MASKED, answer, sender=place, receiver=self._masked.server)
        _, (packed,) = decode(payload, numbers=0, strings=1)
        bits = self._masked.parameters.bits
        vector = to_ring(unpack(packed, dim=self._masked.length, bits=bits), bits)
        voucher = payload_hash(payload).digest() + signature
        return contribution(self._session, announced, self._identity, vector, rng=self._rng, voucher=voucher)


@final
class InnerMaskServer(ServerRole):
    """The server of a masked sum whose masked vectors arrive encrypted.

    Args:
        session: The encryption.
        masked: The masked sum within.
        identity: The server's signing key.
        decryptor: Who decrypts the sum of the masked vectors.

    Attributes:
        transcript: The public record of the masked sum.
    """

    def __init__(
        self, session: EncryptedSession, masked: Session, identity: Identity, decryptor: DecryptorRole
    ) -> None:
        self.transcript = Transcript(masked, identity)
        self._desk = Desk(masked, identity, self.transcript)
        self._state: ServerState = Advertising(self._desk)
        self._releasing = Releasing(session, identity, decryptor)

    @property
    def phase(self) -> str:
        """Name of the phase; see :class:`ServerRole`."""
        return self._state.phase

    @property
    def survivors(self) -> tuple[str, ...]:
        """Names of the clients in the sum; see :class:`ServerRole`."""
        return tuple(self._desk.session.name(place) for place in self._state.survivors)

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why answers were put aside; see :class:`ServerRole`."""
        return self._desk.refusals

    def requests(self) -> Mapping[str, bytes]:
        """Return what to send to whom, the public key with the shares; see :class:`ServerRole`."""
        requests = self._state.requests()
        if isinstance(self._state, Masking):
            return Requests(requests, lambda name: requests[name] + self._releasing.announced)
        return requests

    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the answers of this phase; see :class:`ServerRole`."""
        state, self._state = self._state, Aborted()
        self._state = self._collect(state, answers) if isinstance(state, Masking) else state.collect(answers)

    def total(self) -> RingVector:
        """Return the sum; see :class:`ServerRole`."""
        return self._state.total()

    def _collect(self, state: Masking, answers: Mapping[str, bytes]) -> Agreeing:
        """Take the encrypted masked vectors and have their sum decrypted."""
        desk, inputs = self._desk, {}
        for place in state.dealt.sharing:
            if (data := answers.get(desk.session.name(place))) is None:
                continue
            try:
                inputs[place] = self._take(place, data)
            except ProtocolError as error:
                desk.refuse(place, error)
        alive = desk.require(Kind.MASKED, inputs)
        tree = merkle.levels([merkle.leaf(inputs[place]) for place in alive])
        total, _ = self._releasing.close()
        return Agreeing(state.dealt.after(alive), alive, inputs, tree, total.astype(word(desk.session.parameters.bits)))

    def _take(self, place: int, data: bytes) -> bytes:
        """Return the voucher of an encrypted masked vector, which is in the sum from now on."""
        masked = self._desk.session
        sent = self._releasing.read(place, data)
        checksum, signature = sent.voucher[:DIGEST], sent.voucher[DIGEST:]
        masked.verify(Kind.MASKED, place, masked.server, checksum, signature)
        self._releasing.add(sent)
        self.transcript.vouched(Kind.MASKED, place, checksum, signature)
        return sent.voucher
