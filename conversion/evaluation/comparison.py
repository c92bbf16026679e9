"""Whether B is better than A: two backtests compared on the lists and companies that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from conversion.evaluation.overall_metrics import paired_differences
from conversion.runtime.errors import ComparisonError

KEYS: Final = ["id", "as_of"]
NEEDED: Final = (*KEYS, "label", "probability")
LOG_LOSS: Final = "log_loss"


@dataclass(frozen=True)
class Extent:
    """What a backtest covers.

    Attributes
    ----------
    cutoffs
        Number of lists.
    companies
        Companies on at least one list.
    converters
        Companies with label 1 on at least one list.
    rows
        Rows of all lists.
    """

    cutoffs: int
    companies: int
    converters: int
    rows: int

    def __str__(self) -> str:
        return f"{self.cutoffs} lists, {self.companies} companies, {self.converters} converters"


@dataclass(frozen=True)
class Difference:
    """One measure of A and B, and how certain their difference is.

    Attributes
    ----------
    first, second
        The values of A and B.
    difference, low, high, probability_better
        See `conversion.evaluation.bootstrap.difference`.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    probability_better: float


@dataclass(frozen=True)
class Comparison:
    """The result of comparing two backtests.

    Attributes
    ----------
    a, b, common
        What each covers, and what both cover, which is what was compared.
    first_cutoff, last_cutoff
        Of the common lists, in the form ``2020-02-24``.
    measures
        By name: ``average_precision``, ``recall_at_`` k and ``log_loss`` (lower is better).
    """

    a: Extent
    b: Extent
    common: Extent
    first_cutoff: str
    last_cutoff: str
    measures: dict[str, Difference]


def compare(a: pd.DataFrame, b: pd.DataFrame, k: int, samples: int, seed: int) -> Comparison:
    """Compare two backtests on their common rows.

    Parameters
    ----------
    a, b
        See `conversion.evaluation.predictions`; one row for each ``id`` and ``as_of``.
    k
        List length for the recall.
    samples, seed
        See `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    Comparison

    Raises
    ------
    ComparisonError
        Columns are missing, the two have no list or too few converters in common, or they disagree on a
        label.
    """
    rows = common_rows(a, b)
    measures = paired_differences(rows, "a", "b", (k,), samples, seed)
    return Comparison(
        a=extent(a),
        b=extent(b),
        common=extent(rows),
        first_cutoff=f"{rows['as_of'].min():%Y-%m-%d}",
        last_cutoff=f"{rows['as_of'].max():%Y-%m-%d}",
        measures={name: _difference(values) for name, values in measures.items()},
    )


def common_rows(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Join two backtests on company and cutoff.

    Parameters
    ----------
    a, b
        See `compare`.

    Returns
    -------
    DataFrame
        ``id``, ``as_of``, ``label``, and the probabilities as ``a`` and ``b``.

    Raises
    ------
    ComparisonError
        See `compare`.
    """
    for name, table in (("A", a), ("B", b)):
        missing = [column for column in NEEDED if column not in table]
        if missing:
            raise ComparisonError(f"{name}: the backtest lacks the columns {', '.join(missing)}")
    if pd.api.types.is_integer_dtype(a["id"]) != pd.api.types.is_integer_dtype(b["id"]):
        raise ComparisonError(
            "A and B have ids of different kinds, whole numbers and text: they rest on different contracts; "
            "compare runs with the same export and contract"
        )
    if not set(a["as_of"]) & set(b["as_of"]):
        raise ComparisonError(
            f"A and B have no list in common: A's are {_period(a)}, B's {_period(b)}; run one of them again "
            "with the other's evaluate.first_cutoff and evaluate.spacing_weeks"
        )
    left = a[list(NEEDED)].rename(columns={"probability": "a"})
    right = b[[*KEYS, "label", "probability"]].rename(columns={"probability": "b", "label": "label_b"})
    rows = left.merge(right, on=KEYS, validate="one_to_one")
    differ = rows[rows["label"] != rows["label_b"]].sort_values(KEYS)
    if len(differ):
        first = differ.iloc[0]
        raise ComparisonError(
            f"A and B disagree on the labels of {len(differ)} of {len(rows)} common rows, the first is "
            f"company {first['id']} at {first['as_of']:%Y-%m-%d}: they rest on different exports or "
            "horizons; compare runs with the same export and horizon"
        )
    if not rows["label"].any():
        raise ComparisonError(
            f"no company converts in the {len(rows)} rows that A and B have in common, so they "
            "cannot be compared"
        )
    return rows.drop(columns="label_b")


def extent(predictions: pd.DataFrame) -> Extent:
    """Return what a backtest covers."""
    return Extent(
        cutoffs=predictions["as_of"].nunique(),
        companies=predictions["id"].nunique(),
        converters=predictions.loc[predictions["label"] == 1, "id"].nunique(),
        rows=len(predictions),
    )


def comparison_text(comparison: Comparison, name_a: str, name_b: str) -> str:
    """Write a comparison as text: what was compared, a table of the measures, and the verdict."""
    period = f"from {comparison.first_cutoff} to {comparison.last_cutoff}"
    lines = [f"A: {name_a}", f"B: {name_b}", f"compared on {comparison.common}, {period}"]
    if not comparison.a == comparison.b == comparison.common:
        lines.append(f"of A's {comparison.a}; of B's {comparison.b}")
    rows = [("measure", "A", "B", "B - A", "95 % interval", "probability B is better")]
    for name, measure in comparison.measures.items():
        digits = 6 if name == LOG_LOSS else 4
        a, b, difference = f"{measure.first:.{digits}f}", f"{measure.second:.{digits}f}", measure.difference
        interval = f"{measure.low:+.{digits}f} to {measure.high:+.{digits}f}"
        better = f"{measure.probability_better:.3f}"
        rows.append((measure_words(name), a, b, f"{difference:+.{digits}f}", interval, better))
    return "\n".join([*lines, "", *_aligned(rows), "", verdict(comparison)]) + "\n"


def verdict(comparison: Comparison) -> str:
    """Return a one-sentence verdict: A or B is better on a measure if the interval excludes 0."""
    decided: dict[str, list[str]] = {"A": [], "B": [], "": []}
    for name, measure in comparison.measures.items():
        if measure.low <= 0 <= measure.high:
            decided[""].append(measure_words(name))
        else:
            decided["B" if (measure.difference > 0) != (name == LOG_LOSS) else "A"].append(
                measure_words(name)
            )
    clauses = [f"{who} is better on {_listed(decided[who], 'and')}" for who in "BA" if decided[who]]
    if decided[""]:
        who = "the two" if clauses else "A and B"
        clauses.append(f"{who} cannot be told apart on {_listed(decided[''], 'or')}")
    return "; ".join(clauses) + "."


def measure_words(name: str) -> str:
    """Return a measure's name in words."""
    return name.replace("_", " ")


def _difference(values: Mapping[str, float | None]) -> Difference:
    known = {name: value for name, value in values.items() if value is not None}
    if len(known) < len(values):
        raise ComparisonError("too few companies convert in the rows that A and B share to compare them")
    return Difference(**known)


def _period(predictions: pd.DataFrame) -> str:
    cutoffs = predictions["as_of"]
    return f"{cutoffs.nunique()} from {cutoffs.min():%Y-%m-%d} to {cutoffs.max():%Y-%m-%d}"


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _aligned(rows: Sequence[Sequence[Any]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
