"""Levels of categories are learned from training snapshots, and counted where they are new."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.attribute_kinds import Category
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import encode
from conversion.features.definitions import Feature
from conversion.modelling.levels import (
    ROWS_AT_ONCE,
    feature_values,
    learn_levels,
    level_codes,
    unseen_levels,
    warn_of_unseen_levels,
)
from tests.contract_files import hubspot, projects

COUNTRY = Feature("country", "country", "country", "-", "category", 0, "firmographics", "country")
SECTOR = Feature("sector", "sector", "sector", "-", "category", 0, "firmographics", "INDUSTRY")
GROUPED = {"groups": {"Europe": ("DE", "FR"), "America": ("US", "CA")}, "rare": 2}


def with_country(**settings: object) -> Contract:
    """Return the contract with another definition of its category."""
    values = projects().model_dump(mode="json")
    values["companies"]["attributes"] |= {"country": {"kind": "category", **settings}}
    return Contract.model_validate(values)


def country(contract: Contract) -> Category:
    return contract.attributes_of(Category)["country"]  # type: ignore[no-any-return]


def snapshots(levels: dict[str | None, int], weeks: int = 3) -> pd.DataFrame:
    """Make snapshots of so many companies with each level, each company at some weeks."""
    column = [level for level, companies in levels.items() for _ in range(companies)]
    frame = pd.DataFrame({"id": [f"c{number}" for number in range(len(column))], "country": column})
    return pd.concat([frame] * weeks, ignore_index=True).astype({"country": "category"})


def test_companies_are_counted_and_not_their_snapshots() -> None:
    learned = learn_levels(snapshots({"DE": 12, "US": 10, "FR": 9, None: 30}), (COUNTRY,), with_country())
    assert learned.levels == {"country": ("DE", "US", "Other", "Unknown")}
    assert learned.rare == {"country": ("FR",)}


@pytest.mark.parametrize("rare", [0, 1])
def test_levels_that_no_snapshot_has_are_none(rare: int) -> None:
    frame = snapshots({"DE": 1, "US": 2})
    frame["country"] = frame["country"].cat.add_categories(["ZZ"])
    learned = learn_levels(frame, (COUNTRY,), with_country(rare=rare))
    assert learned.levels == {"country": ("DE", "US", "Other", "Unknown")}


def test_groups_are_levels_as_they_are_and_others_where_they_are_common() -> None:
    frame = snapshots({"Europe": 1, "JP": 2, "NZ": 1, "Other": 5, "Unknown": 5})
    learned = learn_levels(frame, (COUNTRY,), with_country(**GROUPED))
    assert learned.levels == {"country": ("Europe", "America", "JP", "Other", "Unknown")}
    assert learned.rare == {"country": ("NZ",)}


def test_a_category_whose_other_levels_are_unknown_needs_no_companies() -> None:
    learned = learn_levels(pd.DataFrame({"sector": ["Education"]}), (SECTOR,), hubspot())
    groups = tuple(hubspot().attributes_of(Category)["INDUSTRY"].groups)
    assert learned.levels == {"INDUSTRY": (*groups, "Unknown")}
    assert learned.rare == {"INDUSTRY": ()}
    with pytest.raises(KeyError, match="training snapshots lack the columns id"):
        learn_levels(pd.DataFrame({"country": ["DE"]}), (COUNTRY,), with_country())


def test_without_a_category_there_is_nothing_to_learn() -> None:
    assert learn_levels(pd.DataFrame(), (), projects()) == ({}, {})


TEXTS = st.lists(st.sampled_from(["DE", "FR", "US", "JP", "Other", "Unknown", "", None]), min_size=1)


@given(values=TEXTS, grouped=st.booleans(), categorical=st.booleans())
def test_a_table_is_encoded_like_a_request(
    values: list[str | None], grouped: bool, categorical: bool
) -> None:
    """The codes of a frame are those that the service makes of the same values with the model's levels."""
    contract = with_country(**(GROUPED if grouped else {"rare": 1}))
    learned = learn_levels(snapshots({"Europe": 3, "JP": 2, "FR": 1}), (COUNTRY,), contract)
    others = dict.fromkeys(contract.companies.attributes, [None] * len(values))
    requested = encode(contract, others | {"country": values}, learned.levels)
    # What a clean table has: the group of a value that has one, and no empty text.
    found: dict[str, str | None] = {"": None}
    found |= {"DE": "Europe", "FR": "Europe", "US": "America"} if grouped else {}
    column = pd.Series([found.get(str(value), value) for value in values], dtype=object)
    column = column.astype("category") if categorical else column
    codes = level_codes(column, learned.levels["country"], country(contract))
    (name,) = (name for name in requested if name.startswith("country"))
    np.testing.assert_array_equal(codes, requested[name])


