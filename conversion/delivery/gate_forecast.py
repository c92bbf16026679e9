"""Checks that a list is like recent ones: its length, what it expects, its precision.

Nobody knows yet who converts, but calibrated probabilities say how many should: their sum is expected, and
the number itself is the sum of independent draws with these probabilities, a Poisson-binomial number.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.gate_params import Gate as Settings
from conversion.delivery.gate_checks import Bounds, Check, between, judged, number, passed_over, percent
from conversion.stats.numeric import Floats
from conversion.stats.rank_order import rank_order

_CHANCE: Final = 1.96
"""Standard deviations that 95 % of a normal sample lie within."""
_NO_LISTS: Final = "there are no earlier lists to compare with"


@dataclass(frozen=True)
class PastList:
    """An earlier list, delivered or of the backtest.

    Attributes
    ----------
    as_of
        Its moment.
    prospects
        How many prospects it had.
    expected
        The sum of their probabilities.
    expected_calls
        The sum of the probabilities of its first ``calls``.
    converted, converted_calls
        How many of them converted within the horizon; None: not known yet.
    """

    as_of: pd.Timestamp
    prospects: int
    expected: float
    expected_calls: float
    converted: int | None = None
    converted_calls: int | None = None


def lists_of(predictions: Iterable[pd.DataFrame], lists: int, calls: int) -> list[PastList]:
    """Summarise the last lists of the backtest.

    Parameters
    ----------
    predictions
        Each list, in time order: ``id``, ``as_of``, ``probability``, ``label``.
    lists
        How many.
    calls
        Companies to call from each.
    """
    return list(deque((_list_of(rows, calls) for rows in predictions), maxlen=lists))


def _list_of(rows: pd.DataFrame, calls: int) -> PastList:
    first = rows.iloc[rank_order(rows["probability"], rows["id"])[:calls]]
    return PastList(
        rows["as_of"].iloc[0],
        len(rows),
        float(np.sort(rows["probability"].to_numpy()).cumsum()[-1]),
        float(first["probability"].to_numpy().cumsum()[-1]),
        int(rows["label"].sum()),
        int(first["label"].sum()),
    )


def delivered_list(as_of: pd.Timestamp, probability: Floats, calls: int) -> PastList:
    """Summarise a delivered list by its probabilities, largest first."""
    sums = np.concatenate(([0.0], probability.cumsum()))
    return PastList(as_of, len(probability), float(sums[-1]), float(sums[min(calls, len(probability))]))


def recent(past: Sequence[PastList], as_of: pd.Timestamp, lists: int) -> list[PastList]:
    """Return the last lists before a moment; of two of the same moment the later given."""
    by_moment: Mapping[pd.Timestamp, PastList] = {each.as_of: each for each in past if each.as_of < as_of}
    return [by_moment[moment] for moment in sorted(by_moment)][-lists:]


def check_prospects(prospects: int, before: int, moment: dt.date, settings: Settings) -> Check:
    """Check that the list is about as long as the last one, of ``before`` prospects at a moment."""
    watch, stop = settings.prospects.watch, settings.prospects.stop
    bounds = between((before / watch, before * watch), (before / stop, before * stop))
    sentence = f"The list has {prospects:,} prospects; of {moment} there were {before:,}."
    return judged("prospects", prospects, bounds, sentence)


def check_expected(probability: Floats, past: Sequence[PastList], settings: Settings) -> Check:
    """Check that the list expects about as many conversions as recent lists did, and as there were."""
    if not past:
        return passed_over("expected_conversions", _NO_LISTS)
    expected = float(probability.cumsum()[-1]) if len(probability) else 0.0
    usual = float(np.median([each.expected for each in past]))
    mature = [each.converted for each in past if each.converted is not None]
    happened = (
        f", and {number(float(np.mean(mature)))} a list happened in {len(mature)} of them" if mature else ""
    )
    sentence = (
        f"The list expects {number(expected)} conversions; the {len(past)} lists before expected "
        f"{number(usual)} in the middle{happened}."
    )
    observed = [float(np.mean(mature))] if mature else []
    return judged("expected_conversions", expected, _around([usual], observed, settings), sentence)


def check_precision(probability: Floats, calls: int, past: Sequence[PastList], settings: Settings) -> Check:
    """Check the precision of the calls that the probabilities promise, without knowing what will happen."""
    calls = min(calls, len(probability))
    if not past or calls == 0:
        return passed_over("expected_precision", _NO_LISTS if not past else "the list is empty")
    first = probability[:calls]
    expected = float(first.cumsum()[-1])
    low, high = poisson_binomial_interval(first)
    usual = float(np.median([each.expected_calls for each in past]))
    mature = [each.converted_calls for each in past if each.converted_calls is not None]
    happened = (
        f", and {percent(float(np.mean(mature)) / calls)} happened in {len(mature)} of them" if mature else ""
    )
    sentence = (
        f"Of the first {calls}, {percent(expected / calls)} should convert (95 % interval "
        f"{percent(low / calls)} to {percent(high / calls)}); the {len(past)} lists before expected "
        f"{percent(usual / calls)} in the middle{happened}."
    )
    observed = [float(np.mean(mature))] if mature else []
    bounds = _around([usual], observed, settings, calls)
    return judged("expected_precision", expected / calls, bounds, sentence)


def _around(
    expected: Sequence[float], observed: Sequence[float], settings: Settings, out_of: int = 1
) -> Bounds:
    """Return bounds that hold what differs from neither by more than the factor.

    What happened has chance in it: it may differ by as much more as a Poisson number of that mean does.
    """
    bands = []
    for factor in (settings.expected.watch, settings.expected.stop):
        lows = [each / factor for each in expected]
        highs = [each * factor for each in expected]
        for mean in observed:
            chance = _CHANCE * float(np.sqrt(max(mean, 1.0)))
            lows.append(max(mean - chance, 0.0) / factor)
            highs.append((mean + chance) * factor)
        bands.append((max(lows) / out_of, min(highs) / out_of))
    return between(bands[0], bands[1])


def poisson_binomial_interval(probability: Floats, coverage: float = 0.95) -> tuple[int, int]:
    """Compute the central interval of a sum of independent draws with these probabilities.

    Returns
    -------
    int, int
        The least and the most of the sum: below and above lies at most half of the rest each.

    Examples
    --------
    >>> poisson_binomial_interval(np.array([1.0, 1.0, 0.0]))
    (2, 2)
    """
    mass = np.ones(1)
    for each in probability:
        mass = np.append(mass * (1 - each), 0.0) + np.append(0.0, mass * each)
    reached = mass.cumsum()
    tail = (1 - coverage) / 2
    return int(np.searchsorted(reached, tail)), int(np.searchsorted(reached, 1 - tail))
