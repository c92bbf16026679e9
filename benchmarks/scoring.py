"""How many prospects a CPU second scores, by type of model: `python -m benchmarks.scoring`.

    python -m benchmarks.scoring [--data-dir FOLDER] [--prospects N] [--types TYPE ...] [--rounds N]

It fits each type on the training snapshots in ``data/features``, and repeats the rows of the lists there, in
row groups of the same size. CPU seconds are of all threads, of the fastest round. Three things are counted:

- ``predict_proba``: from frames of one batch of stage `score`, in memory, to calibrated probabilities.
- ``with reasons``: from the same to probabilities and contributions. Sentences are left out.
- ``first pass``: all that stage `score` does until prospects are ranked, from the Parquet files to the ranks.
  It reads and scores every prospect twice: today's snapshot, and that of a week before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Final, NamedTuple, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.modelling import changed
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.model_params import ModelType
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.leads.batches import table_batches
from conversion.leads.lead_writers import BLOCK_ROWS
from conversion.leads.score_parts import LATEST, PREVIOUS, Parts, rank_all, score_part
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import fit_at
from conversion.runtime.files import VERIFIED, WITH_CHECKSUMS, read_monday, verified_parquet

WITH_REASONS: Final = 4
"""One batch in so many gets contributions, which take trees ten times as long."""


class Rates(NamedTuple):
    """Prospects a CPU second."""

    predict_proba: float
    with_reasons: float
    first_pass: float


def repeat_rows(source: Path, target: Path, rows: int) -> None:
    """Write the rows of a Parquet file again and again into another one, in groups of the same size."""
    file = pq.ParquetFile(source, **VERIFIED)
    table, group = file.read(), file.metadata.row_group(0).num_rows
    times = -(-rows // len(table))
    target.parent.mkdir(parents=True, exist_ok=True)
    repeated = pa.concat_tables([table] * times).slice(0, rows)
    pq.write_table(repeated, target, row_group_size=group, **WITH_CHECKSUMS)


def cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of the fastest round."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def first_pass(model: ConversionModel, aside: Path) -> None:
    """Score and rank the lists in the current folder, as stage `score` does."""
    parts = Parts(1, aside)
    score_part(0, model, parts)
    rank_all(parts, "previous")
    rank_all(parts, "latest")


def measured(model: ConversionModel, folder: Path, rounds: int) -> Rates:
    """Measure a model on the lists in a folder."""
    names = [feature.name for feature in model.features]
    batches = list(table_batches(folder / LATEST, names, BLOCK_ROWS))
    some = batches[::WITH_REASONS]

    def explain(batch: pd.DataFrame) -> object:
        return model.probability_with_contributions(model.values(batch))

    prospects = sum(map(len, batches))
    with chdir(folder):
        return Rates(
            prospects / cpu_seconds(lambda: [model.predict_proba(batch) for batch in batches], rounds),
            sum(map(len, some)) / cpu_seconds(lambda: [explain(batch) for batch in some], 1),
            prospects / cpu_seconds(lambda: first_pass(model, folder), rounds),
        )


def fitted(data: Path, params: Params, contract: Contract) -> ConversionModel:
    """Fit the recipe on the training snapshots."""
    as_of = pd.Timestamp(read_monday(data / "clean/export.json", "as_of"))
    return fit_at(verified_parquet(data / "features/train.parquet"), as_of, params, contract)


def main() -> None:
    parser = argparse.ArgumentParser(description="prospects a CPU second by type of model")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="what featurize wrote")
    parser.add_argument("--prospects", type=int, default=500_000, help="rows of the list")
    parser.add_argument("--types", nargs="+", choices=get_args(ModelType), default=get_args(ModelType))
    parser.add_argument("--rounds", type=int, default=3, help="the fastest counts")
    arguments = parser.parse_args()
    data, params = arguments.data_dir, load_params()
    contract = load_contract(data / "contract.json")
    with tempfile.TemporaryDirectory(prefix="scoring-") as temporary:
        folder = Path(temporary)
        for table in (LATEST, PREVIOUS):
            repeat_rows(data / "features" / Path(table).name, folder / table, arguments.prospects)
        sys.stdout.write(f"{'prospects a CPU second':<24}" + "".join(f"{name:>16}" for name in Rates._fields))
        for name in arguments.types:
            model = fitted(data, changed(params, {"model.type": name}), contract)
            rates = measured(model, folder, arguments.rounds)
            sys.stdout.write(f"\n{name:<24}" + "".join(f"{rate:>16,.0f}" for rate in rates))
            sys.stdout.flush()
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
