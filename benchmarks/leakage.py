"""What the usual recipe claims, and what its ranking achieves out of time: `make bench-leakage`.

    python -m benchmarks.leakage [--data-dir FOLDER] [--first-cutoff MONDAY] [--of WHICH ...] [--out FOLDER]

Measures the sample, by what `dvc repro` made of it, an example with days of sign-up, and an export of your
own, by --data-dir or CRM_EXPORT_DIR. The snapshots and backtests of the last two are made in temporary copies
of the project. The figures go to random_splits.json in the folder --out, and from there to the page and its
pictures. What is not measured in a run (an export where none is given) stays on the page as it was measured
last.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks import usual_recipe
from benchmarks.export_copy import CONTRACT, EXPORT, chosen_parts, make_snapshots, parts_parser
from benchmarks.leakage_page import EXAMPLE, RESULTS, SAMPLE_DATA, write_page
from benchmarks.not_yet import measure_not_yet
from benchmarks.usual_recipe import FOLDS, LEARNERS, Learner
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import SAMPLE, Params
from conversion.config.params_file import load_params
from conversion.data.timeline import WEEK, week_number
from conversion.evaluation.backtest import backtest, with_oracle
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.cross_validation import cross_validation
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.evaluation.probability_metrics import probability_measures
from conversion.modelling.training import known_training
from conversion.runtime.cli import run
from conversion.runtime.errors import UserError
from conversion.runtime.files import read_json, verified_parquet, write_json
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import Floats

ROOT: Final = Path(__file__).resolve().parents[1]
OUT: Final = ROOT / "docs/explanation"
RULES: Final = ("users_rule", "actions_rule", "random")
RULE: Final = "users_rule"
TOP_K: Final = (10, 50, 250)
KEYS: Final = ["id", "as_of"]
PARTS: Final = (SAMPLE_DATA, EXAMPLE, EXPORT)

log = logging.getLogger(__name__)


class Data(NamedTuple):
    """What the pipeline made of an export."""

    companies: pd.DataFrame
    usage: pd.DataFrame
    as_of: pd.Timestamp  # when the export was taken
    train: pd.DataFrame  # training snapshots
    predictions: pd.DataFrame  # the backtest of our model
    contract: Contract


def read_data(folder: Path) -> Data:
    """Read what the pipeline made in a project folder; its backtest is made if the folder has none."""
    params = load_params(folder / "params.yaml")
    names = {name: f"data/{name}.parquet" for name in ("clean/companies", "clean/usage", "features/train")}
    for path in (folder / name for name in (*names.values(), CONTRACT)):
        if not path.exists():
            raise UserError(f"{path}: not found; `make run` makes it")
    contract = load_contract(folder / CONTRACT)
    companies, usage, train = (verified_parquet(folder / name) for name in names.values())
    as_of = pd.Timestamp(read_json(folder / "data/clean/export.json")["as_of"])
    made = folder / "data/backtest/predictions.parquet"
    if made.exists():
        predictions = verified_parquet(made)
    else:
        snapshots = verified_parquet(folder / "data/features/backtest.parquet")
        predictions = backtest(train, snapshots, params, contract)
    if params.data.is_sample and ORACLE not in predictions:
        predictions = with_oracle(predictions, [verified_parquet(folder / "data/truth.parquet")])
    return Data(companies, usage, as_of, train, predictions, contract)


def measure(data: Data, params: Params, seeds: int) -> dict[str, Any]:
    """Measure all that the page tells of one export; JSON-ready."""
    predictions = data.predictions
    learners = tqdm(LEARNERS.items(), desc="out of time", unit=" learners", disable=None)
    for name, learner in learners:
        scores = out_of_time(data, params, learner).rename(columns={"score": name})
        predictions = predictions.merge(scores, on=KEYS, how="left", validate="one_to_one")
    folds = params.evaluate.model_copy(update={"cross_validation_folds": FOLDS})
    return {
        **setting(data, seeds),
        "claimed": claims(data, usual_recipe.up_to(data.companies, data.as_of), seeds),
        **kept(predictions, params),
        "ladder": ladder(data, params, seeds),
        "our_random_split": cross_validation(
            data.train, data.predictions, params.model_copy(update={"evaluate": folds}), data.contract
        ),
    }


def setting(data: Data, seeds: int) -> dict[str, Any]:
    """Describe what was measured."""
    weeks, label = data.predictions["as_of"], data.predictions["label"]
    converted = data.contract.companies.converted
    customers = data.companies[data.companies[converted].notna()]
    closed = data.usage["id"].map(customers.set_index("id")[converted]).dropna()
    after = data.usage.loc[closed.index, data.contract.usage.time] >= closed
    return {
        "as_of": f"{data.as_of:%Y-%m-%d}",
        "companies": len(data.companies),
        "customers": len(customers),
        "usage_after_conversion": round(float(after.mean()), 6),
        "seeds": seeds,
        "lists": int(weeks.nunique()),
        "first": f"{weeks.min():%Y-%m-%d}",
        "last": f"{weeks.max():%Y-%m-%d}",
        "converters": int(data.predictions.loc[label == 1, "id"].nunique()),
        "prevalence": round(float(label.mean()), 8),
    }


def claims(data: Data, moments: pd.Series, seeds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the usual recipe as its author does: by learner and measure, mean and range over the splits."""
    label = usual_recipe.is_customer(data.companies, data.as_of, data.contract)
    table = usual_recipe.features(data.companies, data.usage, moments, data.contract)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, learner in LEARNERS.items():
        splits = pd.DataFrame(
            [usual_recipe.claim(table, label, data.companies["id"], learner, seed) for seed in range(seeds)]
        )
        value, low, high = splits.mean(), splits.min(), splits.max()
        found[name] = {
            measure: {
                "value": round(float(value[measure]), 6),
                "low": round(float(low[measure]), 6),
                "high": round(float(high[measure]), 6),
            }
            for measure in splits.columns
        }
    return found


