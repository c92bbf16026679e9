"""How invented companies use a product, convert and leave, and how likely each is to convert.

Weeks begin on Monday; days count from the first of them. What a company does in a week follows from a hidden
mood, which drifts, and from its number of seats. On any day of the week it may convert, at a rate that its
kind of company gives (`Kind.hazard`). The truth about a prospect is simulated forward: the mean, over many
continuations of its present state, of the probability that it converts in the next 30 days. It knows the
mood, which no export has, so no model can be as good.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.stats.numeric import Bools, Floats, Ints

START: Final = pd.Timestamp("2023-01-02")
WEEK_DAYS: Final = 7
HORIZON_DAYS: Final = 30
REMEMBERED: Final = 8
"""Past weeks that a rate of conversion may depend on."""
FUTURES: Final = 20
"""Continuations that the truth is a mean over."""
NEVER_USES: Final = 0.25
"""Share of the companies that sign up and never use the product."""
NO_DAY: Final = -1_000_000
"""Long before anyone signs up."""


@dataclass(frozen=True)
class Firms:
    """What does not change about the companies; one entry a company."""

    id: NDArray[Any]
    signed_up: Ints
    activity: Floats  # log of the usual actions of a seat in a week
    modules: Floats  # shares of the actions, shape (companies, modules)
    never_uses: Bools
    columns: pd.DataFrame  # attributes as the export has them
    appeal: Floats  # what the attributes add to the log of the rate of conversion

    def age(self, day: int) -> Ints:
        """Return days since signing up, negative before."""
        return day - self.signed_up


@dataclass
class State:
    """What changes from week to week; one entry a company, in histories a row a past week, the last one last.

    Arrays are replaced, never changed in place: continuations share those of the state that they start from.
    """

    mood: Floats
    seats: Floats
    alive: Bools
    users: Floats
    actions: Floats
    total: Floats  # actions since signing up
    total_first: Floats  # those in the first module
    paid_from: Ints  # NO_DAY: does not pay
    ended: Ints  # last day on which a paid period ended; NO_DAY: none has


@dataclass(frozen=True)
class Week:
    """The usage of one week, of the companies that had any."""

    number: int
    place: Ints  # of each company among the firms
    actions: Ints  # shape (companies, modules)
    users: Ints


@dataclass(frozen=True)
class History:
    """What happened: usage, paid periods and the truth about prospects."""

    weeks: list[Week]
    paid: pd.DataFrame  # place, from, to; the days, to is NO_DAY where it goes on
    truth: pd.DataFrame  # place, as_of, probability; of all prospects at the last cutoffs


@dataclass(frozen=True)
class Kind:
    """A kind of freemium company: how many prospects, what they do, and what makes them convert."""

    companies: int
    weeks: int
    title: ClassVar[str]
    modules: ClassVar[int] = 2
    leaving: ClassVar[float] = 0.04
    """Probability of a week in which a company stops using the product for good."""
    growing: ClassVar[float] = 0.05
    """Probability of one more seat in a week, in a neutral mood."""
    ending: ClassVar[float] = 0.0
    """Probability of a day on which a paid period ends."""

    @property
    def days(self) -> int:
        """Return the days of the export."""
        return WEEK_DAYS * self.weeks

    def signed_up(self, rng: np.random.Generator) -> Ints:
        """Draw the day on which each company signs up; before 0: before the first week."""
        return whole_days(rng.uniform(-200, self.days, self.companies))

    def attributes(self, rng: np.random.Generator) -> tuple[pd.DataFrame, Floats]:
        """Draw attributes, and what they add to the log of the rate: here they mean nothing."""
        return common_attributes(self.companies, rng), np.zeros(self.companies)

    def hazard(self, firms: Firms, state: State, day: int) -> Floats:
        """Return each company's rate of conversion on a day, per day; it counts from signing up on."""
        raise NotImplementedError


