from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.ingest import origin_leaks
from tests.broken_exports import Tables
from tests.contract_files import hubspot, projects
from tests.exports import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS, projects_export, tiny_export, typed


def leaks_of_tables(tables: Tables, contract: Contract) -> dict[str, float]:
    return origin_leaks.measure_leaks(tables, contract, origin_leaks.company_rows(tables, contract))


@pytest.mark.parametrize(
    ("customers", "noncustomers", "warns"),
    [
        ([1, 2, 3], [4, 5, 6], True),
        ([7, 8, 9], [1, 2, 3], True),
        ([1, 5, 9], [2, 3, 6, 8], False),
        ([4], [4], False),
    ],
)
def test_ids_that_separate_the_tables_are_warned_of(
    tables: Tables,
    customers: list[int],
    noncustomers: list[int],
    warns: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = {
        CUSTOMERS: tables[CUSTOMERS].head(len(customers)).assign(id=customers),
        NONCUSTOMERS: tables[NONCUSTOMERS].head(len(noncustomers)).assign(id=noncustomers),
        USAGE_ACTIONS: tables[USAGE_ACTIONS].head(9).assign(id=customers[0]),
    }
    leaks = leaks_of_tables(few, hubspot())
    facts = origin_leaks.warn_of_leaks(leaks, len(customers), USAGE_ACTIONS)
    assert facts["id_order"]["warned"] is warns
    assert facts["usage_row_order"]["roc_auc"] is None, "no row of a non-customer to compare with"
    text = "ids separate customers from non-customers"
    assert any(text in record.getMessage() for record in caplog.records) is warns


def measured(tables: Tables) -> dict[str, Any]:
    leaks = leaks_of_tables(tables, hubspot())
    return origin_leaks.warn_of_leaks(leaks, len(tables[CUSTOMERS]), USAGE_ACTIONS)


def test_a_clean_export_leaks_nothing_but_behaviour(caplog: pytest.LogCaptureFixture) -> None:
    facts = measured(tiny_export(companies=240))
    assert set(facts) == set(origin_leaks.ORIGIN_LEAKS)
    assert not any(fact["warned"] for fact in facts.values())
    assert caplog.records == []


@pytest.mark.parametrize("missing", [CUSTOMERS, NONCUSTOMERS])
def test_firmographics_filled_in_after_the_conversion_are_warned_of(
    missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever table has fewer of them, and whatever its usage."""
    tables = tiny_export(companies=240)
    poorer = tables[missing].assign(INDUSTRY=None)
    richer = {name: tables[name].assign(INDUSTRY="REAL_ESTATE") for name in (CUSTOMERS, NONCUSTOMERS)}
    facts = measured({**tables, **richer, missing: poorer})
    assert facts["missing_firmographics"]["roc_auc"] > 0.9
    assert [name for name, fact in facts.items() if fact["warned"]] == ["missing_firmographics"]
    (record,) = caplog.records
    assert "filled in when a company converted" in record.getMessage()


def test_missing_firmographics_that_usage_explains_are_not_warned_of() -> None:
    """Companies that were never seen lack a size, and none of them converted."""
    tables = tiny_export(companies=400)
    used = set(tables[USAGE_ACTIONS]["id"])
    for name in (CUSTOMERS, NONCUSTOMERS):
        unseen = ~tables[name]["id"].isin(used)
        tables[name] = tables[name].assign(EMPLOYEE_RANGE=np.where(unseen, None, "1"), INDUSTRY=None)
    auc = measured(tables)["missing_firmographics"]["roc_auc"]
    assert auc == pytest.approx(0.5, abs=0.1)
    missing = pd.concat(
        [tables[name].assign(customer=name == CUSTOMERS) for name in (CUSTOMERS, NONCUSTOMERS)]
    )
    alone = origin_leaks.stratified_roc_auc(missing["EMPLOYEE_RANGE"].notna(), missing["customer"])
    assert alone > 0.6, "without regard to usage they would be"


def test_usage_rows_in_the_order_of_the_tables_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    tables = tiny_export(companies=240)
    usage = tables[USAGE_ACTIONS]
    last = usage["id"].isin(tables[CUSTOMERS]["id"])
    facts = measured({**tables, USAGE_ACTIONS: pd.concat([usage[~last], usage[last]], ignore_index=True)})
    assert facts["usage_row_order"] == {"roc_auc": 1.0, "low": 0.35, "high": 0.65, "warned": True}
    assert "the order of rows in usage_actions" in caplog.text
    assert len(caplog.records) == 1


def test_usage_rows_in_the_order_of_time_leak_nothing() -> None:
    """Customers' rows are later, as usage grows before a conversion; within a week they are not."""
    tables = tiny_export(companies=240)
    by_time = tables[USAGE_ACTIONS].sort_values("WHEN_TIMESTAMP", kind="stable", ignore_index=True)
    assert not measured({**tables, USAGE_ACTIONS: by_time})["usage_row_order"]["warned"]


def test_few_customers_prove_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tables = tiny_export(companies=40)
    richer = tables[CUSTOMERS].assign(INDUSTRY="REAL_ESTATE")
    poorer = tables[NONCUSTOMERS].assign(INDUSTRY=None)
    fact = measured({**tables, CUSTOMERS: richer, NONCUSTOMERS: poorer})["missing_firmographics"]
    assert fact["roc_auc"] > fact["high"]
    assert not fact["warned"]
    assert caplog.records == []


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40))
def test_stratified_roc_auc_counts_the_pairs_within_a_stratum(rows: list[tuple[int, bool, int]]) -> None:
    score, customer, stratum = (pd.Series(column) for column in zip(*rows, strict=True))
    pairs = [
        (first[0] > second[0]) + (first[0] == second[0]) / 2
        for first, second in itertools.product(rows, rows)
        if first[1] and not second[1] and first[2] == second[2]
    ]
    found = origin_leaks.stratified_roc_auc(score, customer, stratum)
    assert found == pytest.approx(np.mean(pairs)) if pairs else np.isnan(found)


