"""Arithmetic with the same bits everywhere: right to the last place, in a written order."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conversion.stats.portable_math import (
    exp,
    expit,
    linear_predictor,
    log,
    log1p,
    power,
    slices,
    sums_at_counts,
)

finite = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 2.0**-800)


def units_off(found: float, true: Decimal) -> float:
    """How many units in the last place a number is away from the true one."""
    return float(abs(Decimal(found) - true) / Decimal(float(np.spacing(abs(float(true))))))


@given(st.floats(1e-300, 1e300))
def test_log_is_right_to_one_unit(x: float) -> None:
    with localcontext() as context:
        context.prec = 40
        assert units_off(float(log(x)), Decimal(x).ln()) <= 1.0


@given(st.floats(-700, 700))
def test_exp_is_right_to_one_unit(x: float) -> None:
    with localcontext() as context:
        context.prec = 40
        assert units_off(float(exp(x)), Decimal(x).exp()) <= 1.0


@given(st.floats(-0.999, 1e12, allow_subnormal=False).filter(lambda x: abs(x) > 1e-290))
def test_log1p_is_right_to_one_unit(x: float) -> None:
    with localcontext() as context:
        context.prec = 340
        true = (1 + Decimal(x)).ln()
    assert units_off(float(log1p(x)), true) <= 1.0


@given(st.lists(st.floats(-50, 1e9), min_size=1, max_size=8))
def test_few_values_and_many_give_the_same_bits(values: list[float]) -> None:
    few = np.array(values)
    positive = np.abs(few)
    for function, x in ((log, positive), (log1p, positive), (exp, few), (expit, few)):
        many = function(np.resize(x, 20000))
        np.testing.assert_array_equal(function(x), many[: len(x)])
        np.testing.assert_array_equal(np.resize(function(x), 20000), many)


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (log([1.0, 0.0, math.nan, -1.0]), [0.0, -math.inf, math.nan, math.nan]),
        (log([1.0, 0.0, math.nan, -1.0] * 3), [0.0, -math.inf, math.nan, math.nan] * 3),
        (exp([math.nan, 0.0] * 8), [math.nan, 1.0] * 8),
        (log1p([0.0, math.nan]), [0.0, math.nan]),
        (exp([0.0, math.nan]), [1.0, math.nan]),
        (exp([-1e9, 1e9]), exp([-700.0, 700.0])),
        (expit([0.0, -1e9]), [0.5, float(exp(-700.0))]),
        (power([1.0, 0.0, 0.25], [3.0, 2.0, 0.5]), [1.0, 0.0, 0.5]),
        (log(np.zeros((2, 0))), np.zeros((2, 0))),
    ],
)
def test_special_values(computed: NDArray[np.float64], expected: list[float]) -> None:
    np.testing.assert_array_equal(computed, np.array(expected))


def test_known_bits() -> None:
    """The same on every machine: these are the doubles, written out."""
    assert [value.hex() for value in log([3.0, 1e-5, 12345.678]).tolist()] == KNOWN_LOGS
    assert [value.hex() for value in exp([0.1, -3.3, 17.0]).tolist()] == KNOWN_EXPONENTIALS


KNOWN_LOGS = ["0x1.193ea7aad030ap+0", "-0x1.7069e2aa2aa5bp+3", "0x1.2d79559791e31p+3"]
KNOWN_EXPONENTIALS = ["0x1.1aec7b35a00d4p+0", "0x1.2e259bb85be85p-5", "0x1.709348c0ea4f9p+24"]


@given(st.integers(1, 200), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_a_row_s_linear_predictor_is_added_up_in_order_whatever_the_other_rows(
    rows: int, columns: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    design, coefficients = rng.normal(size=(rows, columns)), rng.normal(size=columns)
    found = linear_predictor(design, coefficients)
    assert found[-1] == linear_predictor(design[-1:], coefficients)[0]
    total = 0.0
    for value, coefficient in zip(design[-1].tolist(), coefficients.tolist(), strict=True):
        total += value * coefficient
    assert found[-1] == total


def test_a_linear_predictor_without_columns_is_zero() -> None:
    assert linear_predictor(np.empty((3, 0)), np.empty(0)).tolist() == [0.0] * 3


@given(
    st.lists(st.tuples(st.integers(0, 9), finite), min_size=1, max_size=50),
)
def test_sums_at_counts_are_correctly_rounded_sums(rows: list[tuple[int, float]]) -> None:
    counts = np.array([[count] for count, _ in rows], dtype=np.float32)
    values = np.array([[value] for _, value in rows])
    true = sum((count * Fraction(value) for count, value in rows), Fraction(0))
    largest = float(np.abs(values).max())
    found = float(sums_at_counts(counts, values)[0, 0])
    assert abs(Fraction(found) - true) <= Fraction(2.0**-50) * max(abs(true), Fraction(largest))


@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_sums_at_counts_do_not_depend_on_the_order_of_rows(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts, values = rng.integers(0, 5, (rows, 3)).astype(np.float32), rng.lognormal(0, 5, (rows, 4))
    order = rng.permutation(rows)
    np.testing.assert_array_equal(
        sums_at_counts(counts[order], values[order]), sums_at_counts(counts, values)
    )


@pytest.mark.parametrize("cells", [1, 40, 150])
def test_sums_at_counts_are_the_same_in_blocks_of_rows(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    counts, values = rng.integers(0, 9, (50, 7)).astype(np.uint8), rng.lognormal(0, 5, (50, 4))
    at_once = sums_at_counts(counts, values)
    monkeypatch.setattr("conversion.stats.portable_math._PRODUCTS_AT_ONCE", cells)
    np.testing.assert_array_equal(sums_at_counts(counts, values), at_once)


def test_slices_hold_what_is_above_the_last_bit_as_short_whole_numbers() -> None:
    values = np.array([[1.0, 3e-8, 0.0], [-0.7, 2.5e-8, 0.0]])
    cut = slices(values, 2, 20)
    for whole, _ in cut:
        np.testing.assert_array_equal(whole, np.rint(whole))
        assert np.abs(whole).max() <= 2**20
    again = sum(np.ldexp(whole, unit) for whole, unit in cut)
    assert (np.abs(again - values) <= np.array([1.0, 3e-8, 0.0]) * 2.0**-39).all()
