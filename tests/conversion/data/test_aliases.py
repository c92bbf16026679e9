from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.data.aliases import current_ids, known_ids, merge_companies, merge_usage, replaced
from conversion.data.clean_tables import clean_tables, cleaning_report
from conversion.data.period import Period
from conversion.data.timeline import WEEK
from conversion.runtime.errors import ExportError
from tests.memberships import memberships, table_of

AS_OF = pd.Timestamp("2020-02-24")
PERIOD = Period(AS_OF - 30 * WEEK, AS_OF + 9 * WEEK, AS_OF)
ALIASES = memberships().companies.aliases
assert ALIASES is not None
LAST, BEFORE = AS_OF - WEEK, AS_OF - 2 * WEEK


def current_of(*pairs: tuple[Any, Any]) -> dict[Any, Any]:
    assert ALIASES is not None
    return dict(current_ids(pd.DataFrame(pairs, columns=["id", "into"]), ALIASES))


def day(offset: int | None) -> pd.Timestamp | None:
    return None if offset is None else AS_OF + pd.Timedelta(days=offset)


def teams(**created: int | None) -> pd.DataFrame:
    """Return teams by the day around `AS_OF` of their sign-up, as they are typed."""
    rows = [{"team": team, "created": day(when), "name": team.upper()} for team, when in created.items()]
    return table_of("teams", rows).rename(columns={"team": "id"})


def week(team: str, when: pd.Timestamp, *values: float) -> dict[str, Any]:
    """Return a week's boards, files, users of boards, gigabytes, call minutes and tasks."""
    names = ["board_actions", "file_actions", "board_users", "gigabytes", "call_minutes", "tasks"]
    return {"id": team, "week": when, **dict(zip(names, values, strict=True))}


def tables_of(companies: pd.DataFrame, pairs: list[tuple[str, str]], usage: list[dict[str, Any]]) -> Any:
    payments, grades = (table_of(name, []).rename(columns={"team": "id"}) for name in ("payments", "grades"))
    merged = pd.DataFrame(pairs, columns=["id", "into"], dtype="str")
    counts = dict.fromkeys(memberships().counts, "int64")
    activity = pd.DataFrame(usage).astype({"id": "str", **counts})
    return {
        "teams": companies,
        "payments": payments,
        "merged": merged,
        "grades": grades,
        "activity": activity,
    }


# Chains


def test_ids_are_followed_to_the_end() -> None:
    assert current_of() == {}
    assert current_of(("a", "b"), ("b", "c"), ("x", "c"), ("c", "d")) == {
        "a": "d",
        "b": "d",
        "c": "d",
        "x": "d",
    }
    assert current_of(("b", "c"), ("a", "b"), ("a", "b")) == {"a": "c", "b": "c"}, "a row may be there twice"
    assert current_of((1, 2), (2, 3)) == {1: 3, 2: 3}


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("a", "a")], "a -> a"),
        ([("a", "b"), ("b", "a")], "a -> b -> a"),
        ([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("d", "e")], "a -> b -> c -> a"),
        ([(7, 8), (8, 7)], "7 -> 8 -> 7"),
    ],
)
def test_a_circle_is_refused(pairs: list[tuple[Any, Any]], found: str) -> None:
    with pytest.raises(ExportError) as error:
        current_of(*pairs)
    assert str(error.value) == (
        "merged: new: expected that each old leads to an id that is still used; "
        f"found {found}; remove one of the rows"
    )


def test_an_id_that_became_two_is_refused() -> None:
    with pytest.raises(ExportError) as error:
        current_of(("a", "c"), ("a", "b"))
    assert str(error.value) == (
        "merged: new: expected one id for each old; found that a became b and c; keep one of the rows"
    )


@given(st.permutations(range(12)), st.data())
def test_any_forest_is_followed_to_its_roots(order: list[int], data: st.DataObject) -> None:
    """Each id becomes one that comes earlier in an order, so there is no circle."""
    parents = {
        order[place]: order[data.draw(st.integers(0, place - 1))]
        for place in range(1, 12)
        if data.draw(st.booleans())
    }
    expected = {}
    for each in parents:
        root = each
        while root in parents:
            root = parents[root]
        expected[each] = root
    assert current_of(*data.draw(st.permutations(list(parents.items())))) == expected


