from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from matplotlib.figure import Figure

from conversion.evaluation import curves, figures
from conversion.evaluation.drawing import save_png
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.evaluation.slice_metrics import slice_measures
from conversion.stats.rank_order import rank_order


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    companies, weeks = 600, []
    for week in range(5):
        truth = 1 / (1 + np.exp(-rng.normal(-4, 1.5, companies)))
        label = (rng.random(companies) < truth).astype(int)
        weeks.append(
            pd.DataFrame(
                {
                    "id": np.arange(companies),
                    "as_of": pd.Timestamp("2020-01-06") + pd.Timedelta(weeks=week),
                    "label": label,
                    "MRR": label * 100.0,
                    "probability": truth * rng.uniform(0.5, 1, companies),
                    "users_rule": rng.integers(0, 4, companies) + label,
                    "actions_rule": rng.integers(0, 9, companies) * 1.0,
                    "random": rng.random(companies),
                    "base_rate": 0.03,
                    "part": np.where(np.arange(companies) < 200, "old", "young"),
                }
            )
        )
    return pd.concat(weeks, ignore_index=True)


def tiny(labels: list[int], scores: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": range(len(labels)),
            "as_of": pd.Timestamp("2020-01-06"),
            "label": labels,
            "MRR": 0.0,
            "probability": scores,
        }
    )


class TestCurves:
    def test_roc_by_hand(self) -> None:
        table = curves.roc_curve_table(tiny([1, 0, 1, 0], [0.9, 0.8, 0.8, 0.1]))
        assert table["false_positive_rate"].tolist() == [0, 0, 0.5, 1]
        assert table["true_positive_rate"].tolist() == [0, 0.5, 1, 1]

    def test_precision_recall_by_hand(self) -> None:
        table = curves.precision_recall_table(tiny([1, 0, 1, 0], [0.9, 0.8, 0.8, 0.1]))
        assert table["recall"].tolist() == [0.5, 1, 1]
        assert table["precision"].tolist() == [1, 0.666667, 0.5]
        assert table["threshold"].tolist() == [0.9, 0.8, 0.1]

    def test_few_points_keep_the_area(self, predictions: pd.DataFrame) -> None:
        table = curves.roc_curve_table(predictions)
        assert len(table) <= 200
        area = np.trapezoid(table["true_positive_rate"], table["false_positive_rate"])
        expected = reference.roc_auc_score(predictions["label"], predictions["probability"])
        assert area == pytest.approx(expected, abs=0.005)

    def test_precision_recall_ends_at_the_prevalence(self, predictions: pd.DataFrame) -> None:
        table = curves.precision_recall_table(predictions)
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
        table = reliability(tiny([0] * 90 + [1] * 10, scores.tolist()))
        assert table["prospects"].tolist() == [10] * 9 + [5, 3, 1, 1]
        assert table["conversions"].tolist() == [0] * 9 + [5, 3, 1, 1]
        assert table["mean_probability"].iloc[0] == pytest.approx(5.5 / 200)
        assert table["observed_share"].tolist() == [0] * 9 + [1] * 4

    def test_the_interval_is_drawn_around_each_point(self, predictions: pd.DataFrame) -> None:
        table = reliability(predictions)
        seen = table[table["conversions"] > 0]
        assert (seen["low"] <= seen["observed_share"]).all()
        assert (seen["observed_share"] <= seen["high"]).all()
        assert (seen["low"] < seen["high"]).any()
        axes = figures.reliability_figure(table).axes[0]
        assert "95 % interval" in axes.get_legend_handles_labels()[1]
        (intervals,) = axes.collections
        drawn = [path.vertices[:, 1].tolist() for path in intervals.get_paths()]
        lower_edge = axes.get_ylim()[0]
        expected = [[max(low, lower_edge), high] for low, high in zip(seen["low"], seen["high"], strict=True)]
        np.testing.assert_allclose(drawn, expected)
        assert not list(axes.texts), "no numbers that could collide"

    def test_every_prospect_is_in_one_bin(self, predictions: pd.DataFrame) -> None:
        table = reliability(predictions)
        assert table["prospects"].sum() == len(predictions)
        assert table["conversions"].sum() == predictions["label"].sum()
        assert table["mean_probability"].is_monotonic_increasing


