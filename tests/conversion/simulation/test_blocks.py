"""Blocks: every company once, the same sample where one is enough, the same marginals where it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.simulation.blocks import blocks_of, draw_blocks
from conversion.simulation.export import Sample
from conversion.simulation.firms import FIRST_ID
from conversion.simulation.sample import simulate
from conversion.simulation.vocabulary import ACTIONS, UNRANKED, USERS
from tests.samples import FIRST_WEEK, SEED

TABLES = [field.name for field in dataclasses.fields(Sample)]


def together(blocks: list[Sample]) -> Sample:
    return Sample(*(pd.concat([getattr(block, name) for block in blocks]) for name in TABLES))


@pytest.fixture(scope="module")
def three() -> list[Sample]:
    return list(draw_blocks(20_000, 82, FIRST_WEEK, SEED, most=7000))


class TestBlocksOf:
    @given(st.integers(500, 10**8), st.integers(5000, 10**6))
    def test_every_company_is_in_one_block(self, companies: int, most: int) -> None:
        blocks = blocks_of(companies, most)
        sizes = [block.companies for block in blocks]
        assert sum(sizes) == companies
        assert max(sizes) <= most
        assert max(sizes) - min(sizes) <= 1
        assert blocks[0].first_id == FIRST_ID
        assert all(one.first_id + one.companies == other.first_id for one, other in pairwise(blocks))
        assert [block.number for block in blocks] == list(range(-(-companies // most)))


class TestDrawBlocks:
    def test_one_block_is_the_sample_in_memory(self, small: Sample) -> None:
        (only,) = draw_blocks(600, 40, FIRST_WEEK, 5, most=600)
        for name in TABLES:
            pd.testing.assert_frame_equal(getattr(only, name), getattr(small, name))

    def test_blocks_are_of_different_companies_that_live_differently(self, three: list[Sample]) -> None:
        companies = [{*block.customers["id"], *block.noncustomers["id"]} for block in three]
        assert len(set.union(*companies)) == sum(map(len, companies)) == 20_000
        for block, own in zip(three, companies, strict=True):
            assert set(block.usage_actions["id"]) <= own
            assert set(block.truth["id"]) <= own
        assert len({len(block.usage_actions) for block in three}) == 3
        first, second = (block.customers["MRR"].head(100).to_numpy() for block in three[:2])
        assert not np.array_equal(first, second)

    def test_same_seed_same_blocks(self) -> None:
        drawn = [together(list(draw_blocks(1500, 30, FIRST_WEEK, 3, most=500))) for _ in range(2)]
        for name in TABLES:
            pd.testing.assert_frame_equal(getattr(drawn[0], name), getattr(drawn[1], name))

    def test_every_block_has_its_share_of_the_traps(self, three: list[Sample]) -> None:
        for block in three:
            prospects = block.noncustomers["id"]
            assert 0 < len(prospects) / prospects.nunique() - 1 < 0.001
            assert (block.customers["MRR"] <= 0).mean() == pytest.approx(0.02, abs=0.01)
            assert block.noncustomers["ALEXA_RANK"].dtype == "float64"


# figure: (how it is computed, how far three blocks may be from one)
MARGINALS: dict[str, tuple[Callable[[Sample], float], float]] = {
    "companies that convert": (lambda sample: len(sample.customers) / 20_000, 0.004),
    "mean true probability": (lambda sample: sample.truth["probability"].mean(), 0.0001),
    "usage rows a company": (lambda sample: len(sample.usage_actions) / 20_000, 0.15),
    "companies with usage": (lambda sample: sample.usage_actions["id"].nunique() / 20_000, 0.012),
    "rows without users": (lambda sample: (sample.usage_actions[list(USERS)].max(axis=1) == 0).mean(), 0.015),
    "actions a row": (lambda sample: sample.usage_actions[list(ACTIONS)].sum(axis=1).mean(), 4.0),
    "unranked": (lambda sample: (sample.noncustomers["ALEXA_RANK"] == UNRANKED).mean(), 0.015),
    "industry missing": (lambda sample: sample.noncustomers["INDUSTRY"].isna().mean(), 0.015),
    "log of the median MRR": (lambda sample: np.log(sample.customers["MRR"].median()), 0.1),
}


class TestMarginals:
    @pytest.mark.parametrize("figure", MARGINALS)
    def test_three_blocks_are_like_one(self, default: Sample, three: list[Sample], figure: str) -> None:
        measure, tolerance = MARGINALS[figure]
        assert abs(measure(together(three)) - measure(default)) <= tolerance

    def test_prevalence_of_the_truth_holds(self, three: list[Sample]) -> None:
        """The truth of each block expects the conversions that its customers have."""
        for block in three:
            last = block.truth["as_of"].max() - pd.Timedelta(days=35)
            some = block.truth[block.truth["as_of"].isin(pd.date_range(last, periods=15, freq="-30D"))]
            close = some["id"].map(block.customers.set_index("id")["CLOSEDATE"]) - some["as_of"]
            happened = ((close >= pd.Timedelta(0)) & (close < pd.Timedelta(days=30))).sum()
            expected = some["probability"].sum()
            assert abs(happened - expected) < 4 * np.sqrt(expected)


def test_ids_of_one_block_do_not_depend_on_the_others() -> None:
    second = list(draw_blocks(1500, 30, FIRST_WEEK, 3, most=500))[1]
    random = np.random.SeedSequence(3, spawn_key=(1,))
    alone = simulate(500, 30, FIRST_WEEK, random, first_id=FIRST_ID + 500)
    pd.testing.assert_frame_equal(second.customers, alone.customers)
