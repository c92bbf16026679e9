from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.scorecard.contacts import (
    Called,
    Override,
    Reach,
    called_or_not,
    first_touches,
    overrides,
    reach,
)

NAN = float("nan")
FIRST, SECOND = pd.Timestamp("2020-04-20"), pd.Timestamp("2020-04-27")
LISTS = pd.DataFrame(
    [
        # company, list, status, tier, label
        ("a", FIRST, "listed", "very_high", 1.0),
        ("b", FIRST, "listed", "very_high", 0.0),
        ("c", FIRST, "held_back", "very_high", 1.0),
        ("d", FIRST, "listed", "high", 0.0),
        ("e", FIRST, "explored", "medium", 1.0),
        ("f", FIRST, "below", "medium", 0.0),
        ("g", FIRST, "below", "medium", 0.0),
        ("a", SECOND, "suppressed", "very_high", NAN),
        ("b", SECOND, "listed", "very_high", NAN),
    ],
    columns=["id", "as_of", "status", "tier", "label"],
)
CONTACTS = pd.DataFrame(
    [
        ("a", "2020-04-22", "missed"),
        ("a", "2020-04-24", "talking"),
        ("b", "2020-04-19", "talking"),  # before its first list
        ("b", "2020-04-27", "missed"),  # the first day of the second list, after the week of the first
        ("c", "2020-04-26", "refused"),  # held back, and called on the last day all the same
        ("e", "2020-04-20", "reached"),
        ("f", "2020-04-21", "missed"),
        ("x", "2020-04-21", "talking"),  # no prospect
    ],
    columns=["id", "when", "meaning"],
).assign(when=lambda table: pd.to_datetime(table["when"]).astype("datetime64[us]"))


def test_first_touches_by_hand() -> None:
    touched = first_touches(LISTS, CONTACTS)
    assert touched["days"].tolist() == pytest.approx([2, NAN, 6, NAN, 0, 1, NAN, NAN, 0], nan_ok=True)
    assert touched["reached"].tolist() == [True, False, True, False, True, False, False, False, False]
    assert touched[list(LISTS)].equals(LISTS)


def test_reach_by_hand() -> None:
    # On call lists: a, b, d, e, and b again. Called: a after 2 days, e at once, b at once on its second list.
    assert reach(LISTS, CONTACTS) == Reach(
        listed=5, called=3, reached=2, called_rate=3 / 5, reach_rate=2 / 3, days_to_first_touch=0.0
    )


def test_overrides_by_hand() -> None:
    assert overrides(LISTS, CONTACTS) == (
        Override(
            tier="very_high", listed=3, not_called=1, not_called_rate=1 / 3,
            contacted=3, not_listed=1, override_rate=1 / 3,
        ),
        Override(
            tier="high", listed=1, not_called=1, not_called_rate=1.0,
            contacted=0, not_listed=0, override_rate=None,
        ),
        Override(
            tier="medium", listed=1, not_called=0, not_called_rate=0.0,
            contacted=2, not_listed=1, override_rate=1 / 2,
        ),
    )  # fmt: skip


def test_conversions_of_called_and_not_called_by_hand() -> None:
    found = called_or_not(LISTS, CONTACTS)
    assert found.called == Called(companies=2, conversions=2, share=1.0)
    assert found.not_called == Called(companies=2, conversions=0, share=0.0)


def test_without_contacts_or_lists_rates_are_none() -> None:
    none = reach(LISTS, CONTACTS[:0])
    assert (none.listed, none.called, none.called_rate) == (5, 0, 0.0)
    assert (none.reach_rate, none.days_to_first_touch) == (None, None)
    empty = reach(LISTS[:0], CONTACTS)
    assert (empty.listed, empty.called_rate, empty.reach_rate) == (0, None, None)
    assert overrides(LISTS[:0], CONTACTS) == ()
    assert called_or_not(LISTS, CONTACTS[:0]).called == Called(companies=0, conversions=0, share=None)


def test_the_order_of_rows_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        contacts = CONTACTS.iloc[generator.permutation(len(CONTACTS))]
        lists = LISTS.iloc[generator.permutation(len(LISTS))]
        assert reach(lists, contacts) == reach(LISTS, CONTACTS)
        assert called_or_not(lists, contacts) == called_or_not(LISTS, CONTACTS)
        by_tier = {each.tier: each for each in overrides(LISTS, CONTACTS)}
        assert {each.tier: each for each in overrides(lists, contacts)} == by_tier
