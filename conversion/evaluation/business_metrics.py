"""What calling the first of each list reaches, and what it costs.

Everything is gross: a company that converts after a call may have converted without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.params import Evaluate
from conversion.evaluation.predictions import MODEL, REVENUE, conversions_of, tables_by_cutoff
from conversion.stats.metric import HIGHER, LOWER, Metric
from conversion.stats.numeric import Floats, rounded
from conversion.stats.rank_order import first_of_order

_GROSS: Final = "not won by the call: only a control group can tell what calling adds"
NO_VALUE: Final = "the contract has no value of a conversion, and evaluate.value_per_conversion is null"
NONE_KNOWN: Final = "no conversion has a known value, and evaluate.value_per_conversion is null"

BUSINESS_METRICS: Final = (
    Metric("contacts", "calls, `evaluate.contacts_per_week` from each list"),
    Metric("companies_called", "companies behind those calls"),
    Metric(
        "conversions_among_called",
        f"companies called that converted within the horizon after the call; {_GROSS}",
        HIGHER,
    ),
    Metric(
        "conversions_not_called",
        "companies that converted and were not called within the horizon before",
        LOWER,
    ),
    Metric("currency", "`evaluate.currency`"),
    Metric("value_of_a_conversion", "what the revenue of one conversion is taken to be, in words"),
    Metric(
        "values_missing", "conversions among those called whose value is not known; they count the median"
    ),
    Metric("gross_revenue", f"revenue of the conversions among those called; {_GROSS}", HIGHER),
    Metric("cost", "`evaluate.cost_per_contact` for each call"),
    Metric("gross_margin", f"gross revenue minus the cost of the calls; {_GROSS}", HIGHER),
    Metric("gross_margin_over_cost", f"gross margin for each unit of cost; {_GROSS}", HIGHER),
    Metric("no_revenue_because", "why there are no figures of revenue; absent where there are"),
)


@dataclass(frozen=True)
class _Values:
    """The revenue of each conversion among those called, and where it comes from; no revenue: why."""

    revenue: Floats | None
    source: str
    missing: int = 0


def business_measures(predictions: pd.DataFrame, settings: Evaluate) -> dict[str, float | int | str | None]:
    """Measure what reps reach who call the first ``contacts_per_week`` of each cutoff's list.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    settings
        ``contacts_per_week``, ``cost_per_contact``, ``currency``, and what a conversion is worth:
        ``value_per_conversion``, or each conversion's own monthly value times ``value_months``.

    Returns
    -------
    dict
        The keys of `BUSINESS_METRICS`. A company that is called at several cutoffs before it converts counts
        once. Revenue is left out where it is not known. ``gross_margin_over_cost`` is None without cost.
    """
    called = [
        rows.iloc[first_of_order(rows[MODEL], rows["id"].to_numpy(), settings.contacts_per_week)]
        for rows in tables_by_cutoff(predictions)
    ]
    calls = pd.concat(called)
    converters = conversions_of(predictions)["id"].nunique()
    reached = calls[calls["label"] == 1].drop_duplicates("id")
    cost = len(calls) * settings.cost_per_contact
    return {
        "contacts": len(calls),
        "companies_called": int(calls["id"].nunique()),
        "conversions_among_called": len(reached),
        "conversions_not_called": converters - len(reached),
        "currency": settings.currency,
        "cost": round(float(cost), 6),
        **_gross(_values(predictions, reached, settings), cost),
    }


def _gross(values: _Values, cost: float) -> dict[str, float | int | str | None]:
    if values.revenue is None:
        return {"no_revenue_because": values.source}
    revenue = math.fsum(values.revenue)
    return {
        "value_of_a_conversion": values.source,
        "values_missing": values.missing,
        "gross_revenue": round(revenue, 6),
        "gross_margin": round(revenue - cost, 6),
        "gross_margin_over_cost": rounded((revenue - cost) / cost) if cost else None,
    }


def _values(predictions: pd.DataFrame, reached: pd.DataFrame, settings: Evaluate) -> _Values:
    """Value each conversion among those called."""
    if settings.value_per_conversion is not None:
        each = np.full(len(reached), settings.value_per_conversion)
        return _Values(
            each, f"{settings.currency} {settings.value_per_conversion:,.2f} each, from params.yaml"
        )
    if REVENUE not in predictions:
        return _Values(None, NO_VALUE)
    converted = conversions_of(predictions).drop_duplicates("id")
    # A value that is not known is 0 in the predictions.
    known = converted.loc[converted[REVENUE] > 0, REVENUE]
    if known.empty:
        return _Values(None, NONE_KNOWN)
    own = reached[REVENUE].to_numpy(dtype=np.float64)
    missing = ~(own > 0)
    median = float(known.median())
    source = f"each conversion's monthly value in the export, times {settings.value_months} months"
    if missing.any():
        source += f"; where missing, the median of the known, {settings.currency} {median:,.2f} a month"
    return _Values(np.where(missing, median, own) * settings.value_months, source, int(missing.sum()))
