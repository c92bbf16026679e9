from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.config.attribute_kinds import Category, Number
from conversion.config.attribute_names import encoded_names, feature_name, missing_name, slug
from conversion.data.attribute_encoding import encode, encode_values, is_listed, levels_of, with_attributes
from tests.contract_files import hubspot, projects

ACCOUNTS = pd.DataFrame(
    {
        "country": ["DE", None, "US", "DE"],
        "plan": ["free", "team", None, "business"],
        "head_count": [3.0, np.nan, 10.0, 1.0],
        "is_partner": [True, None, False, False],
    }
)


def test_attributes_of_any_contract_become_numbers() -> None:
    table = with_attributes(ACCOUNTS, projects())
    assert list(table["country"][[0, 2]]) == ["DE", "US"], "what was exported stays"
    assert list(table["country_encoded"]) == ["DE", "Unknown", "US", "DE"]
    assert list(table["country_encoded"].cat.categories) == ["DE", "US", "Unknown"]
    np.testing.assert_array_equal(table["plan_encoded"], [1.0, 2.0, np.nan, 3.0])
    np.testing.assert_array_equal(table["head_count"], [3.0, np.nan, 10.0, 1.0])
    np.testing.assert_array_equal(table["is_partner_encoded"], [1.0, np.nan, 0.0, 0.0])


def test_a_rank_that_is_not_applicable_is_missing_and_flagged() -> None:
    companies = pd.DataFrame(
        {
            "ALEXA_RANK": [1.0, 16_000_001.0, np.nan],
            "EMPLOYEE_RANGE": ["1", "10,001 or more", None],
            "INDUSTRY": ["computer software", "Quarrying", None],
        }
    )
    table = with_attributes(companies, hubspot())
    np.testing.assert_array_equal(table["ALEXA_RANK"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(table["unranked"], [0.0, 1.0, np.nan])
    np.testing.assert_array_equal(table["size"], [1.0, 9.0, np.nan])
    assert list(table["sector"]) == ["Software and IT", "Unknown", "Unknown"]
    assert list(table)[3:] == ["unranked", "size", "sector"]


def test_one_company_is_encoded_as_a_table_is() -> None:
    levels = {"country": ("DE", "US", "Unknown")}
    table = with_attributes(ACCOUNTS, projects())
    for row in range(len(ACCOUNTS)):
        values = {name: [None if pd.isna(each := ACCOUNTS[name][row]) else each] for name in ACCOUNTS}
        one = encode(projects(), values, levels)
        assert list(one) == ["country_encoded", "plan_encoded", "head_count", "is_partner_encoded"]
        assert levels["country"][one.pop("country_encoded")[0]] == table["country_encoded"][row]
        for name, value in one.items():
            np.testing.assert_array_equal(value[0], table[name][row])


@pytest.mark.parametrize(
    ("value", "level"), [("", "Unknown"), ("  ", "Unknown"), (" DE\n", "DE"), ("de", "Other")]
)
def test_a_level_is_read_as_in_an_export(value: str, level: str) -> None:
    levels = ("DE", "Other", "Unknown")
    (codes,) = encode_values(Category(kind="category"), [value], levels)
    assert levels[codes[0]] == level


def test_a_level_that_the_model_has_not_seen_is_unknown() -> None:
    values = {"country": ["FR"], "plan": [None], "head_count": [None], "is_partner": [None]}
    assert encode(projects(), values, {"country": ("DE", "Unknown")})["country_encoded"].tolist() == [1]


GROUPED = Category(kind="category", groups={"North": ("NO", "SE"), "South": ("IT",)}, says_nothing=("n/a",))


def test_levels_are_the_groups_then_what_they_do_not_list_then_unknown() -> None:
    values = ["it", "NO", "PL", "BE", None, "N/A"]
    assert levels_of(GROUPED, values) == ("North", "South", "BE", "PL", "Unknown")
    as_unknown = GROUPED.model_copy(update={"unlisted": "unknown"})
    assert levels_of(as_unknown, values) == ("North", "South", "Unknown")


@pytest.mark.parametrize(("value", "listed"), [("se", True), (" N-A ", True), ("PL", False)])
def test_labels_are_compared_without_case_punctuation_and_spacing(value: str, listed: bool) -> None:
    assert is_listed(GROUPED, value) == listed


def test_features_are_named_after_their_columns_unless_the_contract_names_them() -> None:
    attributes = projects().companies.attributes
    assert feature_name("head_count", attributes["head_count"]) == "log_head_count"
    assert missing_name("plan", attributes["plan"]) == "plan_missing"
    assert slug("2nd Plan (EUR)") == "x_2nd_plan_eur"
    rank = Number(kind="number", not_applicable=99.0)
    assert encoded_names("Score", rank) == ("Score", "score_not_applicable")
    assert feature_name("ALEXA_RANK", hubspot().companies.attributes["ALEXA_RANK"]) == "log_alexa_rank"
