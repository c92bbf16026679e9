"""What became of each delivered list, of all together, and of their tiers, reps and reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.delivery.statuses import EXPLORED, HELD_BACK, OFFERED
from conversion.features.facts import fact_of
from conversion.scorecard.intervals import (
    Interval,
    difference_interval,
    percentile_interval,
    resampled_sums,
    share_interval,
)
from conversion.scorecard.outcomes import Outcome, by_rule, in_order, is_called
from conversion.scorecard.results import (
    AtLength,
    Converted,
    Earlier,
    Estimate,
    LeftOut,
    ListResult,
    Overall,
    Part,
    Trend,
)
from conversion.stats.numeric import Floats, divide, rounded

LEAST_FOR_TREND: Final = 4
UNNAMED: Final = "(none)"
"""Companies without a rep."""


def estimate(interval: Interval) -> Estimate:
    """Return an interval as it is written."""
    return Estimate(value=rounded(interval.value), low=rounded(interval.low), high=rounded(interval.high))


# One list


def list_result(
    outcome: Outcome, earlier: Sequence[Outcome], lengths: Sequence[int], ids: pd.Index
) -> ListResult:
    """Say what became of one list.

    On one list each company stands once, so the intervals are those of a share.

    Parameters
    ----------
    outcome
        Of the delivery that counts.
    earlier
        Of the deliveries that it corrected.
    lengths
        List lengths.
    ids
        Of all companies of the newest export.
    """
    rows = outcome.rows
    called = rows[is_called(rows)]
    return ListResult(
        as_of=outcome.as_of.date(),
        number=outcome.number,
        reason=outcome.reason,
        earlier=tuple(
            Earlier(number=each.number, call_list=converted(each.rows[is_called(each.rows)]))
            for each in earlier
        ),
        prospects=converted(rows),
        call_list=at_length(rows, len(called)),
        lengths=tuple(at_length(rows, length) for length in lengths),
        expected=_expected(called),
        left_out=left_out(called, ids),
        held_back=int(rows["status"].eq(HELD_BACK).sum()),
        explored=int(rows["status"].eq(EXPLORED).sum()),
    )


def converted(rows: pd.DataFrame) -> Converted:
    """Count the conversions of companies whose outcome is known."""
    known = rows["label"].dropna()
    rate = share_interval(float(known.mean()) if len(known) else float("nan"), len(known))
    return Converted(companies=len(known), conversions=int(known.sum()), rate=estimate(rate))


def at_length(rows: pd.DataFrame, length: int) -> AtLength:
    """Count the conversions among the first of a list, and among the first of the rule's."""
    return AtLength(
        length=max(length, 1),
        delivered=converted(in_order(rows).head(length)),
        rule=converted(by_rule(rows).head(length)),
    )


def left_out(called: pd.DataFrame, ids: pd.Index) -> LeftOut:
    """Count the companies of a call list whose outcome is not known."""
    unknown = called[called["label"].isna()]
    gone = ~unknown["id"].isin(ids)
    return LeftOut(not_in_export=int(gone.sum()), no_prospect=int((~gone).sum()))


def _expected(rows: pd.DataFrame) -> float:
    """Sum the probabilities of the companies whose outcome is known."""
    return round(float(rows.loc[rows["label"].notna(), "probability"].sum()), 6)


# All lists


