"""What can be learnt from the wire, the server's desk, colluders' hands, a client's memory, and the transcript."""

from __future__ import annotations

import gc
import json
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import numpy as np
import numpy.typing as npt

from securefed.aggregation.audit.expect import attempt, expect
from securefed.aggregation.audit.rig import Rig, in_context, small_vector
from securefed.aggregation.audit.row import Finding, Row
from securefed.aggregation.derivations import pair_mask_key, self_mask_key
from securefed.aggregation.keys import agree, load
from securefed.aggregation.masks import add_mask, subtract_mask
from securefed.aggregation.packing import Words, pack, unpack
from securefed.aggregation.shamir import combine
from securefed.aggregation.transcript import canonical, total_digest
from securefed.aggregation.verification import verify_transcript
from securefed.aggregation.wire import decode
from securefed.errors import VerificationError
from securefed.rng import Source, seeded

DIM = 20_000


def zeros(rig: Rig, dim: int) -> dict[str, npt.NDArray[np.uint64]]:
    """Return zero vectors: what is left on the wire is the masks."""
    return {name: np.zeros(dim, dtype=np.uint64) for name in rig.clients}


def masked(rig: Rig) -> dict[str, Words]:
    """Return the masked vectors of a finished run as they travelled."""
    bits, found = rig.parameters.bits, {}
    for name in rig.clients:
        _, (packed,) = decode(rig.answer_payload("mask", name, rig.wire["mask", name, "answer"]), numbers=0, strings=1)
        found[name] = unpack(packed, dim=rig.session.length, bits=bits)[: rig.parameters.dim]
    return found


def chi_square(words: Words) -> float:
    """Return the statistic of the bytes against the uniform distribution: 255 degrees of freedom."""
    counts = np.bincount(np.ascontiguousarray(words).view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2 / expected).sum())


def is_uniform(words: Words) -> bool:
    """Tell whether bytes pass as uniform: outside these bounds less than once in a million honest runs."""
    return 150 < chi_square(words) < 380


def see_wire() -> Finding:
    """Look for the clients' vectors in everything that travels and everything that the server keeps."""
    rig = Rig(dim=64)
    seen: list[bytes] = []
    while requests := rig.server.requests():
        seen += requests.values()
        answers = {name: rig.clients[name].answer(data) for name, data in requests.items()}
        seen += answers.values()
        rig.server.collect(answers)
        seen += [content for found in reachable(rig.server) if (content := as_bytes(found))]
    needles = [form for vector in rig.vectors.values() for form in (vector.tobytes(), bytes(pack(vector, 32)))]
    hits = sum(needle in hay for needle in needles for hay in seen)
    return Finding(f"{hits} vectors found in {len(seen)} messages and objects", hits == 0 and len(seen) > 60)


def see_masks() -> Finding:
    """Test the masked vectors for uniform bytes; a vector without masks is the control."""
    rig = Rig(dim=DIM, vectors=zeros(Rig(), DIM))
    rig.run()
    statistics = [chi_square(words) for words in masked(rig).values()]
    control = is_uniform(np.arange(DIM, dtype=np.uint32))
    passed = all(150 < statistic < 380 for statistic in statistics)
    return Finding(f"chi-square {min(statistics):.0f} to {max(statistics):.0f} (255 expected)", passed and not control)


def compare_masks() -> Finding:
    """Compare the masks of two rounds and of all clients, and their sums and differences."""
    first = Rig(dim=2000, vectors=zeros(Rig(), 2000), coins=lambda name: seeded(1, name))
    second = in_context(first, round=2)
    coins = Rig(
        parameters=second.parameters, members=first.members, vectors=first.vectors, coins=lambda name: seeded(1, name)
    )
    first.run()
    coins.run()
    words = [*masked(first).values(), *masked(coins).values()]
    pairs = [(one, other) for at, one in enumerate(words) for other in words[:at]]
    equal = max(max(int(np.count_nonzero(a == b)), int(np.count_nonzero(a + b == 0))) for a, b in pairs)
    return Finding(f"at most {equal} of 2000 coordinates equal, with the same coins in both rounds", equal <= 2)


