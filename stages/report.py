"""Write what people read: the report of the week's list, the model's track record, and the model card."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.features.compute import feature_definitions, feature_settings
from conversion.features.definitions import Feature
from conversion.leads.lead_files import read_list_of_model
from conversion.pages import model_card, track_record
from conversion.pages.record_of_results import Results, record_of
from conversion.pages.report import report_html
from conversion.runtime.cli import run
from conversion.runtime.files import read_json, reading, write_json, write_text

REPORT: Final = "data/report.html"
log = logging.getLogger(__name__)


def read_table(path: str) -> pd.DataFrame:
    """Read a CSV table that a stage wrote, texts as they are; see `conversion.runtime.files.reading`."""
    with reading(path):
        return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_results(description: dict[str, Any]) -> Results:
    """Read what the stages measured."""
    return Results(
        evaluation=read_json("metrics/evaluation.json"),
        quality=read_json("metrics/data_quality.json"),
        cleaning=read_json("metrics/cleaning.json"),
        drift=read_json("metrics/drift.json"),
        model=description,
        weekly=read_table("plots/precision_over_time.csv"),
        gains=read_table("plots/gains.csv"),
        reliability=read_table("plots/reliability.csv"),
        slices=read_table("metrics/slices.csv"),
        importance=read_table("plots/importance_by_fact.csv"),
    )


def features_of(description: dict[str, Any], params: Params, contract: Contract) -> list[Feature]:
    """Return the definitions of the features that the model reads."""
    definitions = feature_definitions(feature_settings(params.featurize, contract))
    return [feature for feature in definitions if feature.name in description["features"]]


def main() -> None:
    """Read the list, the model's description and what was measured; write what people read."""
    params = load_params()
    contract = load_contract("data/contract.json")
    description = read_json("models/model.json")
    files = read_list_of_model(Path(), contract, description["sha256"])
    results = read_results(description)
    record = record_of(results, features_of(description, params, contract), contract, params.evaluate.top_k)
    leads = files.leads.head(params.score.top_n)
    html = report_html(leads, len(files.leads), record, contract)
    write_json(track_record.PATH, record.model_dump(mode="json"))
    write_text(model_card.PATH, model_card.model_card(record, description, contract))
    write_text(REPORT, html)
    log.info("reported", extra={"leads": len(leads), "bytes": len(html.encode("utf-8"))})


if __name__ == "__main__":
    run(main, sys.argv[1:])
