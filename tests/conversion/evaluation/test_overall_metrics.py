import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from conversion.evaluation.bootstrap import resample
from conversion.evaluation.overall_metrics import paired_differences, ranker_measures
from conversion.evaluation.ranking_metrics import measure_names, weekly_measures
from conversion.stats.losses import log_loss
from tests.predictions import RANKERS, TOP_K, make_predictions, one_week


class TestRankerMeasures:
    def test_with_all_weights_one_the_interval_is_the_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ones(companies: int, samples: int, seed: int) -> list[np.ndarray]:
            assert seed == 1
            return [np.ones((companies, samples), dtype=np.float32)]

        monkeypatch.setattr("conversion.evaluation.bootstrap.company_weights", ones)
        result = ranker_measures(resample(make_predictions(), 3, 1), RANKERS, TOP_K)
        for measures in result["rankers"].values():
            assert all(each["value"] == each["low"] == each["high"] for each in measures.values())
        for differences in result["differences"].values():
            assert all(each["difference"] == each["low"] == each["high"] for each in differences.values())

    def test_value_is_the_mean_of_the_weeks_with_conversions(self) -> None:
        predictions = make_predictions()
        first = predictions["as_of"] == predictions["as_of"].min()
        predictions.loc[first, ["label", "MRR"]] = 0
        result = ranker_measures(resample(predictions, 20, 1), ["users_rule"], TOP_K)
        weekly = weekly_measures(predictions, "users_rule", TOP_K)
        assert (result["cutoffs"], result["cutoffs_with_conversions"]) == (4, 3)
        for name in measure_names(TOP_K):
            assert result["rankers"]["users_rule"][name]["value"] == pytest.approx(
                weekly[name].mean(), abs=1e-6
            )
        assert result["differences"] == {}

    def test_differences_are_paired(self) -> None:
        predictions = make_predictions()
        predictions["twin"] = predictions["probability"] * 2
        result = ranker_measures(resample(predictions, 50, 1), ["probability", "twin", "random"], TOP_K)
        twin = result["differences"]["twin"]
        assert set(twin) == {"average_precision", "roc_auc", *(f"recall_at_{k}" for k in TOP_K)}
        assert twin["roc_auc"] == {"difference": 0, "low": 0, "high": 0, "probability_better": 0.5}
        assert result["differences"]["random"]["roc_auc"]["probability_better"] == 1

    def test_probabilities_are_compared_as_probabilities_too(self) -> None:
        predictions = make_predictions()
        result = ranker_measures(
            resample(predictions, 50, 1),
            ["probability", "random"],
            TOP_K,
            probabilities=["probability", "base_rate"],
        )
        assert set(result["rankers"]) == {"probability", "random"}
        assert set(result["differences"]) == {"random", "base_rate"}
        assert set(result["differences"]["base_rate"]) == {"log_loss", "brier_score"}
        assert "log_loss" not in result["differences"]["random"]
        label = predictions["label"]
        for name, of in (("log_loss", log_loss), ("brier_score", brier_score_loss)):
            difference = result["differences"]["base_rate"][name]
            assert difference["difference"] == pytest.approx(
                of(label, predictions["probability"]) - of(label, predictions["base_rate"]), abs=1e-6
            )
            assert difference["low"] < difference["difference"] < difference["high"] < 0
            assert difference["probability_better"] == 1

    def test_repeats_itself_whatever_the_row_order_and_chunk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictions = make_predictions()
        first = ranker_measures(resample(predictions, 30, 1), RANKERS, TOP_K)
        monkeypatch.setattr("conversion.stats.resampling._CHUNK_WEIGHTS", 1000)
        shuffled = predictions.sample(frac=1, random_state=0)
        assert ranker_measures(resample(shuffled, 30, 1), RANKERS, TOP_K) == first
        assert ranker_measures(resample(predictions, 30, 2), RANKERS, TOP_K) != first

    def test_resamples_companies_not_rows(self) -> None:
        # The same list four times over holds no more evidence than once.
        once = make_predictions(300, 1)
        weeks = [once.assign(as_of=once["as_of"] + pd.Timedelta(weeks=week)) for week in range(4)]
        narrow = ranker_measures(resample(pd.concat(weeks), 40, 1), RANKERS, TOP_K)
        wide = ranker_measures(resample(once, 40, 1), RANKERS, TOP_K)
        assert narrow["rankers"] == wide["rankers"]

    def test_without_any_conversion_measures_are_null(self) -> None:
        result = ranker_measures(resample(one_week([0, 0], [0.2, 0.1]), 5, 1), ["probability"], [1])
        assert result["rankers"]["probability"]["roc_auc"] == {"value": None, "low": None, "high": None}
        json.dumps(result, allow_nan=False)

    def test_the_interval_of_a_poor_ranker_is_not_biased(self) -> None:
        result = ranker_measures(resample(make_predictions(400, 6), 100, 1), ["random"], [5])
        measure = result["rankers"]["random"]["average_precision"]
        assert measure["low"] < measure["value"] < measure["high"]


