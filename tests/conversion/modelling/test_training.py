from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.data.timeline import WEEK
from conversion.modelling.families import make_model
from conversion.modelling.training import (
    MOST_ROWS,
    fit_at,
    fitting_threads,
    known_training,
    recency_weights,
    search_and_fit_at,
)
from conversion.runtime.errors import ExportError
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import export, scores
from tests.pipeline import MODEL_TYPES, small_params

AS_OF = pd.Timestamp("2020-03-02")


def test_recency_weights_by_hand() -> None:
    weeks = pd.Series([AS_OF - age * WEEK for age in (0, 5, 10, 20, 25)])
    assert recency_weights(weeks, AS_OF, 10).tolist() == pytest.approx([1, 0.5**0.5, 0.5, 0.25, 0.5**2.5])
    assert recency_weights(weeks, AS_OF, None).tolist() == [1.0] * 5


@given(st.lists(st.integers(5, 200), min_size=1), st.integers(1, 200), st.integers(0, 52))
def test_recency_weights_are_relative_to_the_moment_of_the_fit(
    ages: list[int], half_life: int, later: int
) -> None:
    """A fit some weeks later weighs the same snapshots less, all by one factor."""
    weeks = pd.Series([AS_OF - age * WEEK for age in ages])
    now = recency_weights(weeks, AS_OF, half_life)
    then = recency_weights(weeks, AS_OF + later * WEEK, half_life)
    np.testing.assert_allclose(then, now * 0.5 ** (later / half_life), rtol=1e-12)
    assert ((now > 0) & (now <= 1)).all()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("weeks_back", [0, 6])
def test_the_fit_weighs_by_recency_times_the_sampling_weights(model_type: str, weeks_back: int) -> None:
    pipeline = export()
    as_of = pipeline.as_of - weeks_back * WEEK
    params = small_params(model__type=model_type, train__recency_half_life_weeks=8)
    found = fit_at(pipeline.train, as_of, params, hubspot())
    rows = pipeline.train[pipeline.train["as_of"] + pd.Timedelta(days=30) <= as_of]
    recency = recency_weights(rows["as_of"], as_of, 8)
    age = (as_of - rows["as_of"]).dt.days.to_numpy() / 7
    np.testing.assert_allclose(recency, 0.5 ** (age / 8), rtol=1e-14)
    weight = rows["weight"].to_numpy(dtype=np.float64) * recency
    label = rows["label"].to_numpy(dtype=np.int64)
    expected = make_model(params, hubspot()).fit_with_summary(rows, label, weight, rows["as_of"])
    assert found.base_rate_ == expected.base_rate_ == np.average(label, weights=weight)
    for one, other in ((found, expected), (found.summary_, expected.summary_)):
        np.testing.assert_array_equal(
            one.predict_proba(pipeline.latest), other.predict_proba(pipeline.latest)
        )


def test_recency_moves_the_prior_towards_the_recent_past() -> None:
    train = export().train
    recent = train["as_of"] >= train["as_of"].max() - 8 * WEEK
    train = train[recent | (train["label"] == 0)]  # all conversions are recent
    rates = [
        fit_at(
            train, export().as_of, small_params(train__recency_half_life_weeks=weeks), hubspot()
        ).base_rate_
        for weeks in (None, 26, 4)
    ]
    assert rates == sorted(rates)
    assert rates[2] > 1.5 * rates[0]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_threads_change_no_byte_of_the_model(model_type: str) -> None:
    pipeline, params = export(), small_params(model__type=model_type)
    one, two = (
        search_and_fit_at(pipeline.train, pipeline.as_of, params, hubspot(), threads=threads)[0]
        for threads in (1, 2)
    )
    assert pickle.dumps(one) == pickle.dumps(two)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_model_that_is_not_explained_has_the_same_probabilities(model_type: str) -> None:
    pipeline, params = export(), small_params(model__type=model_type)
    plain, whole = (
        fit_at(pipeline.train, pipeline.as_of, params, hubspot(), explained=explained)
        for explained in (False, True)
    )
    for one, other in ((plain, whole), (plain.summary_, whole.summary_)):
        np.testing.assert_array_equal(scores(one, pipeline.latest), scores(other, pipeline.latest))
        assert not hasattr(one, "profile_")
        assert hasattr(other, "profile_")


