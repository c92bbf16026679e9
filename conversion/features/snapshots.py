"""The snapshots to make: their weeks, labels and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from conversion.config.params import Featurize, Params
from conversion.data.timeline import WEEK, cutoff_weeks, labels, mature_weeks, prospects_at, week_number
from conversion.features.compute import compute_features, feature_frame
from conversion.features.definitions import FeatureSettings
from conversion.runtime.errors import ExportError
from conversion.runtime.progress import counting_bar
from conversion.stats.hashing import uniform_hash


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


def chunks(
    companies: pd.DataFrame, usage: pd.DataFrame, size: int
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Split companies and their usage, both sorted by ``id``, into chunks of ``size`` companies."""
    ids, usage_ids = companies["id"].to_numpy(), usage["id"].to_numpy()
    for start in range(0, len(companies), size):
        chunk = companies.iloc[start : start + size]
        low = np.searchsorted(usage_ids, ids[start], side="left")
        high = np.searchsorted(usage_ids, chunk["id"].iloc[-1], side="right")
        yield chunk, usage.iloc[low:high]


def training_snapshots(
    companies: pd.DataFrame, usage: pd.DataFrame, weeks: pd.DatetimeIndex, params: Featurize, seed: int
) -> pd.DataFrame:
    """Return the labelled, weighted snapshots of a chunk.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label``, ``weight`` and the features: all positives, and the negatives that
        `conversion.features.snapshots.negative_weights` keeps.
    """
    settings = FeatureSettings(params.windows, params.half_lives)
    values = compute_features(companies, usage, weeks, settings)
    label = _labels(companies, weeks, params)
    share = params.keep_negatives
    first_row = usage.groupby("id")["WHEN_TIMESTAMP"].min().reindex(companies["id"])
    known_from = (first_row + WEEK).to_numpy(dtype="datetime64[ns]")
    seen = known_from[:, None] <= weeks.to_numpy(dtype="datetime64[ns]")[None, :]
    weight = negative_weights(companies["id"].to_numpy(), weeks, seen, share.seen, share.never_seen, seed)
    weight = np.where(label == 1, np.float32(1.0), weight)
    keep = ~np.isnan(label) & (weight > 0)
    return _rows(companies, weeks, values, {"label": label, "weight": weight}, keep, settings)


def backtest_snapshots(
    companies: pd.DataFrame, usage: pd.DataFrame, cutoffs: pd.DatetimeIndex, params: Featurize
) -> pd.DataFrame:
    """Return a labelled snapshot of every prospect of a chunk at each cutoff.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label`` (NaN where a quarantined conversion leaves it unknown), ``MRR`` (of a
        conversion that the label counts, else 0) and the features.
    """
    settings = FeatureSettings(params.windows, params.half_lives)
    label = _labels(companies, cutoffs, params)
    mrr = np.where(label == 1, companies["MRR"].to_numpy()[:, None], 0.0)
    prospect = np.stack([prospects_at(companies["CLOSEDATE"], week) for week in cutoffs], axis=1)
    values = compute_features(companies, usage, cutoffs, settings)
    return _rows(companies, cutoffs, values, {"label": label, "MRR": mrr}, prospect, settings)


def prospect_snapshots(
    companies: pd.DataFrame, usage: pd.DataFrame, as_of: pd.Timestamp, params: Featurize
) -> pd.DataFrame:
    """Return the snapshot to score of every prospect of a chunk: ``id``, ``as_of`` and the features."""
    settings = FeatureSettings(params.windows, params.half_lives)
    weeks = pd.DatetimeIndex([as_of])
    values = compute_features(companies, usage, weeks, settings)
    prospect = prospects_at(companies["CLOSEDATE"], as_of).to_numpy()[:, None]
    return _rows(companies, weeks, values, {}, prospect, settings)


def _labels(companies: pd.DataFrame, weeks: pd.DatetimeIndex, params: Featurize) -> np.ndarray:
    horizon = pd.Timedelta(days=params.horizon_days)
    return labels(companies["CLOSEDATE"], companies["conversion_valid"], weeks, horizon)


def _rows(
    companies: pd.DataFrame,
    weeks: pd.DatetimeIndex,
    values: np.ndarray,
    columns: dict[str, np.ndarray],
    keep: np.ndarray,
    settings: FeatureSettings,
) -> pd.DataFrame:
    company, week = np.nonzero(keep)
    key = pd.DataFrame({"id": companies["id"].to_numpy()[company], "as_of": weeks[week]})
    key = key.assign(**{name: column[keep] for name, column in columns.items()})
    return pd.concat([key, feature_frame(values[keep], settings)], axis=1)


def check_weeks(
    weeks: pd.DatetimeIndex, cutoffs: pd.DatetimeIndex, as_of: pd.Timestamp, horizon_days: int
) -> None:
    """Check that the export is long enough to learn from and to test on.

    Raises
    ------
    ExportError
        No training label, or no label of the backtest, is mature at ``as_of``.
    """
    if weeks.empty:
        raise ExportError(
            f"usage_actions: no label is mature at {as_of:%Y-%m-%d}; the export needs more than "
            f"featurize.horizon_days ({horizon_days}) days of usage before it"
        )
    if cutoffs.empty:
        raise ExportError(
            f"evaluate.first_cutoff: no cutoff of the backtest has mature labels at {as_of:%Y-%m-%d}; choose "
            f"a Monday from {weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d}, or give a longer export"
        )


def snapshots_by_chunk(
    companies: pd.DataFrame,
    usage: pd.DataFrame,
    size: int,
    make: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame],
    what: str,
) -> Iterator[pd.DataFrame]:
    """Apply ``make`` to each chunk of companies and its usage, behind a progress bar."""
    with counting_bar(what=what, unit="companies", total=len(companies)) as bar:
        for chunk, chunk_usage in chunks(companies, usage, size):
            yield make(chunk, chunk_usage)
            bar.update(len(chunk))


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
