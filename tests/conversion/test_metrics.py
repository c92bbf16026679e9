import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion import hashing, metrics
from conversion.errors import UserError

RANKERS = ["probability", "users_rule", "actions_rule", "random"]
TOP_K = (2, 5, 100)


def make_predictions(companies: int = 120, cutoffs: int = 4, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ids = np.arange(1, companies + 1)
    weeks = []
    for week in range(cutoffs):
        label = (rng.random(companies) < 0.08).astype(int)
        weeks.append(
            pd.DataFrame(
                {
                    "id": ids,
                    "as_of": pd.Timestamp("2020-01-06") + pd.Timedelta(weeks=week),
                    "label": label,
                    "MRR": label * rng.uniform(50, 500, companies),
                    "probability": 1 / (1 + np.exp(4 - 2 * label - rng.normal(0, 1, companies))),
                    "users_rule": rng.integers(0, 4, companies) + label,
                    "actions_rule": rng.integers(0, 9, companies) * 1.0,
                    "random": hashing.uniform_hash(ids, week, seed=3),
                    "base_rate": 0.07,
                }
            )
        )
    return pd.concat(weeks, ignore_index=True)


def one_week(
    labels: list[int], scores: list[float], mrr: list[float] | None = None, ids: list[int] | None = None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ids or range(1, len(labels) + 1),
            "as_of": pd.Timestamp("2020-01-06"),
            "label": labels,
            "MRR": mrr or [100.0 * label for label in labels],
            "probability": scores,
        }
    )


class TestTieBreak:
    def test_is_splitmix64(self) -> None:
        # First outputs of the published generator for the seeds 0 and 1234567.
        assert hashing.tie_break([0, 1234567]).tolist() == [16294208416658607535, 6457827717110365317]

    def test_no_two_ids_tie_and_low_ids_are_not_first(self) -> None:
        hashed = hashing.tie_break(np.arange(10_000))
        assert len(np.unique(hashed)) == 10_000
        first = np.argsort(hashed)[:1000]
        assert 4_500 < first.mean() < 5_500


class TestUniformHash:
    def test_is_uniform_and_independent_of_its_keys(self) -> None:
        ids, weeks = np.arange(20_000)[:, None], np.arange(5)
        numbers = hashing.uniform_hash(ids, weeks, seed=7)
        assert numbers.shape == (20_000, 5)
        assert numbers.min() >= 0
        assert numbers.max() < 1
        histogram = np.histogram(numbers, 20, (0, 1))[0]
        assert np.abs(histogram / 5_000 - 1).max() < 0.06
        assert np.abs(np.corrcoef(numbers.T) - np.eye(5)).max() < 0.03

    def test_depends_on_every_key_their_order_and_the_seed(self) -> None:
        same = hashing.uniform_hash(np.array([5]), 9, seed=1)
        assert same == hashing.uniform_hash(np.array([5]), 9, seed=1)
        others = [
            hashing.uniform_hash(np.array([9]), 5, seed=1),
            hashing.uniform_hash(np.array([5]), 8, seed=1),
            hashing.uniform_hash(np.array([5]), 9, seed=2),
            hashing.uniform_hash(np.array([5]), seed=1),
        ]
        assert all(other != same for other in others)

    def test_takes_negative_and_scalar_keys(self) -> None:
        assert 0 <= float(hashing.uniform_hash(-3, seed=2**32 - 1)) < 1


class TestRankOrder:
    def test_descends_and_breaks_ties_by_hash(self) -> None:
        ids = np.array([1, 2, 3, 4])
        order = metrics.rank_order([0.1, 0.5, 0.5, 0.9], ids)
        tied = sorted([1, 2], key=lambda row: int(hashing.tie_break(ids)[row]))
        assert order.tolist() == [3, *tied, 0]

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_refuses_scores_that_are_no_numbers(self, bad: float) -> None:
        with pytest.raises(ValueError, match="1 of 2"):
            metrics.rank_order([0.1, bad], [1, 2])


