"""Stage ``simulate``: write a seeded, realistic sample export, and the true probabilities behind it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from conversion.config.params_file import load_params
from conversion.runtime.cli import run
from conversion.runtime.files import write_csv, write_parquet
from conversion.simulation.export import as_text
from conversion.simulation.sample import simulate

SAMPLE: Final = Path("data/sample")
TRUTH: Final = Path("data/truth.parquet")
log = logging.getLogger(__name__)


def main() -> None:
    """Read the params; write the sample export and its truth."""
    params = load_params()
    sizes = params.simulate
    sample = simulate(sizes.companies, sizes.weeks, sizes.first_week, params.seed)
    for name, table in as_text(sample).items():
        write_csv(SAMPLE / f"{name}.csv", table)
    write_parquet(TRUTH, sample.truth)
    log.info(
        "simulated",
        extra={
            "companies": sizes.companies,
            "customers": len(sample.customers),
            "usage_rows": len(sample.usage_actions),
            "truth_rows": len(sample.truth),
        },
    )


if __name__ == "__main__":
    run(main)
