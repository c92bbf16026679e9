"""Slices of the prospects: by their usage and by each attribute of the contract, as known at the cutoff."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number, Ordered
from conversion.config.attribute_names import feature_name, flag_name, label
from conversion.config.data_contract import Contract
from conversion.config.params import BASELINE_WEEKS
from conversion.evaluation.snapshot_source import SnapshotSource
from conversion.stats.distinct_counts import DistinctCounts
from conversion.stats.numeric import Ints
from conversion.stats.portable_math import exp

USAGE_STATE: Final = "usage_state"
TENURE_GROUP: Final = "tenure_group"
NEVER_SEEN: Final = "never used the product"
USAGE_STATES: Final = (
    f"active in the last {BASELINE_WEEKS} weeks",
    f"active before, not in the last {BASELINE_WEEKS} weeks",
    NEVER_SEEN,
)
TENURE_GROUPS: Final = {
    0: "first used up to 4 weeks ago",
    5: "first used 5 to 13 weeks ago",
    14: "first used 14 to 26 weeks ago",
    27: "first used over 26 weeks ago",
}
"""Groups of the weeks since a company was first seen, by the first week in each."""
NOT_SEEN_YET: Final = "not used yet"
OTHER_LEVELS: Final = "all others"
MOST_LEVELS: Final = 8
"""Levels of an attribute that are slices of their own."""
QUANTILES: Final = (0.25, 0.5, 0.75)
"""Where numbers, ages and long orders of levels are cut."""

_ACTIVE, _FIRST_SEEN = f"active_weeks_{BASELINE_WEEKS}w", "weeks_since_first_seen"


@dataclass(frozen=True)
class Slicer:
    """How one column splits the prospects.

    Attributes
    ----------
    name
        The column of the predictions.
    codes
        From snapshots to the position of each row's slice.
    slices
        What the prospects of each slice have in common.
    """

    name: str
    codes: Callable[[pd.DataFrame], Ints]
    slices: tuple[str, ...]


def slice_names(contract: Contract) -> tuple[str, ...]:
    """Name the columns of the predictions that split the prospects."""
    return (USAGE_STATE, TENURE_GROUP, *(_column(name, each) for name, each in _sliced(contract)))


def slice_sources(contract: Contract) -> list[str]:
    """Name the features that slices are made of."""
    found = ["seen", _ACTIVE, _FIRST_SEEN]
    for column, attribute in _sliced(contract):
        found.append(feature_name(column, attribute))
        if (flag := _not_applicable(column, attribute)) is not None:
            found.append(flag)
    return found


def slicers(snapshots: SnapshotSource, contract: Contract) -> tuple[Slicer, ...]:
    """Lay the slices out.

    Parameters
    ----------
    snapshots
        All snapshots of the backtest: numbers are cut at their quantiles, frequent levels are slices.
    contract
        Says what each attribute is, and how it splits the prospects.

    Returns
    -------
    tuple of Slicer
        In the order of `slice_names`. Active: an action or a user in the last weeks.
    """
    tenure = _cut_at(list(TENURE_GROUPS), _FIRST_SEEN)
    return (
        Slicer(USAGE_STATE, _usage_state, USAGE_STATES),
        Slicer(TENURE_GROUP, tenure, (*TENURE_GROUPS.values(), NOT_SEEN_YET)),
        *(_of_attribute(snapshots, column, attribute) for column, attribute in _sliced(contract)),
    )


def slice_columns(snapshots: pd.DataFrame, by: Sequence[Slicer]) -> dict[str, pd.Categorical[str]]:
    """Split prospects into slices by what was known about them at the cutoff; by the slicers' names."""
    return {each.name: pd.Categorical.from_codes(each.codes(snapshots), pd.Index(each.slices)) for each in by}


def _sliced(contract: Contract) -> Iterator[tuple[str, AnyAttribute]]:
    for column, attribute in contract.companies.attributes.items():
        if attribute.slices != "none":
            yield column, attribute