class TestWeeklyMeasures:
    def test_by_hand(self) -> None:
        # Ranks 1 to 5: converter (300), other, converter (100), other, other.
        week = metrics.weekly_measures(
            one_week([1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5], mrr=[300, 0, 100, 0, 0]),
            "probability",
            [1, 2, 9],
        ).iloc[0]
        assert week["as_of"] == pd.Timestamp("2020-01-06")
        assert (week["prospects"], week["conversions"], week["prevalence"]) == (5, 2, 0.4)
        assert week["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
        assert week["roc_auc"] == pytest.approx(5 / 6)
        assert (week["precision_at_1"], week["recall_at_1"], week["lift_at_1"]) == (1, 0.5, 2.5)
        assert week["mrr_recall_at_1"] == 0.75
        assert (week["precision_at_2"], week["recall_at_2"], week["lift_at_2"]) == (0.5, 0.5, 1.25)
        assert (week["precision_at_9"], week["recall_at_9"], week["lift_at_9"]) == (0.4, 1, 1)
        assert week["mrr_recall_at_9"] == 1

    def test_ties_count_half_in_roc_auc(self) -> None:
        week = metrics.weekly_measures(one_week([1, 0, 0, 1], [1, 1, 0, 0]), "probability", [1]).iloc[0]
        assert week["roc_auc"] == pytest.approx((0.5 + 1 + 0 + 0.5) / 4)

    def test_ties_in_the_top_k_follow_the_hash_not_the_file(self) -> None:
        ids = list(range(1, 201))
        labels = [1] * 20 + [0] * 180
        week = metrics.weekly_measures(one_week(labels, [0.5] * 200, ids=ids), "probability", [20]).iloc[0]
        first = np.argsort(hashing.tie_break(ids))[:20]
        assert week["precision_at_20"] == pytest.approx(np.array(labels)[first].mean())
        assert week["precision_at_20"] < 0.3

    def test_a_week_without_conversions_is_undefined(self) -> None:
        week = metrics.weekly_measures(one_week([0, 0], [0.2, 0.1]), "probability", [1])
        assert week["prevalence"].tolist() == [0]
        assert week.drop(columns=["as_of", "prospects", "conversions", "prevalence"]).isna().all(axis=None)

    def test_a_week_of_conversions_alone_has_no_roc_auc(self) -> None:
        week = metrics.weekly_measures(one_week([1, 1], [0.2, 0.1]), "probability", [1]).iloc[0]
        assert np.isnan(week["roc_auc"])
        assert week["average_precision"] == 1

    def test_columns_and_time_order(self) -> None:
        table = metrics.weekly_measures(make_predictions().iloc[::-1], "users_rule", TOP_K)
        assert table.columns.tolist() == [
            *("as_of", "prospects", "conversions", "prevalence"),
            *metrics.measure_names(TOP_K),
        ]
        assert table["as_of"].is_monotonic_increasing

    @pytest.mark.parametrize("ranker", RANKERS)
    def test_agrees_with_scikit_learn(self, ranker: str) -> None:
        predictions = make_predictions()
        table = metrics.weekly_measures(predictions, ranker, TOP_K).set_index("as_of")
        for as_of, rows in predictions.groupby("as_of"):
            week = table.loc[as_of]
            assert week["roc_auc"] == pytest.approx(reference.roc_auc_score(rows["label"], rows[ranker]))
            if rows[ranker].is_unique:
                expected = reference.average_precision_score(rows["label"], rows[ranker])
                assert week["average_precision"] == pytest.approx(expected)


@st.composite
def week_strategy(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(2, 30))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    scores = draw(st.lists(st.integers(-4, 4).map(float), min_size=size, max_size=size))
    ids = draw(st.lists(st.integers(-(2**62), 2**62), min_size=size, max_size=size, unique=True))
    return one_week(labels, scores, ids=ids)


def all_measures(predictions: pd.DataFrame) -> pd.DataFrame:
    return metrics.weekly_measures(predictions, "probability", (1, 3, 50))


class TestProperties:
    @given(week_strategy(), st.randoms(use_true_random=False))
    @settings(deadline=None, max_examples=60)
    def test_the_order_of_rows_is_irrelevant(self, week: pd.DataFrame, random: Any) -> None:
        shuffled = week.iloc[random.sample(range(len(week)), len(week))]
        pd.testing.assert_frame_equal(all_measures(week), all_measures(shuffled))

    @given(week_strategy())
    @settings(deadline=None, max_examples=60)
    def test_a_strictly_increasing_transform_changes_nothing(self, week: pd.DataFrame) -> None:
        transformed = week.assign(probability=np.exp(week["probability"]) * 3 - 7)
        pd.testing.assert_frame_equal(all_measures(week), all_measures(transformed))

    @given(week_strategy())
    @settings(deadline=None, max_examples=60)
    def test_a_perfect_ranking_is_perfect(self, week: pd.DataFrame) -> None:
        measures = all_measures(week.assign(probability=week["label"].astype(float))).iloc[0]
        if week["label"].any():
            assert measures["average_precision"] == 1
            assert measures["recall_at_50"] == 1
            assert np.isnan(measures["roc_auc"]) or measures["roc_auc"] == 1

    @given(week_strategy())
    @settings(deadline=None, max_examples=60)
    def test_bounds_and_monotonicity(self, week: pd.DataFrame) -> None:
        measures = all_measures(week).drop(columns=["as_of", "lift_at_1", "lift_at_3", "lift_at_50"]).iloc[0]
        if week["label"].any():
            shares = measures.drop(["prospects", "conversions"]).dropna()
            assert shares.between(0, 1 + 1e-12).all()
            assert measures["recall_at_1"] <= measures["recall_at_3"] <= measures["recall_at_50"]


class TestBootstrapWeights:
    """A weighted list is the list in which each company stands as often as its weight says."""

    def test_agrees_with_the_list_written_out(self) -> None:
        rng = np.random.default_rng(5)
        week = make_predictions(80, 1, seed=2)
        weight = rng.poisson(1, 80)
        for ranker in RANKERS:
            measured = self.measure(week, ranker, weight)
            order = metrics.rank_order(week[ranker], week["id"])
            copies = week.iloc[np.repeat(order, weight[order])]
            label = copies["label"].to_numpy()
            conversions = label.sum()
            assert measured["roc_auc"] == pytest.approx(reference.roc_auc_score(label, copies[ranker]))
            for k in TOP_K:
                top = copies.iloc[:k]
                precision = top["label"].mean()
                assert measured[f"precision_at_{k}"] == pytest.approx(precision)
                assert measured[f"recall_at_{k}"] == pytest.approx(top["label"].sum() / conversions)
                assert measured[f"lift_at_{k}"] == pytest.approx(precision / label.mean())
                assert measured[f"mrr_recall_at_{k}"] == pytest.approx(top["MRR"].sum() / copies["MRR"].sum())

    def test_a_converters_copies_are_no_other_converters(self) -> None:
        # Two others above a converter drawn twice: its precision is 1 in 3, not 2 in 4.
        week = one_week([0, 0, 1], [3, 2, 1])
        assert self.measure(week, "probability", np.array([1, 1, 2]))["average_precision"] == pytest.approx(
            1 / 3
        )

    def test_the_interval_of_a_poor_ranker_is_not_biased(self) -> None:
        result = metrics.headline(make_predictions(400, 6), ["random"], [5], samples=100, seed=1)
        measure = result["rankers"]["random"]["average_precision"]
        assert measure["low"] < measure["value"] < measure["high"]

    @staticmethod
    def measure(week: pd.DataFrame, ranker: str, weight: np.ndarray) -> dict[str, float]:
        (cutoff,) = metrics._cutoffs(week, np.arange(len(week)))
        column = weight[:, None].astype(np.float32)
        values = metrics._ranking_measures(metrics._ranked(cutoff, ranker), column, TOP_K)[:, 0]
        return dict(zip(metrics.measure_names(TOP_K), values, strict=True))


class TestHeadline:
    def test_with_all_weights_one_the_interval_is_the_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ones(companies: int, samples: int, seed: int) -> list[np.ndarray]:
            assert seed == 1
            return [np.ones((companies, samples), dtype=np.float32)]

        monkeypatch.setattr(metrics, "_company_weights", ones)
        result = metrics.headline(make_predictions(), RANKERS, TOP_K, samples=3, seed=1)
        for measures in result["rankers"].values():
            assert all(each["value"] == each["low"] == each["high"] for each in measures.values())
        for differences in result["differences"].values():
            assert all(each["difference"] == each["low"] == each["high"] for each in differences.values())

    def test_value_is_the_mean_of_the_weeks_with_conversions(self) -> None:
        predictions = make_predictions()
        first = predictions["as_of"] == predictions["as_of"].min()
        predictions.loc[first, ["label", "MRR"]] = 0
        result = metrics.headline(predictions, ["users_rule"], TOP_K, samples=20, seed=1)
        weekly = metrics.weekly_measures(predictions, "users_rule", TOP_K)
        assert (result["cutoffs"], result["cutoffs_with_conversions"]) == (4, 3)
        for name in metrics.measure_names(TOP_K):
            assert result["rankers"]["users_rule"][name]["value"] == pytest.approx(
                weekly[name].mean(), abs=1e-6
            )
        assert result["differences"] == {}

    def test_differences_are_paired(self) -> None:
        predictions = make_predictions()
        predictions["twin"] = predictions["probability"] * 2
        result = metrics.headline(predictions, ["probability", "twin", "random"], TOP_K, samples=50, seed=1)
        twin = result["differences"]["twin"]
        assert set(twin) == {"average_precision", "roc_auc", *(f"recall_at_{k}" for k in TOP_K)}
        assert twin["roc_auc"] == {"difference": 0, "low": 0, "high": 0, "probability_better": 0.5}
        assert result["differences"]["random"]["roc_auc"]["probability_better"] == 1

    def test_probabilities_are_compared_as_probabilities_too(self) -> None:
        predictions = make_predictions()
        result = metrics.headline(
            predictions,
            ["probability", "random"],
            TOP_K,
            50,
            seed=1,
            probabilities=["probability", "base_rate"],
        )
        assert set(result["rankers"]) == {"probability", "random"}
        assert set(result["differences"]) == {"random", "base_rate"}
        assert set(result["differences"]["base_rate"]) == {"log_loss", "brier_score"}
        assert "log_loss" not in result["differences"]["random"]
        label = predictions["label"]
        for name, of in (("log_loss", metrics.log_loss), ("brier_score", metrics.brier_score)):
            difference = result["differences"]["base_rate"][name]
            assert difference["difference"] == pytest.approx(
                of(label, predictions["probability"]) - of(label, predictions["base_rate"]), abs=1e-6
            )
            assert difference["low"] < difference["difference"] < difference["high"] < 0
            assert difference["probability_better"] == 1

    def test_repeats_itself_whatever_the_row_order_and_chunk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictions = make_predictions()
        first = metrics.headline(predictions, RANKERS, TOP_K, samples=30, seed=1)
        monkeypatch.setattr(metrics, "_CHUNK_WEIGHTS", 1000)
        shuffled = predictions.sample(frac=1, random_state=0)
        assert metrics.headline(shuffled, RANKERS, TOP_K, samples=30, seed=1) == first
        assert metrics.headline(predictions, RANKERS, TOP_K, samples=30, seed=2) != first

    def test_resamples_companies_not_rows(self) -> None:
        # The same list four times over holds no more evidence than once.
        once = make_predictions(300, 1)
        weeks = [once.assign(as_of=once["as_of"] + pd.Timedelta(weeks=week)) for week in range(4)]
        narrow = metrics.headline(pd.concat(weeks), RANKERS, TOP_K, samples=40, seed=1)
        wide = metrics.headline(once, RANKERS, TOP_K, samples=40, seed=1)
        assert narrow["rankers"] == wide["rankers"]

    def test_without_any_conversion_measures_are_null(self) -> None:
        result = metrics.headline(one_week([0, 0], [0.2, 0.1]), ["probability"], [1], samples=5, seed=1)
        assert result["rankers"]["probability"]["roc_auc"] == {"value": None, "low": None, "high": None}
        json.dumps(result, allow_nan=False)


class TestShareOfOracle:
    RANKERS = ("probability", "oracle")
    PROBABILITIES = ("probability", "base_rate", "oracle")

    def share(self, predictions: pd.DataFrame, samples: int = 20) -> dict[str, Any]:
        result = metrics.headline(predictions, self.RANKERS, [1], samples, 1, self.PROBABILITIES)
        found: dict[str, Any] = result["share_of_oracle"]
        return found

    def test_by_hand(self) -> None:
        # The model has the conversions second and last, the oracle first and second.
        predictions = one_week([0, 1, 0, 1], [0.6, 0.5, 0.4, 0.3]).assign(
            oracle=[0.1, 0.8, 0.2, 0.5], base_rate=0.5
        )
        share = self.share(predictions)
        assert share["average_precision"]["value"] == 0.5
        base, model, oracle = (
            -np.log([0.5, 0.5, 0.5, 0.5]).mean(),
            -np.log([0.4, 0.5, 0.6, 0.3]).mean(),
            -np.log([0.9, 0.8, 0.8, 0.5]).mean(),
        )
        expected = (base - model) / (base - oracle)
        assert expected < 0, "worse than saying the base rate to everyone"
        assert share["log_loss_reduction"]["value"] == pytest.approx(expected, abs=1e-6)

    def test_the_truth_has_all_and_the_base_rate_nothing(self) -> None:
        predictions = make_predictions().assign(oracle=lambda table: table["probability"])
        share = self.share(predictions)
        assert share["average_precision"] == {"value": 1, "low": 1, "high": 1}
        assert share["log_loss_reduction"] == {"value": 1, "low": 1, "high": 1}
        nothing = self.share(predictions.assign(probability=predictions["base_rate"]))
        assert nothing["log_loss_reduction"] == {"value": 0, "low": 0, "high": 0}

    def test_without_the_truth_there_is_no_share(self) -> None:
        result = metrics.headline(
            make_predictions(), ["probability"], [1], 20, 1, ["probability", "base_rate"]
        )
        assert "share_of_oracle" not in result


class TestSliceMeasures:
    def test_by_hand(self) -> None:
        # On the list: a converter of "big", an other of "small", a converter of "small", an other of each.
        predictions = one_week([1, 0, 1, 0, 0], [0.5, 0.4, 0.3, 0.2, 0.1]).assign(
            size=["big", "small", "small", "big", "small"], base_rate=0.4
        )
        table = metrics.slice_measures(predictions, ["size"], [1, 3], samples=20, seed=1)
        assert table["by"].tolist() == ["all", "size", "size"]
        table = table.set_index("slice")
        assert table.index.tolist() == ["all prospects", "big", "small"]
        assert table["prospects"].tolist() == [5, 2, 3]
        assert table["conversions"].tolist() == table["converters"].tolist() == [2, 1, 1]
        assert table["prevalence"].tolist() == pytest.approx([0.4, 1 / 2, 1 / 3])
        assert table["share_of_conversions"].tolist() == [1, 0.5, 0.5]
        assert table["mean_probability"].tolist() == pytest.approx([0.3, 0.35, 0.8 / 3])
        assert table["expected_over_observed"].tolist() == pytest.approx([0.75, 0.7, 0.8])
        assert table["roc_auc"].tolist() == pytest.approx([5 / 6, 1, 1 / 2])
        assert table["recall_at_1"].tolist() == [0.5, 1, 0]
        assert table["recall_at_3"].tolist() == [1, 1, 1]
        assert table["log_loss_ratio"].loc["big"] == pytest.approx(np.log(0.5 * 0.8) / np.log(0.4 * 0.6))

    def test_slices_are_in_the_order_of_their_categories_and_those_without_rows_are_left_out(self) -> None:
        size = pd.Categorical(["z", "a", "z", "a"], categories=["z", "none", "a"])
        predictions = one_week([1, 0, 0, 0], [0.4, 0.3, 0.2, 0.1]).assign(size=size, base_rate=0.25)
        table = metrics.slice_measures(predictions, ["size"], [1], samples=20, seed=1)
        assert table["slice"].tolist() == ["all prospects", "z", "a"]
        without = table.iloc[2]
        assert (without["conversions"], without["converters"]) == (0, 0)
        undefined = ["expected_over_observed", "expected_over_observed_low", "roc_auc", "recall_at_1"]
        assert without[undefined].isna().all()
        assert without["log_loss_ratio"] > 0

    def test_all_prospects_are_measured_as_by_the_other_functions(self) -> None:
        predictions = make_predictions()
        table = metrics.slice_measures(predictions, [], TOP_K, samples=30, seed=1).iloc[0]
        ranking = metrics.headline(predictions, ["probability"], TOP_K, 30, 1)["rankers"]["probability"]
        for name in ("roc_auc", *(f"recall_at_{k}" for k in TOP_K)):
            assert table[name] == pytest.approx(ranking[name]["value"], abs=1e-6)
        probability = metrics.probability_measures(predictions, 30, 1)
        for name in ("expected_over_observed", "log_loss_ratio"):
            found = [table[name], table[f"{name}_low"], table[f"{name}_high"]]
            assert found == pytest.approx([*probability[name].values()], abs=1e-6)

    @given(st.integers(0, 1000))
    @settings(max_examples=15, deadline=None)
    def test_slices_part_the_whole_whatever_the_row_order(self, seed: int) -> None:
        predictions = make_predictions(seed=seed)
        part = np.random.default_rng(seed).integers(0, 4, len(predictions))
        predictions["part"] = part
        table = metrics.slice_measures(predictions, ["part"], [5], samples=20, seed=1)
        whole, slices = table.iloc[0], table.iloc[1:]
        assert slices[["prospects", "conversions"]].sum().tolist() == [len(part), predictions["label"].sum()]
        assert slices["share_of_conversions"].sum() == pytest.approx(1)
        expected = (slices["mean_probability"] * slices["prospects"]).sum()
        assert expected == pytest.approx(whole["mean_probability"] * whole["prospects"])
        shuffled = predictions.sample(frac=1, random_state=seed)
        again = metrics.slice_measures(shuffled, ["part"], [5], samples=20, seed=1)
        pd.testing.assert_frame_equal(again, table, check_exact=False, rtol=1e-9)


class TestPairedDifferences:
    COLUMNS = ("probability", "other")

    @staticmethod
    def two_columns(seed: int = 0) -> pd.DataFrame:
        predictions = make_predictions(seed=seed)
        noise = np.random.default_rng(seed).normal(0, 1, len(predictions))
        odds = predictions["probability"] / (1 - predictions["probability"]) * np.exp(noise)
        return predictions.assign(other=odds / (1 + odds))

    def test_by_hand(self) -> None:
        # The first ranks the conversions second and last, the second ranks them first and second.
        predictions = one_week([0, 1, 0, 1], [0.4, 0.3, 0.2, 0.1]).assign(other=[0.1, 0.8, 0.2, 0.5])
        found = metrics.paired_differences(predictions, *self.COLUMNS, [1, 2], samples=200, seed=1)
        assert list(found) == ["average_precision", "recall_at_1", "recall_at_2", "log_loss"]
        for name, first, second in (
            ("average_precision", (1 / 2 + 2 / 4) / 2, 1),
            ("recall_at_1", 0, 0.5),
            ("recall_at_2", 0.5, 1),
            ("log_loss", -np.log(0.6 * 0.3 * 0.8 * 0.1) / 4, -np.log(0.9 * 0.8 * 0.8 * 0.5) / 4),
        ):
            assert found[name]["first"] == pytest.approx(first, abs=1e-6)
            assert found[name]["second"] == pytest.approx(second, abs=1e-6)
            assert found[name]["difference"] == pytest.approx(second - first, abs=2e-6)

    def test_the_interval_is_that_of_samples_drawn_company_by_company(self) -> None:
        predictions = self.two_columns()
        losses = [
            -np.log(np.where(predictions["label"] == 1, predictions[column], 1 - predictions[column]))
            for column in self.COLUMNS
        ]
        by_company = np.bincount(predictions["id"] - 1, losses[1] - losses[0])
        rng = np.random.default_rng(7)
        count = len(by_company)
        sampled = [by_company[rng.integers(0, count, count)].sum() / len(predictions) for _ in range(100)]
        found = metrics.paired_differences(predictions, *self.COLUMNS, [], samples=100, seed=7)["log_loss"]
        assert [found["low"], found["high"]] == pytest.approx(np.percentile(sampled, [2.5, 97.5]), abs=1e-6)
        assert found["probability_better"] == pytest.approx(np.mean(np.array(sampled) < 0))

    @given(st.integers(0, 1000))
    @settings(max_examples=15, deadline=None)
    def test_swapped_columns_give_the_opposite(self, seed: int) -> None:
        predictions = self.two_columns(seed)
        there = metrics.paired_differences(predictions, *self.COLUMNS, TOP_K, samples=30, seed=1)
        back = metrics.paired_differences(predictions, *self.COLUMNS[::-1], TOP_K, samples=30, seed=1)
        for name, found in there.items():
            assert back[name]["first"] == found["second"]
            opposite = [-found["difference"], -found["high"], -found["low"]]
            assert [back[name][each] for each in ("difference", "low", "high")] == pytest.approx(
                opposite, abs=1.1e-6
            )
            assert back[name]["probability_better"] == pytest.approx(
                1 - found["probability_better"], abs=1e-6
            )

    def test_is_what_headline_says_of_a_baseline(self) -> None:
        predictions = self.two_columns()
        found = metrics.paired_differences(predictions, "other", "probability", TOP_K, samples=30, seed=1)
        columns = ["probability", "other"]
        headline = metrics.headline(predictions, columns, TOP_K, 30, seed=1, probabilities=columns)
        for name, difference in found.items():
            assert difference == headline["differences"]["other"][name] | {
                "first": difference["first"],
                "second": difference["second"],
            }

    def test_a_column_against_itself_is_even(self) -> None:
        found = metrics.paired_differences(make_predictions(), "probability", "probability", [5], 30, seed=1)
        for difference in found.values():
            assert (difference["difference"], difference["low"], difference["high"]) == (0, 0, 0)
            assert difference["probability_better"] == 0.5

    def test_the_better_column_is_better_in_every_measure(self) -> None:
        predictions = make_predictions(400, 6)
        noise = np.random.default_rng(0).permutation(predictions["probability"])
        found = metrics.paired_differences(
            predictions.assign(other=noise), "other", "probability", [50], 50, 1
        )
        assert all(difference["probability_better"] == 1 for difference in found.values())

    def test_without_conversions_ranking_is_null_and_loss_is_not(self) -> None:
        predictions = one_week([0, 0], [0.2, 0.1]).assign(other=0.05)
        found = metrics.paired_differences(predictions, *self.COLUMNS, [1], samples=5, seed=1)
        assert set(found["recall_at_1"].values()) == {None}
        assert found["log_loss"]["probability_better"] == 1

    @pytest.mark.parametrize("bad", [-0.1, 1.5])
    def test_refuses_what_is_no_probability(self, bad: float) -> None:
        predictions = one_week([0, 1], [0.2, 0.1]).assign(other=[0.3, bad])
        with pytest.raises(ValueError, match="other is no probability"):
            metrics.paired_differences(predictions, *self.COLUMNS, [1], samples=5, seed=1)


class TestProbabilityMeasures:
    def test_by_hand(self) -> None:
        assert metrics.log_loss([1, 0], [0.5, 0.2]) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
        assert metrics.brier_score([1, 0], [0.5, 0.2]) == pytest.approx((0.25 + 0.04) / 2)
        weighted = metrics.log_loss([1, 0], [0.5, 0.2], [3.0, 1.0])
        assert weighted == pytest.approx(-(3 * np.log(0.5) + np.log(0.8)) / 4)
        # Bins {.1, .1} and {.9, .9}: |.1 - 0| and |.9 - .5|, equally heavy.
        error = metrics.expected_calibration_error([0, 0, 1, 0], [0.1, 0.1, 0.9, 0.9], bins=2)
        assert error == pytest.approx((0.1 + 0.4) / 2)

    def test_agree_with_scikit_learn(self) -> None:
        predictions = make_predictions()
        label, probability = predictions["label"], predictions["probability"].to_numpy().copy()
        probability[:2] = [0, 1]
        assert metrics.log_loss(label, probability) == pytest.approx(reference.log_loss(label, probability))
        assert metrics.brier_score(label, probability) == pytest.approx(
            reference.brier_score_loss(label, probability)
        )

    def test_the_whole_table(self) -> None:
        predictions = make_predictions()
        result = metrics.probability_measures(predictions, samples=100, seed=1)
        label, probability = predictions["label"], predictions["probability"]
        base = np.full(len(label), 0.07)
        expected = {
            "log_loss": metrics.log_loss(label, probability),
            "brier_score": metrics.brier_score(label, probability),
            "ece": metrics.expected_calibration_error(label, probability),
            "expected_over_observed": probability.sum() / label.sum(),
            "base_rate_log_loss": metrics.log_loss(label, base),
            "base_rate_brier_score": metrics.brier_score(label, base),
            "log_loss_ratio": metrics.log_loss(label, probability) / metrics.log_loss(label, base),
        }
        assert set(result) == set(expected)
        for name, value in expected.items():
            assert result[name]["value"] == pytest.approx(value, abs=1e-6)
            assert result[name]["low"] < result[name]["high"]
        json.dumps(result, allow_nan=False)

    def test_without_a_base_rate_its_measures_are_null(self) -> None:
        result = metrics.probability_measures(make_predictions().drop(columns="base_rate"), samples=5, seed=1)
        assert result["log_loss_ratio"] == {"value": None, "low": None, "high": None}
        assert result["log_loss"]["value"] is not None

    def test_without_conversions_the_ratio_to_the_observed_is_null(self) -> None:
        result = metrics.probability_measures(one_week([0, 0], [0.2, 0.1]), samples=5, seed=1)
        assert result["expected_over_observed"]["value"] is None

    @given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 12))
    def test_equal_values_share_a_quantile_bin(self, values: list[int], bins: int) -> None:
        numbers = metrics.quantile_bins(values, bins)
        assert numbers.min() >= 0
        assert numbers.max() < bins
        order = np.argsort(values, kind="stable")
        assert (np.diff(numbers[order]) >= 0).all()
        assert len(set(zip(values, numbers.tolist(), strict=True))) == len(set(values))


