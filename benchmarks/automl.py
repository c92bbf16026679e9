"""Our model beside AutoML on the same snapshots, refits and prospects: `make bench-automl`.

    python -m benchmarks.automl [--refits N] [--seconds N] [--data-dir FOLDER] [--page FILE]

FLAML and AutoGluon each run in an environment of their own, so a refit's training snapshots go to
`benchmarks/automl_worker.py` as files, and probabilities come back. They get what ours gets: the snapshots
that were mature at the refit, with their sampling weights, as many cores, and the prospects until the next
refit. Without --data-dir the snapshots are those that the pipeline last made; with it they are made of that
export in a temporary copy of the project. Budgets are wall time, so a library's figures vary.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.export_copy import CONTRACT, make_snapshots
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.data.timeline import WEEK
from conversion.evaluation.backtest import backtest
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.predictions import MODEL
from conversion.evaluation.probability_metrics import probability_measures
from conversion.modelling.families import make_model
from conversion.modelling.training import known_training
from conversion.runtime.cli import run
from conversion.runtime.errors import UserError
from conversion.runtime.files import WITH_CHECKSUMS, verified_parquet, write_text
from conversion.stats.hashing import tie_break

ROOT: Final = Path(__file__).resolve().parents[1]
WORKER: Final = ROOT / "benchmarks/automl_worker.py"
PAGE: Final = ROOT / "docs/explanation/automl.md"
RULE: Final = "users_rule"
TITLES: Final = {"flaml": "FLAML", "autogluon": "AutoGluon"}
SECONDS: Final = {"flaml": 40.0, "autogluon": 60.0}
TOP_K: Final = (10, 50, 250)
MEASURES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "precision_at_10": "precision at 10",
    "recall_at_50": "recall at 50",
    "recall_at_250": "recall at 250",
}
PROBABILITY_MEASURES: Final = {
    "log_loss_ratio": "log loss over the base rate's",
    "expected_over_observed": "expected over observed",
}
DIFFERENCES: Final = {
    "average_precision": "average precision",
    "recall_at_50": "recall at 50",
    "log_loss": "log loss",
}
PAGE_TEMPLATE: Final = """\
# Comparison with AutoML

Written by `make bench-automl` from {data}: {lists} lists from {first} to {last}, {converters} companies
converted within the horizon of at least one list, {prevalence} of the prospects on a list. At each of
{refits} refits, every recipe was refitted on the same snapshots, all with mature labels, and with their
sampling weights. It then scored the same prospects until the backtest's next refit. Each recipe had {cores}
cores. The time budgets for fitting at one refit were {budgets}; our model has none.

{table}

- Measures of lists are means over the lists. The last columns are paired differences with 95 % intervals from
  {samples} samples of companies, followed by the share of samples in which ours is better (lower, for log
  loss).
- Seconds cover fitting and scoring, as wall time and as CPU time of all cores. Ours include the totals-only
  model, which the backtest fits alongside the main one; {cores} of our refits run at once.
- FLAML chooses among its learners by log loss on the latest rows it receives. AutoGluon chooses and weights
  its tree models on the last fifth of the weeks. It then refits its choice on all weeks, after its budget.
- What a library finds within its budget depends on the machine and its load: the libraries' figures vary from
  run to run, ours do not.
