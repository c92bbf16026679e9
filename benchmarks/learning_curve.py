"""How much history a model needs, by its share of the oracle: `make bench-learning-curve`.

    python -m benchmarks.learning_curve [--out docs/explanation/learning_curve.md]

Reads what `dvc repro` made of the sample, whose truth is known. The last cutoffs of the backtest are scored
by models that were fitted once, on what was known at the first of them, of all companies or of a random part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.export_copy import CONTRACT
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.model_params import model_types
from conversion.config.params import SAMPLE, Params
from conversion.config.params_file import load_params
from conversion.evaluation.backtest import with_oracle
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.predictions import BASE_RATE, MODEL, ORACLE
from conversion.modelling.families import make_model
from conversion.modelling.training import known_training
from conversion.runtime.files import VERIFIED, verified_parquet, write_text
from conversion.stats.hashing import uniform_hash

MEASURES = ("average_precision", "log_loss_reduction")
FEWEST_CONVERTERS = 10


def known_snapshots(first_cutoff: pd.Timestamp, params: Params) -> pd.DataFrame:
    """Read the training snapshots that were mature at the first cutoff."""
    train = verified_parquet("data/features/train.parquet")
    known = known_training(train, first_cutoff, params.featurize.horizon_days, params.train.history_weeks)
    return train[known].reset_index(drop=True)


def tested_snapshots(cutoffs: int) -> pd.DataFrame:
    """Read the snapshots of the last cutoffs, with their true probability."""
    weeks = verified_parquet("data/features/backtest.parquet", columns=["as_of"])["as_of"].unique()
    first = np.sort(weeks)[-cutoffs:][0]
    known = [("as_of", ">=", pd.Timestamp(first))]
    rows = pd.read_parquet("data/features/backtest.parquet", filters=known, **VERIFIED)
    rows = rows.sort_values(["as_of", "id"], ignore_index=True)
    rows = with_oracle(rows, [verified_parquet("data/truth.parquet")])
    return rows.dropna(subset="label").reset_index(drop=True)


def parts(train: pd.DataFrame, shares: list[float], seeds: int) -> Iterator[tuple[float, int, pd.DataFrame]]:
    """Draw companies: a smaller part is within every larger one of the same seed."""
    for seed in range(seeds):
        drawn = uniform_hash(train["id"], seed=seed)
        for share in shares:
            if share < 1 or seed == 0:
                yield share, seed, train[drawn < share]


def share_of_oracle(
    part: pd.DataFrame, tested: pd.DataFrame, params: Params, contract: Contract
) -> dict[str, float]:
    """Fit on a part, score the tested snapshots and give `MEASURES`, as metrics/evaluation.json does."""
    label, weight = part["label"].to_numpy(dtype=np.int64), part["weight"].to_numpy(dtype=np.float64)
    model = make_model(params, contract).fit(part, label, weight, part["as_of"])
    weeks = [week for _, week in tested.groupby("as_of", sort=True)]
    scored = [
        week[["id", "as_of", "label", ORACLE]].assign(
            **{MODEL: model.predict_proba(week)[:, 1], BASE_RATE: np.full(len(week), model.base_rate_)}
        )
        for week in weeks
    ]
    result = ranker_measures(
        resample(pd.concat(scored), 20, params.seed), [MODEL, ORACLE], [], [MODEL, BASE_RATE, ORACLE]
    )
    return {name: result["share_of_oracle"][name]["value"] for name in MEASURES}


def measure(arguments: argparse.Namespace, params: Params, contract: Contract) -> pd.DataFrame:
    """Measure each model type on each part: one row each."""
    tested = tested_snapshots(arguments.cutoffs)
    train = known_snapshots(tested["as_of"].min(), params)
    jobs = [
        (share, seed, part, model_type)
        for share, seed, part in parts(train, arguments.shares, arguments.seeds)
        for model_type in arguments.model_types
    ]
    rows: list[dict[str, Any]] = []
    for share, seed, part, model_type in tqdm(jobs, desc="learning curve", unit=" fits", disable=None):
        converters = part.loc[part["label"] == 1, "id"].nunique()
        if converters < FEWEST_CONVERTERS:
            continue
        chosen = params.model_copy(update={"model": params.model.model_copy(update={"type": model_type})})
        found = share_of_oracle(part, tested, chosen, contract)
        rows.append({"share": share, "seed": seed, "converters": converters, "model": model_type} | found)
    return pd.DataFrame(rows)


def cell(mean: float, least: float, largest: float) -> str:
    return f"{mean:.2f}" if least == largest else f"{mean:.2f} ({least:.2f} to {largest:.2f})"


def page(measured: pd.DataFrame, arguments: argparse.Namespace) -> str:
    """Write the tables as Markdown: a line a share of the companies, a column a model type."""
    setting = (
        f"The models are fitted on what was known {arguments.cutoffs} cutoffs before the end of the "
        "backtest, for a random part of the companies. They then score all prospects from that cutoff on. "
        f"Numbers are means over {arguments.seeds} draws of companies, with the smallest and largest in "
        "brackets. Converters are companies with a mature label 1 in training."
    )
    lines = [
        "# How much history it takes",
        "",
        "Generated by `make bench-learning-curve` from the sample, whose truth is known; do not edit.",
        "",
        setting,
    ]
    titles = {
        "average_precision": "Average precision as a share of the oracle's",
        "log_loss_reduction": "Reduction of the base rate's log loss as a share of the oracle's reduction",
    }
    for name, title in titles.items():
        table = measured.groupby(["share", "model"], sort=True)[name].agg(["mean", "min", "max"])
        by_share = dict(zip(table.index, table.to_numpy(), strict=True))
        converters = measured.groupby("share")["converters"].mean()
        lines += ["", f"## {title}", ""]
        lines.append("| converters | share of companies | " + " | ".join(arguments.model_types) + " |")
        lines.append("| --: " * (2 + len(arguments.model_types)) + "|")
        for share, count in converters.items():
            cells = [cell(*by_share[share, model]) for model in arguments.model_types]
            lines.append(f"| {count:.0f} | {share:.3g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="share of the oracle by the converters in training")
    parser.add_argument("--cutoffs", type=int, default=10, help="last cutoffs of the backtest to test on")
    parser.add_argument("--shares", type=float, nargs="+", default=[1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0])
    parser.add_argument("--seeds", type=int, default=4, help="draws of companies")
    parser.add_argument("--model-types", nargs="+", choices=model_types(), default=list(model_types()))
    parser.add_argument("--out", type=Path, help="write the page here too")
    arguments = parser.parse_args()
    params = load_params()
    if not params.data.is_sample:
        sys.exit(f"params.yaml: data.dir: given {params.data.dir}; should be {SAMPLE}, whose truth is known")
    text = page(measure(arguments, params, load_contract(CONTRACT)), arguments)
    sys.stdout.write(text)
    if arguments.out:
        write_text(arguments.out, text)


if __name__ == "__main__":
    main()
