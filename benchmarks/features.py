"""What features cost by the number of modules, as JSON: `python -m benchmarks.features`.

    python -m benchmarks.features [--rounds N] [--companies N]

The chunks of all numbers of modules take turns in each round, in one process. The least CPU time of the
rounds counts, so that what else the machine does matters little. It fails where 12 modules cost more than 3
times what 4 cost.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.data.attribute_encoding import with_attributes
from conversion.features.compute import (
    compute_features,
    feature_definitions,
    feature_settings,
    features_of_block,
    levels_in,
)
from conversion.features.definitions import FeatureSettings
from conversion.features.usage_block import block_columns

ROOT = Path(__file__).resolve().parents[1]
MODULES = (1, 4, 12, 50)
MANY, FEW = 12, 4
MOST = 3.0
WEEKS = 82
ONLINE_WEEKS = 26
ONLINE_CALLS = 50
SHARE_OF_WEEKS = 0.3
FIRST_WEEK = pd.Timestamp("2018-10-01")


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time of features by the number of modules")
    parser.add_argument("--rounds", type=int, default=15, help="how often each case is timed")
    parser.add_argument("--companies", type=int, default=1000, help="companies of a chunk")
    arguments = parser.parse_args()
    contracts = {modules: contract_with(modules) for modules in MODULES}
    chunks = {modules: chunk_of(each, arguments.companies) for modules, each in contracts.items()}
    singles = {modules: single_of(each) for modules, each in contracts.items()}
    chunk_s = {modules: float("inf") for modules in MODULES}
    online_s = dict(chunk_s)
    for _ in range(arguments.rounds):
        for modules in MODULES:
            chunk_s[modules] = min(chunk_s[modules], seconds(chunks[modules]))
            online_s[modules] = min(online_s[modules], seconds(singles[modules], ONLINE_CALLS))
    ratio = chunk_s[MANY] / chunk_s[FEW]
    report = {
        "companies": arguments.companies,
        "as_ofs": WEEKS,
        "rounds": arguments.rounds,
        "features": {
            modules: len(feature_definitions(settings_of(each))) for modules, each in contracts.items()
        },
        "chunk_ms": {modules: round(1e3 * spent, 1) for modules, spent in chunk_s.items()},
        "one_company_us": {modules: round(1e6 * spent, 1) for modules, spent in online_s.items()},
        f"chunk_ratio_{MANY}_to_{FEW}": round(ratio, 2),
        "most": MOST,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if ratio > MOST:
        sys.exit(f"{MANY} modules cost {ratio:.2f} times what {FEW} cost; at most {MOST} are allowed")


def seconds(work: Callable[[], object], calls: int = 1) -> float:
    start = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - start) / calls


def contract_with(modules: int) -> Contract:
    """Make a contract with so many modules, all with users, and an attribute of each usual kind."""
    named = {
        f"m{place}": {"actions": f"actions_{place}", "users": f"users_{place}"} for place in range(modules)
    }
    attributes = {
        "head_count": {"kind": "number", "minimum": 1.0, "log": True},
        "plan": {"kind": "ordered", "levels": ["free", "team", "business"]},
        "country": {"kind": "category"},
    }
    companies = {"tables": ["accounts"], "id": "id", "ids": "whole", "converted": "paid"}
    return Contract.model_validate(
        {
            "companies": {**companies, "attributes": attributes},
            "usage": {"table": "weekly", "id": "id", "time": "week", "modules": named},
        }
    )


def settings_of(contract: Contract) -> FeatureSettings:
    return feature_settings(load_params(ROOT / "params.yaml").featurize, contract)


def companies_of(contract: Contract, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": np.arange(count),
            "head_count": rng.integers(1, 900, count).astype("float64"),
            "plan": rng.choice(np.array(["free", "team", "business"], dtype=object), count),
            "country": rng.choice(np.array(["DE", "US", "FR"], dtype=object), count),
        }
    )
    return with_attributes(table, contract)


def chunk_of(contract: Contract, count: int) -> Callable[[], object]:
    """Prepare all features of a chunk of companies at all weeks, from tables, as ``featurize`` makes them."""
    rng = np.random.default_rng(1)
    company, week = np.nonzero(rng.random((count, WEEKS)) < SHARE_OF_WEEKS)
    counts = pd.DataFrame(
        rng.poisson(1.0, (len(company), len(contract.counts))), columns=list(contract.counts), dtype="int64"
    )
    times = pd.DataFrame({"id": company, "week": FIRST_WEEK + pd.to_timedelta(7 * week, unit="D")})
    usage, companies = pd.concat([times, counts], axis=1), companies_of(contract, count)
    as_ofs = pd.date_range(FIRST_WEEK + pd.Timedelta(days=7), periods=WEEKS, freq="7D")
    settings = settings_of(contract)
    return lambda: compute_features(companies, usage, as_ofs, settings)


def single_of(contract: Contract) -> Callable[[], object]:
    """Prepare the features of one company at one moment, as the service computes them."""
    settings, companies = settings_of(contract), companies_of(contract, 1)
    block = np.random.default_rng(2).poisson(1.0, (1, ONLINE_WEEKS, len(block_columns(settings))))
    attributes, position = np.array([[[12.0, 2.0, 0.0]]]), np.array([ONLINE_WEEKS])
    levels, counts = levels_in(companies, settings), block.astype(np.float64)
    return lambda: features_of_block(attributes, counts, position, settings, levels)


if __name__ == "__main__":
    main()
