"""Write the lead list: every prospect at ``as_of``, in the order to call them, and what has drifted."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.artifact import load_model
from conversion.drift import population_stability_index
from conversion.features import Feature
from conversion.files import WITH_CHECKSUMS, read_parquet, read_value, write_atomically, write_json
from conversion.params import load_params
from conversion.scoring import lead_list
from conversion.stage import run

DECIMALS: Final = {"probability": 9, "expected_mrr": 4}

log = logging.getLogger(__name__)


def drift(train: pd.DataFrame, latest: pd.DataFrame, features: tuple[Feature, ...]) -> dict[str, Any]:
    """Measure how far each feature of the prospects has moved from the training snapshots.

    Parameters
    ----------
    train
        Training snapshots with ``weight``.
    latest
        Snapshots to score.
    features
        The model's features.

    Returns
    -------
    dict
        Population stability index by feature, largest first, and the count above 0.25.
    """
    index: dict[str, float] = {}
    for feature in features:
        old, new = train[feature.name], latest[feature.name]
        if feature.kind == "category":
            old, new = old.cat.codes, new.cat.codes
        moved = population_stability_index(old.to_numpy(), new.to_numpy(), train["weight"].to_numpy())
        index[feature.name] = round(moved, 4)
    ordered = dict(sorted(index.items(), key=lambda item: (-item[1], item[0])))
    return {
        "shifted_features": int(np.sum(np.array(list(index.values())) > 0.25)),
        "population_stability_index": ordered,
    }


def write_leads(leads: pd.DataFrame, path: Path) -> None:
    """Write leads in the format of the path's ending: .csv, .json (an array of objects) or .parquet."""
    rounded = leads.round(DECIMALS)
    writers = {
        ".csv": partial(rounded.to_csv, index=False, lineterminator="\n"),
        ".json": partial(rounded.to_json, orient="records", indent=1, double_precision=9),
        ".parquet": partial(rounded.to_parquet, index=False, **WITH_CHECKSUMS),
    }
    write_atomically(path, writers[path.suffix])


def main() -> None:
    """Read the model and the latest snapshots, write data/leads/ and metrics/drift.json."""
    params = load_params()
    model, description = load_model()
    names = [feature.name for feature in model.features]
    latest = read_parquet("data/features/latest.parquet", names)
    companies = read_parquet("data/clean/companies.parquet")
    usage = read_parquet("data/clean/usage.parquet")
    log.info("scoring", extra={"prospects": len(latest)})
    leads = lead_list(model, latest, companies, usage, params.score.tiers, params.score.mrr_prior)
    moved = drift(read_parquet("data/features/train.parquet", [*names, "weight"]), latest, model.features)
    folder = Path("data/leads")
    write_leads(leads, folder / f"leads.{params.score.format}")
    write_leads(leads.head(params.score.top_n), folder / f"top_leads.{params.score.format}")
    write_json("metrics/drift.json", {"as_of": read_value("data/clean/export.json", "as_of")} | moved)
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
