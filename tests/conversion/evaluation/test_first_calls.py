from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.evaluation.bootstrap import company_weights, resample
from conversion.evaluation.first_calls import first_calls, rule_in, weights_before
from conversion.evaluation.predictions import companies_of, cutoffs_of
from conversion.evaluation.ranking_metrics import ranked_list
from conversion.stats.rank_order import rank_order
from tests.predictions import make_predictions, unranked_week

SAMPLES, SEED = 30, 4


def test_by_hand() -> None:
    week = unranked_week([0, 1, 0, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.1])
    found = first_calls(resample(week, SAMPLES, SEED), ["probability"], [0, 1, 2, 4, 9])["probability"]
    assert found.reached[0, :, 0].tolist() == [0, 0, 1, 2, 3]
    assert found.called[0, :, 0].tolist() == [0, 1, 2, 4, 5]
    assert (found.conversions[0, 0], found.prospects[0, 0]) == (3, 5)
    assert found.reached.shape == (1, 5, 1 + SAMPLES)


def test_a_sample_is_a_list_with_each_company_as_often_as_it_was_drawn() -> None:
    predictions = make_predictions(companies=40, cutoffs=2)
    calls = [1, 3, 10, 30]
    found = first_calls(resample(predictions, SAMPLES, SEED), ["users_rule"], calls)["users_rule"]
    (weights,) = company_weights(40, SAMPLES, SEED)
    for number, (_, week) in enumerate(predictions.groupby("as_of")):
        order = rank_order(week["users_rule"], week["id"])
        for sample in range(SAMPLES):
            copies = weights[week["id"].to_numpy()[order] - 1, sample].astype(int)
            label = np.repeat(week["label"].to_numpy()[order], copies)
            reached = found.reached[number, :, 1 + sample]
            assert reached.tolist() == [label[:count].sum() for count in calls]
            assert found.conversions[number, 1 + sample] == label.sum()
            assert found.prospects[number, 1 + sample] == len(label)


def test_rows_that_no_call_reaches_are_not_looked_at_unless_a_sample_needs_them() -> None:
    predictions = make_predictions(companies=200, cutoffs=1)
    ranked = ranked_list(next(cutoffs_of(predictions, companies_of(predictions))), "probability")
    weights = np.ones((200, 2), dtype=np.uint8)
    # The second sample has none of the first 150 companies of the list.
    weights[ranked.company[:150], 1] = 0
    places, before, copies = weights_before(ranked, weights, 10)
    assert places.tolist() == ranked.position.tolist()
    assert before[:, 0].tolist() == places.tolist()
    assert before[:, 1].tolist() == np.maximum(places - 150, 0).tolist()
    assert copies[:, 1].tolist() == (places >= 150).tolist()


def test_the_users_rule_where_users_are_known() -> None:
    predictions = make_predictions(companies=20, cutoffs=1)
    assert rule_in(predictions) == "users_rule"
    assert rule_in(predictions.drop(columns="users_rule")) == "actions_rule"


@pytest.mark.parametrize("companies", [5, 60])
def test_no_more_is_reached_than_there_is(companies: int) -> None:
    predictions = pd.concat([make_predictions(companies, seed=seed) for seed in (1,)])
    found = first_calls(resample(predictions, SAMPLES, SEED), ["random"], [1, 50])["random"]
    assert (found.reached <= np.minimum(found.called, found.conversions[:, None])).all()
    assert (np.diff(found.reached, axis=1) >= 0).all()
