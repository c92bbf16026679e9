from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.delivery.call_list import Design, call_list
from conversion.stats.hashing import uniform_hash

AS_OF = dt.date(2020, 4, 27)
NOBODY = pd.Series([], dtype="int64")


def drawn(ids: pd.Series, design: Design, suppressed: list[int] | None = None, **at: dt.date) -> pd.DataFrame:
    waits = pd.Series(suppressed or [], dtype="int64")
    return call_list(ids, at.get("as_of", AS_OF), design, waits, NOBODY)


def design_of(
    calls: int, holdout: float = 0.0, explore: float = 0.0, salt: str = "1", depth: float = 5.0
) -> Design:
    return Design(calls, holdout, explore, depth, salt)


def test_without_control_group_and_explorers_the_top_is_called() -> None:
    ids = pd.Series([7, 3, 9, 1, 5])

    found = call_list(ids, AS_OF, design_of(2), pd.Series([3]), pd.Series([7]))

    assert found["id"].tolist() == [7, 3, 9, 1, 5]
    assert found["status"].tolist() == ["objected", "suppressed", "listed", "listed", "below"]
    assert found["call_probability"].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]
    assert found["place"].tolist() == [pd.NA, pd.NA, 1, 2, pd.NA]


def test_an_objection_is_stronger_than_a_suppression() -> None:
    found = call_list(pd.Series([7, 3]), AS_OF, design_of(2), pd.Series([7]), pd.Series([7]))

    assert found["status"].tolist() == ["objected", "listed"]


def test_a_shorter_list_than_the_calls_is_called_whole() -> None:
    found = drawn(pd.Series([7, 3, 9]), design_of(5, holdout=0.4, explore=0.4))

    assert set(found["status"]) <= {"listed", "held_back"}
    assert (found["call_probability"] == 0.6).all()


@settings(deadline=None, max_examples=60)
@given(
    # Left to itself, hypothesis makes short lists, of which all are called.
    ids=st.integers(1, 90).flatmap(
        lambda least: st.lists(st.integers(0, 10_000), min_size=least, max_size=120, unique=True)
    ),
    calls=st.integers(1, 40),
    holdout=st.sampled_from([0.0, 0.1, 0.5]),
    explore=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    depth=st.sampled_from([1.1, 1.5, 5.0]),
    salt=st.text(max_size=4),
)
def test_the_list_is_as_long_as_it_can_be(
    ids: list[int], calls: int, holdout: float, explore: float, depth: float, salt: str
) -> None:
    order, suppressed = pd.Series(ids), ids[::7]
    found = drawn(order, design_of(calls, holdout, explore, salt, depth), suppressed)
    control = uniform_hash(order, salt, seed=0) < holdout
    on_list = found["place"].notna()

    # Where too few explorers are within reach, those listed take their places.
    assert on_list.sum() == min(calls, int((~control & ~order.isin(suppressed)).sum()))
    assert set(found["status"]) <= {"listed", "explored", "held_back", "suppressed", "below"}
    assert (found["status"].isin(["listed", "explored"]) == on_list).all()
    assert not (on_list & control).any()
    assert found.loc[order.isin(suppressed), "status"].eq("suppressed").all()
    by_place = found[on_list].sort_values("place")
    assert by_place["place"].tolist() == list(range(1, len(by_place) + 1))
    kinds = [kind for kind, _ in itertools.groupby(by_place["status"])]
    assert kinds in (["listed"], ["listed", "explored"], ["explored"], [])
    for kind in ("listed", "explored"):
        assert by_place.index[by_place["status"] == kind].is_monotonic_increasing
    assert found.loc[on_list, "call_probability"].gt(0).all()
    assert found.loc[found["status"] == "held_back", "call_probability"].eq(1 - holdout).all()
    below = found["status"].isin(["below", "explored"])
    assert found.loc[~below & ~order.isin(suppressed)].index.max() < found[below].index.min() or not (
        below.any() and (found["status"] == "listed").any()
    )


def test_the_control_group_stays_from_week_to_week_and_another_salt_draws_another() -> None:
    ids = pd.Series(np.arange(400))
    weeks = [dt.date(2020, 4, 27), dt.date(2020, 5, 4)]

    first, second = (drawn(ids, design_of(100, 0.3), as_of=week) for week in weeks)
    other = drawn(ids, design_of(100, 0.3, salt="2"))

    assert first.equals(second)
    held, others = (set(each.loc[each["status"] == "held_back", "id"]) for each in (first, other))
    assert held != others
    assert 20 < len(held) < 70


def test_explorers_are_drawn_anew_each_week() -> None:
    ids = pd.Series(np.arange(1000))
    weeks = [dt.date(2020, 4, 27), dt.date(2020, 5, 4)]

    first, second = (drawn(ids, design_of(100, explore=0.2), as_of=week) for week in weeks)

    explored = [set(each.loc[each["status"] == "explored", "id"]) for each in (first, second)]
    assert [len(each) for each in explored] == [20, 20]
    assert explored[0] != explored[1]
    assert all(min(each) >= 80 and max(each) < 500 for each in explored)


@pytest.mark.parametrize(("holdout", "explore"), [(0.3, 0.0), (0.2, 0.2)])
def test_the_probability_is_the_share_of_salts_that_call_the_company(holdout: float, explore: float) -> None:
    ids, salts = pd.Series(np.arange(60)), 3000
    surely_reached = 10 - round(10 * explore) - 1
    called, called_below, promised_below = np.zeros(60), np.zeros(60), np.zeros(60)
    for salt in range(salts):
        found = drawn(ids, design_of(10, holdout, explore, str(salt)))
        below = found["status"].isin(["explored", "below"])
        called += found["place"].notna()
        called_below += found["status"] == "explored"
        promised_below += found["call_probability"].where(below, 0.0)

    four_deviations = 4 * np.sqrt(holdout * (1 - holdout) / salts)
    assert np.abs(called[:surely_reached] / salts - (1 - holdout)).max() < four_deviations
    assert np.abs(called_below - promised_below).max() / salts < 0.015
    assert (called_below.sum() > 0) == (explore > 0)


def test_all_above_the_cut_have_the_same_chance_also_the_last_that_are_reached() -> None:
    ids, salts, holdout = pd.Series(np.arange(40)), 4000, 0.3
    above, listed = np.zeros(40), np.zeros(40)
    for salt in range(salts):
        found = drawn(ids, design_of(10, holdout, salt=str(salt)))
        cut = found["status"].isin(["listed", "held_back"])
        assert found.loc[cut, "call_probability"].eq(1 - holdout).all()
        above += cut
        listed += found["status"] == "listed"

    often = above > 200
    assert often.sum() > 12  # some of them are reached in part of the draws only
    deviations = np.sqrt(holdout * (1 - holdout) / above[often])
    assert (np.abs(listed[often] / above[often] - (1 - holdout)) < 4 * deviations).all()


def test_text_ids_are_drawn_too() -> None:
    ids = pd.Series([f"c{each}" for each in range(50)], dtype="str")
    none = ids.head(0)

    found = call_list(ids, AS_OF, design_of(10, 0.3, 0.2), none, none)

    assert found["place"].notna().sum() == 10
