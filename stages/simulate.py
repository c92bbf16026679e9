"""Stage ``simulate``: write a seeded, realistic sample export, and the true probabilities behind it."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from conversion.config.params import SAMPLE, Params
from conversion.config.params_file import load_params
from conversion.runtime.cli import run
from conversion.runtime.progress import progress_bar
from conversion.simulation.blocks import blocks_of, draw_blocks
from conversion.simulation.sample_files import TRUTH_ROWS, write_csv_sample, write_parquet_sample
from conversion.simulation.vocabulary import CUSTOMERS, USAGE_ACTIONS

FOLDER: Final = Path(SAMPLE)
TRUTH: Final = Path("data/truth.parquet")
log = logging.getLogger(__name__)


def write_sample(params: Params) -> Counter[str]:
    """Draw the sample block by block, write it, and return how many rows each table has."""
    sizes = params.simulate
    count = len(blocks_of(sizes.companies))
    drawn = draw_blocks(sizes.companies, sizes.weeks, sizes.first_week, params.seed)
    blocks = progress_bar(drawn, what="sample", unit="blocks", total=count)
    if sizes.format == "parquet":
        return write_parquet_sample(blocks, count, FOLDER, TRUTH)
    return write_csv_sample(blocks, FOLDER, TRUTH)


def main() -> None:
    """Read the params; write the sample export and its truth."""
    params = load_params()
    rows = write_sample(params)
    log.info(
        "simulated",
        extra={
            "companies": params.simulate.companies,
            "customers": rows[CUSTOMERS],
            "usage_rows": rows[USAGE_ACTIONS],
            "truth_rows": rows[TRUTH_ROWS],
        },
    )


if __name__ == "__main__":
    run(main, sys.argv[1:])