class TestSlices:
    def test_months_compare_expected_and_observed(self, predictions: pd.DataFrame) -> None:
        table = curves.expected_over_observed_table(sliced(predictions, "month"))
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

    def test_the_conversions_of_a_month_stand_below_it_where_no_line_runs(
        self, predictions: pd.DataFrame
    ) -> None:
        table = curves.expected_over_observed_table(sliced(predictions, "month"))
        axes = figures.expected_over_observed_figure(table).axes[0]
        assert not list(axes.texts)
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == [f"{row.month}\n{row.conversions:,}" for row in table.itertuples()]

    def test_a_month_without_conversions_is_left_out(self, predictions: pd.DataFrame) -> None:
        quiet = predictions.assign(label=predictions["label"].where(predictions["as_of"] < "2020-02-01", 0))
        table = curves.expected_over_observed_table(sliced(quiet, "month"))
        assert table["month"].tolist() == ["2020-01"]

    def test_the_drawn_measures_are_those_of_the_slices(self, predictions: pd.DataFrame) -> None:
        slices = sliced(predictions, "part", all_too=True)
        table = curves.slices_table(slices).set_index(["measure", "slice"])
        assert len(table) == 5 * 3
        old = slices.set_index("slice").loc["old"]
        found = table.loc[("expected over observed", "old")]
        names = ("", "_low", "_high")
        assert found.tolist() == pytest.approx([old[f"expected_over_observed{each}"] for each in names], 1e-4)
        assert table.loc[("recall at 50 of the whole list", "old"), "value"] == pytest.approx(
            old["recall_at_50"], abs=1e-6
        )


class TestGains:
    def test_by_hand(self) -> None:
        labels, scores = [1] * 2 + [0] * 8, list(np.linspace(1, 0, 10))
        table = curves.gains_table(tiny(labels, scores))
        assert table["ranker"].unique().tolist() == ["model"]
        assert table["calls"].tolist() == list(range(11)), "to the end of the list"
        assert table["share_of_conversions"].tolist() == [0, 0.5] + [1] * 9
        assert np.isnan(table["lift"].iloc[0])
        assert table["lift"].iloc[[1, 2, 4, 10]].tolist() == [5, 5, 2.5, 1]

    def test_is_the_recall_of_the_lists(self, predictions: pd.DataFrame) -> None:
        table = curves.gains_table(predictions)
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
        model = curves.gains_table(predictions, ["probability"])
        assert model["calls"].tolist() == [*range(50), *range(50, 501, 10)]

    def test_shorter_lists_than_others_are_called_to_their_end(self) -> None:
        longer = tiny([0, 1, 0, 1], [0.4, 0.3, 0.2, 0.1])
        shorter = tiny([0, 1], [0.4, 0.3]).assign(as_of=pd.Timestamp("2020-01-13"))
        table = curves.gains_table(pd.concat([longer, shorter], ignore_index=True))
        assert table["calls"].tolist() == [0, 1, 2, 3, 4]
        assert table["share_of_conversions"].tolist() == pytest.approx([0, 0, 2 / 3, 2 / 3, 1], abs=1e-6)
        assert table["lift"].iloc[3] == pytest.approx((2 / 3) / (5 / 6), abs=1e-6)

    def test_rankers_that_are_there_in_legend_order(self, predictions: pd.DataFrame) -> None:
        names = curves.gains_table(predictions)["ranker"].unique().tolist()
        assert names == ["model", "rule: most users", "rule: most actions", "random order"]
        with_oracle = curves.gains_table(predictions.assign(oracle=predictions["label"] * 1.0))
        assert with_oracle["ranker"].unique()[1] == "oracle (true probability)"

    def test_the_figure_has_the_first_fifty_calls_and_all_with_the_rules(
        self, predictions: pd.DataFrame
    ) -> None:
        first, all_calls = figures.gains_figure(curves.gains_table(predictions)).axes
        assert (first.get_xlim(), all_calls.get_xlim()) == ((0, 50), (0, 500))
        for axes in (first, all_calls):
            drawn = {line.get_label() for line in axes.lines}
            assert drawn == {"model", "rule: most users", "rule: most actions", "random order"}
        highest = max(line.get_ydata().max() for line in first.lines)
        assert highest > 0.8 * first.get_ylim()[1], "the first calls fill their panel"

    def test_starts_at_nothing_and_ends_at_everything(self, predictions: pd.DataFrame) -> None:
        few = predictions[predictions["id"] < 300]
        by_ranker = curves.gains_table(few).groupby("ranker")["share_of_conversions"]
        assert (by_ranker.first() == 0).all()
        assert (by_ranker.last() == 1).all()


