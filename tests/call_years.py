"""A year of weekly call lists with a control group, and the true effect of the calls.

There is no usage and no model here: a company has a weekly hazard that wanders, a list is the companies with
the highest scores, and a score is the hazard with an error. So a hundred years take seconds, and show
whether the intervals of `conversion.scorecard.effect` hold the truth. Who is called is not left to chance:
reps prefer the companies that are more likely to convert anyway, more than the score tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import Bools, Floats, Ints
from conversion.stats.portable_math import exp, expit, log

HORIZON_DAYS: Final = 30
FIRST_LIST: Final = np.datetime64("2020-01-06", "D")
_LISTED: Final = "listed"
_HELD_BACK: Final = "held_back"


@dataclass(frozen=True)
class YearSettings:
    """What a year of lists is drawn from.

    Attributes
    ----------
    log_hazard_ratio, spread
        A call multiplies a company's hazard of the horizon by ``exp(log_hazard_ratio + spread * z)``, z
        normal by company.
    holdout
        Share of companies held back.
    calls, weeks, companies
        Companies called from a list, lists, and companies in all.
    preference
        How much reps prefer companies with a higher hazard: in log-odds of a call, a standard deviation.
    """

    log_hazard_ratio: float
    spread: float = 0.0
    holdout: float = 0.2
    calls: int = 50
    weeks: int = 52
    companies: int = 1500
    preference: float = 1.0


@dataclass(frozen=True)
class Year:
    """A year of lists.

    Attributes
    ----------
    rows
        Of all lists, the companies within the cut: ``id``, ``as_of``, ``horizon_days``, ``status``,
        ``call_probability``, ``label``, ``converted``.
    contacts
        ``id`` and ``when``.
    effect
        True mean effect of being offered for a call, in conversions a company, over all that entered.
    effect_of_call
        The same over those that a rep would have called.
    """

    rows: pd.DataFrame
    contacts: pd.DataFrame
    effect: float
    effect_of_call: float


def year_of_lists(settings: YearSettings, seed: int) -> Year:
    """Draw a year of lists.

    A company is called at most once, from the first list that it stands on.

    Parameters
    ----------
    settings
        What it is drawn from.
    seed
        The same seed draws the same year.
    """
    rng = np.random.default_rng(seed)
    people = _draw_companies(settings, rng)
    held_back = uniform_hash(np.arange(settings.companies), seed=seed) < settings.holdout
    entered = np.full(settings.companies, -1)
    found = []
    for week in range(settings.weeks):
        cut = _within_the_cut(people, held_back, week, settings.calls)
        new = cut[entered[cut] < 0]
        entered[new] = week
        people.call(new[people.would_be_called[new] & ~held_back[new]], 7 * week)
        found.append(pd.DataFrame({"id": cut, "week": week}))
    rows = _with_outcomes(pd.concat(found, ignore_index=True), people, held_back, settings.holdout)
    who = np.flatnonzero(entered >= 0)
    gain, called = people.gain(who, 7 * entered[who]), people.would_be_called[who]
    contacted = who[called & ~held_back[who]]
    when = (FIRST_LIST + 7 * entered[contacted]).astype("datetime64[us]")
    return Year(
        rows=rows,
        contacts=pd.DataFrame({"id": contacted, "when": when}),
        effect=float((gain * called).mean()),
        effect_of_call=float(gain[called].mean()),
    )


@dataclass
class _Companies:
    """Companies whose conversion day follows from a hazard a day and a threshold each."""

    daily: Floats  # hazard of each day, companies by days, before any call
    score: Floats  # of each week, companies by weeks
    threshold: Floats
    ratio: Floats  # by which a call multiplies the hazard
    would_be_called: Bools
    close_day: Ints

    def call(self, who: Ints, day: int) -> None:
        """Multiply the hazard of the horizon that starts on a day, in place."""
        hazard = self.daily[who]
        hazard[:, day : day + HORIZON_DAYS] *= self.ratio[who, None]
        self.close_day[who] = _close_days(hazard, self.threshold[who])

    def gain(self, who: Ints, day: Ints) -> Floats:
        """Return what a call on a day adds to the probability of converting within the horizon."""
        days = day[:, None] + np.arange(HORIZON_DAYS)
        hazard = np.take_along_axis(self.daily[who], days, axis=1).sum(axis=1)
        return np.asarray(exp(-hazard) - exp(-hazard * self.ratio[who]))


def _draw_companies(settings: YearSettings, rng: np.random.Generator) -> _Companies:
    companies, weeks = settings.companies, settings.weeks + HORIZON_DAYS // 7 + 1
    log_hazard = np.empty((companies, weeks))
    level = -5.3 + 1.1 * rng.standard_normal(companies)
    wandering = rng.standard_normal(companies)
    for week in range(weeks):
        wandering = 0.9 * wandering + np.sqrt(1 - 0.9**2) * rng.standard_normal(companies)
        log_hazard[:, week] = level + 0.9 * wandering
    score = log_hazard + 0.5 * rng.standard_normal(companies)[:, None]
    daily = np.repeat(exp(log_hazard) / 7, 7, axis=1)
    threshold = -log(1 - rng.random(companies))
    z = rng.standard_normal(companies)
    likes = (level - level.mean()) / level.std()
    chance = expit(settings.preference * (likes - 1.0))
    return _Companies(
        daily=daily,
        score=score,
        threshold=threshold,
        ratio=np.asarray(exp(settings.log_hazard_ratio + settings.spread * z)),
        would_be_called=rng.random(companies) < chance,
        close_day=_close_days(daily, threshold),
    )


def _close_days(daily: Floats, threshold: Floats) -> Ints:
    """Return the day on which the cumulative hazard exceeds the threshold; beyond the last day: never."""
    return np.asarray((np.cumsum(daily, axis=1) < threshold[:, None]).sum(axis=1))


def _within_the_cut(people: _Companies, held_back: Bools, week: int, calls: int) -> Ints:
    """Walk down the prospects until so many are listed; return all that the walk reached."""
    prospects = np.flatnonzero(people.close_day >= 7 * week)
    order = prospects[np.argsort(-people.score[prospects, week], kind="stable")]
    listed = (~held_back[order]).astype(np.int64)
    reached = np.cumsum(listed) - listed < calls
    return np.asarray(order[reached])


def _with_outcomes(rows: pd.DataFrame, people: _Companies, held_back: Bools, holdout: float) -> pd.DataFrame:
    ids = rows["id"].to_numpy()
    since = people.close_day[ids] - 7 * rows["week"].to_numpy()
    converts = since < HORIZON_DAYS
    as_of = (FIRST_LIST + 7 * rows["week"].to_numpy()).astype("datetime64[us]")
    day = (FIRST_LIST + people.close_day[ids]).astype("datetime64[us]")
    return pd.DataFrame(
        {
            "id": ids,
            "as_of": as_of,
            "horizon_days": HORIZON_DAYS,
            "status": np.where(held_back[ids], _HELD_BACK, _LISTED),
            "call_probability": 1 - holdout,
            "label": converts.astype(np.float64),
            "converted": np.where(converts, day, np.datetime64("NaT")),
        }
    )
