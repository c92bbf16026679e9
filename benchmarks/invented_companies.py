"""Five invented kinds of freemium companies whose true 30-day probabilities are known, as exports.

`invented` draws one: the same kind, size and seed give the same tables. They are what such a company could
export, with other names, grains and outcomes than those of the sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.invented_behaviour import (
    NO_DAY,
    START,
    WEEK_DAYS,
    Firms,
    History,
    Kind,
    State,
    Week,
    common_attributes,
    invented_firms,
    live,
    whole_days,
)
from conversion.runtime.files import write_csv
from conversion.stats.numeric import Floats, Ints

LISTS: Final = 12
"""Cutoffs whose truth is known: the last ones with 30 days after them."""
WEEKS_AFTER: Final = 5
"""Weeks from the last of these cutoffs to the export's end."""
MOST_EVENTS: Final = 60
"""Events of a company in a week and module that are logged."""
WORKING_DAYS: Final = 5
PRICES: Final = (20, 50, 100)


@dataclass(frozen=True)
class SelfServe(Kind):
    """Fast self-serve: a log of events, and half of the conversions within days of signing up.

    The rate falls by a factor e every six days after sign-up, and rises with how much the company uses the
    product. Later conversions are rare and follow the users of the last week. One company in five leaves
    each week.
    """

    companies: int = 4000
    weeks: int = 56
    title: ClassVar[str] = "fast self-serve"
    modules: ClassVar[int] = 3
    leaving: ClassVar[float] = 0.2

    def signed_up(self, rng: np.random.Generator) -> Ints:
        return whole_days(rng.uniform(-60, self.days, self.companies))

    def hazard(self, firms: Firms, state: State, day: int) -> Floats:
        age = np.maximum(firms.age(day), 0)
        eager = 0.018 * np.exp(0.7 * firms.activity - 0.7) * np.where(firms.never_uses, 0.3, 1.0)
        rate: Floats = eager * np.exp(-age / 6) + 1.5e-4 * np.log1p(state.users[-1])
        return rate


@dataclass(frozen=True)
class SlowWithSeason(Kind):
    """Slow B2B: daily rows, hardly a conversion in the first month, and a season.

    The rate is proportional to powers of the most users of a week and of the actions, both of the last four
    weeks. It is 2.5 times as high in early March as on average, and as much lower in September.
    """

    companies: int = 4000
    weeks: int = 120
    title: ClassVar[str] = "slow B2B with a season"
    modules: ClassVar[int] = 3
    leaving: ClassVar[float] = 0.01

    def signed_up(self, rng: np.random.Generator) -> Ints:
        """Draw more and more sign-ups a week."""
        return whole_days(self.days * np.sqrt(rng.random(self.companies)) - 30)

    def hazard(self, firms: Firms, state: State, day: int) -> Floats:
        season = 0.9 * np.cos(2 * np.pi * (day - 60) / 365.25)
        use = 0.8 * np.log1p(state.users[-4:].max(axis=0)) + 0.3 * np.log1p(state.actions[-4:].sum(axis=0))
        return np.where(firms.age(day) > 30, 2.2e-5 * np.exp(season + use), 2e-6)


@dataclass(frozen=True)
class Small(Kind):
    """Small: 600 companies, of which some forty convert in a year and a half.

    The rate is proportional to powers of the most users of a week of the last two and of the actions of the
    last four, so that a rule on users or actions is hard to beat.
    """

    companies: int = 600
    weeks: int = 80
    title: ClassVar[str] = "small"
    leaving: ClassVar[float] = 0.01

    def hazard(self, firms: Firms, state: State, day: int) -> Floats:  # noqa: ARG002
        users, actions = state.users[-2:].max(axis=0), state.actions[-4:].sum(axis=0)
        rate: Floats = 6e-5 * np.exp(0.8 * np.log1p(users) + 0.25 * np.log1p(actions))
        return rate


