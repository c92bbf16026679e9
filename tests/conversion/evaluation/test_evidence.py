from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from conversion.evaluation.evidence import backtest_evidence, evidence_bins, without_overlaps
from conversion.stats.distinct_counts import Distinct, DistinctCounts

MONDAY = pd.Timestamp("2020-01-06")


def counted(probability: ArrayLike, converted: ArrayLike) -> Distinct:
    counts = DistinctCounts()
    counts.add(np.asarray(probability), np.asarray(converted) == 1)
    return counts.result()


def as_text(probability: list[float], converted: list[int], least: int, growth: float) -> list[str]:
    """Write the bins as ``from to companies converted``."""
    bins = evidence_bins(counted(probability, converted), least, growth)
    return [f"{each.least} {each.below} {each.companies} {each.converted}" for each in bins]


def test_bins_by_hand() -> None:
    """Two companies are asked for, then 4 (the last three are equal), then 8, which there are not."""
    probability = [0.1, 0.9, 0.3, 0.3, 0.7, 0.5, 0.3, 0.2, 0.05]
    converted = [0, 1, 0, 1, 1, 0, 0, 1, 0]
    assert as_text(probability, converted, 2, 2.0) == ["0.7 1.0 2 2", "0.0 0.7 7 2"]
    assert as_text(probability, converted, 2, 1.0) == [
        *("0.7 1.0 2 2", "0.3 0.7 4 1", "0.0 0.3 3 1"),
    ]


def test_a_bin_ends_after_the_last_of_equal_probabilities() -> None:
    assert as_text([0.5, 0.4, 0.4, 0.4, 0.1, 0.1], [1, 0, 0, 1, 0, 0], 2, 1.0) == [
        "0.4 1.0 4 2",
        "0.0 0.4 2 0",
    ]
    assert as_text([0.5] * 6, [0] * 6, 2, 1.0) == ["0.0 1.0 6 0"]


def test_few_companies_are_one_bin_and_none_at_all_too() -> None:
    assert as_text([0.2, 0.1], [1, 0], 3, 1.5) == ["0.0 1.0 2 1"]
    assert as_text([], [], 3, 1.5) == ["0.0 1.0 0 0"]


def test_a_bin_asks_for_more_than_the_one_above() -> None:
    probability = np.linspace(0.999, 0.001, 1000).tolist()
    sizes = [int(line.split()[2]) for line in as_text(probability, [0] * 1000, 100, 1.5)]
    assert sizes == [100, 150, 225, 525]


@given(
    rows=st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=200),
    least=st.integers(1, 30),
    growth=st.sampled_from([1.0, 1.5, 2.0]),
)
def test_every_company_is_in_one_bin(rows: list[tuple[int, bool]], least: int, growth: float) -> None:
    probability, converted = np.array([place / 20 for place, _ in rows]), np.array([each for _, each in rows])
    bins = evidence_bins(counted(probability, converted), least, growth)
    place = np.array(
        [next(at for at, each in enumerate(bins) if value >= each.least) for value in probability]
    )
    assert [each.companies for each in bins] == np.bincount(place, minlength=len(bins)).tolist()
    assert [each.converted for each in bins] == np.bincount(place, converted, len(bins)).tolist()
    assert all(each.companies >= min(least, len(rows)) for each in bins)


def lists(companies: int, weeks: int, spacing: int = 1) -> pd.DataFrame:
    as_of = MONDAY + pd.to_timedelta(7 * spacing * np.arange(weeks), unit="D")
    return pd.DataFrame(
        {"id": np.repeat(np.arange(companies), weeks), "as_of": np.tile(as_of.to_numpy(), companies)}
    )


@pytest.mark.parametrize(
    ("horizon", "spacing", "every"), [(30, 1, 5), (28, 1, 4), (7, 1, 1), (30, 4, 2), (30, 5, 1)]
)
def test_the_horizons_of_a_company_do_not_overlap(horizon: int, spacing: int, every: int) -> None:
    rows = lists(200, 20, spacing)
    counted = pd.concat(without_overlaps(rows, horizon, seed=3))
    gaps = counted.groupby("id")["as_of"].diff().dropna().dt.days
    assert gaps.min() >= horizon
    assert (gaps == 7 * spacing * every).all()
    of_list = counted["as_of"].value_counts()
    assert len(of_list) == 20, "every list has its turn"
    assert of_list.sum() == 200 * 20 / every


def test_who_is_counted_when_depends_on_the_company_alone() -> None:
    rows = lists(50, 12)
    counted = pd.concat(without_overlaps(rows, 30, seed=3))
    some = rows[rows["id"].isin([3, 7, 40]) | (rows["as_of"] == MONDAY)].sample(frac=1, random_state=1)
    again = pd.concat(without_overlaps(some, 30, seed=3))
    expected = counted.index.intersection(some.index)
    assert sorted(again.index) == sorted(expected)
    assert not counted.equals(pd.concat(without_overlaps(rows, 30, seed=4)))


def test_one_list_counts_all_or_its_share() -> None:
    rows = lists(300, 1)
    assert len(pd.concat(without_overlaps(rows, 30, seed=0))) == 300


def test_those_that_convert_and_leave_count_for_no_more_than_they_are() -> None:
    """Half of the companies convert on their tenth list and leave; the others stay for all forty."""
    rows = lists(4000, 40)
    week = (rows["as_of"] - MONDAY).dt.days // 7
    converts = rows["id"] % 2 == 0
    rows = rows.assign(label=(converts & (week >= 5)).astype("int8"), probability=0.1, summary_only=0.2)
    rows = rows[~converts | (week < 10)].reset_index(drop=True)
    found = backtest_evidence(rows, 30, seed=1)
    assert found.lists == 40
    rate = sum(each.converted for each in found.bins) / sum(each.companies for each in found.bins)
    assert rate == pytest.approx(rows["label"].mean(), abs=0.01)
    assert [each.companies for each in found.summary_bins] == [each.companies for each in found.bins]
