"""Write the lead list: every prospect at ``as_of``, in the order to call them, and what has drifted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.leads.drift import feature_drift
from conversion.leads.lead_files import write_lead_files
from conversion.leads.lead_list import lead_list
from conversion.modelling.artifact import load_model
from conversion.modelling.levels import warn_of_unseen_levels
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import out_of_reach
from conversion.runtime.cli import run
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import read_monday, read_parquet, sha256, write_json

CONTRACT: Final = "data/contract.json"
EXPORT: Final = "data/clean/export.json"
COMPANIES: Final = "data/clean/companies.parquet"
USAGE: Final = "data/clean/usage.parquet"
LATEST: Final = "data/features/latest.parquet"
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
    if model.data_contract != load_contract(CONTRACT):
        raise ArtifactError(
            f"the model was fitted with another data contract than {CONTRACT}, which the tables follow: they "
            "are of different runs; run 'dvc repro train'"
        )


def main() -> None:
    """Read the model and the latest snapshots, write data/leads/ and metrics/drift.json."""
    params = load_params()
    model, description = load_model(ConversionModel)
    check_contract(model)
    names = [feature.name for feature in model.features]
    latest = read_parquet(LATEST, ["as_of", *names])
    as_of = as_of_list(latest)
    warn_of_unseen_levels(model.unseen_levels(latest))
    companies, usage = read_parquet(COMPANIES), read_parquet(USAGE)
    log.info("scoring", extra={"prospects": len(latest)})
    leads = lead_list(model, latest, companies, usage, params.score.tiers, params.score.mrr_prior)
    if unreached := out_of_reach(model.base_rate_, params.score.tiers):
        log.warning(
            "no prospect can be in some tiers, which ask for more than probability 1; lower score.tiers",
            extra={"tiers": ", ".join(unreached), "training_prevalence": round(float(model.base_rate_), 6)},
        )
    train = read_parquet("data/features/train.parquet", [*names, "weight", "as_of"])
    drift = feature_drift(train, latest, model.features, pd.Timestamp(as_of))
    about = {
        "as_of": as_of,
        "model_sha256": description["sha256"],
        "inputs": {path: sha256(path) for path in (COMPANIES, EXPORT, USAGE, LATEST)},
    }
    write_lead_files(Path(), leads, params.score.top_n, params.score.format, Path(USAGE), about)
    write_json("metrics/drift.json", {"as_of": as_of} | drift)
    log.info(
        "scored",
        extra={
            "prospects": len(leads),
            "model_type": description["model_type"],
            "very_high": int((leads["tier"] == "very_high").sum()),
        },
    )


if __name__ == "__main__":
    run(main)
