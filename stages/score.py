"""Write the lead list, every prospect in the order to call them and why, and what has drifted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.data.clean_tables import CleanTables
from conversion.data.histories import history_files
from conversion.features.snapshots import recipe_of, with_encoded_histories
from conversion.leads.converted import converted_companies
from conversion.leads.drift import feature_drift
from conversion.leads.lead_files import Sources, write_lead_files
from conversion.leads.lead_list import Prospects, lead_list
from conversion.modelling.artifact import load_model
from conversion.modelling.evidence import EVIDENCE, Evidence
from conversion.modelling.levels import warn_of_unseen_levels
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import empty_tiers
from conversion.runtime.cli import run
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import read_monday, read_parquet, read_text, reading, sha256, write_json

CONTRACT: Final = "data/contract.json"
EXPORT: Final = "data/clean/export.json"
COMPANIES: Final = "data/clean/companies.parquet"
USAGE: Final = "data/clean/usage.parquet"
PERIODS: Final = "data/clean/subscriptions.parquet"
TRAIN: Final = "data/features/train.parquet"
LATEST: Final = "data/features/latest.parquet"
PREVIOUS: Final = "data/features/previous.parquet"
INPUTS: Final = (COMPANIES, EXPORT, PERIODS, USAGE, TRAIN, LATEST, PREVIOUS, EVIDENCE)
log = logging.getLogger(__name__)


def as_of_list(latest: pd.DataFrame) -> str:
    """Return the moment of the list, after checking that the snapshots are of that moment.

    Raises
    ------
    InputError
        Clean tables and snapshots are of different runs.
    """
    as_of = read_monday(EXPORT, "as_of")
    other = latest.loc[latest["as_of"] != pd.Timestamp(as_of), "as_of"]
    if len(other):
        raise InputError(
            f"{LATEST}: its snapshots are of {other.iloc[0]:%Y-%m-%d}, but {EXPORT} says {as_of}: they "
            "are of different runs; run 'dvc repro featurize'"
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


def read_prospects(model: ConversionModel, params: Params) -> Prospects:
    """Read what the list is made of."""
    contract = model.data_contract
    names = [feature.name for feature in model.features]
    latest, previous = (read_parquet(path, ["id", "as_of", *names]) for path in (LATEST, PREVIOUS))
    clean = CleanTables(
        read_parquet(COMPANIES),
        read_parquet(USAGE),
        read_parquet(PERIODS),
        {column: read_parquet(f"data/clean/{file}") for column, file in history_files(contract).items()},
    )
    recipe = recipe_of(clean.companies, params.featurize, contract)
    return Prospects(latest, previous, with_encoded_histories(clean, recipe), recipe.settings)


def main() -> None:
    """Read the model, the prospects and the evidence, write data/leads/ and metrics/drift.json."""
    params = load_params()
    model, description = load_model(ConversionModel)
    check_contract(model)
    prospects, evidence = read_prospects(model, params), read_evidence()
    latest, tables = prospects.snapshots, prospects.tables
    as_of = as_of_list(latest)
    warn_of_unseen_levels(model.unseen_levels(latest))
    log.info("scoring", extra={"prospects": len(latest)})
    ranked = lead_list(model, prospects, evidence, params.score)
    if unreached := empty_tiers(set(ranked.leads["tier"])):
        log.warning(
            "no prospect is in some tiers; see score.tiers",
            extra={"tiers": ", ".join(unreached), **ranked.cuts.model_dump()},
        )
    names = [feature.name for feature in model.features]
    train = read_parquet(TRAIN, ["id", *names, "label", "weight", "as_of"])
    converted = converted_companies(model, train, tables.companies, tables.periods)
    drift = feature_drift(train, latest, model.features, pd.Timestamp(as_of))
    about = {
        "as_of": as_of,
        "model_sha256": description["sha256"],
        "inputs": {path: sha256(path) for path in INPUTS},
    }
    sources = Sources(usage=Path(USAGE), evidence=Path(EVIDENCE))
    write_lead_files(Path(), ranked, converted, params.score, sources, about)
    write_json("metrics/drift.json", {"as_of": as_of} | drift)
    log.info(
        "scored",
        extra={
            "prospects": len(ranked.leads),
            "model_type": description["model_type"],
            "very_high": int((ranked.leads["tier"] == "very_high").sum()),
        },
    )


if __name__ == "__main__":
    run(main)
