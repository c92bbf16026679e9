"""A tool for project work: accounts, subscriptions, plans over time, and a log of events.

Its tables have what such tables have. Ids are text. Accounts sign up over time, try a paid plan, pay, change
their subscription, end it, and some come back. A few accounts were merged: their older events have an id that
is in no other table. In the log, a few events lie before the sign-up, and one in a hundred is not a person's.
The export was taken on a Wednesday night, so its last week is not complete.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.simulation.behaviour import NEVER
from conversion.stats.numeric import Bools, Ints
from examples.product import History, as_days, draw_days, draw_head_counts, draw_history, zipf

IN_PARQUET: Final = ("events",)
FIRST_WEEK: Final = np.datetime64("2024-01-01")
ZONE: Final = "Europe/Berlin"
TAKEN_ON: Final = 3
"""Days of the last week that the export has: it was taken on Wednesday night."""
EVENTS: Final = (
    ("project.created", "project.updated", "task.added", "task.completed"),
    ("automation.ran", "automation.edited"),
    ("invoice.drafted", "invoice.sent", "invoice.paid"),
    ("report.viewed", "report.shared"),
)
"""Names of events by module: projects, automations, invoices, reports."""
OTHER_EVENTS: Final = ("session.started", "settings.changed")
"""Names of events that belong to no module."""
MOST_EVENTS_PER_USER: Final = 6
OTHER_SHARE, NOT_A_PERSON_SHARE, EARLY_SHARE, MERGED_SHARE = 0.05, 0.01, 0.0005, 0.01
COUNTRIES: Final = ("DE", "US", "GB", "FR", "NL", "ES", "AT", "CH", "PL", "SE", "IT", "DK", "IE", "MT", "IS")
COUNTRY_MISSING_SHARE, PARTNER_SHARE, OWNED_SHARE = 0.07, 0.04, 0.8
OWNERS: Final = ("Ana Sousa", "Ben Okafor", "Chloé Martin", "Dörte Klein")
NAMES: Final = (
    ("Alpen", "Baltic", "Cobalt", "Delta", "Elm", "Fjord", "Granit", "Hafen", "Isar", "Juniper", "Kranich"),
    ("Bau", "Consulting", "Design", "Foods", "Legal", "Logistik", "Media", "Software", "Studio", "Werkstatt"),
    ("AG", "GmbH", "Ltd.", "& Co.", "Inc."),
)
TRIAL_DAYS: Final = 14
TRIAL_SHARE, TRIAL_OF_OTHERS_SHARE = 0.7, 0.06
"""Share of the conversions that follow a trial, and of the other accounts that try a paid plan."""
UPGRADE_SHARE, END_SHARE, RETURN_SHARE = 0.2, 0.25, 0.35
PRICES: Final = {"team": 9, "business": 19}
"""Monthly price of a seat."""


def export(accounts: int, weeks: int, seed: int) -> dict[str, pd.DataFrame]:
    """Draw the tables of the export; same arguments, same tables."""
    rng = np.random.default_rng(seed)
    history = draw_history(accounts, weeks, rng)
    ids = np.array([str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(accounts)], dtype=object)
    taken = 7 * (weeks - 1) + TAKEN_ON
    events = draw_events(history, rng)
    odd = [_not_a_persons(events, rng), _early(events, history, rng)]
    events = pd.concat([events, *odd], ignore_index=True)
    merged = _draw_merged(history, ids, rng)
    periods = draw_periods(history, taken, rng)
    known = np.flatnonzero(history.signed_up < taken)
    plans = _plans(periods, history, ids, known, taken)
    return {
        "accounts": _accounts(history, ids, rng.permutation(known), plans, rng),
        "subscriptions": _subscriptions(periods, ids, taken),
        "plans": plans,
        "merged": merged[["old_id", "account"]],
        "events": event_log(events[events["day"] < taken], ids, merged),
    }


# Events


def draw_events(history: History, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the events of people: those of the modules, and a few of none.

    Returns
    -------
    DataFrame
        ``account``, ``person`` (positions), ``day`` and ``second`` (local), ``name``, ``actor``.
    """
    tables = []
    for module, names in enumerate(EVENTS):
        users = history.users[:, module]
        actions = np.minimum(history.actions[:, module], MOST_EVENTS_PER_USER * users)
        row = np.repeat(np.arange(len(users)), actions)
        place = np.arange(len(row)) - np.repeat(np.cumsum(actions) - actions, actions)
        # Each user has one event; the others are of any of them.
        person = np.where(place < users[row], place, (rng.random(len(row)) * users[row]).astype(np.int64))
        tables.append(_events(history, row, person, names, rng))
    people = np.maximum(history.users.max(axis=1), 1)
    row = rng.integers(0, len(people), int(OTHER_SHARE * sum(map(len, tables))))
    person = (rng.random(len(row)) * people[row]).astype(np.int64)
    return pd.concat([*tables, _events(history, row, person, OTHER_EVENTS, rng)], ignore_index=True)


