from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from conversion.config.params import Evaluate
from conversion.evaluation.business_metrics import BUSINESS_METRICS, business_measures
from tests.pipeline import small_params
from tests.predictions import one_week


def settings(**values: Any) -> Evaluate:
    given = {"contacts_per_week": 2, "cost_per_contact": 25.0, "currency": "EUR", "value_months": 6}
    return small_params(**{f"evaluate__{name}": value for name, value in (given | values).items()}).evaluate


def two_lists(*monthly: float) -> pd.DataFrame:
    """Make two lists of two calls each; the monthly values of companies 1, 2 and 3, which convert.

    Company 1 is called twice while its label is 1 and counts once; 2 is called only before its label is 1; 3
    is never called.
    """
    first, second, third = monthly
    return pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 1, 2, 3, 4],
            "as_of": pd.to_datetime(["2020-01-06"] * 4 + ["2020-01-13"] * 4),
            "label": [1, 0, 0, 0, 1, 1, 1, 0],
            "MRR": [first, 0, 0, 0, first, second, third, 0],
            "probability": [0.9, 0.8, 0.1, 0.2, 0.9, 0.3, 0.1, 0.8],
        }
    )


def test_by_hand() -> None:
    assert business_measures(two_lists(100.0, 50.0, 20.0), settings()) == {
        "contacts": 4,
        "companies_called": 3,
        "conversions_among_called": 1,
        "conversions_not_called": 2,
        "currency": "EUR",
        "cost": 100.0,
        "value_of_a_conversion": "each conversion's monthly value in the export, times 6 months",
        "values_missing": 0,
        "gross_revenue": 600.0,
        "gross_margin": 500.0,
        "gross_margin_over_cost": 5.0,
    }


def test_a_number_replaces_the_values_of_the_export() -> None:
    measures = business_measures(two_lists(100.0, 50.0, 20.0), settings(value_per_conversion=1000.0))
    assert measures["gross_revenue"] == 1000.0
    assert measures["value_of_a_conversion"] == "EUR 1,000.00 each, from params.yaml"


@pytest.mark.parametrize("missing", [0.0, float("nan")])
def test_a_missing_value_counts_as_the_median_of_the_known_and_says_so(missing: float) -> None:
    measures = business_measures(two_lists(missing, 50.0, 20.0), settings())
    assert measures["gross_revenue"] == 35.0 * 6
    assert measures["values_missing"] == 1
    assert "the median of the known, EUR 35.00 a month" in str(measures["value_of_a_conversion"])


def test_without_values_there_is_no_revenue_and_one_reason() -> None:
    predictions = two_lists(1.0, 1.0, 1.0)
    unrecorded = business_measures(predictions.drop(columns="MRR"), settings())
    unknown = business_measures(predictions.assign(MRR=0.0), settings())
    for measures, reason in (
        (unrecorded, "no value of a conversion"),
        (unknown, "no conversion has a known value"),
    ):
        assert list(measures) == [
            *("contacts", "companies_called", "conversions_among_called", "conversions_not_called"),
            *("currency", "cost", "no_revenue_because"),
        ]
        assert reason in str(measures["no_revenue_because"])
    given = business_measures(predictions.drop(columns="MRR"), settings(value_per_conversion=7.0))
    assert given["gross_revenue"] == 7.0


def test_a_short_list_and_free_calls() -> None:
    free = settings(cost_per_contact=0.0, contacts_per_week=50)
    measures = business_measures(one_week([1, 0], [0.2, 0.1]), free)
    assert (measures["contacts"], measures["gross_margin_over_cost"]) == (2, None)


def test_every_figure_is_explained_and_none_is_called_won() -> None:
    explained = {metric.pattern: metric.meaning for metric in BUSINESS_METRICS}
    measures = business_measures(two_lists(1.0, 1.0, 1.0), settings())
    assert set(measures) | {"no_revenue_because"} == set(explained)
    for name in measures:
        if name.startswith("gross") or name == "conversions_among_called":
            assert "not won by the call: only a control group can tell" in explained[name]
