"""Sets of clients have one encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefed.aggregation.members import Members
from securefed.errors import ProtocolError


@given(total=st.integers(1, 70), data=st.data())
def test_a_set_survives_its_encoding(total, data):
    places = data.draw(st.sets(st.integers(0, total - 1)))
    members = Members.of(places, total)

    assert Members.read(members.to_bytes(), total) == members
    assert members.places == tuple(sorted(places))
    assert len(members) == len(places)
    assert [members.rank[place] for place in members] == list(range(len(places)))
    assert all((place in members) == (place in places) for place in range(total))
    assert members <= Members.everybody(total)


@given(one=st.sets(st.integers(0, 9)), other=st.sets(st.integers(0, 9)))
def test_the_order_is_that_of_subsets(one, other):
    assert (Members.of(one, 10) <= Members.of(other, 10)) == (one <= other)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0", b"\0\4", b"\xff\xff"])
def test_what_is_no_set_of_ten_is_refused(data):
    with pytest.raises(ProtocolError, match="bitmap"):
        Members.read(data, 10)
