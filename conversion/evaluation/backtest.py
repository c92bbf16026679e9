"""Rolling-origin backtest: the list that each cutoff would have had, beside what happened afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from conversion.config.contract import UNKNOWN_SECTOR
from conversion.config.params import BASELINE_WEEKS, Params
from conversion.data.timeline import WEEK, week_number
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
NEVER_SEEN: Final = "never seen"
SLICES: Final = ("usage_state", "tenure_group", "size_group", "sector_known")
SIZE_GROUPS: Final = {
    1: "1 employee",
    2: "2 to 10 employees",
    4: "11 to 50 employees",
    6: "51 to 200 employees",
    7: "over 200 employees",
}
"""Groups of employee ranges, by the number of the first range in each."""
TENURE_GROUPS: Final = {
    0: "first seen up to 4 weeks ago",
    5: "first seen 5 to 13 weeks ago",
    14: "first seen 14 to 26 weeks ago",
    27: "first seen over 26 weeks ago",
}
"""Groups of the weeks since a company was first seen, by the first week in each."""


def backtest(train: pd.DataFrame, snapshots: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Score every prospect at every cutoff with a model fitted on what was known then.

    Parameters
    ----------
    train
        Training snapshots.
    snapshots
        One row for each prospect and cutoff, with ``label``, ``MRR`` and the features.
    params
        The recipe is fitted again every ``evaluate.refit_weeks``; in between, the last fit is used.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label``, ``MRR``, ``probability``, the baselines ``summary_only`` (the
        probability from firmographics and lifetime totals alone), ``users_rule`` (most users of the last 4
        weeks), ``actions_rule`` (actions of the last 4 weeks) and ``random``; ``fitted_as_of``, ``base_rate``
        and ``threshold`` of the fit that was used; and the `slice_columns`. Rows whose label is unknown
        because the conversion is in quarantine are scored, but left out here.

    Raises
    ------
    ExportError
        No company converts after any cutoff, so there is nothing to measure.
    """
    cutoffs = pd.DatetimeIndex(np.sort(snapshots["as_of"].unique()))
    span = params.evaluate.refit_weeks * WEEK
    refits = cutoffs[(cutoffs - cutoffs[0]) % span == pd.Timedelta(0)]
    jobs = Parallel(n_jobs=params.evaluate.jobs, backend="threading", return_as="generator")
    tables: Iterable[pd.DataFrame] = jobs(
        delayed(_score_until_refit)(
            train,
            snapshots[(snapshots["as_of"] >= refit) & (snapshots["as_of"] < refit + span)],
            refit,
            params,
        )
        for refit in refits
    )
    bar = progress_bar(tables, what="backtest", unit="refits", total=len(refits))
    predictions = pd.concat(list(bar), ignore_index=True).astype({"label": np.int8})
    if not predictions["label"].any():
        raise ExportError(
            "customers: no conversion follows any cutoff of the backtest; set an earlier "
            "evaluate.first_cutoff or give a longer export"
        )
    return predictions


def _score_until_refit(
    train: pd.DataFrame, rows: pd.DataFrame, refit: pd.Timestamp, params: Params
) -> pd.DataFrame:
    model = fit_at(train, refit, params)
    # Week by week, to bound the memory of the preprocessed rows.
    weeks = [week for _, week in rows.groupby("as_of", sort=True)]
    probability, summary_only = (
        np.concatenate([scorer.predict_proba(week)[:, 1] for week in weeks])
        for scorer in (model, model.summary_)
    )
    rows = rows.sort_values("as_of", kind="stable")
    scored = rows[["id", "as_of", "label", "MRR"]].assign(
        probability=np.round(probability, 9),
        summary_only=np.round(summary_only, 9),
        users_rule=rows["users_max_4w"],
        actions_rule=rows["actions_4w"],
        random=uniform_hash(rows["id"], week_number(rows["as_of"]), seed=params.seed),
        fitted_as_of=refit,
        base_rate=model.base_rate_,
        threshold=model.threshold_,
        **slice_columns(rows),
    )
    return scored.dropna(subset="label")


def slice_columns(snapshots: pd.DataFrame) -> dict[str, pd.Categorical[str]]:
    """Split the prospects into slices by what was known about them at the cutoff.

    Parameters
    ----------
    snapshots
        Features, including those of the last 4 weeks.

    Returns
    -------
    dict of pandas.Categorical
        By the names in `SLICES`; the categories say what the prospects have in common. Active: an action or a
        user in the last 4 weeks. Dormant: usage only before them.
    """
    active = snapshots[f"active_weeks_{BASELINE_WEEKS}w"].to_numpy() > 0
    seen = snapshots["seen"].to_numpy() > 0
    unknown = (snapshots["sector"] == UNKNOWN_SECTOR).to_numpy()
    states = (f"active in the last {BASELINE_WEEKS} weeks", "dormant", NEVER_SEEN)
    return {
        "usage_state": _categorical(np.where(active, 0, np.where(seen, 1, 2)), states),
        "tenure_group": _grouped(snapshots["weeks_since_first_seen"], TENURE_GROUPS, "not seen yet"),
        "size_group": _grouped(snapshots["size"], SIZE_GROUPS, "size unknown"),
        "sector_known": _categorical(unknown.astype(np.int64), ("sector known", "sector unknown")),
    }


def _grouped(values: pd.Series, groups: dict[int, str], missing: str) -> pd.Categorical[str]:
    """Put each value into the last group whose lower bound it reaches."""
    numbers = values.to_numpy(dtype=np.float64)
    codes = np.searchsorted(list(groups), numbers, side="right") - 1
    return _categorical(np.where(np.isnan(numbers), len(groups), codes), (*groups.values(), missing))


def _categorical(codes: NDArray[np.int64], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))


def with_oracle(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Add the sample's true probability as the ranker ``oracle``."""
    oracle = truth.rename(columns={"probability": "oracle"})
    oracle["as_of"] = oracle["as_of"].astype(predictions["as_of"].dtype)
    return predictions.merge(oracle, on=["id", "as_of"], how="left", validate="one_to_one")
