"""Arithmetic that gives the same bits on every processor.

Libraries choose their kernels by the processor: BLAS adds products in different orders, and libm and numpy's
SIMD loops round logarithms and exponentials differently, so the last bits of a result differ between
machines. The functions here use only operations that IEEE 754 rounds in one way: single additions,
multiplications, divisions and scalings by powers of two, in a written order. Matrix products still go through
BLAS, but on whole numbers so short that every partial sum is exact and the order does not matter (Ozaki et
al. 2012, Error-free transformations of matrix multiplication by using fast routines of matrix multiplication,
Numerical Algorithms 59).

Logarithm and exponential follow FreeBSD's msun (e_log.c and e_exp.c, Sun Microsystems 1993): the argument is
reduced to a small range, where a minimax polynomial is off by less than 2**-58.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conversion.stats.numeric import Floats

Exponents = NDArray[np.int32]

DOUBLE_BITS: Final = 53
"""Of a significand: sums of whole numbers below ``2 ** 53`` are exact."""

_LN2_HIGH: Final = 6.93147180369123816490e-01  # its last 21 bits are zero: exact times a small whole number
_LN2_LOW: Final = 1.90821492927058770002e-10
_PER_LN2: Final = 1.44269504088896338700
_SQRT_HALF: Final = 0.7071067811865476
# log(1 + f) = 2 s + s R(s**2), with s = f / (2 + f)
_LOG: Final = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
# exp(r) = 1 + 2 r / (2 - r + r**2 P(r**2))
_EXP: Final = (
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
_LARGEST_EXPONENT: Final = 700.0
_SMALLEST_EXPONENT: Final = -900
_TO_WHOLE: Final = 1.5 * 2.0**52  # added and taken off again, it rounds to a whole number
_FEW_ROWS: Final = 64
_FEW_VALUES: Final = 8  # for so few Python's floats are faster, and the same doubles
_PRODUCTS_AT_ONCE: Final = 1 << 20
"""Cells of the tables that `sums_at_counts` multiplies at a time, to stay in the processor's cache."""
_VALUES_AT_ONCE: Final = 16384  # what is computed on the way stays in the processor's cache

# A Python float or an array of doubles: the same operations round both in the same way.
_Number = TypeVar("_Number", float, Floats)


def log(x: ArrayLike) -> Floats:
    """Return the natural logarithm, to within one unit in the last place.

    Parameters
    ----------
    x
        Finite, or NaN.

    Returns
    -------
    numpy.ndarray of float64
        In the shape of ``x``; of 0 it is ``-inf``, of NaN and negative numbers NaN.
    """
    return _elementwise(x, _log_of_float, _log_of_array)


def log1p(x: ArrayLike) -> Floats:
    """Return ``log(1 + x)``, accurate for tiny ``x`` too.

    Parameters
    ----------
    x
        Above -1 and finite, or NaN.

    Returns
    -------
    numpy.ndarray of float64
        In the shape of ``x``.
    """
    return _elementwise(x, _log1p_of_float, _log1p_of_array)


def exp(x: ArrayLike) -> Floats:
    """Return the exponential of ``x`` clipped to [-700, 700], to within one unit in the last place.

    Parameters
    ----------
    x
        Any numbers; NaN gives NaN.

    Returns
    -------
    numpy.ndarray of float64
        In the shape of ``x``.
    """
    return _elementwise(x, _exp_of_float, _exp_of_array)


def expit(x: ArrayLike) -> Floats:
    """Return ``1 / (1 + exp(-x))``, the probability with log-odds ``x``."""
    return _elementwise(
        x, lambda each: 1.0 / (1.0 + _exp_of_float(-each)), lambda block: 1.0 / (1.0 + _exp_of_array(-block))
    )


