from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.gate_forecast import (
    PastList,
    check_expected,
    check_precision,
    delivered_list,
    lists_of,
    poisson_binomial_interval,
    recent,
)
from tests.pipeline import small_params

GATE = small_params().gate
PAST = [PastList(pd.Timestamp("2020-01-06"), 1000, 40.0, 10.0, 38, 9)] * 8


def test_lists_of_a_backtest_by_hand() -> None:
    predictions = pd.DataFrame(
        {
            "as_of": pd.to_datetime(["2020-01-06"] * 3 + ["2020-01-13"] * 3),
            "id": [1, 2, 3, 1, 2, 3],
            "probability": [0.1, 0.5, 0.25, 0.5, 0.25, 0.125],
            "label": [1, 1, 0, 0, 0, 1],
        }
    )
    weeks = [week for _, week in predictions.groupby("as_of")]
    first, last = lists_of(weeks, 8, calls=2)
    assert first == PastList(pd.Timestamp("2020-01-06"), 3, pytest.approx(0.85), 0.75, 2, 1)
    assert last == PastList(pd.Timestamp("2020-01-13"), 3, 0.875, 0.75, 1, 0)
    assert lists_of(weeks, 1, calls=2) == [last]


def test_a_delivered_list_replaces_that_of_the_backtest() -> None:
    moment = pd.Timestamp("2020-01-06")
    delivered = delivered_list(moment, np.array([0.5, 0.25]), calls=10)
    assert delivered == PastList(moment, 2, 0.75, 0.75)
    assert recent([*PAST, delivered], moment + pd.Timedelta(days=7), 8) == [delivered]
    assert recent([*PAST, delivered], moment, 8) == []


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1, "ok"), (1.4, "ok"), (0.7, "ok"), (2, "watch"), (0.5, "watch"), (4, "stop"), (0.2, "stop")],
)
def test_expected_conversions(factor: float, expected: str) -> None:
    found = check_expected(np.full(1000, 0.04 * factor), PAST, GATE)
    assert found.value == pytest.approx(40 * factor)
    assert found.status == expected
    assert "38 a list happened" in found.sentence


def test_a_forecast_far_from_what_happened_is_seen_though_the_lists_agree() -> None:
    poor = [PastList(each.as_of, 1000, 40.0, 10.0, 8, 1) for each in PAST]
    assert check_expected(np.full(1000, 0.04), poor, GATE).status == "watch"


def test_precision_of_the_calls() -> None:
    probability = np.concatenate((np.full(20, 0.5), np.full(900, 0.01)))
    found = check_precision(probability, 20, PAST, GATE)
    assert (found.value, found.status) == (0.5, "ok")
    assert found.sentence.startswith("Of the first 20, 50 % should convert (95 % interval 30 % to 70 %)")
    assert check_precision(probability / 4, 20, PAST, GATE).status == "stop"


def test_without_lists_there_is_nothing_to_compare() -> None:
    for found in (check_expected(np.ones(3), [], GATE), check_precision(np.ones(3), 2, [], GATE)):
        assert found.status == "ok"
        assert found.sentence.startswith("Not checked")
    assert check_precision(np.empty(0), 2, PAST, GATE).sentence.startswith("Not checked")


def test_the_interval_by_listing_every_outcome() -> None:
    probability = np.array([0.1, 0.4, 0.7, 0.35, 0.9])
    mass = np.zeros(6)
    for outcome in itertools.product([0, 1], repeat=5):
        mass[sum(outcome)] += np.prod(np.where(outcome, probability, 1 - probability))
    low, high = poisson_binomial_interval(probability, 0.8)
    assert mass[:low].sum() < 0.1 <= mass[: low + 1].sum()
    assert mass[:high].sum() < 0.9 <= mass[: high + 1].sum()


def test_the_interval_of_equal_probabilities_is_the_binomial_one() -> None:
    from scipy.stats import binom

    assert poisson_binomial_interval(np.full(50, 0.3)) == tuple(binom(50, 0.3).ppf([0.025, 0.975]))
