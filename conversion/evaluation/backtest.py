"""Rolling-origin backtest: the list that each cutoff would have had, beside what happened afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.data.timeline import WEEK, week_number
from conversion.evaluation.columns_on_disk import new_column
from conversion.evaluation.predictions import (
    OUTCOMES,
    SUMMARY,
    collected,
    places_among,
    rows_by_cutoff,
    search,
)
from conversion.evaluation.prospect_slices import Slicer, slice_columns, slicers
from conversion.evaluation.snapshot_source import SnapshotSource, SnapshotTable
from conversion.features.rules import rules
from conversion.modelling.kept_fits import KeptFits
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import fit_at
from conversion.runtime.behind import results_of
from conversion.runtime.errors import ExportError
from conversion.runtime.progress import progress_bar
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import blocks

RANKERS: Final = {
    "probability": "the model",
    SUMMARY: "the model that knows firmographics and lifetime totals only",
    "users_rule": "the rule: most users of a week, last 4 weeks",
    "actions_rule": "the rule: most actions, last 4 weeks",
    "random": "random order",
    "oracle": "the sample's true probability (on the sample only)",
}
"""What each column of the predictions orders the lists by."""
ROWS_AT_ONCE: Final = 32768
MOST_ROWS: Final = 400_000
"""Training snapshots of all fits that run side by side; each fit takes some 5 kB a snapshot."""


def backtest(
    train: pd.DataFrame,
    snapshots: pd.DataFrame | SnapshotSource,
    params: Params,
    contract: Contract,
    folder: Path | None = None,
    memory: KeptFits | None = None,
) -> pd.DataFrame:
    """Score every prospect at every cutoff with a model fitted on what was known then.

    Parameters
    ----------
    train
        Training snapshots.
    snapshots
        One row for each prospect and cutoff, with ``label``, the features and, if the contract has the value
        of a conversion, ``MRR``.
    params
        The recipe is fitted again every ``evaluate.refit_weeks``; in between, the last fit is used.
    contract
        Of the tables that the snapshots were made of.
    folder
        Where large columns of the result are, see `conversion.evaluation.columns_on_disk`; None: in memory.
    memory
        Where fits are kept, see `conversion.modelling.kept_fits`; None: nowhere.

    Returns
    -------
    pandas.DataFrame
        ``id`` (texts are a category), ``as_of``, ``label``, perhaps ``MRR``, ``probability``, the baselines
        ``summary_only`` (the probability from firmographics and lifetime totals alone), ``users_rule`` (most
        users of the last 4 weeks, if they are known), ``actions_rule`` (actions of the last 4 weeks) and
        ``random``;
        ``fitted_as_of``, ``base_rate`` and ``threshold`` of the fit that was used; and the columns of
        `conversion.evaluation.prospect_slices.slice_names`. By cutoff, then by id. Rows whose label is
        unknown because the conversion is in quarantine are left out.

    Raises
    ------
    ExportError
        No company converts after any cutoff, so there is nothing to measure.
    """
    source = SnapshotTable(snapshots) if isinstance(snapshots, pd.DataFrame) else snapshots
    sizes = _list_sizes(source)
    span = params.evaluate.refit_weeks * WEEK
    refits = sizes.index[(sizes.index - sizes.index[0]) % span == pd.Timedelta(0)]
    by = slicers(source, contract)
    models = _fitted(train, refits, params, contract, memory)

    def score(block: pd.DataFrame) -> pd.DataFrame:
        return _scored(block, models, params, contract, by)

    scored = results_of(source.blocks(), score, threads=params.evaluate.jobs)
    predictions = collected(scored, sizes, folder, _text_ids(source))
    if not predictions["label"].any():
        raise ExportError(
            f"{contract.conversion_tables}: no conversion follows any cutoff of the backtest; set an earlier "
            "evaluate.first_cutoff or give a longer export"
        )
    return predictions


def _list_sizes(source: SnapshotSource) -> pd.Series[int]:
    """Count the rows with a label of each cutoff, in time order."""
    counts = [
        block["label"].notna().astype(np.int64).groupby(block["as_of"]).sum()
        for block in source.blocks(["as_of", "label"])
    ]
    return pd.concat(counts).groupby(level=0).sum()


def _text_ids(source: SnapshotSource) -> pd.Index[Any] | None:
    """Return each company's id once, increasing; None if ids are numbers."""
    known: pd.Index[Any] | None = None
    for block in source.blocks(["id"]):
        if pd.api.types.is_integer_dtype(block["id"]):
            return None
        ids = pd.Index(block["id"].unique())
        if known is None:
            known = ids
        elif len(new := ids[known.get_indexer(ids) < 0]):  # else the index keeps its table for look-ups
            known = known.append(new)
    return None if known is None else known.sort_values()


