"""What a fit learns about each fact: its weight, its direction, and what is usual at the top of a list."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from conversion.features.definitions import Feature
from conversion.features.facts import Fact, fact_places, sum_by_fact
from conversion.modelling import ensemble
from conversion.modelling.ensemble import Member
from conversion.stats.numeric import Floats

Direction = Literal[-1, 0, 1]

TOP_SHARE: Final = 0.01
"""Share of the training snapshots, by weight, that counts as the top of a list."""
LEAST_ROWS: Final = 200
"""Rows of the top at least, where there are so many."""
SCORED_ROWS: Final = 25_000
"""Training snapshots among which the top is looked for: enough for quantiles, and few to score."""
SAMPLED_ROWS: Final = 2000
"""Training snapshots that directions are learned from."""
QUANTILES: Final = 20
CLEAR: Final = 0.25
"""Least rank correlation, in absolute terms, that counts as a direction."""
# The same contribution may differ in its last bits among other rows.
ROUNDING: Final = 1e-9


class FactImportance(NamedTuple):
    """One fact's weight in a model.

    Attributes
    ----------
    fact
        What it is about.
    share
        Of the importance of all facts.
    direction
        Of the fact's leading feature: 1 where a higher value tends to raise the score, -1 where it tends to
        lower it, 0 where neither is clear, or where values have no order.
    """

    fact: Fact
    share: float
    direction: Direction


@dataclass(frozen=True)
class FactProfile:
    """What is learned about the facts of a model, in the order of `conversion.features.facts.facts_of`.

    Attributes
    ----------
    typical
        Ascending quantiles of each fact's contribution among the most probable training snapshots, shape
        (facts, `QUANTILES`).
    shares
        Of the importance of all facts; they sum to 1.
    leading
        Name of each fact's most important feature whose values have an order; None without one.
    directions
        See `FactImportance`.
    """

    typical: Floats
    shares: Floats
    leading: tuple[str | None, ...]
    directions: tuple[Direction, ...]

    @classmethod
    def learned(
        cls, features: Sequence[Feature], members: Sequence[Member], values: Floats, weight: Floats
    ) -> Self:
        """Learn from some training snapshots, spread evenly, as a backtest fits often.

        Parameters
        ----------
        features, members
            Of the fitted model.
        values, weight
            Of the training snapshots: shape (rows, features), and (rows,).
        """
        places, importance = fact_places(features), ensemble.importance(members)

        def by_fact(rows: NDArray[np.intp]) -> Floats:
            return sum_by_fact(ensemble.raw_with_contributions(members, values[rows])[1], places)

        scored, sample = spread(len(values), SCORED_ROWS), spread(len(values), SAMPLED_ROWS)
        top = scored[most_probable(ensemble.raw_probability(members, values[scored]), weight[scored])]
        leading = [_leading(features, importance, places == fact) for fact in range(places.max() + 1)]
        found = by_fact(sample)
        return cls(
            typical=weighted_quantiles(by_fact(top), weight[top]),
            shares=np.bincount(places, importance).astype(np.float64, copy=False),
            leading=tuple(None if place is None else features[place].name for place in leading),
            directions=tuple(
                0 if place is None else direction(values[sample, place], found[:, fact])
                for fact, place in enumerate(leading)
            ),
        )

    def importance(self, facts: Sequence[Fact]) -> list[FactImportance]:
        """Weigh the facts, the most important first."""
        each = zip(facts, self.shares.tolist(), self.directions, strict=True)
        return sorted(itertools.starmap(FactImportance, each), key=lambda fact: -fact.share)

    def distinct(self, by_fact: Floats) -> Floats:
        """Return the share of ``typical`` that is strictly below each contribution, shape (rows, facts)."""
        return np.asarray((self.typical < (by_fact - ROUNDING)[:, :, None]).sum(axis=2) / QUANTILES)


def most_probable(probability: Floats, weight: Floats) -> NDArray[np.intp]:
    """Return the most probable rows that weigh `TOP_SHARE` of all together, `LEAST_ROWS` at least."""
    order = np.argsort(-probability, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    return order[: max(int((before < TOP_SHARE * weight.sum()).sum()), LEAST_ROWS)]


def spread(rows: int, most: int) -> NDArray[np.intp]:
    """Return the places of at most so many of the rows, evenly spaced."""
    count = min(rows, most)
    return np.asarray(np.arange(count) * rows // count)


def weighted_quantiles(values: Floats, weight: Floats) -> Floats:
    """Return the values below which lie 1/40, 3/40, ... of the weight, ascending, shape (columns, 20).

    They are values of the rows, never between two.
    """
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.cumsum(weight[order], axis=0)
    wanted = (np.arange(QUANTILES) + 0.5) / QUANTILES
    quantiles = np.empty((values.shape[1], QUANTILES))
    for column in range(values.shape[1]):
        at = np.searchsorted(reached[:, column], wanted * reached[-1, column])
        quantiles[column] = values[order[at, column], column]
    return quantiles


def direction(values: Floats, contributions: Floats) -> Direction:
    """Return the sign of the rank correlation over the rows with a value, 0 where it is below `CLEAR`."""
    known = ~np.isnan(values)
    if not known.any():
        return 0
    left, right = (rankdata(each[known]) for each in (values, contributions))
    left, right = left - left.mean(), right - right.mean()
    together, apart = (left * right).sum(), np.sqrt((left * left).sum() * (right * right).sum())
    if together == 0 or abs(together) < CLEAR * apart:
        return 0
    return 1 if together > 0 else -1


def _leading(features: Sequence[Feature], importance: Floats, mine: NDArray[np.bool_]) -> int | None:
    ordered = [place for place, each in enumerate(features) if mine[place] and each.kind != "category"]
    return max(ordered, key=lambda place: float(importance[place]), default=None)
