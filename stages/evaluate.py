"""Rolling-origin backtest: the list that each cutoff would have had, beside what happened afterwards."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.evaluation.backtest import backtest, with_oracle
from conversion.evaluation.decision_metrics import classification_report
from conversion.evaluation.drawing import save_png
from conversion.evaluation.evidence import backtest_evidence
from conversion.evaluation.headline import headline_numbers
from conversion.evaluation.plots import PLOTS
from conversion.evaluation.predictions import REVENUE, rows_by_cutoff
from conversion.evaluation.prospect_slices import slice_sources
from conversion.evaluation.report import Evaluation, evaluate_backtest
from conversion.evaluation.snapshot_source import SnapshotFiles
from conversion.evaluation.summary import summary_text
from conversion.features.rules import rules
from conversion.modelling.artifact import load_model
from conversion.modelling.doubts import ahead_text, rules_ahead
from conversion.modelling.evidence import EVIDENCE, Evidence
from conversion.modelling.fits_folder import kept_fits
from conversion.modelling.model import ConversionModel
from conversion.modelling.probability_doubts import off_text
from conversion.modelling.training import training_columns
from conversion.modelling.training_rows import read_training
from conversion.runtime.behind import results_of
from conversion.runtime.cli import run
from conversion.runtime.files import (
    read_monday,
    replacing,
    write_csv,
    write_json,
    write_text,
)
from conversion.runtime.progress import progress_bar
from conversion.runtime.row_groups import row_group_writer

FOLDER: Final = Path("data/backtest")
ROWS_AT_ONCE: Final = 1 << 20
log = logging.getLogger(__name__)


def backtest_columns(training: list[str], contract: Contract) -> list[str]:
    """Return the columns that the snapshots of the backtest must have."""
    others = [*rules(contract).values(), *slice_sources(contract)]
    revenue = [REVENUE] if contract.companies.value is not None else []
    return [name for name in dict.fromkeys((*training, *others, *revenue)) if name != "weight"]


def write_predictions(predictions: pd.DataFrame) -> None:
    """Write the predictions a row group at a time, so that columns on disk never are in memory as a whole."""
    with replacing(FOLDER / "predictions.parquet") as temporary, row_group_writer(temporary) as append:
        for start in range(0, len(predictions), ROWS_AT_ONCE):
            append(_as_texts(predictions.iloc[start : start + ROWS_AT_ONCE]))


def _as_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn ids that are a category into texts."""
    ids = rows["id"].dtype
    if not isinstance(ids, pd.CategoricalDtype):
        return rows
    return rows.assign(id=rows["id"].astype(ids.categories.dtype))


def write_metrics(evaluation: Evaluation, as_of: str) -> None:
    """Write metrics/ and the evidence."""
    top_k, result = evaluation.params.evaluate.top_k, {"as_of": as_of} | evaluation.metrics
    write_json(EVIDENCE, _evidence(evaluation).model_dump(by_alias=True))
    write_csv("metrics/backtest.csv", evaluation.weekly, float_format="%.6f")
    write_csv("metrics/slices.csv", evaluation.slices, float_format="%.6f")
    write_text("metrics/classification_report.txt", classification_report(evaluation.decided))
    write_json("metrics/evaluation.json", result)
    write_json("metrics/headline.json", headline_numbers(result, top_k))
    write_text("metrics/summary.txt", summary_text(result, top_k))


def _evidence(evaluation: Evaluation) -> Evidence:
    params = evaluation.params
    return backtest_evidence(evaluation.predictions, params.featurize.horizon_days, params.seed)


def write_plots(evaluation: Evaluation) -> None:
    """Write each plot's data for ``dvc plots``, and its picture."""
    for plot in progress_bar(PLOTS, what="plots", unit="plots"):
        table = plot.table(evaluation)
        write_csv(f"plots/{plot.name}.csv", table, float_format="%.6g")
        save_png(plot.draw(table, evaluation.days), f"plots/{plot.name}.png")


def write_predictions_and_plots(evaluation: Evaluation) -> None:
    """Write the predictions while the plots are drawn: writing is compiled code that releases the GIL."""
    writes: tuple[Callable[[], None], ...] = (
        lambda: write_predictions(evaluation.predictions),
        lambda: write_plots(evaluation),
    )
    for _ in results_of(writes, lambda write: write(), threads=2):
        pass


def main() -> None:
    """Read snapshots, model and (for the sample) the truth; write metrics/ and plots/."""
    params = load_params()
    contract = load_contract("data/contract.json")
    columns = training_columns(params, contract)
    most = params.train.max_snapshots
    train = read_training("data/features/train.parquet", columns, most, params.seed)
    snapshots = SnapshotFiles("data/features/backtest.parquet", backtest_columns(columns, contract))
    model, _ = load_model(ConversionModel)
    as_of = read_monday("data/clean/export.json", "as_of")
    predictions = backtest(train, snapshots, params, contract, FOLDER, kept_fits("evaluate"))
    log.info("backtested", extra={"cutoffs": len(rows_by_cutoff(predictions)), "rows": len(predictions)})
    if params.data.is_sample:
        truth = SnapshotFiles("data/truth.parquet", ["id", "as_of", "probability"])
        predictions = with_oracle(predictions, truth.blocks(), FOLDER)
    log.info("measuring", extra={"bootstrap_samples": params.evaluate.bootstrap_samples})
    evaluation = evaluate_backtest(predictions, train, model, params, contract, FOLDER)
    write_metrics(evaluation, as_of.isoformat())
    write_predictions_and_plots(evaluation)
    log.info(
        "evaluated",
        extra={"cutoffs": len(evaluation.weekly), "converters": evaluation.metrics["converters"]},
    )
    for ahead in rules_ahead(evaluation.metrics["ranking"]):
        log.warning(ahead_text(ahead))
    if off := off_text(evaluation.metrics["probability"]["expected_over_observed_by_month"]):
        log.warning(off)


if __name__ == "__main__":
    run(main, sys.argv[1:])