def _column(column: str, attribute: AnyAttribute) -> str:
    name = f"{feature_name(column, attribute)}_{'known' if attribute.slices == 'known' else 'group'}"
    return f"{name}_of_company" if name == TENURE_GROUP else name


def _noun(column: str, attribute: AnyAttribute) -> str:
    """Return what slices call an attribute: its feature where the contract names one, else its label."""
    if attribute.feature is not None:
        return attribute.feature.name.replace("_", " ")
    return label(column, attribute)


def _of_attribute(snapshots: SnapshotSource, column: str, attribute: AnyAttribute) -> Slicer:
    name, noun = feature_name(column, attribute), _noun(column, attribute)
    if attribute.slices == "known":
        unknown = attribute.unknown if isinstance(attribute, Category) else None
        codes, slices = _known(name, unknown), [f"{noun} known"]
    elif isinstance(attribute, Category):
        codes, slices = _levels(snapshots, name, attribute, noun)
    elif isinstance(attribute, Flag):
        codes, slices = _cut_at([0.0, 1.0], name), [f"{noun}: no", f"{noun}: yes"]
    elif isinstance(attribute, Ordered):
        codes, slices = _ordered(snapshots, name, attribute, noun)
    else:
        flag = _not_applicable(column, attribute)
        codes, slices = _amounts(snapshots, attribute, name, flag, noun)
    return Slicer(_column(column, attribute), codes, (*slices, f"{noun} unknown"))


Sliced = tuple[Callable[[pd.DataFrame], Ints], list[str]]
"""The codes of slices, and their names without that of the unknown."""


def _usage_state(snapshots: pd.DataFrame) -> Ints:
    active, seen = snapshots[_ACTIVE].to_numpy() > 0, snapshots["seen"].to_numpy() > 0
    return np.where(active, 0, np.where(seen, 1, 2))


def _known(name: str, unknown: str | None) -> Callable[[pd.DataFrame], Ints]:
    def codes(snapshots: pd.DataFrame) -> Ints:
        values = snapshots[name]
        return np.asarray((values.isna() | (values == unknown)).to_numpy().astype(np.int64))

    return codes


def _cut_at(bounds: Sequence[float], name: str) -> Callable[[pd.DataFrame], Ints]:
    """Put each value into the last group whose lower bound it reaches, and missing ones behind them."""

    def codes(snapshots: pd.DataFrame) -> Ints:
        values = snapshots[name].to_numpy(dtype=np.float64)
        groups = np.maximum(np.searchsorted(list(bounds), values, side="right") - 1, 0)
        return np.where(np.isnan(values), len(bounds), groups)

    return codes


def _levels(snapshots: SnapshotSource, name: str, category: Category, noun: str) -> Sliced:
    """Make a slice of each of the most frequent levels, and one of the others."""
    some = [rows[name].astype("category").value_counts(sort=False) for rows in snapshots.blocks([name])]
    counts = pd.concat(some).groupby(level=0, sort=False, observed=False).sum()
    counts = counts.drop([name for name in (category.unknown, OTHER_LEVELS) if name in counts.index])
    ordered = counts[counts > 0].sort_values(ascending=False, kind="stable").index
    frequent = [str(level) for level in ordered[:MOST_LEVELS]]

    def codes(snapshots: pd.DataFrame) -> Ints:
        found = snapshots[name]
        places = pd.Index(frequent).get_indexer(pd.Index(found.astype(object)))
        unknown = (found.isna() | (found == category.unknown)).to_numpy()
        return np.where(unknown, len(frequent) + 1, np.where(places < 0, len(frequent), places))

    return codes, [f"{noun}: {level}" for level in (*frequent, OTHER_LEVELS)]


