import functools

import numpy as np
import pandas as pd
import pytest

from conversion.data.timeline import week_number
from conversion.leads.drift import feature_drift, index_beyond_time, population_stability_index
from tests.contract_files import projects
from tests.exports import projects_export, tiny_export
from tests.pipeline import Pipeline, dirty_export, small_params


@functools.cache
def export() -> Pipeline:
    return Pipeline(dirty_export(), small_params(model__type="xgboost", data__as_of="2019-08-26"))


class TestPopulationStabilityIndex:
    def test_by_hand(self) -> None:
        # Shares .5 and .5 became .25 and .75.
        index = population_stability_index([0, 0, 1, 1], [0, 1, 1, 1])
        assert index == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))

    def test_nothing_moved(self) -> None:
        values = np.random.default_rng(0).lognormal(size=1000)
        assert population_stability_index(values, values[::-1]) == pytest.approx(0, abs=1e-9)

    def test_weights_are_so_many_rows(self) -> None:
        rng = np.random.default_rng(0)
        old, new, weight = rng.normal(size=300), rng.normal(0.5, 1, 300), rng.integers(0, 4, 300)
        weighted = population_stability_index(old, new, weight)
        assert weighted == pytest.approx(population_stability_index(np.repeat(old, weight), new))
        assert weighted > 0.1

    def test_missing_is_a_bin(self) -> None:
        index = population_stability_index([1, np.nan], [np.nan, np.nan])
        assert index == pytest.approx(0.5 * np.log(2) + (1e-4 - 0.5) * np.log(1e-4 / 0.5), rel=1e-6)
        assert population_stability_index([np.nan], [np.nan]) == 0

    @pytest.mark.parametrize("rare", [0, 1])
    def test_a_rare_flag_that_becomes_common_is_seen(self, rare: int) -> None:
        old = np.array([rare] * 10 + [1 - rare] * 990)
        new = np.array([rare] * 300 + [1 - rare] * 700)
        assert population_stability_index(old, new) > 0.25

    def test_an_empty_side_is_undefined(self) -> None:
        assert np.isnan(population_stability_index([], [1.0]))
        assert np.isnan(population_stability_index([1.0], []))


