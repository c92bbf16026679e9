"""Stage ``clean``: apply the named cleaning rules as of one moment, and keep dropped rows in quarantine."""

from __future__ import annotations

import itertools
import logging
import sys
from functools import partial

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.data.cleaning import (
    check_prospects_are_left,
    check_usage_is_left,
    warn_of_last_week,
    warn_of_planned,
    warn_of_strays,
)
from conversion.data.counts import added
from conversion.data.part_cleaning import (
    TYPED,
    clean_part,
    clear_tables,
    describe_part,
    first_week_of,
    merged_levels,
    relevel_part,
)
from conversion.data.period import ExportDays, Period, find_period, planned_days
from conversion.data.usage_weeks import days_from_json, merged_weeks, weeks_from_json
from conversion.engine.kept_parts import kept_parts
from conversion.engine.run_parts import run_parts
from conversion.runtime.cli import run
from conversion.runtime.files import read_value, write_json
from conversion.runtime.parts import parts_at

log = logging.getLogger(__name__)


def main() -> None:
    """Read the typed tables; write the clean ones, the quarantine and the counts."""
    params, contract = load_params(), load_contract("data/contract.json")
    parts = len(parts_at(TYPED / f"{contract.usage.table}.parquet"))
    period, weeks, planned = period_of(params, contract, parts)
    deduplication = params.clean.deduplication
    first_week = None
    if parts > 1 and contract.learns_from_contacts:
        first_of = partial(first_week_of, contract, period, deduplication, parts)
        found = [
            each for each in run_parts(first_of, parts, params.engine, "first weeks") if each is not None
        ]
        first_week = pd.Timestamp(min(found)) if found else None
    if parts == 1:
        clear_tables(contract)
    given = {"period": period._asdict(), "clean": params.clean, "first_week": first_week}
    with kept_parts("clean", parts, given, ["data/contract.json", TYPED]) as kept:
        clean = partial(clean_part, contract, period, deduplication, first_week, kept.root, parts)
        cleaned = run_parts(clean, parts, params.engine, "clean", kept)
        report = added(each["report"] for each in cleaned)
        warn_of_strays(weeks, period)
        warn_of_last_week(period)
        warn_of_planned(planned, contract)
        check_usage_is_left(report["usage"]["kept"], report["usage"]["quarantined"], period.as_of, contract)
        prospects = sum(each["prospects"] for each in cleaned)
        check_prospects_are_left(prospects, report["companies"]["kept"], period.as_of, contract)
        levels = merged_levels([each["levels"] for each in cleaned], contract)
        if any([*each["levels"][name]] != [*every] for each in cleaned for name, every in levels.items()):
            relevel = partial(relevel_part, levels, kept.root, parts)
            run_parts(relevel, parts, params.engine, "levels", kept)
    write_json("data/clean/export.json", {"as_of": report["as_of"]})
    write_json("metrics/cleaning.json", report)
    counts = {"companies": report["companies"]["kept"], "usage": report["usage"]["kept"]}
    log.info("cleaned", extra={"as_of": report["as_of"], **counts})


def period_of(params: Params, contract: Contract, parts: int) -> tuple[Period, pd.DataFrame, dict[str, int]]:
    """Find the weeks that the export covers; return them, the usage of each week, and planned conversions.

    These are the rows by the days of conversion that are after the export was taken; none with a given
    ``data.as_of``, as of which all that came later is unknown.
    """
    found = run_parts(partial(describe_part, contract, parts), parts, params.engine, "weeks")
    weeks = merged_weeks(weeks_from_json(each["weeks"]) for each in found)
    rows = added(each["converted"] for each in found)
    converted = days_from_json(rows)
    signed_up = (
        None
        if found[0]["signed_up"] is None
        else days_from_json(itertools.chain.from_iterable(each["signed_up"] for each in found))
    )
    last_days = None
    if contract.usage.grain != "week":
        read = read_value(TYPED / "export.json", "last_days")
        last_days = {pd.Timestamp(week): pd.Timestamp(day) for week, day in read.items()}
    given = None if params.data.as_of is None else pd.Timestamp(params.data.as_of)
    days = ExportDays(signed_up, last_days)
    period = find_period(weeks, converted, given, params.clean, contract, days)
    planned = () if given is not None else sorted(planned_days(converted, period, days))
    return period, weeks, {f"{day:%Y-%m-%d}": rows[day.isoformat()] for day in planned}


if __name__ == "__main__":
    run(main, sys.argv[1:])
