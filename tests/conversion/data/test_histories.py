from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.data.cleaning import clean_companies
from conversion.data.histories import clean_history, histories_of, history_files
from conversion.data.subscriptions import clean_subscriptions
from tests.contract_files import hubspot
from tests.memberships import memberships, table_of

AS_OF = pd.Timestamp("2020-02-24")
HISTORIES = histories_of(memberships())


def day(offset: float) -> pd.Timestamp:
    return AS_OF + pd.Timedelta(days=offset)


def row(team: str, since: float, grade: str | None, region: str | None = "north") -> dict[str, Any]:
    return {"team": team, "since": day(since), "grade_name": grade, "region": region}


def typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return table_of("grades", rows).rename(columns={"team": "id"})


def cleaned(
    rows: list[dict[str, Any]], column: str = "grade", ids: str = "ab", as_of: pd.Timestamp = AS_OF
) -> tuple[pd.DataFrame, pd.DataFrame]:
    return clean_history(typed(rows), column, HISTORIES[column], pd.Series(list(ids), dtype="str"), as_of)


def companies_of(rows: list[dict[str, Any]], as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    teams = table_of("teams", [{"team": team, "created": day(-99)} for team in "ab"])
    histories = {column: cleaned(rows, column, as_of=as_of)[0] for column in HISTORIES}
    named = memberships().companies.subscriptions
    assert named is not None
    payments = table_of("payments", []).rename(columns={"team": "id"})
    periods, _ = clean_subscriptions(payments, teams["team"], as_of, named)
    companies, _ = clean_companies(
        [teams.rename(columns={"team": "id"})], as_of, "most_complete", memberships(), periods, histories
    )
    return companies


def test_which_attributes_have_a_history_and_where_it_is_written() -> None:
    assert list(HISTORIES) == ["grade", "region"]
    assert history_files(memberships()) == {
        "grade": "histories/grade.parquet",
        "region": "histories/region.parquet",
    }
    assert history_files(hubspot()) == {}


def test_no_two_attributes_share_a_file() -> None:
    attributes = memberships().companies.attributes
    twins = {"Grade": attributes["grade"], "grade!": attributes["grade"]}
    companies = memberships().companies.model_copy(update={"attributes": twins})
    files = history_files(memberships().model_copy(update={"companies": companies}))
    assert len(set(files.values())) == 2


def test_rows_are_kept_if_they_are_known() -> None:
    rows = [
        row("b", -9, "pro"),
        row("a", -1, "plus"),
        row("a", -30, None),
        row("a", 0, "pro"),
        row("z", -5, "pro"),
    ]
    clean, quarantine = cleaned(rows)
    assert list(clean) == ["id", "since", "grade_name"]
    assert clean["id"].tolist() == ["a", "a", "b"]
    assert clean["since"].tolist() == [day(-30), day(-1), day(-9)]
    assert clean["grade_name"].isna().tolist() == [True, False, False]
    assert quarantine[["id", "rule"]].to_numpy().tolist() == [
        ["a", "valid_after_as_of"],
        ["z", "orphan_history"],
    ]


def test_of_two_values_of_one_time_the_order_decides_nothing() -> None:
    rows = [row("a", -9, "plus"), row("a", -9, None), row("a", -9, "basic"), row("a", -8.5, "pro")]
    for order in (rows, rows[::-1]):
        clean, quarantine = cleaned(order)
        assert clean["grade_name"].tolist() == ["plus", "pro"]
        assert quarantine["rule"].tolist() == ["duplicate_history"] * 2


def test_the_companys_value_is_the_last_one_known() -> None:
    companies = companies_of([row("a", -9, "plus"), row("a", -3, "pro", "south"), row("a", 2, "basic")])
    assert companies["grade"].tolist()[0] == "pro"
    assert companies["grade"].isna().tolist() == [False, True]
    assert companies["grade_encoded"].tolist()[0] == 3.0
    attributes = list(memberships().companies.attributes)
    assert [name for name in companies if name in attributes] == attributes, "in the contract's order"


def test_a_category_has_the_levels_of_its_history() -> None:
    """Features of earlier moments have them, also if no company has one today."""
    companies = companies_of(
        [row("a", -9, None, "west"), row("a", -3, None, "south"), row("b", 3, None, "east")]
    )
    assert companies["region_encoded"].cat.categories.tolist() == ["south", "west", "Unknown"]
    assert companies["region_encoded"].tolist() == ["south", "Unknown"]
    assert companies["country_encoded"].cat.categories.tolist() == ["Unknown"]


def test_what_the_company_table_says_of_today_is_not_read() -> None:
    """It is as of the day of the export, so no earlier list could know it."""
    contract = memberships()
    with_grade = table_of("teams", [{"team": "a", "created": day(-99)}]).assign(grade="pro")
    tables = [with_grade.rename(columns={"team": "id"})]
    companies, _ = clean_companies(tables, AS_OF, "most_complete", _without_subscriptions(contract), None, {
        column: cleaned([], column)[0] for column in HISTORIES
    })  # fmt: skip
    assert companies["grade"].isna().all()


def _without_subscriptions(contract: Contract) -> Contract:
    update = {"subscriptions": None, "aliases": None, "converted": "created", "ended": None, "value": None}
    update |= {"signed_up": None}
    return contract.model_copy(update={"companies": contract.companies.model_copy(update=update)})


@given(
    drawn=st.lists(
        st.tuples(st.sampled_from("abz"), st.integers(-60, 60), st.sampled_from(["basic", "pro", None])),
        max_size=12,
    ),
    back=st.integers(0, 60),
)
def test_a_history_as_of_a_day_is_that_of_an_export_taken_that_day(
    drawn: list[tuple[str, int, str | None]], back: int
) -> None:
    rows = [row(team, since, grade, grade) for team, since, grade in drawn]
    known = [each for each in rows if each["since"] < day(-back)]
    pd.testing.assert_frame_equal(companies_of(rows, day(-back)), companies_of(known, day(-back)))
    for column in HISTORIES:
        pd.testing.assert_frame_equal(
            cleaned(rows, column, as_of=day(-back))[0], cleaned(known, column, as_of=day(-back))[0]
        )
