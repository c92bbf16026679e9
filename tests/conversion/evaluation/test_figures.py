import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conversion.evaluation import curves, figures
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.decision_metrics import decision_counts
from conversion.evaluation.drawing import ratio_axis, save_png
from conversion.evaluation.plots import PLOTS
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

DAYS = 30


def test_the_interval_is_drawn_around_each_point(predictions: pd.DataFrame) -> None:
    table = reliability_of(predictions)
    seen = table[table["conversions"] > 0]
    assert (seen["low"] <= seen["observed_share"]).all()
    assert (seen["observed_share"] <= seen["high"]).all()
    assert (seen["low"] < seen["high"]).any()
    axes = figures.reliability_figure(table, DAYS).axes[0]
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


def test_the_gains_are_those_of_the_first_fifty_calls_and_of_all_beside_the_rule(
    predictions: pd.DataFrame,
) -> None:
    table = gains_of(predictions)
    figure = figures.gains_figure(table, DAYS)
    first, all_calls = figure.axes
    assert "within 30 days" in figure.get_suptitle()
    assert (first.get_xlim(), all_calls.get_xlim()) == ((0, 50), (0, 500))
    for axes in (first, all_calls):
        drawn = [line.get_label() for line in axes.lines]
        assert drawn == ["model", "rule: most users, last 4 weeks", "random order"], "one rule is enough"
        bands = [each for each in axes.collections if each.get_paths() and len(each.get_paths()[0].vertices)]
        assert len(bands) == 2, "intervals of the model and of the rule"
    highest = max(line.get_ydata().max() for line in first.lines)
    assert highest > 0.6 * first.get_ylim()[1], "the first calls fill their panel"


def test_the_gains_of_short_lists_have_one_panel(predictions: pd.DataFrame) -> None:
    few = predictions[predictions["id"] < 40].drop(columns="users_rule")
    (axes,) = figures.gains_figure(gains_of(few), DAYS).axes
    assert axes.get_xlim() == (0, 40)
    assert "rule: most actions, last 4 weeks" in {line.get_label() for line in axes.lines}


def test_precision_over_time_has_a_panel_for_each_number_of_calls(predictions: pd.DataFrame) -> None:
    table = over_time(predictions)
    panels = figures.precision_over_time_figure(table, DAYS).axes
    assert [axes.get_title() for axes in panels] == ["The first 10 of each list", "The first 50 of each list"]
    for axes in panels:
        labels = axes.get_legend_handles_labels()[1]
        assert "model: mean of 5 lists" in labels
        assert "rule: most users, last 4 weeks: mean of 5 lists" in labels
        assert "95 % interval of the model's mean" in labels
        assert axes.get_ylim()[1] >= table.loc[table["calls"] == 10, "precision"].max() or axes is panels[1]


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_one_class_alone(labels: list[int]) -> None:
    week = unranked_week(labels, [0.3, 0.2, 0.2])
    for table in (roc_of, precision_recall_of, reliability_of):
        assert not table(week).isna().any(axis=None)
    over_weeks = curves.precision_over_time_table(resample(week.assign(users_rule=1), 20, 1), [1])
    drawn = [
        figures.gains_figure(gains_of(week), DAYS),
        figures.probability_histogram_figure(histogram_of(week), DAYS),
        figures.precision_over_time_figure(over_weeks, DAYS),
        figures.reliability_figure(reliability_of(week), DAYS),
        figures.roc_figure(roc_of(week)),
        figures.precision_recall_figure(precision_recall_of(week)),
    ]
    for figure in drawn:
        figure.draw_without_rendering()