@dataclass(frozen=True)
class ByAttributes(Kind):
    """By attributes: what a company is decides, hardly what it does.

    Of two categories of 40 levels the first matters much and the second little. Of 15 numbers the first three
    matter linearly, the next two by their product and a square; the last ten are copies with noise of the
    first and mean nothing by themselves.
    """

    companies: int = 4000
    weeks: int = 64
    title: ClassVar[str] = "by attributes"

    def attributes(self, rng: np.random.Generator) -> tuple[pd.DataFrame, Floats]:
        industry = rng.choice(40, self.companies, p=rng.dirichlet(np.full(40, 1.5)))
        channel = rng.choice(40, self.companies)
        scores = rng.normal(0, 1, (self.companies, 15))
        scores[:, 5:] = 0.5 * scores[:, 5:] + 0.5 * scores[:, :1]
        of_levels = rng.normal(0, 0.8, 40)[industry] + rng.normal(0, 0.3, 40)[channel]
        first, second, third, fourth, fifth = scores[:, :5].T
        linear = 0.5 * first - 0.4 * second + 0.3 * third
        columns = common_attributes(self.companies, rng).assign(
            industry=[f"ind{level:02d}" for level in industry],
            channel_detail=[f"ch{level:02d}" for level in channel],
            **{f"score_{place}": np.round(column, 4) for place, column in enumerate(scores.T)},
        )
        return columns, of_levels + linear + 0.4 * fourth * fifth - 0.3 * fourth**2

    def hazard(self, firms: Firms, state: State, day: int) -> Floats:  # noqa: ARG002
        rate: Floats = 2.2e-4 * np.exp(firms.appeal + 0.1 * np.log1p(state.users[-1]))
        return rate


@dataclass(frozen=True)
class Returns(Kind):
    """Returns: subscriptions that end and begin again, and a rise of users in one module.

    The rate follows the rise of users against a month ago times the first module's share of all actions:
    neither of the two says much alone. Former customers come back sooner, the more recently they left.
    """

    companies: int = 4000
    weeks: int = 90
    title: ClassVar[str] = "returns"
    modules: ClassVar[int] = 4
    leaving: ClassVar[float] = 0.02
    growing: ClassVar[float] = 0.12
    ending: ClassVar[float] = 0.01

    def hazard(self, firms: Firms, state: State, day: int) -> Floats:  # noqa: ARG002
        recent, before = state.users[-2:].mean(axis=0), state.users[:4].mean(axis=0)
        rise = np.clip(np.log1p(recent) - np.log1p(before), -1, 1.5)
        share = state.total_first / np.maximum(state.total, 1)
        back = np.where(state.ended == NO_DAY, 0.0, 1.2 * np.exp((state.ended - day) / 60) - 0.2)
        idle = np.where(state.users[-4:].sum(axis=0) > 0, 1.0, 0.15)
        rate: Floats = 3.5e-4 * idle * np.exp((3.2 * share + 0.8) * rise + 1.2 * (share > 0.5) + back)
        return rate


KINDS: Final[dict[str, Kind]] = {
    "self_serve": SelfServe(),
    "season": SlowWithSeason(),
    "small": Small(),
    "attributes": ByAttributes(),
    "returns": Returns(),
}


class Invented(NamedTuple):
    """A drawn export."""

    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame  # id, as_of, probability of each prospect at the last cutoffs, in time order


def invented(kind: Kind, seed: int) -> Invented:
    """Draw companies, let them live, and export them.

    Parameters
    ----------
    kind
        What they do, and how many they are.
    seed
        Another one gives other companies of the same kind.
    """
    rng = np.random.default_rng([seed, 0])
    firms = invented_firms(kind, rng)
    history = live(kind, firms, cutoffs(kind), seed)
    truth = history.truth.assign(id=firms.id[history.truth["place"]])
    usage_name, usage = usage_table(kind, firms, history, rng)
    tables = company_tables(kind, firms, history, rng) | {usage_name: usage}
    return Invented(tables, truth[["id", "as_of", "probability"]])


def cutoffs(kind: Kind) -> range:
    """Return the numbers of the weeks at whose start the prospects' truth is known."""
    end = kind.weeks - WEEKS_AFTER + 1
    return range(end - LISTS, end)


def write_export(made: Invented, folder: Path) -> None:
    """Write the tables, without the truth, to CSV files in an empty folder."""
    for name, table in made.tables.items():
        write_csv(folder / f"{name}.csv", table)


