"""Stage ``clean``: apply the named cleaning rules as of one moment, and keep dropped rows in quarantine."""

from __future__ import annotations

import logging

import pandas as pd

from conversion.config.contract import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS
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
from conversion.runtime.cli import run
from conversion.runtime.files import read_parquet, write_json, write_parquet

log = logging.getLogger(__name__)


def main() -> None:
    """Read the typed tables; write the clean ones, the quarantine and the counts."""
    params = load_params()
    typed = {
        name: read_parquet(f"data/typed/{name}.parquet") for name in (CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS)
    }
    given = None if params.data.as_of is None else pd.Timestamp(params.data.as_of)
    period = find_period(typed[USAGE_ACTIONS], typed[CUSTOMERS]["CLOSEDATE"], given, params.clean)
    as_of = period.as_of
    companies, company_quarantine = clean_companies(
        typed[CUSTOMERS], typed[NONCUSTOMERS], as_of, params.clean.deduplication
    )
    usage, usage_quarantine = clean_usage(typed[USAGE_ACTIONS], companies["id"], period)
    warn_of_strays(usage_quarantine, period)
    warn_of_incomplete_week(period)
    check_usage_is_left(usage, usage_quarantine, as_of)
    report = cleaning_report(companies, company_quarantine, usage, usage_quarantine, as_of)
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