def test_leaks_of_a_single_table_with_text_ids(caplog: pytest.LogCaptureFixture) -> None:
    """Customers are the accounts that have converted; ids are in alphabetical order."""
    tables = typed(projects_export(companies=300), projects())
    customers = int(tables["accounts"]["paid_since"].notna().sum())

    def warned_of(odd: Tables) -> list[str]:
        leaks = leaks_of_tables(odd, projects())
        facts = origin_leaks.warn_of_leaks(leaks, customers, "weekly_usage")
        return [name for name, fact in facts.items() if fact["warned"]]

    assert warned_of(tables) == []
    accounts, usage = tables["accounts"], tables["weekly_usage"]
    converted = accounts["paid_since"].notna()
    filled_in = accounts.assign(country=np.where(converted, "DE", None), head_count=1.0)
    assert warned_of(tables | {"accounts": filled_in}) == ["missing_firmographics"]
    renamed = dict(zip(accounts["id"], np.where(converted, "b", "a") + accounts["id"], strict=True))
    apart = {name: table.assign(id=table["id"].map(renamed)) for name, table in tables.items()}
    assert warned_of(apart) == ["id_order"]
    last = usage["id"].isin(accounts.loc[converted, "id"])
    assert warned_of(tables | {"weekly_usage": pd.concat([usage[~last], usage[last]])}) == ["usage_row_order"]
    assert "the order of rows in weekly_usage" in caplog.text


def test_a_contract_without_attributes_leaks_none() -> None:
    companies = projects().companies.model_copy(update={"attributes": {}})
    contract = projects().model_copy(update={"companies": companies})
    leaks = leaks_of_tables(typed(projects_export(companies=300), projects()), contract)
    assert leaks["missing_firmographics"] == pytest.approx(0.5, abs=0.1)
