"""How the project does on other companies, whose truth is known: `make bench-other-companies`.

    python -m benchmarks.other_companies [--of KIND ...] [--seeds SEED ...] [--out FOLDER]

Each kind of `benchmarks.invented_companies` goes through the project's own commands: a contract is drafted
from its tables, and load, clean and featurize run in a temporary copy of the project. The lists of the last
cutoffs are then compared with the truth, with learners at their defaults and with the rules; and made again
with one thing of the project switched off. The figures go to other_companies.json in the folder --out, and
from there to the generated blocks of the page. A kind that a run does not measure stays as it was measured
last.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks import default_learners
from benchmarks.export_copy import CONTRACT, figures_parser, make_snapshots
from benchmarks.invented_behaviour import START, Kind
from benchmarks.invented_companies import KINDS, cutoffs, invented, write_export
from benchmarks.not_yet import without_age
from benchmarks.other_companies_page import (
    BEST_RULE,
    LEVELS,
    PAGE,
    RESULTS,
    SHARES,
    SIGN_UP,
    page,
)
from benchmarks.pipeline import measure
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.evaluation.backtest import backtest, with_oracle
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.predictions import BASE_RATE, MODEL, ORACLE
from conversion.evaluation.report import expected_over_observed_by_month, slices_and_months
from conversion.features.rules import rules
from conversion.modelling import families
from conversion.modelling.probability_doubts import off_text
from conversion.runtime.cli import run
from conversion.runtime.files import read_json, verified_parquet, write_json, write_text
from conversion.stats.numeric import Floats

ROOT: Final = Path(__file__).resolve().parents[1]
OUT: Final = ROOT / "docs/explanation"
SEEDS: Final = (1, 2)
TOP_K: Final = (10, 50)

log = logging.getLogger(__name__)


class Data(NamedTuple):
    """The snapshots that the project's stages made of an export."""

    params: Params
    contract: Contract
    train: pd.DataFrame
    snapshots: pd.DataFrame


def draft(export: Path, contract: Path) -> None:
    """Draft the contract of an export, as a new user does; it is used as it is."""
    command = [sys.executable, "-m", "commands.draft_contract", str(export), "--out", str(contract)]
    measure(command, ROOT)


def snapshots_of(
    export: Path, contract: Path, first: pd.Timestamp, keep_negatives: Mapping[str, Any] | None = None
) -> Data:
    """Run the stages on an export, in a temporary copy of the project."""
    with tempfile.TemporaryDirectory(prefix="other-companies-") as temporary:
        copy = Path(temporary)
        make_snapshots(copy, export, {"first_cutoff": f"{first:%Y-%m-%d}"}, contract, keep_negatives)
        train, snapshots = (
            verified_parquet(copy / f"data/features/{name}.parquet") for name in ("train", "backtest")
        )
        return Data(load_params(copy / "params.yaml"), load_contract(copy / CONTRACT), train, snapshots)


def measured(kind: Kind, seed: int) -> dict[str, Any]:
    """Measure the lists of one drawn export, and those with one thing switched off each; JSON-ready."""
    made = invented(kind, seed)
    first = START + pd.Timedelta(weeks=cutoffs(kind).start)
    with tempfile.TemporaryDirectory(prefix="other-companies-") as temporary:
        export, contract = Path(temporary) / "export", Path(temporary) / "contract.yaml"
        write_export(made, export)
        draft(export, contract)
        data = snapshots_of(export, contract, first)
        fewer = snapshots_of(export, contract, first, {"shares_from": 1})
    predictions = lists_of(data, made.truth)
    others = default_learners.probabilities(
        data.train, data.snapshots, predictions, data.params, data.contract
    )
    without = {
        SIGN_UP: lists_of(data._replace(contract=without_age(data.contract)), made.truth),
        SHARES: lists_of(fewer, made.truth),
    }
    with levels_not_doubled():
        without[LEVELS] = lists_of(data, made.truth)
    return {
        "setting": setting(predictions, data),
        "rankers": rankers(predictions.assign(**others), [MODEL, *others, ORACLE], data.contract),
        "without": {name: measures(lists, MODEL) for name, lists in without.items()},
    }


