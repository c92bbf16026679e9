import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference

from conversion.evaluation import curves
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.decision_metrics import decision_counts
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.stats.rank_order import rank_order
from tests.predictions import (
    drawn_slices,
    gains_of,
    histogram_of,
    precision_recall_of,
    reliability_of,
    roc_of,
    sliced_by,
    unranked_week,
)


class TestCurves:
    def test_roc_by_hand(self) -> None:
        table = roc_of(unranked_week([1, 0, 1, 0], [0.9, 0.8, 0.8, 0.1]))
        assert table["false_positive_rate"].tolist() == [0, 0, 0.5, 1]
        assert table["true_positive_rate"].tolist() == [0, 0.5, 1, 1]

    def test_precision_recall_by_hand(self) -> None:
        table = precision_recall_of(unranked_week([1, 0, 1, 0], [0.9, 0.8, 0.8, 0.1]))
        assert table["recall"].tolist() == [0.5, 1, 1]
        assert table["precision"].tolist() == [1, 0.666667, 0.5]
        assert table["threshold"].tolist() == [0.9, 0.8, 0.1]

    def test_few_points_keep_the_area(self, predictions: pd.DataFrame) -> None:
        table = roc_of(predictions)
        assert len(table) <= 200
        area = np.trapezoid(table["true_positive_rate"], table["false_positive_rate"])
        expected = reference.roc_auc_score(predictions["label"], predictions["probability"])
        assert area == pytest.approx(expected, abs=0.005)

    def test_precision_recall_ends_at_the_prevalence(self, predictions: pd.DataFrame) -> None:
        table = precision_recall_of(predictions)
        assert len(table) <= 200
        assert table["recall"].is_monotonic_increasing
        last = table.iloc[-1]
        assert (last["recall"], last["precision"]) == (
            1,
            pytest.approx(predictions["label"].mean(), abs=1e-6),
        )


class TestReliability:
    def test_by_hand(self) -> None:
        scores = np.arange(1, 101) / 200
        table = reliability_of(unranked_week([0] * 90 + [1] * 10, scores.tolist()))
        assert table["prospects"].tolist() == [10] * 9 + [5, 3, 1, 1]
        assert table["conversions"].tolist() == [0] * 9 + [5, 3, 1, 1]
        assert table["mean_probability"].iloc[0] == pytest.approx(5.5 / 200)
        assert table["observed_share"].tolist() == [0] * 9 + [1] * 4

    def test_every_prospect_is_in_one_bin(self, predictions: pd.DataFrame) -> None:
        table = reliability_of(predictions)
        assert table["prospects"].sum() == len(predictions)
        assert table["conversions"].sum() == predictions["label"].sum()
        assert table["mean_probability"].is_monotonic_increasing


class TestSlices:
    def test_months_compare_expected_and_observed(self, predictions: pd.DataFrame) -> None:
        table = curves.expected_over_observed_table(sliced_by(predictions, "month"))
        assert table["month"].tolist() == ["2020-01", "2020-02"]
        assert table["prospects"].sum() == len(predictions)
        assert table["conversions"].sum() == predictions["label"].sum()
        assert table["expected_conversions"].sum() == pytest.approx(
            predictions["probability"].sum(), abs=0.02
        )
        ratio = table["expected_conversions"] / table["conversions"]
        np.testing.assert_allclose(table["expected_over_observed"], ratio, rtol=1e-3)
        assert (table["low"] < ratio).all()
        assert (ratio < table["high"]).all()

    def test_a_month_without_conversions_is_left_out(self, predictions: pd.DataFrame) -> None:
        quiet = predictions.assign(label=predictions["label"].where(predictions["as_of"] < "2020-02-01", 0))
        table = curves.expected_over_observed_table(sliced_by(quiet, "month"))
        assert table["month"].tolist() == ["2020-01"]

    def test_the_drawn_measures_are_those_of_the_slices(self, predictions: pd.DataFrame) -> None:
        slices = drawn_slices(predictions)
        table = curves.slices_table(slices).set_index(["measure", "slice"])
        assert len(table) == 4 * 3 - 1, "the whole has no share of itself"
        assert ("share of all conversions", "all prospects") not in table.index
        old = slices.set_index("slice").loc["old"]
        for measure, title in (
            ("expected_over_observed", "conversions expected for each that happened"),
            ("recall_at_50", "share of its conversions among the first 50 calls"),
            ("roc_auc", "chance that one that converts is above one that does not (random: 50 %)"),
        ):
            found = table.loc[(title, "old"), ["value", "low", "high"]]
            expected = [old[f"{measure}{each}"] for each in ("", "_low", "_high")]
            assert found.tolist() == pytest.approx(expected, abs=1e-6)
            assert found["low"] < found["value"] < found["high"], "an interval in every panel"
        assert table["place"].groupby(level="slice").nunique().eq(1).all()

    def test_of_few_that_convert_only_the_share_is_drawn(self, predictions: pd.DataFrame) -> None:
        few = predictions[(predictions["part"] == "young") | (predictions["label"] == 0)]
        converters = predictions[(predictions["part"] == "old") & (predictions["label"] == 1)]
        some = converters["id"].unique()[:4]
        rows = pd.concat([few, converters[converters["id"].isin(some)]])
        table = curves.slices_table(drawn_slices(rows))
        assert table.loc[table["slice"] == "old", "measure"].tolist() == ["share of all conversions"]


