"""As many shares of every secret are kept as rebuild it: the first that came."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.first_shares import FirstShares
from securefed.aggregation.shamir import SHARE
from securefed.rng import seeded

CLIENTS = 12
answers = st.dictionaries(st.integers(0, 2**32 - 2), st.sets(st.integers(0, CLIENTS - 1), min_size=1), max_size=8)


@settings(max_examples=100, deadline=None)
@given(answers=answers, needed=st.integers(1, 6))
def test_the_first_shares_that_came_are_kept_with_their_points(answers, needed):
    kept, came = FirstShares(CLIENTS, needed), defaultdict(dict)
    for holder, owners in answers.items():
        shares = {owner: seeded(holder, str(owner)).bytes(SHARE) for owner in owners}
        kept.add(holder + 1, tuple(shares), b"".join(shares.values()))
        for owner, share in shares.items():
            came[owner][holder + 1] = share

    for owner in range(CLIENTS):
        assert list(kept.of(owner).items()) == list(came[owner].items())[:needed]