def test_large_ids_keep_their_digits() -> None:
    large = 2**60 + 1
    ids = pd.Series([1, large, 3])
    found = replaced(ids, {1: large + 1})
    assert found.tolist() == [large + 1, large, 3]
    assert found.dtype == np.int64
    assert ids.tolist() == [1, large, 3], "the input is left as it was"
    assert replaced(ids, {}) is ids


def test_former_ids_of_known_companies_are_known() -> None:
    ids = known_ids(pd.Series(["b"], dtype="str"), {"a": "b", "x": "y"})
    assert ids.tolist() == ["b", "a"]


# Companies


def test_the_company_of_the_id_of_today_is_kept() -> None:
    kept, merged = merge_companies([teams(a=-90, b=-50, c=-40)], {"a": "b"}, AS_OF, memberships())
    assert kept[0][["id", "name"]].to_numpy().tolist() == [["b", "B"], ["c", "C"]]
    assert merged[0][["id", "name"]].to_numpy().tolist() == [["a", "A"]]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(-90, -50, -90), (-50, -90, -90), (None, -50, None), (-50, None, None), (-50, -50, -50)],
)
def test_it_signed_up_when_the_first_of_them_did(
    old: int | None, new: int | None, expected: int | None
) -> None:
    kept, _ = merge_companies([teams(a=old, b=new)], {"a": "b"}, AS_OF, memberships())
    found = kept[0]["created"].item()
    assert pd.isna(found) if expected is None else found == day(expected)


@pytest.mark.parametrize("created", [0, 5])
def test_an_old_id_stands_in_until_that_of_today_is_known(created: int) -> None:
    tables = [teams(a=-90), teams(b=created)]
    kept, merged = merge_companies(tables, {"a": "b"}, AS_OF, memberships())
    assert [table["id"].tolist() for table in kept] == [["b"], ["b"]]
    assert [len(table) for table in merged] == [0, 0]
    # An export of that time has not got the new row at all.
    alone, _ = merge_companies(tables[:1], {"a": "b"}, AS_OF, memberships())
    pd.testing.assert_frame_equal(alone[0], kept[0])


def test_a_company_of_which_only_the_old_row_is_there_goes_on_under_the_id_of_today() -> None:
    tables = tables_of(teams(a=-90), [("a", "b")], [week("a", LAST, 3, 1, 2, 1, 1, 1)])
    clean, quarantine = clean_tables(tables, PERIOD, "most_complete", memberships())
    assert clean.companies[["id", "name"]].to_numpy().tolist() == [["b", "A"]]
    assert clean.usage["id"].tolist() == ["b"]
    assert quarantine.companies.empty


# Usage


def test_a_week_is_added_up_and_measures_are_combined() -> None:
    rows = [
        week("a", LAST, 3, 1, 2, 7.5, 1.5, 9), week("b", LAST, 10, 5, 4, 2.0, 2.0, 4),
        week("a", BEFORE, 1, 0, 1, np.nan, np.nan, 6), week("b", BEFORE, 2, 2, 0, np.nan, np.nan, np.nan),
        week("c", LAST, 8, 8, 8, 1, 1, 1),
    ]  # fmt: skip
    tables = tables_of(teams(a=-90, b=-50, c=-40), [("a", "b")], rows)
    clean, quarantine = clean_tables(tables, PERIOD, "most_complete", memberships())
    assert list(clean.usage)[2:] == [*memberships().counts, "storage", "minutes", "open_tasks"]
    expected = [
        ["b", BEFORE, 3, 2, 1, np.nan, np.nan, 6],
        ["b", LAST, 13, 6, 6, 7.5, 3.5, 4],
        ["c", LAST, 8, 8, 8, 1, 1, 1],
    ]
    expected_frame = pd.DataFrame(expected, columns=list(clean.usage)).astype(clean.usage.dtypes.to_dict())
    pd.testing.assert_frame_equal(clean.usage, expected_frame)
    assert quarantine.usage.empty
    assert quarantine.companies[["id", "rule"]].to_numpy().tolist() == [["a", "merged_company"]]
    report: Any = cleaning_report(clean, quarantine, AS_OF, memberships())
    assert report["companies"]["kept"] == 2
    assert report["companies"]["quarantined"]["merged_company"] == 1