def common_attributes(companies: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a country and a number of employees."""
    return pd.DataFrame(
        {
            "country": rng.choice(["DE", "US", "FR", "GB", "NL", "ES"], companies),
            "employees": np.round(np.exp(rng.normal(2.5, 1, companies))).astype(np.int64) + 1,
        }
    )


def invented_firms(kind: Kind, rng: np.random.Generator) -> Firms:
    """Draw the companies."""
    count = kind.companies
    numbers = rng.permutation(10 * count)[:count]
    columns, appeal = kind.attributes(rng)
    return Firms(
        id=np.array([f"acc-{number:06d}" for number in numbers]),
        signed_up=kind.signed_up(rng),
        activity=rng.normal(1.5, 1, count),
        modules=rng.dirichlet(np.full(kind.modules, 0.8), count),
        never_uses=rng.random(count) < NEVER_USES,
        columns=columns,
        appeal=appeal,
    )


def first_state(kind: Kind, rng: np.random.Generator) -> State:
    """Draw the state before the first week."""
    count = kind.companies
    return State(
        mood=rng.normal(0, 0.7, count),
        seats=(1 + rng.poisson(0.6, count)).astype(np.float64),
        alive=np.ones(count, dtype=np.bool_),
        users=np.zeros((REMEMBERED, count)),
        actions=np.zeros((REMEMBERED, count)),
        total=np.zeros(count),
        total_first=np.zeros(count),
        paid_from=np.full(count, NO_DAY),
        ended=np.full(count, NO_DAY),
    )


def use(kind: Kind, firms: Firms, state: State, week: int, rng: np.random.Generator) -> Week:
    """Let a week of usage pass, and return it; seats and mood are as signed up with until the first week."""
    count = kind.companies
    age = firms.age(WEEK_DAYS * (week + 1))  # at the week's end
    here = age > 0
    state.mood = 0.85 * state.mood + rng.normal(0, 0.45, count) - 0.02
    joined = rng.random(count) < kind.growing * np.exp(0.5 * state.mood)
    left = rng.random(count) < 0.03
    state.seats = np.where(here, np.maximum(1.0, state.seats + joined - left), state.seats)
    state.alive = state.alive & ((rng.random(count) > kind.leaving) | ~here)
    using = here & state.alive & ~firms.never_uses
    part = np.clip(age / WEEK_DAYS, 0, 1)  # of the week, since signing up
    rate = np.exp(firms.activity + state.mood) * state.seats * part * using
    actions = rng.poisson(np.minimum(rate, 50_000)[:, None] * firms.modules)
    total = actions.sum(axis=1)
    active = rng.binomial(state.seats.astype(np.int64), np.clip(0.3 + 0.2 * state.mood, 0.05, 0.95))
    users = np.minimum(np.maximum(active, 1), total)
    state.users, state.actions = _remember(state.users, users), _remember(state.actions, total)
    state.total = state.total + total
    state.total_first = state.total_first + actions[:, 0]
    place = np.flatnonzero(total)
    return Week(week, place, actions[place], users[place])


def convert(
    kind: Kind, firms: Firms, state: State, week: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """Let companies convert, and paid periods end, on the days of a week; yield the periods that end."""
    for day in range(WEEK_DAYS * week, WEEK_DAYS * (week + 1)):
        rate = np.where(firms.signed_up <= day, kind.hazard(firms, state, day), 0.0)
        converts = (state.paid_from == NO_DAY) & (rng.random(kind.companies) < -np.expm1(-rate))
        ends = (state.paid_from != NO_DAY) & (rng.random(kind.companies) < kind.ending)
        for place in np.flatnonzero(ends):
            yield int(place), int(state.paid_from[place]), day
        state.ended = np.where(ends, day, state.ended)
        state.paid_from = np.where(converts, day, np.where(ends, NO_DAY, state.paid_from))


def true_probability(kind: Kind, firms: Firms, state: State, week: int, seed: int) -> Floats:
    """Return each company's probability to convert in the 30 days from a week's start, as a prospect.

    Parameters
    ----------
    kind, firms
        The companies.
    state
        At the start of the week; it stays as it is.
    week
        Its number.
    seed
        Of the continuations.
    """
    start = WEEK_DAYS * week
    days = range(start, start + HORIZON_DAYS)
    total = np.zeros(kind.companies)
    for future in range(FUTURES):
        later, rng = copy.copy(state), np.random.default_rng([seed, 2, week, future])
        rates = np.zeros(kind.companies)
        for day in days:
            if day > start and day % WEEK_DAYS == 0:
                use(kind, firms, later, day // WEEK_DAYS - 1, rng)
            rates += np.where(firms.signed_up <= day, kind.hazard(firms, later, day), 0.0)
        total -= np.expm1(-rates)
    return total / FUTURES


def live(kind: Kind, firms: Firms, cutoffs: range, seed: int) -> History:
    """Let all weeks pass.

    Parameters
    ----------
    kind, firms
        The companies.
    cutoffs
        Numbers of the weeks at whose start the prospects' truth is wanted.
    seed
        Of what happens, and of the continuations.
    """
    rng = np.random.default_rng([seed, 1])
    state = first_state(kind, rng)
    weeks: list[Week] = []
    periods: list[tuple[int, int, int]] = []
    truth: list[pd.DataFrame] = []
    for week in range(kind.weeks):
        if week in cutoffs:
            truth.append(_truth_of(kind, firms, state, week, seed))
        periods += convert(kind, firms, state, week, rng)
        weeks.append(use(kind, firms, state, week, rng))
    periods += [(int(place), int(state.paid_from[place]), NO_DAY) for place in _paying(state)]
    return History(
        weeks, pd.DataFrame(periods, columns=["place", "from", "to"]), pd.concat(truth, ignore_index=True)
    )


def _truth_of(kind: Kind, firms: Firms, state: State, week: int, seed: int) -> pd.DataFrame:
    day = WEEK_DAYS * week
    prospects = np.flatnonzero((firms.signed_up < day) & (state.paid_from == NO_DAY))
    probability = true_probability(kind, firms, state, week, seed)[prospects]
    as_of = START + pd.Timedelta(days=day)
    return pd.DataFrame({"place": prospects, "as_of": as_of, "probability": probability})


def _paying(state: State) -> NDArray[np.intp]:
    return np.flatnonzero(state.paid_from != NO_DAY)


def _remember(past: Floats, this_week: NDArray[Any]) -> Floats:
    return np.vstack([past[1:], this_week])


def whole_days(days: Floats) -> Ints:
    """Round moments down to their day."""
    return np.floor(days).astype(np.int64)
