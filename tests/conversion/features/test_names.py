from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from conversion.config.attribute_kinds import Number
from conversion.config.data_contract import Contract
from conversion.features.names import SNAPSHOT_COLUMNS, check_names
from conversion.runtime.errors import ParamsError
from tests.conversion.features.cases import CONTRACTS, settings_of


def contract_with(
    attributes: dict[str, Any] | None = None,
    measures: dict[str, Any] | None = None,
    modules: dict[str, Any] | None = None,
) -> Contract:
    named = {
        "projects": {"actions": "edits", "users": "editors"},
        "chat": {"actions": "messages", "users": "writers"},
    }
    return Contract.model_validate(
        {
            "companies": {
                "tables": ["accounts"],
                "id": "key",
                "ids": "text",
                "converted": "paid",
                "attributes": attributes or {},
            },
            "usage": {
                "table": "weeks",
                "id": "account",
                "time": "week",
                "modules": modules or named,
                "measures": measures or {},
            },
        }
    )


@pytest.mark.parametrize("name", CONTRACTS)
def test_usual_contracts_are_taken(name: str) -> None:
    settings_of(CONTRACTS[name]())


@pytest.mark.parametrize(
    ("column", "feature"),
    [
        ("seen", "seen"),
        ("Actions 4w", "actions_4w"),
        ("users_ewm_2w", "users_ewm_2w"),
        ("actions_chat_lifetime", "actions_chat_lifetime"),
    ],
)
def test_an_attribute_with_the_name_of_another_feature_is_refused(column: str, feature: str) -> None:
    contract = contract_with({column: {"kind": "number"}})
    with pytest.raises(ParamsError) as refused:
        settings_of(contract)
    assert f"companies.attributes.{column}" in str(refused.value)
    assert f"called {feature}, " in str(refused.value)
    settings_of(contract_with({column: {"kind": "number", "feature": {"name": "mine", "description": "x"}}}))


@pytest.mark.parametrize("column", SNAPSHOT_COLUMNS)
def test_a_feature_with_the_name_of_a_column_of_snapshots_is_refused(column: str) -> None:
    named = ((column.upper(), Number(kind="number")),)
    settings = dataclasses.replace(settings_of(contract_with()), attributes=named)
    key = f"companies.attributes.{column.upper()}"
    with pytest.raises(ParamsError, match=f"{key}: .* called {column}, as a column of snapshots is"):
        check_names(settings)


def test_only_the_windows_that_there_are_take_names() -> None:
    settings_of(contract_with({"actions_4w": {"kind": "flag"}}), windows=(1, 2))


@pytest.mark.parametrize("measure", ["actions", "active_weeks", "Users_max", "actions_projects", "users_ewm"])
def test_a_measure_with_the_name_of_window_features_is_refused(measure: str) -> None:
    contract = contract_with(measures={measure: {"column": "numbers", "combine": "sum"}})
    with pytest.raises(
        ParamsError, match=rf"usage\.measures\.{measure}: .* called {measure.lower()}_"
    ) as refused:
        settings_of(contract)
    assert len(str(refused.value).splitlines()) == 1, "once, not for each window"


def test_a_measure_with_the_name_of_an_attribute_is_refused() -> None:
    contract = contract_with(
        {"stored_4w": {"kind": "number"}}, {"stored": {"column": "gigabytes", "combine": "last"}}
    )
    with pytest.raises(
        ParamsError, match=r"companies\.attributes\.stored_4w: .* as usage\.measures\.stored is"
    ):
        settings_of(contract)


def test_two_modules_that_reps_call_the_same_are_refused() -> None:
    modules = {
        "chat": {"actions": "messages", "say": "Talk"},
        "calls": {"actions": "calls", "say": "Talk"},
    }
    with pytest.raises(
        ParamsError, match=r"usage\.modules\.calls: .* 'actions in Talk', as one of usage\.modules\.chat"
    ):
        settings_of(contract_with(modules=modules))


def test_two_attributes_that_reps_call_the_same_are_refused() -> None:
    attributes = {"plan": {"kind": "category", "say": "tier"}, "level": {"kind": "category", "say": "tier"}}
    with pytest.raises(ParamsError, match=r"companies\.attributes\.level: .*'tier', as one of .*plan"):
        settings_of(contract_with(attributes))


def test_every_fault_is_reported() -> None:
    contract = contract_with(
        {"seen": {"kind": "flag"}, "trend": {"kind": "number"}},
        {"actions": {"column": "numbers", "combine": "sum"}},
    )
    with pytest.raises(ParamsError) as refused:
        settings_of(contract)
    assert [line.split(":")[1].strip() for line in str(refused.value).splitlines()] == [
        "usage.measures.actions",
        "companies.attributes.seen",
        "companies.attributes.trend",
    ]
