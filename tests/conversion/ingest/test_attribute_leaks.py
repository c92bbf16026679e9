from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.attribute_kinds import AnyAttribute, Category, Flag, Number
from conversion.config.data_contract import Contract
from conversion.ingest import attribute_leaks
from conversion.ingest.attribute_leaks import LEAST_CONVERTED, MOST_ROC_AUC, TOTALS
from conversion.ingest.origin_leaks import company_rows
from tests.broken_exports import Tables
from tests.contract_files import hubspot, projects
from tests.exports import CUSTOMERS, NONCUSTOMERS, projects_export, tiny_export, typed

CATEGORY, NUMBER, FLAG = Category(kind="category"), Number(kind="number"), Flag(kind="flag")


def leaks_in(tables: Tables, contract: Contract) -> dict[str, dict[str, Any]]:
    return attribute_leaks.find_leaks(tables, contract, company_rows(tables, contract))


def counts_of(values: Any, converted: Any, seed: int = 0) -> pd.DataFrame:
    """Count companies as `attribute_leaks.count_values` does; all have usage."""
    half = np.random.default_rng(seed).random(len(converted)) < 0.5
    rows = pd.DataFrame({"value": values, "half": half, "used": True, "converted": converted})
    grouped = rows.groupby(["value", "half", "used"], dropna=False)["converted"]
    return grouped.agg(companies="size", converted="sum").reset_index()


def facts_of(attribute: AnyAttribute, values: Any, converted: Any) -> dict[str, Any]:
    return attribute_leaks.leak_facts("plan", attribute, counts_of(values, converted))


def companies(count: int = 4000, share: float = 0.05) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(1)
    return rng.random(count) < share, rng


def test_a_level_that_paying_sets_is_warned_of() -> None:
    converted, rng = companies()
    pro = converted | (rng.random(len(converted)) < 0.05)
    facts = facts_of(CATEGORY, np.where(pro, "pro", "free"), converted)
    assert facts["warned"]
    assert facts["roc_auc"] > 0.95
    assert facts["missing_roc_auc"] == 0.5
    others = len(converted) - pro.sum()
    assert facts["found"] == (
        f"{converted.sum()} of {pro.sum()} with plan=pro converted, 0 of {others:,} others"
    )


def test_a_score_that_paying_sets_is_warned_of() -> None:
    converted, rng = companies()
    score = rng.normal(np.where(converted, 80, 50), 8).round()
    facts = facts_of(NUMBER, score, converted)
    assert facts["warned"]
    assert "with plan of 6" in facts["found"]
    assert "or more converted" in facts["found"]