def _ordered(snapshots: SnapshotSource, name: str, attribute: Ordered, noun: str) -> Sliced:
    """Make slices of groups of levels: those of the contract, each level, or levels between quantiles."""
    levels = attribute.levels
    if attribute.slice_levels:
        places = {level: place for place, each in enumerate(attribute.slice_levels) for level in each.levels}
        table = np.array([*(places[level] for level in levels), len(attribute.slice_levels)])

        def codes(snapshots: pd.DataFrame) -> Ints:
            found = snapshots[name].to_numpy(dtype=np.float64)
            return np.asarray(table[np.where(np.isnan(found), len(levels) + 1, found).astype(np.int64) - 1])

        return codes, [each.name for each in attribute.slice_levels]
    if len(levels) <= MOST_LEVELS:
        return _cut_at(range(1, len(levels) + 1), name), [f"{noun}: {level}" for level in levels]
    bounds = [1.0, *_quantiles(snapshots, name)]
    ends = [*(int(bound) - 1 for bound in bounds[1:]), len(levels)]
    slices = [
        f"{noun}: {levels[int(low) - 1]}" + (f" to {levels[end - 1]}" if end > low else "")
        for low, end in zip(bounds, ends, strict=True)
    ]
    return _cut_at(bounds, name), slices


def _amounts(
    snapshots: SnapshotSource, attribute: Number | Date, name: str, flag: str | None, noun: str
) -> Sliced:
    """Make slices of numbers or ages between quantiles, and one of what is not applicable."""
    # Bounds that read the same are one.
    by_text = {_as_text(attribute, bound): bound for bound in _quantiles(snapshots, name, flag)[::-1]}
    bounds = [-np.inf, *list(by_text.values())[::-1]]
    slices = _ranges(noun, list(by_text)[::-1], isinstance(attribute, Date))
    cut = _cut_at(bounds, name)
    if flag is None:
        return cut, slices

    def codes(snapshots: pd.DataFrame) -> Ints:
        found, beyond = cut(snapshots), snapshots[flag].to_numpy() == 1
        return np.where(beyond, len(bounds), np.where(found == len(bounds), len(bounds) + 1, found))

    return codes, [*slices, f"{noun} not applicable"]


def _quantiles(snapshots: SnapshotSource, name: str, flag: str | None = None) -> list[float]:
    """Return where known and applicable values are cut, increasing, above the least of them."""
    counts = DistinctCounts()
    for rows in snapshots.blocks([name] if flag is None else [name, flag]):
        values = rows[name].to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        counts.add(values[known if flag is None else known & (rows[flag].to_numpy() != 1)])
    distinct, numbers, _ = counts.result()
    if len(distinct) < 2:
        return []
    cumulated = np.cumsum(numbers)
    # As numpy.quantile with the method "lower".
    places = np.floor((cumulated[-1] - 1) * np.array(QUANTILES)).astype(np.int64)
    cuts = np.unique(distinct[np.searchsorted(cumulated, places, side="right")])
    # Where three quarters have the least value, the others are a slice.
    return cuts[cuts >= distinct[1]].tolist() or [float(distinct[1])]


def _ranges(noun: str, bounds: Sequence[str], are_ages: bool) -> list[str]:
    """Name the ranges between bounds."""
    under, ago = ("under", " days ago") if are_ages else ("below", "")
    if not bounds:
        return [f"{noun} known"]
    between = [f"{noun} {low} to {under} {high}{ago}" for low, high in itertools.pairwise(bounds)]
    return [f"{noun} {under} {bounds[0]}{ago}", *between, f"{noun} {bounds[-1]}{ago} or more"]


def _as_text(attribute: Number | Date, bound: float) -> str:
    value = float(exp(np.array(bound))) if isinstance(attribute, Number) and attribute.log else bound
    whole = isinstance(attribute, Date) or attribute.whole
    return f"{round(value):,}" if whole else f"{value:.4g}"


def _not_applicable(column: str, attribute: AnyAttribute) -> str | None:
    """Name the feature that says that an attribute is not applicable, if it may be so."""
    if isinstance(attribute, Number) and attribute.not_applicable is not None:
        return flag_name(column, attribute)
    return None
