from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.scorecard.effect import (
    called_against_not_called,
    called_within,
    effect_of_exploring,
    effect_of_offering,
    entries,
    first_listed,
    per_call,
)
from conversion.scorecard.intervals import Interval

DAY = pd.Timedelta(days=1)
FIRST = pd.Timestamp("2020-01-06")


def rows_of(*rows: tuple[str, int, str, float, float]) -> pd.DataFrame:
    """Return rows of lists: id, week, status, call probability, label; conversions fall on the tenth day."""
    table = pd.DataFrame(rows, columns=["id", "week", "status", "call_probability", "label"])
    table["as_of"] = FIRST + 7 * DAY * table.pop("week")
    table["horizon_days"] = 30
    table["converted"] = (table["as_of"] + 9 * DAY).where(table["label"] == 1)
    return table


def contact(name: str, day: int) -> dict[str, Any]:
    return {"id": name, "when": FIRST + day * DAY}


def test_a_company_on_many_lists_counts_once_with_its_first() -> None:
    rows = rows_of(
        ("a", 0, "listed", 0.8, 0.0),
        ("a", 1, "listed", 0.8, 1.0),
        ("b", 1, "held_back", 0.8, 1.0),
        ("b", 2, "held_back", 0.8, 1.0),
    )
    found = entries(rows)
    assert found["id"].tolist() == ["a", "b"]
    assert found["label"].tolist() == [0.0, 1.0]
    assert found["weight"].tolist() == pytest.approx([1.25, 5.0])


def test_lists_without_a_draw_bring_nobody_in() -> None:
    rows = rows_of(
        ("a", 0, "listed", 1.0, 1.0), ("a", 1, "listed", 0.8, 0.0), ("b", 0, "suppressed", 0.0, 0.0)
    )
    assert entries(rows)["as_of"].tolist() == [FIRST + 7 * DAY]


def test_a_first_list_without_a_known_outcome_is_not_replaced_by_a_later_one() -> None:
    rows = rows_of(("a", 0, "listed", 0.8, np.nan), ("a", 1, "listed", 0.8, 1.0))
    assert entries(rows).empty


def test_who_was_explored_before_is_stood_in_for() -> None:
    rows = rows_of(
        ("a", 0, "explored", 0.25, 0.0),
        ("a", 1, "listed", 0.5, 0.0),
        ("b", 0, "below", 0.25, 0.0),
        ("b", 1, "listed", 0.5, 0.0),
        ("c", 1, "held_back", 0.5, 0.0),
    )
    found = entries(rows).set_index("id")
    assert found.index.tolist() == ["b", "c"]
    assert found.loc["b", "weight"] == pytest.approx(1 / (0.5 * 0.5))
    assert found.loc["c", "weight"] == pytest.approx(2.0)


def test_an_exploration_after_the_entry_changes_nothing() -> None:
    rows = rows_of(("a", 0, "listed", 0.5, 1.0), ("a", 1, "explored", 0.25, 1.0))
    assert entries(rows)["weight"].tolist() == [2.0]


def test_the_effect_weighs_by_the_probability_of_the_draw() -> None:
    # Half of the first list's companies are held back, a tenth of the second's.
    rows = rows_of(
        ("a", 0, "listed", 0.5, 1.0),
        ("b", 0, "held_back", 0.5, 0.0),
        ("c", 1, "listed", 0.9, 0.0),
        ("d", 1, "held_back", 0.9, 1.0),
    )
    found = effect_of_offering(entries(rows))
    assert found is not None
    # Offered: weights 2 and 10 / 9; held back: 2 and 10.
    assert found.first.rate.value == pytest.approx(2 / (2 + 10 / 9))
    assert found.second.rate.value == pytest.approx(10 / 12)
    assert found.difference.value == pytest.approx(2 / (2 + 10 / 9) - 10 / 12)
    assert (found.first.companies, found.second.conversions) == (2, 1)


def test_without_a_control_group_there_is_no_effect() -> None:
    assert effect_of_offering(entries(rows_of(("a", 0, "listed", 0.8, 1.0)))) is None


def test_explorers_are_compared_with_who_could_have_been_one() -> None:
    rows = rows_of(
        ("a", 0, "explored", 0.5, 1.0),
        ("b", 0, "below", 0.5, 0.0),
        ("b", 1, "below", 0.5, 1.0),
        ("c", 0, "below", 0.0, 1.0),  # was too deep, or held back
        ("d", 0, "listed", 0.9, 1.0),
    )
    found = effect_of_exploring(rows)
    assert found is not None
    assert (found.first.companies, found.second.companies) == (1, 1)
    assert found.second.rate.value == pytest.approx(0.5)


def test_calls_count_within_the_horizon_and_before_the_conversion() -> None:
    rows = rows_of(
        *((name, 0, "listed", 0.8, label) for name, label in zip("abcdef", (0, 0, 1, 1, 0, 0), strict=True))
    )
    contacts = pd.DataFrame(
        [
            contact("a", 0),
            contact("b", 30),
            contact("c", 9),
            contact("d", 10),
            contact("e", -1),
            contact("f", 29),
        ]
    )
    assert called_within(rows, contacts).tolist() == [True, False, True, False, False, True]


def test_the_naive_figure_compares_called_with_not_called() -> None:
    rows = rows_of(
        ("a", 0, "listed", 1.0, 1.0), ("b", 0, "listed", 1.0, 0.0), ("c", 0, "held_back", 0.8, 1.0)
    )
    found = called_against_not_called(first_listed(rows), pd.DataFrame([contact("a", 1)]))
    assert found is not None
    assert found.difference.value == 1.0
    assert (found.first.companies, found.second.companies) == (1, 1)


def test_the_effect_of_a_call_is_that_of_the_offer_over_who_was_called() -> None:
    assert per_call(Interval(0.1, -0.1, 0.2), 0.5) == pytest.approx((0.2, -0.2, 0.4))
    assert np.isnan(per_call(Interval(0.1, 0.0, 0.2), 0.0).value)