class TestOtherTables:
    def test_precision_over_time(self, predictions: pd.DataFrame) -> None:
        quiet = predictions.assign(label=predictions["label"].where(predictions["as_of"] > "2020-01-06", 0))
        weekly = weekly_measures(quiet, "probability", [5, 50])
        table = curves.precision_over_time_table(weekly)
        assert table.columns.tolist() == ["as_of", "precision_at_5", "precision_at_50", "prevalence"]
        assert table["as_of"].tolist()[:2] == ["2020-01-06", "2020-01-13"]
        assert table.iloc[0, 1:].tolist() == [0, 0, 0]
        assert table["precision_at_5"].iloc[1] == pytest.approx(weekly["precision_at_5"].iloc[1])

    def test_histogram_counts_everyone_once(self, predictions: pd.DataFrame) -> None:
        extremes = predictions.assign(
            probability=predictions["probability"].where(predictions["id"] > 1, 0.0)
        )
        extremes.loc[0, "probability"] = 1.0
        table = curves.probability_histogram_table(extremes)
        assert len(table) == 80
        counts = table.groupby("outcome")["prospects"].sum()
        assert counts["conversion"] == predictions["label"].sum()
        assert counts.sum() == len(predictions)
        np.testing.assert_allclose(table.groupby("outcome")["share"].sum(), 1, atol=1e-6)

    def test_confusion(self) -> None:
        table = curves.confusion_table([1, 1, 0, 0, 0], [1, 0, 0, 0, 1])
        assert table.to_dict("list") == {
            "actual": ["no conversion", "no conversion", "conversion", "conversion"],
            "predicted": ["no conversion", "conversion", "no conversion", "conversion"],
            "prospects": [2, 1, 1, 1],
        }

    @pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
    def test_one_class_alone(self, labels: list[int]) -> None:
        week = tiny(labels, [0.3, 0.2, 0.2])
        for table in (curves.roc_curve_table, curves.precision_recall_table, reliability):
            assert not table(week).isna().any(axis=None)
        weekly = weekly_measures(week, "probability", [1])
        drawn = [
            figures.gains_figure(curves.gains_table(week)),
            figures.probability_histogram_figure(curves.probability_histogram_table(week)),
            figures.precision_over_time_figure(curves.precision_over_time_table(weekly)),
            figures.reliability_figure(reliability(week)),
            figures.roc_figure(curves.roc_curve_table(week)),
            figures.precision_recall_figure(curves.precision_recall_table(week)),
        ]
        for figure in drawn:
            figure.draw_without_rendering()


def reliability(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.reliability_table(predictions, samples=50, seed=1)


def sliced(predictions: pd.DataFrame, column: str, all_too: bool = False) -> pd.DataFrame:
    months = predictions.assign(month=predictions["as_of"].dt.strftime("%Y-%m"))
    table = slice_measures(months, [column], [10, 50], samples=30, seed=1)
    return table if all_too else table.iloc[1:]


def months(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.expected_over_observed_table(sliced(predictions, "month"))


def slices(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.slices_table(sliced(predictions, "part", all_too=True))


def importance(_: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"feature": [f"feature_{n}" for n in range(30)], "importance": np.arange(30) / 435})


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.confusion_table(predictions["label"], predictions["probability"] >= 0.1)


def over_time(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.precision_over_time_table(weekly_measures(predictions, "probability", [10, 50]))


FIGURES = [
    (curves.roc_curve_table, figures.roc_figure),
    (curves.precision_recall_table, figures.precision_recall_figure),
    (reliability, figures.reliability_figure),
    (curves.gains_table, figures.gains_figure),
    (months, figures.expected_over_observed_figure),
    (slices, figures.slices_figure),
    (curves.probability_histogram_table, figures.probability_histogram_figure),
    (over_time, figures.precision_over_time_figure),
    (confusion, figures.confusion_figure),
    (importance, figures.importance_figure),
]


@pytest.mark.parametrize(("tabulate", "draw"), FIGURES, ids=lambda function: function.__name__)
class TestFigures:
    def test_has_title_labels_and_the_same_bytes_twice(
        self,
        predictions: pd.DataFrame,
        tmp_path: Path,
        tabulate: Callable[[pd.DataFrame], pd.DataFrame],
        draw: Callable[[pd.DataFrame], Figure],
    ) -> None:
        figure = draw(tabulate(predictions))
        axes = figure.axes[0]
        assert axes.get_title() or figure.get_suptitle()
        assert axes.get_xlabel()
        assert axes.get_ylabel() or draw is figures.importance_figure
        save_png(figure, tmp_path / "first.png")
        save_png(draw(tabulate(predictions)), tmp_path / "second.png")
        first = (tmp_path / "first.png").read_bytes()
        assert first.startswith(b"\x89PNG")
        assert first == (tmp_path / "second.png").read_bytes()
        assert b"Software" not in first
        assert sorted(path.name for path in tmp_path.iterdir()) == ["first.png", "second.png"]

    def test_a_table_read_back_draws_the_same(
        self,
        predictions: pd.DataFrame,
        tmp_path: Path,
        tabulate: Callable[[pd.DataFrame], pd.DataFrame],
        draw: Callable[[pd.DataFrame], Figure],
    ) -> None:
        table = tabulate(predictions)
        table.to_csv(tmp_path / "table.csv", index=False)
        save_png(draw(table), tmp_path / "first.png")
        save_png(draw(pd.read_csv(tmp_path / "table.csv")), tmp_path / "second.png")
        assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_importance_shows_the_top_by_value() -> None:
    labels = [
        label.get_text()
        for label in figures.importance_figure(importance(pd.DataFrame()), 3).axes[0].get_yticklabels()
    ]
    assert labels == ["feature_29", "feature_28", "feature_27"]
