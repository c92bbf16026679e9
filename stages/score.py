"""Write the lead list, every prospect in the order to call them and why, and what has drifted."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from functools import partial, reduce
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.engine.one_run import one_run
from conversion.engine.run_parts import run_parts
from conversion.features.compute import feature_settings
from conversion.leads.batches import StoredColumns, table_batches
from conversion.leads.drift import feature_drift
from conversion.leads.lead_files import FOLDER, RankedBlocks, Sources, write_lead_files
from conversion.leads.lead_list import ListPlan, MrrEstimates, mrr_columns, mrr_estimates
from conversion.leads.lead_writers import BLOCK_ROWS
from conversion.leads.score_parts import (
    LATEST,
    PREVIOUS,
    TRAIN,
    Listed,
    Parts,
    added,
    list_part,
    rank_all,
    score_part,
)
from conversion.modelling.artifact import load_model
from conversion.modelling.evidence import EVIDENCE, Evidence
from conversion.modelling.levels import warn_of_unseen_levels
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import TIERS, empty_tiers, tier_cuts
from conversion.modelling.training_rows import KEY, read_training
from conversion.runtime.cli import run
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import (
    read_monday,
    read_parquet,
    read_text,
    reading,
    sha256,
    write_json,
)
from conversion.runtime.parts import parts_at
from conversion.runtime.scratch import scratch_folder

CONTRACT: Final = "data/contract.json"
EXPORT: Final = "data/clean/export.json"
COMPANIES: Final = "data/clean/companies.parquet"
USAGE: Final = "data/clean/usage.parquet"
PERIODS: Final = "data/clean/subscriptions.parquet"
INPUTS: Final = (COMPANIES, EXPORT, PERIODS, USAGE, TRAIN, LATEST, PREVIOUS, EVIDENCE)
log = logging.getLogger(__name__)


def as_of_list() -> str:
    """Return the moment of the list, after checking that the snapshots are of that moment.

    Raises
    ------
    InputError
        Clean tables and snapshots are of different runs.
    """
    as_of = read_monday(EXPORT, "as_of")
    for path in parts_at(LATEST):
        for batch in table_batches(path, ["as_of"], BLOCK_ROWS):
            other = batch.loc[batch["as_of"] != pd.Timestamp(as_of), "as_of"]
            if len(other):
                raise InputError(
                    f"{LATEST}: its snapshots are of {other.iloc[0]:%Y-%m-%d}, but {EXPORT} says {as_of}: "
                    "they are of different runs; run 'dvc repro featurize'"
                )
    return as_of.isoformat()


def check_contract(model: ConversionModel) -> None:
    """Check that the model is of the contract that the clean tables follow.

    Raises
    ------
    ArtifactError
        It was fitted with another contract.
    """
    if model.data_contract.of_model() != load_contract(CONTRACT).of_model():
        raise ArtifactError(
            f"the model was fitted with another data contract than {CONTRACT}, which the tables follow: they "
            "are of different runs; run 'dvc repro train'"
        )


def read_evidence() -> Evidence:
    """Read what became of companies in the backtest; see `conversion.runtime.files.reading` for errors."""
    with reading(EVIDENCE):
        return Evidence.model_validate_json(read_text(EVIDENCE))


def read_mrr(contract: Contract, prior: float) -> MrrEstimates | None:
    """Estimate the MRR to expect of a conversion; None without a value."""
    if contract.companies.value is None:
        return None
    columns = mrr_columns(contract)
    parts = [read_parquet(path, columns, columns=columns) for path in parts_at(COMPANIES)]
    converted = [part[part["conversion_valid"]] for part in parts]
    return mrr_estimates(pd.concat(converted, ignore_index=True), prior, contract)


def plan_list(
    model: ConversionModel, evidence: Evidence, parts: Parts, as_of: str, params: Params
) -> tuple[ListPlan, int]:
    """Score and rank the prospects; return what is the same for all rows of the list, and their number."""
    summaries = run_parts(
        partial(score_part, model=model, parts=parts), parts.count, params.engine, "scoring"
    )
    warn_of_unseen_levels(reduce(added, (summary["unseen"] for summary in summaries)))
    rank_all(parts, "previous")
    probability = rank_all(parts, "latest")
    log.info("scored", extra={"prospects": len(probability)})
    plan = ListPlan(
        model=model,
        evidence=evidence,
        cuts=tier_cuts(probability, params.score.tiers, params.score.top_n),
        mrr=read_mrr(model.data_contract, params.score.mrr_prior),
        as_of=pd.Timestamp(as_of),
        settings=feature_settings(params.featurize, model.data_contract),
    )
    return plan, len(probability)


def write_list(plan: ListPlan, prospects: int, parts: Parts, about: dict[str, Any], params: Params) -> int:
    """Write data/leads/; return the number of prospects in the highest tier."""
    make = partial(list_part, plan=plan, parts=parts, prospects=prospects, featurize=params.featurize)
    summaries = run_parts(make, parts.count, params.engine, "reasons")
    tiers = Counter[str]()
    for summary in summaries:
        tiers.update(summary["tiers"])
    if unreached := empty_tiers(tiers):
        log.warning(
            "no prospect is in some tiers; see score.tiers",
            extra={"tiers": ", ".join(unreached), **plan.cuts.model_dump()},
        )
    listed = Listed(parts, summaries, plan.model.data_contract)
    quoting = max(summary["quoting"] for summary in summaries)
    ranked = RankedBlocks(listed.blocks(prospects), prospects, plan.cuts, quoting)
    sources = Sources(usage=Path(USAGE), evidence=Path(EVIDENCE))
    write_lead_files(Path(), ranked, listed.converted(), params.score, sources, about)
    return tiers[TIERS[0]]


def read_drift(model: ConversionModel, as_of: str, params: Params) -> dict[str, Any]:
    """Measure the drift of the features, of which a few are read at a time."""
    names = [feature.name for feature in model.features]
    train = read_training(TRAIN, [*KEY, *names], params.train.max_snapshots, params.seed)
    latest = StoredColumns(parts_at(LATEST), names)
    return feature_drift(train, latest, model.features, pd.Timestamp(as_of))


def main() -> None:
    """Read the model, the prospects and the evidence, write data/leads/ and metrics/drift.json."""
    params = load_params()
    model, description = load_model(ConversionModel)
    check_contract(model)
    evidence, as_of = read_evidence(), as_of_list()
    about = {
        "as_of": as_of,
        "model_sha256": description["sha256"],
        "inputs": {path: sha256(path) for path in INPUTS},
    }
    with one_run("score"), scratch_folder(Path(FOLDER)) as folder:
        parts = Parts(len(parts_at(LATEST)), folder)
        plan, prospects = plan_list(model, evidence, parts, as_of, params)
        very_high = write_list(plan, prospects, parts, about, params)
    write_json("metrics/drift.json", {"as_of": as_of} | read_drift(model, as_of, params))
    log.info(
        "listed",
        extra={"prospects": prospects, "model_type": description["model_type"], "very_high": very_high},
    )


if __name__ == "__main__":
    run(main, sys.argv[1:])