def months(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.expected_over_observed_table(sliced_by(predictions, "month"))


def slices(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.slices_table(drawn_slices(predictions))


def features(_: pd.DataFrame) -> pd.DataFrame:
    named = [f"what feature {n} is" for n in range(30)]
    return pd.DataFrame({"feature": range(30), "importance": np.arange(30)[::-1] / 435, "description": named})


def facts(_: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "fact": ["How many people use it", "Last active", "Sector"],
            "importance": [0.6, 0.3, 0.1],
            "direction": [1, -1, 0],
            "effect": ["more: raises the score", "longer ago: lowers the score", "no single direction"],
        }
    )


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.confusion_table(decision_counts(predictions["label"], predictions["probability"] >= 0.1))


def over_time(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.precision_over_time_table(resample(predictions, 20, 1), [10, 50])


DRAW = {plot.name: plot.draw for plot in PLOTS}
FIGURES = [
    (roc_of, DRAW["roc"]),
    (precision_recall_of, DRAW["precision_recall"]),
    (reliability_of, DRAW["reliability"]),
    (gains_of, DRAW["gains"]),
    (months, DRAW["expected_over_observed"]),
    (slices, DRAW["slices"]),
    (histogram_of, DRAW["probability_histogram"]),
    (over_time, DRAW["precision_over_time"]),
    (confusion, DRAW["confusion"]),
    (features, DRAW["importance"]),
    (facts, DRAW["importance_by_fact"]),
]


@pytest.mark.parametrize(("tabulate", "draw"), FIGURES, ids=lambda each: each.__name__)
class TestFigures:
    def test_has_title_labels_and_the_same_bytes_twice(
        self,
        predictions: pd.DataFrame,
        tmp_path: Path,
        tabulate: Callable[[pd.DataFrame], pd.DataFrame],
        draw: Callable[[pd.DataFrame, int], Figure],
    ) -> None:
        figure = draw(tabulate(predictions), DAYS)
        axes = figure.axes[0]
        assert figure.get_suptitle()
        assert all(each.get_xlabel() for each in figure.axes)
        assert axes.get_ylabel() or tabulate in (slices, features, facts), "the rows have names"
        save_png(figure, tmp_path / "first.png")
        save_png(draw(tabulate(predictions), DAYS), tmp_path / "second.png")
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
        draw: Callable[[pd.DataFrame, int], Figure],
    ) -> None:
        table = tabulate(predictions)
        table.to_csv(tmp_path / "table.csv", index=False)
        save_png(draw(table, DAYS), tmp_path / "first.png")
        save_png(draw(pd.read_csv(tmp_path / "table.csv"), DAYS), tmp_path / "second.png")
        assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


@pytest.mark.parametrize(("tabulate", "draw"), FIGURES, ids=lambda each: each.__name__)
def test_no_labels_of_an_axis_overlap_and_nothing_is_cut_off(
    predictions: pd.DataFrame,
    tabulate: Callable[[pd.DataFrame], pd.DataFrame],
    draw: Callable[[pd.DataFrame, int], Figure],
) -> None:
    figure = draw(tabulate(predictions), DAYS)
    figure.draw_without_rendering()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [
                tick.label1.get_window_extent()
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and tick.label1.get_text() and low <= tick.get_loc() <= high
            ]
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(shown))
    whole = figure.bbox.padded(1)
    drawn = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert whole.x0 <= drawn.x0
    assert drawn.x1 <= whole.x1
    assert whole.y0 <= drawn.y0
    assert drawn.y1 <= whole.y1


@pytest.mark.parametrize("high", [2.0, 4.0, 9.0, 60.0])
def test_ticks_of_ratios_have_one_among_them(high: float) -> None:
    axes = Figure().subplots()
    ratio_axis(axes, "x", pd.DataFrame({"low": [0.7], "high": [high]}))
    assert 1 in axes.get_xticks()
    assert 3 <= len(axes.get_xticks()) <= 9


def test_slices_of_a_column_stand_together_and_those_of_the_whole_first(predictions: pd.DataFrame) -> None:
    table = slices(predictions)
    panels = DRAW["slices"](table, DAYS).axes
    assert len(panels) == table["measure"].nunique() == 4
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == ["all prospects", "old", "young"]
    places = panels[0].get_yticks()
    assert places[1] - places[0] > places[2] - places[1]


def test_the_bars_of_facts_say_in_words_which_way_they_point() -> None:
    axes = DRAW["importance_by_fact"](facts(pd.DataFrame()), DAYS).axes[0]
    (right,) = axes.child_axes
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels == facts(pd.DataFrame())["effect"].tolist()
    assert len({bar.get_facecolor() for bar in axes.patches}) == 3


def test_the_most_important_features_are_drawn() -> None:
    axes = DRAW["importance"](features(pd.DataFrame()), DAYS).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"what feature {n} is" for n in range(20)]
