from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from xgboost import DMatrix

from conversion.modelling.tree_shap import DEEPEST
from conversion.modelling.trees import BLOCK_ROWS, XGBoostScorer
from tests.conversion.modelling.fits import export, fit_invented, fitted, invented, scorer_and_columns, scores


def test_a_forest_walks_its_trees_as_scikit_learn_does() -> None:
    model = fit_invented(400, model__type="random_forest", model__random_forest__max_depth=None)
    scorer, columns = scorer_and_columns(model, invented(BLOCK_ROWS, seed=4)[0])
    expected = scorer.estimator_.predict_proba(columns)[:, 1]
    np.testing.assert_allclose(scorer.raw_probability(columns), expected, rtol=1e-12)
    # On a threshold and a step of single precision to each side of it.
    first = scorer.estimator_.estimators_[0].tree_
    column, threshold = first.feature[0], np.float32(first.threshold[0])
    edges = np.repeat(columns[:1], 3, axis=0)
    edges[:, column] = [np.nextafter(threshold, np.float32(side)) for side in (-1e9, threshold, 1e9)]
    expected = scorer.estimator_.predict_proba(edges)[:, 1]
    np.testing.assert_allclose(scorer.raw_probability(edges), expected, rtol=1e-12)


@pytest.mark.parametrize("depth", [5, DEEPEST + 2])
def test_xgboost_walks_as_the_library_does(depth: int) -> None:
    """The same bits, and to single precision the library's own contributions; Saabas's in deep trees."""
    params = {"model__xgboost__min_child_weight": 0.0, "model__xgboost__reg_lambda": 0.1}
    model = fitted(model__type="xgboost", model__xgboost__max_depth=depth, **params)
    latest = export().latest
    scorer, columns = scorer_and_columns(model, latest)
    assert isinstance(scorer, XGBoostScorer)
    assert (scorer.shap_ is None) == (scorer.trees_.depth > DEEPEST) == (depth > DEEPEST)
    assert len(columns) > BLOCK_ROWS
    raw = scorer.raw_probability(columns)
    blocks = [columns[start : start + BLOCK_ROWS] for start in range(0, len(columns), BLOCK_ROWS)]
    np.testing.assert_array_equal(np.concatenate([scorer.raw_probability(few) for few in blocks]), raw)
    np.testing.assert_array_equal(scorer.raw_with_contributions(columns)[0], raw)
    booster = scorer.estimator_.get_booster()
    margin = booster.inplace_predict(columns, predict_type="margin")
    np.testing.assert_allclose(raw, 1 / (1 + np.exp(-margin.astype(np.float64))), rtol=1e-12)
    expected = booster.predict(DMatrix(columns), pred_contribs=True, approx_contribs=depth > DEEPEST)
    np.testing.assert_allclose(scorer.contributions(columns), expected[:, :-1], rtol=0, atol=2e-6)
    np.testing.assert_allclose(scorer.base_log_odds(), expected[:, -1], rtol=0, atol=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_xgboost_is_fitted_as_by_the_library_s_own_classifier(seed: int) -> None:
    """The same bytes, for a column with more values than bins, one of ties, one of outliers, one constant."""
    rng = np.random.default_rng(seed)
    rows = 3000
    columns = np.column_stack(
        [
            rng.normal(size=rows),
            rng.integers(0, 4, rows),
            np.exp(rng.normal(0.0, 8.0, rows)),
            np.zeros(rows),
        ]
    )
    y = (columns[:, 0] + rng.normal(size=rows) > 1.5).astype(np.int64)
    weight, monotone = rng.choice([1.0, 2.5, 7.0], rows), np.array([1, 0, -1, 0])
    scorer, _ = scorer_and_columns(fitted(model__type="xgboost"), export().latest)
    expected = scorer.estimator(monotone).fit(columns, y, sample_weight=weight)
    estimator = clone(scorer).fit(columns, y, weight, monotone).estimator_
    assert pickle.dumps(estimator) == pickle.dumps(expected)
    assert estimator.get_booster().num_boosted_rounds() == scorer.hyperparameters["n_estimators"]


def test_a_tree_without_a_split_is_walked_too() -> None:
    model = fit_invented(400, model__type="random_forest", model__random_forest__min_samples_leaf=400)
    frame = invented(5)[0]
    assert set(scores(model, frame)) == {scores(model, frame)[0]}
    assert (model.explain(frame) == 0).all(axis=None)


def test_a_forest_adds_its_votes_up_in_one_order() -> None:
    """Sums in threads end in other last bits now and then, which no test can bring about at will."""
    model = fitted(model__type="random_forest", model__random_forest__n_estimators=40)
    train = export().train
    scorer, _ = scorer_and_columns(model, train)
    assert scorer.estimator_.n_jobs == 1
    assert len({scores(model, train).tobytes() for _ in range(10)}) == 1


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_another_seed_another_model(model_type: str) -> None:
    one, two = fitted(model__type=model_type), fitted(model__type=model_type, seed=2)
    assert not np.array_equal(scores(one, export().latest), scores(two, export().latest))


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_scaling_has_no_effect_on_trees(model_type: str) -> None:
    """On training rows: a new value may lie on a threshold, half-way between two, and go either way."""
    train = export().train
    plain, scaled = (fitted(model__type=model_type, train__scaling=how) for how in ("none", "minmax"))
    np.testing.assert_allclose(scores(plain, train), scores(scaled, train), atol=1e-6)
    assert np.ptp(scores(plain, train)) > 0.1


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_trees_are_monotone_where_definitions_say_so(model_type: str) -> None:
    model, latest = fitted(model__type=model_type), export().latest
    before = scores(model, latest)
    directed = [feature for feature in model.features if feature.monotone]
    assert len(directed) > 20
    for feature in directed:
        known = latest[feature.name].notna().to_numpy()
        raised = scores(model, latest.assign(**{feature.name: latest[feature.name] + 3}))
        assert (feature.monotone * (raised - before)[known] >= -1e-9).all(), feature.name
    together = {feature.name: latest[feature.name] + 5 * feature.monotone for feature in directed}
    raised = scores(model, latest.assign(**together))
    assert raised.mean() > before.mean()


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_trees_without_constraints_differ(model_type: str) -> None:
    free = fitted(model__type=model_type, **{f"model__{model_type}__monotone": False})
    assert not np.allclose(
        scores(free, export().latest), scores(fitted(model__type=model_type), export().latest)
    )
