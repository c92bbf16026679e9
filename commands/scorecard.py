"""What became of the delivered lists, by the newest export: ``python -m commands.scorecard``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.delivery.current_ids import read_current_ids
from conversion.delivery.ledger import Delivery, latest_deliveries, read_deliveries
from conversion.delivery.reps import calls_a_week, reps_of
from conversion.delivery.statuses import DRAWN
from conversion.pages.scorecard_page import scorecard_html
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import InputError
from conversion.runtime.files import (
    read_monday,
    read_parquet,
    write_csv,
    write_json,
    write_text,
)
from conversion.runtime.row_groups import tables_of_values
from conversion.scorecard.outcomes import Today, outcomes_of
from conversion.scorecard.results import FOLDER, PATH, Power
from conversion.scorecard.scorecard import Settings, first_calls, power_results, scorecard
from conversion.scorecard.sentences import lists_table, power_text
from conversion.stats.rank_order import rank_order

CONTACTS: Final = "data/clean/contacts.parquet"
BACKTEST: Final = "data/backtest/predictions.parquet"
log = logging.getLogger(__name__)


def read_today(contract: Contract) -> Today:
    """Read the newest export as the stages cleaned it."""
    return Today(
        as_of=pd.Timestamp(read_monday("data/clean/export.json", "as_of")),
        companies=read_parquet("data/clean/companies.parquet"),
        periods=read_parquet("data/clean/subscriptions.parquet"),
        current=read_current_ids(Path(), contract),
        contract=contract,
    )


def backtest_power(calls: int) -> Power:
    """Compute the power of a control group from the lists of the backtest.

    Parameters
    ----------
    calls
        From each list.

    Raises
    ------
    InputError
        The backtest has fewer than two lists.
    """
    weeks = tables_of_values(BACKTEST, "as_of", ("id", "as_of", "label", "probability"))
    first = [week.iloc[rank_order(week["probability"], week["id"])[:calls]] for week in weeks]
    found = power_results(pd.concat(first)) if first else None
    if found is None:
        raise InputError(f"{BACKTEST}: has fewer than two lists; run 'dvc repro evaluate'")
    return found


def read_contacts() -> pd.DataFrame | None:
    """Read the clean contacts; None where the contract has none, or nobody was contacted."""
    if not Path(CONTACTS).is_file():
        return None
    contacts = read_parquet(CONTACTS, needed=("id", "when", "meaning"))
    return None if contacts.empty else contacts


def forgotten_places(deliveries: Sequence[Delivery]) -> int:
    """Count the places of call lists and control groups that were removed from the ledger on request."""
    return sum(
        each.companies
        for delivery in latest_deliveries(deliveries)
        for each in delivery.manifest.forgotten
        if each.status in DRAWN
    )


def main() -> None:
    """Read the ledger and the newest export; write the scorecard, or print what a control group shows."""
    arguments = _arguments()
    params, contract = load_params(), load_contract("data/contract.json")
    deliveries = read_deliveries(Path())
    outcomes = outcomes_of(deliveries, today := read_today(contract))
    if arguments.power:
        calls = calls_a_week(reps_of(params.deliver, contract), params.score)
        power = power_results(first_calls(outcomes)) or backtest_power(calls)
        sys.stdout.write(power_text(power))
        return
    settings = Settings(params.evaluate.top_k, params.evaluate.bootstrap_samples, params.seed)
    found = scorecard(outcomes, today, read_contacts(), forgotten_places(deliveries), settings)
    write_csv(f"{FOLDER}/lists.csv", lists_table(found.lists))
    write_text(f"{FOLDER}/scorecard.html", scorecard_html(found))
    write_json(PATH, found.model_dump(mode="json"))
    log.info("read the outcomes", extra={"lists": len(found.lists), "waiting": len(found.waiting)})
    sys.stdout.write(f"{found.line}\n")


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.scorecard",
        description="What became of the delivered lists whose horizon is over, by the newest export: writes "
        f"{FOLDER}/. It neither fits nor scores anything.",
    )
    parser.add_argument(
        "--power",
        action="store_true",
        help="print how small an effect of calling a control group shows and how many weeks that takes, from "
        "the delivered lists, or from those of the backtest before any was delivered; writes nothing",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
