"""Write the lead list: every prospect at ``as_of``, in the order to call them, and what has drifted."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.artifact import load_model
from conversion.drift import index_beyond_time, population_stability_index
from conversion.features import Feature
from conversion.files import read_parquet, read_value, write_atomically, write_json
from conversion.params import load_params
from conversion.scoring import lead_list
from conversion.snapshots import week_number
from conversion.stage import run
from conversion.tiers import out_of_reach

DECIMALS: Final = {"probability": 9, "expected_mrr": 4}
DRIFT_DIGITS: Final = 4
SHIFT: Final = 0.25
"""An index above it is a shift, by Siddiqi's reading."""

log = logging.getLogger(__name__)


def drift(
    train: pd.DataFrame, latest: pd.DataFrame, features: tuple[Feature, ...], as_of: pd.Timestamp
) -> dict[str, Any]:
    """Measure how far each feature of the prospects has moved, beyond what time alone does.

    Parameters
    ----------
    train
        Training snapshots with ``weight`` and ``as_of``.
    latest
        Snapshots to score.
    features
        The model's features.
    as_of
        The moment the list is made.

    Returns
    -------
    dict
        ``population_stability_index`` by feature, largest first: `conversion.drift.index_beyond_time`, and in
        ``shifted_features`` the count above `SHIFT`. ``against_training`` is the plain index, that of the
        training snapshots, in which clocks always move.
    """
    week, now = week_number(train["as_of"]), int(week_number(pd.DatetimeIndex([as_of]))[0])
    weight = train["weight"].to_numpy()
    beyond: dict[str, float] = {}
    plain: dict[str, float] = {}
    for feature in features:
        old, new = train[feature.name], latest[feature.name]
        if feature.kind == "category":
            old, new = old.cat.codes, new.cat.codes
        beyond[feature.name] = round(
            index_beyond_time(old.to_numpy(), new.to_numpy(), weight, week, now), DRIFT_DIGITS
        )
        plain[feature.name] = round(
            population_stability_index(old.to_numpy(), new.to_numpy(), weight), DRIFT_DIGITS
        )
    return {
        "shifted_features": sum(index > SHIFT for index in beyond.values()),
        "population_stability_index": _largest_first(beyond),
        "against_training": _largest_first(plain),
    }


def _largest_first(index: dict[str, float]) -> dict[str, float]:
    return dict(sorted(index.items(), key=lambda item: (-item[1], item[0])))


def write_leads(leads: pd.DataFrame, path: Path) -> None:
    """Write leads in the format of the path's ending: .csv, .json (an array of objects) or .parquet."""
    rounded = leads.round(DECIMALS)
    writers = {
        ".csv": partial(rounded.to_csv, index=False, lineterminator="\n"),
        ".json": partial(rounded.to_json, orient="records", indent=1, double_precision=9),
        ".parquet": partial(rounded.to_parquet, index=False),
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
    if unreached := out_of_reach(model.base_rate_, params.score.tiers):
        log.warning(
            "no prospect can be in some tiers, which ask for more than probability 1; lower score.tiers",
            extra={"tiers": ", ".join(unreached), "training_prevalence": round(float(model.base_rate_), 6)},
        )
    as_of = str(read_value("data/clean/export.json", "as_of"))
    train = read_parquet("data/features/train.parquet", [*names, "weight", "as_of"])
    moved = drift(train, latest, model.features, pd.Timestamp(as_of))
    folder = Path("data/leads")
    write_leads(leads, folder / f"leads.{params.score.format}")
    write_leads(leads.head(params.score.top_n), folder / f"top_leads.{params.score.format}")
    write_json("metrics/drift.json", {"as_of": as_of} | moved)
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
