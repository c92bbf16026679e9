"""Resampling companies with replacement, and the 95 % percentile interval over the samples.

A company is on many lists, so its rows are not independent evidence. A sample draws companies, and each row
has the weight of its company.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from conversion.stats.numeric import Floats, Ints

_INTERVAL: Final = (2.5, 97.5)
_CHUNK_WEIGHTS: Final = 8_000_000
_ROWS_AT_ONCE: Final = 2048
"""Companies whose weights are in the processor's cache at a time."""


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


def run_weights(weights: NDArray[np.integer], companies: NDArray[np.integer], starts: Ints) -> Floats:
    """Sum the weights of runs of companies, in each sample.

    Parameters
    ----------
    weights
        Whole numbers, companies by samples.
    companies
        Companies in some order, each at most once.
    starts
        Where the runs begin, increasing from 0; each reaches to the next, the last to the end.

    Returns
    -------
    ndarray of float64
        Runs by samples.
    """
    sums = np.zeros((len(starts), weights.shape[1]))
    single = np.diff(starts, append=len(companies)) == 1
    sums[single] = np.take(weights, companies[starts[single]], axis=0)
    for first in range(0, len(companies), _ROWS_AT_ONCE):
        block = companies[first : first + _ROWS_AT_ONCE]
        # The runs that reach into the block: the first may begin before it.
        run = int(np.searchsorted(starts, first, side="right")) - 1
        end = int(np.searchsorted(starts, first + len(block), side="left"))
        drawn = np.take(weights, block, axis=0)
        # Numbers of few bits add up fastest: the fewest that hold the sum of the block.
        total = np.min_scalar_type(len(block) * int(drawn.max(initial=0)))
        ends = [*np.maximum(starts[run:end] - first, 0).tolist(), len(block)]
        for place in (run + np.flatnonzero(~single[run:end])).tolist():
            start, stop = ends[place - run], ends[place - run + 1]
            sums[place] += np.add.reduce(drawn[start:stop], axis=0, dtype=total)
    return sums


def percentiles(sampled: Floats) -> tuple[float, float]:
    """Return the interval over the samples in which the measure is defined; NaN if there is none."""
    known = sampled[~np.isnan(sampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)