class Sums:
    """What each company has, summed over all lists, and over samples of the companies.

    Intervals are percentiles of the samples. Where none or all of a part converted, it is the same in every
    sample, and they would have no width; there they follow from the score interval of as many companies.

    Parameters
    ----------
    columns
        By name, of the companies of each part: ``n NAME`` rows, ``y NAME`` conversions, ``p NAME`` expected.
    samples, seed
        Of the bootstrap.
    """

    def __init__(self, columns: dict[str, pd.Series], samples: int, seed: int) -> None:
        by_company = pd.DataFrame(columns).fillna(0.0)
        values = by_company.to_numpy(dtype=np.float64)
        self._companies = dict(zip(by_company, (values > 0).sum(axis=0), strict=True))
        self._sums = dict(zip(by_company, values.sum(axis=0), strict=True))
        self._sampled = dict(zip(by_company, resampled_sums(values, samples, seed).T, strict=True))

    def rate(self, name: str) -> Interval:
        """Return the share of a part that converted."""
        return self._over(name, f"n {name}")

    def observed_over_expected(self, name: str) -> Interval:
        """Return a part's conversions over those expected."""
        return self._over(name, f"p {name}")

    def difference(self, first: str, second: str) -> Interval:
        """Return the rate of a part minus that of another."""
        if self._has_no_spread(first) or self._has_no_spread(second):
            return difference_interval(self.rate(first), self.rate(second))
        (value, sampled), (less, sampled_less) = (self._ratio(name, f"n {name}") for name in (first, second))
        return percentile_interval(value - less, sampled - sampled_less)

    def _over(self, name: str, below: str) -> Interval:
        value, sampled = self._ratio(name, below)
        if not self._has_no_spread(name):
            return percentile_interval(value, sampled)
        rows = self._sums[f"n {name}"]
        score = share_interval(float(self._sums[f"y {name}"] / rows), float(self._companies[f"n {name}"]))
        scale = float(rows / self._sums[below])
        return Interval(value, score.low * scale, score.high * scale)

    def _has_no_spread(self, name: str) -> bool:
        rows = self._sums[f"n {name}"]
        return bool(rows > 0 and self._sums[f"y {name}"] in (0.0, rows))

    def _ratio(self, name: str, below: str) -> tuple[float, Floats]:
        above = f"y {name}"
        value = divide(self._sums[above], self._sums[below])
        return float(value), divide(self._sampled[above], self._sampled[below])


def sums_of(parts: dict[str, pd.DataFrame], samples: int, seed: int) -> Sums:
    """Return for each part of the rows its companies, conversions and expectation, by company.

    The columns are ``n NAME``, ``y NAME`` and ``p NAME``.
    """
    columns: dict[str, pd.Series] = {}
    for name, rows in parts.items():
        groups = rows[rows["label"].notna()].groupby("id")
        columns |= {
            f"n {name}": groups.size().astype(np.float64),
            f"y {name}": groups["label"].sum(),
            f"p {name}": groups["probability"].sum(),
        }
    return Sums(columns, samples, seed)


