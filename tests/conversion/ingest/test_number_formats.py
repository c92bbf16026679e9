from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.ingest.number_formats import format_of, may_have_thousands


def is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None


def is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", text) is not None


@pytest.mark.parametrize(
    ("values", "plain"),
    [
        (["1,5", "1000,25", "7"], ["1.5", "1000.25", "7"]),
        (["1,234.5", "-12"], ["1234.5", "-12"]),
        (["1,234,567", "12"], ["1234567", "12"]),
        (["1.234,5", "0,5"], ["1234.5", "0.5"]),
        (["1.234.567", "1"], ["1234567", "1"]),
        (["1 234,5", "3"], ["1234.5", "3"]),
        (["1\u202f234.5"], ["1234.5"]),
        (["1'234'567.50"], ["1234567.50"]),
        (["+1,234.0"], ["+1234.0"]),
    ],
)
def test_numbers_of_one_way_are_rewritten(values: list[str], plain: list[str]) -> None:
    found = format_of(values, is_number)
    assert found is not None
    assert [found[1](value) for value in values] == plain


@pytest.mark.parametrize(
    "values",
    [
        ["1,234"],  # 1234, or 1.234
        ["1,234", "12"],
        ["1,234.5", "1234.5"],
        ["1,234.5", "1,5"],
        ["1,23,456"],
        ["0,123,456"],
        ["1,2,3"],
        ["1,234.5,6"],
        ["1,234.5", "n/a"],
        ["1 2"],
        [","],
    ],
)
def test_numbers_of_two_ways_or_of_none_are_left(values: list[str]) -> None:
    assert format_of(values, is_number) is None


def test_a_column_of_whole_numbers_has_one_way() -> None:
    found = format_of(["1,234", "12"], is_whole)
    assert found is not None
    assert found[0] == "commas between thousands"
    assert found[1]("1,234") == "1234"
    assert format_of(["1,5"], is_whole) is None


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["2.010", "7", "45"], "2.010"),
        (["0", "-1.290"], "-1.290"),
        (["2.000", "12"], "2.000"),
        (["2.010", "1500"], None),  # no point between the thousands of 1500
        (["2.010", "0.125"], None),
        (["2.010", "7.5"], None),
        (["2.010", "7.000"], None),  # all numbers have three decimals
        (["7", "45"], None),
        ([], None),
    ],
)
def test_points_that_may_stand_between_thousands(values: list[str], found: str | None) -> None:
    assert may_have_thousands(values) == found


@given(st.lists(st.integers(-999_999, 999_999), min_size=1))
def test_what_is_written_with_points_between_thousands_is_found(numbers: list[int]) -> None:
    values = [f"{number:,}".replace(",", ".") for number in numbers]
    is_mixed = 0 < sum("." in value for value in values) < len(values)
    assert (may_have_thousands(values) is not None) == is_mixed


@given(
    st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1), st.sampled_from([",.", ".,", " ,", "'."])
)
def test_what_is_read_is_what_was_written_or_nothing(numbers: list[object], signs: str) -> None:
    swap = str.maketrans({",": signs[0], ".": signs[1]})
    values = [f"{number:,}".translate(swap) for number in numbers]
    found = format_of(values, is_number)
    if found is not None:
        assert [found[1](value) for value in values] == [f"{number}" for number in numbers]
    else:
        assert not any(signs[0] in value for value in values)
