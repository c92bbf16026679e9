"""Measure what docs/explanation/modelling.md tells of the model's choices: `make bench-modelling`.

    python -m benchmarks.modelling [--data-dir FOLDER] [--first-cutoff MONDAY] [--of PART ...] [--out FOLDER]

The parts: ``choices`` and ``calibration`` are measured inside the training period, of the sample and of two
smaller samples of other seeds; ``types`` and ``groups`` by the backtest of the sample. Of an export of your
own, by --data-dir or CRM_EXPORT_DIR, ``export`` measures all but the choices. The figures go to
modelling.json in the folder --out, and from there to the generated blocks of the page. What a run does not
measure stays.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.export_copy import CONTRACT, EXPORT, chosen_parts, make_snapshots, parts_parser
from benchmarks.modelling_page import (
    CHOICES,
    EVERYTHING,
    GROUPS,
    MEASURES,
    PAGE,
    RESULTS,
    SAMPLE_DATA,
    SMALL,
    TYPES,
    page,
)
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import SAMPLE, Params
from conversion.config.params_file import load_params
from conversion.evaluation.backtest import backtest, with_oracle
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.evaluation.probability_metrics import probability_measures
from conversion.modelling.calibration import method_losses
from conversion.modelling.families import make_model
from conversion.modelling.time_folds import Fold, OutOfTime
from conversion.modelling.training import recency_weights
from conversion.runtime.cli import run
from conversion.runtime.errors import UserError
from conversion.runtime.files import read_json, verified_parquet, write_csv, write_json, write_text
from conversion.simulation.export import as_text
from conversion.simulation.sample import simulate
from conversion.stats.losses import log_loss

ROOT: Final = Path(__file__).resolve().parents[1]
OUT: Final = ROOT / "docs/explanation"
PARTS: Final = ("choices", "calibration", "types", "groups", EXPORT)
RULE: Final = "users_rule"
TOP_K: Final = (10, 50, 250)
BLOCKS: Final = 4
CALIBRATION_FOLDS: Final = 2
SMALL_COMPANIES: Final = 6000

log = logging.getLogger(__name__)


class Data(NamedTuple):
    """The snapshots of an export, with the params that made them."""

    params: Params
    train: pd.DataFrame
    snapshots: pd.DataFrame
    truth: pd.DataFrame | None
    contract: Contract


def changed(params: Params, changes: Mapping[str, Any]) -> Params:
    """Return params with keys like ``model.xgboost.reg_lambda`` set."""
    values = params.model_dump(mode="json")
    for path, value in changes.items():
        *sections, key = path.split(".")
        node = values
        for name in sections:
            node = node[name]
        if key not in node:
            raise KeyError(path)
        node[key] = value
    return Params.model_validate(values)


def read_data(folder: Path, backtested: bool = True) -> Data:
    """Read the snapshots that were made in a project folder, those of the backtest if they are needed."""
    params = load_params(folder / "params.yaml")
    paths = {name: folder / f"data/features/{name}.parquet" for name in ("train", "backtest")}
    for path in (*paths.values(), folder / CONTRACT):
        if not path.exists():
            raise UserError(f"{path}: not found; `make run` makes it")
    truth = folder / "data/truth.parquet"
    return Data(
        params,
        verified_parquet(paths["train"]),
        verified_parquet(paths["backtest"]) if backtested else pd.DataFrame(),
        verified_parquet(truth) if params.data.is_sample else None,
        load_contract(folder / CONTRACT),
    )


# Inside the training period


def later_blocks(as_of: pd.Series, horizon_days: int) -> list[Fold]:
    """Cut the later two thirds of the weeks into blocks: masks of what was mature before each, and of it."""
    weeks = np.sort(as_of.unique())
    blocks = np.array_split(weeks[len(weeks) // 3 :], BLOCKS)
    mature = as_of + pd.Timedelta(days=horizon_days)
    return [
        ((mature <= block[0]).to_numpy(), ((as_of >= block[0]) & (as_of <= block[-1])).to_numpy())
        for block in blocks
    ]


def out_of_time(train: pd.DataFrame, params: Params, contract: Contract) -> tuple[OutOfTime, np.ndarray]:
    """Predict each block from what was mature before it; with the base rate that was known then."""
    label, weight = train["label"].to_numpy(dtype=np.int64), train["weight"].to_numpy(dtype=np.float64)
    raw, base = np.full(len(train), np.nan), np.full(len(train), np.nan)
    for learn, test in later_blocks(train["as_of"], params.featurize.horizon_days):
        rows, start = train[learn], train.loc[test, "as_of"].min()
        recency = recency_weights(rows["as_of"], start, params.train.recency_half_life_weeks)
        model = make_model(params, contract)
        model.fit(rows, label[learn], weight[learn] * recency, rows["as_of"])
        raw[test] = model.predict_proba(train[test])[:, 1]
        base[test] = np.average(label[learn], weights=weight[learn])
    known = ~np.isnan(raw)
    return OutOfTime(raw[known], label[known], weight[known], train.loc[known, "as_of"]), base[known]


def pooled_ratio(train: pd.DataFrame, params: Params, contract: Contract) -> float:
    """Return the out-of-time log loss over that of the base rate, all blocks together."""
    predictions, base = out_of_time(train, params, contract)
    losses = [log_loss(predictions.y, each, predictions.weight) for each in (predictions.raw, base)]
    return round(losses[0] / losses[1], 6)


def choices(
    trains: Mapping[str, pd.DataFrame], params: Params, contract: Contract
) -> dict[str, dict[str, float]]:
    """Measure each choice on the samples; by its key and the sample."""
    jobs = [
        (choice, name) for choice in CHOICES for name in trains if name != SAMPLE_DATA or choice.on_sample
    ]
    found: dict[str, dict[str, float]] = {choice.key: {} for choice in CHOICES}
    for choice, name in tqdm(jobs, desc="choices", unit=" choices", disable=None):
        tried = changed(params, {"features.groups": list(EVERYTHING), **choice.changes})
        found[choice.key][name] = pooled_ratio(trains[name], tried, contract)
    return found


def calibration(train: pd.DataFrame, params: Params, contract: Contract) -> dict[str, float | None]:
    """Return the log loss of each calibration over that of none, of predictions out of time."""
    predictions, _ = out_of_time(train, params, contract)
    losses = method_losses(predictions, CALIBRATION_FOLDS, params.featurize.horizon_days)
    return {
        method: round(losses[method] / losses["none"], 6) if losses else None
        for method in ("sigmoid", "isotonic")
    }


# By the backtest


def measured(data: Data, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a recipe by the backtest: its lists and probabilities, the rule's and the oracle's lists."""
    params = changed(data.params, changes)
    predictions = backtest(data.train, data.snapshots, params, data.contract)
    if data.truth is not None:
        predictions = with_oracle(predictions, [data.truth])
    samples = params.evaluate.bootstrap_samples
    rankers = [name for name in (MODEL, RULE, ORACLE) if name in predictions]
    result = ranker_measures(resample(predictions, samples, params.seed), rankers, TOP_K)
    rated = {
        name: probability_measures(
            resample(predictions.assign(**{MODEL: predictions[name]}), samples, params.seed)
        )
        for name in rankers
        if name != RULE
    }
    return {
        "setting": {
            "lists": int(predictions["as_of"].nunique()),
            "first": f"{predictions['as_of'].min():%Y-%m-%d}",
            "companies": int(predictions["id"].nunique()),
            "converters": int(predictions.loc[predictions["label"] == 1, "id"].nunique()),
        },
        "rankers": {
            name: {
                measure: interval
                for measure, interval in (result["rankers"][name] | rated.get(name, {})).items()
                if measure in MEASURES
            }
            for name in rankers
        },
        "minus_rule": result["differences"][RULE]["average_precision"],
    }


