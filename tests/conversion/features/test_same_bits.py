"""The same bits whoever else is in the chunk, in whatever order, and whatever happens later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.attribute_kinds import Date
from conversion.config.data_contract import Contract
from conversion.data.attribute_block import attribute_array, attribute_block, days_of
from conversion.data.attributes import encode, with_attributes
from conversion.data.timeline import WEEK
from conversion.features import compute
from conversion.features.catalogue import USAGE_FEATURES
from conversion.features.compute import (
    compute_features,
    feature_definitions,
    features_of_block,
    levels_in,
    summary_definitions,
    summary_features,
)
from conversion.features.definitions import FeatureSettings, LifetimeTotals
from conversion.features.usage_block import ROWS, block_columns, block_layout, known_usage, weekly_usage
from tests.contract_files import hubspot
from tests.conversion.features.cases import (
    AS_OF,
    CONTRACTS,
    Case,
    cases,
    companies_of,
    encoded,
    modules_of,
    settings_of,
    usage_of,
)
from tests.exports import tiny_export

by_contract = pytest.mark.parametrize("name", CONTRACTS)


def values_of(case: Case, as_ofs: pd.DatetimeIndex, how: FeatureSettings) -> np.ndarray:
    return compute_features(case.companies, case.usage, as_ofs, how, case.histories)


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_order_of_rows_and_company_of_others_change_no_bit(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract), data.draw(cases(contract))
    as_ofs = pd.DatetimeIndex([AS_OF - 20 * WEEK, AS_OF - WEEK, AS_OF])
    whole = values_of(case, as_ofs, how)
    rows = data.draw(st.permutations(range(len(case.usage))))
    turned = {column: table.iloc[::-1] for column, table in case.histories.items()}
    shuffled = case._replace(usage=case.usage.iloc[rows], histories=turned)
    assert values_of(shuffled, as_ofs, how).tobytes() == whole.tobytes()
    order = data.draw(st.permutations(range(len(case.companies))))
    moved = case._replace(companies=case.companies.iloc[order])
    assert values_of(moved, as_ofs, how).tobytes() == whole[order].tobytes()
    for position, company in enumerate(case.companies["id"]):
        alone = case._replace(
            companies=case.companies.iloc[[position]], usage=case.usage[case.usage["id"] == company]
        )
        assert values_of(alone, as_ofs, how).tobytes() == whole[[position]].tobytes()
    for place in range(len(as_ofs)):
        assert values_of(case, as_ofs[[place]], how).tobytes() == whole[:, [place]].tobytes()


def known_only(case: Case, as_of: pd.Timestamp, contract: Contract) -> Case:
    """Leave out the rows, dates and values of histories that were not known at ``as_of``."""
    raw = case.raw.copy()
    for column in contract.attributes_of(Date):
        raw[column] = raw[column].where(raw[column] < as_of)
    histories = {column: table[table["since"] < as_of] for column, table in case.raw_histories.items()}
    # The levels stay those of the whole export: only their order would change.
    earlier = {column: table["value"] for column, table in case.raw_histories.items()}
    companies = with_attributes(raw, contract, earlier)
    return Case(
        companies,
        case.usage[case.usage[contract.usage.time] + WEEK <= as_of],
        encoded(companies, histories, contract),
        raw,
        histories,
    )


@by_contract
@settings(max_examples=12)
@given(data=st.data(), back=st.integers(0, 30))
def test_what_is_not_known_changes_no_bit(name: str, data: st.DataObject, back: int) -> None:
    """Whatever stands in the weeks from ``as_of`` on: none, these rows, or any others."""
    contract = CONTRACTS[name]()
    how, case, other = settings_of(contract), data.draw(cases(contract)), data.draw(cases(contract))
    as_of = AS_OF - back * WEEK
    at = pd.DatetimeIndex([as_of])
    known = known_only(case, as_of, contract)
    expected = values_of(known, at, how)
    later = other.usage[other.usage[contract.usage.time] + WEEK > as_of]
    for rows in (case.usage, pd.concat([known.usage, later], ignore_index=True)):
        assert values_of(case._replace(usage=rows), at, how).tobytes() == expected.tobytes()
    for column in contract.attributes_of(Date):
        future = case.companies[column].where(case.companies[column] < as_of, as_of + WEEK)
        moved = with_attributes(case.raw.assign(**{column: future.where(case.raw[column].notna())}), contract)
        replaced = case.companies.assign(**{f"{column}_encoded": moved[f"{column}_encoded"]})
        assert values_of(case._replace(companies=replaced), at, how).tobytes() == expected.tobytes()


def test_before_the_first_usage_week_nobody_was_seen() -> None:
    how, companies = settings_of(hubspot()), companies_of(hubspot(), 1)
    seen = [feature.name for feature in feature_definitions(how)].index("seen")
    usage = usage_of(hubspot(), (1, 0, [1.0] * 8), (1, 9, [1.0] * 8))
    as_ofs = pd.DatetimeIndex([AS_OF - 80 * WEEK, AS_OF - 10 * WEEK, AS_OF - 9 * WEEK])
    values = compute_features(companies, usage, as_ofs, how)
    assert values[0, :, seen].tolist() == [0, 0, 1]
    nothing = compute_features(companies, usage_of(hubspot()), as_ofs[:1], how)
    np.testing.assert_array_equal(values[:, :1], nothing)


def test_a_company_without_usage_among_active_ones() -> None:
    how, companies = settings_of(hubspot()), companies_of(hubspot(), 1, 5, 9)
    seen = [feature.name for feature in feature_definitions(how)].index("seen")
    usage = usage_of(hubspot(), (5, 0, [1.0] * 8))
    values = compute_features(companies, usage, pd.DatetimeIndex([AS_OF]), how)
    assert values[:, 0, seen].tolist() == [0, 1, 0]


# The core, as the online service calls it: one company, its block and attributes made without pandas


def block_of(rows: pd.DataFrame, end: pd.Timestamp, weeks: int, how: FeatureSettings) -> np.ndarray:
    """Lay one company's rows out in the last ``weeks`` weeks before ``end``."""
    columns = block_columns(how)
    block = np.zeros((1, weeks, len(columns)))
    for row in rows.to_dict("records"):
        week = weeks - int((end - row[how.time]) / WEEK)
        block[0, week] = [1 if column == ROWS else row[column] for column in columns]
    return block


