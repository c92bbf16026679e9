from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.params import RankShares, TierProbabilities, Tiers
from conversion.modelling.tiers import TIERS, TierCuts, cuts_by_probability, empty_tiers, tier_cuts, tier_of
from tests.pipeline import PARAMS, load_params

BY_RANK = Tiers(
    by="rank_share",
    rank_share=RankShares(very_high=0.5, high=1.0, medium=2.0),
    probability=TierProbabilities(very_high=0.5, high=0.2, medium=0.1),
)
BY_PROBABILITY = BY_RANK.model_copy(update={"by": "probability"})
# The first 2, 4 and 8 of ten prospects, in no order.
TEN = [0.03, 0.9, 0.2, 0.8, 0.01, 0.7, 0.6, 0.05, 0.02, 0.04]


def tiers_of(probability: list[float], tiers: Tiers, top_n: int = 4) -> list[str]:
    found: list[str] = tier_of(probability, tier_cuts(probability, tiers, top_n)).tolist()
    return found


def test_the_names_are_those_of_the_params_and_low() -> None:
    assert TIERS == ("very_high", "high", "medium", "low")
    assert (*TierCuts.model_fields, "low") == TIERS
    assert tuple(RankShares.model_fields) == tuple(TierProbabilities.model_fields)


def test_by_rank_share_a_tier_ends_at_the_probability_of_its_last_rank() -> None:
    assert tier_cuts(TEN, BY_RANK, 4) == TierCuts(very_high=0.8, high=0.6, medium=0.03)
    assert tiers_of(TEN, BY_RANK) == [
        "medium", "very_high", "medium", "very_high", "low", "high", "high", "medium", "low", "medium",
    ]  # fmt: skip


def test_equal_probabilities_share_the_higher_tier() -> None:
    assert tiers_of([0.9, 0.8, 0.8, 0.8, 0.3, 0.2], BY_RANK) == [*["very_high"] * 4, "medium", "medium"]
    assert tiers_of([0.1] * 20, BY_RANK) == ["very_high"] * 20


def test_a_list_may_end_within_a_tier() -> None:
    assert tiers_of([0.3, 0.2, 0.1], BY_RANK) == ["very_high", "very_high", "high"]
    assert tiers_of([0.3], BY_RANK) == ["very_high"]
    assert tier_cuts([], BY_RANK, 4) == cuts_by_probability(BY_RANK)


def test_ranks_are_whole_and_at_least_the_first() -> None:
    shares = RankShares(very_high=0.07, high=0.2, medium=0.5)
    tiers = BY_RANK.model_copy(update={"rank_share": shares})
    probability = np.linspace(1.0, 0.0, 101)
    assert tier_cuts(probability, tiers, 100) == TierCuts(
        very_high=probability[6], high=probability[19], medium=probability[49]
    )
    assert tier_cuts(probability, tiers, 1) == TierCuts(very_high=1.0, high=1.0, medium=1.0)


def test_by_probability_the_list_does_not_matter() -> None:
    assert tier_cuts(TEN, BY_PROBABILITY, 4) == TierCuts(very_high=0.5, high=0.2, medium=0.1)
    assert tiers_of([0.5, 0.49, 0.2, 0.1, 0.09], BY_PROBABILITY) == [
        *("very_high", "high", "high", "medium", "low"),
    ]
    assert tier_of(1.0, cuts_by_probability(BY_RANK)) == "very_high"


@given(
    probability=st.lists(st.floats(0, 1).map(lambda value: round(value, 2)), min_size=1, max_size=60),
    top_n=st.integers(1, 40),
    tiers=st.sampled_from([BY_RANK, BY_PROBABILITY]),
)
def test_tiers_descend_with_the_probability_and_depend_on_nothing_else(
    probability: list[float], top_n: int, tiers: Tiers
) -> None:
    found = tiers_of(probability, tiers, top_n)
    ordered = sorted(zip(probability, map(TIERS.index, found), strict=True), reverse=True)
    assert [place for _, place in ordered] == sorted(place for _, place in ordered)
    assert len(set(zip(probability, found, strict=True))) == len(set(probability))
    if tiers is BY_RANK:
        assert found.count("very_high") >= min(max(round(0.5 * top_n), 1), len(probability))


@pytest.mark.parametrize("prospects", [60, 5_000, 1_000_000])
def test_the_default_tiers_tell_the_first_fifty_of_any_list_apart(prospects: int) -> None:
    score = load_params(PARAMS).score
    probability = np.random.default_rng(prospects).beta(0.1, 40, prospects)
    top = np.sort(probability)[::-1][: score.top_n]
    found = tier_of(top, tier_cuts(probability, score.tiers, score.top_n)).tolist()
    assert score.top_n == 50
    assert found == [*["very_high"] * 10, *["high"] * 40]


def test_tiers_that_nobody_is_in_are_named() -> None:
    assert empty_tiers({"very_high", "high", "medium", "low"}) == []
    assert empty_tiers({"medium"}) == ["very_high", "high"]
    assert empty_tiers({"very_high"}) == ["high", "medium"]


def test_the_default_tiers_tell_the_first_fifty_of_the_samples_lists_apart(root: Path) -> None:
    result = json.loads((root / "metrics/evaluation.json").read_text(encoding="utf-8"))
    tiers = result["tiers"]
    assert tuple(tiers) == TIERS
    assert 5 < tiers["very_high"]["prospects"] / result["cutoffs"] < 45
    rates = [tiers[name]["observed_rate"] for name in TIERS]
    for higher, lower in itertools.pairwise(rates):
        assert higher["low"] > lower["high"], "each tier converts more often than the next, for sure"
