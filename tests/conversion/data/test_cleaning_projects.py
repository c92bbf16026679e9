"""Cleaning under another contract: text ids, sign-up, end, a module without users; or no value at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversion.config.attribute_kinds import Date
from conversion.config.data_contract import Contract
from conversion.data import cleaning
from conversion.data.attribute_block import attribute_block
from conversion.data.clean_tables import clean_tables, cleaning_report
from conversion.data.period import Period
from conversion.data.timeline import WEEK, labels, prospects_at
from conversion.runtime.errors import ExportError
from tests.contract_files import hubspot, projects

AS_OF = pd.Timestamp("2020-02-24")
PERIOD = Period(AS_OF - 30 * WEEK, AS_OF + 9 * WEEK, AS_OF)
STRATEGIES = ["most_complete", "first", "last"]
TYPES = {
    "id": "str", "created": "datetime64[us]", "paid_since": "datetime64[us]", "cancelled": "datetime64[us]",
    "arr": "float64", "country": "str", "plan": "str", "head_count": "float64", "is_partner": "boolean",
    "name": "str", "owner": "str",
}  # fmt: skip


def day(offset: int | None) -> pd.Timestamp | None:
    return None if offset is None else AS_OF + pd.Timedelta(days=offset)


def account(
    company: str, created: int | None, paid: int | None = None, ended: int | None = None, **more: Any
) -> dict[str, Any]:
    """Give an account by the days around `AS_OF` of its sign-up, first payment and end."""
    about = {"country": "DE", "plan": "free", "head_count": 3.0, "is_partner": True}
    about |= {"name": f"{company} Ltd", "owner": "ann", "arr": None if paid is None else 100.0}
    return {
        "id": company,
        "created": day(created),
        "paid_since": day(paid),
        "cancelled": day(ended),
        **about,
        **more,
    }


def table_of(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def cleaned(
    *rows: dict[str, Any], deduplication: str = "most_complete", contract: Contract | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    return cleaning.clean_companies([table_of(*rows)], AS_OF, deduplication, contract or projects())


def without(*roles: str) -> Contract:
    """Give the contract without some of the columns that it may lack."""
    companies = projects().companies.model_copy(update=dict.fromkeys(roles))
    return projects().model_copy(update={"companies": companies})


# Companies


def test_the_columns_of_the_clean_table() -> None:
    companies, quarantine = cleaned(account("0042", -90, -30), account("0007", -90, plan="team"))
    rest = ["created", "cancelled", "name", "owner", "country", "plan", "head_count", "is_partner"]
    encoded = ["country_encoded", "plan_encoded", "is_partner_encoded"]
    assert list(companies) == ["id", "paid_since", "arr", "conversion_valid", *rest, *encoded]
    assert list(quarantine) == ["id", "paid_since", "arr", *rest, "rule"]
    assert companies["id"].tolist() == ["0007", "0042"], "sorted, and zeros are kept"
    assert companies["name"].tolist() == ["0007 Ltd", "0042 Ltd"]
    assert companies["plan_encoded"].tolist() == [2.0, 1.0]
    assert companies["conversion_valid"].all()


def test_who_has_not_signed_up_is_not_there() -> None:
    companies, quarantine = cleaned(
        account("a", -1), account("b", 0), account("c", None), account("d", 9, 20)
    )
    assert companies["id"].tolist() == ["a", "c"]
    assert quarantine[["id", "rule"]].to_numpy().tolist() == [
        ["b", "signed_up_after_as_of"],
        ["d", "signed_up_after_as_of"],
    ]


def test_an_end_before_the_conversion_or_without_one_is_not_used() -> None:
    rows = [
        account("a", -90, -30, -31), account("b", -90, -30, -30), account("c", -90, None, -5),
        account("d", -90, 10, -5), account("e", -90, -30, 5),
    ]  # fmt: skip
    companies, quarantine = cleaned(*rows)
    assert companies["cancelled"].notna().tolist() == [False, True, False, False, False]
    assert quarantine[["id", "rule"]].to_numpy().tolist() == [
        [company, "ended_before_converted"] for company in "acd"
    ]
    assert quarantine["cancelled"].notna().all(), "the quarantine shows it"
    assert prospects_at(companies, AS_OF, projects()).tolist() == [False, True, True, True, False]


def test_a_sign_up_after_the_conversion_is_not_used() -> None:
    companies, quarantine = cleaned(account("a", -10, -30), account("b", -30, -30), account("c", -10, 5))
    assert companies["created"].notna().tolist() == [False, True, True]
    assert companies["paid_since"].notna().tolist() == [True, True, False]
    assert quarantine[["id", "rule"]].to_numpy().tolist() == [["a", "converted_before_signed_up"]]
    assert prospects_at(companies, AS_OF - 5 * WEEK, projects()).tolist() == [True, False, False]


def test_the_day_of_signing_up_may_be_an_attribute_too() -> None:
    companies = projects().companies
    attributes = {"created": Date(kind="date"), **companies.attributes}
    contract = projects().model_copy(
        update={"companies": companies.model_copy(update={"attributes": attributes})}
    )
    rows = [account("a", -10), account("b", -10, -30), account("c", None)]
    table, _ = cleaned(*rows, contract=contract)
    assert table.columns.is_unique
    assert table["created"].notna().tolist() == [True, False, False], "after the conversion it is wrong"
    moments = pd.DatetimeIndex([AS_OF - 2 * WEEK, AS_OF])
    ages = attribute_block(table[["id", "created_encoded"]], moments, [("created", attributes["created"])])
    np.testing.assert_array_equal(ages[0, :, 0], [np.nan, 10.0], "it is not known before")
    assert np.isnan(ages[1:]).all()


def test_one_row_may_break_several_rules() -> None:
    companies, quarantine = cleaned(account("a", -10, -30, -40, arr=0.0))
    assert quarantine["rule"].tolist() == [
        "mrr_not_positive",
        "converted_before_signed_up",
        "ended_before_converted",
    ]
    assert companies[["created", "cancelled"]].isna().all(axis=None)
    assert not companies["conversion_valid"].any()


@pytest.mark.parametrize("deduplication", STRATEGIES)
@pytest.mark.parametrize(
    ("later_end", "now", "ten_weeks_ago"), [(None, False, False), (-3, True, False), (3, False, False)]
)
def test_who_pays_again_is_no_prospect(
    deduplication: str, later_end: int | None, now: bool, ten_weeks_ago: bool
) -> None:
    """The first conversion ended 120 days ago, and the second one began 20 days later."""
    rows = [account("a", -200, -150, -120), account("a", -200, -100, later_end), account("b", -200)]
    companies, quarantine = cleaned(*rows, deduplication=deduplication)
    assert companies["paid_since"].tolist() == [day(-150), pd.NaT]
    assert quarantine["rule"].tolist() == ["later_conversion"]
    assert prospects_at(companies, AS_OF, projects()).tolist() == [now, True]
    assert prospects_at(companies, AS_OF - 10 * WEEK, projects()).tolist() == [ten_weeks_ago, True]


def test_a_second_conversion_that_is_not_known_yet_changes_nothing() -> None:
    companies, _ = cleaned(account("a", -200, -150, -120), account("a", -200, 3, 50))
    assert companies["cancelled"].tolist() == [day(-120)]
    assert prospects_at(companies, AS_OF, projects()).tolist() == [True]


def test_a_flag_that_is_no_says_as_much_as_one_that_is_yes() -> None:
    said, silent = account("a", -9, is_partner=False), account("a", -9, is_partner=None, owner="zoe")
    for rows in ([said, silent], [silent, said]):
        companies, quarantine = cleaned(*rows)
        assert companies["is_partner"].tolist() == [False]
        assert quarantine["rule"].tolist() == ["duplicate_company"]


def test_rules_need_their_columns() -> None:
    assert cleaning.company_rules(hubspot()) == ("duplicate_company", "later_conversion", "mrr_not_positive")
    assert cleaning.company_rules(projects()) == tuple(
        rule for rule in cleaning.COMPANY_RULES if rule != "merged_company"
    )
    bare = without("value", "signed_up", "ended")
    assert cleaning.company_rules(bare) == ("duplicate_company", "later_conversion")
    assert cleaning.usage_rules(projects()) == tuple(cleaning.USAGE_RULES)


def test_a_contract_may_record_conversions_alone() -> None:
    bare = without("value", "signed_up", "ended")
    companies, quarantine = cleaned(account("a", 5, -30, -40, arr=-1.0), account("b", -9), contract=bare)
    assert list(companies)[:4] == ["id", "paid_since", "conversion_valid", "name"]
    assert companies["conversion_valid"].all()
    assert not {"arr", "created", "cancelled"} & set(companies)
    assert quarantine.empty
    weeks = pd.DatetimeIndex([AS_OF - 5 * WEEK, AS_OF])
    found = labels(companies, weeks, pd.Timedelta(days=30), bare)
    np.testing.assert_array_equal(found, [[1, np.nan], [0, 0]])


def test_tables_may_lack_what_their_companies_have_not_done() -> None:
    paying = table_of(account("b", -90, -30, -9)).drop(columns="owner")
    free = table_of(account("a", -90), account("c", 3)).drop(columns=["paid_since", "cancelled", "arr"])
    for tables in ([paying, free], [free, paying]):
        companies, quarantine = cleaning.clean_companies(tables, AS_OF, "most_complete", projects())
        assert companies["paid_since"].tolist() == [pd.NaT, day(-30)]
        assert companies["owner"].isna().tolist() == [False, True]
        assert companies.dtypes["cancelled"] == "datetime64[us]"
        assert quarantine["id"].tolist() == ["c"]


# Time travel

offsets = st.integers(-40, 40) | st.none()
levels = st.sampled_from(["free", "team", None])


@st.composite
def exports(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw accounts, some of them with several rows; days may contradict each other."""
    rows = []
    for company in draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1)):
        created, converts = draw(offsets), draw(st.booleans())
        for _ in range(draw(st.integers(1, 3))):
            paid = draw(offsets) if converts else None
            more = {"plan": draw(levels), "country": draw(st.sampled_from(["DE", "US", None]))}
            more["arr"] = draw(st.sampled_from([None, -1.0, 100.0, 200.0])) if paid is not None else None
            rows.append(account(company, created, paid, draw(offsets), **more))
    return rows


