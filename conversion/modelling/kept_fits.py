"""Fits that are kept on disk, so that an experiment in which something else changes need not repeat them.

A backtest fits the same members on the same snapshots, whichever model they belong to and whatever is
measured: ``-S model.type=xgboost`` asks for fits that the ensemble has had. A kept fit is found by all it
depends on: values, labels, weights, settings, the code that calls the library, and the versions of libraries.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
from numpy.typing import NDArray

from conversion.modelling.artifact import library_versions
from conversion.runtime.files import write_bytes, writing
from conversion.stats.numeric import Floats

Fit = Callable[[Floats, np.ndarray, np.ndarray, NDArray[np.int64]], Any]
"""From design matrix, labels, weights and each column's direction to a fitted estimator."""
HASH_BYTES: Final = hashlib.sha256().digest_size


@dataclass(frozen=True)
class KeptFits:
    """A folder with a file for each fit: the hash of its bytes, then the bytes."""

    folder: Path

    def read(self, key: str) -> bytes | None:
        """Return a fit's bytes, and count it as used; None if there is none, or not as it was written."""
        file = self._file(key)
        try:
            content = file.read_bytes()
        except OSError:  # it is made again, and what prevents that is reported
            return None
        expected, fit = content[:HASH_BYTES], content[HASH_BYTES:]
        if hashlib.sha256(fit).digest() != expected:
            return None
        with suppress(OSError):  # a folder of somebody else: when it was last used stays unknown
            os.utime(file)
        return fit

    def write(self, key: str, fit: bytes) -> None:
        """Keep a fit; see `writing` for errors."""
        write_bytes(self._file(key), hashlib.sha256(fit).digest() + fit)

    def drop_oldest(self, most_bytes: int) -> None:
        """Remove files that were not used for longest until the rest has so many bytes; see `writing`."""
        with writing(self.folder):
            used = [(file.stat(), file) for file in self.folder.rglob("*") if file.is_file()]
            left = sum(status.st_size for status, _ in used)
            for status, file in sorted(used, key=lambda each: each[0].st_mtime_ns):
                if left <= most_bytes:
                    return
                file.unlink(missing_ok=True)
                left -= status.st_size

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.fit"


def fitted_or_kept(
    memory: KeptFits | None,
    fit: Fit,
    settings: tuple[Any, ...],
    columns: Floats,
    y: np.ndarray,
    weight: np.ndarray,
    monotone: NDArray[np.int64],
) -> Any:
    """Return the kept estimator, or fit one and keep it.

    Nothing of the arrays but a hash is kept beside it.

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
    # What is read from bytes is the same, kept or not.
    if memory is None:
        return pickle.loads(pickle.dumps(fit(columns, y, weight, monotone)))
    key = joblib.hash((settings, library_versions(), columns, y, weight, monotone))
    kept = memory.read(key)
    if kept is None:
        kept = pickle.dumps(fit(columns, y, weight, monotone))
        memory.write(key, kept)
    return pickle.loads(kept)