class TestGains:
    def test_by_hand(self) -> None:
        labels, scores = [1] * 2 + [0] * 8, list(np.linspace(1, 0, 10))
        table = gains_of(unranked_week(labels, scores))
        assert table["ranker"].unique().tolist() == ["model"]
        assert table["calls"].tolist() == list(range(11)), "to the end of the list"
        assert table["share_of_conversions"].tolist() == [0, 0.5] + [1] * 9
        assert np.isnan(table["lift"].iloc[0])
        assert table["lift"].iloc[[1, 2, 4, 10]].tolist() == [5, 5, 2.5, 1]

    def test_is_the_recall_of_the_lists(self, predictions: pd.DataFrame) -> None:
        table = gains_of(predictions)
        model = table[table["ranker"] == "model"].set_index("calls")["share_of_conversions"]
        labels = [
            week["label"].to_numpy()[rank_order(week["probability"], week["id"])]
            for _, week in predictions.groupby("as_of")
        ]
        for calls in (1, 17, 50, 60, 490, 500):
            caught = sum(int(label[:calls].sum()) for label in labels)
            assert model[calls] == pytest.approx(caught / predictions["label"].sum(), abs=1e-6)

    def test_the_first_fifty_calls_one_by_one_and_five_hundred_at_most(
        self, predictions: pd.DataFrame
    ) -> None:
        model = gains_of(predictions, ["probability"])
        assert model["calls"].tolist() == [*range(50), *range(50, 501, 10)]

    def test_shorter_lists_than_others_are_called_to_their_end(self) -> None:
        longer = unranked_week([0, 1, 0, 1], [0.4, 0.3, 0.2, 0.1])
        shorter = unranked_week([0, 1], [0.4, 0.3]).assign(as_of=pd.Timestamp("2020-01-13"))
        table = gains_of(pd.concat([longer, shorter], ignore_index=True))
        assert table["calls"].tolist() == [0, 1, 2, 3, 4]
        assert table["share_of_conversions"].tolist() == pytest.approx([0, 0, 2 / 3, 2 / 3, 1], abs=1e-6)
        assert table["lift"].iloc[3] == pytest.approx((2 / 3) / (5 / 6), abs=1e-6)

    def test_rankers_that_are_there_in_legend_order(self, predictions: pd.DataFrame) -> None:
        names = gains_of(predictions)["ranker"].unique().tolist()
        rules = ["rule: most users, last 4 weeks", "rule: most actions, last 4 weeks"]
        assert names == ["model", *rules, "random order"]
        with_oracle = gains_of(predictions.assign(oracle=predictions["label"] * 1.0))
        assert with_oracle["ranker"].unique()[-1] == "best possible order (known on the sample)"

    def test_the_interval_is_around_the_share_and_that_of_the_recall(self, predictions: pd.DataFrame) -> None:
        table = curves.gains_table(resample(predictions, 200, 1), ["probability"]).set_index("calls")
        inner = table.loc[5:490]
        assert (inner["low"] <= inner["share_of_conversions"]).all()
        assert (inner["share_of_conversions"] <= inner["high"]).all()
        one = predictions[predictions["as_of"] == predictions["as_of"].min()]
        ranking = ranker_measures(resample(one, 200, 1), ["probability"], [50])["rankers"]["probability"][
            "recall_at_50"
        ]
        of_one = curves.gains_table(resample(one, 200, 1), ["probability"]).set_index("calls").loc[50]
        found = of_one[["share_of_conversions", "low", "high"]].tolist()
        assert found == pytest.approx(list(ranking.values()), abs=1e-6)

    def test_starts_at_nothing_and_ends_at_everything(self, predictions: pd.DataFrame) -> None:
        few = predictions[predictions["id"] < 300]
        by_ranker = gains_of(few).groupby("ranker")["share_of_conversions"]
        assert (by_ranker.first() == 0).all()
        assert (by_ranker.last() == 1).all()


