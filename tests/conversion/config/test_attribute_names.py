from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from conversion.config.attribute_kinds import AnyAttribute
from conversion.config.attribute_names import (
    encoded_names,
    feature_name,
    flag_name,
    label,
    missing_name,
    slug,
)
from conversion.config.usage_contract import Measure, Module

OWN = {"name": "mine", "description": "x"}


def attribute(kind: str, **keys: Any) -> AnyAttribute:
    return TypeAdapter(AnyAttribute).validate_python({"kind": kind, **keys})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("MRR", "mrr"),
        ("2nd site", "x_2nd_site"),
        ("__a--b__", "a_b"),
        ("名前", "x_"),
        ("Région", "region"),
        ("Größe", "grosse"),
    ],
)
def test_features_are_named_in_small_letters(column: str, expected: str) -> None:
    assert slug(column) == expected


def test_what_follows_from_the_column() -> None:
    number = attribute("number", log=True, minimum=1, not_applicable=9)
    assert feature_name("Site Rank", number) == "log_site_rank"
    assert flag_name("Site Rank", number) == "site_rank_not_applicable"
    assert missing_name("Site Rank", number) == "site_rank_missing"
    assert encoded_names("Site Rank", number) == ("Site Rank", "site_rank_not_applicable")
    assert encoded_names("Seats", attribute("number")) == ("Seats",)


def test_what_the_contract_names_goes_first() -> None:
    number = attribute("number", not_applicable=9, feature=OWN, flag=OWN, missing=OWN)
    assert {name("Rank", number) for name in (feature_name, flag_name, missing_name)} == {"mine"}


@pytest.mark.parametrize(("column", "expected"), [("Country", "country"), ("country", "country_encoded")])
def test_an_encoded_column_stands_beside_the_one_of_the_export(column: str, expected: str) -> None:
    assert encoded_names(column, attribute("category")) == (expected,)


def test_attributes_modules_and_measures_are_called_what_reps_call_them() -> None:
    named = (
        attribute("flag"),
        Module(actions="sent"),
        Measure(column="gb", combine="last"),
    )
    assert [label("a", each) for each in named] == ["a"] * 3
    assert [label("a", each.model_copy(update={"say": "b"})) for each in named] == ["b"] * 3
