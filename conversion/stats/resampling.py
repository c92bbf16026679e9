"""Resampling companies with replacement, and the 95 % percentile interval over the samples.

A company is on many lists, so its rows are not independent evidence. A sample draws companies, and each row
has the weight of its company.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from conversion.stats.numeric import Floats

_INTERVAL: Final = (2.5, 97.5)
_CHUNK_WEIGHTS: Final = 8_000_000


def company_weights(companies: int, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Draw samples of as many companies as there are, in chunks that fit into memory.

    Parameters
    ----------
    companies
        Number of companies.
    samples
        Number of samples.
    seed
        The same seed draws the same samples.

    Yields
    ------
    ndarray of float32
        How often each company was drawn, companies by samples. float32 counts exactly to 16 million, and
        numpy sums it fastest.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_WEIGHTS // max(companies, 1))
    for start in range(0, samples, chunk):
        weights = np.empty((companies, min(chunk, samples - start)), dtype=np.float32)
        if companies:  # there is nothing to draw from none
            for sample in range(weights.shape[1]):
                drawn = rng.integers(0, companies, companies)
                weights[:, sample] = np.bincount(drawn, minlength=companies)
        yield weights


def percentiles(sampled: Floats) -> tuple[float, float]:
    """Return the interval over the samples in which the measure is defined; NaN if there is none."""
    known = sampled[~np.isnan(sampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)
