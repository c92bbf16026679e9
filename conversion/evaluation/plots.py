"""All plots of a backtest. A new plot is one entry here, and its place in dvc.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from conversion.evaluation import curves, figures
from conversion.evaluation.report import Evaluation


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
        Draws the table.
    """

    name: str
    table: Callable[[Evaluation], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]


def _reliability(of: Evaluation) -> pd.DataFrame:
    return curves.reliability_table(of.predictions, of.params.evaluate.bootstrap_samples, of.params.seed)


def _confusion(of: Evaluation) -> pd.DataFrame:
    return curves.confusion_table(of.predictions["label"], of.decided)


PLOTS: Final = (
    Plot("roc", lambda of: curves.roc_curve_table(of.predictions), figures.roc_figure),
    Plot(
        "precision_recall",
        lambda of: curves.precision_recall_table(of.predictions),
        figures.precision_recall_figure,
    ),
    Plot("reliability", _reliability, figures.reliability_figure),
    Plot(
        "expected_over_observed",
        lambda of: curves.expected_over_observed_table(of.months),
        figures.expected_over_observed_figure,
    ),
    Plot("slices", lambda of: curves.slices_table(of.slices), figures.slices_figure),
    Plot("gains", lambda of: curves.gains_table(of.predictions), figures.gains_figure),
    Plot(
        "precision_over_time",
        lambda of: curves.precision_over_time_table(of.weekly),
        figures.precision_over_time_figure,
    ),
    Plot(
        "probability_histogram",
        lambda of: curves.probability_histogram_table(of.predictions),
        figures.probability_histogram_figure,
    ),
    Plot("confusion", _confusion, figures.confusion_figure),
    Plot("importance", lambda of: curves.importance_table(of.importance), figures.importance_figure),
)