def weeks_of(rows: pd.DataFrame, end: pd.Timestamp, how: FeatureSettings) -> int:
    """Count the weeks from the first row's to ``end``; none without rows."""
    return 0 if rows.empty else int((end - rows[how.time].min()) / WEEK)


def attributes_of(case: Case, position: int, as_of: pd.Timestamp, contract: Contract) -> np.ndarray:
    """Encode one company's attributes as a request has them: the values that were known at ``as_of``."""
    values: dict[str, Any] = {}
    for column in contract.companies.attributes:
        value = case.raw.iloc[position][column]
        if column in case.raw_histories:
            table = case.raw_histories[column]
            own = table[(table["id"] == case.companies["id"].iloc[position]) & (table["since"] < as_of)]
            value = None if own.empty else own.sort_values("since")["value"].iloc[-1]
        values[column] = [None if pd.isna(value) else value]
    how = settings_of(contract)
    found = encode(contract, values, levels_in(case.companies, how))
    own_as_of = days_of(pd.DatetimeIndex([as_of]))[:, None]
    return attribute_array(found, how.attributes, own_as_of, 1)


@by_contract
@pytest.mark.parametrize("windows", [(1, 2, 4, 8, 13, 26), (3, 5, 7, 11), (1,)])
@settings(max_examples=10)
@given(data=st.data(), back=st.integers(-5, 45), before=st.sampled_from([0, 0, 1, 2, 30]))
def test_a_company_alone_at_the_end_of_its_block_is_the_same_as_in_a_chunk(
    name: str, windows: tuple[int, ...], data: st.DataObject, back: int, before: int
) -> None:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract, windows, (1, 3)), data.draw(cases(contract))
    as_of = AS_OF - back * WEEK
    levels = levels_in(case.companies, how)
    chunk = values_of(case, pd.DatetimeIndex([as_of]), how)
    for place, company in enumerate(case.companies["id"]):
        rows = case.usage[(case.usage["id"] == company) & (case.usage[how.time] + WEEK <= as_of)]
        block = block_of(rows, as_of, weeks_of(rows, as_of, how) + before, how)
        attributes = attributes_of(case, place, as_of, contract)
        alone = features_of_block(attributes, block, np.array([block.shape[1]]), how, levels)
        assert alone.dtype == np.float32
        assert alone.tobytes() == chunk[[place]].tobytes()


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_weeks_after_the_position_change_no_bit(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract), data.draw(cases(contract))
    end, levels = AS_OF + 5 * WEEK, levels_in(case.companies, how)
    rows = case.usage[case.usage["id"] == case.companies["id"].iloc[0]]
    block = block_of(rows, end, weeks_of(rows, end, how), how)
    positions = np.array(data.draw(st.lists(st.integers(0, block.shape[1]), min_size=1, max_size=4)))
    attributes = attributes_of(case, 0, end, contract)
    whole = features_of_block(attributes, block, positions, how, levels)
    for place, position in enumerate(positions):
        cut = features_of_block(attributes, block[:, :position], positions[[place]], how, levels)
        assert cut.tobytes() == whole[:, [place]].tobytes()


