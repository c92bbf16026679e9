"""Attributes of companies as they were known at each ``as_of``: an array of encoded columns.

What is dated ``as_of`` itself happens after it, as a conversion of that day does. So dates and rows of
histories count from the day after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Number
from conversion.config.attribute_names import encoded_names
from conversion.data.attribute_encoding import Levels, encode_values, split_number, values_of
from conversion.data.histories import value_column
from conversion.stats.numeric import Floats, Ints

Attributes = Sequence[tuple[str, AnyAttribute]]
Days = Ints
_STRIDE: Final = 1 << 32  # from company to company: more days than any calendar has


def days_of(moments: pd.DatetimeIndex | pd.Series[Any]) -> Days:
    """Return the days since 1970-01-01."""
    return np.asarray(np.asarray(moments, dtype="datetime64[D]").astype(np.int64))


def attribute_block(
    companies: pd.DataFrame,
    as_ofs: pd.DatetimeIndex,
    attributes: Attributes,
    histories: Mapping[str, pd.DataFrame] | None = None,
) -> Floats:
    """Return the attributes of companies as they were known at each ``as_of``.

    Parameters
    ----------
    companies
        One row a company: ``id`` and the columns of `conversion.data.attribute_encoding.with_attributes`.
    as_ofs
        Monday 00:00s.
    attributes
        The contract's attributes, each with its column.
    histories
        For each attribute that has one: rows as `encode_history` returns them, of these companies and perhaps
        others. The company's last row before ``as_of`` counts. Without one the value is not known, whatever
        stands in ``companies``: that is what it was when the export was taken.

    Returns
    -------
    numpy.ndarray of float64, shape (companies, as_ofs, columns)
        As from `attribute_array`; one ``as_of`` stands for all where no attribute changes with time.
    """
    known = histories or {}
    as_of = days_of(as_ofs)
    encoded: dict[str, NDArray[Any]] = {}
    for column, attribute in attributes:
        names = encoded_names(column, attribute)
        if column in known:
            missing = _unknown(companies[names[0]], attribute)
            values = _known_values(companies["id"], known[column], as_of, missing)
            encoded |= zip(names, _split(attribute, values), strict=True)
        else:
            encoded |= {name: _numbers(companies[name]) for name in names}
    return attribute_array(encoded, attributes, as_of, len(companies))


def attribute_array(
    encoded: Mapping[str, NDArray[Any]], attributes: Attributes, as_of: Days, companies: int
) -> Floats:
    """Put encoded attributes side by side, with dates as ages.

    Parameters
    ----------
    encoded
        By encoded column, as from `conversion.data.attribute_encoding.encode`, of shape (companies,), or
        (companies, as_ofs) where it changes with time.
    attributes
        The contract's attributes, each with its column.
    as_of
        Days since 1970-01-01: those of all companies, shape (as_ofs,), or each company's own, shape
        (companies, 1).
    companies
        How many there are.

    Returns
    -------
    numpy.ndarray of float64, shape (companies, as_ofs or 1, columns)
        In the order of `encoded_names`, attribute after attribute. A category is the position of its level, a
        date its age in days at ``as_of``, NaN where it is not before.
    """
    columns = []
    for column, attribute in attributes:
        for name in encoded_names(column, attribute):
            values = encoded[name].reshape(companies, -1) if companies else np.empty((0, 1))
            columns.append(ages(values, as_of) if isinstance(attribute, Date) else values)
    block = np.empty((companies, max((each.shape[1] for each in columns), default=1), len(columns)))
    for place, values in enumerate(columns):
        block[..., place] = values
    return block


def ages(days: Floats, as_of: Days) -> Floats:
    """Return how long before ``as_of`` days are, in days; NaN where they are missing or not before."""
    return np.where(days < as_of, as_of - days, np.nan)


def encode_history(table: pd.DataFrame, column: str, attribute: AnyAttribute, levels: Levels) -> pd.DataFrame:
    """Encode an attribute's history as `conversion.data.attribute_encoding.encode` encodes companies.

    Parameters
    ----------
    table
        Typed rows: ``id``, and the columns that `History` names; missing values are NaN, NaT or None.
    column
        The attribute's column in the company table.
    attribute
        Has a history.
    levels
        By category, its levels in the order of their codes.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``valid_from`` and ``value`` (float64): a code where `encode` makes one, days since 1970-01-01
        of a date, and a number as it is, also where it stands for not applicable.
    """
    history = attribute.history
    assert history is not None, f"{column} has a history"
    raw = table[value_column(column, history)]
    if isinstance(attribute, Number):
        values = raw.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        (encoded,) = encode_values(attribute, values_of(raw, attribute), levels.get(column, ()))
        values = encoded.astype(np.float64)
    return pd.DataFrame({"id": table["id"], "valid_from": table[history.valid_from], "value": values})


def _known_values(ids: pd.Series[Any], history: pd.DataFrame, as_of: Days, missing: float) -> Floats:
    """Look up each company's last value before each ``as_of``; shape (companies, as_ofs)."""
    # Of rows of one day the largest value counts, so that the order of rows does not.
    rows = history[history["valid_from"].notna()].sort_values(["valid_from", "value"], na_position="first")
    place = pd.Index(ids).get_indexer(pd.Index(rows["id"]))
    here = place >= 0
    order = np.argsort(place[here], kind="stable")
    keys = (place[here] * _STRIDE + days_of(rows["valid_from"])[here])[order]
    values = np.append(rows["value"].to_numpy(dtype=np.float64)[here][order], missing)
    own = np.arange(len(ids))[:, None] * _STRIDE
    last = np.searchsorted(keys, own + as_of, side="left") - 1
    found = last >= np.searchsorted(keys, own, side="left")
    known = values[np.where(found, last, len(keys))]
    return np.where(np.isnan(known), missing, known)


def _unknown(column: pd.Series[Any], attribute: AnyAttribute) -> float:
    """Return how a missing value is encoded: as a category's last level, else as NaN."""
    return len(column.cat.categories) - 1.0 if isinstance(attribute, Category) else np.nan


def _split(attribute: AnyAttribute, values: Floats) -> Iterable[NDArray[Any]]:
    return split_number(attribute, values) if isinstance(attribute, Number) else [values]


def _numbers(column: pd.Series[Any]) -> NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