"""
# Before the worker is given up: refits of the choice, scoring and imports come on top of the budget.
PATIENCE: Final = 10
GRACE_SECONDS: Final = 300

log = logging.getLogger(__name__)


class Time(NamedTuple):
    """What fitting and scoring at one refit took."""

    seconds: float  # by the clock
    cpu_seconds: float  # of all cores: what others do on the machine changes it little


class HandOver(NamedTuple):
    """What a library gets to see at one refit."""

    train: pd.DataFrame  # features, in time order
    targets: pd.DataFrame  # as_of, label and weight of the same rows
    prospects: pd.DataFrame  # features of the rows to score


class Answer(NamedTuple):
    """What a library made of it."""

    probability: np.ndarray  # one a prospect
    time: Time
    version: str


class Comparison(NamedTuple):
    """All recipes on the same rows."""

    predictions: (
        pd.DataFrame
    )  # as `conversion.evaluation.backtest.backtest` gives, and a column for each library
    refits: int
    times: dict[str, Time]  # mean of a refit, by column
    versions: dict[str, str]  # of the libraries


def refits_of(snapshots: pd.DataFrame, params: Params, count: int | None = None) -> list[pd.Timestamp]:
    """List the backtest's refits, or ``count`` of them, evenly spaced."""
    cutoffs = pd.DatetimeIndex(np.sort(snapshots["as_of"].unique()))
    refits = list(cutoffs[(cutoffs - cutoffs[0]) % _span(params) == pd.Timedelta(0)])
    if count is None or count >= len(refits):
        return refits
    return [refits[(2 * place + 1) * len(refits) // (2 * count)] for place in range(count)]


def until_next_refit(snapshots: pd.DataFrame, refit: pd.Timestamp, params: Params) -> pd.DataFrame:
    """Return the prospects that a fit at ``refit`` scores."""
    return snapshots[(snapshots["as_of"] >= refit) & (snapshots["as_of"] < refit + _span(params))]


def _span(params: Params) -> pd.Timedelta:
    return params.evaluate.refit_weeks * WEEK


def hand_over(
    train: pd.DataFrame, prospects: pd.DataFrame, refit: pd.Timestamp, params: Params, contract: Contract
) -> HandOver:
    """Return the rows that `training.fit_at` fits on, with the columns that our model reads."""
    rows = train[
        known_training(train, refit, params.featurize.horizon_days, params.train.history_weeks).to_numpy()
    ]
    rows = rows.iloc[np.lexsort((tie_break(rows["id"]), rows["as_of"]))].reset_index(drop=True)
    features = [feature.name for feature in make_model(params, contract).features]
    targets = rows[["as_of", "label", "weight"]].astype({"label": np.int8})
    return HandOver(rows[features], targets, prospects[features].reset_index(drop=True))


def ask(library: str, command: Sequence[str], given: HandOver, seconds: float, params: Params) -> Answer:
    """Let the library's worker fit and score.

    Raises
    ------
    UserError
        The worker is not there, fails, takes far longer than its budget, or answers with anything but one
        probability a prospect.
    """
    cores = str(params.evaluate.jobs)
    with tempfile.TemporaryDirectory(prefix=f"{library}-") as temporary:
        folder = Path(temporary)
        for name, table in given._asdict().items():
            table.to_parquet(folder / f"{name}.parquet", index=False, **WITH_CHECKSUMS)
        options = {"--seconds": f"{seconds:g}", "--seed": str(params.seed), "--cores": cores}
        try:
            done = subprocess.run(
                [*command, library, str(folder), *(word for option in options.items() for word in option)],
                cwd=folder,
                env=os.environ | {"OMP_NUM_THREADS": cores},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE * seconds + GRACE_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise UserError(f"{library}: {command[0]} not found; make bench-automl makes it") from error
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"{library}: not done after {error.timeout:g} s, of a budget of {seconds:g} s"
            ) from error
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise UserError(f"{library}: the worker failed with exit code {done.returncode}: {said[-1]}")
        return _answer(library, folder, len(given.prospects))


def _answer(library: str, folder: Path, prospects: int) -> Answer:
    path = folder / "probability.parquet"
    probability = verified_parquet(path)["probability"].to_numpy(np.float64) if path.exists() else np.empty(0)
    if len(probability) != prospects or not ((probability >= 0) & (probability <= 1)).all():
        raise UserError(f"{library}: the worker should have given {prospects} probabilities, one a prospect")
    told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return Answer(probability, Time(told["seconds"], told["cpu_seconds"]), told["version"])


def compare(
    train: pd.DataFrame,
    snapshots: pd.DataFrame,
    params: Params,
    contract: Contract,
    commands: Mapping[str, Sequence[str]],
    seconds: Mapping[str, float],
    refits: int | None = None,
) -> Comparison:
    """Run our recipe and each library at the same refits.

    Parameters
    ----------
    train, snapshots
        As `conversion.evaluation.backtest.backtest` takes them.
    params
        Of our recipe, the refits and the cores (``evaluate.jobs``).
    contract
        Of the tables that the snapshots were made of.
    commands
        How each library's worker is started.
    seconds
        Each library's budget for fitting at one refit.
    refits
        So many of the backtest's refits only.
    """
    chosen = refits_of(snapshots, params, refits)
    weeks = {refit: until_next_refit(snapshots, refit, params) for refit in chosen}
    start, cpu_start = time.perf_counter(), time.process_time()
    predictions = backtest(train, pd.concat(list(weeks.values())), params, contract)
    took = Time(time.perf_counter() - start, time.process_time() - cpu_start)
    times, versions = {MODEL: Time(*(spent / len(chosen) for spent in took))}, {}
    bar = tqdm(total=len(chosen) * len(commands), desc="AutoML", unit=" refits", disable=None)
    for library, command in commands.items():
        answers = []
        for refit, rows in weeks.items():
            given = hand_over(train, rows, refit, params, contract)
            answers.append(ask(library, command, given, seconds[library], params))
            bar.update()
        predictions = _beside(predictions, library, weeks.values(), answers)
        times[library] = Time(*np.mean([answer.time for answer in answers], axis=0))
        versions[library] = answers[0].version
    bar.close()
    return Comparison(predictions, len(chosen), times, versions)


def _beside(
    predictions: pd.DataFrame, library: str, weeks: Iterable[pd.DataFrame], answers: Iterable[Answer]
) -> pd.DataFrame:
    """Put a library's probabilities beside ours."""
    scored = [
        rows[["id", "as_of"]].assign(**{library: np.round(answer.probability, 9)})
        for rows, answer in zip(weeks, answers, strict=True)
    ]
    return predictions.merge(pd.concat(scored), on=["id", "as_of"], how="left", validate="one_to_one")


def table(compared: Comparison, params: Params) -> str:
    """Write the measures of each recipe, and how much better ours is, as a Markdown table."""
    samples, seed = params.evaluate.bootstrap_samples, params.seed
    probabilities = (MODEL, *compared.versions)
    rankers = (*probabilities, RULE)
    ranking = ranker_measures(resample(compared.predictions, samples, seed), rankers, TOP_K, probabilities)
    rated = {
        column: probability_measures(
            resample(compared.predictions.assign(**{MODEL: compared.predictions[column]}), samples, seed)
        )
        for column in probabilities
    }
    head = [
        "recipe",
        *MEASURES.values(),
        *PROBABILITY_MEASURES.values(),
        "seconds a refit",
        "CPU seconds a refit",
        *(f"ours minus its {name}" for name in DIFFERENCES.values()),
    ]
    rows = [
        [
            _title(ranker, params, compared.versions),
            *(_value(ranking["rankers"][ranker][name]) for name in MEASURES),
            *(_value(rated.get(ranker, {}).get(name)) for name in PROBABILITY_MEASURES),
            *([f"{spent:.1f}" for spent in compared.times[ranker]] if ranker in compared.times else "--"),
            *(_difference(ranking["differences"].get(ranker, {}).get(name)) for name in DIFFERENCES),
        ]
        for ranker in rankers
    ]
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(ranker: str, params: Params, versions: Mapping[str, str]) -> str:
    if ranker in versions:
        return f"{TITLES.get(ranker, ranker)} {versions[ranker]}"
    return f"**ours: `{params.model.type}`**" if ranker == MODEL else "rule: most users, last 4 weeks"


def _value(measure: Mapping[str, float | None] | None) -> str:
    value = measure and measure["value"]
    return "-" if value is None else f"{value:.3f}"


def _difference(measure: Mapping[str, float | None] | None) -> str:
    if measure is None or measure["difference"] is None:
        return "-"
    difference, low, high = (f"{measure[name]:.4f}" for name in ("difference", "low", "high"))
    return f"{difference} ({low} to {high}), {measure['probability_better']:.2f}"


def page(compared: Comparison, params: Params, seconds: Mapping[str, float], data: str) -> str:
    """Write the page: what was compared, with which settings, and the table."""
    predictions = compared.predictions
    budgets = " and ".join(f"{TITLES.get(name, name)} {seconds[name]:g} s" for name in compared.versions)
    return PAGE_TEMPLATE.format(
        data=data,
        lists=predictions["as_of"].nunique(),
        first=f"{predictions['as_of'].min():%Y-%m-%d}",
        last=f"{predictions['as_of'].max():%Y-%m-%d}",
        converters=predictions.loc[predictions["label"] == 1, "id"].nunique(),
        prevalence=f"{predictions['label'].mean():.2%}",
        refits=compared.refits,
        cores=params.evaluate.jobs,
        budgets=budgets,
        samples=params.evaluate.bootstrap_samples,
        table=table(compared, params),
    )


def read_snapshots(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the training and the backtest snapshots of a project folder."""
    paths = [folder / f"data/features/{name}.parquet" for name in ("train", "backtest")]
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: not found; `make run` makes it")
    train, snapshots = (verified_parquet(path) for path in paths)
    return train, snapshots


def main() -> None:
    parser = argparse.ArgumentParser(description="compare our model with FLAML and AutoGluon")
    parser.add_argument("--refits", type=_positive, help="use so many evenly spaced refits of the backtest")
    parser.add_argument(
        "--seconds", type=float, help="budget of each library at one refit; default: 40 and 60"
    )
    parser.add_argument("--data-dir", type=Path, help="your own export instead of the last run's snapshots")
    parser.add_argument(
        "--page", type=Path, help="file for the page; default, for the sample: docs/explanation/automl.md"
    )
    given = parser.parse_args()
    seconds = SECONDS if given.seconds is None else dict.fromkeys(SECONDS, given.seconds)
    commands = {name: [str(ROOT / f".venv-{name}/bin/python"), str(WORKER)] for name in SECONDS}
    with tempfile.TemporaryDirectory(prefix="automl-") as temporary:
        folder = ROOT
        if given.data_dir:
            folder = Path(temporary)
            make_snapshots(folder, given.data_dir, {})
        params = load_params(folder / "params.yaml")
        train, snapshots = read_snapshots(folder)
        contract = load_contract(folder / CONTRACT)
    compared = compare(train, snapshots, params, contract, commands, seconds, given.refits)
    of_sample = params.data.is_sample
    text = page(compared, params, seconds, "the sample" if of_sample else "an export of your own")
    # Figures of an export of the user's own are published only where the user says so.
    target = given.page or (PAGE if of_sample else None)
    if target:
        write_text(target, text)
    sys.stdout.write(text)


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("should be at least 1")
    return int(text)


if __name__ == "__main__":
    run(main)
