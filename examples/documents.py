"""A tool to write and sign documents: one table of accounts, and their daily usage.

Ids are whole numbers. Accounts register over time, pay, and some cancel. A row of usage is an account and day
with usage: actions and users of each module, the storage in use, and the largest file.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from conversion.simulation.behaviour import NEVER
from conversion.stats.numeric import Ints
from examples.product import History, as_days, draw_days, draw_head_counts, draw_history, zipf

IN_PARQUET: Final = ()
FIRST_WEEK: Final = np.datetime64("2023-10-02")
FIRST_ID: Final = 40_001
ACTIONS: Final = ("documents_edited", "signatures_requested", "templates_used", "files_exported")
USERS: Final = ("documents_users", "signatures_users", "templates_users")
"""The last module has no users."""
MOST_DAYS: Final = 4
"""Days of a week on which an account uses the product, at most."""
REGIONS: Final = ("North", "South", "East", "West", "Overseas", "n/a")
FOUND_BY: Final = ("search", "colleague", "event", "newsletter", "review site", "podcast")
VERIFIED_SHARE, CANCEL_SHARE = 0.6, 0.2


def export(accounts: int, weeks: int, seed: int) -> dict[str, pd.DataFrame]:
    """Draw the tables of the export; same arguments, same tables."""
    rng = np.random.default_rng(seed)
    history = draw_history(accounts, weeks, rng)
    ids = FIRST_ID + rng.permutation(accounts)
    return {
        "accounts": _accounts(history, ids, 7 * weeks, rng),
        "daily_usage": daily_usage(history, ids, rng),
    }


def daily_usage(history: History, ids: Ints, rng: np.random.Generator) -> pd.DataFrame:
    """Spread each week's counts over days: actions add up to the week's, users are as many on one of them."""
    rows = np.arange(len(history.week))
    days = np.repeat(rows, rng.integers(1, MOST_DAYS + 1, len(rows)))
    day = draw_days(history, days, rng)
    once = pd.DataFrame({"row": days, "day": day}).drop_duplicates().sort_values(["row", "day"])
    row = once["row"].to_numpy()
    main = np.flatnonzero(~once["row"].duplicated())  # the first day of each week of usage
    table = pd.DataFrame(
        {"account": ids[history.account[row]], "day": as_days(once["day"].to_numpy(), FIRST_WEEK)}
    )
    for module, name in enumerate(ACTIONS):
        table[name] = _spread(history.actions[:, module] - history.users[:, module], row, main, rng)
        table.loc[main, name] += history.users[:, module]
        if module < len(USERS):
            some = rng.binomial(history.users[row, module], 0.5)
            table[USERS[module]] = np.minimum(some, table[name])
            table.loc[main, USERS[module]] = history.users[:, module]
    actions = table[list(ACTIONS)].sum(axis=1)
    table["storage_gb"] = (actions.groupby(history.account[row]).cumsum() / 400).round(2)
    largest = (actions.clip(upper=500) * rng.random(len(table))).round(1)
    table["largest_file_mb"] = largest.where(actions > 0)
    return table.sort_values(["day", "account"], ignore_index=True)


def _spread(total: Ints, row: Ints, main: Ints, rng: np.random.Generator) -> Ints:
    """Spread each row's total over its days at random."""
    share = rng.random(len(row))
    before = np.cumsum(share) - share
    inside = np.cumsum(share) - before[main][row]
    whole = np.add.reduceat(share, main)[row]
    upto = np.floor(total[row] * np.minimum(inside / whole, 1)).astype(np.int64)
    last = np.append(main[1:], len(row)) - 1
    upto[last] = total
    parts = np.diff(upto, prepend=0)
    parts[main] = upto[main]
    return parts


def _accounts(history: History, ids: Ints, days: int, rng: np.random.Generator) -> pd.DataFrame:
    size = len(ids)
    chosen = rng.permutation(np.flatnonzero(history.signed_up < days))
    cancelled = history.converted + rng.integers(30, 200, size)
    cancelled[(rng.random(size) >= CANCEL_SHARE) | (cancelled >= days)] = NEVER
    verified = history.signed_up + rng.integers(0, 30, size)
    verified[(rng.random(size) >= VERIFIED_SHARE) | (verified >= days)] = NEVER
    head_count = draw_head_counts(history.size, rng)
    # Larger accounts pay more; amounts are rounded to cents.
    value = np.round((40 + 60 * rng.random(size)) * np.maximum(history.size, 1), 2)
    region = np.array(REGIONS, dtype=object)[rng.choice(len(REGIONS), size, p=zipf(len(REGIONS)))]
    found_by = np.array(FOUND_BY, dtype=object)[rng.choice(len(FOUND_BY), size, p=zipf(len(FOUND_BY)))]
    table = pd.DataFrame(
        {
            "account": ids,
            "company": [f"Company {number:,}" for number in ids],
            "registered": as_days(history.signed_up, FIRST_WEEK),
            "converted": as_days(history.converted, FIRST_WEEK),
            "cancelled": as_days(cancelled, FIRST_WEEK),
            "monthly_value": pd.Series(value).where(pd.Series(history.converted < NEVER)),
            "employees": head_count,
            "region": region,
            "found_by": pd.Series(found_by).mask(rng.random(size) < 0.1),
            "verified": as_days(verified, FIRST_WEEK),
        }
    )
    return table.iloc[chosen].reset_index(drop=True)