def lists_of_a_clock(weeks: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the week of each list's rows, and how long ago each company was first seen.

    Twenty companies are first seen each week, and stay.
    """
    week = np.concatenate([np.full(20 * (each + 1), each) for each in range(weeks)])
    first_seen = np.concatenate([np.repeat(np.arange(each + 1), 20) for each in range(weeks)])
    return week, (week - first_seen).astype(float)


class TestIndexBeyondTime:
    def test_by_hand(self) -> None:
        # Of the list of week 2 a half are ones, of its training (weeks 0 and 1) a quarter: twice as many
        # ones, two thirds of the others. Of the training now a third are ones, so 2/3 to 4/9, or .6.
        train, week = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1], np.repeat([0, 1, 2], 4)
        as_expected = index_beyond_time(train, [0, 0, 1, 1, 1], np.ones(12), week, now=3)
        assert as_expected == pytest.approx(0, abs=1e-3)
        fewer = index_beyond_time(train, [0, 1], np.ones(12), week, now=3)
        assert fewer == pytest.approx(-0.1 * np.log(0.5 / 0.6) + 0.1 * np.log(0.5 / 0.4), abs=1e-3)

    def test_a_clock_is_quiet_while_it_runs(self) -> None:
        week, clock = lists_of_a_clock(60)
        trained, now = week <= 54, week == 59
        weight = np.ones(trained.sum())
        assert population_stability_index(clock[trained], clock[now]) > 0.25, "it always moves"
        assert index_beyond_time(clock[trained], clock[now], weight, week[trained], 59) < 0.02

    def test_a_clock_that_stopped_or_began_anew_has_shifted(self) -> None:
        week, clock = lists_of_a_clock(60)
        trained = week <= 54
        weight = np.ones(trained.sum())
        for broken in (clock[week == 20], np.minimum(clock[week == 59], 12)):
            assert index_beyond_time(clock[trained], broken, weight, week[trained], 59) > 0.25
        like_training = clock[trained]
        assert population_stability_index(clock[trained], like_training) == pytest.approx(0, abs=1e-9)
        assert index_beyond_time(clock[trained], like_training, weight, week[trained], 59) > 0.25

    def test_what_time_does_not_move_is_judged_as_by_the_plain_index(self) -> None:
        rng = np.random.default_rng(3)
        week, value = np.repeat(np.arange(40), 1000), rng.normal(size=40_000)
        for shift in (0, 0.3, 0.6, 1.2):
            now = rng.normal(shift, 1, 3000)
            found = index_beyond_time(value, now, np.ones(len(value)), week, 44)
            assert found == pytest.approx(population_stability_index(value, now), rel=0.05, abs=0.01)

    def test_missing_that_time_makes_rarer_is_no_shift(self) -> None:
        # Not seen yet: half of the companies first, ever fewer later.
        rng = np.random.default_rng(1)
        week = np.repeat(np.arange(40), 2000)
        share = 0.5 * 0.97**week
        value = np.where(rng.random(len(week)) < share, np.nan, rng.normal(size=len(week)))
        trained, now = week <= 34, week == 39
        weight = np.ones(trained.sum())
        assert index_beyond_time(value[trained], value[now], weight, week[trained], 39) < 0.02
        gone = rng.normal(size=2000)
        gone[:1400] = np.nan
        assert index_beyond_time(value[trained], gone, weight, week[trained], 39) > 0.25

    def test_weights_are_so_many_rows(self) -> None:
        rng = np.random.default_rng(2)
        week, value = np.repeat(np.arange(20), 50), rng.normal(size=1000)
        weight, now = rng.integers(1, 4, 1000), rng.normal(0.5, 1, 300)
        repeated = np.repeat(np.arange(1000), weight)
        assert index_beyond_time(value, now, weight, week, 22) == pytest.approx(
            index_beyond_time(value[repeated], now, np.ones(len(repeated)), week[repeated], 22)
        )

    def test_without_an_earlier_list_it_is_the_plain_index(self) -> None:
        values, now = [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]
        found = index_beyond_time(values, now, np.ones(4), np.zeros(4), now=5)
        assert found == pytest.approx(population_stability_index(values, now), abs=1e-3)

    def test_an_empty_side_is_undefined(self) -> None:
        assert np.isnan(index_beyond_time([], [1.0], [], [], 3))
        assert np.isnan(index_beyond_time([1.0], [], [1.0], [0], 3))


# All features of an export


def test_nothing_has_drifted_from_itself() -> None:
    pipeline = export()
    same = pipeline.latest.assign(weight=1.0)
    moved = feature_drift(same, pipeline.latest, pipeline.model.features, pipeline.as_of)
    assert moved["shifted_features"] == 0
    for index in (moved["population_stability_index"], moved["against_training"]):
        assert set(index.values()) == {0.0}
        assert sorted(index) == sorted(feature.name for feature in pipeline.model.features)


def test_the_indexes_of_an_export_are_those_of_its_columns() -> None:
    pipeline = export()
    train, latest = pipeline.train, pipeline.latest
    moved = feature_drift(train, latest, pipeline.model.features, pipeline.as_of)
    week, now = week_number(train["as_of"]), int(week_number(pd.DatetimeIndex([pipeline.as_of]))[0])
    for feature in pipeline.model.features:
        if feature.kind == "category":
            continue
        columns = train[feature.name], latest[feature.name], train["weight"]
        plain, beyond = population_stability_index(*columns), index_beyond_time(*columns, week, now)
        assert moved["against_training"][feature.name] == pytest.approx(plain, abs=1e-4), feature.name
        assert moved["population_stability_index"][feature.name] == pytest.approx(beyond, abs=1e-4)


def test_a_steady_export_is_quiet_though_its_clocks_run() -> None:
    pipeline = Pipeline(tiny_export(companies=600, weeks=60), small_params())
    moved = feature_drift(pipeline.train, pipeline.latest, pipeline.model.features, pipeline.as_of)
    assert moved["against_training"]["weeks_since_first_seen"] > 0.25
    assert moved["shifted_features"] == 0


def test_a_moved_feature_comes_first() -> None:
    pipeline = export()
    latest = pipeline.latest.assign(
        tenure_weeks=pipeline.latest["tenure_weeks"] + 1000,
        sector=pd.Categorical(["Education"] * len(pipeline.latest), pipeline.latest["sector"].cat.categories),
    )
    train = pipeline.latest.assign(weight=1.0)
    moved = feature_drift(train, latest, pipeline.model.features, pipeline.as_of)
    assert moved["shifted_features"] == 2
    index = moved["population_stability_index"]
    assert set(list(index)[:2]) == {"tenure_weeks", "sector"}
    assert list(index.values()) == sorted(index.values(), reverse=True)


def test_a_level_that_training_lacks_has_moved_and_each_feature_of_another_contract_is_measured() -> None:
    params = small_params(model__logistic_regression__quadratic=["plan"])
    pipeline = Pipeline(projects_export(companies=150, weeks=40), params, projects())
    same = pipeline.latest.assign(weight=1.0)
    france = pipeline.latest.assign(
        country=pd.Categorical(["FR"] * len(pipeline.latest), pipeline.latest["country"].cat.categories)
    )
    old = same[same["country"] != "FR"]
    moved = feature_drift(old, france, pipeline.model.features, pipeline.as_of)
    index = moved["population_stability_index"]
    assert next(iter(index)) == "country"
    assert index["country"] > 0.25
    assert {"log_head_count", "plan", "is_partner", "users_max_invoices_4w", "total_actions"} <= set(index)
    assert not {"name", "owner", "arr", "created"} & set(index)


def test_drift_counts_each_snapshot_with_its_weight() -> None:
    pipeline = export()
    latest = pipeline.latest.reset_index(drop=True)
    kept = latest["seen"].eq(1) | (latest.index % 2 == 0)
    weight = np.where(
        latest["seen"] == 1, 1.0, (latest["seen"] == 0).sum() / (kept & latest["seen"].eq(0)).sum()
    )
    train = latest.assign(weight=weight)[kept]
    weighted, unweighted = (
        feature_drift(each, latest, pipeline.model.features, pipeline.as_of)["against_training"]["seen"]
        for each in (train, train.assign(weight=1.0))
    )
    assert weighted == 0
    assert unweighted > 0.01
