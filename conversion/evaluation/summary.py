"""The measures of the backtest as text: metrics/summary.txt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conversion.evaluation.predictions import MODEL
from conversion.modelling.doubts import ahead_text, rules_ahead
from conversion.modelling.probability_doubts import off_text


def summary_text(result: dict[str, Any], top_k: tuple[int, ...]) -> str:
    """Write the measures of each ranker, with and without the never seen, and the outcome of each tier."""
    title = (
        f"{result['model_type']}: {result['cutoffs']} weekly lists from {result['first_cutoff']} to "
        f"{result['last_cutoff']}, {result['converters']} converters,\n"
        f"{result['prevalence']:.2%} of prospects convert within the horizon; means [95 % intervals]"
    )
    seen = result["without_never_seen"]
    shares = seen["left_out"]
    without = (
        f"without the companies that were never seen by then: {shares['share_of_prospects']:.1%} of the "
        f"prospects,\n{shares['share_of_conversions']:.1%} of the conversions, "
        f"{shares['share_of_expected_conversions']:.1%} of those expected"
    )
    ahead = [ahead_text(each) for each in rules_ahead(result["ranking"])]
    off = off_text(result["probability"].get("expected_over_observed_by_month", {}))
    doubts = ahead if off is None else [*ahead, off]
    parts = [title, _ranking_table(result["ranking"], top_k), *doubts, without]
    if "ranking" in seen:
        parts.append(_ranking_table(seen["ranking"], top_k))
    parts += ["what became of each tier, over all lists", _tier_table(result["tiers"], result["cutoffs"])]
    parts.append(_business(result["business"]))
    return "\n\n".join(parts) + "\n"


def _business(business: dict[str, Any]) -> str:
    cost = f"cost of the calls {business['currency']} {business['cost']:,.0f}"
    if "gross_revenue" in business:
        gross = f"gross revenue {business['currency']} {business['gross_revenue']:,.0f}"
        money = f"{gross} ({business['value_of_a_conversion']}),\n{cost}"
    else:
        money = f"{cost}; {business['no_revenue_because']}"
    return (
        f"{business['contacts']:,} calls to {business['companies_called']:,} companies: "
        f"{business['conversions_among_called']:,} conversions among those called, "
        f"{business['conversions_not_called']:,} not called;\n"
        f"{money}\ngross: not won by the calls; only a control group can tell what calling adds"
    )


def _ranking_table(ranking: dict[str, Any], top_k: tuple[int, ...]) -> str:
    measures = ["average_precision", "roc_auc", f"precision_at_{top_k[0]}", f"recall_at_{top_k[-1]}"]
    lines = [" " * 14 + "".join(f"{name:>24}" for name in measures)]
    for ranker, values in ranking.items():
        name = "model" if ranker == MODEL else ranker
        cells = [_with_interval(values[measure], _three_digits) for measure in measures]
        lines.append(f"{name:<14}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


def _tier_table(tiers: dict[str, Any], cutoffs: int) -> str:
    header = ("prospects a list", "conversions", "mean probability", "observed rate")
    widths = (18, 13, 18, 28)
    lines = [" " * 14 + "".join(f"{name:>{width}}" for name, width in zip(header, widths, strict=True))]
    for name, tier in tiers.items():
        cells = (
            f"{tier['prospects'] / cutoffs:.1f}",
            f"{tier['conversions']}",
            _percent(tier["mean_probability"]),
            _with_interval(tier["observed_rate"], _percent),
        )
        lines.append(
            f"{name:<14}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        )
    return "\n".join(lines)


def _with_interval(measure: dict[str, float | None], show: Callable[[float | None], str]) -> str:
    return f"{show(measure['value'])} [{show(measure['low'])}, {show(measure['high'])}]"


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
