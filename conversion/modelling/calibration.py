"""From raw probabilities to calibrated ones, learned and chosen on out-of-time predictions.

An out-of-time prediction of a snapshot comes from a model of labels that were mature before it.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from sklearn.isotonic import IsotonicRegression

from conversion.modelling.time_folds import OutOfTime, folds_with_conversions
from conversion.stats.losses import log_odds, weighted_log_loss
from conversion.stats.numeric import Floats
from conversion.stats.portable_logistic_regression import PortableLogisticRegression
from conversion.stats.portable_math import expit

Method = Literal["none", "sigmoid", "isotonic"]
METHODS: Final[tuple[Method, ...]] = ("none", "sigmoid", "isotonic")
"""The simplest first."""


def fit_calibrator(method: Method, raw: Floats, y: np.ndarray, weight: np.ndarray) -> Any:
    """Fit Platt's sigmoid (on log-odds) or an isotonic curve; None for none."""
    if method == "none":
        return None
    if method == "sigmoid":
        return PortableLogisticRegression(C=np.inf).fit(log_odds(raw)[:, None], y, sample_weight=weight)
    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, y, sample_weight=weight)


def calibrated(calibrator: Any, raw: Floats) -> Floats:
    """Return calibrated probabilities, without the libraries' checks, which cost more than the rest."""
    if calibrator is None:
        return raw
    if isinstance(calibrator, IsotonicRegression):
        return np.asarray(np.interp(raw, calibrator.X_thresholds_, calibrator.y_thresholds_))
    slope, intercept = calibrator.coef_[0, 0], calibrator.intercept_[0]
    return expit(log_odds(raw) * slope + intercept)


def choose_method(predictions: OutOfTime, folds: int, horizon_days: int) -> Method:
    """Return the calibration of least log loss, each judged on later predictions than it was fitted on.

    Parameters
    ----------
    predictions
        By models that learned from none of these snapshots.
    folds
        Number of folds of the later half of the predictions' weeks; a calibrator is fitted on the
        predictions whose labels were mature when a fold began, and judged on the fold.
    horizon_days
        Days until a label is mature.

    Returns
    -------
    str
        ``none``, ``sigmoid`` or ``isotonic``; the simpler one on a tie, and ``none`` where the history is
        too short to judge.
    """
    losses = method_losses(predictions, folds, horizon_days)
    return min(METHODS, key=lambda method: losses[method]) if losses else "none"


def method_losses(predictions: OutOfTime, folds: int, horizon_days: int) -> dict[Method, float]:
    """Compute the weighted log loss of each calibration, summed over the folds of `choose_method`.

    Empty where no fold has conversions both to fit on and to be judged by.
    """
    raw, y, weight, as_of = predictions
    judged = folds_with_conversions(as_of, y, folds, horizon_days)
    return {
        method: sum(
            weighted_log_loss(
                calibrated(fit_calibrator(method, raw[learn], y[learn], weight[learn]), raw[test]),
                y[test],
                weight[test],
            )
            for learn, test in judged
        )
        for method in METHODS
        if judged
    }
