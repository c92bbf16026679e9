from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.ingest.checks import schema_of
from conversion.ingest.columns import MAX_MEASURE, MAX_NUMBER, Column, key_columns, tables_of
from conversion.runtime.errors import ParamsError
from conversion.serving import message_types
from tests.contract_files import hubspot, projects
from tests.event_exports import events
from tests.exports import COLUMNS

HISTORY = {"table": "changes", "id": "account", "valid_from": "since"}


def changed(**sections: dict[str, Any]) -> Contract:
    """The contract of projects with some keys of its sections replaced."""
    values = projects().model_dump(mode="json")
    for section, keys in sections.items():
        values[section] |= keys
    return Contract.model_validate(values)


def account(contract: Contract, column: str) -> Column:
    return tables_of(contract)["accounts"].columns[column]


def test_the_tables_of_the_default_contract() -> None:
    tables = tables_of(hubspot())
    assert {name: tuple(table.columns) for name, table in tables.items()} == COLUMNS
    assert [key_columns(hubspot(), name) for name in tables] == [("id",), ("id",), ("id", "WHEN_TIMESTAMP")]
    required = {
        name: [each.name for each in table.columns.values() if not each.nullable]
        for name, table in tables.items()
    }
    assert required == {
        "customers": ["id", "CLOSEDATE", "MRR"],
        "noncustomers": ["id"],
        "usage_actions": list(COLUMNS["usage_actions"]),
    }


def test_the_tables_of_another_contract() -> None:
    tables = tables_of(projects())
    assert {name: list(table.columns) for name, table in tables.items()} == {
        "accounts": [
            "account_id", "created", "paid_since", "cancelled", "arr",
            "country", "plan", "head_count", "is_partner", "name", "owner",
        ],
        "weekly_usage": [
            "account", "week", "projects_actions", "automation_runs", "invoices_sent",
            "projects_users", "invoices_users",
        ],
    }  # fmt: skip
    assert [each.name for each in tables["accounts"].columns.values() if not each.nullable] == ["account_id"]
    keys = {each.name: each.key for table in tables.values() for each in table.columns.values()}
    assert keys["plan"] == "companies.attributes.plan"
    assert keys["automation_runs"] == "usage.modules.automations.actions"
    assert keys["invoices_users"] == "usage.modules.invoices.users"
    assert keys["week"] == "usage.time"


@pytest.mark.parametrize(
    ("kind", "read", "required"),
    [("all", True, True), ("some", True, False), ("none", False, False)],
)
def test_conversions_by_the_kind_of_a_table(kind: str, read: bool, required: bool) -> None:
    columns = tables_of(changed(companies={"tables": {"accounts": kind, "others": "some"}}))[
        "accounts"
    ].columns
    assert [name in columns for name in ("paid_since", "cancelled", "arr")] == [read] * 3
    assert "created" in columns
    if read:
        assert [columns[name].nullable for name in ("paid_since", "cancelled", "arr")] == [
            not required,
            True,
            not required,
        ]


def faults_of(contract: Contract, table: str, column: str, values: list[Any]) -> list[str]:
    """What the schema of a table expects instead of some values of a column, each on its own."""
    described = tables_of(contract)[table]
    schema = schema_of(described).select_columns([column])
    found = []
    for value in values:
        cells = pd.DataFrame({column: pd.Series([value], dtype=described.columns[column].dtype)})
        try:
            schema.validate(cells, lazy=True)
        except Exception as error:  # noqa: BLE001 - pandera's, which has no public base
            found.append(str(error.failure_cases["check"].iloc[0]))  # type: ignore[attr-defined]
        else:
            found.append("")
    return found


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ({}, ["", "", "", ""]),
        ({"minimum": 0.5}, ["a number of at least 0.5", "", "", ""]),
        ({"maximum": 100.0}, ["", "", "a number of at most 100", "a number of at most 100"]),
        (
            {"minimum": 1.0, "maximum": 100.0, "not_applicable": 1000.0},
            ["a number from 1 to 100", "", "a number from 1 to 100", ""],
        ),
        ({"minimum": 1.0, "say": "World Rank"}, ["a rank of at least 1", "", "", ""]),
    ],
)
def test_the_range_of_a_number(number: dict[str, Any], expected: list[str]) -> None:
    contract = changed(companies={"attributes": {"score": {"kind": "number", **number}}})
    assert account(contract, "score").final == "float64"
    assert faults_of(contract, "accounts", "score", [0.0, 1.5, 101.0, 1000.0]) == expected
    assert faults_of(contract, "accounts", "score", [None]) == [""]


@pytest.mark.parametrize(
    ("starts", "monday", "sunday"), [("monday", "", "a Monday 00:00"), ("sunday", "a Sunday 00:00", "")]
)
def test_a_week_starts_on_the_contract_s_day(starts: str, monday: str, sunday: str) -> None:
    contract = changed(usage={"week_starts": starts})
    days = [pd.Timestamp("2019-01-07"), pd.Timestamp("2019-01-06"), pd.Timestamp("2019-01-06 01:00")]
    assert faults_of(contract, "weekly_usage", "week", days) == [monday, sunday, sunday or "a Sunday 00:00"]


