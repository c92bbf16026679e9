from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from conversion.features.facts import fact_places, facts_of, sum_by_fact
from conversion.modelling.fact_profile import (
    LEAST_ROWS,
    QUANTILES,
    direction,
    most_probable,
    spread,
    weighted_quantiles,
)
from conversion.modelling.model import ConversionModel
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import export, fit_invented, fitted
from tests.pipeline import MODEL_TYPES


def test_the_top_is_a_share_of_the_weight() -> None:
    probability = np.linspace(1, 0, 100_000)
    assert_array_equal(most_probable(probability, np.ones(100_000)), np.arange(1000))
    weight = np.where(np.arange(100_000) < 500, 1.0, 2.0)
    assert len(most_probable(probability, weight)) == 500 + round((0.01 * weight.sum() - 500) / 2)
    assert_array_equal(most_probable(probability[::-1], np.ones(100_000))[:3], [99_999, 99_998, 99_997])


def test_the_top_has_some_rows_at_least() -> None:
    assert len(most_probable(np.linspace(0, 1, 1000), np.ones(1000))) == LEAST_ROWS
    assert sorted(most_probable(np.linspace(0, 1, 30), np.ones(30))) == list(range(30))
    assert_array_equal(
        most_probable(np.zeros(300), np.ones(300)), np.arange(LEAST_ROWS), "ties by their order"
    )


def test_rows_are_spread_evenly() -> None:
    assert spread(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread(10, 4).tolist() == [0, 2, 5, 7]


def test_quantiles_are_of_the_weight() -> None:
    values = np.stack([np.arange(20.0)[::-1], np.full(20, 3.0)], axis=1)
    found = weighted_quantiles(values, np.ones(20))
    assert_array_equal(found, [np.arange(20.0), np.full(QUANTILES, 3.0)])
    heavy = weighted_quantiles(np.array([[1.0], [2.0]]), np.array([3.0, 1.0]))
    assert_array_equal(heavy, [[1.0] * 15 + [2.0] * 5])


@pytest.mark.parametrize(
    ("contributions", "expected"),
    [([0, 1, 2, 3, 9], 1), ([5, 4, 4, 1, 0], -1), ([3, 0, 3, 0, 3], 0), ([1, 1, 1, 1, 1], 0)],
)
def test_directions(contributions: list[float], expected: int) -> None:
    values = np.array([np.nan, 1, 2, 3, 4, 5])
    assert direction(values, np.array([100.0, *contributions])) == expected
    assert direction(np.full(6, np.nan), values) == 0


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_facts_of_a_model(model_type: str) -> None:
    both = fitted(model__type=model_type)
    for model in (both, both.summary_):
        facts = facts_of(model.features, hubspot())
        assert model.profile_.typical.shape == (len(facts), QUANTILES)
        assert model.profile_.typical.dtype == np.float64
        assert (np.diff(model.profile_.typical, axis=1) >= 0).all()
        weighed = model.importance_by_fact()
        assert {each.fact for each in weighed} == set(facts)
        shares = [share for _, share, _ in weighed]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)
        importance = model.get_feature_importance()
        for fact, share, towards in weighed:
            own = [feature.name for feature in model.features if feature.fact == fact.key]
            assert share == pytest.approx(importance[own].sum())
            leading = model.profile_.leading[facts.index(fact)]
            if leading is None:
                assert towards == 0
                assert {each.kind for each in model.features if each.name in own} == {"category"}
            else:
                numbers = [
                    each.name for each in model.features if each.name in own and each.kind != "category"
                ]
                assert importance[leading] == importance[numbers].max()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_telling_fact_has_its_direction(model_type: str) -> None:
    first = fit_invented(model__type=model_type).importance_by_fact()[0]
    assert (first.fact.key, first.direction) == ("actions", 1)


def by_fact(model: ConversionModel) -> np.ndarray:
    return sum_by_fact(model.explain(export().train).to_numpy(), fact_places(model.features))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_is_distinct(model_type: str) -> None:
    model = fitted(model__type=model_type)
    contributions = by_fact(model)
    distinct = model.distinct(contributions)
    assert distinct.shape == contributions.shape
    assert ((distinct >= 0) & (distinct <= 1)).all()
    assert_array_equal(model.distinct(contributions[3:4]), distinct[3:4])
    lowest, highest = model.profile_.typical[:, 0], model.profile_.typical[:, -1]
    assert_array_equal(
        model.distinct(np.stack([lowest, highest + 1])), [[0.0] * len(lowest), [1.0] * len(lowest)]
    )
    # What nearly all of the top have sets nobody apart, however often it is repeated.
    same = (model.profile_.typical[:, :1] < model.profile_.typical).sum(axis=1) == 0
    assert (model.distinct(highest[None])[0, same] == 0).all()


def test_the_top_s_own_contributions_are_typical() -> None:
    """Half of the most probable training snapshots are above the median, fact by fact."""
    model, train = fitted(model__type="logistic_regression"), export().train
    weight = train["weight"].to_numpy()
    top = most_probable(model.probability(model.values(train)), weight)
    above = model.distinct(by_fact(model)[top])
    assert np.average(above, axis=0, weights=weight[top]).mean() == pytest.approx(0.5, abs=0.1)
