from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.call_list import Design, call_list
from conversion.stats.hashing import uniform_hash
from tests import call_years
from tests.call_years import YearSettings, year_of_lists

SMALL = YearSettings(log_hazard_ratio=0.7, companies=300, weeks=8, calls=20)


def test_the_same_seed_draws_the_same_year() -> None:
    first, second = year_of_lists(SMALL, 1), year_of_lists(SMALL, 1)
    pd.testing.assert_frame_equal(first.rows, second.rows)
    pd.testing.assert_frame_equal(first.contacts, second.contacts)
    assert first.effect == second.effect
    assert not year_of_lists(SMALL, 2).rows.equals(first.rows)


def test_each_list_has_as_many_to_call_and_nobody_who_converted() -> None:
    rows = year_of_lists(SMALL, 1).rows
    assert (rows[rows["status"] == "listed"].groupby("as_of").size() == SMALL.calls).all()
    assert (rows["converted"].isna() | (rows["converted"] >= rows["as_of"])).all()
    assert not rows.duplicated(["id", "as_of"]).any()


def test_a_company_is_held_back_on_all_its_lists_or_on_none_and_never_called() -> None:
    year = year_of_lists(SMALL, 1)
    assert not year.rows.drop_duplicates(["id", "status"]).duplicated("id").any()
    held_back = set(year.rows.loc[year.rows["status"] == "held_back", "id"])
    assert held_back
    assert not held_back & set(year.contacts["id"])


def test_calls_without_an_effect_have_none() -> None:
    year = year_of_lists(replace(SMALL, log_hazard_ratio=0.0), 1)
    assert (year.effect, year.effect_of_call) == (0.0, 0.0)


def test_the_true_effect_is_what_offering_everyone_adds() -> None:
    # With nobody held back against all: the mean over many years of what really happened.
    settings = YearSettings(
        log_hazard_ratio=1.0, weeks=1, calls=200, companies=400, preference=0.0, holdout=0.0
    )
    gained, truth = [], []
    for seed in range(60):
        year, base = (year_of_lists(replace(settings, log_hazard_ratio=each), seed) for each in (1.0, 0.0))
        gained.append(year.rows["label"].mean() - base.rows["label"].mean())
        truth.append(year.effect)
    assert np.mean(gained) == pytest.approx(np.mean(truth), abs=0.01)


def test_the_cut_is_that_of_the_call_list() -> None:
    ids, scores = np.arange(200), np.random.default_rng(5).permutation(200).astype(np.float64)
    design = Design(calls=20, holdout=0.3, explore=0.0, explore_depth=2.0, salt="s")
    order = np.argsort(-scores)
    none = pd.Series([], dtype="int64")
    drawn = call_list(pd.Series(ids[order]), dt.date(2020, 1, 6), design, none, none)
    within = drawn.loc[drawn["status"].isin(["listed", "held_back"]), "id"].tolist()
    people = call_years._Companies(
        daily=np.zeros((200, 1)), score=scores[:, None], threshold=np.ones(200), ratio=np.ones(200),
        would_be_called=np.ones(200, dtype=bool), close_day=np.full(200, 999),
    )  # fmt: skip
    held_back = uniform_hash(ids, "s", seed=0) < 0.3
    assert call_years._within_the_cut(people, held_back, 0, 20).tolist() == within