def test_many_levels_are_not_all_listed() -> None:
    levels = [str(number) for number in range(500)]
    contract = changed(companies={"attributes": {"step": {"kind": "ordered", "levels": levels}}})
    (expected,) = faults_of(contract, "accounts", "step", ["x"])
    assert expected.startswith("one of '0', '1', ")
    assert expected.endswith("'11', ...")


def test_a_second_column_called_id_is_refused() -> None:
    contract = changed(companies={"shown": ["id"]})
    with pytest.raises(ParamsError, match=r"^mine.yaml: companies.shown: given id, .*account_id.*rename the"):
        tables_of(contract, "mine.yaml")


def test_the_tables_of_a_contract_of_events() -> None:
    tables = tables_of(events())
    assert {name: list(table.columns) for name, table in tables.items()} == {
        "accounts": ["account", "created", "country", "founded", "name"],
        "events": ["account", "at", *events().counts, "gb", "spent"],
        "subscriptions": ["account", "starts", "ends", "mrr", "plan", "paid"],
        "merges": ["old", "new"],
        "account_history": ["account", "since", "seats", "plan_name"],
    }
    assert tuple(tables) == events().tables
    assert [key_columns(events(), name) for name in tables] == [
        ("id",), ("id", "at"), ("id", "starts"), ("id",), ("id", "since")
    ]  # fmt: skip
    required = {
        name: [each.name for each in table.columns.values() if not each.nullable]
        for name, table in tables.items()
    }
    assert required == {
        "accounts": ["account"],
        "events": ["account", "at", *events().counts],
        "subscriptions": ["account", "starts"],
        "merges": ["old", "new"],
        "account_history": ["account", "since"],
    }
    final = {each.name: each.final for table in tables.values() for each in table.columns.values()}
    assert [final[name] for name in ("founded", "seats", "plan_name", "gb", "plan", "mrr")] == [
        "datetime64[us]", "float64", "str", "float64", "str", "float64",
    ]  # fmt: skip
    keys = {each.name: each.key for each in tables["account_history"].columns.values()}
    assert keys["plan_name"] == "companies.attributes.package.history.value"
    assert [name for name, table in tables.items() if table.may_be_empty] == ["merges"]


def test_measures_of_weeks_are_read_after_the_counts() -> None:
    contract = changed(usage={"measures": {"storage": {"column": "gb", "combine": "last"}}})
    usage = tables_of(contract)["weekly_usage"].columns
    assert list(usage) == ["account", "week", *contract.counts, "gb"]
    assert usage["gb"].nullable
    assert faults_of(contract, "weekly_usage", "gb", [1.5, -1.0, None, 1e16]) == [
        "", "", "", "a number within ±1e+15"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"aliases": {"table": "merges", "id": "old", "into": "old"}},
         "companies.aliases.id and companies.aliases.into: given old for both"),
        ({"subscriptions": {"table": "subs", "id": "a", "start": "day", "end": "day"},
          "converted": None, "ended": None, "value": None},
         "companies.subscriptions.start and companies.subscriptions.end: given day for both"),
        ({"attributes": {
            "seats": {"kind": "number", "history": HISTORY},
            "package": {"kind": "category", "history": HISTORY | {"value": "seats"}}}},
         "companies.attributes.package.history: the attributes of table changes share id and valid_from"),
        ({"attributes": {
            "seats": {"kind": "number", "history": HISTORY},
            "package": {"kind": "category", "history": HISTORY | {"valid_from": "until"}}}},
         "companies.attributes.package.history: the attributes of table changes share id and valid_from"),
        ({"attributes": {"id": {"kind": "number", "history": HISTORY}}},
         "companies.attributes.id.history.value: given id, but that is what the project calls account"),
    ],
)  # fmt: skip
def test_a_column_of_another_table_stands_for_one_thing(section: dict[str, Any], said: str) -> None:
    contract = changed(companies=section)
    with pytest.raises(ParamsError) as error:
        tables_of(contract, "mine.yaml")
    assert str(error.value).startswith(f"mine.yaml: {said}")


def test_messages_name_a_contract_file_only_if_there_is_one() -> None:
    assert tables_of(projects(), "mine.yaml")["accounts"].or_change("usage.time") == (
        ", or change usage.time in mine.yaml"
    )
    assert tables_of(projects())["accounts"].or_change("usage.time") == ""


@pytest.mark.parametrize("score", [{"kind": "number"}, {"kind": "ordered", "cuts": [1, 2]}])
def test_numbers_are_bounded_as_in_requests(score: dict[str, Any]) -> None:
    """A number that is too large would be infinite where a model learns."""
    contract = changed(companies={"attributes": {"score": score}})
    assert faults_of(contract, "accounts", "score", [1e12, -1e12, 1.1e12, 1e300]) == [
        "", "", "a number within ±1e+12", "a number within ±1e+12"
    ]  # fmt: skip
    assert MAX_NUMBER == message_types.MAX_TOTAL
    assert MAX_MEASURE == message_types.MAX_MEASURE