def test_many_snapshots_are_fitted_member_by_member() -> None:
    assert fitting_threads(MOST_ROWS + 1) == 1
    assert 1 <= fitting_threads(MOST_ROWS) <= 2


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_order_of_rows_is_of_no_account(model_type: str) -> None:
    pipeline = export()
    params = small_params(model__type=model_type, train__recency_half_life_weeks=20)
    one, other = (
        fit_at(train, pipeline.as_of, params, hubspot()).predict_proba(pipeline.latest)
        for train in (pipeline.train, pipeline.train.sample(frac=1, random_state=3))
    )
    np.testing.assert_array_equal(one, other)


# Time


@pytest.mark.parametrize(
    ("model_type", "weeks_back"), [("logistic_regression", 0), ("random_forest", 6), ("xgboost", 15)]
)
def test_immature_labels_are_never_learned_from(model_type: str, weeks_back: int) -> None:
    pipeline = export()
    as_of = pipeline.as_of - weeks_back * WEEK
    params = small_params(model__type=model_type, train__threshold="f1", train__folds=1)
    train = pd.concat([pipeline.train, pipeline.train.tail(50).assign(as_of=as_of)], ignore_index=True)
    immature = train["as_of"] + pd.Timedelta(days=30) > as_of
    assert immature.sum() >= 50
    poisoned = train.copy()
    poisoned.loc[immature, "label"] = 1 - poisoned.loc[immature, "label"]
    poisoned.loc[immature, "weight"] = 1000.0
    poisoned.loc[immature, "users_max_4w"] = np.nan
    clean, dirty, without = (
        fit_at(some, as_of, params, hubspot()) for some in (train, poisoned, train[~immature])
    )
    expected = scores(clean, pipeline.latest)
    for other in (dirty, without):
        np.testing.assert_array_equal(scores(other, pipeline.latest), expected)
        assert other.threshold_ == clean.threshold_
        assert other.base_rate_ == clean.base_rate_


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_summary_model_learns_from_what_was_known_only(model_type: str) -> None:
    pipeline = export()
    as_of = pipeline.as_of - 6 * WEEK
    immature = pipeline.train["as_of"] + pd.Timedelta(days=30) > as_of
    poisoned = pipeline.train.copy()
    poisoned.loc[immature, "label"] = 1 - poisoned.loc[immature, "label"]
    clean, dirty = (
        fit_at(some, as_of, small_params(model__type=model_type), hubspot()).summary_
        for some in (pipeline.train, poisoned)
    )
    np.testing.assert_array_equal(scores(clean, pipeline.latest), scores(dirty, pipeline.latest))


def test_the_history_is_as_long_as_params_say() -> None:
    pipeline = export()
    known = known_training(pipeline.train, pipeline.as_of, 30, 10)
    weeks = pipeline.train.loc[known, "as_of"]
    assert weeks.max() == pipeline.as_of - 5 * WEEK
    assert weeks.min() == pipeline.as_of - 9 * WEEK
    whole = known_training(pipeline.train, pipeline.as_of, 30, None)
    assert whole.all(), "every snapshot that was made is mature at as_of"
    edge = pd.DataFrame({"as_of": [pipeline.as_of - pd.Timedelta(days=days) for days in (31, 30, 29)]})
    assert known_training(edge, pipeline.as_of, 30, None).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "overrides",
    [{"train__calibration": "sigmoid"}, {"train__threshold": "f1"}],
    ids=["calibration", "threshold"],
)
def test_too_little_history_to_calibrate(overrides: dict[str, str]) -> None:
    pipeline = export()
    early = pipeline.train["as_of"].min() + 8 * WEEK
    with pytest.raises(ExportError, match=r"set train.calibration: none and train.threshold: fixed"):
        fit_at(pipeline.train, early, small_params(**overrides), hubspot())
    assert fit_at(pipeline.train, early, small_params(), hubspot()).threshold_ == 0.05
    auto = fit_at(pipeline.train, early, small_params(train__calibration="auto"), hubspot())
    assert (auto.calibration_, auto.calibrator_, auto.threshold_) == ("none", None, 0.05)


def test_no_mature_label_is_refused() -> None:
    pipeline = export()
    with pytest.raises(ExportError, match="0 of 0 training snapshots"):
        fit_at(pipeline.train, pipeline.train["as_of"].min(), small_params(), hubspot())
