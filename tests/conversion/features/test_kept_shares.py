from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.params import KeepNegatives
from conversion.features.snapshots import kept_shares


@given(
    seen=st.floats(1e-6, 1),
    never_seen=st.floats(1e-6, 1),
    shares_from=st.integers(1, 10**9),
    companies=st.integers(0, 10**7),
    weeks=st.integers(0, 5000),
)
def test_as_many_are_kept_as_of_the_size_that_the_shares_are_for_or_all(
    seen: float, never_seen: float, shares_from: int, companies: int, weeks: int
) -> None:
    share = KeepNegatives(seen=seen, never_seen=never_seen, shares_from=shares_from)
    kept = kept_shares(share, companies, weeks)
    there = companies * weeks
    for given_share, found in ((seen, kept.seen), (never_seen, kept.never_seen)):
        if there >= shares_from:
            assert found == given_share
        else:
            assert found * there == pytest.approx(min(given_share * shares_from, there))
        assert given_share <= found <= 1
