"""Stage ``load``: check the export and write typed Parquet, or report every fault and write nothing."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import DEFAULT_CONTRACT, Params
from conversion.config.params_file import load_params
from conversion.data.counts import added
from conversion.engine.one_run import one_run
from conversion.engine.run_parts import run_parts
from conversion.ingest.attribute_leaks import columns_often_missing, find_leaks, warn_of_attributes
from conversion.ingest.chunks import count_rows
from conversion.ingest.columns import key_columns, tables_of
from conversion.ingest.company_checks import check_contradictions
from conversion.ingest.contact_checks import check_contacts, private_columns
from conversion.ingest.cross_checks import (
    check_levels,
    check_long_ids,
    check_orphans,
    check_other_orphans,
    check_usage_before_conversion,
    conversions,
)
from conversion.ingest.date_checks import check_dates, check_usage_before_sign_up
from conversion.ingest.export import read_export
from conversion.ingest.folders import Place, place_of
from conversion.ingest.id_checks import check_aliases, check_case_of_ids, with_current_ids
from conversion.ingest.origin_leaks import company_rows, leaks_of, measure_leaks, warn_of_leaks
from conversion.ingest.part_checks import (
    LEAKS,
    attribute_leaks,
    check_part,
    part_customers,
    refuse_parts,
    report_checks,
)
from conversion.ingest.part_profile import profile_parts
from conversion.ingest.plan_checks import check_plans
from conversion.ingest.profile import profile
from conversion.ingest.split import split_export
from conversion.runtime.cli import run
from conversion.runtime.files import read_parquet, write_json, write_parquet
from conversion.runtime.parts import clear_table, move_table
from conversion.runtime.scratch import scratch_folder

TYPED: Final = Path("data/typed")
CONTRACT: Final = Path("data/contract.json")
PROFILE: Final = Path("metrics/data_quality.json")
log = logging.getLogger(__name__)


def main() -> None:
    """Read the export; write typed tables, contract and profile, or report every fault and write nothing."""
    params = load_params()
    settings = params.data
    folder, contract = place_of(settings.dir), load_contract(settings.contract)
    usage = tables_of(contract)[contract.usage.table]
    parts = max(math.ceil(count_rows(folder, usage) / settings.part_rows), 1) if folder.is_dir() else 1
    # The default contract is another's format: it is not for the user to change.
    own = None if settings.contract == DEFAULT_CONTRACT else settings.contract
    if parts == 1:
        report = load_whole(folder, contract.exported, own, settings.max_orphan_share)
    else:
        report = load_parts(folder, contract.exported, own, parts, params)
    write_json(CONTRACT, contract.model_dump(mode="json"))
    write_json(PROFILE, report)


def load_whole(folder: Place, contract: Contract, own: str | None, most: float) -> dict[str, Any]:
    """Read and check the tables as a whole, write them, and return the report on their quality."""
    export = read_export(folder, contract, own)
    tables = export.tables
    check_long_ids(tables)
    check_case_of_ids(tables, contract, folder)
    current = with_current_ids(tables, contract)
    across = {
        "orphaned_usage": check_orphans(current, contract, folder, most),
        **check_other_orphans(current, contract, folder, most),
        **check_aliases(tables, contract),
        "usage_before_conversion": check_usage_before_conversion(current, contract),
        **check_usage_before_sign_up(current, contract, folder),
        **({"dates_out_of_order": dates} if (dates := check_dates(current, contract)) else {}),
        **check_levels(current, contract),
        **check_contacts(current, contract),
    }
    check_contradictions(tables, contract)
    check_plans(current, contract)
    customers = len(conversions(current, contract))
    rows = company_rows(current, contract)
    attributes = find_leaks(current, contract, rows)
    measured = measure_leaks(current, contract, rows)
    leaks = report_leaks(measured, attributes, customers, contract)
    for name, table in tables.items():
        clear_table(TYPED / f"{name}.parquet")
        write_parquet(TYPED / f"{name}.parquet", table)
        log.info("loaded", extra={"table": name, "rows": len(table)})
    write_facts(export.last_days, 1)
    private = private_columns(contract)
    profiles = {name: profile(table, key_columns(contract, name), private) for name, table in tables.items()}
    return profiles | across | leaks


def load_parts(
    folder: Place, contract: Contract, own: str | None, parts: int, params: Params
) -> dict[str, Any]:
    """Do what `load_whole` does chunk by chunk and part by part, with the same messages and report."""
    with one_run("load"), scratch_folder(TYPED) as scratch:
        customers_of = partial(part_customers, scratch, contract, parts)
        split = split_export(folder, contract, own, scratch, parts, customers_of)
        first, last = (week.isoformat() for week in split.weeks)
        check = partial(check_part, scratch, contract, (first, last), parts)
        counts = added(run_parts(check, parts, params.engine, "load"))
        refuse_parts(scratch, folder, contract, own, split, counts, params.data.max_orphan_share)
        across = report_checks(counts, split.current, contract, folder)
        measured = leaks_of(read_parquet(scratch / LEAKS), split.order)
        attributes = attribute_leaks(scratch, contract)
        leaks = report_leaks(measured, attributes, counts["customers"], contract)
        profiles = {
            name: profile_parts(
                scratch / f"{name}.parquet",
                key_columns(contract, name),
                counts["repeated"][name],
                private_columns(contract),
            )
            for name in contract.tables
        }
        TYPED.mkdir(parents=True, exist_ok=True)
        for name in contract.tables:
            move_table(scratch / f"{name}.parquet", TYPED / f"{name}.parquet")
            log.info("loaded", extra={"table": name, "rows": profiles[name]["rows"], "parts": parts})
    write_facts(split.last_days, parts)
    return profiles | across | leaks


def report_leaks(
    measured: dict[str, float], attributes: dict[str, Any], customers: int, contract: Contract
) -> dict[str, Any]:
    """Return what is known of leaks, after their warnings; see `warn_of_leaks` and `find_leaks`."""
    missing = columns_often_missing(attributes)
    leaks = warn_of_leaks(measured, customers, contract.usage.table, missing)
    warn_of_attributes(attributes)
    return {"file_of_origin": leaks, "attribute_leaks": attributes}


def write_facts(last_days: Mapping[str, str] | None, parts: int) -> None:
    """Write what else the stages that follow need to know, if anything."""
    facts: dict[str, Any] = {} if last_days is None else {"last_days": last_days}
    if parts > 1:
        facts["parts"] = parts
    if facts:
        write_json(TYPED / "export.json", facts)


if __name__ == "__main__":
    run(main, sys.argv[1:])
