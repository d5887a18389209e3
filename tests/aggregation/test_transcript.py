"""Whoever has the roster can verify a round; nobody can change, leave out or move a line."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from securefed.aggregation.transcript import canonical, total_digest
from securefed.aggregation.verification import verify_transcript
from securefed.errors import VerificationError
from tests.aggregation.cohorts import context, masked_run, parameters


@pytest.fixture(scope="module")
def finished():
    public = parameters(5, dim=7, context=context(previous=b"p" * 32))
    run = masked_run(public, lost=frozenset({("mask", "client-003")}))
    return run, run.total()


def rechained(entries):
    """Lines that follow each other: what a forger without the server's key can do."""
    head, lines = b"p" * 32, []
    for number, entry in enumerate(entries):
        lines.append(canonical(entry | {"previous": head.hex(), "line": number}))
        head = hashlib.sha256(lines[-1].encode()).digest()
    return lines


def entries_of(run):
    return [json.loads(line) for line in run.server.transcript.lines]


def test_an_honest_transcript_is_verified(finished):
    run, total = finished
    verified = verify_transcript(run.server.transcript.lines, run.scheme._federation.roster)

    assert verified.survivors == run.server.survivors
    assert verified.total == total_digest(total, 32)
    assert verified.head == run.server.transcript.head
    assert verified.parameters.cohort == run.scheme.parameters.cohort
    assert verified.parameters.context == run.scheme.parameters.context
    assert len(verified.agreeing) == 4


def test_newlines_do_not_matter(finished):
    run, _ = finished
    lines = [line + "\n" for line in run.server.transcript.lines]

    assert verify_transcript(lines, run.scheme._federation.roster)


def test_every_removed_repeated_or_swapped_line_is_noticed(finished):
    run, _ = finished
    lines, roster = run.server.transcript.lines, run.scheme._federation.roster
    for at in range(len(lines)):
        removed = lines[:at] + lines[at + 1 :]
        repeated = [*lines[: at + 1], *lines[at:]]
        swapped = lines[:at] + lines[at + 1 : at + 2] + [lines[at]] + lines[at + 2 :]
        for forged in (removed, repeated, *([swapped] if at < len(lines) - 1 else [])):
            with pytest.raises(VerificationError):
                verify_transcript(forged, roster)


def test_every_changed_value_is_noticed_even_if_the_chain_is_made_anew(finished):
    run, _ = finished
    roster = run.scheme._federation.roster
    for at, entry in enumerate(entries_of(run)):
        for key, value in entry.items():
            changed = dict(entry)
            changed[key] = value + 1 if isinstance(value, int) else value[:-1] + ("0" if value[-1:] != "0" else "1")
            entries = entries_of(run)
            entries[at] = changed
            forgeries = [[canonical(each) for each in entries]]
            forgeries += [rechained(entries)] if key not in ("previous", "line") else []
            for forged in forgeries:
                with pytest.raises(VerificationError):
                    verify_transcript(forged, roster)


def test_leaving_out_an_entry_is_noticed_even_if_the_chain_is_made_anew(finished):
    run, _ = finished
    for at in range(len(run.server.transcript.lines)):
        entries = entries_of(run)
        del entries[at]
        with pytest.raises(VerificationError):
            verify_transcript(rechained(entries), run.scheme._federation.roster)


def test_another_roster_does_not_verify(finished):
    run, _ = finished
    with pytest.raises(VerificationError, match="another roster"):
        verify_transcript(run.server.transcript.lines, masked_run(parameters(5)).scheme._federation.roster)


@pytest.mark.parametrize("lines", [[], [""], ["null"], ["{}"], ["[" * 10_000], ['{"kind":"plan"}'], ['{ "a": 1}']])
def test_rubbish_is_refused(lines, finished):
    with pytest.raises(VerificationError):
        verify_transcript(lines, finished[0].scheme._federation.roster)


def test_an_aborted_sum_does_not_verify():
    run = masked_run(parameters(5), lost=frozenset({("mask", "client-001"), ("mask", "client-002")}))
    with pytest.raises(Exception, match="aborted"):
        run.total()
    with pytest.raises(VerificationError):
        verify_transcript(run.server.transcript.lines, run.scheme._federation.roster)


def test_there_is_no_secret_in_it(finished):
    """Nothing that a client sealed, masked or revealed, and no vector, in hexadecimal."""
    run, total = finished
    text = "\n".join(run.server.transcript.lines)
    secret = [vector.astype(np.uint32).tobytes() for vector in run.inputs.values()] + [total.astype("<u4").tobytes()]
    for phase in ("share", "mask", "reveal"):
        for frame in run.sent(phase, "answer").values():
            body = frame.rstrip(b"\0")[-96 - 160 : -66]
            secret += [body[at : at + 16] for at in range(0, len(body) - 16, 16)]

    assert len(secret) > 50
    assert not any(part.hex() in text for part in secret if any(part))