def test_a_repeated_or_broken_row_is_not_added() -> None:
    rows = [
        week("a", LAST, 3, 1, 2, 1, 1, 1), week("a", LAST, 9, 0, 2, 0, 0, 0),
        week("b", LAST, -1, 1, 0, 1, 1, 1), week("x", LAST, 3, 1, 2, 1, 1, 1),
    ]  # fmt: skip
    tables = tables_of(teams(a=-90, b=-50), [("a", "b"), ("x", "nobody")], rows)
    clean, quarantine = clean_tables(tables, PERIOD, "most_complete", memberships())
    assert clean.usage[["id", "board_actions", "file_actions"]].to_numpy().tolist() == [["b", 3, 1]]
    assert quarantine.usage[["id", "rule"]].to_numpy().tolist() == [
        ["a", "duplicate_week"], ["b", "negative_count"], ["x", "orphan_usage"],
    ]  # fmt: skip


def test_counts_may_have_any_name() -> None:
    contract = Contract.model_validate(
        {
            "companies": {"tables": ["teams"], "id": "id", "ids": "text", "converted": "paid"},
            "usage": {
                "table": "weeks",
                "id": "id",
                "time": "week",
                "modules": {"now": {"actions": "today", "users": "then"}},
            },
        }
    )
    usage = pd.DataFrame({"id": ["a", "b"], "week": [LAST, LAST], "today": [3, 10], "then": [1, 5]})
    assert merge_usage(usage, {"a": "b"}, contract)[["today", "then"]].to_numpy().tolist() == [[13, 6]]


def test_without_aliases_usage_stays_as_it_is() -> None:
    usage = tables_of(teams(a=-9), [], [week("a", LAST, 3, 1, 2, 1, 1, 1)])["activity"]
    assert merge_usage(usage, {"x": "a"}, memberships()) is usage


# Subscriptions and histories


def test_subscriptions_and_histories_move() -> None:
    tables = tables_of(
        teams(a=-90, b=-50, c=-40), [("a", "b"), ("b", "c")], [week("c", LAST, 3, 1, 2, 1, 1, 1)]
    )
    payments = [
        {"id": "a", "from_day": day(-80), "to_day": day(-60), "amount": 20.0, "kind": "paid"},
        {"id": "b", "from_day": day(-60), "to_day": day(-30), "amount": 50.0, "kind": "paid"},
        {"id": "c", "from_day": day(-20), "to_day": None, "amount": 90.0, "kind": "paid"},
    ]
    grades = [
        {"id": "a", "since": day(-80), "grade_name": "basic", "region": "north"},
        {"id": "b", "since": day(-10), "grade_name": "pro", "region": None},
        {"id": "c", "since": day(-30), "grade_name": "plus", "region": "south"},
    ]
    tables["payments"] = pd.DataFrame(payments).astype(tables["payments"].dtypes.to_dict())
    tables["grades"] = pd.DataFrame(grades).astype(tables["grades"].dtypes.to_dict())
    clean, _ = clean_tables(tables, PERIOD, "most_complete", memberships())
    assert clean.periods["id"].tolist() == ["c", "c"]
    assert clean.periods["start"].tolist() == [day(-80), day(-20)]
    company = clean.companies.iloc[0]
    assert clean.companies["id"].tolist() == ["c"]
    assert (company["grade"], company["converted"], company["value"]) == ("pro", day(-80), 20.0)
    assert pd.isna(company["region"]), "the last value says that it is not known"
    assert clean.histories["grade"]["grade_name"].tolist() == ["basic", "plus", "pro"]