def _fitted(
    train: pd.DataFrame,
    refits: pd.DatetimeIndex,
    params: Params,
    contract: Contract,
    memory: KeptFits | None,
) -> dict[pd.Timestamp, ConversionModel]:
    side_by_side = max(1, min(params.evaluate.jobs, MOST_ROWS // max(len(train), 1)))
    jobs = Parallel(n_jobs=side_by_side, backend="threading", return_as="generator")
    # The last has the most to learn from: it goes first, so that all threads end at about the same time.
    longest_first = refits[::-1]
    models: Iterable[ConversionModel] = jobs(
        delayed(fit_at)(train, refit, params, contract, explained=False, memory=memory)
        for refit in longest_first
    )
    bar = progress_bar(models, what="backtest", unit="refits", total=len(refits))
    return dict(zip(longest_first, bar, strict=True))


def _scored(
    block: pd.DataFrame,
    models: Mapping[pd.Timestamp, ConversionModel],
    params: Params,
    contract: Contract,
    by: tuple[Slicer, ...],
) -> pd.DataFrame:
    """Score the rows with a label, each by the last fit before it."""
    refits = pd.DatetimeIndex(sorted(models))
    known = np.flatnonzero(block["label"].notna())
    last = np.asarray(refits.searchsorted(block["as_of"].iloc[known], side="right")) - 1
    order = np.argsort(last, kind="stable")  # so that each fit's rows are a slice
    rows, last = block.iloc[known[order]], last[order]
    probability, summary_only = np.empty((2, len(rows)))
    for fit in np.unique(last):
        start, end = np.searchsorted(last, [fit, fit + 1])
        for some in blocks(start, end, ROWS_AT_ONCE):  # to bound the memory of the features' values
            both = models[refits[fit]].probability_and_by_summary(rows.iloc[some])
            probability[some], summary_only[some] = both
    of_fit = [models[refit] for refit in refits]
    return rows[[name for name in OUTCOMES if name in rows]].assign(
        label=rows["label"].astype(np.int8),
        probability=np.round(probability, 9),
        summary_only=np.round(summary_only, 9),
        **{rule: rows[feature] for rule, feature in rules(contract).items()},
        random=uniform_hash(rows["id"], week_number(rows["as_of"]), seed=params.seed),
        fitted_as_of=refits[last],
        base_rate=np.array([model.base_rate_ for model in of_fit])[last],
        threshold=np.array([model.threshold_ for model in of_fit])[last],
        **slice_columns(rows, by),
    )


def with_oracle(
    predictions: pd.DataFrame, truth: Iterable[pd.DataFrame], folder: Path | None = None
) -> pd.DataFrame:
    """Add the sample's true probability as the ranker ``oracle``; NaN where it is not known.

    Parameters
    ----------
    predictions
        From `backtest`, so each list is by id.
    truth
        Parts of the table of ``id``, ``as_of`` and ``probability``.
    folder
        As for `backtest`.

    Raises
    ------
    ValueError
        A list is in another order.
    """
    oracle = new_column(len(predictions), np.float64, folder)
    oracle[:] = np.nan
    ids, lists = predictions["id"], dict(rows_by_cutoff(predictions))
    if not all(ids.iloc[rows].is_monotonic_increasing for rows in lists.values()):
        raise ValueError("the predictions of a cutoff are not in the order of their ids")
    for part in truth:
        for as_of, some in part.groupby("as_of").indices.items():
            rows = lists.get(pd.Timestamp(str(as_of)))
            if rows is not None:
                known = part.iloc[some]
                at, there = search(known["id"].to_numpy(), ids.iloc[rows].to_numpy())
                oracle[places_among(rows, at[there])] = known["probability"].to_numpy()[there]
    return predictions.assign(oracle=pd.Series(oracle, index=predictions.index, copy=False))
