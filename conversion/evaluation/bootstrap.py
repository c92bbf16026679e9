"""The bootstrap of companies: what each sample draws, and the 95 % intervals that come of it.

A company is on many lists, so its rows are no independent evidence; all its rows get the one weight that it
drew. The intervals are percentile intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conversion.runtime.progress import counting_bar
from conversion.stats.numeric import Floats, rounded

_INTERVAL: Final = (2.5, 97.5)
_CHUNK_WEIGHTS: Final = 8_000_000


class Measured(NamedTuple):
    """A measure of all companies, and of each bootstrap sample of them."""

    value: float
    sampled: Floats


def company_weights(companies: int, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Draw the samples, each of as many companies as there are, so many samples at a time as memory allows.

    Parameters
    ----------
    companies
        How many there are.
    samples
        How many samples to draw.
    seed
        Of the drawing: the same one draws the same samples.

    Yields
    ------
    ndarray of float32
        How often each company was drawn, companies by samples. float32 counts exactly to 16 million, and is
        what numpy sums fastest.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_WEIGHTS // max(companies, 1))
    with counting_bar(what="bootstrap", unit="samples", total=samples) as bar:
        for start in range(0, samples, chunk):
            weights = np.empty((companies, min(chunk, samples - start)), dtype=np.float32)
            for sample in range(weights.shape[1]):
                drawn = rng.integers(0, companies, companies)
                weights[:, sample] = np.bincount(drawn, minlength=companies)
            yield weights
            bar.update(weights.shape[1])


def interval(value: float, sampled: Floats) -> dict[str, float | None]:
    """Give a ``value`` the bounds ``low`` and ``high`` of its interval; None where undefined."""
    low, high = percentiles(sampled)
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}


def difference(first: Measured, second: Measured, *, less_is_better: bool) -> dict[str, float | None]:
    """Ask whether the second is better than the first, both of the same samples.

    Parameters
    ----------
    first, second
        What is compared.
    less_is_better
        As a loss is.

    Returns
    -------
    dict
        ``difference``, second minus first, with the bounds ``low`` and ``high`` of its interval; and
        ``probability_better``: the share of samples where the second is better, equal counting half. None
        where undefined.
    """
    sampled = second.sampled - first.sampled
    low, high = percentiles(sampled)
    gain = -sampled if less_is_better else sampled
    known = gain[~np.isnan(gain)]
    better = np.mean((known > 0) + 0.5 * (known == 0)) if len(known) else np.nan
    return {
        "difference": rounded(second.value - first.value),
        "low": rounded(low),
        "high": rounded(high),
        "probability_better": rounded(better),
    }


def percentiles(sampled: Floats) -> tuple[float, float]:
    """Find the bounds of the interval among the samples where the measure is defined; NaN where none is."""
    known = sampled[~np.isnan(sampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)
