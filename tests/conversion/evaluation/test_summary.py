from __future__ import annotations

from typing import Any

from conversion.evaluation import summary
from tests.backtests import backtest_predictions
from tests.pipeline import small_params
from tests.predictions import evaluated


def test_the_summary_says_the_rate_of_each_tier_and_a_dash_where_none_was_in_it() -> None:
    tiers = params_with_tiers(very_high=1.0, high=0.999, medium=0.02)
    result = evaluated(backtest_predictions(), tiers)
    lines = summary.summary_text(result, tiers.evaluate.top_k).splitlines()
    (empty,) = [line.split() for line in lines if line.startswith("very_high")]
    assert empty == ["very_high", "0.0", "0", "-", "-", "[-,", "-]"]
    (medium,) = [line for line in lines if line.startswith("medium")]
    rate = result["tiers"]["medium"]["observed_rate"]
    assert f"{rate['value']:.2%} [{rate['low']:.2%}, {rate['high']:.2%}]" in medium
    rankers = [line.split()[0] for line in lines if line.startswith(("model", "users_rule", "random"))]
    assert rankers == ["model", "users_rule", "random"] * 2, "with and without the never seen"


def test_the_summary_calls_money_gross_or_says_once_why_there_is_none() -> None:
    params, predictions = small_params(evaluate__refit_weeks=8), backtest_predictions()
    result = evaluated(predictions, params)
    text = summary.summary_text(result, params.evaluate.top_k)
    assert f"{result['business']['conversions_among_called']} conversions among those called" in text
    assert (
        f"gross revenue USD {result['business']['gross_revenue']:,.0f} (each conversion's monthly value"
        in text
    )
    assert text.count("only a control group can tell what calling adds") == 1
    plain = evaluated(predictions.drop(columns="MRR"), params)
    without = summary.summary_text(plain, params.evaluate.top_k)
    assert "revenue USD" not in without
    assert without.count("the contract has no value of a conversion") == 1


def test_the_summary_says_that_a_rule_ranks_better() -> None:
    params, predictions = small_params(evaluate__refit_weeks=8), backtest_predictions()
    result = evaluated(predictions, params)
    said = "A rule ranks better than the model: most users in the last four weeks"
    ranking = result["ranking"]
    result["ranking"] = ranking | {"users_rule": ranking["probability"], "probability": ranking["random"]}
    assert said in summary.summary_text(result, params.evaluate.top_k)
    result["ranking"] = ranking | {"users_rule": ranking["random"]}
    assert said not in summary.summary_text(result, params.evaluate.top_k)


def test_the_summary_says_that_more_convert_than_expected() -> None:
    params, predictions = small_params(evaluate__refit_weeks=8), backtest_predictions()
    result = evaluated(predictions, params)
    said = "In recent months more companies converted than the model expected"
    assert said not in summary.summary_text(result, params.evaluate.top_k)
    low = {"value": 0.3, "low": 0.2, "high": 0.4}
    result["probability"]["expected_over_observed_by_month"] = {"2019-08": low, "2019-09": low}
    assert said in summary.summary_text(result, params.evaluate.top_k)


def params_with_tiers(**least: float) -> Any:
    given = {f"score__tiers__probability__{name}": value for name, value in least.items()}
    return small_params(evaluate__refit_weeks=8, score__tiers__by="probability", **given)