def test_one_number_among_others_is_warned_of() -> None:
    """It is neither the least nor the greatest, so no rank shows it."""
    converted, rng = companies(share=0.02)
    facts = facts_of(NUMBER, np.where(converted, 5, rng.integers(0, 10, len(converted)) // 6 * 9), converted)
    assert facts["warned"]
    assert f"{converted.sum()} of {converted.sum()} with plan=5 converted" in facts["found"]


def test_a_flag_and_a_number_are_written_as_in_tables() -> None:
    converted, _ = companies()
    assert "with plan=yes" in facts_of(FLAG, pd.array(converted, dtype="boolean"), converted)["found"]
    assert "with plan=1.5" in facts_of(NUMBER, np.where(converted, 1.5, 3.0), converted)["found"]


@pytest.mark.parametrize(("filled", "words"), [(True, "with plan filled in"), (False, "without plan")])
def test_values_that_only_one_side_has_are_warned_of(filled: bool, words: str) -> None:
    converted, rng = companies()
    values = np.where(converted == filled, rng.choice(["DE", "US", "FR"], len(converted)), None)
    facts = facts_of(CATEGORY, values, converted)
    assert facts["missing_roc_auc"] == 1.0
    assert f"{converted.sum()} of {converted.sum()} {words} converted, 0 of" in facts["found"]


def test_a_strong_honest_cause_is_not_warned_of() -> None:
    """Conversions are ten times as frequent in the largest fifth: a ROC AUC of 0.76 for the size alone."""
    rng = np.random.default_rng(1)
    size = rng.lognormal(3, 1.5, 20_000).round()
    converted = rng.random(len(size)) < np.where(size > np.quantile(size, 0.8), 0.1, 0.01)
    facts = facts_of(NUMBER, size, converted)
    assert 0.7 < facts["roc_auc"] < MOST_ROC_AUC
    assert not facts["warned"]
    assert "found" not in facts


@pytest.mark.parametrize("levels", [1000, 4000])
@pytest.mark.parametrize("attribute", [CATEGORY, NUMBER])
def test_many_rare_levels_reveal_nothing(levels: int, attribute: AnyAttribute) -> None:
    """Each company of a level of its own: in sample, their share of converted companies is perfect."""
    converted, rng = companies()
    codes = rng.permutation(len(converted)) % levels
    values = codes if attribute is NUMBER else codes.astype(str)
    assert facts_of(attribute, values, converted)["roc_auc"] == pytest.approx(0.5, abs=0.06)


def test_few_converters_prove_nothing() -> None:
    converted = np.arange(1000) < LEAST_CONVERTED - 1
    facts = facts_of(CATEGORY, np.where(converted, "pro", "free"), converted)
    assert facts["roc_auc"] == 1.0
    assert not facts["warned"]


@pytest.mark.parametrize("converted", [np.zeros(50, dtype=bool), np.ones(50, dtype=bool)])
def test_without_two_sides_there_is_nothing_to_compare(converted: np.ndarray) -> None:
    facts = facts_of(CATEGORY, np.arange(50).astype(str), converted)
    assert facts == {"roc_auc": None, "missing_roc_auc": None, "high": MOST_ROC_AUC, "warned": False}


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_counts_of_parts_add_up(parts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    converted = rng.random(300) < 0.3
    values = np.where(rng.random(300) < 0.2, np.nan, rng.integers(0, 9, 300) + 5 * converted)
    whole = counts_of(values, converted, seed)
    spread = whole.loc[whole.index.repeat(2)].reset_index(drop=True)
    # Each count is told in two portions, in any order.
    spread.loc[::2, TOTALS] = (spread.loc[::2, TOTALS] // 2).to_numpy()
    spread.loc[1::2, TOTALS] -= spread.loc[::2, TOTALS].to_numpy()
    shuffled = spread.sample(frac=1, random_state=parts)
    assert attribute_leaks.leak_facts("x", NUMBER, shuffled) == attribute_leaks.leak_facts("x", NUMBER, whole)


def test_a_clean_export_has_nothing_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    facts = leaks_in(tiny_export(companies=400), hubspot())
    assert [*facts] == ["ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY"]
    assert all(fact["roc_auc"] == pytest.approx(0.5, abs=0.15) for fact in facts.values())
    attribute_leaks.warn_of_attributes(facts)
    assert caplog.records == []


def test_the_warning_names_column_level_numbers_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    tables = tiny_export(companies=400)
    tables = tables | {
        CUSTOMERS: tables[CUSTOMERS].assign(EMPLOYEE_RANGE="51 to 200"),
        NONCUSTOMERS: tables[NONCUSTOMERS].assign(EMPLOYEE_RANGE="1"),
    }
    attribute_leaks.warn_of_attributes(leaks_in(tables, hubspot()))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "EMPLOYEE_RANGE" in record.getMessage()
    assert "100 of 100 with EMPLOYEE_RANGE=51 to 200 converted, 0 of 300 others" in record.getMessage()
    assert "leave the column out of the contract, or name a table of its changes" in record.getMessage()


def with_plan(tables: Tables) -> Tables:
    accounts = tables["accounts"]
    return tables | {
        "accounts": accounts.assign(plan=np.where(accounts["paid_since"].notna(), "team", "free"))
    }


def test_an_attribute_with_a_history_is_not_measured() -> None:
    tables = with_plan(typed(projects_export(companies=300), projects()))
    facts = leaks_in(tables, projects())
    assert [name for name, fact in facts.items() if fact["warned"]] == ["plan"]
    values = projects().model_dump(mode="json")
    history = {"table": "plans", "id": "account", "valid_from": "since", "value": None}
    values["companies"]["attributes"]["plan"]["history"] = history
    assert "plan" not in leaks_in(tables, type(projects()).model_validate(values))


def test_companies_with_usage_are_not_compared_with_those_without() -> None:
    """Those never seen lack a value, and none of them converted: that is behaviour."""
    rng = np.random.default_rng(0)
    used = rng.random(2000) < 0.5
    converted = used & (rng.random(2000) < 0.1)
    half = rng.random(2000) < 0.5
    rows = pd.DataFrame({"value": np.where(used, "x", None), "half": half, "used": used, "c": converted})
    grouped = rows.groupby(["value", "half", "used"], dropna=False)["c"]
    counts = grouped.agg(companies="size", converted="sum").reset_index()
    assert attribute_leaks.leak_facts("x", CATEGORY, counts)["roc_auc"] == 0.5


def test_columns_often_missing_are_named_most_revealing_first() -> None:
    measured = {"a": 0.6, "b": 0.7, "c": 0.9, "d": None}
    facts = {name: {"missing_roc_auc": auc} for name, auc in measured.items()}
    assert attribute_leaks.columns_often_missing(facts) == ["c", "b"]
