"""Turn the clean tables into snapshots: to train on, to test on, to score now and as of a week before."""

from __future__ import annotations

import functools
import logging
import sys

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.engine.kept_parts import kept_parts
from conversion.engine.run_parts import run_parts
from conversion.features.compute import feature_settings
from conversion.features.feature_tables import SNAPSHOTS, featurize_part, survey
from conversion.features.snapshots import (
    Recipe,
    Weeks,
    backtest_weeks,
    check_weeks,
    kept_shares,
    training_weeks,
)
from conversion.runtime.cli import run
from conversion.runtime.files import read_monday
from conversion.runtime.parts import clear_table

log = logging.getLogger(__name__)


def main() -> None:
    """Read the clean tables, write data/features/{train,backtest,latest,previous}.parquet."""
    params = load_params()
    settings = params.featurize
    contract = load_contract("data/contract.json")
    found = survey(contract)
    as_of = pd.Timestamp(read_monday("data/clean/export.json", "as_of"))
    cutoffs = backtest_weeks(found.first_week, as_of, params)
    weeks = Weeks(training_weeks(found.first_week, as_of, settings), cutoffs, as_of)
    check_weeks(weeks.training, cutoffs, as_of, settings.horizon_days, contract)
    shares = kept_shares(settings.keep_negatives, found.companies, len(weeks.training))
    settings = settings.model_copy(update={"keep_negatives": shares})
    recipe = Recipe(settings, contract, feature_settings(settings, contract), found.levels)

    given = {"featurize": settings, "seed": params.seed, "cutoffs": [f"{day:%Y-%m-%d}" for day in cutoffs]}
    for name in SNAPSHOTS if found.parts == 1 else ():
        clear_table(f"data/features/{name}.parquet")
    with kept_parts("featurize", found.parts, given, ["data/contract.json", "data/clean"]) as kept:
        make = functools.partial(
            featurize_part, root=kept.root, parts=found.parts, weeks=weeks, recipe=recipe, seed=params.seed
        )
        counts = run_parts(make, found.parts, params.engine, "snapshots", kept)
    for name in counts[0]:
        log.info("featurized", extra={"table": name, "rows": sum(each[name] for each in counts)})


if __name__ == "__main__":
    run(main, sys.argv[1:])
