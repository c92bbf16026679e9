"""Rolling-origin backtest: at each cutoff the list that would have been made, against what then happened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.evaluation import curves, figures
from conversion.evaluation.backtest import SLICES, backtest, with_oracle
from conversion.evaluation.cross_validation import cross_validation
from conversion.evaluation.decision_metrics import classification_report
from conversion.evaluation.predictions import MODEL
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.evaluation.report import by_month, evaluation, headline_numbers, monthly_drift
from conversion.evaluation.slice_metrics import slice_measures, without_repeats
from conversion.evaluation.summary import summary
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import training_columns
from conversion.runtime.cli import run
from conversion.runtime.errors import ExportError
from conversion.runtime.files import (
    read_monday,
    read_parquet,
    write_csv,
    write_json,
    write_parquet,
    write_text,
)
from conversion.runtime.progress import progress_bar

SAMPLE: Final = "data/sample"
log = logging.getLogger(__name__)


def write_plots(
    predictions: pd.DataFrame,
    weekly: pd.DataFrame,
    months: pd.DataFrame,
    slices: pd.DataFrame,
    importance: pd.Series,
    params: Params,
) -> None:
    """Write each plot's data for ``dvc plots``, and its picture."""
    decided = predictions["probability"] >= predictions["threshold"]
    named = importance.rename_axis("feature").reset_index()
    drawings: dict[str, tuple[pd.DataFrame, Callable[[pd.DataFrame], Figure]]] = {
        "roc": (curves.roc_curve_table(predictions), figures.roc_figure),
        "precision_recall": (curves.precision_recall_table(predictions), figures.precision_recall_figure),
        "reliability": (
            curves.reliability_table(predictions, params.evaluate.bootstrap_samples, params.seed),
            figures.reliability_figure,
        ),
        "expected_over_observed": (
            curves.expected_over_observed_table(months),
            figures.expected_over_observed_figure,
        ),
        "slices": (curves.slices_table(slices), figures.slices_figure),
        "gains": (curves.gains_table(predictions), figures.gains_figure),
        "precision_over_time": (
            curves.precision_over_time_table(weekly),
            figures.precision_over_time_figure,
        ),
        "probability_histogram": (
            curves.probability_histogram_table(predictions),
            figures.probability_histogram_figure,
        ),
        "confusion": (curves.confusion_table(predictions["label"], decided), figures.confusion_figure),
        "importance": (named, figures.importance_figure),
    }
    for name, (table, draw) in progress_bar(drawings.items(), what="plots", unit="plots"):
        write_csv(f"plots/{name}.csv", table, float_format="%.6g")
        figures.save_png(draw(table), f"plots/{name}.png")


def read_backtest(path: str, training: list[str]) -> pd.DataFrame:
    """Read the largest table column by column, so that it is never in memory twice."""
    needed = [name for name in (*training, "MRR") if name != "weight"]
    return read_parquet(path, needed, split_blocks=True, self_destruct=True)


def main() -> None:
    """Read snapshots, model and (for the sample) the truth; write metrics/ and plots/."""
    params = load_params()
    columns = training_columns(params)
    train = read_parquet("data/features/train.parquet", columns)
    snapshots = read_backtest("data/features/backtest.parquet", columns)
    model, _ = load_model(ConversionModel)
    as_of = read_monday("data/clean/export.json", "as_of")
    predictions = backtest(train, snapshots, params)
    del snapshots
    if not predictions["label"].any():
        raise ExportError(
            "customers: no conversion follows any cutoff of the backtest; set an earlier "
            "evaluate.first_cutoff or give a longer export"
        )
    log.info("backtested", extra={"cutoffs": predictions["as_of"].nunique(), "rows": len(predictions)})
    if params.data.dir == SAMPLE:
        predictions = with_oracle(predictions, read_parquet("data/truth.parquet"))
    log.info("measuring", extra={"bootstrap_samples": params.evaluate.bootstrap_samples})
    result = {"as_of": as_of.isoformat()} | evaluation(predictions, params)
    if params.evaluate.cross_validation_folds:
        result["cross_validation_not_out_of_time"] = cross_validation(train, predictions, params)
    settings = params.evaluate
    weekly = weekly_measures(predictions, MODEL, settings.top_k)
    samples = settings.bootstrap_samples
    slices = without_repeats(slice_measures(predictions, SLICES, settings.top_k, samples, params.seed))
    months = by_month(predictions, params)
    result["probability"]["expected_over_observed_by_month"] = monthly_drift(months)
    decided = predictions["probability"] >= predictions["threshold"]

    write_parquet("data/backtest/predictions.parquet", predictions)
    write_csv("metrics/backtest.csv", weekly, float_format="%.6f")
    write_csv("metrics/slices.csv", slices, float_format="%.6f")
    write_text("metrics/classification_report.txt", classification_report(predictions["label"], decided))
    write_json("metrics/evaluation.json", result)
    write_json("metrics/headline.json", headline_numbers(result, settings.top_k))
    write_text("metrics/summary.txt", summary(result, settings.top_k))
    write_plots(predictions, weekly, months, slices, model.get_feature_importance(), params)
    log.info("evaluated", extra={"cutoffs": len(weekly), "converters": result["converters"]})


if __name__ == "__main__":
    run(main)
