"""The scorecard in words: the line for the page, and tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from conversion.features.words import day_of
from conversion.scorecard.results import AtLength, Estimate, ListResult, Overall, Power, Waiting


def line_of(whole: Overall | None, waiting: Sequence[Waiting], horizon_days: int | None) -> str:
    """Write the scorecard in one sentence.

    Parameters
    ----------
    whole
        All lists whose horizon is over; None: there is none.
    waiting
        The others.
    horizon_days
        Of the last list whose horizon is over, else of the last; None: none was delivered.
    """
    if horizon_days is None:
        return "No list has been delivered yet: 'python -m commands.deliver' delivers this week's."
    if whole is None:
        first = min(waiting, key=lambda each: each.mature_on)
        days = (first.mature_on - first.as_of).days
        return (
            f"No delivered list is {days} days old yet: the first, of {day_of(first.as_of)}, will be on "
            f"{day_of(first.mature_on)}."
        )
    delivered, rule = whole.call_list.delivered, whole.call_list.rule
    named = f"the call list of {day_of(whole.first)}"
    if whole.lists > 1:
        named = f"{whole.lists:,} call lists from {day_of(whole.first)} to {day_of(whole.last)}"
    return (
        f"Of the companies on {named}, {share(delivered.rate.value)} converted within {horizon_days} days "
        f"(95 % interval {interval(delivered.rate)}); the rule's lists: {share(rule.rate.value)}, all "
        f"prospects: {share(whole.prospects.rate.value)}."
    )


def share(value: float | None) -> str:
    """Write a share as per cent, with a decimal below 10.

    Examples
    --------
    >>> share(0.524), share(0.0125), share(None)
    ('52 %', '1.2 %', '-')
    """
    if value is None:
        return "-"
    return f"{value * 100:.0f} %" if abs(value) >= 0.0995 else f"{value * 100:.1f} %"


def interval(found: Estimate) -> str:
    """Write the interval of a share.

    Examples
    --------
    >>> interval(Estimate(value=0.5, low=0.4, high=0.6))
    '40 % to 60 %'
    """
    return f"{share(found.low)} to {share(found.high)}"


def power_text(power: Power) -> str:
    """Write both tables of what a control group shows, and how long it takes."""
    shares = [f"{each:.0%}" for each in power.shares]
    smallest = pd.DataFrame(
        [[share(each) for each in row] for row in power.smallest_effect], power.weeks, shares
    )
    needed = pd.DataFrame(
        [["-" if each is None else f"{each:,}" for each in row] for row in power.weeks_needed],
        [share(each) for each in power.effects],
        shares,
    )
    return (
        f"{power.calls:,} calls a week, of which {power.fresh:.1f} are to companies on no list before; "
        f"{share(power.base_rate)} of companies convert within the horizon of their first list "
        f"(from {power.seen_on:,} lists).\n\n"
        "Smallest effect of calling that is seen with 80 % power, in conversions a company, by weeks and "
        f"deliver.holdout:\n{smallest.to_string()}\n\n"
        f"Weeks of lists until an effect is seen, by effect and deliver.holdout ('-': more than ten years):\n"
        f"{needed.to_string()}\n"
    )


def lists_table(results: Sequence[ListResult]) -> pd.DataFrame:
    """Return the lists as the rows of ``lists.csv``: one a list and length, the call list included."""
    rows = []
    for each in results:
        lengths: list[tuple[str, AtLength]] = [
            ("call_list", each.call_list),
            *((f"first_{at.length}", at) for at in each.lengths),
        ]
        rows += [_row(each, name, at) for name, at in lengths]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS: Final = (
    *("as_of", "delivery", "part", "companies", "conversions", "rate", "rate_low", "rate_high"),
    *("rule_conversions", "rule_rate", "base_rate", "expected", "left_out", "held_back", "explored"),
)


def _row(each: ListResult, name: str, at: AtLength) -> tuple[object, ...]:
    delivered, rule = at.delivered, at.rule
    is_call_list = name == "call_list"
    left_out = each.left_out.not_in_export + each.left_out.no_prospect
    return (
        *(each.as_of.isoformat(), each.number, name, delivered.companies, delivered.conversions),
        *(delivered.rate.value, delivered.rate.low, delivered.rate.high),
        *(rule.conversions, rule.rate.value, each.prospects.rate.value),
        *((each.expected, left_out, each.held_back, each.explored) if is_call_list else (None,) * 4),
    )
