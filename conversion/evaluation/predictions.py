"""The table of a backtest's predictions, which most measures take; its companies and its cutoffs.

``predictions`` has one row for each company and cutoff: ``id`` (whole number or text), ``as_of``, ``label``
(0 or 1), and a float column for each ranker: ``probability`` (the model) and the baselines. Where revenue is
recorded it has ``MRR``: the monthly revenue of the conversion if the label is 1, else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.stats.numeric import Floats, Ints, finite

REVENUE: Final = "MRR"
"""The column of the conversion's monthly revenue, where that is recorded."""

OUTCOMES: Final = ("id", "as_of", "label", REVENUE)
"""The columns that say what happened; the last is optional."""

MODEL: Final = "probability"
"""The column of the model's probability; every other ranker is a baseline."""

ORACLE: Final = "oracle"
"""The column of the true probability, where it is known; no ranker can be better."""

BASE_RATE: Final = "base_rate"
"""The column of the prevalence known when the model was fitted, the same for all rows of a cutoff."""


@dataclass(frozen=True)
class Companies:
    """Which rows belong to which company.

    Attributes
    ----------
    index
        Each row's company, from 0 to ``count`` - 1.
    count
        Number of companies.
    """

    index: Ints
    count: int

    def sums(self, columns: Sequence[Floats]) -> Floats:
        """Sum columns of the rows by company.

        Returns
        -------
        ndarray of float64
            Companies by columns.
        """
        return self.sums_by_group(columns, np.zeros(len(self.index), dtype=np.int64), 1)[:, 0]

    def sums_by_group(self, columns: Sequence[Floats], group: Ints, groups: int) -> Floats:
        """Sum columns of the rows by company and group.

        Parameters
        ----------
        columns
            One value for each row.
        group
            Each row's group, from 0 to ``groups`` - 1.
        groups
            Number of groups.

        Returns
        -------
        ndarray of float64
            Companies by groups by columns.
        """
        cell = self.index * groups + group
        by_cell = np.empty((self.count * groups, len(columns)))
        for number, column in enumerate(columns):
            by_cell[:, number] = np.bincount(cell, column, len(by_cell))
        return by_cell.reshape(self.count, groups, len(columns))


@dataclass(frozen=True)
class Cutoff:
    """The rows of one cutoff.

    Attributes
    ----------
    as_of
        The cutoff.
    ids, label, mrr
        Columns as arrays; ``mrr`` is None where revenue is not recorded.
    company
        The rows' `Companies.index`.
    rows
        The rows as a table, with the rankers.
    """

    as_of: pd.Timestamp
    ids: NDArray[Any]
    company: Ints
    label: Ints
    mrr: Floats | None
    rows: pd.DataFrame

    def score(self, ranker: str) -> Floats:
        """Return a ranker's scores; raise ValueError if one is not finite."""
        return finite(self.rows[ranker])


def companies_of(predictions: pd.DataFrame) -> Companies:
    """Return which rows of the predictions belong to which company."""
    index, ids = pd.factorize(predictions["id"], sort=True)
    return Companies(index.astype(np.int64), len(ids))


def cutoffs_of(predictions: pd.DataFrame, company: Ints) -> list[Cutoff]:
    """Split the predictions by cutoff, in time order; ``company`` is the rows' `Companies.index`."""
    numbered = predictions.assign(_company=company)
    return [
        Cutoff(
            as_of=pd.Timestamp(as_of),  # type: ignore[arg-type]
            ids=rows["id"].to_numpy(),
            company=rows["_company"].to_numpy(dtype=np.int64),
            label=rows["label"].to_numpy(dtype=np.int64),
            mrr=rows[REVENUE].to_numpy(dtype=np.float64) if REVENUE in rows else None,
            rows=rows,
        )
        for as_of, rows in numbered.groupby("as_of", sort=True)
    ]