class TestClassification:
    LABEL = (1, 1, 1, 0, 0, 0, 0, 0)
    PREDICTED = (1, 1, 0, 1, 0, 0, 0, 0)

    def test_by_hand(self) -> None:
        assert metrics.classification_measures(self.LABEL, self.PREDICTED) == {
            "accuracy": 0.75,
            "precision": 0.666667,
            "recall": 0.666667,
            "f1": 0.666667,
            "true_positives": 2,
            "false_positives": 1,
            "false_negatives": 1,
            "true_negatives": 4,
        }

    def test_undefined_is_null(self) -> None:
        measures = metrics.classification_measures([0, 0], [0, 0])
        assert (measures["accuracy"], measures["precision"]) == (1, None)
        assert (measures["recall"], measures["f1"]) == (None, None)

    def test_report_is_that_of_scikit_learn(self) -> None:
        expected = reference.classification_report(
            self.LABEL, self.PREDICTED, target_names=metrics.CLASSES, digits=4
        )
        assert metrics.classification_report(self.LABEL, self.PREDICTED).split() == expected.split()

    def test_report_of_no_decision(self) -> None:
        report = metrics.classification_report([0, 1], [0, 0])
        (line,) = [line for line in report.splitlines() if line.strip().startswith("conversion")]
        assert line.split() == ["conversion", "n/a", "0.0000", "0.0000", "1"]
        assert len({len(line) for line in report.splitlines() if line}) == 1


