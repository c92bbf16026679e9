from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.scorecard.power import (
    Lists,
    companies_after,
    effects_table,
    lists_of,
    smallest_effect,
    weeks_for,
)

LISTS = Lists(calls=50, fresh=10.0, base_rate=0.1, weeks=20)


def test_the_classical_number_of_companies() -> None:
    # 10 % against 15 % needs 683 in each of two equal groups (80 % power, 5 %, two-sided, no correction).
    assert smallest_effect(2 * 683, 0.5, 0.1) == pytest.approx(0.05, abs=2e-4)


def test_new_companies_are_what_counts() -> None:
    assert companies_after(LISTS, 1, 0.0) == 50
    assert companies_after(LISTS, 11, 0.2) == pytest.approx((50 + 100) / 0.8)


def test_more_weeks_and_a_larger_control_group_show_smaller_effects() -> None:
    table = effects_table(LISTS, (4, 26, 104), (0.05, 0.2, 0.5))
    found = np.array(table, dtype=float)
    assert (np.diff(found, axis=0) < 0).all()
    assert (np.diff(found, axis=1) < 0).all()


@pytest.mark.parametrize("effect", [0.1, 0.2])
def test_the_weeks_are_the_first_that_show_the_effect(effect: float) -> None:
    weeks = weeks_for(effect, LISTS, 0.2)
    assert weeks is not None
    before, then = (
        smallest_effect(companies_after(LISTS, each, 0.2), 0.2, LISTS.base_rate)
        for each in (weeks - 1, weeks)
    )
    assert then is not None
    assert before is not None
    assert then <= effect < before


def test_some_effects_are_never_seen() -> None:
    assert weeks_for(0.001, LISTS, 0.1) is None
    assert weeks_for(0.95, LISTS, 0.1) is None
    assert smallest_effect(4, 0.5, 0.9) is None


def test_lists_are_described_from_whom_they_named() -> None:
    calls = pd.DataFrame(
        {
            "id": ["a", "b", "a", "c", "c", "d"],
            "as_of": pd.to_datetime(["2020-01-06"] * 2 + ["2020-01-13"] * 2 + ["2020-01-20"] * 2),
            "label": [1.0, 0.0, 1.0, 0.0, 1.0, np.nan],
        }
    )
    # First lists: a converted, b and c did not, of d nothing is known; c and d were new.
    assert lists_of(calls) == Lists(calls=2, fresh=1.0, base_rate=pytest.approx(1 / 3), weeks=3)
    assert lists_of(calls.assign(label=np.nan)) is None
    assert lists_of(calls.head(2)) is None
