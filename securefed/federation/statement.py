"""What a client's ledger says, which the run's server asks for when the run is over.

::

    0   4   "SFLG"
    4   .   CBOR array: name of the run, the server's signature over run and roster

Only the server of the roster is answered. The answer is the ledger's export as a file, signed by the client: every
charge on this data, those of other runs included, and nothing of a record. Whoever carries it can read it and cannot
change it. An owner whose other runs are nobody's business keeps a ledger, and data, for this run alone.
"""

from __future__ import annotations

from securefed.aggregation.identity import SIGNATURE, Identity, Roster, is_signed
from securefed.aggregation.keys import label
from securefed.aggregation.refusals import BadSignature
from securefed.aggregation.wire import decode, encode

MAGIC = b"SFLG"


def ask(task: str, server: Identity, roster: Roster) -> bytes:
    """Return the request."""
    return MAGIC + encode([], [task.encode(), server.sign(_statement(task.encode(), roster))])


def is_asked(request: bytes) -> bool:
    """Tell whether a request asks for the ledger."""
    return request.startswith(MAGIC)


def check(request: bytes, roster: Roster) -> None:
    """Refuse a request that the server did not make.

    Raises:
        Malformed: If it is not a request for the ledger.
        BadSignature: If the roster's server did not sign it.
    """
    _, (task, signature) = decode(request[len(MAGIC) :], numbers=0, strings=2)
    if len(signature) != SIGNATURE or not is_signed(roster.server, _statement(task, roster), signature):
        raise BadSignature("the request for the ledger is not signed by the server of the roster")


def _statement(task: bytes, roster: Roster) -> bytes:
    return label("ledger", roster.root) + task
