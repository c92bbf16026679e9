"""The scorecard from outcomes: what became of the lists, and what calling added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import pandas as pd

from conversion.data.timeline import WEEK
from conversion.delivery.statuses import CALLED
from conversion.scorecard import lists, power, results
from conversion.scorecard.contacts import called_or_not, overrides, reach
from conversion.scorecard.effect import (
    Contrast,
    Group,
    called_against_not_called,
    called_within,
    effect_of_exploring,
    effect_of_offering,
    entries,
    first_listed,
    per_call,
    weighted_share,
)
from conversion.scorecard.outcomes import Outcome, Today
from conversion.scorecard.results import ScorecardResults
from conversion.scorecard.sentences import line_of
from conversion.stats.numeric import rounded

ESTIMAND: Final = (
    "Conversions within {days} days of the first list on which a company was within the cut while a draw "
    "decided, per company: those offered for a call minus those held back, called or not."
)
FIRST_CALLS: Final = ("id", "as_of", "label")


@dataclass(frozen=True)
class Settings:
    """What the scorecard depends on beside the tables.

    Attributes
    ----------
    lengths
        List lengths, ascending.
    samples, seed
        Of the bootstrap.
    """

    lengths: tuple[int, ...]
    samples: int
    seed: int


def scorecard(
    outcomes: Sequence[Outcome],
    today: Today,
    contacts: pd.DataFrame | None,
    forgotten: int,
    settings: Settings,
) -> ScorecardResults:
    """Say what became of the deliveries.

    Parameters
    ----------
    outcomes
        Of all deliveries, by ``as_of`` and number.
    today
        The newest export.
    contacts
        Clean; None where the contract has none.
    forgotten
        Places on call lists or in the control group of companies that were removed on request.
    settings
        Lengths and bootstrap.
    """
    versions = [tuple(each) for _, each in groupby(outcomes, key=lambda each: each.as_of)]
    last = [each[-1] for each in versions]
    mature = [each for each in last if each.is_mature]
    ids, draw = pd.Index(today.companies["id"]), (settings.samples, settings.seed)
    whole = lists.overall(mature, settings.lengths, ids, *draw) if mature else None
    waiting = tuple(
        results.Waiting(as_of=each.as_of.date(), number=each.number, mature_on=each.mature_on.date())
        for each in last
        if not each.is_mature
    )
    return ScorecardResults(
        line=line_of(whole, waiting, (mature or last)[-1].horizon_days if last else None),
        as_of=today.as_of.date(),
        horizon_days=last[-1].horizon_days if last else None,
        lists=tuple(
            lists.list_result(each[-1], each[:-1], settings.lengths, ids)
            for each in versions
            if each[-1].is_mature
        ),
        waiting=waiting,
        forgotten=forgotten,
        overall=whole,
        tiers=lists.tiers(mature, *draw) if mature else (),
        reps=lists.reps(mature, *draw) if mature else (),
        reasons=lists.reasons(mature, *draw, today.contract) if mature else (),
        trend=lists.trend(mature, *draw),
        contacts=contact_results([each for each in last if each.as_of + WEEK <= today.as_of], contacts),
        effect=effect_results(rows_of(last), contacts),
        power=power_results(first_calls(last)),
    )


def rows_of(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the rows of all lists, as `conversion.scorecard.effect` reads them."""
    if not outcomes:
        return pd.DataFrame()
    return pd.concat(
        [each.rows.assign(as_of=each.as_of, horizon_days=each.horizon_days) for each in outcomes],
        ignore_index=True,
    )


def first_calls(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return who was called from which list, as `conversion.scorecard.power` reads it."""
    rows = rows_of(outcomes)
    if rows.empty:
        return pd.DataFrame(columns=list(FIRST_CALLS))
    return rows.loc[rows["status"].isin(CALLED), list(FIRST_CALLS)]


def contact_results(outcomes: Sequence[Outcome], contacts: pd.DataFrame | None) -> results.Contacts | None:
    """Say who of the lists was called.

    Parameters
    ----------
    outcomes
        Of the lists whose week is over.
    contacts
        Clean; None where the contract has none.
    """
    rows = rows_of(outcomes)
    if contacts is None or rows.empty:
        return None
    rows = rows.sort_values("rank", kind="stable")
    return results.Contacts(
        reach=reach(rows, contacts),
        overrides=overrides(rows, contacts),
        called_or_not=called_or_not(rows, contacts),
    )


def effect_results(rows: pd.DataFrame, contacts: pd.DataFrame | None) -> results.Effect:
    """Measure what calling adds.

    Parameters
    ----------
    rows
        From `rows_of`.
    contacts
        Clean; None where the contract has none.
    """
    if rows.empty:
        return results.Effect(
            estimand="", offered=None, per_call=None, naive=None, naive_excess=None, explored=None
        )
    entered = entries(rows)
    offered, explored = effect_of_offering(entered), effect_of_exploring(rows)
    naive = call = None
    shares: tuple[float | None, float | None] = (None, None)
    if contacts is not None and len(contacts):
        naive = called_against_not_called(first_listed(rows), contacts)
        if offered is not None:
            called = called_within(entered, contacts)
            share, of_control = (
                weighted_share(called[chosen], entered.loc[chosen, "weight"])
                for chosen in (entered["offered"], ~entered["offered"])
            )
            shares = share, of_control
            call = per_call(offered.difference, share - of_control)
    excess = naive.difference.value - call.value if naive is not None and call is not None else float("nan")
    days = ", ".join(f"{each}" for each in sorted(set(rows["horizon_days"])))
    return results.Effect(
        estimand=ESTIMAND.format(days=days),
        offered=_contrast(offered, shares),
        per_call=None if call is None else lists.estimate(call),
        naive=_contrast(naive, (1.0, 0.0)),
        naive_excess=rounded(excess),
        explored=_contrast(explored, (None, None)),
    )


def _contrast(found: Contrast | None, called: tuple[float | None, float | None]) -> results.Contrast | None:
    if found is None:
        return None
    return results.Contrast(
        first=_group(found.first, called[0]),
        second=_group(found.second, called[1]),
        difference=lists.estimate(found.difference),
    )


def _group(group: Group, called: float | None) -> results.Group:
    return results.Group(
        companies=group.companies,
        conversions=group.conversions,
        rate=lists.estimate(group.rate),
        called=None if called is None else rounded(called),
    )


def power_results(calls: pd.DataFrame) -> results.Power | None:
    """Compute how small an effect is seen, from what lists were like.

    Parameters
    ----------
    calls
        From `first_calls`.
    """
    found = power.lists_of(calls)
    if found is None:
        return None
    smallest = power.effects_table(found, power.WEEKS, power.SHARES)
    needed = power.weeks_table(found, power.EFFECTS, power.SHARES)
    return results.Power(
        calls=found.calls,
        fresh=round(found.fresh, 6),
        base_rate=round(found.base_rate, 6),
        seen_on=found.weeks,
        shares=power.SHARES,
        weeks=power.WEEKS,
        smallest_effect=tuple(
            tuple(None if each is None else round(each, 6) for each in row) for row in smallest
        ),
        effects=power.EFFECTS,
        weeks_needed=tuple(tuple(row) for row in needed),
    )
