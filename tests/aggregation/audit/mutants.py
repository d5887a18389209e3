"""Our own protocol with one defence removed: the audit must notice each.

These exist in the tests only; nothing in the package can switch a defence off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from securefed.aggregation import (
    client_states,
    derivations,
    desk,
    hand,
    keys,
    lock,
    masking,
    masks,
    member,
    revealing,
    server_states,
    shamir,
    transcript,
    unmasking,
    verification,
    wire,
)
from securefed.aggregation import session as session_module
from securefed.aggregation.client_states import KnowsShares, KnowsSurvivors, KnowsVector
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.policy import Policy
from securefed.aggregation.session import Session
from securefed.aggregation.unmasking import Revealed
from securefed.aggregation.wire import HEADER, Kind, encode
from securefed.encoding import FixedPoint
from securefed.errors import ProtocolError

Patch = pytest.MonkeyPatch


class TwisterStream:
    """A keystream from a Mersenne Twister with a 32-bit seed."""

    def __init__(self, key):
        self.generator = np.random.RandomState(int.from_bytes(key[:4], "little"))

    def update_into(self, zeros, buffer):
        buffer[: len(zeros)] = self.generator.bytes(len(zeros))


def weak_mask_generator(patch: Patch) -> None:
    """Masks from a weak generator, whose seed has 32 bits."""
    patch.setattr(masks, "_keystream", TwisterStream)
    patch.setattr(derivations, "derive", lambda secret, info: keys.derive(secret[:4], info))


def unsigned_keys(patch: Patch) -> None:
    """Advertised keys are believed without a signature."""
    verify = Session.verify

    def lenient(self, kind, *message):
        if kind is not Kind.ADVERT:
            verify(self, kind, *message)

    patch.setattr(Session, "verify", lenient)


def unsigned_vectors(patch: Patch) -> None:
    """Survivors are believed without their signatures."""
    verify = Session.verify

    def lenient(self, kind, *message):
        if kind is not Kind.MASKED:
            verify(self, kind, *message)

    patch.setattr(Session, "verify", lenient)


def unsigned_requests(patch: Patch) -> None:
    """Whatever arrives is taken as the server's."""
    verify = Session.verify

    def lenient(self, kind, *message):
        if kind % 2:
            verify(self, kind, *message)

    patch.setattr(Session, "verify", lenient)


def no_consistency_round(patch: Patch) -> None:
    """Shares are revealed without anybody's agreement."""
    patch.setattr(KnowsSurvivors, "_check_agreement", lambda self, bitmap, signatures: None)


def server_chosen_threshold(patch: Patch) -> None:
    """The server's plan is taken as it is."""
    patch.setattr(Policy, "check", lambda self, parameters, topology: None)


def server_chosen_graph(patch: Patch) -> None:
    """Whatever root the server names is believed."""
    patch.setattr(client_states, "check_opening", lambda root, members, leaves, proof: None)


def server_chosen_survivors(patch: Patch) -> None:
    """No set is too small or too large."""

    def believe(self, bitmap, *, among):
        return member.Members.read(bitmap, self.session.size)

    patch.setattr(member.Member, "members", believe)
    patch.setattr(member.Member, "neighbourhood", lambda self, graph, members: members.among(graph.holders(self.place)))


def no_context_binding(patch: Patch) -> None:
    """Keys, boxes and signatures of all sums have the same context."""
    patch.setattr(Session, "context", property(lambda self: bytes(32)))
    patch.setattr(Session, "plan", property(lambda self: encode([], [bytes(8)])))


def clear_counts(patch: Patch) -> None:
    """A number computed from the vector rides in the padding of a frame."""
    answer = KnowsVector.answer

    def chatty(self, request):
        frame, state = answer(self, request)
        return frame[:-8] + int(self.vector().sum()).to_bytes(8, "little"), state

    def lenient(kind, data, *, size):
        return data[HEADER : HEADER + int.from_bytes(data[6:HEADER], "big")]

    patch.setattr(KnowsVector, "answer", chatty)
    patch.setattr(session_module, "unframe", lenient)