NUMBERS = tuple(Feature(name, name, name, "-", "count", 0, "usage") for name in "abc")
DOUBLES = st.floats(width=32) | st.floats()


@given(
    rows=st.sampled_from([0, 1, 5, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 3]),
    place=st.integers(0, 3),
    kinds=st.lists(st.sampled_from(["float32", "float64", "int64"]), min_size=3, max_size=3),
    some=st.lists(DOUBLES, min_size=1, max_size=20),
    levels=st.lists(st.sampled_from(["JP", "FR", "DE", None]), min_size=1),
)
@np.errstate(over="ignore", under="ignore", invalid="ignore")
def test_values_are_those_of_each_column_alone(
    rows: int, place: int, kinds: list[str], some: list[float], levels: list[str | None]
) -> None:
    contract = with_country(rare=1)
    learned = learn_levels(snapshots({"JP": 3, "FR": 2}), (COUNTRY,), contract)
    cells = {name: np.resize(np.roll(some, shift), rows) for shift, name in enumerate("abc")}
    numbers = {
        name: (np.isnan(cells[name]) if kind == "int64" else cells[name]).astype(kind)
        for name, kind in zip("abc", kinds, strict=True)
    }
    frame = pd.DataFrame(numbers).assign(country=pd.Series(np.resize(np.array(levels, object), rows)))
    features = (*NUMBERS[:place], COUNTRY, *NUMBERS[place:])
    found = feature_values(frame, features, learned.levels, contract)
    alone = [
        level_codes(frame["country"], learned.levels["country"], country(contract))
        if feature is COUNTRY
        else numbers[feature.name].astype(np.float64)
        for feature in features
    ]
    np.testing.assert_array_equal(found, np.column_stack(alone))


def test_unseen_levels_are_counted_and_rare_ones_are_not_unseen(caplog: pytest.LogCaptureFixture) -> None:
    contract = with_country(rare=2)
    learned = learn_levels(snapshots({"DE": 3, "FR": 1}), (COUNTRY,), contract)
    scored = snapshots({"DE": 2, "FR": 2, "JP": 1, "NZ": 2, None: 4}, weeks=1)
    counts = unseen_levels(scored, (COUNTRY,), learned)
    assert counts == {"country": {"NZ": 2, "JP": 1}}
    codes = level_codes(scored["country"], learned.levels["country"], country(contract))
    assert learned.levels["country"] == ("DE", "Other", "Unknown")
    assert codes.tolist() == [0] * 2 + [1] * 5 + [2] * 4
    with caplog.at_level(logging.WARNING):
        warn_of_unseen_levels(counts)
        warn_of_unseen_levels(unseen_levels(scored.head(4), (COUNTRY,), learned))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "as many companies have by then as the attribute's rare says" in record.message
    assert vars(record)["unseen"] == "country of 3 rows: NZ, JP"


def test_a_warning_names_a_few_levels(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        # Columns may have any name, also that of a record's own attributes.
        warn_of_unseen_levels({"name": dict.fromkeys("ABCDEFG", 1), "msg": {"x": 2}})
    expected = "name of 7 rows: A, B, C, D, E and 2 more; msg of 2 rows: x"
    assert vars(caplog.records[0])["unseen"] == expected
