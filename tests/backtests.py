"""Small backtests, for tests of what compares them."""

from __future__ import annotations

import numpy as np
import pandas as pd


def backtest(seed: int = 0, skill: float = 2.0, companies: int = 300, cutoffs: int = 4) -> pd.DataFrame:
    """Make a backtest; labels are the same for all, and the more skill the better the probabilities."""
    truth, rng = np.random.default_rng(7), np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [pd.date_range("2020-01-06", periods=cutoffs, freq="W-MON"), range(1, companies + 1)],
        names=["as_of", "id"],
    ).to_frame(index=False)
    label = (truth.random(len(rows)) < 0.06).astype(np.int8)
    odds = np.exp(skill * label - 2.5 - skill / 2 + rng.normal(0, 1, len(rows)))
    return rows.assign(label=label, MRR=label * 100.0, probability=odds / (1 + odds))
