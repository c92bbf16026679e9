"""The logistic regression with the same bits everywhere; scikit-learn's, converged, is the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from conversion.stats.portable_logistic_regression import PortableLogisticRegression

Floats = NDArray[np.float64]


def problem(seed: int, rows: int = 700, columns: int = 5) -> tuple[Floats, NDArray[np.int64], Floats]:
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(rows, columns)) * rng.lognormal(0, 1, columns)
    y = (rng.random(rows) < 1 / (1 + np.exp(2 - design[:, 0]))).astype(np.int64)
    y[:2] = 0, 1
    return design, y, rng.uniform(0.5, 30, rows)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.001, 0.01, 1.0, 100.0]))
def test_it_is_scikit_learn_s_converged(seed: int, strength: float) -> None:
    design, y, weight = problem(seed)
    reference = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12, max_iter=500)
    reference.fit(design, y, sample_weight=weight)
    found = PortableLogisticRegression(C=strength).fit(design, y, weight)
    np.testing.assert_allclose(found.coef_, reference.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.intercept_, reference.intercept_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.predict_proba(design), reference.predict_proba(design), rtol=1e-6)


def test_without_a_penalty_the_mean_probability_is_the_prevalence() -> None:
    design, y, weight = problem(3, columns=1)
    found = PortableLogisticRegression(C=np.inf).fit(design, y, weight)
    mean = np.average(found.predict_proba(design)[:, 1], weights=weight)
    assert mean == pytest.approx(np.average(y, weights=weight), abs=1e-10)


def test_an_intercept_by_hand() -> None:
    """Columns of zeros tell nothing: three of four weigh in as conversions, so the log-odds are log(3)."""
    found = PortableLogisticRegression().fit(np.zeros((2, 2)), np.array([0, 1]), np.array([1.0, 3.0]))
    assert found.coef_.tolist() == [[0.0, 0.0]]
    assert found.intercept_[0] == pytest.approx(np.log(3.0), abs=1e-15)
    assert found.n_iter_.tolist() == [0]


def test_columns_that_repeat_each_other_share_the_weight() -> None:
    design, y, weight = problem(4, columns=1)
    twice = np.concatenate([design, design], axis=1)
    found = PortableLogisticRegression(C=1e8).fit(twice, y, weight)
    alone = PortableLogisticRegression(C=2e8).fit(design, y, weight)
    assert found.coef_[0, 0] == pytest.approx(found.coef_[0, 1], rel=1e-4)
    assert found.coef_.sum() == pytest.approx(alone.coef_[0, 0], rel=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e9])
def test_unscaled_columns(scale: float) -> None:
    design, y, weight = problem(5)
    penalised = PortableLogisticRegression(C=np.inf).fit(design, y, weight)
    scaled = PortableLogisticRegression(C=np.inf).fit(design * scale, y, weight)
    np.testing.assert_allclose(scaled.coef_ * scale, penalised.coef_, rtol=1e-5)


def test_separable_classes_end_with_the_penalty_s_minimum() -> None:
    design = np.linspace(-1, 1, 50)[:, None]
    y = (design[:, 0] > 0).astype(np.int64)
    weight = np.ones(50)
    reference = LogisticRegression(C=1e4, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(design, y)
    found = PortableLogisticRegression(C=1e4).fit(design, y, weight)
    np.testing.assert_allclose(found.coef_, reference.coef_, rtol=1e-5)


def test_too_few_steps_are_reported() -> None:
    design, y, weight = problem(6)
    with pytest.warns(ConvergenceWarning, match="not converged after 1 Newton steps; raise max_iter"):
        found = PortableLogisticRegression(C=100.0, max_iter=1).fit(design, y, weight)
    assert found.n_iter_.tolist() == [1]


def test_values_that_are_not_finite_are_refused() -> None:
    design, y, weight = problem(7)
    design[3, 1] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        PortableLogisticRegression().fit(design, y, weight)