def _events(
    history: History, row: Ints, person: Ints, names: tuple[str, ...], rng: np.random.Generator
) -> pd.DataFrame:
    # The sum of two uniform draws: most events are around noon, few at night.
    second = np.floor((rng.random(len(row)) + rng.random(len(row))) * 12 * 3600).astype(np.int64)
    return pd.DataFrame(
        {
            "account": history.account[row],
            "person": person,
            "day": draw_days(history, row, rng),
            "second": second,
            "name": np.array(names, dtype=object)[rng.choice(len(names), len(row), p=zipf(len(names)))],
            "actor": "person",
        }
    )


def _not_a_persons(events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw events of other programs and of the product's own support, where there are events of people."""
    chosen = events.iloc[rng.integers(0, len(events), int(NOT_A_PERSON_SHARE * len(events)))]
    return chosen.assign(person=-1, actor=rng.choice(["integration", "support"], len(chosen)))


def _early(events: pd.DataFrame, history: History, rng: np.random.Generator) -> pd.DataFrame:
    """Draw events from before the sign-up, as of people who were invited from elsewhere."""
    chosen = events.iloc[rng.integers(0, len(events), int(EARLY_SHARE * len(events)))]
    day = history.signed_up[chosen["account"].to_numpy()] - rng.integers(1, 20, len(chosen))
    chosen = chosen.assign(day=day)
    return chosen[chosen["day"] >= 0]


def _draw_merged(history: History, ids: NDArray[Any], rng: np.random.Generator) -> pd.DataFrame:
    """Draw accounts that had another id up to the end of a complete week with events."""
    complete = history.week < history.week.max()
    rows = rng.permutation(np.flatnonzero(complete & (history.users.max(axis=1) > 0)))
    one_each = rows[np.unique(history.account[rows], return_index=True)[1]]
    chosen = rng.permutation(one_each)[: int(np.ceil(MERGED_SHARE * len(one_each)))]
    account = history.account[chosen]
    old = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in chosen]
    return pd.DataFrame(
        {"old_id": old, "account": ids[account], "position": account, "day": 7 * history.week[chosen] + 7}
    )


def event_log(events: pd.DataFrame, ids: NDArray[Any], merged: pd.DataFrame) -> pd.DataFrame:
    """Write events as the log has them: sorted by time, with a time zone and the ids of their day."""
    position, day = events["account"].to_numpy(), events["day"].to_numpy()
    account = ids[position]
    user = np.array(
        [
            "-" if person < 0 else f"{name[:8]}.{person + 1}"
            for name, person in zip(account, events["person"], strict=True)
        ],
        dtype=object,
    )
    for old, at, until in zip(merged["old_id"], merged["position"], merged["day"], strict=True):
        account[(position == at) & (day < until)] = old
    local = pd.Series(
        FIRST_WEEK + day.astype("timedelta64[D]") + events["second"].to_numpy().astype("timedelta64[s]")
    )
    summer = np.ones(len(local), dtype=bool)
    at = local.dt.tz_localize(ZONE, ambiguous=summer, nonexistent="shift_forward").dt.tz_convert("UTC")
    log = pd.DataFrame(
        {
            "at": at.astype("datetime64[us, UTC]"),
            "account": account,
            "user": user,
            "actor": events["actor"].to_numpy(),
            "name": events["name"].to_numpy(),
        }
    )
    return log.sort_values(["at", "account", "user", "name"], ignore_index=True)


# Subscriptions and plans


@dataclass(frozen=True)
class Periods:
    """Times on a trial or a paid plan, of one account after the other, in order."""

    account: Ints
    start: Ints
    end: Ints
    """Day it ended or would, `NEVER` for none."""
    paid: Bools
    plan: NDArray[Any]
    seats: Ints

    def sorted(self, before: int) -> Periods:
        """Return those that begin before a day, by account and start."""
        order = np.lexsort((self.start, self.account))
        order = order[self.start[order] < before]
        return replace(self, **{name: values[order] for name, values in vars(self).items()})


