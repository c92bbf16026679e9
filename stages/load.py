"""Stage ``load``: check the export and write typed Parquet, or report every fault and write nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from conversion.config import contract
from conversion.config.params_file import load_params
from conversion.ingest.cross_checks import (
    check_industries,
    check_long_ids,
    check_orphans,
    check_usage_before_conversion,
)
from conversion.ingest.export import read_export
from conversion.ingest.origin_leaks import measure_leaks, warn_of_leaks
from conversion.ingest.profile import KEYS, profile
from conversion.runtime.cli import run
from conversion.runtime.files import write_json, write_parquet

TYPED: Final = Path("data/typed")
PROFILE: Final = Path("metrics/data_quality.json")
log = logging.getLogger(__name__)


def main() -> None:
    """Read the export; write typed tables and their profile, or report every fault and write nothing."""
    settings = load_params().data
    folder = Path(settings.dir)
    tables = read_export(folder)
    check_long_ids(tables)
    across = {
        "orphaned_usage": check_orphans(tables, folder, settings.max_orphan_share),
        "usage_before_conversion": check_usage_before_conversion(tables),
        "unlisted_industries": check_industries(tables),
    }
    leaks = warn_of_leaks(measure_leaks(tables), len(tables[contract.CUSTOMERS]))
    for name, table in tables.items():
        write_parquet(TYPED / f"{name}.parquet", table)
        log.info("loaded", extra={"table": name, "rows": len(table)})
    profiles = {name: profile(table, KEYS[name]) for name, table in tables.items()}
    write_json(PROFILE, profiles | across | {"file_of_origin": leaks})


if __name__ == "__main__":
    run(main)
