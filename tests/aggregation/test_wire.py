"""The reader accepts exactly what the writer writes."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from securefed.aggregation.refusals import Malformed
from securefed.aggregation.wire import HEADER, Kind, array_head, decode, encode, frame, string_head, unframe

numbers = st.lists(st.integers(0, 2**64 - 1), max_size=5)
strings = st.lists(st.binary(max_size=300), max_size=5)


@given(numbers=numbers, strings=strings)
def test_fields_survive_and_any_cbor_reader_reads_them(numbers, strings):
    data = encode(numbers, strings)

    assert decode(data, numbers=len(numbers), strings=len(strings)) == (numbers, strings)
    assert cbor2.loads(data) == [*numbers, *strings]


@given(length=st.integers(0, 70_000), count=st.integers(1, 30))
def test_heads_are_those_of_cbor(length, count):
    assert string_head(length) + bytes(length) == cbor2.dumps(bytes(length), canonical=True)
    assert array_head(count) + b"\0" * count == cbor2.dumps([0] * count, canonical=True)


@settings(max_examples=500)
@given(data=st.binary(max_size=40), count=st.integers(0, 3), texts=st.integers(0, 3))
@example(data=b"\x9f\x01\xff", count=1, texts=0)
@example(data=b"\x81\x18\x01", count=1, texts=0)
@example(data=b"\x81\xc2\x41\x01", count=1, texts=0)
@example(data=b"\x81\xfa\0\0\0\0", count=1, texts=0)
@example(data=b"\x81\x5b" + b"\xff" * 8, count=0, texts=1)
def test_whatever_is_accepted_is_the_one_encoding_of_what_it_says(data, count, texts):
    try:
        fields = decode(data, numbers=count, strings=texts)
    except Malformed:
        return
    assert encode(*fields) == data


@given(numbers=numbers, strings=strings, data=st.data())
def test_a_cut_or_longer_message_is_refused(numbers, strings, data):
    whole = encode(numbers, strings)
    cut = data.draw(st.integers(0, len(whole) - 1))

    for wrong in (whole[:cut], whole + b"\0"):
        with pytest.raises(Malformed):
            decode(wrong, numbers=len(numbers), strings=len(strings))


def test_frames_have_one_size_and_one_kind():
    data = frame(Kind.ADVERT, [b"bo", b"dy"], size=64)

    assert len(data) == 64
    assert unframe(Kind.ADVERT, data, size=64) == b"body"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:-1], "63"),
        (lambda data: data + b"\0", "65"),
        (lambda data: b"", "has 0"),
        (lambda data: b"SFEE" + data[4:], "version"),
        (lambda data: data[:4] + b"\1" + data[5:], "version"),
        (lambda data: data[:5] + b"\4" + data[6:], "kind"),
        (lambda data: data[:9] + b"\5" + data[10:-1] + b"\1", "zeros"),
        (lambda data: data[:9] + b"\3" + data[10:], "zeros"),
        (lambda data: data[:6] + b"\xff\xff\xff\xff" + data[10:], "zeros"),
    ],
)
def test_a_changed_frame_is_refused(change, reason):
    data = frame(Kind.ADVERT, [b"bo", b"dy"], size=64)

    with pytest.raises(Malformed, match=reason):
        unframe(Kind.ADVERT, change(data), size=64)


def test_a_body_that_does_not_fit_is_never_sent():
    with pytest.raises(Malformed, match="does not fit"):
        frame(Kind.ADVERT, [bytes(64 - HEADER + 1)], size=64)
