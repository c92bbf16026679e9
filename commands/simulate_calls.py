"""Let calls from the delivered lists change the sample: ``python -m commands.simulate_calls``."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.params_file import load_params
from conversion.delivery.ledger import FOLDER as LEDGER
from conversion.delivery.ledger import latest_deliveries, read_deliveries
from conversion.delivery.statuses import DRAWN
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import InputError
from conversion.runtime.files import copy_file, read_parquet, reading, write_csv, write_json
from conversion.simulation.calls import CallSettings, export_end, simulate_calls
from conversion.simulation.vocabulary import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS

TRUTH: Final = "data/truth.parquet"
TRUTH_OF_CALLS: Final = "truth_of_calls.json"
LARGEST: Final = 10.0
"""Log-hazard ratio, up or down; at about 700 hazards leave the range of floats."""
NUMBERS: Final = {"id": "int64", "MRR": "float64"}
"""Columns that are read as numbers; the other cells stay as they are written."""
log = logging.getLogger(__name__)


def read_lists(root: Path) -> pd.DataFrame:
    """Read who was listed, held back or explored on each delivered list.

    Raises
    ------
    InputError
        None was delivered.
    """
    found = []
    for delivery in latest_deliveries(read_deliveries(root)):
        rows = delivery.companies(["id", "status", "rep"])
        found.append(rows[rows["status"].isin(DRAWN)].assign(as_of=pd.Timestamp(delivery.as_of)))
    if not found:
        raise InputError(
            f"{LEDGER}: no list was delivered; 'python -m commands.deliver' delivers this week's"
        )
    return pd.concat(found, ignore_index=True)


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of the sample; see `NUMBERS`."""
    path = folder / f"{name}.csv"
    with reading(path):
        table: pd.DataFrame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
        return table.astype({column: kind for column, kind in NUMBERS.items() if column in table})


def main() -> None:
    """Read the sample, its truth and the ledger; write the sample after the calls, and their truth."""
    arguments = _arguments()
    params = load_params()
    export, out = Path(arguments.export), Path(arguments.out)
    if out.resolve() == export.resolve():
        raise InputError(
            f"{out}: is the sample itself; give another folder, so that the sample stays as it is"
        )
    tables = {name: read_table(export, name) for name in (CUSTOMERS, NONCUSTOMERS)}
    settings = CallSettings(
        effect=arguments.effect,
        spread=arguments.spread,
        horizon_days=params.featurize.horizon_days,
        seed=params.seed,
        end=export_end(read_table(export, USAGE_ACTIONS)),
    )
    called = simulate_calls(tables, read_lists(Path()), read_parquet(TRUTH), settings)
    for name, table in called.tables.items():
        write_csv(out / f"{name}.csv", table)
    copy_file(export / f"{USAGE_ACTIONS}.csv", out / f"{USAGE_ACTIONS}.csv")
    write_json(out / TRUTH_OF_CALLS, called.truth.model_dump())
    log.info("simulated calls", extra=called.truth.model_dump())


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.simulate_calls",
        description="Writes the sample as it would be if reps had called the companies of the delivered "
        f"lists: its tables with the conversions that calls add, contacts.csv, and {TRUTH_OF_CALLS}. Nothing "
        "of the sample is drawn again.",
    )
    parser.add_argument("--export", required=True, metavar="FOLDER", help="the sample, e.g. data/sample")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the folder to write to")
    parser.add_argument(
        "--effect",
        type=_number(-LARGEST, LARGEST),
        required=True,
        help="log-hazard ratio of a call: 0.7 doubles the hazard of the 30 days, 0 changes nothing",
    )
    parser.add_argument(
        "--spread",
        type=_number(0.0, LARGEST),
        default=0.0,
        help="standard deviation of it by company (default: 0)",
    )
    return parser.parse_args()


def _number(least: float, most: float) -> Callable[[str], float]:
    """Return an argument type for numbers between two."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"given {text!r}, should be from {least:g} to {most:g}")
        return value

    return read


if __name__ == "__main__":
    run(main)
