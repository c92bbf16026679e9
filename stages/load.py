"""Stage ``load``: check the export and write typed Parquet, or report every fault and write nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from conversion.config.contract_file import load_contract
from conversion.config.params import DEFAULT_CONTRACT
from conversion.config.params_file import load_params
from conversion.ingest.columns import key_columns
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
from conversion.ingest.folders import place_of
from conversion.ingest.id_checks import check_aliases, check_case_of_ids, with_current_ids
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
    folder = place_of(settings.dir)
    contract = load_contract(settings.contract)
    # The default contract is another's format: it is not for the user to change.
    own = None if settings.contract == DEFAULT_CONTRACT else settings.contract
    resolved, contract = contract, contract.exported
    export = read_export(folder, contract, own)
    tables = export.tables
    check_long_ids(tables)
    check_case_of_ids(tables, contract, folder)
    current = with_current_ids(tables, contract)
    across = {
        "orphaned_usage": check_orphans(current, contract, folder, settings.max_orphan_share),
        **check_other_orphans(current, contract, folder, settings.max_orphan_share),
        **check_aliases(tables, contract),
        "usage_before_conversion": check_usage_before_conversion(current, contract),
        **check_usage_before_sign_up(current, contract),
        **({"dates_out_of_order": dates} if (dates := check_dates(current, contract)) else {}),
        **check_levels(current, contract),
        **check_contacts(current, contract),
    }
    customers = len(conversions(current, contract))
    leaks = warn_of_leaks(measure_leaks(current, contract), customers, contract.usage.table)
    for name, table in tables.items():
        write_parquet(TYPED / f"{name}.parquet", table)
        log.info("loaded", extra={"table": name, "rows": len(table)})
    if export.last_days is not None:
        write_json(TYPED / "export.json", {"last_days": export.last_days})
    write_json(CONTRACT, resolved.model_dump(mode="json"))
    profiles = {
        name: profile(table, key_columns(contract, name), private_columns(contract))
        for name, table in tables.items()
    }
    write_json(PROFILE, profiles | across | {"file_of_origin": leaks})


if __name__ == "__main__":
    run(main)