def draw_periods(history: History, taken: int, rng: np.random.Generator) -> Periods:
    """Draw trials and subscriptions: before and after each conversion, and a few trials without one."""
    payer = np.flatnonzero(history.converted < NEVER)
    start = history.converted[payer]
    tried = (rng.random(len(payer)) < TRIAL_SHARE) & (history.signed_up[payer] <= start - TRIAL_DAYS)
    lasts = rng.integers(40, 200, len(payer))
    ends = rng.random(len(payer)) < END_SHARE
    end = np.where(ends, start + lasts, NEVER)
    changed = np.where(rng.random(len(payer)) < UPGRADE_SHARE, start + lasts // 2, NEVER)
    returns = ends & (rng.random(len(payer)) < RETURN_SHARE)
    again = end + rng.integers(20, 90, len(payer))
    seats = 2 + rng.poisson(6, len(payer))
    plan = np.where(rng.random(len(payer)) < 0.3, "business", "team")
    others = rng.permutation(np.flatnonzero(history.converted == NEVER))
    others = others[: int(TRIAL_OF_OTHERS_SHARE * len(others))]
    begun = np.maximum(history.signed_up[others], 0) + rng.integers(0, 120, len(others))
    up = changed < NEVER
    parts = [
        (payer[tried], (start - TRIAL_DAYS)[tried], start[tried], "trial", seats[tried]),
        (others, begun, begun + TRIAL_DAYS, "trial", 2 + rng.poisson(4, len(others))),
        (payer, start, np.minimum(end, changed), plan, seats),
        (payer[up], changed[up], end[up], "business", seats[up] + 5),
        (payer[returns], again[returns], np.full(returns.sum(), NEVER), plan[returns], seats[returns]),
    ]
    account, first, last = (np.concatenate([part[at] for part in parts]) for at in range(3))
    plans = np.concatenate([np.broadcast_to(np.array(part[3], object), len(part[0])) for part in parts])
    seated = np.concatenate([part[4] for part in parts])
    return Periods(account, first, last, plans != "trial", plans, seated).sorted(taken)


def _subscriptions(periods: Periods, ids: NDArray[Any], taken: int) -> pd.DataFrame:
    price = np.array([PRICES.get(plan, 0) for plan in periods.plan])
    return pd.DataFrame(
        {
            "account": ids[periods.account],
            "kind": np.where(periods.paid, "paid", "trial"),
            "started": as_days(periods.start, FIRST_WEEK),
            # What ends later is not known yet.
            "ended": as_days(np.where(periods.end < taken, periods.end, NEVER), FIRST_WEEK),
            "mrr": price * periods.seats,
        }
    )


def _plans(periods: Periods, history: History, ids: NDArray[Any], known: Ints, taken: int) -> pd.DataFrame:
    """List the plan of each account from which day on; it is free when nothing else is."""
    free = np.full(len(known), "free", dtype=object)
    ends = periods.end < taken
    account = np.concatenate([known, periods.account[ends], periods.account])
    since = np.concatenate([history.signed_up[known], periods.end[ends], periods.start])
    plan = np.concatenate([free, np.full(ends.sum(), "free", dtype=object), periods.plan])
    table = pd.DataFrame({"account": ids[account], "since": since, "plan": plan})
    # Where one plan ends and the next begins on the same day, the last of these rows is the one that begins.
    table = table.drop_duplicates(["account", "since"], keep="last").sort_values(["account", "since"])
    return table.assign(since=as_days(table["since"].to_numpy(), FIRST_WEEK).to_numpy())


# Accounts


def _accounts(
    history: History, ids: NDArray[Any], chosen: Ints, plans: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Build the table of accounts; the plan in it is that of the day of the export."""
    shares = zipf(len(COUNTRIES)) ** 2
    country = rng.choice(len(COUNTRIES), len(chosen), p=shares / shares.sum())
    # Accounts without a known site are in other countries more often.
    country = np.where(history.ranked[chosen], country, (country + 1) % len(COUNTRIES))
    named = [np.array(part, dtype=object)[rng.integers(0, len(part), len(chosen))] for part in NAMES]
    owner = np.array(OWNERS, dtype=object)[rng.integers(0, len(OWNERS), len(chosen))]
    last = plans.drop_duplicates("account", keep="last").set_index("account")["plan"]
    return pd.DataFrame(
        {
            "account_id": ids[chosen],
            "created": as_days(history.signed_up[chosen], FIRST_WEEK),
            "name": [" ".join(parts) for parts in zip(*named, strict=True)],
            "country": pd.Series(np.array(COUNTRIES, dtype=object)[country]).mask(
                rng.random(len(chosen)) < COUNTRY_MISSING_SHARE
            ),
            "plan": last[ids[chosen]].to_numpy(),
            "head_count": draw_head_counts(history.size[chosen], rng),
            "is_partner": np.where(rng.random(len(chosen)) < PARTNER_SHARE, "yes", "no"),
            "owner": pd.Series(owner).where(rng.random(len(chosen)) < OWNED_SHARE),
        }
    )