def unpadded_frames(patch: Patch) -> None:
    """Frames are as long as what they say."""

    def tight(kind, body, *, size):
        whole = b"".join(map(bytes, body))
        return wire.frame(kind, [whole], size=HEADER + len(whole))

    patch.setattr(session_module, "frame", tight)
    patch.setattr(session_module, "unframe", lambda kind, data, *, size: wire.unframe(kind, data, size=len(data)))


def overlapping_unmask_lists(patch: Patch) -> None:
    """A client reveals both shares of every owner."""

    size = Session.frame_size

    def generous(self, request):
        revealed = b"".join(held.self_mask + held.mask_key for _, held in sorted(self.shares.items()))
        return self.member.write(Kind.REVEAL, encode([], [revealed])), client_states.Finished()

    patch.setattr(Session, "frame_size", lambda self, kind: size(self, kind) * (2 if kind is Kind.REVEAL else 1))
    patch.setattr(KnowsSurvivors, "answer", generous)


def reused_masks(patch: Patch) -> None:
    """Masks depend on the parties and their coins, not on the round."""
    patch.setattr(derivations, "label", lambda name, context, *parties: keys.label(name, bytes(32), *parties))


def no_self_mask(patch: Patch) -> None:
    """Vectors travel under pairwise masks only."""
    made = masking.Masks
    patch.setattr(masking, "Masks", lambda *, added, subtracted: made(added=added[1:], subtracted=subtracted))


def low_share_threshold(patch: Patch) -> None:
    """Secrets are shared so that two shares give them."""
    split = shamir.split

    def cheap(secrets, *, threshold, points, rng):
        return split(secrets, threshold=2, points=points, rng=rng)

    patch.setattr(shamir, "split", cheap)


def no_memory(patch: Patch) -> None:
    """A client forgets what it did before it was restarted."""
    for name in ("begin", "contribute", "reveal"):
        patch.setattr(Journal, name, lambda self, context: None)


def answers_twice(patch: Patch) -> None:
    """A client answers the last request as often as it comes."""
    answer = MaskedClient.answer

    def patient(self, request):
        state = self._state
        sent = answer(self, request)
        if isinstance(state, KnowsSurvivors):
            self._state = state
        return sent

    patch.setattr(MaskedClient, "answer", patient)


def survives_refusals(patch: Patch) -> None:
    """A client that refused goes on, and accepts survivors a second time."""
    answer = KnowsSurvivors.answer

    def patient(self, request):
        try:
            return answer(self, request)
        except ProtocolError:
            before = KnowsShares(self.member, self.graph, self.survivors, self.shares, {}, None, b"")
            return request, before

    patch.setattr(KnowsSurvivors, "answer", patient)


def keeps_secrets(patch: Patch) -> None:
    """A client keeps its secrets after its vector has left."""
    answer = MaskedClient.answer

    def hoarding(self, request):
        self._hoard = [*getattr(self, "_hoard", []), self._state]
        return answer(self, request)

    patch.setattr(MaskedClient, "answer", hoarding)


def unchecked_shares(patch: Patch) -> None:
    """The server uses revealed shares without looking at commitments."""
    patch.setattr(Revealed, "_check", lambda self, owner, holder, share, promised: None)


def unchecked_boxes(patch: Patch) -> None:
    """A holder keeps whatever it is dealt."""

    def trusting(member, owner, sealed, key):
        return hand.HeldShares.split(keys.unseal(key, sealed.box, sealed.commitments))

    patch.setattr(hand, "opened", trusting)


def unchecked_secrets(patch: Patch) -> None:
    """The server uses a reconstructed key without comparing it with the advertised one."""
    patch.setattr(unmasking, "public_key", lambda secret: Anything())


def unchecked_keys(patch: Patch) -> None:
    """The server passes on any advertised key."""
    patch.setattr(server_states, "refuse_unusable", lambda advert, seen: None)


