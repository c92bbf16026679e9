"""All measures of a backtest put together: what the stage `evaluate` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.evaluation.bootstrap import Grouped, Resampled, resample
from conversion.evaluation.business_metrics import BUSINESS_METRICS, business_measures
from conversion.evaluation.cross_validation import CROSS_VALIDATION_METRICS, cross_validation
from conversion.evaluation.decision_metrics import (
    DECISION_COUNTS,
    DECISION_METRICS,
    classification_measures,
    decision_counts,
)
from conversion.evaluation.overall_metrics import (
    CUTOFF_METRICS,
    DIFFERENCE_METRICS,
    ORACLE_METRICS,
    ranker_measures,
)
from conversion.evaluation.predictions import (
    BASE_RATE,
    MODEL,
    ORACLE,
    OUTCOMES,
    SUMMARY,
    conversions_of,
    probability_counts,
    rank_orders,
    rows_by_cutoff,
    selected,
    tables_by_cutoff,
)
from conversion.evaluation.probability_metrics import PROBABILITY_METRICS, probability_measures
from conversion.evaluation.probability_sums import probability_sums
from conversion.evaluation.prospect_slices import NEVER_SEEN, USAGE_STATE, slice_names
from conversion.evaluation.ranking_metrics import RANKING_METRICS, weekly_measures
from conversion.evaluation.slice_counts import MONTH, split_by_month
from conversion.evaluation.slice_intervals import with_ranking_intervals
from conversion.evaluation.slice_metrics import (
    calibration_by_group,
    drop_repeated_slices,
    members_of,
    slice_measures,
)
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import TIERS, tier_cuts, tier_of
from conversion.stats.distinct_counts import Distinct
from conversion.stats.metric import Metric, nested
from conversion.stats.numeric import Bools, Ints, finite, rounded

PROBABILITIES: Final = (MODEL, SUMMARY, BASE_RATE, ORACLE)
BASELINES: Final = (SUMMARY, "users_rule", "actions_rule", "random")

EVALUATION_METRICS: Final = (
    Metric("as_of", "the moment the last list is made"),
    Metric("model_type", "`model.type`"),
    Metric("first_cutoff", "first Monday of the backtest"),
    Metric("last_cutoff", "last Monday whose labels are mature"),
    *CUTOFF_METRICS,
    Metric("converters", "companies that convert within the horizon of at least one list"),
    Metric("prevalence", "share of the lists' rows that convert within the horizon"),
    *nested("ranking.<ranker>.", RANKING_METRICS, ". Mean over the lists"),
    *nested("model_minus_baseline.", DIFFERENCE_METRICS),
    *nested("probability.", PROBABILITY_METRICS, ". Over all rows"),
    Metric(
        "probability.expected_over_observed_by_month.<month>",
        "`probability.expected_over_observed` of the lists of a month",
        "1",
    ),
    *(
        Metric(
            f"summary_only_probability.{name}",
            f"`probability.{name}` of the model that knows totals only",
            better,
        )
        for name, _, better in PROBABILITY_METRICS
    ),
    *nested("share_of_oracle.", ORACLE_METRICS),
    Metric("without_never_seen.left_out.share_of_prospects", "share of the lists' rows that is left out"),
    Metric("without_never_seen.left_out.share_of_conversions", "share of the conversions that is left out"),
    Metric(
        "without_never_seen.left_out.share_of_expected_conversions",
        "share of the sum of the probabilities that is left out",
    ),
    Metric(
        "without_never_seen.<part>",
        "the same measures of the lists without the companies that had not used the product by then",
    ),
    Metric("tiers.<tier>.prospects", "rows of the tier (`score.tiers`, within each list), over all lists"),
    Metric("tiers.<tier>.conversions", "rows of the tier that convert within the horizon"),
    Metric("tiers.<tier>.mean_probability", "mean predicted probability in the tier"),
    Metric("tiers.<tier>.observed_rate", "share of the tier that converts"),
    *nested("decision.", DECISION_METRICS),
    *nested("business.", BUSINESS_METRICS),
    *nested("cross_validation_not_out_of_time.", CROSS_VALIDATION_METRICS),
)


@dataclass(frozen=True)
class Evaluation:
    """A backtest and its measures.

    Attributes
    ----------
    params
        The params that it was run with.
    resampled
        The predictions, see `conversion.evaluation.predictions`, and samples of their companies.
    counts
        From `conversion.evaluation.predictions.probability_counts`.
    model
        The model in use.
    weekly
        From `conversion.evaluation.ranking_metrics.weekly_measures`.
    slices, months
        From `conversion.evaluation.slice_metrics.slice_measures`.
    metrics
        JSON-ready; the keys are those of `EVALUATION_METRICS`, without ``as_of``.
    """

    params: Params
    resampled: Resampled
    counts: Distinct
    model: ConversionModel
    weekly: pd.DataFrame
    slices: pd.DataFrame
    months: pd.DataFrame
    metrics: dict[str, Any]

    @property
    def predictions(self) -> pd.DataFrame:
        """Return the predictions."""
        return self.resampled.predictions

    @property
    def days(self) -> int:
        """Return the days in which a conversion counts."""
        return self.params.featurize.horizon_days

    @property
    def decided(self) -> Ints:
        """Return the counts of `conversion.evaluation.decision_metrics.decision_counts`."""
        measured = self.metrics["decision"]
        return np.array([[measured[name] for name in names] for names in DECISION_COUNTS], dtype=np.int64)


def evaluate_backtest(
    predictions: pd.DataFrame,
    train: pd.DataFrame,
    model: ConversionModel,
    params: Params,
    contract: Contract,
    folder: Path | None = None,
) -> Evaluation:
    """Take all measures of a backtest.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    train
        Training snapshots, for the cross-validation if ``evaluate.cross_validation_folds`` is not 0.
    model
        See `Evaluation`.
    params
        ``evaluate``, ``score.tiers``, ``score.top_n`` and ``seed`` are used.
    contract
        Says which attributes the prospects are split by.
    folder
        As for `conversion.evaluation.backtest.backtest`.

    Returns
    -------
    Evaluation
    """
    settings = params.evaluate
    orders = rank_orders(predictions, rankers_in(predictions), folder)
    resampled = resample(predictions, settings.bootstrap_samples, params.seed, orders, folder)
    counts = probability_counts(predictions)
    metrics = evaluation_metrics(resampled, counts, params, folder)
    if settings.cross_validation_folds:
        metrics["cross_validation_not_out_of_time"] = cross_validation(train, predictions, params, contract)
    slices, months = slices_and_months(resampled, slice_names(contract), settings.top_k)
    metrics["probability"]["expected_over_observed_by_month"] = expected_over_observed_by_month(months)
    slices = drop_repeated_slices(slices, predictions)
    return Evaluation(
        params=params,
        resampled=resampled,
        counts=counts,
        model=model,
        weekly=weekly_measures(predictions, MODEL, settings.top_k, resampled.cutoffs()),
        slices=with_ranking_intervals(slices, resampled, settings.top_k),
        months=months,
        metrics=metrics,
    )


def decisions(predictions: pd.DataFrame) -> Ints:
    """Count who reaches the threshold of the fit; see `conversion.evaluation.decision_metrics`."""
    counts = np.zeros((2, 2), dtype=np.int64)
    for rows in tables_by_cutoff(predictions):
        counts += decision_counts(rows["label"], rows["probability"] >= rows["threshold"])
    return counts


def evaluation_metrics(
    of: Resampled, counts: Distinct, params: Params, folder: Path | None = None
) -> dict[str, Any]:
    """Put together the measures of the whole backtest, JSON-ready, as `evaluate_backtest` does."""
    predictions, settings = of.predictions, params.evaluate
    lists = rows_by_cutoff(predictions)
    (first, _), (last, rows_of_last) = lists[0], lists[-1]
    return {
        "model_type": params.model.type,
        "first_cutoff": f"{first:%Y-%m-%d}",
        "last_cutoff": f"{last:%Y-%m-%d}",
        **list_measures(of, counts, params),
        "without_never_seen": without_never_seen(of, params, folder),
        "tiers": tier_measures(of, params),
        "decision": classification_measures(decisions(predictions))
        | {"threshold": round(float(predictions["threshold"].iloc[rows_of_last].iloc[0]), 8)},
        "business": business_measures(predictions, settings),
    }


def list_measures(of: Resampled, counts: Distinct, params: Params) -> dict[str, Any]:
    """Measure the order and the probabilities of the lists of all prospects or some of them."""
    predictions = of.predictions
    probabilities = [name for name in PROBABILITIES if name in predictions]
    rankers = rankers_in(predictions)
    sums = probability_sums(of, probabilities)
    ranking = ranker_measures(of, rankers, params.evaluate.top_k, probabilities, sums)
    by_ranker = ranking.pop("rankers")
    conversions = conversions_of(predictions)
    return {
        "converters": int(conversions["id"].nunique()),
        "prevalence": round(len(conversions) / len(predictions), 8),
        "ranking": by_ranker,
        "model_minus_baseline": ranking.pop("differences"),
        **ranking,
        "probability": probability_measures(of, counts=counts, sums=sums),
        "summary_only_probability": probability_measures(of, SUMMARY, sums=sums),
    }


def without_never_seen(of: Resampled, params: Params, folder: Path | None = None) -> dict[str, Any]:
    """Measure the lists again without the companies that had not used the product by the cutoff.

    If an export has no sign-up dates, the lists of the past contain companies that had not signed up yet and
    that nobody could have called. Some are in the export only because they convert later.

    Returns
    -------
    dict
        ``left_out``: the shares of rows, of conversions and of expected conversions that those companies
        have; and the `list_measures` of the others, if one of these converts.
    """
    names = ("share_of_prospects", "share_of_conversions", "share_of_expected_conversions")
    predictions = of.predictions
    all_sums, never_sums = np.zeros(len(names)), np.zeros(len(names))
    for rows in tables_by_cutoff(predictions):
        never = ~_seen(rows)
        for number, each in enumerate((np.ones(len(rows)), rows["label"].to_numpy(), finite(rows[MODEL]))):
            all_sums[number] += each.sum()
            never_sums[number] += each[never].sum()
    shares = (never_sums / all_sums).tolist()
    left_out = {name: round(share, 6) for name, share in zip(names, shares, strict=True)}
    if never_sums[1] == all_sums[1]:
        return {"left_out": left_out}
    seen = _seen_part(of, params, folder)
    return {"left_out": left_out} | list_measures(seen, probability_counts(seen.predictions), params)


def _seen_part(of: Resampled, params: Params, folder: Path | None) -> Resampled:
    """Return the companies that had used the product by the cutoff, and samples of them alone."""
    needed = dict.fromkeys((*OUTCOMES, *rankers_in(of.predictions), *PROBABILITIES))
    columns = [name for name in needed if name in of.predictions]
    seen, orders = selected(of.predictions, _seen, columns, of.orders, folder)
    return resample(seen, params.evaluate.bootstrap_samples, params.seed, orders, folder)


def _seen(rows: pd.DataFrame) -> Bools:
    return ~members_of(rows, USAGE_STATE, NEVER_SEEN)


def tier_measures(of_all: Resampled, params: Params) -> dict[str, dict[str, Any]]:
    """Compare the probabilities of each tier of the past lists with what happened.

    The cuts of a list are decided as those of the delivered one: among its own prospects.

    Returns
    -------
    dict
        By tier, highest first: ``prospects`` and ``conversions`` over all lists, ``mean_probability``, and
        the ``observed_rate``, the share that converted. None if no prospect was in the tier.
    """
    score, names = params.score, np.array(TIERS)

    def of(rows: pd.DataFrame) -> Ints:
        probability = rows[MODEL].to_numpy()
        tier = tier_of(probability, tier_cuts(probability, score.tiers, score.top_n))
        return np.asarray((tier[:, None] == names).argmax(axis=1), dtype=np.int64)

    tiers = Grouped(len(TIERS), of)
    table = calibration_by_group(of_all, tiers)
    return {
        name: {
            "prospects": int(row["prospects"]),
            "conversions": int(row["conversions"]),
            "mean_probability": rounded(row["mean_probability"]),
            "observed_rate": {
                key: rounded(row[column])
                for key, column in (("value", "observed_share"), ("low", "low"), ("high", "high"))
            },
        }
        for name, (_, row) in zip(TIERS, table.iterrows(), strict=True)
    }


def slices_and_months(
    of: Resampled, columns: Sequence[str], top_k: Sequence[int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure slices of the prospects, and each month of cutoffs.

    The months show whether the base rate moves away from the learned one.

    Returns
    -------
    DataFrame, DataFrame
        Both from `conversion.evaluation.slice_metrics.slice_measures`; the months are in time order.
    """
    measures = slice_measures(of, columns, top_k, split_by_month(of.predictions))
    is_month = measures["by"] == MONTH
    return measures[~is_month], measures[is_month].reset_index(drop=True)


def expected_over_observed_by_month(months: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Return expected over observed conversions by month, JSON-ready; None where undefined."""
    name = "expected_over_observed"
    bounds = months[[name, f"{name}_low", f"{name}_high"]].round(6).to_numpy().tolist()
    return {
        month: {
            key: None if np.isnan(bound) else bound
            for key, bound in zip(("value", "low", "high"), row, strict=True)
        }
        for month, row in zip(months["slice"], bounds, strict=True)
    }


def rankers_in(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Name the columns of the predictions to rank by, the model first."""
    return (MODEL, *(name for name in (*BASELINES, ORACLE) if name in predictions))
