from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conversion.evaluation import curves, figures
from conversion.evaluation.drawing import save_png
from conversion.evaluation.ranking_metrics import weekly_measures
from tests.predictions import reliability_of, sliced_by, unranked_week


def test_the_interval_is_drawn_around_each_point(predictions: pd.DataFrame) -> None:
    table = reliability_of(predictions)
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


def test_the_conversions_of_a_month_stand_below_it_where_no_line_runs(predictions: pd.DataFrame) -> None:
    table = curves.expected_over_observed_table(sliced_by(predictions, "month"))
    axes = figures.expected_over_observed_figure(table).axes[0]
    assert not list(axes.texts)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [f"{row.month}\n{row.conversions:,}" for row in table.itertuples()]


def test_the_figure_has_the_first_fifty_calls_and_all_with_the_rules(predictions: pd.DataFrame) -> None:
    first, all_calls = figures.gains_figure(curves.gains_table(predictions)).axes
    assert (first.get_xlim(), all_calls.get_xlim()) == ((0, 50), (0, 500))
    for axes in (first, all_calls):
        drawn = {line.get_label() for line in axes.lines}
        assert drawn == {"model", "rule: most users", "rule: most actions", "random order"}
    highest = max(line.get_ydata().max() for line in first.lines)
    assert highest > 0.8 * first.get_ylim()[1], "the first calls fill their panel"


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_one_class_alone(labels: list[int]) -> None:
    week = unranked_week(labels, [0.3, 0.2, 0.2])
    for table in (curves.roc_curve_table, curves.precision_recall_table, reliability_of):
        assert not table(week).isna().any(axis=None)
    weekly = weekly_measures(week, "probability", [1])
    drawn = [
        figures.gains_figure(curves.gains_table(week)),
        figures.probability_histogram_figure(curves.probability_histogram_table(week)),
        figures.precision_over_time_figure(curves.precision_over_time_table(weekly)),
        figures.reliability_figure(reliability_of(week)),
        figures.roc_figure(curves.roc_curve_table(week)),
        figures.precision_recall_figure(curves.precision_recall_table(week)),
    ]
    for figure in drawn:
        figure.draw_without_rendering()


def months(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.expected_over_observed_table(sliced_by(predictions, "month"))


def slices(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.slices_table(sliced_by(predictions, "part", all_too=True))


def importance(_: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"feature": [f"feature_{n}" for n in range(30)], "importance": np.arange(30) / 435})


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.confusion_table(predictions["label"], predictions["probability"] >= 0.1)


def over_time(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.precision_over_time_table(weekly_measures(predictions, "probability", [10, 50]))


FIGURES = [
    (curves.roc_curve_table, figures.roc_figure),
    (curves.precision_recall_table, figures.precision_recall_figure),
    (reliability_of, figures.reliability_figure),
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