class TestShareOfOracle:
    RANKERS = ("probability", "oracle")
    PROBABILITIES = ("probability", "base_rate", "oracle")

    def share(self, predictions: pd.DataFrame, samples: int = 20) -> dict[str, Any]:
        result = ranker_measures(resample(predictions, samples, 1), self.RANKERS, [1], self.PROBABILITIES)
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
        result = ranker_measures(
            resample(make_predictions(), 20, 1), ["probability"], [1], ["probability", "base_rate"]
        )
        assert "share_of_oracle" not in result


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
        found = paired_differences(predictions, *self.COLUMNS, [1, 2], samples=200, seed=1)
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
        found = paired_differences(predictions, *self.COLUMNS, [], samples=100, seed=7)["log_loss"]
        assert [found["low"], found["high"]] == pytest.approx(np.percentile(sampled, [2.5, 97.5]), abs=1e-6)
        assert found["probability_better"] == pytest.approx(np.mean(np.array(sampled) < 0))

    @given(st.integers(0, 1000))
    @settings(max_examples=15, deadline=None)
    def test_swapped_columns_give_the_opposite(self, seed: int) -> None:
        predictions = self.two_columns(seed)
        there = paired_differences(predictions, *self.COLUMNS, TOP_K, samples=30, seed=1)
        back = paired_differences(predictions, *self.COLUMNS[::-1], TOP_K, samples=30, seed=1)
        for name, found in there.items():
            assert back[name]["first"] == found["second"]
            opposite = [-found["difference"], -found["high"], -found["low"]]
            assert [back[name][each] for each in ("difference", "low", "high")] == pytest.approx(
                opposite, abs=1.1e-6
            )
            assert back[name]["probability_better"] == pytest.approx(
                1 - found["probability_better"], abs=1e-6
            )

    def test_is_what_the_ranker_measures_say_of_a_baseline(self) -> None:
        predictions = self.two_columns()
        found = paired_differences(predictions, "other", "probability", TOP_K, samples=30, seed=1)
        columns = ["probability", "other"]
        said = ranker_measures(resample(predictions, 30, 1), columns, TOP_K, probabilities=columns)
        for name, difference in found.items():
            assert difference == said["differences"]["other"][name] | {
                "first": difference["first"],
                "second": difference["second"],
            }

    def test_a_column_against_itself_is_even(self) -> None:
        found = paired_differences(make_predictions(), "probability", "probability", [5], 30, seed=1)
        for difference in found.values():
            assert (difference["difference"], difference["low"], difference["high"]) == (0, 0, 0)
            assert difference["probability_better"] == 0.5

    def test_the_better_column_is_better_in_every_measure(self) -> None:
        predictions = make_predictions(400, 6)
        noise = np.random.default_rng(0).permutation(predictions["probability"])
        found = paired_differences(predictions.assign(other=noise), "other", "probability", [50], 50, 1)
        assert all(difference["probability_better"] == 1 for difference in found.values())

    def test_without_conversions_ranking_is_null_and_loss_is_not(self) -> None:
        predictions = one_week([0, 0], [0.2, 0.1]).assign(other=0.05)
        found = paired_differences(predictions, *self.COLUMNS, [1], samples=5, seed=1)
        assert set(found["recall_at_1"].values()) == {None}
        assert found["log_loss"]["probability_better"] == 1

    @pytest.mark.parametrize("bad", [-0.1, 1.5])
    def test_refuses_what_is_no_probability(self, bad: float) -> None:
        predictions = one_week([0, 1], [0.2, 0.1]).assign(other=[0.3, bad])
        with pytest.raises(ValueError, match="other is no probability"):
            paired_differences(predictions, *self.COLUMNS, [1], samples=5, seed=1)