def export_at(rows: list[dict[str, Any]], as_of: pd.Timestamp) -> list[dict[str, Any]]:
    """Give, row by row, what an export taken at ``as_of`` would have shown of an account."""
    shown = []
    for row in map(dict, rows):
        paid = row["paid_since"]
        same = [each["paid_since"] for each in rows if each["id"] == row["id"] and each["paid_since"]]
        later = paid is not None and paid > min(same)
        if row["created"] is not None and row["created"] >= as_of:
            continue
        if later and paid >= as_of:
            continue
        if paid is not None and paid >= as_of:
            row |= {"paid_since": None, "arr": None}
        if row["cancelled"] is not None and row["cancelled"] >= as_of:
            row["cancelled"] = None
        shown.append(row)
    return shown


@settings(max_examples=100)
@example([account("a", -90, -30, -25), account("a", -90, -30, 5)], 0, "most_complete")
@example([account("a", -90, plan=None), account("a", -90, 3, owner=None)], 0, "most_complete")
@given(rows=exports(), back=st.integers(0, 40), deduplication=st.sampled_from(STRATEGIES))
def test_an_export_as_of_a_day_is_the_export_taken_that_day(
    rows: list[dict[str, Any]], back: int, deduplication: str
) -> None:
    then = day(-back)
    assert then is not None
    full, _ = cleaning.clean_companies([table_of(*rows)], then, deduplication, projects())
    taken, _ = cleaning.clean_companies([table_of(*export_at(rows, then))], then, deduplication, projects())
    pd.testing.assert_frame_equal(full, taken)


