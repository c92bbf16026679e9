"""The few numbers that distinguish one run from another: metrics/headline.json."""

from __future__ import annotations

from typing import Any, Final

from conversion.evaluation.predictions import MODEL
from conversion.evaluation.probability_metrics import PROBABILITY_METRICS
from conversion.evaluation.ranking_metrics import RANKING_METRICS, middle
from conversion.stats.metric import HIGHER, Metric, nested

_PROBABILITY: Final = ("log_loss", "log_loss_ratio", "ece", "expected_over_observed")
_NEVER_SEEN_LEFT_OUT: Final = "of the lists without the companies that had not used the product by then"

HEADLINE_METRICS: Final = (
    Metric("converters", "companies that convert within the horizon of at least one list"),
    *nested(
        "",
        (metric for metric in RANKING_METRICS if metric.pattern != "lift_at_<k>"),
        ". Mean over the lists",
    ),
    Metric(
        "average_precision_over_users_rule",
        "the model's average precision minus that of the list by most users",
        HIGHER,
    ),
    Metric("average_precision_without_never_seen", f"average precision {_NEVER_SEEN_LEFT_OUT}", HIGHER),
    Metric("roc_auc_without_never_seen", f"ROC AUC {_NEVER_SEEN_LEFT_OUT}", HIGHER),
    Metric(
        "share_of_oracle", "average precision over that of the sample's truth; on the sample only", HIGHER
    ),
    *nested(
        "",
        (metric for metric in PROBABILITY_METRICS if metric.pattern in _PROBABILITY),
        ". Over all rows",
    ),
)


def headline_numbers(result: dict[str, Any], top_k: tuple[int, ...]) -> dict[str, float]:
    """Choose the few numbers that distinguish one run from another, under names without dots.

    Parameters
    ----------
    result
        From `conversion.evaluation.report.evaluation_metrics`.
    top_k
        List lengths: precision is at the first, recall at the middle and the last one.

    Returns
    -------
    dict
        Without what is undefined, such as the oracle's share if the truth is not known, or a recall of
        revenue if that is not recorded.
    """
    first, some, last = top_k[0], middle(top_k), top_k[-1]
    model, probability, seen = result["ranking"][MODEL], result["probability"], result["without_never_seen"]
    seen_model = seen.get("ranking", {}).get(MODEL, {})
    over_users_rule = result["model_minus_baseline"].get("users_rule", {})
    chosen = {
        "converters": result["converters"],
        "average_precision": model["average_precision"],
        "roc_auc": model["roc_auc"],
        f"precision_at_{first}": model[f"precision_at_{first}"],
        f"recall_at_{some}": model[f"recall_at_{some}"],
        f"recall_at_{last}": model[f"recall_at_{last}"],
        f"mrr_recall_at_{some}": model.get(f"mrr_recall_at_{some}"),
        "average_precision_over_users_rule": over_users_rule.get("average_precision"),
        "average_precision_without_never_seen": seen_model.get("average_precision"),
        "roc_auc_without_never_seen": seen_model.get("roc_auc"),
        "share_of_oracle": result.get("share_of_oracle", {}).get("average_precision"),
        **{name: probability[name] for name in _PROBABILITY},
    }
    numbers = {name: _estimate(measure) for name, measure in chosen.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _estimate(measure: dict[str, float | None] | float | None) -> float | None:
    """Return the number of a measure without its interval."""
    if isinstance(measure, dict):
        return measure.get("value", measure.get("difference"))
    return measure