class TestChooseThreshold:
    LABEL = (1, 0, 1, 0, 1, 0)
    PROBABILITY = (0.9, 0.8, 0.7, 0.4, 0.3, 0.1)

    @pytest.mark.parametrize(
        ("strategy", "value", "expected"),
        [
            ("fixed", 0.05, 0.05),
            ("f1", 0.5, 0.3),  # F1 by threshold: .5, .4, .667, .571, .75, .667
            ("precision", 0.6, 0.3),  # precision: 1, .5, .667, .5, .6, .5
            ("precision", 0.65, 0.7),
            ("precision", 0.99, 0.9),
            ("recall", 0.3, 0.9),
            ("recall", 0.5, 0.7),
            ("recall", 0.99, 0.3),
        ],
    )
    def test_by_hand(self, strategy: metrics.Strategy, value: float, expected: float) -> None:
        assert metrics.choose_threshold(self.LABEL, self.PROBABILITY, None, strategy, value) == expected

    def test_no_threshold_reaches_the_precision(self) -> None:
        # Precision: 0, .5, .333, .5: the best is .5, first reached at .8, still there at .2.
        threshold = metrics.choose_threshold([0, 1, 0, 1], [0.9, 0.8, 0.5, 0.2], None, "precision", 0.7)
        assert threshold == 0.2

    def test_equal_probabilities_are_decided_together(self) -> None:
        threshold = metrics.choose_threshold([1, 0, 0, 1], [0.5, 0.5, 0.5, 0.4], None, "precision", 0.45)
        assert threshold == 0.4

    def test_a_weight_is_so_many_rows(self) -> None:
        rng = np.random.default_rng(1)
        label, probability = rng.integers(0, 2, 60), rng.integers(1, 20, 60) / 20
        weight = rng.integers(0, 4, 60)
        cases: list[tuple[metrics.Strategy, float]] = [("f1", 0.5), ("precision", 0.55), ("recall", 0.4)]
        for strategy, value in cases:
            weighted = metrics.choose_threshold(label, probability, weight, strategy, value)
            repeated = metrics.choose_threshold(
                np.repeat(label, weight), np.repeat(probability, weight), None, strategy, value
            )
            assert weighted == repeated

    def test_needs_a_conversion(self) -> None:
        with pytest.raises(UserError, match=r"train\.threshold: f1 needs conversions"):
            metrics.choose_threshold([0, 0], [0.2, 0.1], None, "f1", 0.5)
        assert metrics.choose_threshold([0, 0], [0.2, 0.1], None, "fixed", 0.5) == 0.5


