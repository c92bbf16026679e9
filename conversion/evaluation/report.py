"""All measures of the backtest put together: metrics/evaluation.json and headline.json."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.params import Params
from conversion.evaluation.backtest import NEVER_SEEN, SUMMARY
from conversion.evaluation.decision_metrics import business_measures, classification_measures
from conversion.evaluation.overall_metrics import headline
from conversion.evaluation.predictions import BASE_RATE, MODEL, ORACLE
from conversion.evaluation.probability_metrics import probability_measures
from conversion.evaluation.slice_metrics import observed_shares, slice_measures
from conversion.modelling.tiers import TIERS, tier_of
from conversion.stats.numeric import rounded

PROBABILITIES: Final = (MODEL, SUMMARY, BASE_RATE, ORACLE)
BASELINES: Final = (SUMMARY, "users_rule", "actions_rule", "random")


def evaluation(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Put the measures of the whole backtest together; JSON-ready."""
    settings = params.evaluate
    decided = predictions["probability"] >= predictions["threshold"]
    return {
        "model_type": params.model.type,
        "first_cutoff": f"{predictions['as_of'].min():%Y-%m-%d}",
        "last_cutoff": f"{predictions['as_of'].max():%Y-%m-%d}",
        **list_measures(predictions, params),
        "without_never_seen": without_never_seen(predictions, params),
        "tiers": tier_measures(predictions, params),
        "decision": classification_measures(predictions["label"], decided)
        | {"threshold": round(float(predictions["threshold"].iloc[-1]), 8)},
        "business": business_measures(
            predictions, settings.contacts_per_week, settings.value_per_conversion, settings.cost_per_contact
        ),
    }


def list_measures(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Measure the lists of some or all prospects: their order, and their probabilities."""
    settings = params.evaluate
    samples, seed = settings.bootstrap_samples, params.seed
    probabilities = [name for name in PROBABILITIES if name in predictions]
    ranking = headline(predictions, rankers_of(predictions), settings.top_k, samples, seed, probabilities)
    by_ranker = ranking.pop("rankers")
    totals_only = predictions.assign(probability=predictions[SUMMARY])
    return {
        "converters": int(predictions.loc[predictions["label"] == 1, "id"].nunique()),
        "prevalence": round(float(predictions["label"].mean()), 8),
        "ranking": by_ranker,
        "model_minus_baseline": ranking.pop("differences"),
        **ranking,
        "probability": probability_measures(predictions, samples, seed),
        "summary_only_probability": probability_measures(totals_only, samples, seed),
    }


def without_never_seen(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Measure the lists again without the companies that had not used the product by the cutoff.

    An export without sign-up dates has companies whose first usage is still to come on the lists of the
    past, where nobody could have called them. Some are there only because they convert later.

    Returns
    -------
    dict
        ``left_out``: the shares of rows, of conversions and of expected conversions that those companies
        have; and what `list_measures` gives for the others, where one of these converts.
    """
    never = predictions["usage_state"] == NEVER_SEEN
    shares = {
        "share_of_prospects": np.ones(len(predictions)),
        "share_of_conversions": predictions["label"].to_numpy(dtype=np.float64),
        "share_of_expected_conversions": predictions[MODEL].to_numpy(),
    }
    left_out = {name: round(float(each[never].sum() / each.sum()), 6) for name, each in shares.items()}
    others = predictions[~never]
    measured = list_measures(others, params) if others["label"].any() else {}
    return {"left_out": left_out} | measured


def tier_measures(predictions: pd.DataFrame, params: Params) -> dict[str, dict[str, Any]]:
    """Compare what each tier of the past lists promised with what came of it.

    Returns
    -------
    dict
        By tier, highest first: ``prospects`` and ``conversions`` over all lists, ``mean_probability``, and
        the ``observed_rate``, the share that converted. None where no prospect was in the tier.
    """
    tier = tier_of(predictions[MODEL], predictions["base_rate"], params.score.tiers)
    group = pd.Categorical(tier, categories=TIERS).codes.astype(np.int64)
    samples = params.evaluate.bootstrap_samples
    table = observed_shares(predictions, group, len(TIERS), samples, params.seed)
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


def headline_numbers(result: dict[str, Any], top_k: tuple[int, ...]) -> dict[str, float]:
    """Choose the few numbers that tell one run from another, under names without dots.

    Parameters
    ----------
    result
        From `evaluation`.
    top_k
        List lengths: precision is of the first, recall of the middle and the last one.

    Returns
    -------
    dict
        Without what is undefined, such as the oracle's share on an export whose truth is not known.
    """
    first, middle, last = top_k[0], top_k[len(top_k) // 2], top_k[-1]
    model, probability, seen = result["ranking"][MODEL], result["probability"], result["without_never_seen"]
    seen_model = seen.get("ranking", {}).get(MODEL, {})
    chosen = {
        "converters": result["converters"],
        "average_precision": model["average_precision"],
        "roc_auc": model["roc_auc"],
        f"precision_at_{first}": model[f"precision_at_{first}"],
        f"recall_at_{middle}": model[f"recall_at_{middle}"],
        f"recall_at_{last}": model[f"recall_at_{last}"],
        f"mrr_recall_at_{middle}": model[f"mrr_recall_at_{middle}"],
        "average_precision_over_users_rule": result["model_minus_baseline"]["users_rule"][
            "average_precision"
        ],
        "average_precision_without_never_seen": seen_model.get("average_precision"),
        "roc_auc_without_never_seen": seen_model.get("roc_auc"),
        "share_of_oracle": result.get("share_of_oracle", {}).get("average_precision"),
        **{
            name: probability[name]
            for name in ("log_loss", "log_loss_ratio", "ece", "expected_over_observed")
        },
    }
    numbers = {name: _estimate(measure) for name, measure in chosen.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _estimate(measure: dict[str, float | None] | float | None) -> float | None:
    """Take the number of a measure, without its interval."""
    if isinstance(measure, dict):
        return measure.get("value", measure.get("difference"))
    return measure


def by_month(predictions: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Measure each month of cutoffs, to see whether the base rate moves away from what was learned.

    Returns
    -------
    pandas.DataFrame
        One row a month in time order, as `conversion.evaluation.slice_metrics.slice_measures` gives it.
    """
    months = predictions.assign(month=predictions["as_of"].dt.strftime("%Y-%m"))
    settings = params.evaluate
    measures = slice_measures(months, ["month"], settings.top_k, settings.bootstrap_samples, params.seed)
    return measures[measures["by"] == "month"].reset_index(drop=True)


def monthly_drift(months: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Give expected over observed conversions by month, JSON-ready; None where undefined."""
    name = "expected_over_observed"
    bounds = months[[name, f"{name}_low", f"{name}_high"]].round(6).to_numpy().tolist()
    return {
        month: {
            key: None if np.isnan(bound) else bound
            for key, bound in zip(("value", "low", "high"), row, strict=True)
        }
        for month, row in zip(months["slice"], bounds, strict=True)
    }


def rankers_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Name the columns to rank by, the model first."""
    oracle = ("oracle",) if "oracle" in predictions else ()
    return ("probability", *BASELINES, *oracle)