def power(base: ArrayLike, exponent: ArrayLike) -> Floats:
    """Raise bases of at least 0 to exponents other than 0; results up to ``exp(700)``."""
    bases = np.asarray(base, dtype=np.float64)
    result = exp(np.asarray(exponent, dtype=np.float64) * log(np.where(bases > 0, bases, 1.0)))
    return np.where(bases > 0, result, 0.0)


def linear_predictor(columns: Floats, coefficients: Floats) -> Floats:
    """Return ``columns @ coefficients``, added column by column.

    Parameters
    ----------
    columns
        Shape (rows, columns).
    coefficients
        Shape (columns,).

    Returns
    -------
    numpy.ndarray of float64, shape (rows,)
        A row's sum does not depend on the other rows.
    """
    rows, count = columns.shape
    if not count:
        return np.zeros(rows)
    if rows <= _FEW_ROWS:  # the same sums, with fewer calls
        return np.asarray(np.add.accumulate(columns * coefficients, axis=1)[:, -1])
    sums: Floats = columns[:, 0] * coefficients[0]
    product = np.empty(rows)
    for column in range(1, count):
        np.multiply(columns[:, column], coefficients[column], out=product)
        sums += product
    return sums


def sums_at_counts(counts: NDArray[np.floating | np.integer], values: Floats) -> Floats:
    """Return ``counts.T @ values`` for whole-number counts, such as how often a sample drew each row.

    Parameters
    ----------
    counts
        Whole numbers >= 0, shape (rows, samples).
    values
        Finite, shape (rows, columns).

    Returns
    -------
    numpy.ndarray of float64, shape (samples, columns)
        Each column is correct to the last bits of its largest value.
    """
    rows, samples = counts.shape
    sums = np.zeros((samples, values.shape[1]))
    if not values.size or not samples:
        return sums
    bits = DOUBLE_BITS - _bits_of(rows * max(1.0, float(counts.max())))
    exponent, count = column_exponents(values), -(-DOUBLE_BITS // bits)
    # Of each slice: whole numbers, so that the sum of blocks of rows is exact too.
    products = np.zeros((count, *sums.shape))
    at_once = max(1, _PRODUCTS_AT_ONCE // max(sums.shape))
    for start in range(0, rows, at_once):
        block = slice(start, start + at_once)
        times = counts[block].T.astype(np.float64)
        for product, (whole, _) in zip(products, slices(values[block], count, bits, exponent), strict=True):
            product += times @ whole
    for number, product in enumerate(products, 1):
        sums += np.ldexp(product, exponent - bits * number)
    return sums


def slices(
    values: Floats, count: int, bits: int, exponent: Exponents | None = None
) -> list[tuple[Floats, Exponents]]:
    """Cut each column's values into short whole numbers, whose products BLAS adds up exactly.

    Parameters
    ----------
    values
        Finite, shape (rows, columns), at least one row.
    count
        Number of slices. They cover ``count * bits`` bits below the column's largest value; smaller bits are
        left out.
    bits
        A slice's numbers are at most ``2 ** bits``.
    exponent
        From `column_exponents` of these rows and others; None: of these alone.

    Returns
    -------
    list of (numpy.ndarray of float64, shape (rows, columns); numpy.ndarray of int32, shape (columns,))
        Whole numbers, and the power of two that they are multiples of, the largest slice first.
    """
    exponent = column_exponents(values) if exponent is None else exponent
    rest, cut = values, []
    for number in range(1, count + 1):
        unit = exponent - bits * number
        whole = rest * np.ldexp(1.0, -unit)
        np.rint(whole, out=whole)
        cut.append((whole, unit))
        if number < count:
            rest = rest - whole * np.ldexp(1.0, unit)
    return cut


def column_exponents(values: Floats) -> Exponents:
    """Return the smallest powers of two above each column's values, shape (columns,).

    Values below ``2 ** -900`` count as zero, as their slices' unit would not be a double.
    """
    _, exponent = np.frexp(np.maximum(values.max(axis=0), -values.min(axis=0)))
    return np.asarray(np.maximum(exponent, _SMALLEST_EXPONENT))


def _elementwise(
    x: ArrayLike, of_float: Callable[[float], float], of_array: Callable[[Floats], Floats]
) -> Floats:
    """Apply a function to each element, one by one where there are few, and else block by block."""
    values = np.asarray(x, dtype=np.float64)
    if values.size <= _FEW_VALUES:
        return np.array([of_float(each) for each in values.ravel().tolist()]).reshape(values.shape)
    flat, result = values.ravel(), np.empty(values.size)
    for start in range(0, values.size, _VALUES_AT_ONCE):
        block = slice(start, start + _VALUES_AT_ONCE)
        result[block] = of_array(flat[block])
    return result.reshape(values.shape)


def _log_of_float(x: float) -> float:
    if x > 0:
        return _log(*math.frexp(x), 0.0)
    return -math.inf if x == 0 else math.nan


def _log_of_array(x: Floats) -> Floats:
    inside = x > 0
    if inside.all():
        return _log(*_parts(x), 0.0)
    result = _log(*_parts(np.where(inside, x, 1.0)), 0.0)
    return np.where(inside, result, np.where(x == 0, -np.inf, np.nan))


def _log1p_of_float(x: float) -> float:
    whole = 1.0 + x
    return _log(*math.frexp(whole), _lost(x, whole) / whole)


def _log1p_of_array(x: Floats) -> Floats:
    whole = 1.0 + x
    return _log(*_parts(whole), _lost(x, whole) / whole)


def _exp_of_float(x: float) -> float:
    if math.isnan(x):
        return x
    result, steps = _exp(min(max(x, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))
    return math.ldexp(result, int(steps))


def _exp_of_array(x: Floats) -> Floats:
    result, steps = _exp(np.minimum(np.maximum(x, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))
    return np.asarray(np.ldexp(result, np.nan_to_num(steps).astype(np.int32)))


def _parts(x: Floats) -> tuple[Floats, Floats]:
    significand, exponent = np.frexp(x)
    return significand, exponent.astype(np.float64)


def _lost(x: _Number, whole: _Number) -> _Number:
    """Return what ``whole = 1 + x`` lost in rounding, exactly (Knuth's two-sum)."""
    added = whole - 1.0
    return (1.0 - (whole - added)) + (x - added)


def _log(significand: _Number, exponent: _Number, extra: _Number | float) -> _Number:
    """Return ``log(significand * 2 ** exponent) + extra``, with a tiny ``extra``."""
    # The significand moves from [1/2, 1) to [sqrt(1/2), sqrt(2)), around 1.
    small = significand < _SQRT_HALF
    power_of_two = exponent - small
    fraction = significand * (1.0 + small) - 1.0
    ratio = fraction / (2.0 + fraction)
    square = ratio * ratio
    half = 0.5 * fraction * fraction
    part = ratio * (half + square * _polynomial(square, _LOG)) + (power_of_two * _LN2_LOW + extra)
    return power_of_two * _LN2_HIGH - ((half - part) - fraction)


def _exp(x: _Number) -> tuple[_Number, _Number]:
    """Return ``exp(x)`` as a number near 1 and the power of two it is to be multiplied by."""
    steps = (x * _PER_LN2 + _TO_WHOLE) - _TO_WHOLE
    high = x - steps * _LN2_HIGH
    low = steps * _LN2_LOW
    rest = high - low
    square = rest * rest
    tail = rest - square * _polynomial(square, _EXP)
    return 1.0 - ((low - rest * tail / (2.0 - tail)) - high), steps


def _polynomial(x: _Number, coefficients: tuple[float, ...]) -> _Number:
    """Sum the coefficients times the powers of ``x``, the constant first, by Horner's rule."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total = (total + coefficient) * x
    return total + coefficients[0]


def _bits_of(largest: float) -> int:
    return int(np.frexp(largest)[1])