class TestBusinessMeasures:
    def test_by_hand(self) -> None:
        # Company 1 is called twice while label 1 and counts once; 2 is called only before its label is 1, and
        # missed then; 3 is never called.
        predictions = pd.DataFrame(
            {
                "id": [1, 2, 3, 4, 1, 2, 3, 4],
                "as_of": pd.to_datetime(["2020-01-06"] * 4 + ["2020-01-13"] * 4),
                "label": [1, 0, 0, 0, 1, 1, 1, 0],
                "MRR": 0.0,
                "probability": [0.9, 0.8, 0.1, 0.2, 0.9, 0.3, 0.1, 0.8],
            }
        )
        assert metrics.business_measures(predictions, 2, 1000.0, 25.0) == {
            "contacts": 4,
            "companies_called": 3,
            "conversions_reached": 1,
            "conversions_missed": 2,
            "revenue": 1000.0,
            "cost": 100.0,
            "profit": 900.0,
            "return_on_investment": 9.0,
        }

    def test_a_short_list_and_free_calls(self) -> None:
        measures = metrics.business_measures(one_week([1, 0], [0.2, 0.1]), 50, 10.0, 0.0)
        assert (measures["contacts"], measures["return_on_investment"]) == (2, None)


class TestPopulationStabilityIndex:
    def test_by_hand(self) -> None:
        # Shares .5 and .5 became .25 and .75.
        index = metrics.population_stability_index([0, 0, 1, 1], [0, 1, 1, 1])
        assert index == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))

    def test_nothing_moved(self) -> None:
        values = np.random.default_rng(0).lognormal(size=1000)
        assert metrics.population_stability_index(values, values[::-1]) == pytest.approx(0, abs=1e-9)

    def test_weights_are_so_many_rows(self) -> None:
        rng = np.random.default_rng(0)
        old, new, weight = rng.normal(size=300), rng.normal(0.5, 1, 300), rng.integers(0, 4, 300)
        weighted = metrics.population_stability_index(old, new, weight)
        assert weighted == pytest.approx(metrics.population_stability_index(np.repeat(old, weight), new))
        assert weighted > 0.1

    def test_missing_is_a_bin(self) -> None:
        index = metrics.population_stability_index([1, np.nan], [np.nan, np.nan])
        assert index == pytest.approx(0.5 * np.log(2) + (1e-4 - 0.5) * np.log(1e-4 / 0.5), rel=1e-6)
        assert metrics.population_stability_index([np.nan], [np.nan]) == 0

    @pytest.mark.parametrize("rare", [0, 1])
    def test_a_rare_flag_that_becomes_common_is_seen(self, rare: int) -> None:
        old = np.array([rare] * 10 + [1 - rare] * 990)
        new = np.array([rare] * 300 + [1 - rare] * 700)
        assert metrics.population_stability_index(old, new) > 0.25

    def test_an_empty_side_is_undefined(self) -> None:
        assert np.isnan(metrics.population_stability_index([], [1.0]))
        assert np.isnan(metrics.population_stability_index([1.0], []))
