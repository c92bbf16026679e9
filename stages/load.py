"""Stage ``load``: check the export and write typed Parquet, or report every fault and write nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from conversion.config.contract_file import load_contract
from conversion.config.params import DEFAULT_CONTRACT
from conversion.config.params_file import load_params
from conversion.ingest.columns import key_columns
from conversion.ingest.cross_checks import (
    check_dates,
    check_levels,
    check_long_ids,
    check_orphans,
    check_usage_before_conversion,
    conversions,
)
from conversion.ingest.export import read_export
from conversion.ingest.last_days import last_days
from conversion.ingest.origin_leaks import measure_leaks, warn_of_leaks
from conversion.ingest.profile import profile
from conversion.runtime.cli import run
from conversion.runtime.files import write_json, write_parquet

TYPED: Final = Path("data/typed")
CONTRACT: Final = Path("data/contract.json")
PROFILE: Final = Path("metrics/data_quality.json")
log = logging.getLogger(__name__)


def main() -> None:
    """Read the export; write typed tables, contract and profile, or report every fault and write nothing."""
    settings = load_params().data
    folder = Path(settings.dir)
    contract = load_contract(settings.contract)
    # The default contract is another's format: it is not for the user to change.
    own = None if settings.contract == DEFAULT_CONTRACT else settings.contract
    tables = read_export(folder, contract, own)
    check_long_ids(tables)
    across = {
        "orphaned_usage": check_orphans(tables, contract, folder, settings.max_orphan_share),
        "usage_before_conversion": check_usage_before_conversion(tables, contract),
        **({"dates_out_of_order": dates} if (dates := check_dates(tables, contract)) else {}),
        **check_levels(tables, contract),
    }
    customers = len(conversions(tables, contract))
    leaks = warn_of_leaks(measure_leaks(tables, contract), customers, contract.usage.table)
    for name, table in tables.items():
        write_parquet(TYPED / f"{name}.parquet", table)
        log.info("loaded", extra={"table": name, "rows": len(table)})
    if contract.usage.grain != "week":
        write_json(TYPED / "export.json", {"last_days": last_days(folder, contract)})
    write_json(CONTRACT, contract.model_dump(mode="json"))
    profiles = {
        name: profile(table, key_columns(contract, name), contract.companies.shown)
        for name, table in tables.items()
    }
    write_json(PROFILE, profiles | across | {"file_of_origin": leaks})


if __name__ == "__main__":
    run(main)