def lists_of(data: Data, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the project's backtest with the truth.

    Raises
    ------
    ValueError
        A prospect on a list has no known truth, so that the project and the invention disagree on who is one.
    """
    found = with_oracle(backtest(data.train, data.snapshots, data.params, data.contract), [truth])
    if found[ORACLE].isna().any():
        raise ValueError(f"{found[ORACLE].isna().sum()} of {len(found)} prospects have no known truth")
    return found


@contextmanager
def levels_not_doubled() -> Iterator[None]:
    """Leave the columns of levels 0 or 1. No setting does that, so a function is replaced."""
    with mock.patch.object(families, "_with_own_levels", return_value=()):
        yield


def setting(predictions: pd.DataFrame, data: Data) -> dict[str, Any]:
    """Describe the lists, and whether metrics/summary.txt would warn of the sum of their probabilities."""
    evaluate, seed = data.params.evaluate, data.params.seed
    resampled = resample(predictions, evaluate.bootstrap_samples, seed)
    _, months = slices_and_months(resampled, [], evaluate.top_k)
    lists = predictions["as_of"].nunique()
    converts = predictions["label"] == 1
    return {
        "lists": int(lists),
        "prospects": round(len(predictions) / lists, 1),
        "converters": int(predictions.loc[converts, "id"].nunique()),
        "true_conversions": round(float(predictions[ORACLE].sum()), 1),
        "conversions": int(converts.sum()),
        "snapshots": len(data.train),
        "warns": off_text(expected_over_observed_by_month(months)) is not None,
    }


def rankers(predictions: pd.DataFrame, names: list[str], contract: Contract) -> dict[str, dict[str, float]]:
    """Measure each column of probabilities, and the rule that turns out to be the best one."""
    known = [name for name in rules(contract) if name in predictions]
    lists = [list_measures(predictions, predictions[name].fillna(0.0).to_numpy()) for name in known]
    best = max(lists, key=lambda found: found["average_precision"])
    return {name: measures(predictions, name) for name in names} | {BEST_RULE: best}


def measures(predictions: pd.DataFrame, name: str) -> dict[str, float]:
    """Measure a column of probabilities against the truth."""
    score, truth = predictions[name].to_numpy(), predictions[ORACLE].to_numpy()
    base, best = (expected_log_loss(predictions[each].to_numpy(), truth) for each in (BASE_RATE, ORACLE))
    return {
        **list_measures(predictions, score),
        "gap_closed": round((base - expected_log_loss(score, truth)) / (base - best), 6),
        "expected_over_true": round(float(score.sum() / truth.sum()), 6),
    }


def list_measures(predictions: pd.DataFrame, score: Floats) -> dict[str, float]:
    """Measure the order of each list by the true probabilities, not by who converted; mean over the lists."""
    truth = predictions[ORACLE].to_numpy()
    found = []
    for places in predictions.groupby("as_of").indices.values():
        ordered = truth[places][np.argsort(-score[places], kind="stable")]
        precision = {f"precision_at_{k}": ordered[:k].mean() for k in TOP_K}
        found.append({"average_precision": true_average_precision(ordered), **precision})
    return {str(name): round(float(value), 6) for name, value in pd.DataFrame(found).mean().items()}


def true_average_precision(ordered: Floats) -> float:
    """Compute average precision of a list with true probabilities in place of the labels.

    Examples
    --------
    >>> true_average_precision(np.array([1.0, 0.0, 1.0]))
    0.8333333333333333
    """
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float((ordered * precision).sum() / ordered.sum())


def expected_log_loss(probability: Floats, truth: Floats) -> float:
    """Return the mean log loss that is to be expected where the truth is known, in nats."""
    likely = np.clip(probability, 1e-9, 1 - 1e-9)
    return float(-(truth * np.log(likely) + (1 - truth) * np.log1p(-likely)).mean())


def main() -> None:
    parser = figures_parser("measure the project on invented companies", tuple(KINDS), OUT)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="draws of each kind")
    given = parser.parse_args()
    kinds = tuple(KINDS) if given.of is None else tuple(given.of)
    path = given.out / RESULTS
    results = read_json(path) if path.exists() else {}
    with tqdm(
        total=len(kinds) * len(given.seeds), desc="other companies", unit=" exports", disable=None
    ) as bar:
        for name in kinds:
            draws: dict[str, Any] = {}
            for seed in given.seeds:
                draws[str(seed)] = measured(KINDS[name], seed)
                bar.update()
            results[name] = draws
            write_json(path, results)
    text = page((given.out / PAGE).read_text(encoding="utf-8"), results)
    write_text(given.out / PAGE, text)
    log.info("written page=%s kinds=%s", given.out / PAGE, ",".join(kinds) or "none")


if __name__ == "__main__":
    run(main)
