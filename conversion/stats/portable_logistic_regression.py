"""L2-penalised logistic regression, with the same bits on every processor."""

from __future__ import annotations

import warnings
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from conversion.stats.numeric import Floats, blocks
from conversion.stats.portable_math import DOUBLE_BITS, column_exponents, expit, linear_predictor, log, slices

_ROWS_AT_ONCE: Final = 512  # few enough for a block to stay in the processor's cache
# Of a slice: the products of two, summed over a block's rows, are exact.
_BITS: Final = (DOUBLE_BITS - (_ROWS_AT_ONCE - 1).bit_length()) // 2
_SUMS_AT_ONCE: Final = 16384  # few enough for the sums of the rows to stay there
_HALVINGS: Final = 30
_LEAST_PIVOT: Final = 2.0**-40
_FIRST_DAMPING: Final = 2.0**-30


class PortableLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What `sklearn.linear_model.LogisticRegression` fits, independent of the kernels of BLAS and libm.

    Newton's method minimises ``sum(weight * log_loss) + |coef| ** 2 / (2 C)``; the intercept has no penalty.
    Matrix products are exact sums of short whole numbers, see `conversion.stats.portable_math.slices`. For
    them the design matrix is rounded to 44 bits of each column's largest value.

    Parameters
    ----------
    C
        Inverse strength of the penalty; ``inf``: none.
    max_iter
        Newton steps at most.
    tol
        Converged where no component of the gradient is larger, per unit of weight and of the column's
        largest value.

    Attributes
    ----------
    coef_ : numpy.ndarray of float64, shape (1, columns)
    intercept_ : numpy.ndarray of float64, shape (1,)
    n_iter_ : numpy.ndarray of int, shape (1,)
        Newton steps taken.
    classes_ : numpy.ndarray
        0 and 1.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 100, tol: float = 1e-13) -> None:
        self.C = C
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Floats, y: NDArray[Any], sample_weight: NDArray[Any]) -> Self:
        """Fit on a design matrix.

        Parameters
        ----------
        X
            Finite, shape (rows, columns).
        y
            0 or 1, both present.
        sample_weight
            At least 0.

        Raises
        ------
        ValueError
            A value is not finite.
        """
        weight = np.asarray(sample_weight, dtype=np.float64)
        if not np.isfinite(X).all():
            raise ValueError("the design matrix holds values that are not finite")
        problem = _Problem.of(X, np.asarray(y, dtype=np.float64), weight, self.C)
        # BLAS's threads wait for each other at every small product, which costs more than they bring.
        with threadpool_limits(1, user_api="blas"):
            beta, steps, converged = _minimise(problem, self.max_iter, self.tol * float(weight.sum()))
        if not converged:
            warnings.warn(
                f"logistic regression: not converged after {steps} Newton steps; raise max_iter or lower C",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.coef_, self.intercept_ = beta[None, :-1], beta[-1:]
        self.n_iter_ = np.array([steps])
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = X.shape[1]
        return self

    def decision_function(self, X: Floats) -> Floats:
        """Return the log-odds, shape (rows,)."""
        return np.asarray(linear_predictor(X, self.coef_[0]) + self.intercept_[0])

    def predict_proba(self, X: Floats) -> Floats:
        """Return the probabilities of 0 and 1, shape (rows, 2)."""
        probability = expit(self.decision_function(X))
        return np.column_stack([1.0 - probability, probability])


class _Problem(NamedTuple):
    """What is minimised. Each column is contiguous here, so that a pass over the rows stays fast.

    Columns are divided by powers of two, which is exact, so that all have about the same size; coefficients,
    gradient and Hessian are those of the columns as they were.
    """

    columns: Floats  # (columns + 1, rows), the last one of ones; below 1
    exponents: NDArray[np.int32]  # (columns + 1,), of the powers of two
    y: Floats  # (rows,)
    weight: Floats  # (rows,)
    penalty: Floats  # (columns + 1,)

    @classmethod
    def of(cls, X: Floats, y: Floats, weight: Floats, C: float) -> Self:
        """Lay the problem out."""
        columns = np.ones((X.shape[1] + 1, len(X)))
        columns[:-1] = X.T
        exponents = column_exponents(columns.T)
        columns *= np.ldexp(1.0, -exponents)[:, None]
        return cls(columns, exponents, y, weight, np.append(np.full(X.shape[1], 1.0 / C), 0.0))

    def start(self) -> Floats:
        """Return the minimum without columns: the prevalence's log-odds."""
        prevalence = (self.weight * self.y).sum() / self.weight.sum()
        beta = np.zeros(len(self.columns))
        beta[-1] = float(log(prevalence / (1.0 - prevalence)))
        return beta

    def probability(self, beta: Floats) -> Floats:
        coefficients = np.ldexp(beta, self.exponents)
        sums = np.empty(len(self.y))
        for rows in blocks(0, len(self.y), _SUMS_AT_ONCE):
            sums[rows] = linear_predictor(self.columns[:, rows].T, coefficients)
        return expit(sums)

    def gradient(self, beta: Floats, probability: Floats) -> Floats:
        """Sum up with two slices of the columns and two of the residuals, exactly within a block of rows."""
        residual = slices((self.weight * (probability - self.y))[:, None], 2, _BITS)
        sums = np.zeros((2, len(self.columns)))
        high, low = np.empty((2, len(self.columns), _ROWS_AT_ONCE))
        for rows in blocks(0, len(self.y), _ROWS_AT_ONCE):
            count = rows.stop - rows.start
            scaled = np.multiply(self.columns[:, rows], 2.0**_BITS, out=low[:, :count])
            whole = np.rint(scaled, out=high[:, :count])
            scaled -= whole
            scaled *= 2.0**_BITS
            np.rint(scaled, out=scaled)
            # One vector after the other: BLAS copies a matrix before it multiplies it by a second matrix.
            for summed, (part, _) in zip(sums, residual, strict=True):
                summed += whole @ part[rows, 0] + (scaled @ part[rows, 0]) * 2.0**-_BITS
        sums *= np.ldexp(1.0, np.array([unit for _, unit in residual]))
        total: Floats = np.ldexp(sums[0] + sums[1], self.exponents - _BITS)
        return total + self.penalty * beta

    def sizes(self, gradient: Floats) -> Floats:
        """Measure a gradient's components in units of their columns, so that scales do not matter."""
        return np.asarray(np.abs(np.ldexp(gradient, -self.exponents)))

    def hessian(self, probability: Floats) -> Floats:
        """Sum up with one slice: less exact a Hessian changes the steps, not where they lead."""
        root = np.sqrt(self.weight * probability * (1.0 - probability))
        _, exponent = np.frexp(root.max())
        root *= np.ldexp(1.0, _BITS - exponent)
        total = np.zeros((len(self.columns), len(self.columns)))
        scratch = np.empty((len(self.columns), _ROWS_AT_ONCE))
        for rows in blocks(0, len(self.y), _ROWS_AT_ONCE):
            curved = scratch[:, : rows.stop - rows.start]
            np.multiply(self.columns[:, rows], root[rows], out=curved)
            np.rint(curved, out=curved)
            total += curved @ curved.T
        to_whole = np.ldexp(1.0, _BITS - self.exponents - exponent)[:, None]
        total /= to_whole
        total /= to_whole.T
        total[np.diag_indices_from(total)] += self.penalty
        return total


def _minimise(problem: _Problem, max_iter: int, tol: float) -> tuple[Floats, int, bool]:
    """Step along Newton's direction, halved until the gradient is shorter.

    Returns the minimum, the steps taken, and whether the gradient is at most ``tol``, or as short as doubles
    can make it.
    """
    beta = problem.start()
    probability = problem.probability(beta)
    gradient = problem.gradient(beta, probability)
    for steps in range(max_iter):
        sizes = problem.sizes(gradient)
        if sizes.max() <= tol:
            return beta, steps, True
        step = _solved(problem.hessian(probability), gradient)
        for halvings in range(_HALVINGS):
            trial = beta - step * 0.5**halvings
            probability = problem.probability(trial)
            gradient = problem.gradient(trial, probability)
            if np.square(problem.sizes(gradient)).sum() < np.square(sizes).sum():
                break
        else:
            return beta, steps, True
        beta = trial
    return beta, max_iter, bool(problem.sizes(gradient).max() <= tol)


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Solve ``matrix @ x = right``, with more on the diagonal where the matrix is nearly singular.

    Levenberg 1944, A method for the solution of certain non-linear problems in least squares, Quarterly of
    Applied Mathematics 2.
    """
    diagonal = np.diag_indices_from(matrix)
    scale = np.maximum(matrix[diagonal], np.finfo(np.float64).tiny)
    lower, damping = _cholesky(matrix), _FIRST_DAMPING
    while lower is None:
        damped = matrix.copy()
        damped[diagonal] += damping * scale
        lower, damping = _cholesky(damped), 4.0 * damping
    x = right.copy()
    for k in range(len(x)):
        x[k] /= lower[k, k]
        x[k + 1 :] -= lower[k + 1 :, k] * x[k]
    for k in range(len(x))[::-1]:
        x[k] /= lower[k, k]
        x[:k] -= lower[k, :k] * x[k]
    return x


def _cholesky(matrix: Floats) -> Floats | None:
    """Return the lower factor, made in a written order; None where a pivot is lost in rounding."""
    lower = matrix.copy()
    least = matrix[np.diag_indices_from(matrix)] * _LEAST_PIVOT
    for k in range(len(lower)):
        if not lower[k, k] > least[k]:
            return None
        lower[k, k] = np.sqrt(lower[k, k])
        lower[k + 1 :, k] /= lower[k, k]
        lower[k + 1 :, k + 1 :] -= lower[k + 1 :, k, None] * lower[None, k + 1 :, k]
    return lower