class Anything:
    """Equal to everything."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def unchecked_counts(patch: Patch) -> None:
    """The server does not look at the count coordinates."""
    checked = unmasking.checked

    def blind(session, total, survivors):
        fixed = total.copy()
        fixed[session.parameters.dim :] = survivors
        return checked(session, fixed, survivors)

    patch.setattr(revealing, "checked", blind)


def unchecked_limit(patch: Patch) -> None:
    """Nobody looks whether values are beyond the limit."""
    patch.setattr(unmasking, "exceeds", lambda vector, bits, limit: False)


def unchecked_vectors(patch: Patch) -> None:
    """A client takes any vector."""
    patch.setattr(Parameters, "check", lambda self, name, vector: None)


def unchecked_capacity(patch: Patch) -> None:
    """A ring may be too small for the sum."""
    patch.setattr(FixedPoint, "__post_init__", lambda self: None)


def unchecked_roster(patch: Patch) -> None:
    """Clients that nobody vouches for may take part."""
    patch.setattr(Session, "__post_init__", lambda self: None)


def unchecked_plan(patch: Patch) -> None:
    """A client takes part in whatever plan the server names."""

    def obliging(self, request):
        return self._advertise()

    patch.setattr(KnowsVector, "answer", obliging)


def own_keys_unchecked(patch: Patch) -> None:
    """A client does not look whether its own keys are the ones that it advertised."""
    patch.setattr(client_states.KnowsSecrets, "_refuse_swapped_keys", lambda self, adverts: None)


def one_bad_client_stops_all(patch: Patch) -> None:
    """The server gives up when one answer is wrong."""

    def strict(self, place, error):
        raise error

    patch.setattr(desk.Desk, "refuse", strict)


def unchained_transcript(patch: Patch) -> None:
    """Lines of a transcript need not follow each other."""

    def unchained(lines, where):
        return [verification._parse(line, where) for line in lines], bytes(32)

    patch.setattr(verification, "_chain", unchained)
    patch.setattr(verification, "verify", lambda public, message, signature, *, name: None)


def truncated_total(patch: Patch) -> None:
    """The transcript's digest covers only the end of the sum."""
    digest = transcript.total_digest
    blind = lambda total, bits: digest(total[1:], bits)  # noqa: E731
    patch.setattr(transcript, "total_digest", blind)
    from securefed.aggregation.audit import privacy

    patch.setattr(privacy, "total_digest", blind)


def deals_forever(patch: Patch) -> None:
    """A hand gives out a round's secrets as often as it is asked."""
    patch.setattr(hand.Hand, "take", lambda self, slot: (self._own[slot], self._shares[slot]))


def one_secret_for_all_rounds(patch: Patch) -> None:
    """All rounds of a deal have the same secrets."""

    def lazy(cls, rounds, rng):
        box_key, mask_key, self_mask = (shamir.draw(rng) for _ in range(3))
        return cls(box_key, (mask_key,) * rounds, (self_mask,) * rounds)

    patch.setattr(hand.Secrets, "draw", classmethod(lazy))
    patch.setattr(server_states, "refuse_unusable", lambda advert, seen: None)
    patch.setattr(client_states.KnowsSecrets, "_refuse_swapped_keys", lambda self, adverts: None)


def remembers_past_rounds(patch: Patch) -> None:
    """A hand keeps the secrets of rounds that are over."""
    take = hand.Hand.take

    def hoarding(self, slot):
        self.past = [*getattr(self, "past", []), self._own[slot]]
        return take(self, slot)

    patch.setattr(hand.Hand, "take", hoarding)


def inboxes_once(patch: Patch) -> None:
    """The server shows every client its inbox once, whether it arrives or not."""
    patch.setattr(desk.Dealt, "after", lambda self, alive: replace(self, waiting=self.waiting.without(self.waiting)))


def inboxes_again(patch: Patch) -> None:
    """A client takes another inbox for the one that it has opened."""
    pick_up, open_inbox = hand.Hand.pick_up, hand.Hand.open

    def keeping(self, deal, graph, own, boxes):
        pick_up(self, deal, graph, own, boxes)
        self.kept = boxes

    def forgetful(self, member, payload):
        self.sharing, self._boxes = None, self.kept
        open_inbox(self, member, payload)

    patch.setattr(hand.Hand, "pick_up", keeping)
    patch.setattr(hand.Hand, "open", forgetful)