def avalanche() -> Finding:
    """Change each bit of a seed: about half of all mask bits must change, and every seed bit must count."""
    rig, seed = Rig(), seeded(3).bytes(32)
    masks = []
    for bit in [None, *range(256)]:
        changed = bytearray(seed)
        if bit is not None:
            changed[bit // 8] ^= 1 << bit % 8
        words = np.zeros(64, dtype=np.uint32)
        add_mask(words, self_mask_key(rig.session, 0, bytes(changed)))
        masks.append(words)
    shares = [float(np.bitwise_count(masks[0] ^ other).sum()) / 2048 for other in masks[1:]]
    return Finding(
        f"{min(shares):.2f} to {max(shares):.2f} of the bits change", min(shares) > 0.43 and max(shares) < 0.57
    )


def late_client() -> Finding:
    """Declare a client dropped whose masked vector arrived, and take off all of its pairwise masks."""
    rig = Rig(7, dim=DIM, vectors=zeros(Rig(7), DIM))
    private = load(_mask_key_of(rig, "client-6"))
    adverts = {place: advert.mask_keys[0] for place, advert in rig.state.dealt.adverts.items()}
    rig.run()
    residual = masked(rig)["client-6"].copy()
    for peer, public in adverts.items():
        if peer != 6:
            remove = subtract_mask if peer > 6 else add_mask
            remove(residual, pair_mask_key(rig.session, 6, peer, agree(private, public)))
    statistic = chi_square(residual)
    return Finding(f"the rest has chi-square {statistic:.0f} (255 expected)", 150 < statistic < 380)


def _mask_key_of(rig: Rig, name: str) -> bytes:
    """Return a client's private mask key, as its neighbours' shares would give it."""
    rig.run_until("share")
    key: bytes = rig.mind(name).secrets.mask_keys[0]
    rig.run_until("mask")
    return key


def colluders() -> Finding:
    """Let the server and one client less than the threshold pool everything that they know of an honest one.

    Against an independent reference: pairwise masks with colluders are taken off, in Python's integers. What is left of
    the honest vectors must be uniform, except for their sum.
    """
    rig = Rig(7, dim=DIM, vectors=zeros(Rig(7), DIM))
    rig.run_until("share")
    keys = {place: load(rig.mind(rig.session.name(place)).secrets.mask_keys[0]) for place in range(2)}
    seed = rig.mind("client-6").secrets.self_masks[0]
    rig.run_until("mask")
    adverts = {place: advert.mask_keys[0] for place, advert in rig.state.dealt.adverts.items()}
    rig.run_until("agree")
    known = {p + 1: rig.mind(rig.session.name(p)).shares[6].self_mask for p in range(4)}
    rig.run()
    words = masked(rig)
    passed = True
    for honest in range(2, 7):
        rest = words[rig.session.name(honest)].copy()
        for traitor, key in keys.items():
            subtract_or_add = add_mask if traitor < honest else subtract_mask
            subtract_or_add(rest, pair_mask_key(rig.session, honest, traitor, agree(key, adverts[honest])))
        passed &= is_uniform(rest)
    found = any(combine(known, threshold=count) == seed for count in range(1, 5))
    return Finding(f"4 of 5 shares give the seed: {found}; honest vectors uniform: {passed}", passed and not found)


def read_metadata() -> Finding:
    """Run twice with the same coins and other vectors: outside the masked vector every byte must be the same."""
    members = Rig().members

    def wire(scale: int) -> dict[tuple[str, str, str], bytes]:
        vectors = {name: small_vector(name, 8) * np.uint64(scale) for name in Rig().clients}
        rig = Rig(members=members, vectors=vectors, coins=coin)
        rig.run()
        return rig.wire

    one, other = wire(1), wire(77)
    before = [key for key in one if key[0] in ("advertise", "share") or (key[0] == "mask" and key[2] == "request")]
    same = all(one[key] == other[key] for key in before)
    return Finding(f"{len(before)} messages before the masked vector identical: {same}", same and len(before) == 25)


def coin(name: str) -> Source:
    """Return the coins of a client."""
    return seeded(5, name)


def measure_frames() -> Finding:
    """Compare the sizes of all frames of a phase, over vectors and dropouts."""
    sizes: dict[tuple[str, str], set[int]] = {}
    for lost in ((), (("advertise", "client-1"),), (("mask", "client-2"), ("share", "client-3"))):
        rig = Rig(7, vectors={name: small_vector(f"{name}{lost}", 8) for name in Rig(7).clients})
        rig.run(answer=lambda phase, name, data, lost=lost: None if (phase, name) in lost else data)  # type: ignore[misc]
        for (phase, _, direction), data in rig.wire.items():
            sizes.setdefault((phase, direction), set()).add(len(data))
    distinct = max(len(found) for found in sizes.values())
    return Finding(f"{distinct} size a phase and direction", distinct == 1 and len(sizes) == 10)


def count_shares() -> Finding:
    """Count what clients reveal: one share of every owner, of the secret that the agreed survivors call for."""
    rig = Rig(7)
    rig.run(answer=lambda phase, name, data: None if (phase, name) == ("mask", "client-6") else data)
    wrong = 0
    for name in ("client-0", "client-1", "client-5"):
        payload = rig.answer_payload("reveal", name, rig.wire["reveal", name, "answer"])
        _, (shares,) = decode(payload, numbers=0, strings=1)
        wrong += len(shares) != 7 * 32
    return Finding(
        f"{wrong} clients revealed more or less than one share an owner", wrong == 0 and not rig.server.refusals
    )


def search_client() -> Finding:
    """Search a client's memory for its vector and secrets once the masked vector has left."""
    rig = Rig(dim=64)
    rig.run_until("share")
    secrets = rig.mind("client-0").secrets
    rig.run_until("agree")
    memory = b"".join(as_bytes(found) for found in reachable(rig.clients["client-0"]))
    needles = [secrets.box_key, *secrets.mask_keys, *secrets.self_masks, rig.vectors["client-0"].tobytes()]
    hits = sum(needle in memory for needle in needles)
    held = sum(len(as_bytes(found)) == 32 for found in reachable(rig.clients["client-0"]))
    rig.run()
    left = sum(len(as_bytes(found)) == 32 for found in reachable(rig.clients["client-0"]))
    return Finding(
        f"{hits} secrets found after masking; {held} strings of key size, {left} after the round", not hits and not left
    )


def edit_transcript() -> Finding:
    """Change, drop, repeat and move every line of a transcript."""
    rig = Rig()
    rig.run()
    lines, roster = rig.server.transcript.lines, rig.members.roster
    verify_transcript(lines, roster)
    forgeries = []
    for at, line in enumerate(lines):
        entry = json.loads(line)
        bent = canonical(entry | {"kind": entry["kind"] + "x"})
        forgeries += [
            [*lines[:at], *lines[at + 1 :]],
            [*lines[: at + 1], *lines[at:]],
            [*lines[:at], bent, *lines[at + 1 :]],
            [*lines[:at], line.replace("a", "b", 1) if "a" in line else bent, *lines[at + 1 :]],
        ]
        forgeries += [[*lines[:at], lines[at + 1], line, *lines[at + 2 :]]] if at + 1 < len(lines) else []
    return expect([attempt(verify_transcript, forged, roster) for forged in forgeries], VerificationError)


def replace_total() -> Finding:
    """Publish another total than the one in the transcript."""
    rig = Rig()
    total = rig.run().total
    if total is None:
        return Finding("no total", holds=False)
    said = verify_transcript(rig.server.transcript.lines, rig.members.roster).total
    other = total.copy()
    other[0] ^= np.uint64(1)
    noticed = total_digest(total, 32) == said != total_digest(other, 32)
    return Finding(f"noticed: {noticed}", noticed)


def reachable(root: object) -> list[object]:
    """Return every object that can be reached from one, except modules, classes and functions."""
    code = (ModuleType, type, FunctionType, BuiltinFunctionType, CodeType)
    seen: dict[int, object] = {}
    todo = [root]
    while todo:
        found = todo.pop()
        if id(found) not in seen and not isinstance(found, code):
            seen[id(found)] = found
            todo += gc.get_referents(found)
    return list(seen.values())


def as_bytes(found: object) -> bytes:
    """Return the content of arrays and byte strings, and nothing of anything else."""
    if isinstance(found, np.ndarray) and found.dtype != object:
        return found.tobytes()
    return bytes(found) if isinstance(found, bytes | bytearray | memoryview) else b""


ROWS = (
    Row("P01", "server", "searches wire and memory for vectors", "none found", see_wire),
    Row("P02", "server", "tests masked vectors for structure", "uniform bytes", see_masks),
    Row("P03", "server", "compares masks of rounds and clients", "no two alike", compare_masks),
    Row("P04", "outsider", "guesses seeds of masks", "all 256 seed bits count", avalanche),
    Row("P05", "server", "ignores a late client and takes off its masks", "uniform rest", late_client),
    Row("P06", "server", "colludes with clients below the threshold", "uniform rest, no secret", colluders),
    Row("P07", "server", "reads counts or metrics beside the vector", "nothing depends on the data", read_metadata),
    Row("P08", "network", "measures frames", "one size a phase", measure_frames),
    Row("P09", "server", "looks for both shares of an owner", "one share an owner", count_shares),
    Row("P10", "outsider", "searches a client's memory", "own secrets gone after masking", search_client),
    Row("P11", "server", "edits the transcript", "VerificationError", edit_transcript),
    Row("P12", "server", "publishes another total", "digest differs", replace_total),
)
