import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from conversion.stats.roc_auc import pairs_in_order


def test_by_hand() -> None:
    # Stratum a: 2 pairs, one in order and one tied. Stratum b: no pair. Stratum c: one pair, out of order.
    stratum = pd.Series(list("aaabcc"))
    positive = pd.Series([True, False, False, True, True, False])
    score = pd.Series([3.0, 3.0, 1.0, 9.0, 1.0, 2.0])
    counts = pairs_in_order(score, positive, [stratum])
    assert counts.index.tolist() == ["a", "b", "c"]
    assert counts["pairs"].tolist() == [2, 0, 1]
    assert counts["in_order"].tolist() == [1.5, 0, 0]


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_share_in_order_is_scikit_learn_s_roc_auc_in_each_stratum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    week, part = (pd.Series(rng.integers(0, 2, 120)) for _ in range(2))
    positive, score = pd.Series(rng.random(120) < 0.4), pd.Series(rng.integers(0, 5, 120))
    counts = pairs_in_order(score, positive, [week, part])
    for key, rows in positive.groupby([week, part]).groups.items():
        auc = counts.loc[key, "in_order"] / counts.loc[key, "pairs"]
        assert auc == pytest.approx(roc_auc_score(positive[rows], score[rows]))