@settings(max_examples=50)
@given(rows=exports(), order=st.randoms(use_true_random=False))
def test_every_company_is_kept_or_in_quarantine_in_any_order(rows: list[dict[str, Any]], order: Any) -> None:
    companies, quarantine = cleaned(*rows)
    dropped = quarantine["rule"].isin(["duplicate_company", "later_conversion", "signed_up_after_as_of"])
    assert len(companies) + dropped.sum() == len(rows)
    assert companies["id"].is_unique
    order.shuffle(rows)
    pd.testing.assert_frame_equal(cleaned(*rows)[0], companies)


# Usage


def week(company: str, when: pd.Timestamp, counts: list[int]) -> dict[str, Any]:
    """Give a week's projects, automations and invoices, then the users of projects and of invoices."""
    return {"id": company, "week": when, **dict(zip(projects().counts, counts, strict=True))}


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (week("a", AS_OF - WEEK, [3, 0, 2, 3, 2]), None),
        (week("a", AS_OF - WEEK, [3, 0, 2, 4, 2]), "actions_below_users"),
        (week("a", AS_OF - WEEK, [3, 0, 1, 3, 2]), "actions_below_users"),
        (week("a", AS_OF - WEEK, [3, -1, 2, 3, 2]), "negative_count"),
        (week("A", AS_OF - WEEK, [3, 0, 2, 3, 2]), "orphan_usage"),
        (week("a", AS_OF, [3, 0, 2, 3, 2]), "after_as_of"),
        (week("a", AS_OF + 10 * WEEK, [3, 0, 2, 3, 2]), "stray_week"),
    ],
)
def test_each_usage_rule(row: dict[str, Any], rule: str | None) -> None:
    ids = pd.Series(["a"], dtype="str")
    kept, quarantine = cleaning.clean_usage(pd.DataFrame([row]), ids, PERIOD, projects())
    assert len(kept) == (rule is None)
    assert list(quarantine["rule"]) == ([] if rule is None else [rule])


