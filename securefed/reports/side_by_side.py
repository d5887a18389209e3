"""The kinds of secure sum side by side, for somebody who has to choose: bytes of one client, and who sees what."""

from __future__ import annotations

from securefed.aggregation import encryption, sizes
from securefed.aggregation.encryption import Scheme
from securefed.errors import CapacityError
from securefed.plan import Plan
from securefed.reports.report import Json

CUT = "server: half of each ciphertext, no key; decryptor: key, other half; single updates: the two together only"

SEEN = {
    "plain": "server: every client's update",
    "mask": "server: masked vectors and their sum; single updates: nobody",
    "bfv": CUT,
    "ckks": CUT,
}
"""Who sees what of single updates, by kind of sum; everything else is in SECURITY.md."""


def side_by_side(plan: Plan) -> Json:
    """Return for every kind of sum the bytes that one client sends in a round of this plan, and who sees what.

    The bytes are those of the frames. A kind that cannot add this plan's vectors says why.
    """
    sent: dict[str, int | str] = {
        "plain": sizes.plain(dim=plan.dim, bits=plan.bits),
        "mask": sizes.masked(clients=plan.clients, threshold=plan.threshold, dim=plan.dim, bits=plan.bits),
        "bfv": _encrypted(plan, "bfv"),
        "ckks": _encrypted(plan, "ckks"),
    }
    bytes_sent: Json = {f"bytes_sent_by_a_client_{kind}": size for kind, size in sent.items()}
    return bytes_sent | {f"seen_under_{kind}": seen for kind, seen in SEEN.items()}


def _encrypted(plan: Plan, scheme: Scheme) -> int | str:
    limit = plan.encoding.largest_sum
    try:
        chosen = encryption.choose(scheme, bits=plan.bits, summand=limit, weight=plan.clients, dim=plan.dim)
    except CapacityError as error:
        return str(error)
    return sizes.encrypted(chosen, dim=plan.dim)
