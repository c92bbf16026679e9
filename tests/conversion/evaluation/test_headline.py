from __future__ import annotations

import json

from conversion.evaluation import headline
from tests.backtests import backtest_export, backtest_predictions
from tests.predictions import evaluated


def test_the_headline_is_a_dozen_numbers_of_the_evaluation() -> None:
    result = evaluated(backtest_predictions(), backtest_export().params)
    numbers = headline.headline_numbers(result, backtest_export().params.evaluate.top_k)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert 10 <= len(numbers) <= 15
    assert all(isinstance(number, int | float) for number in numbers.values())
    model = result["ranking"]["probability"]
    assert numbers["average_precision"] == model["average_precision"]["value"]
    assert numbers["precision_at_5"] == model["precision_at_5"]["value"]
    assert numbers["recall_at_10"] == model["recall_at_10"]["value"]
    over_rule = result["model_minus_baseline"]["users_rule"]["average_precision"]["difference"]
    assert numbers["average_precision_over_users_rule"] == over_rule
    without = result["without_never_seen"]["ranking"]["probability"]["roc_auc"]["value"]
    assert numbers["roc_auc_without_never_seen"] == without
    assert numbers["log_loss"] == result["probability"]["log_loss"]["value"]
    assert numbers["converters"] == result["converters"]
    assert "share_of_oracle" not in numbers, "the truth is not known here"
