from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.ingest import cross_checks
from conversion.runtime.errors import ExportError
from tests import exports
from tests.broken_exports import Tables, warnings_of, with_orphans
from tests.contract_files import hubspot, projects
from tests.exports import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS, projects_export, tiny_export, write_export


@pytest.mark.parametrize("rows", [0, 3])
def test_a_little_usage_of_no_company_is_warned_of(
    rows: int, tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    facts = cross_checks.check_orphans(with_orphans(tables, rows), hubspot(), tmp_path, 0.03)
    assert facts == {"rows": rows, "companies": min(rows, 2), "share": rows / 100}
    assert [(record.rows, record.share) for record in warnings_of(caplog)] == (  # type: ignore[attr-defined]
        [(3, 0.03)] if rows else []
    )


def test_much_usage_of_no_company_stops_the_load(tables: Tables, tmp_path: Path) -> None:
    write_export(tables, tmp_path)
    with pytest.raises(ExportError) as error:
        cross_checks.check_orphans(with_orphans(tables, 4), hubspot(), tmp_path, 0.03)
    assert str(error.value).startswith(
        f"{tmp_path}/usage_actions.csv: id: expected ids of customers or noncustomers in all rows but a "
        "share of 0.03; 4 rows (id 900001, id 900002, ...); found a share of 0.040 of others, "
    )
    assert "data.max_orphan_share" in str(error.value)


@pytest.mark.parametrize(
    ("ids", "warns"),
    [
        ([1234567890123450, 12345678901234600, 123456789012347000], True),  # 16, 17 and 18 digits
        ([1234567890123450, 12345678901234600, 123456789012347001], False),
        ([1234567890123450, 12345678901234610, 123456789012347000], False),
        ([1234567890123450, 1234567890123460], False),  # by chance
        ([100, 200, 300, 400], False),
    ],
)
def test_ids_cut_to_15_digits_by_a_spreadsheet_are_warned_of(
    ids: list[int], warns: bool, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tables[NONCUSTOMERS].copy()
    odd.loc[: len(ids) - 1, "id"] = ids
    cross_checks.check_long_ids(tables | {NONCUSTOMERS: odd})
    assert [record.table for record in warnings_of(caplog)] == (  # type: ignore[attr-defined]
        [NONCUSTOMERS] if warns else []
    )


def customers_first_seen(days_before_conversion: list[int]) -> Tables:
    """Customers with one usage row, all converted on a Thursday, and one who was there long before."""
    tables = tiny_export(companies=400)
    close = pd.Timestamp("2019-09-12")
    ids = [*range(1, len(days_before_conversion) + 1)]
    monday = [close - pd.Timedelta(days=days + 3) for days in days_before_conversion]
    usage = tables[USAGE_ACTIONS].head(len(ids) + 1)
    return tables | {
        CUSTOMERS: tables[CUSTOMERS].head(len(ids)).assign(id=ids, CLOSEDATE=close),
        USAGE_ACTIONS: usage.assign(id=[*ids, 999], WHEN_TIMESTAMP=[*monday, pd.Timestamp("2019-01-07")]),
    }


@pytest.mark.parametrize(
    ("days_before_conversion", "without", "warned"),
    [
        ([0] * 14 + [7] * 6, 0.7, True),  # in the week of the conversion, which is not over by then
        ([-7] * 14 + [7] * 6, 0.7, True),
        ([0] * 13 + [7] * 7, 0.65, False),
        ([7] * 20, 0.0, False),
        ([0] * 19, 1.0, False),  # too few to tell
    ],
)
def test_conversions_that_no_usage_precedes_are_warned_of(
    days_before_conversion: list[int], without: float, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    facts = cross_checks.check_usage_before_conversion(
        customers_first_seen(days_before_conversion), hubspot()
    )
    assert facts == {"customers": len(days_before_conversion), "without": without, "warned": warned}
    assert [
        "nothing precedes their conversions" in record.getMessage() for record in warnings_of(caplog)
    ] == ([True] if warned else [])


def test_customers_from_before_the_export_are_not_compared() -> None:
    """Their usage before the conversion is left out of the export, whatever CLOSEDATE means."""
    tables = customers_first_seen([0] * 30)
    early = tables[CUSTOMERS].assign(CLOSEDATE=pd.Timestamp("2019-01-13"))
    facts = cross_checks.check_usage_before_conversion(tables | {CUSTOMERS: early}, hubspot())
    assert facts["customers"] == 0
    on_time = tables[CUSTOMERS].assign(CLOSEDATE=pd.Timestamp("2019-01-14"))
    facts = cross_checks.check_usage_before_conversion(tables | {CUSTOMERS: on_time}, hubspot())
    assert facts["customers"] == 30


@pytest.mark.parametrize(
    ("labels", "companies", "words"),
    [
        (["Enterprise", "Enterprise", "SMB"], 3, "use the labels of one"),
        (["(No value)"], 1, "use the labels of one; where a value is missing, leave the cell empty"),
        (["Other", "other", "COMPUTER_SOFTWARE", None], 0, None),
    ],
)
def test_industries_of_neither_taxonomy_are_counted_and_warned_of(
    labels: list[str | None],
    companies: int,
    words: str | None,
    tables: Tables,
    caplog: pytest.LogCaptureFixture,
) -> None:
    industry = [*labels, *[None] * (len(tables[NONCUSTOMERS]) - len(labels))]
    odd = tables | {NONCUSTOMERS: tables[NONCUSTOMERS].assign(INDUSTRY=industry)}
    expected = {"companies": companies, "labels": len(set(labels)) if companies else 0}
    assert cross_checks.check_levels(odd, hubspot()) == {"unlisted_industries": expected}
    assert [words in record.getMessage() for record in warnings_of(caplog)] == ([True] if words else [])


def test_a_company_listed_twice_counts_once(tables: Tables) -> None:
    odd = tables[NONCUSTOMERS].assign(INDUSTRY=None)
    odd.loc[[0, 1], "INDUSTRY"] = ["Enterprise", "SMB"]
    odd.loc[1, "id"] = odd.loc[0, "id"]
    facts = cross_checks.check_levels(tables | {NONCUSTOMERS: odd}, hubspot())
    assert facts == {"unlisted_industries": {"companies": 1, "labels": 2}}


def test_orphans_of_another_contract_are_named_as_it_names_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = exports.typed(projects_export(), projects())
    usage = tables["weekly_usage"].copy()
    usage.loc[:2, "id"] = "0999"
    odd = tables | {"weekly_usage": usage}
    facts = cross_checks.check_orphans(odd, projects(), tmp_path, 0.05)
    assert facts == {"rows": 3, "companies": 1, "share": round(3 / len(usage), 6)}
    assert [record.getMessage() for record in warnings_of(caplog)] == [
        "usage of companies that are not in accounts is left out"
    ]
    with pytest.raises(ExportError) as error:
        cross_checks.check_orphans(odd, projects(), tmp_path, 0.0)
    assert str(error.value).startswith(
        f"{tmp_path}/weekly_usage: account: expected ids of accounts in all rows but a share of 0; 3 rows "
        "(account '0999', ...); found a share of "
    )
    assert "compare the ids of the two tables" in str(error.value)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["1234567890123450", "12345678901234600", "0123456789012340"], ["all ids of more than 15 digits"]),
        (["1234567890123450", "12345678901234600", "123456789012347001"], []),
        (["1234567890123450", "12345678901234600", "a123456789012340"], []),
        (["1.89945E+11", "12", "13"], ["ids look like numbers that a spreadsheet shortened"]),
        (["1e5", "12", "13"], ["ids look like numbers that a spreadsheet shortened"]),
        (["1e5f", "12e", "E12"], []),
    ],
)
def test_text_ids_that_look_cut_off_are_warned_of(
    ids: list[str], words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    cross_checks.check_long_ids({"accounts": pd.DataFrame({"id": pd.Series(ids, dtype="str")})})
    found = [record.getMessage() for record in warnings_of(caplog)]
    assert len(found) == len(words)
    assert all(text in message for text, message in zip(words, found, strict=True))


def test_levels_that_no_group_lists_are_kept_unless_the_contract_says_otherwise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = projects().model_dump(mode="json")
    values["companies"]["attributes"]["country"]["groups"] = {"Europe": ["DE"], "America": ["US"]}
    contract = Contract.model_validate(values)
    tables = exports.typed(projects_export(), projects())
    french = int((tables["accounts"]["country"] == "FR").sum())
    assert cross_checks.check_levels(tables, contract) == {
        "unlisted_countries": {"companies": french, "labels": 1}
    }
    assert [record.getMessage() for record in warnings_of(caplog)] == [
        "countries that are in no group are kept as levels of their own; use the labels of one"
    ]
    assert cross_checks.check_levels(tables, projects()) == {}, "without groups there is nothing to list"


def test_usage_before_conversion_by_another_contract_s_columns(caplog: pytest.LogCaptureFixture) -> None:
    tables = exports.typed(projects_export(companies=300), projects())
    facts = cross_checks.check_usage_before_conversion(tables, projects())
    assert facts["customers"] > 20
    assert not facts["warned"]
    accounts = tables["accounts"]
    first = tables["weekly_usage"].groupby("id")["week"].min().reindex(accounts["id"]).to_numpy()
    early = accounts.assign(paid_since=accounts["paid_since"].mask(accounts["paid_since"].notna(), first))
    assert cross_checks.check_usage_before_conversion(tables | {"accounts": early}, projects())["warned"]
    assert "no week of usage before paid_since, so nothing precedes" in caplog.text