def overall(
    outcomes: Sequence[Outcome], lengths: Sequence[int], ids: pd.Index, samples: int, seed: int
) -> Overall:
    """Say what became of all lists together.

    Parameters
    ----------
    outcomes
        Of the lists whose horizon is over; at least one.
    lengths, ids
        See `list_result`.
    samples, seed
        Of the bootstrap.
    """
    called = _all(outcomes, lambda rows: rows[is_called(rows)])
    parts = {"called": called, "called rule": _all(outcomes, _rule_of_call_list)}
    parts["prospects"] = _all(outcomes, lambda rows: rows)
    for length in lengths:
        parts[f"{length}"] = _all(outcomes, lambda rows, k=length: in_order(rows).head(k))  # type: ignore[misc]
        parts[f"{length} rule"] = _all(outcomes, lambda rows, k=length: by_rule(rows).head(k))  # type: ignore[misc]
    sums = sums_of(parts, samples, seed)
    ratio = sums.observed_over_expected("called")
    known = called[called["label"].notna()]
    return Overall(
        lists=len(outcomes),
        first=outcomes[0].as_of.date(),
        last=outcomes[-1].as_of.date(),
        companies=int(known["id"].nunique()),
        converters=int(known.loc[known["label"] == 1, "id"].nunique()),
        prospects=_resampled("prospects", parts, sums),
        call_list=_both("called", max(len(called) // len(outcomes), 1), parts, sums),
        lengths=tuple(_both(f"{length}", length, parts, sums) for length in lengths),
        above_rule=estimate(sums.difference("called", "called rule")),
        expected=_expected(called),
        observed_over_expected=estimate(ratio),
        left_out=left_out(called, ids),
    )


def _rule_of_call_list(rows: pd.DataFrame) -> pd.DataFrame:
    return by_rule(rows).head(int(is_called(rows).sum()))


def _all(outcomes: Iterable[Outcome], chosen: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([chosen(each.rows) for each in outcomes], ignore_index=True)


def _both(name: str, length: int, parts: dict[str, pd.DataFrame], sums: Sums) -> AtLength:
    return AtLength(
        length=length,
        delivered=_resampled(name, parts, sums),
        rule=_resampled(f"{name} rule", parts, sums),
    )


def _resampled(name: str, parts: dict[str, pd.DataFrame], sums: Sums) -> Converted:
    counted = converted(parts[name])
    return counted.model_copy(update={"rate": estimate(sums.rate(name))})


# Parts


def tiers(outcomes: Sequence[Outcome], samples: int, seed: int) -> tuple[Part, ...]:
    """Say what became of each tier of the prospects that were not held back, the highest first."""
    rows = _all(outcomes, lambda rows: rows[rows["status"].isin(OFFERED)])
    return _parts(
        rows, rows["tier"].astype("str"), samples, seed, by=lambda part: -part["probability"].mean()
    )


def reps(outcomes: Sequence[Outcome], samples: int, seed: int) -> tuple[Part, ...]:
    """Say what became of each rep's companies, by name; none where no list had reps."""
    rows = _all(outcomes, lambda rows: rows[is_called(rows)])
    if rows["rep"].isna().all():
        return ()
    return _parts(rows, rows["rep"].astype("str").fillna(UNNAMED), samples, seed)


def reasons(outcomes: Sequence[Outcome], samples: int, seed: int, contract: Contract) -> tuple[Part, ...]:
    """Say what became of the call lists by the fact of the first reason, the most frequent first."""

    def title(key: str) -> str:
        try:
            return fact_of(key, contract).title
        except KeyError:  # the contract has changed since the list
            return key

    rows = _all(outcomes, lambda rows: rows[is_called(rows) & rows["fact_1"].notna()])
    return _parts(rows, rows["fact_1"].astype("str"), samples, seed, lambda part: -len(part), title)


def _parts(
    rows: pd.DataFrame,
    name: pd.Series,
    samples: int,
    seed: int,
    by: Callable[[pd.DataFrame], float] = lambda _: 0.0,
    titles: Callable[[str], str] = str,
) -> tuple[Part, ...]:
    found = {str(key): part for key, part in rows.groupby(name, sort=True)}
    if not found:
        return ()
    sums = sums_of(found, samples, seed)
    return tuple(
        Part(
            name=key,
            title=titles(key),
            converted=_resampled(key, found, sums),
            expected=_expected(found[key]),
        )
        for key in sorted(found, key=lambda key: by(found[key]))
    )


# Weeks


def trend(outcomes: Sequence[Outcome], samples: int, seed: int) -> Trend | None:
    """Compare the call lists of the later half of the weeks with those of the earlier half."""
    if len(outcomes) < LEAST_FOR_TREND:
        return None
    half = len(outcomes) // 2
    halves = {"earlier": outcomes[:half], "later": outcomes[half:]}
    sums = sums_of(
        {name: _all(lists, lambda rows: rows[is_called(rows)]) for name, lists in halves.items()},
        samples,
        seed,
    )
    change = sums.difference("later", "earlier")
    earlier, later = (rounded(sums.rate(name).value) for name in halves)
    if earlier is None or later is None:
        return None
    return Trend(
        earlier_lists=half,
        later_lists=len(outcomes) - half,
        earlier=earlier,
        later=later,
        change=estimate(change),
    )