@by_contract
@pytest.mark.parametrize("weeks", [0, 1, 40])
def test_a_block_without_rows_is_a_company_without_usage(name: str, weeks: int) -> None:
    contract = CONTRACTS[name]()
    how = settings_of(contract)
    ids: list[Any] = [1, 2] if contract.companies.ids == "whole" else ["a", "b"]
    companies = companies_of(contract, *ids)
    width = len(block_columns(how))
    usage = usage_of(contract, (ids[1], 3, [1.0] * (width - 1)))
    chunk = compute_features(companies, usage, pd.DatetimeIndex([AS_OF]), how)
    attributes = attribute_block(companies.iloc[:1], pd.DatetimeIndex([AS_OF]), how.attributes)
    block, levels = np.zeros((1, weeks, width)), levels_in(companies, how)
    alone = features_of_block(attributes, block, np.array([weeks]), how, levels)
    assert alone.tobytes() == chunk[[0]].tobytes()


def test_any_number_of_companies_gives_the_bits_of_each_alone() -> None:
    """Also where a chunk is computed in several parts."""
    how = settings_of(hubspot())
    at_once = compute._FEATURES_AT_ONCE // len(feature_definitions(how))
    tables = tiny_export(seed=3, companies=2 * at_once + 1)
    companies = pd.concat([tables["customers"], tables["noncustomers"]]).sort_values("id")
    companies, usage = with_attributes(companies, hubspot()), tables["usage_actions"]
    as_ofs = pd.date_range(usage["WHEN_TIMESTAMP"].min(), periods=8, freq=6 * WEEK)
    chunk = compute_features(companies, usage, as_ofs, how)
    for place, company in enumerate(companies["id"]):
        alone = companies[companies["id"] == company], usage[usage["id"] == company]
        assert compute_features(*alone, as_ofs, how).tobytes() == chunk[[place]].tobytes()
    nobody = compute_features(companies.iloc[:0], usage.iloc[:0], as_ofs, how)
    assert nobody.shape == (0, *chunk.shape[1:])


@pytest.mark.parametrize(("modules", "users"), [(1, 1), (1, 0), (2, 1), (7, 0), (12, 12), (50, 31)])
def test_any_number_of_modules_gives_the_bits_of_each_company_alone(modules: int, users: int) -> None:
    how = modules_of(modules, users)
    rng = np.random.default_rng(modules)
    block = rng.poisson(0.7, (9, 30, modules + users + 1)).astype(np.float64)
    block[..., -1] = block[..., -1] > 0
    block *= block[..., -1:]
    positions, attributes = np.array([0, 3, 30]), np.empty((9, 1, 0))
    chunk = features_of_block(attributes, block, positions, how, {})
    for place in range(9):
        alone = features_of_block(attributes[[place]], block[[place]], positions, how, {})
        assert alone.tobytes() == chunk[[place]].tobytes()


def test_entropy_has_the_same_bits_before_it_is_rounded() -> None:
    """A sum over an axis adds in another order where a company is alone."""
    how = modules_of(50, 0)
    block = np.random.default_rng(0).poisson(3.0, (9, 5, 51)).astype(np.float64)

    def entropy(some: np.ndarray) -> np.ndarray:
        weeks = weekly_usage(some, block_layout(how))
        (computed,) = (each for each in USAGE_FEATURES if each.feature.name == "module_entropy")
        return computed.compute(known_usage(weeks, np.array([2, 5])))

    whole = entropy(block)
    for place in range(9):
        assert entropy(block[[place]]).tobytes() == whole[:, [place]].tobytes()


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_a_summary_has_the_bits_that_its_totals_lead_to(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract), data.draw(cases(contract))
    values = values_of(case, pd.DatetimeIndex([AS_OF]), how)[:, 0]
    features = [feature.name for feature in feature_definitions(how)]
    known = dict(zip(features, values.T.astype(np.float64), strict=True))
    none = np.zeros(len(values))
    totals = LifetimeTotals(
        known["total_actions"],
        known.get("total_users", none),
        known["days_active"],
        known["activity_frequency"],
        known["seen"],
    )
    attributes = attribute_block(case.companies, pd.DatetimeIndex([AS_OF]), how.attributes, case.histories)
    summary = summary_features(totals, attributes, how, levels_in(case.companies, how))
    for place, feature in enumerate(summary_definitions(how)):
        found, expected = summary[:, place], values[:, features.index(feature.name)]
        if feature.name == "actions_per_user":
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=feature.name)