def refits_of(data: Data, params: Params) -> dict[pd.Timestamp, list[pd.Timestamp]]:
    """Return the cutoffs that each refit of the backtest scores."""
    cutoffs = pd.DatetimeIndex(np.sort(data.predictions["as_of"].unique()))
    since = (cutoffs - cutoffs[0]) // WEEK
    refits = cutoffs[0] + (since - since % params.evaluate.refit_weeks) * WEEK
    return {refit: list(cutoffs[refits == refit]) for refit in refits.unique()}


def out_of_time(data: Data, params: Params, learner: Learner) -> pd.DataFrame:
    """Rank the prospects of the backtest's lists by the usual recipe, fitted when ours was."""
    refits = refits_of(data, params)
    return usual_recipe.out_of_time(data.companies, data.usage, refits, learner, params.seed, data.contract)


def kept(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Measure every ranker on the same lists: what is kept of the claim, and what others achieve."""
    samples, seed = params.evaluate.bootstrap_samples, params.seed
    rankers = [name for name in (*LEARNERS, MODEL, *RULES, ORACLE) if name in predictions]
    result = ranker_measures(resample(predictions, samples, seed), rankers, TOP_K)
    shown = (
        "roc_auc",
        "average_precision",
        *(f"{of}_at_{k}" for of in ("precision", "recall") for k in TOP_K),
    )
    rated = {
        name: probability_measures(resample(predictions.assign(**{MODEL: predictions[name]}), samples, seed))
        for name in (*LEARNERS, MODEL)
    }
    return {
        "kept": {
            ranker: {name: measures[name] for name in shown} for ranker, measures in result["rankers"].items()
        },
        "ours_minus": {name: result["differences"][name]["average_precision"] for name in (*LEARNERS, RULE)},
        "minus_rule": {name: minus_rule(predictions, name, params) for name in LEARNERS},
        "expected_over_observed": {name: each["expected_over_observed"] for name, each in rated.items()},
        "log_loss_ratio": {name: each["log_loss_ratio"] for name, each in rated.items()},
    }


def minus_rule(predictions: pd.DataFrame, name: str, params: Params) -> dict[str, float | None]:
    """Return a ranker's average precision minus the users rule's, on the same samples of companies."""
    rows = predictions.assign(**{MODEL: predictions[name]})
    result = ranker_measures(
        resample(rows, params.evaluate.bootstrap_samples, params.seed), [MODEL, RULE], TOP_K
    )
    difference: dict[str, float | None] = result["differences"][RULE]["average_precision"]
    return difference


def ladder(data: Data, params: Params, seeds: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Take the recipe's mistakes away one by one; by step and learner, the measures.

    All steps have the same features and learners. ``claim`` is the recipe as it is; ``cut`` leaves out a
    customer's usage after its conversion; the others ask the sales team's question, a row a prospect and
    week: ``rows`` by folds of rows, ``companies`` by folds of companies, ``time`` as it has to be.
    """
    train, tested = data.train[[*KEYS, "label", "weight"]], data.predictions[[*KEYS, "label"]]
    learn_rows, test_rows = snapshot_rows(data, train), snapshot_rows(data, tested)
    parts = {
        "rows": folds_of(train, tested, "rows", params.seed),
        "companies": folds_of(train, tested, "companies", params.seed),
        "time": refit_parts(data, train, tested, params),
    }
    cut = usual_recipe.up_to_conversion(data.companies, data.as_of, data.contract)
    steps: dict[str, dict[str, dict[str, Any]]] = {
        "claim": claims(data, usual_recipe.up_to(data.companies, data.as_of), seeds),
        "cut": claims(data, cut, seeds),
    }
    bar = tqdm(total=len(parts) * len(LEARNERS), desc="ladder", unit=" steps", disable=None)
    for step, splits in parts.items():
        scored = tested.copy()
        for name, learner in LEARNERS.items():
            scored[name] = scored_in_parts(learn_rows, train, test_rows, splits, learner, params.seed)
            bar.update()
        result = ranker_measures(
            resample(scored, params.evaluate.bootstrap_samples, params.seed), list(LEARNERS), TOP_K[:1]
        )
        steps[step] = {name: _ladder_measures(result["rankers"][name], tested["label"]) for name in LEARNERS}
    bar.close()
    return {step: {name: _shown(found[name]) for name in LEARNERS} for step, found in steps.items()}


def _ladder_measures(measures: Mapping[str, Any], label: pd.Series) -> dict[str, Any]:
    prevalence = round(float(label.mean()), 8)
    return {**measures, "prevalence": {"value": prevalence, "low": prevalence, "high": prevalence}}


def _shown(measures: Mapping[str, Any]) -> dict[str, Any]:
    names = ("roc_auc", "average_precision", f"precision_at_{TOP_K[0]}", "prevalence")
    return {name: measures[name] for name in names}


Part = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def folds_of(train: pd.DataFrame, tested: pd.DataFrame, of: str, seed: int) -> list[Part]:
    """Split ``rows`` or ``companies`` at random: masks of what is learned from and of what is tested."""

    def fold(rows: pd.DataFrame) -> Floats:
        keys = [rows["id"]] if of == "companies" else [rows["id"], week_number(rows["as_of"])]
        # Another seed than the sampling of negatives, whose hash of the same keys it would repeat.
        return np.floor(FOLDS * uniform_hash(*keys, seed=seed + 1))

    learn, test = fold(train), fold(tested)
    return [(learn != number, test == number) for number in range(FOLDS)]


def refit_parts(data: Data, train: pd.DataFrame, tested: pd.DataFrame, params: Params) -> list[Part]:
    """Split by time as the backtest does: labels mature at a refit, and the prospects until the next."""
    horizon = params.featurize.horizon_days
    return [
        (
            known_training(train, refit, horizon, params.train.history_weeks).to_numpy(),
            tested["as_of"].isin(cutoffs).to_numpy(),
        )
        for refit, cutoffs in refits_of(data, params).items()
    ]


def snapshot_rows(data: Data, keys: pd.DataFrame) -> NDArray[np.float32]:
    """Describe companies as the usual recipe does, by what was known at each row's ``as_of``."""
    at = pd.Series(np.arange(len(data.companies)), index=data.companies["id"])
    rows: NDArray[np.float32] | None = None
    for as_of, places in keys.groupby("as_of").indices.items():
        some = data.companies.iloc[at[keys["id"].to_numpy()[places]]]
        until = usual_recipe.up_to(some, pd.Timestamp(str(as_of)))
        described = usual_recipe.features(some, data.usage, until, data.contract).to_numpy()
        if rows is None:
            rows = np.empty((len(keys), described.shape[1]), dtype=np.float32)
        rows[places] = described
    assert rows is not None
    return rows


def scored_in_parts(
    learn_rows: NDArray[np.float32],
    train: pd.DataFrame,
    test_rows: NDArray[np.float32],
    parts: Iterable[Part],
    learner: Learner,
    seed: int,
) -> Floats:
    """Score each tested row by a model of the rows that its part learns from."""
    label, weight = train["label"].to_numpy(dtype=np.int64), train["weight"].to_numpy(dtype=np.float64)
    score = np.full(len(test_rows), np.nan)
    for learn, test in parts:
        model = learner(seed).fit(learn_rows[learn], label[learn], sample_weight=weight[learn])
        score[test] = model.predict_proba(test_rows[test])[:, 1]
    return score


def measure_export(folder: Path, first_cutoff: str | None, seeds: int) -> dict[str, Any]:
    """Make the snapshots of an export in a temporary copy of the project, and measure it."""
    with tempfile.TemporaryDirectory(prefix="leakage-") as temporary:
        copy = Path(temporary)
        make_snapshots(copy, folder, {"first_cutoff": first_cutoff} if first_cutoff else {})
        return measure(read_data(copy), load_params(copy / "params.yaml"), seeds)


def measure_sample(seeds: int) -> dict[str, Any]:
    """Measure the sample, as the pipeline last left it."""
    params = load_params(ROOT / "params.yaml")
    if not params.data.is_sample:
        raise UserError(f"params.yaml: data.dir: given {params.data.dir}; should be {SAMPLE}, or --of export")
    return measure(read_data(ROOT), params, seeds)


def main() -> None:
    parser = parts_parser("what the usual recipe claims, and what it keeps", PARTS, OUT)
    parser.add_argument("--seeds", type=int, default=5, help="random splits behind each claim")
    given = parser.parse_args()
    path = given.out / RESULTS
    results = read_json(path) if path.exists() else {}
    for name in chosen_parts(PARTS, given.of, given.data_dir):
        log.info("measuring of=%s", name)
        if name == SAMPLE_DATA:
            results[name] = measure_sample(given.seeds)
        elif name == EXAMPLE:
            results[name] = measure_not_yet()
        else:
            results[name] = measure_export(given.data_dir, given.first_cutoff, given.seeds)
        write_json(path, results)
    sys.stdout.write(write_page(results, given.out))


if __name__ == "__main__":
    run(main)