class TestOtherTables:
    def test_precision_over_time(self, predictions: pd.DataFrame) -> None:
        quiet = predictions.assign(label=predictions["label"].where(predictions["as_of"] > "2020-01-06", 0))
        table = curves.precision_over_time_table(resample(quiet, 50, 1), [5, 20, 50])
        assert table["calls"].unique().tolist() == [5, 20, 50]
        assert table["ranker"].unique().tolist() == [
            "model",
            "rule: most users, last 4 weeks",
            "random order",
        ]
        weekly = weekly_measures(quiet, "probability", [5, 50])
        model = table[(table["calls"] == 50) & (table["ranker"] == "model")].reset_index(drop=True)
        assert model["as_of"].tolist() == weekly["as_of"].dt.strftime("%Y-%m-%d").tolist()
        assert model["precision"].tolist() == pytest.approx([0, *weekly["precision_at_50"][1:]], abs=1e-6)
        precision = model["precision"]
        assert model["mean"].tolist() == pytest.approx(
            [
                precision[:3].mean(),
                precision[:4].mean(),
                precision.mean(),
                precision[1:].mean(),
                precision[2:].mean(),
            ],
            abs=1e-6,
        )
        assert (model["low"] <= model["mean"]).all()
        assert (model["mean"] <= model["high"]).all()
        random = table[(table["calls"] == 5) & (table["ranker"] == "random order")]
        assert random["precision"].tolist() == pytest.approx(weekly["prevalence"].tolist(), abs=1e-6)

    def test_precision_is_drawn_at_three_list_lengths_at_most_beside_the_rule_there_is(
        self, predictions: pd.DataFrame
    ) -> None:
        without_users = predictions.drop(columns="users_rule")
        table = curves.precision_over_time_table(resample(without_users, 20, 1), [1, 2, 3, 4, 5])
        assert table["calls"].unique().tolist() == [1, 3, 5]
        assert "rule: most actions, last 4 weeks" in set(table["ranker"])
        alone = curves.precision_over_time_table(resample(predictions, 20, 1), [7])
        assert alone["calls"].unique().tolist() == [7]

    def test_histogram_counts_everyone_once(self, predictions: pd.DataFrame) -> None:
        extremes = predictions.assign(
            probability=predictions["probability"].where(predictions["id"] > 1, 0.0)
        )
        extremes.loc[0, "probability"] = 1.0
        table = histogram_of(extremes)
        assert len(table) == 80
        counts = table.groupby("outcome")["prospects"].sum()
        assert counts["conversion"] == predictions["label"].sum()
        assert counts.sum() == len(predictions)
        np.testing.assert_allclose(table.groupby("outcome")["share"].sum(), 1, atol=1e-6)

    def test_confusion(self) -> None:
        table = curves.confusion_table(decision_counts([1, 1, 0, 0, 0], [1, 0, 0, 0, 1]))
        assert table.to_dict("list") == {
            "actual": ["no conversion", "no conversion", "conversion", "conversion"],
            "predicted": ["no conversion", "conversion", "no conversion", "conversion"],
            "prospects": [2, 1, 1, 1],
        }
