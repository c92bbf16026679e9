"""All plots of a backtest. A new plot is one entry here, and its place in dvc.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from conversion.evaluation import curves, figures, importance, importance_figures
from conversion.evaluation.report import Evaluation
from conversion.evaluation.slices_figure import slices_figure


@dataclass(frozen=True)
class Plot:
    """A plot, written as ``plots/NAME.csv`` and ``plots/NAME.png``.

    Attributes
    ----------
    name
        Of the files.
    table
        Computes the data, for ``dvc plots`` and for the picture.
    draw
        Draws the table; takes the days of the horizon too.
    """

    name: str
    table: Callable[[Evaluation], pd.DataFrame]
    draw: Callable[[pd.DataFrame, int], Figure]


def _reliability(of: Evaluation) -> pd.DataFrame:
    return curves.reliability_table(of.resampled, of.counts)


def _gains(of: Evaluation) -> pd.DataFrame:
    return curves.gains_table(of.resampled)


def _precision_over_time(of: Evaluation) -> pd.DataFrame:
    return curves.precision_over_time_table(of.resampled, of.params.evaluate.top_k)


def _confusion(of: Evaluation) -> pd.DataFrame:
    return curves.confusion_table(of.decided)


def _undated(draw: Callable[[pd.DataFrame], Figure]) -> Callable[[pd.DataFrame, int], Figure]:
    """Return how to draw what does not depend on the horizon."""
    return lambda table, _: draw(table)


PLOTS: Final = (
    Plot("roc", lambda of: curves.roc_curve_table(of.counts), _undated(figures.roc_figure)),
    Plot(
        "precision_recall",
        lambda of: curves.precision_recall_table(of.counts),
        _undated(figures.precision_recall_figure),
    ),
    Plot("reliability", _reliability, figures.reliability_figure),
    Plot(
        "expected_over_observed",
        lambda of: curves.expected_over_observed_table(of.months),
        _undated(figures.expected_over_observed_figure),
    ),
    Plot("slices", lambda of: curves.slices_table(of.slices), _undated(slices_figure)),
    Plot("gains", _gains, figures.gains_figure),
    Plot("precision_over_time", _precision_over_time, figures.precision_over_time_figure),
    Plot(
        "probability_histogram",
        lambda of: curves.probability_histogram_table(of.counts),
        figures.probability_histogram_figure,
    ),
    Plot("confusion", _confusion, figures.confusion_figure),
    Plot(
        "importance",
        lambda of: importance.importance_table(of.model),
        _undated(importance_figures.importance_figure),
    ),
    Plot(
        "importance_by_fact",
        lambda of: importance.importance_by_fact_table(of.model),
        _undated(importance_figures.importance_by_fact_figure),
    ),
)
