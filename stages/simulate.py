"""Write a seeded, realistic sample export, and the true conversion probabilities behind it.

A company's firmographics are drawn first, then its weekly usage; whether and when it converts follows from
the hazard below, and only then does its row go to one file or the other. Once it converts its usage jumps.

The hazard
----------
Let k be a Monday 00:00, and let "known at k" mean the usage rows stamped before k. For a company let

- u(j) be the largest of its four ``USERS_*`` in the week stamped j weeks before k, 0 without a row;
- E = (1 - r) * sum over j >= 1 of r**(j - 1) * u(j), r = 2**(-1 / 6): users, half-life 6 weeks;
- M be how many modules had users in the 13 weeks before k, 0 to 4;
- S be 1 if it has a row known at k, else 0;
- F = S * 2**(-a / 6), a the weeks from the stamp of its first row to k;
- s be its ``EMPLOYEE_RANGE`` as 1 to 9, x the log10 of its ``ALEXA_RANK``, R 1 if the site is ranked, else 0.

The hazard of the week that starts at w follows from what was known at k = w - 4 weeks (buying takes a month;
before the export's first week nothing is known)::

    H(w) = exp(-6.75 + size + site + users + 0.4 * M + 1.2 * F - 1.0 * S + 0.45 * min(E, 1) * R)
    users = 2.2 * log(1 + 2 * min(E, 8))
    size = -0.13 * (s - 4.7)**2    or -2.0 if EMPLOYEE_RANGE is missing
    site = -0.40 * (x - 6.0)**2    or -1.3 if unranked, -1.5 if ALEXA_RANK is missing

A day takes a fixed share of its week's hazard, Monday to Sunday .10 .22 .20 .21 .20 .03 .04: a company that
has not converted before converts on that day with probability 1 - exp(-H(w) * share).

The truth
---------
The 30 days from a Monday T touch the weeks T to T + 28 days, whose hazards all follow from what is known at
T. So the true probability that a prospect at T converts within 30 days, given all that is known at T, is
exactly 1 - exp(-(H(T) + H(T + 7d) + H(T + 14d) + H(T + 21d) + .32 * H(T + 28d))).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from conversion.config.params_file import load_params
from conversion.runtime.cli import run
from conversion.runtime.files import write_csv, write_parquet
from conversion.simulation.export import as_text
from conversion.simulation.sample import simulate

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SAMPLE: Final = Path("data/sample")
TRUTH: Final = Path("data/truth.parquet")


def main() -> None:
    """Read the params, write the sample export and its truth."""
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
