"""Stage ``clean``: apply the named cleaning rules as of one moment, and keep dropped rows in quarantine."""

from __future__ import annotations

import logging

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.data.clean_tables import CleanTables, Quarantine, clean_tables, cleaning_report
from conversion.data.cleaning import check_usage_is_left, warn_of_incomplete_week, warn_of_strays
from conversion.data.histories import history_files
from conversion.data.period import export_days, find_period
from conversion.data.timeline import on_mondays
from conversion.runtime.cli import run
from conversion.runtime.files import read_parquet, read_value, write_json, write_parquet

log = logging.getLogger(__name__)


def write_tables(clean: CleanTables, quarantine: Quarantine, histories: dict[str, str]) -> None:
    """Write the clean tables and the rows in quarantine; ``histories`` are the files by attribute."""
    write_parquet("data/clean/companies.parquet", clean.companies)
    write_parquet("data/clean/usage.parquet", clean.usage)
    write_parquet("data/clean/subscriptions.parquet", clean.periods)
    # Written without rows where the contract has no such table, so that deliveries read the same files.
    for name in ("contacts", "objections"):
        write_parquet(f"data/clean/{name}.parquet", getattr(clean, name))
        if (left_out := getattr(quarantine, name)) is not None:
            write_parquet(f"data/quarantine/{name}.parquet", left_out)
    write_parquet("data/quarantine/companies.parquet", quarantine.companies)
    write_parquet("data/quarantine/usage.parquet", quarantine.usage)
    if quarantine.subscriptions is not None:
        write_parquet("data/quarantine/subscriptions.parquet", quarantine.subscriptions)
    for column, file in histories.items():
        write_parquet(f"data/clean/{file}", clean.histories[column])
        write_parquet(f"data/quarantine/{file}", quarantine.histories[column])


def main() -> None:
    """Read the typed tables; write the clean ones, the quarantine and the counts."""
    params = load_params()
    contract = load_contract("data/contract.json")
    tables = {name: read_parquet(f"data/typed/{name}.parquet") for name in contract.tables}
    tables[contract.usage.table] = on_mondays(tables[contract.usage.table], contract)
    last_days = None
    if contract.usage.grain != "week":
        last_days = read_value("data/typed/export.json", "last_days")
    given = None if params.data.as_of is None else pd.Timestamp(params.data.as_of)
    converted, days = export_days(tables, last_days, contract)
    usage = tables[contract.usage.table]
    period = find_period(usage, converted, given, params.clean, contract, days)
    clean, quarantine = clean_tables(tables, period, params.clean.deduplication, contract)
    warn_of_strays(quarantine.usage, period, contract)
    warn_of_incomplete_week(period)
    check_usage_is_left(clean.usage, quarantine.usage, period.as_of, contract)
    write_tables(clean, quarantine, history_files(contract))
    as_of = f"{period.as_of:%Y-%m-%d}"
    write_json("data/clean/export.json", {"as_of": as_of})
    write_json("metrics/cleaning.json", cleaning_report(clean, quarantine, period.as_of, contract))
    log.info("cleaned", extra={"as_of": as_of, "companies": len(clean.companies), "usage": len(clean.usage)})


if __name__ == "__main__":
    run(main)
