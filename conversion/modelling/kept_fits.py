"""Fits that are kept on disk, so that an experiment in which something else changes need not repeat them.

A backtest fits the same members on the same snapshots, whichever model they belong to and whatever is
measured: ``-S model.type=xgboost`` asks for fits that the ensemble has had. A kept fit is found by all it
depends on: values, labels, weights, settings, the code that calls the library, and the versions of libraries.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib import Memory
from numpy.typing import NDArray

from conversion.modelling.artifact import library_versions
from conversion.runtime.files import writing
from conversion.stats.numeric import Floats

Fit = Callable[[Floats, np.ndarray, np.ndarray, NDArray[np.int64]], Any]
"""From design matrix, labels, weights and each column's direction to a fitted estimator."""


def fitted_or_kept(
    memory: Memory | None,
    fit: Fit,
    settings: tuple[Any, ...],
    columns: Floats,
    y: np.ndarray,
    weight: np.ndarray,
    monotone: NDArray[np.int64],
) -> Any:
    """Return the kept estimator, or fit one and keep it.

    Parameters
    ----------
    memory
        Where fits are kept; None: nowhere.
    fit
        Called if there is no kept fit.
    settings
        Whatever the fit depends on beside the arrays and the versions of libraries.
    columns, y, weight, monotone
        What ``fit`` is called with.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    make = partial(fit, columns, y, weight, monotone)
    if memory is None:
        return pickle.loads(_fitted_bytes("", make))
    with writing(Path(memory.location) / "conversion"):  # the folder that joblib makes for this package
        kept = memory.cache(_fitted_bytes, ignore=["make"])
    key = joblib.hash((settings, library_versions(), columns, y, weight, monotone))
    return pickle.loads(kept(key, make))


def _fitted_bytes(key: str, make: Callable[[], Any]) -> bytes:  # noqa: ARG001 - joblib finds the fit by its key
    """Fit, and return the estimator as bytes: what is read from them is the same, kept or not.

    Nothing of the arrays but the key's hash is kept beside it.
    """
    return pickle.dumps(make())
