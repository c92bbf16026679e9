"""Stage ``clean``: apply the named cleaning rules as of one moment, and keep dropped rows in quarantine."""

from __future__ import annotations

import logging

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.data.cleaning import (
    check_usage_is_left,
    clean_companies,
    clean_usage,
    cleaning_report,
    warn_of_incomplete_week,
    warn_of_strays,
)
from conversion.data.period import find_period
from conversion.data.timeline import on_mondays
from conversion.runtime.cli import run
from conversion.runtime.files import read_parquet, write_json, write_parquet

log = logging.getLogger(__name__)


def main() -> None:
    """Read the typed tables; write the clean ones, the quarantine and the counts."""
    params = load_params()
    contract = load_contract("data/contract.json")
    tables = [read_parquet(f"data/typed/{name}.parquet") for name in contract.companies.tables]
    usage = on_mondays(read_parquet(f"data/typed/{contract.usage.table}.parquet"), contract)
    days = contract.companies.converted
    converted = pd.concat([table[days] for table in tables if days in table], ignore_index=True)
    given = None if params.data.as_of is None else pd.Timestamp(params.data.as_of)
    period = find_period(usage, converted, given, params.clean, contract)
    as_of = period.as_of
    companies, company_quarantine = clean_companies(tables, as_of, params.clean.deduplication, contract)
    usage, usage_quarantine = clean_usage(usage, companies["id"], period, contract)
    warn_of_strays(usage_quarantine, period, contract)
    warn_of_incomplete_week(period)
    check_usage_is_left(usage, usage_quarantine, as_of, contract)
    report = cleaning_report(companies, company_quarantine, usage, usage_quarantine, as_of, contract)
    write_parquet("data/clean/companies.parquet", companies)
    write_parquet("data/clean/usage.parquet", usage)
    write_json("data/clean/export.json", {"as_of": f"{as_of:%Y-%m-%d}"})
    write_parquet("data/quarantine/companies.parquet", company_quarantine)
    write_parquet("data/quarantine/usage.parquet", usage_quarantine)
    write_json("metrics/cleaning.json", report)
    log.info(
        "cleaned", extra={"as_of": f"{as_of:%Y-%m-%d}", "companies": len(companies), "usage": len(usage)}
    )


if __name__ == "__main__":
    run(main)
