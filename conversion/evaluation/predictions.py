"""The table of a backtest's predictions, that most measures take; its companies and its cutoffs.

``predictions`` is one row a (company, cutoff): ``id``, ``as_of``, ``label`` (0 or 1), ``MRR`` (monthly
revenue of the conversion if the label is 1, else 0) and one float column for each ranker: ``probability``
(the model) and the baselines beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.stats.numeric import Floats, Ints, finite

MODEL: Final = "probability"
"""The column with the model's probability; every other ranker is a baseline."""

ORACLE: Final = "oracle"
"""The column with the true probability, where it is known; no ranker can be better."""

BASE_RATE: Final = "base_rate"
"""The column with the prevalence that was known when the model was fitted, the same for all at a cutoff."""


@dataclass(frozen=True)
class Companies:
    """Which rows are one company's.

    Attributes
    ----------
    index
        Each row's company, from 0 to ``count`` - 1.
    count
        Companies.
    """

    index: Ints
    count: int


@dataclass(frozen=True)
class Cutoff:
    """The rows of one cutoff.

    Attributes
    ----------
    as_of
        The cutoff.
    ids, label, mrr
        As arrays.
    company
        The rows' `Companies.index`.
    rows
        The same as a table, with the rankers.
    """

    as_of: pd.Timestamp
    ids: Ints
    company: Ints
    label: Ints
    mrr: Floats
    rows: pd.DataFrame

    def score(self, ranker: str) -> Floats:
        """Take a ranker's scores; raise ValueError where one is not finite."""
        return finite(self.rows[ranker])


def companies_of(predictions: pd.DataFrame) -> Companies:
    """Give each company of the predictions a number."""
    ids, index = np.unique(predictions["id"].to_numpy(dtype=np.int64), return_inverse=True)
    return Companies(index.astype(np.int64), len(ids))


def cutoffs_of(predictions: pd.DataFrame, company: Ints) -> list[Cutoff]:
    """Part the predictions by their cutoffs, in time order; ``company`` is the rows' `Companies.index`."""
    numbered = predictions.assign(_company=company)
    return [
        Cutoff(
            as_of=pd.Timestamp(as_of),  # type: ignore[arg-type]
            ids=rows["id"].to_numpy(dtype=np.int64),
            company=rows["_company"].to_numpy(dtype=np.int64),
            label=rows["label"].to_numpy(dtype=np.int64),
            mrr=rows["MRR"].to_numpy(dtype=np.float64),
            rows=rows,
        )
        for as_of, rows in numbered.groupby("as_of", sort=True)
    ]