def rounds_of_one_deal_alike(patch: Patch) -> None:
    """Messages and masks are bound to the deal, not to the round."""
    patch.setattr(Session, "context", property(lambda self: self.deal))


def unchecked_deal(patch: Patch) -> None:
    """A record may say what it likes about keys that were dealt before."""
    read = verification._Reader._read_dealt
    patch.setattr(verification.Dealing, "__eq__", lambda self, other: True)
    patch.setattr(verification._Reader, "_read_dealt", lambda self, before: read(self, before or object()))


def locks_for_anything(patch: Patch) -> None:
    """Locks open whatever survivors were agreed to."""
    derived = derivations.lock_key
    patch.setattr(lock, "lock_key", lambda *parties: derived(*parties[:-1], bytes(32)))


def cheap_locks(patch: Patch) -> None:
    """A lock opens with the keys of two witnesses."""
    split, combine = shamir.split, shamir.combine

    def cheap(secrets, *, threshold, points, rng):
        return split(secrets, threshold=2 if len(secrets) == 1 else threshold, points=points, rng=rng)

    patch.setattr(shamir, "split", cheap)
    patch.setattr(shamir, "combine", lambda shares, *, threshold: combine(shares, threshold=2))


def patient_locks(patch: Patch) -> None:
    """A client locks its shares as often as it is shown survivors."""
    answer = MaskedClient.answer

    def patient(self, request):
        state = self._state
        sent = answer(self, request)
        if isinstance(state, KnowsShares):
            self._state = state
        return sent

    patch.setattr(MaskedClient, "answer", patient)


def locks_of_one_traitor_stop_all(patch: Patch) -> None:
    """A client whose locked shares do not open is blamed for nothing, and they count as revealed."""
    patch.setattr(revealing, "unlock", lambda session, owner, locked, agreed: bytes(32 * session.size))


def unchecked_locked_shares(patch: Patch) -> None:
    """The server believes shares that come out of locks."""
    patch.setattr(Revealed, "_check", lambda self, owner, holder, share, promised: None)


def vectors_in_clear(patch: Patch) -> None:
    """Masks are not applied."""
    patch.setattr(masks.Masks, "applied", lambda self, parts: iter(parts))


MUTANTS: dict[Callable[[Patch], None], str] = {
    weak_mask_generator: "P04",
    unsigned_keys: "S09",
    unsigned_vectors: "S19",
    unsigned_requests: "N01",
    no_consistency_round: "S02",
    server_chosen_threshold: "S06",
    server_chosen_graph: "S17",
    server_chosen_survivors: "S18",
    no_context_binding: "S16",
    clear_counts: "P07",
    unpadded_frames: "P08",
    overlapping_unmask_lists: "P09",
    reused_masks: "P03",
    no_self_mask: "P05",
    low_share_threshold: "P06",
    no_memory: "S23",
    answers_twice: "S05",
    survives_refusals: "S01",
    keeps_secrets: "P10",
    unchecked_shares: "C01",
    unchecked_boxes: "C07",
    unchecked_secrets: "C09",
    unchecked_keys: "C04",
    unchecked_counts: "C11",
    unchecked_limit: "C10",
    unchecked_vectors: "C12",
    unchecked_capacity: "C14",
    unchecked_roster: "S13",
    unchecked_plan: "S15",
    own_keys_unchecked: "S12",
    one_bad_client_stops_all: "C02",
    unchained_transcript: "P11",
    truncated_total: "P12",
    vectors_in_clear: "P01",
    deals_forever: "D01",
    one_secret_for_all_rounds: "D02",
    remembers_past_rounds: "D03",
    inboxes_once: "D06",
    inboxes_again: "D09",
    rounds_of_one_deal_alike: "D11",
    unchecked_deal: "D13",
    locks_for_anything: "L01",
    cheap_locks: "L02",
    patient_locks: "L03",
    locks_of_one_traitor_stop_all: "L05",
    unchecked_locked_shares: "L06",
}
"""Every mutant, with a row that must turn red."""
