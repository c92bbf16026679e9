"""The attributes of the default contract, as they are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.attribute_kinds import Category, Ordered
from conversion.data.attribute_encoding import encode, level_of, levels_of, with_attributes
from tests.contract_files import hubspot

ATTRIBUTES = hubspot().companies.attributes
INDUSTRY, EMPLOYEES = ATTRIBUTES["INDUSTRY"], ATTRIBUTES["EMPLOYEE_RANGE"]
assert isinstance(INDUSTRY, Category)
assert isinstance(INDUSTRY.groups, dict)
assert isinstance(EMPLOYEES, Ordered)
LABELS, SECTORS, RANGES = INDUSTRY.groups, levels_of(INDUSTRY, []), EMPLOYEES.levels
UNRANKED = 16_000_001
sector_of = level_of(INDUSTRY)


@pytest.mark.parametrize(
    ("industry", "sector"),
    [
        ("COMPUTER_SOFTWARE", "Software and IT"),
        ("Technology - Software", "Software and IT"),
        ("technology software", "Software and IT"),
        ("  Consulting/Advisory ", "Professional services"),
        ("Comercio Electrónico", "Retail and consumer goods"),
        ("REAL_ESTATE", "Construction and real estate"),
        ("Other", "Unknown"),
        ("no such industry", "Unknown"),
        ("", "Unknown"),
        (None, "Unknown"),
        (float("nan"), "Unknown"),
        (pd.NA, "Unknown"),
        (7, "Unknown"),
    ],
)
def test_both_taxonomies_map_to_sectors(industry: object, sector: str) -> None:
    assert sector_of(industry) == sector


def test_each_industry_belongs_to_one_sector() -> None:
    by_label: dict[str, set[str]] = {}
    for sector, labels in LABELS.items():
        for label in labels:
            by_label.setdefault(sector_of(label), set()).add(sector)
    assert by_label == {sector: {sector} for sector in LABELS}
    assert SECTORS[-1] == "Unknown"
    assert len(set(SECTORS)) == len(SECTORS)


@given(st.text())
def test_any_text_has_a_sector(text: str) -> None:
    assert sector_of(text) in SECTORS


def test_firmographics_are_read_as_documented() -> None:
    companies = pd.DataFrame(
        {
            "id": [1, 2, 3, 4],
            "ALEXA_RANK": [250.0, float(UNRANKED), np.nan, 16_000_000.0],
            "EMPLOYEE_RANGE": ["1", "10,001 or more", None, "11 to 25"],
            "INDUSTRY": ["INTERNET", None, "Travel", "who knows"],
        }
    )
    read = with_attributes(companies, hubspot())
    np.testing.assert_array_equal(read["ALEXA_RANK"], [250.0, np.nan, np.nan, 16_000_000.0])
    np.testing.assert_array_equal(read["unranked"], [0.0, 1.0, np.nan, 0.0])
    np.testing.assert_array_equal(read["size"], [1.0, 9.0, np.nan, 4.0])
    assert list(read["sector"]) == ["Software and IT", "Unknown", "Travel and leisure", "Unknown"]
    assert tuple(read["sector"].cat.categories) == SECTORS
    assert list(read["INDUSTRY"].fillna("-")) == ["INTERNET", "-", "Travel", "who knows"]
    assert companies["ALEXA_RANK"].iloc[1] == UNRANKED, "the input is left as it was"


def test_sizes_follow_the_order_of_the_ranges() -> None:
    companies = pd.DataFrame({"ALEXA_RANK": 1.0, "EMPLOYEE_RANGE": RANGES, "INDUSTRY": None})
    assert list(with_attributes(companies, hubspot())["size"]) == [float(size) for size in range(1, 10)]


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_nothing_known_of_any_company(dtype: str) -> None:
    unknown = pd.Series([None, None], dtype=dtype)
    companies = pd.DataFrame({"ALEXA_RANK": np.nan, "EMPLOYEE_RANGE": unknown, "INDUSTRY": unknown})
    read = with_attributes(companies, hubspot())
    assert read[["ALEXA_RANK", "unranked", "size"]].isna().all(axis=None)
    assert list(read["sector"]) == ["Unknown", "Unknown"]


# Companies without a table

companies_of = st.tuples(
    st.none()
    | st.floats(0.001, 2e7)
    | st.sampled_from([1.0, UNRANKED - 1.0, float(UNRANKED), UNRANKED + 1.0]),
    st.none() | st.sampled_from(RANGES),
    st.none()
    | st.sampled_from([label for labels in LABELS.values() for label in labels])
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
)


def encoded(ranks: Iterable[Any], ranges: Iterable[Any], industries: Iterable[Any]) -> list[np.ndarray]:
    values = {
        "ALEXA_RANK": np.array([*ranks], dtype=np.float64),
        "EMPLOYEE_RANGE": list(ranges),
        "INDUSTRY": list(industries),
    }
    return list(encode(hubspot(), values, {"INDUSTRY": SECTORS}).values())


def values_of_one(rank: float | None, employee_range: str | None, industry: str | None) -> list[float]:
    return [float(value.item()) for value in encoded([rank], [employee_range], [industry])]


@given(st.lists(companies_of, min_size=1, max_size=20))
def test_values_of_one_company_are_those_of_the_table(
    rows: list[tuple[float | None, str | None, str | None]],
) -> None:
    ranks, ranges, industries = zip(*rows, strict=True)
    table = with_attributes(
        pd.DataFrame(
            {
                "ALEXA_RANK": np.array(ranks, dtype=np.float64),
                "EMPLOYEE_RANGE": pd.Series(ranges, dtype="str"),
                "INDUSTRY": pd.Series(industries, dtype="str"),
            }
        ),
        hubspot(),
    )
    expected = table[["ALEXA_RANK", "unranked", "size"]].assign(sector=table["sector"].cat.codes)
    together = encoded(ranks, ranges, industries)
    np.testing.assert_array_equal(np.transpose(together), expected.to_numpy())
    np.testing.assert_array_equal([values_of_one(*row) for row in rows], expected.to_numpy())


def test_values_of_one_company_by_hand() -> None:
    nan = float("nan")
    np.testing.assert_array_equal(values_of_one(None, None, None), (nan, nan, nan, len(SECTORS) - 1))
    np.testing.assert_array_equal(values_of_one(UNRANKED, "1", "SaaS"), (nan, 1.0, 1.0, 0))