def types(data: Data) -> dict[str, Any]:
    """Measure every type of model."""
    return {name: measured(data, {"model.type": name}) for name in TYPES}


def groups(data: Data, by_type: Mapping[str, Any]) -> dict[str, Any]:
    """Measure every choice of groups, with the type of params.yaml; ``by_type`` may have one already."""
    params = data.params
    return {
        name: by_type[params.model.type]
        if set(used) == set(params.features.groups) and params.model.type in by_type
        else measured(data, {"features.groups": list(used)})
        for name, used in GROUPS.items()
    }


def small_sample(seed: int, params: Params) -> pd.DataFrame:
    """Make the training snapshots of a smaller sample."""
    sizes = params.simulate
    sample = simulate(SMALL_COMPANIES, sizes.weeks, sizes.first_week, seed)
    with tempfile.TemporaryDirectory(prefix="modelling-") as temporary:
        export, copy = Path(temporary) / "export", Path(temporary) / "copy"
        copy.mkdir()
        for name, table in as_text(sample).items():
            write_csv(export / f"{name}.csv", table)
        make_snapshots(copy, export, {})
        return read_data(copy, backtested=False).train


def of_export(folder: Path, first_cutoff: str | None) -> dict[str, Any]:
    """Measure an export of your own, in a temporary copy of the project."""
    with tempfile.TemporaryDirectory(prefix="modelling-") as temporary:
        copy = Path(temporary)
        make_snapshots(copy, folder, {"first_cutoff": first_cutoff} if first_cutoff else {})
        data = read_data(copy)
    by_type = types(data)
    return {
        "types": by_type,
        "groups": groups(data, by_type),
        "calibration": calibration(data.train, data.params, data.contract),
    }


def of_sample(parts: Sequence[str]) -> dict[str, Any]:
    """Measure some parts on the sample, as the pipeline last left it, and on the smaller ones."""
    data = read_data(ROOT, backtested=bool({"types", "groups"} & set(parts)))
    if data.truth is None:
        raise UserError(
            f"params.yaml: data.dir: given {data.params.data.dir}; should be {SAMPLE}, or --of {EXPORT}"
        )
    found: dict[str, Any] = {}
    if {"choices", "calibration"} & set(parts):
        trains = {name: small_sample(seed, data.params) for name, seed in SMALL.items()}
        trains[SAMPLE_DATA] = data.train
        if "choices" in parts:
            found["choices"] = choices(trains, data.params, data.contract)
        if "calibration" in parts:
            found["calibration"] = {
                name: calibration(train, data.params, data.contract) for name, train in trains.items()
            }
    if "types" in parts:
        found["types"] = types(data)
    if "groups" in parts:
        found["groups"] = groups(data, found.get("types", {}))
    return found


def main() -> None:
    parser = parts_parser("measure the model's choices, and write them on their page", PARTS, OUT)
    given = parser.parse_args()
    parts = chosen_parts(PARTS, given.of, given.data_dir)
    path = given.out / RESULTS
    results = read_json(path) if path.exists() else {}
    if set(parts) - {EXPORT}:
        results |= of_sample(parts)
        write_json(path, results)
    if EXPORT in parts:
        results[EXPORT] = of_export(given.data_dir, given.first_cutoff)
        write_json(path, results)
    text = page((given.out / PAGE).read_text(encoding="utf-8"), results)
    write_text(given.out / PAGE, text)
    log.info("written page=%s parts=%s", given.out / PAGE, ",".join(parts) or "none")


if __name__ == "__main__":
    run(main)
