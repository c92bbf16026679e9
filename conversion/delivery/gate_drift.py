"""Checks that features moved no more than time explains, and that the past is what it was.

Features of this list are compared with those of a week before, as the same export gives them: in one week
a clock, such as the weeks since a company was first seen, hardly moves. What builds up slowly is judged by
the drift that the stage ``score`` measures, beyond what time explains (see `conversion.leads.drift`). An
error in all weeks of an export cannot show in either. It shows in the features that the last delivery froze:
computed again for the same moment, they should be the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.gate_params import Bound
from conversion.config.gate_params import Gate as Settings
from conversion.delivery.gate_checks import Check, Status, judged, most, number, passed_over, percent
from conversion.leads.drift import population_stability_index
from conversion.stats.numeric import Bools, Floats


@dataclass(frozen=True)
class Delivered:
    """An earlier delivery.

    Attributes
    ----------
    as_of
        Its moment.
    features
        ``id`` and the model's features that it froze.
    """

    as_of: dt.date
    features: pd.DataFrame


NO_LEDGER: Final = "there is no delivery of the week before to compare with"
_CLOSE: Final = 1e-5
"""Relative difference of features that are the same, which have the precision of float32."""


def check_weekly_drift(
    latest: pd.DataFrame,
    previous: pd.DataFrame,
    names: Collection[str],
    settings: Settings,
    at_worst: Status = "stop",
) -> Check:
    """Check that no feature has another distribution than a week before.

    Parameters
    ----------
    latest, previous
        Snapshots of all prospects now and a week before.
    names
        The model's features.
    settings
        Section ``gate`` of the params.
    at_worst
        The worst status that is given.
    """
    index = {
        name: population_stability_index(*_as_numbers(previous[name], latest[name])) for name in sorted(names)
    }
    feature = max(index, key=lambda name: np.nan_to_num(index[name], nan=np.inf))
    bound = settings.drift
    moved = sum(value > bound.watch for value in index.values())
    sentence = (
        f"Since the week before, {feature} has moved most, with a stability index of "
        f"{number(index[feature])}; {moved} of {len(index)} features are above {number(bound.watch)}."
    )
    return judged("drift_week", index[feature], most(*_ends(bound)), sentence, at_worst)


def check_training_drift(beyond_time: Mapping[str, float], settings: Settings) -> Check:
    """Check that few features are far from where time alone would have brought them since training.

    Parameters
    ----------
    beyond_time
        ``population_stability_index`` of metrics/drift.json.
    settings
        Section ``gate`` of the params.
    """
    limit = settings.drift.stop
    far = [name for name, index in beyond_time.items() if not index <= limit]
    share = len(far) / max(len(beyond_time), 1)
    which = f", first {far[0]}" if far else ""
    sentence = (
        f"{len(far)} of {len(beyond_time)} features are further from the training snapshots than time "
        f"explains (index above {number(limit)}{which})."
    )
    return judged("drift_training", share, most(0.0, settings.drift_features), sentence)


def check_past(delivered: Delivered | None, previous: pd.DataFrame, settings: Settings) -> Iterator[Check]:
    """Check that what the export says of a week ago is what it said then.

    Parameters
    ----------
    delivered
        The delivery of the week before; None: there is none.
    previous
        The snapshots of the same moment, from today's export.
    settings
        Section ``gate`` of the params.
    """
    if delivered is None:
        yield passed_over("past_companies", NO_LEDGER)
        yield passed_over("past_features", NO_LEDGER)
        return
    now = previous.set_index("id")
    then = delivered.features.set_index("id")
    known = then.index.isin(now.index)
    gone = float(1 - known.mean()) if len(then) else 0.0
    bounds = most(*_ends(settings.rewritten))
    yield judged(
        "past_companies",
        gone,
        bounds,
        f"Of the {len(then):,} prospects of the delivery of {delivered.as_of}, {int((~known).sum()):,} "
        f"({percent(gone)}) are no prospects of that moment in today's export.",
    )
    shared = [name for name in then if name in now]
    if not shared:
        yield passed_over("past_features", _no_features(delivered))
        return
    then, now = then.loc[known, shared], now.loc[then.index[known], shared]
    differs = {name: _differs(then[name], now[name]) for name in shared}
    of_any = np.any([*differs.values()], axis=0)
    share = float(of_any.mean()) if len(of_any) else 0.0
    first = max(differs, key=lambda name: int(differs[name].sum()))
    which = f", most often {first}" if share else ""
    yield judged(
        "past_features",
        share,
        bounds,
        f"{int(of_any.sum()):,} of {len(then):,} companies ({percent(share)}) have other features of "
        f"{delivered.as_of} than were delivered then{which}.",
    )


def check_missing_features(delivered: Delivered | None, latest: pd.DataFrame, settings: Settings) -> Check:
    """Check that no feature is missing much more often than in the last delivery, however long ago."""
    if delivered is None or not len(delivered.features) or not len(latest):
        return passed_over("missing_features", "nothing was delivered before")
    rise = {
        name: float(latest[name].isna().mean() - delivered.features[name].isna().mean())
        for name in delivered.features
        if name != "id" and name in latest
    }
    if not rise:
        return passed_over("missing_features", _no_features(delivered))
    feature = max(rise, key=lambda name: rise[name])
    sentence = (
        f"Since the delivery of {delivered.as_of}, the share of missing values has risen most in {feature}, "
        f"by {100 * rise[feature]:.1f} percentage points to {percent(float(latest[feature].isna().mean()))}."
    )
    return judged("missing_features", rise[feature], most(*_ends(settings.missing_rise)), sentence)


def _no_features(delivered: Delivered) -> str:
    return f"the delivery of {delivered.as_of} has none of today's features"


def _ends(bound: Bound) -> tuple[float, float]:
    return bound.watch, bound.stop


def _as_numbers(old: pd.Series, new: pd.Series) -> tuple[Floats, Floats]:
    """Return both as numbers; of a category the same number for the same level."""
    if not isinstance(old.dtype, pd.CategoricalDtype) and not isinstance(new.dtype, pd.CategoricalDtype):
        return old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64)
    codes, _ = pd.factorize(pd.concat([old.astype("str"), new.astype("str")]), sort=True)
    numbers = np.where(codes < 0, np.nan, codes.astype(np.float64))
    return numbers[: len(old)], numbers[len(old) :]


def _differs(old: pd.Series, new: pd.Series) -> Bools:
    before, after = _as_numbers(old, new)
    same: Bools = np.isclose(before, after, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)
    return ~same