SIGNED_UP = pd.Series([AS_OF - WEEK + pd.Timedelta(days=3)], index=pd.Index(["a"], dtype="str"))


@pytest.mark.parametrize(
    ("ago", "before_sign_up", "dropped"), [(1, "drop", False), (2, "drop", True), (2, "keep", False)]
)
def test_usage_of_weeks_before_the_sign_up(ago: int, before_sign_up: str, dropped: bool) -> None:
    usage = projects().usage.model_copy(update={"before_sign_up": before_sign_up})
    contract = projects().model_copy(update={"usage": usage})
    # The company b has no day of sign-up: it was always there.
    rows = pd.DataFrame([week(company, AS_OF - ago * WEEK, [3, 0, 2, 3, 2]) for company in "ab"])
    ids = pd.Series(["a", "b"], dtype="str")
    kept, quarantine = cleaning.clean_usage(rows, ids, PERIOD, contract, SIGNED_UP)
    assert list(quarantine["id"] + " " + quarantine["rule"]) == (["a before_sign_up"] if dropped else [])
    assert list(kept["id"]) == (["b"] if dropped else ["a", "b"])
    assert ("before_sign_up" in cleaning.usage_rules(contract)) == (before_sign_up == "drop")


def test_without_users_no_action_is_below_them() -> None:
    modules = {
        name: each.model_copy(update={"users": None}) for name, each in projects().usage.modules.items()
    }
    usage = projects().usage.model_copy(update={"modules": modules})
    contract = projects().model_copy(update={"usage": usage})
    row = pd.DataFrame([{"id": "a", "week": AS_OF - WEEK} | dict.fromkeys(contract.counts, 0)])
    kept, quarantine = cleaning.clean_usage(row, pd.Series(["a"]), PERIOD, contract)
    assert (len(kept), len(quarantine)) == (1, 0)
    assert "actions_below_users" not in cleaning.usage_rules(contract)


def test_the_report_names_the_rules_of_the_contract() -> None:
    accounts = table_of(account("a", -90, -30, -40), account("b", 3))
    rows = pd.DataFrame([week("b", AS_OF - WEEK, [3, 0, 2, 3, 2])])
    tables = {"accounts": accounts, "weekly_usage": rows}
    clean, quarantine = clean_tables(tables, PERIOD, "most_complete", projects())
    report: Any = cleaning_report(clean, quarantine, AS_OF, projects())
    assert report["companies"] == {
        "kept": 1,
        "conversions": 1,
        "quarantined": {
            "duplicate_company": 0, "later_conversion": 0, "mrr_not_positive": 0, "signed_up_after_as_of": 1,
            "converted_before_signed_up": 0, "ended_before_converted": 1,
        },
    }  # fmt: skip
    assert report["usage"]["quarantined"]["orphan_usage"] == 1
    with pytest.raises(ExportError, match=r"^weekly_usage: no row is left .*: orphan_usage 1$"):
        cleaning.check_usage_is_left(
            report["usage"]["kept"], report["usage"]["quarantined"], AS_OF, projects()
        )
