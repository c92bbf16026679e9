from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.data.attribute_block import attribute_block
from conversion.data.timeline import WEEK
from conversion.features.compute import levels_in
from conversion.features.definitions import LifetimeTotals
from conversion.features.observations import Company, Totals, observe, observe_table, observe_totals
from conversion.features.usage_block import usage_block
from tests.contract_files import hubspot
from tests.conversion.features.cases import (
    AS_OF,
    CONTRACTS,
    Case,
    cases,
    companies_of,
    modules_of,
    settings_of,
    usage_of,
)

by_contract = pytest.mark.parametrize("name", CONTRACTS)


def observed(case: Case, contract: Contract, as_of: pd.Timestamp = AS_OF) -> list[Company]:
    seen = observe_table(case.companies, case.usage, as_of, settings_of(contract), case.histories)
    return [company for company in seen.companies() if isinstance(company, Company)]


# The same in plain loops


def combined(rows: dict[int, pd.Series[Any]], weeks: range, column: str, how: str) -> float:
    """Combine a measure of some weeks, each given by how many weeks ago it began."""
    found = [float(rows[ago][column]) for ago in sorted(weeks, reverse=True) if ago in rows]
    known = [value for value in found if not np.isnan(value)]
    if how == "sum":
        return np.nan if found and not known else float(sum(known))
    if not known:
        return np.nan
    return max(known) if how == "max" else known[-1]


def by_hand(company: Any, usage: pd.DataFrame, contract: Contract) -> dict[str, Any]:
    """Return what can be seen of a company at `AS_OF`, but for its attributes."""
    time, modules = contract.usage.time, list(contract.usage.modules.values())
    own = usage[usage["id"] == company]
    rows = {int((AS_OF - row[time]) / WEEK): row for _, row in own.iterrows() if row[time] < AS_OF}

    def did(module: Any, ago: int) -> bool:
        return any(rows[ago][column] > 0 for column in (module.actions, module.users) if column is not None)

    lately, before = range(1, 5), range(5, 9)
    uses = [sorted(ago for ago in rows if did(module, ago)) for module in modules]
    active = sorted({ago for weeks in uses for ago in weeks})
    users = [module.users for module in modules if module.users is not None]
    seen: dict[str, Any] = {
        "first_used": [max(weeks, default=0) for weeks in uses],
        "last_used": [min(weeks, default=0) for weeks in uses],
        "started": max(active, default=0),
        "last_active": min(active, default=0),
        "active_weeks": sum(ago <= 13 for ago in active),
    }
    for suffix, weeks in (("", lately), ("_before", before)):
        inside = [rows[ago] for ago in weeks if ago in rows]
        seen[f"actions{suffix}"] = [sum(row[module.actions] for row in inside) for module in modules]
        seen[f"people{suffix}"] = [max((row[column] for row in inside), default=0) for column in users]
        seen[f"measures{suffix}"] = [
            combined(rows, weeks, name, measure.combine) for name, measure in contract.usage.measures.items()
        ]
    return seen


@by_contract
@settings(max_examples=25)
@given(data=st.data())
def test_the_same_in_plain_loops(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    case = data.draw(cases(contract))
    companies = observed(case, contract)
    assert len(companies) == len(case.companies)
    for company, identity in zip(companies, case.companies["id"], strict=True):
        expected = by_hand(identity, case.usage, contract)
        for field, value in expected.items():
            np.testing.assert_allclose(getattr(company, field), value, rtol=1e-12, err_msg=field)


@by_contract
@settings(max_examples=15)
@given(data=st.data())
def test_one_company_alone_has_the_same_bits(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract), data.draw(cases(contract))
    whole = observe_table(case.companies, case.usage, AS_OF, how, case.histories)
    levels = levels_in(case.companies, how)
    for row, identity in enumerate(case.companies["id"]):
        company = case.companies.iloc[[row]]
        own = case.usage[(case.usage["id"] == identity) & (case.usage[contract.usage.time] < AS_OF)]
        back = ((AS_OF - own[contract.usage.time]) / WEEK).astype("int64").to_numpy()
        weeks = int(back.max(initial=0))
        block = usage_block(company["id"].to_numpy(), own, weeks - back, weeks, how)
        attributes = attribute_block(company, pd.DatetimeIndex([AS_OF]), how.attributes, case.histories)
        alone = observe(block, attributes[:, 0], how, levels)
        assert np.array_equal(alone.numbers[0], whole.numbers[row], equal_nan=True)
        assert repr(alone.company(0)) == repr(whole.company(row)) == repr(list(whole.companies())[row])


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_rows_of_others_their_order_and_later_rows_change_nothing(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract), data.draw(cases(contract))
    whole = observe_table(case.companies, case.usage, AS_OF, how, case.histories)
    known = case.usage[case.usage[contract.usage.time] < AS_OF]
    again = observe_table(case.companies, known.iloc[::-1], AS_OF, how, case.histories)
    assert np.array_equal(again.numbers, whole.numbers, equal_nan=True)
    some = np.array([2, 0])
    alone = observe_table(case.companies.iloc[some], case.usage, AS_OF, how, case.histories)
    assert np.array_equal(alone.numbers, whole.take(some).numbers, equal_nan=True)
    assert len(alone) == 2


def test_more_companies_than_are_observed_at_once() -> None:
    contract, ids = hubspot(), list(range(1, 1203))
    companies = companies_of(contract, *ids)
    counts = [3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    usage = usage_of(contract, *[(company, company % 30, counts) for company in ids[::-1]])
    seen = observe_table(companies, usage, AS_OF, settings_of(contract))
    assert [company.started for company in seen.companies() if isinstance(company, Company)] == [
        each % 30 + 1 for each in ids
    ]


def test_without_usage_everything_is_zero() -> None:
    contract = hubspot()
    companies = companies_of(contract, 3, 8)
    for usage in (usage_of(contract), usage_of(contract, (3, -2, [1.0] * 8))):
        seen = observe_table(companies, usage, AS_OF, settings_of(contract))
        for company in seen.companies():
            assert isinstance(company, Company)
            assert company.started == company.last_active == company.active_weeks == 0
            assert not any((*company.actions, *company.people_before, *company.first_used))


def test_modules_without_users_have_no_people() -> None:
    how = modules_of(3, 0)
    seen = observe(np.ones((1, 2, 4)), np.empty((1, 0)), how, {})
    company = seen.company(0)
    assert isinstance(company, Company)
    assert company.people == company.people_before == []
    assert company.actions == [2.0, 2.0, 2.0]


def test_totals_are_seen_as_they_are() -> None:
    contract = hubspot()
    totals = LifetimeTotals(*(np.array([value, np.nan]) for value in (350.0, 40.0, 84.0, 0.1, 1.0)))
    attributes = np.array([[5.0, 0.0, 2.0, 1.0], [np.nan, 1.0, np.nan, 3.0]])
    seen = observe_totals(totals, attributes, settings_of(contract), {})
    assert seen.company(0) == Totals(350.0, 40.0, 84.0, 0.1, 1.0, [5.0, 0.0, 2.0, 1.0])
    assert repr(seen.company(1)) == repr(Totals(*[np.nan] * 5, [np.nan, 1.0, np.nan, 3.0]))
    assert len(list(seen.companies())) == 2
