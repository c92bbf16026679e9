"""Rolling-origin backtest: the list that each cutoff would have had, beside what happened afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.data.timeline import WEEK, week_number
from conversion.evaluation.predictions import OUTCOMES
from conversion.evaluation.prospect_slices import Slicer, slice_columns, slicers
from conversion.features.rules import rules
from conversion.modelling.training import fit_at
from conversion.runtime.errors import ExportError
from conversion.runtime.progress import progress_bar
from conversion.stats.hashing import uniform_hash

SUMMARY: Final = "summary_only"
RANKERS: Final = {
    "probability": "the model",
    SUMMARY: "the model that knows firmographics and lifetime totals only",
    "users_rule": "the rule: most users of a week, last 4 weeks",
    "actions_rule": "the rule: most actions, last 4 weeks",
    "random": "random order",
    "oracle": "the sample's true probability (on the sample only)",
}
"""What each column of the predictions orders the lists by."""


def backtest(
    train: pd.DataFrame, snapshots: pd.DataFrame, params: Params, contract: Contract
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

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label``, perhaps ``MRR``, ``probability``, the baselines ``summary_only`` (the
        probability from firmographics and lifetime totals alone), ``users_rule`` (most users of the last 4
        weeks, if they are known), ``actions_rule`` (actions of the last 4 weeks) and ``random``;
        ``fitted_as_of``, ``base_rate`` and ``threshold`` of the fit that was used; and the columns of
        `conversion.evaluation.prospect_slices.slice_names`. Rows whose label is unknown because the
        conversion is in quarantine are scored, but left out here.

    Raises
    ------
    ExportError
        No company converts after any cutoff, so there is nothing to measure.
    """
    cutoffs = pd.DatetimeIndex(np.sort(snapshots["as_of"].unique()))
    span = params.evaluate.refit_weeks * WEEK
    refits = cutoffs[(cutoffs - cutoffs[0]) % span == pd.Timedelta(0)]
    by = slicers(snapshots, contract)
    jobs = Parallel(n_jobs=params.evaluate.jobs, backend="threading", return_as="generator")
    tables: Iterable[pd.DataFrame] = jobs(
        delayed(_score_until_refit)(
            train,
            snapshots[(snapshots["as_of"] >= refit) & (snapshots["as_of"] < refit + span)],
            refit,
            params,
            contract,
            by,
        )
        for refit in refits
    )
    bar = progress_bar(tables, what="backtest", unit="refits", total=len(refits))
    predictions = pd.concat(list(bar), ignore_index=True).astype({"label": np.int8})
    if not predictions["label"].any():
        raise ExportError(
            f"{contract.conversion_tables}: no conversion follows any cutoff of the backtest; set an earlier "
            "evaluate.first_cutoff or give a longer export"
        )
    return predictions


def _score_until_refit(
    train: pd.DataFrame,
    rows: pd.DataFrame,
    refit: pd.Timestamp,
    params: Params,
    contract: Contract,
    by: tuple[Slicer, ...],
) -> pd.DataFrame:
    model = fit_at(train, refit, params, contract)
    # Week by week, to bound the memory of the preprocessed rows.
    weeks = [week for _, week in rows.groupby("as_of", sort=True)]
    probability, summary_only = (
        np.concatenate([scorer.predict_proba(week)[:, 1] for week in weeks])
        for scorer in (model, model.summary_)
    )
    rows = rows.sort_values("as_of", kind="stable")
    scored = rows[[name for name in OUTCOMES if name in rows]].assign(
        probability=np.round(probability, 9),
        summary_only=np.round(summary_only, 9),
        **{rule: rows[feature] for rule, feature in rules(contract).items()},
        random=uniform_hash(rows["id"], week_number(rows["as_of"]), seed=params.seed),
        fitted_as_of=refit,
        base_rate=model.base_rate_,
        threshold=model.threshold_,
        **slice_columns(rows, by),
    )
    return scored.dropna(subset="label")


def with_oracle(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Add the sample's true probability as the ranker ``oracle``."""
    oracle = truth.rename(columns={"probability": "oracle"})
    oracle["as_of"] = oracle["as_of"].astype(predictions["as_of"].dtype)
    return predictions.merge(oracle, on=["id", "as_of"], how="left", validate="one_to_one")
