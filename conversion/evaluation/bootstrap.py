"""The bootstrap of companies: the samples, and the 95 % percentile intervals.

A company is on many lists, so its rows are not independent evidence. A sample draws companies, and each row
has the weight of its company.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conversion.runtime.progress import counting_bar
from conversion.stats import resampling
from conversion.stats.numeric import Floats, rounded
from conversion.stats.portable_math import sums_at_counts
from conversion.stats.resampling import percentiles


class Measured(NamedTuple):
    """A measure of all companies, and of each bootstrap sample of them."""

    value: float
    sampled: Floats


def company_weights(companies: int, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Draw samples of companies behind a progress bar; see `conversion.stats.resampling.company_weights`."""
    with counting_bar(what="bootstrap", unit="samples", total=samples) as bar:
        for weights in resampling.company_weights(companies, samples, seed):
            yield weights
            bar.update(weights.shape[1])


class Draws:
    """Everyone once, and then bootstrap samples of companies, kept small to be taken again for each cutoff.

    Parameters
    ----------
    companies
        Number of companies.
    sampled
        From `company_weights`.
    """

    def __init__(self, companies: int, sampled: Iterable[NDArray[np.float32]]) -> None:
        self._blocks: list[NDArray[Any]] = [np.ones((companies, 1), dtype=np.uint8)]
        for weights in sampled:
            few = weights.max(initial=0.0) <= np.iinfo(np.uint8).max
            self._blocks.append(weights.astype(np.uint8 if few else np.uint32))
        self.samples = sum(block.shape[1] for block in self._blocks)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the places of some samples, everyone's is 0, and their weights, companies by samples."""
        start = 0
        for block in self._blocks:
            yield slice(start, start + block.shape[1]), block.astype(np.float32)
            start += block.shape[1]


def resampled_sums(by_company: Floats, samples: int, seed: int) -> tuple[Floats, Floats]:
    """Sum what each company has, over all companies and over each bootstrap sample.

    Parameters
    ----------
    by_company
        Companies on the first axis, as `conversion.evaluation.predictions.company_sums` returns.
    samples, seed
        See `company_weights`.

    Returns
    -------
    ndarray of float64, ndarray of float64
        The sums over all companies, without the first axis; and those of each sample, samples on the first
        axis.
    """
    flat = by_company.reshape(len(by_company), -1)
    sampled = [sums_at_counts(weights, flat) for weights in company_weights(len(flat), samples, seed)]
    return by_company.sum(axis=0), np.concatenate(sampled).reshape(-1, *by_company.shape[1:])


def interval(value: float, sampled: Floats) -> dict[str, float | None]:
    """Return the ``value`` with the bounds ``low`` and ``high`` of its interval; None where undefined."""
    low, high = percentiles(sampled)
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}


def difference(first: Measured, second: Measured, *, less_is_better: bool) -> dict[str, float | None]:
    """Compare two measures of the same samples.

    Parameters
    ----------
    first, second
        What is compared.
    less_is_better
        True for a loss.

    Returns
    -------
    dict
        ``difference``, second minus first, with the bounds ``low`` and ``high`` of its interval; and
        ``probability_better``: the share of samples in which the second is better, ties counting half. None
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
