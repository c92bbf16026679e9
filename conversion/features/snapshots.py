"""The snapshots to make: their weeks, labels and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.params import Featurize, KeepNegatives, Params
from conversion.data.attribute_block import encode_history
from conversion.data.attribute_encoding import Levels
from conversion.data.clean_tables import CleanTables
from conversion.data.timeline import (
    WEEK,
    conversion_values,
    cutoff_weeks,
    labels,
    mature_weeks,
    prospects_by_week,
    week_number,
)
from conversion.features.compute import compute_features, feature_frame, feature_settings, levels_in
from conversion.features.definitions import FeatureSettings
from conversion.runtime.errors import ExportError
from conversion.runtime.progress import counting_bar
from conversion.stats.hashing import uniform_hash

Made = TypeVar("Made")


class Recipe(NamedTuple):
    """How snapshots are made of clean tables: the same for every chunk of companies.

    Attributes
    ----------
    params
        Section ``featurize``.
    contract
        Names the columns.
    settings
        What features depend on.
    levels
        By category, its levels in the order of their codes.
    """

    params: Featurize
    contract: Contract
    settings: FeatureSettings
    levels: Levels


def recipe_of(companies: pd.DataFrame, params: Featurize, contract: Contract) -> Recipe:
    """Prepare how snapshots are made of one table of companies.

    Parameters
    ----------
    companies
        All clean companies, whose categoricals have every level.
    params
        Section ``featurize``.
    contract
        Names the columns.
    """
    settings = feature_settings(params, contract)
    return Recipe(params, contract, settings, levels_in(companies, settings))


class Weeks(NamedTuple):
    """The weeks of all snapshots.

    Attributes
    ----------
    training
        Of the training snapshots.
    cutoffs
        Of the backtest.
    as_of
        Of the snapshots to score.
    """

    training: pd.DatetimeIndex
    cutoffs: pd.DatetimeIndex
    as_of: pd.Timestamp


class Features(NamedTuple):
    """The features of a chunk at some weeks: of a company at a week they are the same among any others.

    Attributes
    ----------
    weeks
        datetime64[ns], ascending.
    numbers
        Shape (companies, weeks, features), as from `conversion.features.compute.compute_features`.
    """

    weeks: np.ndarray
    numbers: np.ndarray


def with_encoded_histories(tables: CleanTables, recipe: Recipe) -> CleanTables:
    """Encode the clean histories as features read them."""
    attributes = recipe.contract.companies.attributes
    encoded = {
        column: encode_history(rows, column, attributes[column], recipe.levels)
        for column, rows in tables.histories.items()
    }
    return tables._replace(histories=encoded)


def kept_shares(given: KeepNegatives, companies: int, weeks: int) -> KeepNegatives:
    """Return the shares of negatives that are kept of so many companies at so many training weeks.

    Fewer snapshots than ``shares_from`` keep more of them: as many as ``shares_from`` would, or all.

    Examples
    --------
    >>> given = KeepNegatives(seen=0.15, never_seen=0.03, shares_from=1_500_000)
    >>> shares = kept_shares(given, companies=5_000, weeks=60)
    >>> shares.seen, shares.never_seen
    (0.75, 0.15)
    """
    more = max(given.shares_from / max(companies * weeks, 1), 1.0)
    return given.model_copy(
        update={"seen": min(given.seen * more, 1.0), "never_seen": min(given.never_seen * more, 1.0)}
    )


def training_weeks(first_week: pd.Timestamp, as_of: pd.Timestamp, params: Featurize) -> pd.DatetimeIndex:
    """Return the weeks of the training snapshots."""
    return mature_weeks(first_week, as_of, pd.Timedelta(days=params.horizon_days), params.spacing_weeks)


def backtest_weeks(first_week: pd.Timestamp, as_of: pd.Timestamp, params: Params) -> pd.DatetimeIndex:
    """Return the cutoffs of the backtest; by default half of the weeks are to learn from, half to test on."""
    given = params.evaluate.first_cutoff
    half_way = first_week + ((as_of - first_week) // WEEK // 2) * WEEK
    first_cutoff = half_way if given is None else pd.Timestamp(given)
    horizon = pd.Timedelta(days=params.featurize.horizon_days)
    return cutoff_weeks(first_cutoff, as_of, horizon, params.evaluate.spacing_weeks)


def chunks(tables: CleanTables, size: int) -> Iterator[CleanTables]:
    """Split clean tables, all sorted by ``id``, into those of ``size`` companies each; one without any."""
    companies = tables.companies
    if companies.empty:
        yield tables
    for start in range(0, len(companies), size):
        chunk = companies.iloc[start : start + size]
        first, last = chunk["id"].iloc[0], chunk["id"].iloc[-1]
        yield CleanTables(
            chunk,
            _of_companies(tables.usage, first, last),
            _of_companies(tables.periods, first, last),
            {column: _of_companies(rows, first, last) for column, rows in tables.histories.items()},
        )


def _of_companies(table: pd.DataFrame, first: Any, last: Any) -> pd.DataFrame:
    ids = table["id"].to_numpy()
    return table.iloc[ids.searchsorted(first, side="left") : ids.searchsorted(last, side="right")]


def all_snapshots(tables: CleanTables, weeks: Weeks, recipe: Recipe, seed: int) -> dict[str, pd.DataFrame]:
    """Return every table of snapshots of a chunk, by name; features are computed once for all weeks.

    Returns
    -------
    dict of pandas.DataFrame
        ``train``, ``backtest``, ``latest`` and ``previous``: as from `training_snapshots`,
        `backtest_snapshots`, and `prospect_snapshots` at ``as_of`` and a week before.
    """
    before = weeks.as_of - WEEK
    dates = (weeks.training, weeks.cutoffs, pd.DatetimeIndex([before, weeks.as_of]))
    features = _features(tables, np.unique(np.concatenate([_days(each) for each in dates])), recipe)
    return {
        "train": training_snapshots(tables, weeks.training, recipe, seed, features),
        "backtest": backtest_snapshots(tables, weeks.cutoffs, recipe, features),
        "latest": prospect_snapshots(tables, weeks.as_of, recipe, features),
        "previous": prospect_snapshots(tables, before, recipe, features),
    }


def training_snapshots(
    tables: CleanTables, weeks: pd.DatetimeIndex, recipe: Recipe, seed: int, features: Features | None = None
) -> pd.DataFrame:
    """Return the labelled, weighted snapshots of a chunk.

    ``features`` are those of the chunk at these weeks and any others; None: they are computed.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label``, ``weight`` and the features: all positives, and the negatives that
        `conversion.features.snapshots.negative_weights` keeps.
    """
    companies, usage = tables.companies, tables.usage
    label = _labels(tables, weeks, recipe)
    share = recipe.params.keep_negatives
    first_row = usage.groupby("id")[recipe.contract.usage.time].min().reindex(companies["id"])
    known_from = (first_row + WEEK).to_numpy(dtype="datetime64[ns]")
    seen = known_from[:, None] <= _days(weeks)[None, :]
    weight = negative_weights(companies["id"].to_numpy(), weeks, seen, share.seen, share.never_seen, seed)
    weight = np.where(label == 1, np.float32(1.0), weight)
    keep = ~np.isnan(label) & (weight > 0)
    return _rows(tables, weeks, {"label": label, "weight": weight}, keep, recipe, features)


def backtest_snapshots(
    tables: CleanTables, cutoffs: pd.DatetimeIndex, recipe: Recipe, features: Features | None = None
) -> pd.DataFrame:
    """Return a labelled snapshot of every prospect of a chunk at each cutoff.

    ``features`` are as in `training_snapshots`.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label`` (NaN where a quarantined conversion leaves it unknown), ``MRR`` where the
        contract has a value (that of the conversion that the label counts, else 0), and the features.
    """
    contract = recipe.contract
    columns = {"label": _labels(tables, cutoffs, recipe)}
    if contract.companies.value is not None:
        values = conversion_values(tables.companies, cutoffs, _horizon(recipe), contract, tables.periods)
        columns["MRR"] = np.where(columns["label"] == 1, values, 0.0)
    return _rows(tables, cutoffs, columns, _prospects(tables, cutoffs, contract), recipe, features)


def prospect_snapshots(
    tables: CleanTables, as_of: pd.Timestamp, recipe: Recipe, features: Features | None = None
) -> pd.DataFrame:
    """Return the snapshot to score of every prospect of a chunk: ``id``, ``as_of`` and the features.

    ``features`` are as in `training_snapshots`.
    """
    weeks = pd.DatetimeIndex([as_of])
    return _rows(tables, weeks, {}, _prospects(tables, weeks, recipe.contract), recipe, features)


def _horizon(recipe: Recipe) -> pd.Timedelta:
    return pd.Timedelta(days=recipe.params.horizon_days)


def _days(weeks: pd.DatetimeIndex) -> np.ndarray:
    return weeks.to_numpy(dtype="datetime64[ns]")


def _labels(tables: CleanTables, weeks: pd.DatetimeIndex, recipe: Recipe) -> np.ndarray:
    return labels(tables.companies, weeks, _horizon(recipe), recipe.contract, tables.periods)


def _prospects(tables: CleanTables, weeks: pd.DatetimeIndex, contract: Contract) -> np.ndarray:
    return prospects_by_week(tables.companies, weeks, contract, tables.periods)


def _features(tables: CleanTables, weeks: np.ndarray, recipe: Recipe) -> Features:
    companies, usage, histories = tables.companies, tables.usage, tables.histories or None
    numbers = compute_features(companies, usage, pd.DatetimeIndex(weeks), recipe.settings, histories)
    return Features(weeks, numbers)


def _rows(
    tables: CleanTables,
    weeks: pd.DatetimeIndex,
    columns: dict[str, np.ndarray],
    keep: np.ndarray,
    recipe: Recipe,
    features: Features | None,
) -> pd.DataFrame:
    company, week = np.nonzero(keep)
    key = pd.DataFrame({"id": tables.companies["id"].array[company], "as_of": weeks[week]})
    key = key.assign(**{name: column[keep] for name, column in columns.items()})
    found = _features(tables, _days(weeks), recipe) if features is None else features
    place = np.searchsorted(found.weeks, _days(weeks))
    numbers = found.numbers.transpose(2, 0, 1)  # as they lie in memory
    rows = company * numbers.shape[2] + place[week]
    values = numbers.reshape(len(numbers), -1).take(rows, axis=1).T
    return pd.concat([key, feature_frame(values, recipe.settings, recipe.levels)], axis=1)


def check_weeks(
    weeks: pd.DatetimeIndex,
    cutoffs: pd.DatetimeIndex,
    as_of: pd.Timestamp,
    horizon_days: int,
    contract: Contract,
) -> None:
    """Check that the export is long enough to learn from and to test on.

    Raises
    ------
    ExportError
        No training label, or no label of the backtest, is mature at ``as_of``.
    """
    if weeks.empty:
        raise ExportError(
            f"{contract.usage.table}: no label is mature at {as_of:%Y-%m-%d}; the export needs more than "
            f"featurize.horizon_days ({horizon_days}) days of usage before it"
        )
    if cutoffs.empty:
        raise ExportError(
            f"evaluate.first_cutoff: no cutoff of the backtest has mature labels at {as_of:%Y-%m-%d}; choose "
            f"a Monday from {weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d}, or give a longer export"
        )


def snapshots_by_chunk(
    tables: CleanTables, size: int, make: Callable[[CleanTables], Made], what: str
) -> Iterator[Made]:
    """Apply ``make`` to the tables of each chunk of companies, behind a progress bar."""
    with counting_bar(what=what, unit="companies", total=len(tables.companies)) as bar:
        for chunk in chunks(tables, size):
            yield make(chunk)
            bar.update(len(chunk.companies))


def negative_weights(
    ids: np.ndarray,
    as_ofs: pd.DatetimeIndex,
    seen: np.ndarray,
    keep_seen: float,
    keep_never: float,
    seed: int,
) -> np.ndarray:
    """Choose which negatives to keep, by a hash of id and week; no other row has an influence.

    Parameters
    ----------
    ids
        Company ids, length companies.
    as_ofs
        Snapshot weeks.
    seen
        Whether the company had a usage row by then; shape (companies, as_ofs).
    keep_seen, keep_never
        Share of the seen and of the never-seen negatives to keep.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs)
        0 where dropped, else 1 / share kept: the weighted counts are unbiased, so no prior is shifted
        (Horvitz and Thompson 1952).
    """
    share = np.where(seen, keep_seen, keep_never)
    draw = uniform_hash(ids[:, None], week_number(as_ofs)[None, :], seed=seed)
    return np.where(draw < share, 1.0 / share, 0.0).astype(np.float32)