def company_tables(
    kind: Kind, firms: Firms, history: History, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Return the accounts, and the subscriptions where they can end."""
    accounts = pd.DataFrame({"account_id": firms.id, "created_at": _dates(firms.signed_up)})
    accounts = pd.concat([accounts, firms.columns], axis=1)
    periods = history.paid.sort_values(["place", "from"], ignore_index=True)
    prices = rng.choice(PRICES, len(periods))
    if not kind.ending:
        first = periods.assign(mrr=prices).set_index("place").reindex(accounts.index)
        paid_since = _dates(first["from"].fillna(NO_DAY).astype(np.int64).to_numpy())
        return {"accounts": accounts.assign(paid_since=paid_since, mrr=first["mrr"].astype("Int64"))}
    subscriptions = {
        "account_id": firms.id[periods["place"]],
        "started_on": _dates(periods["from"].to_numpy()),
        "ended_on": _dates(periods["to"].to_numpy()),
        "mrr": prices,
    }
    return {"accounts": accounts, "subscriptions": pd.DataFrame(subscriptions)}


def usage_table(
    kind: Kind, firms: Firms, history: History, rng: np.random.Generator
) -> tuple[str, pd.DataFrame]:
    """Return the usage and its table's name: events, daily or weekly rows, as the kind records it."""
    name, rows = USAGE.get(type(kind), ("weekly_usage", weekly_rows))
    return name, pd.concat([rows(week, firms, rng) for week in history.weeks], ignore_index=True)


def weekly_rows(week: Week, firms: Firms, rng: np.random.Generator) -> pd.DataFrame:  # noqa: ARG001
    """Return a row a company with the week's counts of each module."""
    monday = START + pd.Timedelta(weeks=week.number)
    keys = {"account_id": firms.id[week.place], "week": f"{monday:%Y-%m-%d}"}
    return _counted(keys, week.actions, week.users)


def daily_rows(week: Week, firms: Firms, rng: np.random.Generator) -> pd.DataFrame:
    """Return a row a company and working day; the week's actions fall on its days at random."""
    left, days = week.actions, []
    for number in range(WORKING_DAYS):
        actions = rng.binomial(left, 1 / (WORKING_DAYS - number))
        left = left - actions
        some = actions.sum(axis=1) > 0
        day = START + pd.Timedelta(days=WEEK_DAYS * week.number + number)
        keys = {"account_id": firms.id[week.place[some]], "day": f"{day:%Y-%m-%d}"}
        days.append(_counted(keys, actions[some], week.users[some]))
    return pd.concat(days)


def event_rows(week: Week, firms: Firms, rng: np.random.Generator) -> pd.DataFrame:
    """Return a row an event, at a moment between sign-up and the week's end, by one of the week's users."""
    modules = [_events(week, module, firms, rng) for module in range(week.actions.shape[1])]
    return pd.concat(modules)


def _events(week: Week, module: int, firms: Firms, rng: np.random.Generator) -> pd.DataFrame:
    events = np.minimum(week.actions[:, module], MOST_EVENTS)
    place, users = np.repeat(week.place, events), np.repeat(week.users, events)
    start, end = WEEK_DAYS * week.number, WEEK_DAYS * (week.number + 1)
    begin = np.maximum(start, firms.signed_up[place])
    moment = START + pd.to_timedelta(begin + rng.random(len(place)) * (end - begin), unit="D")
    ids, user = firms.id[place], (rng.random(len(place)) * users).astype(np.int64)
    return pd.DataFrame(
        {
            "account_id": ids,
            "at": moment.strftime("%Y-%m-%d %H:%M:%S"),
            "user": pd.Series(ids) + "-" + pd.Series(user).astype(str),
            "event": rng.choice([f"m{module}.open", f"m{module}.edit"], len(place)),
        }
    )


def _counted(keys: dict[str, object], actions: Ints, users: Ints) -> pd.DataFrame:
    counts: dict[str, object] = {}
    for module, column in enumerate(actions.T):
        counts |= {f"m{module}_actions": column, f"m{module}_users": np.minimum(users, column)}
    return pd.DataFrame(keys | counts)


def _dates(days: NDArray[np.integer[Any]]) -> pd.Series:
    """Return days as texts, empty for `NO_DAY`."""
    dates = pd.Series(START + pd.to_timedelta(days, unit="D")).dt.strftime("%Y-%m-%d")
    return dates.mask(days == NO_DAY, "")


Rows = Callable[[Week, Firms, np.random.Generator], pd.DataFrame]
USAGE: Final[dict[type[Kind], tuple[str, Rows]]] = {
    SelfServe: ("events", event_rows),
    SlowWithSeason: ("daily_usage", daily_rows),
}
"""Name and rows of the usage of kinds that do not record it by week."""
