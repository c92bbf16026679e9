"""What accounts that did not exist yet do to a backtest, measured on an example with days of sign-up.

The same export is read twice: by its contract, and by one that records no days of sign-up. By the second one
every account is a prospect from the first week on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks.export_copy import make_snapshots
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.evaluation.backtest import backtest
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.predictions import MODEL
from conversion.runtime.files import verified_parquet, write_csv, write_json, write_parquet
from examples import projects

ROOT: Final = Path(__file__).resolve().parents[1]
CONTRACT: Final = ROOT / "examples/projects.yaml"
ACCOUNTS, WEEKS, SEED = 3000, 61, 7
SHOWN: Final = ("roc_auc", "average_precision", "precision_at_10")


def without_age(contract: Contract) -> Contract:
    """Delete the day of sign-up from the attributes; companies are prospects from that day on as before."""
    names = contract.companies
    attributes = {name: each for name, each in names.attributes.items() if name != names.signed_up}
    return contract.model_copy(update={"companies": names.model_copy(update={"attributes": attributes})})


def without_sign_up(contract: Contract) -> Contract:
    """Return a contract that does not know when companies signed up."""
    companies = without_age(contract).companies.model_copy(update={"signed_up": None})
    return contract.model_copy(update={"companies": companies})


def measure_not_yet(accounts: int = ACCOUNTS, weeks: int = WEEKS) -> dict[str, Any]:
    """Measure the lists with and without accounts that did not exist yet; JSON-ready.

    Returns
    -------
    dict
        ``accounts``, ``lists``, ``first``, ``last``; ``share`` of the rows, and ``share_of_conversions``,
        that are of accounts that did not exist yet; and the measures, by way: ``everyone`` (neither model nor
        lists know days of sign-up), ``same_model`` (its scores without those rows), ``existing`` (ours).
    """
    contract = load_contract(CONTRACT)
    tables = projects.export(accounts, weeks, SEED)
    names = contract.companies
    signed_up = pd.to_datetime(tables["accounts"].set_index(names.id)[str(names.signed_up)])
    with tempfile.TemporaryDirectory(prefix="not-yet-") as temporary:
        export = Path(temporary) / "export"
        for name, table in tables.items():
            write = write_parquet if name in projects.IN_PARQUET else write_csv
            write(export / f"{name}.{'parquet' if name in projects.IN_PARQUET else 'csv'}", table)
        existing = lists_of(export, contract)
        everyone = lists_of(export, without_sign_up(contract))
    there = everyone["id"].map(signed_up) < everyone["as_of"]
    cutoffs = everyone["as_of"]
    return {
        "accounts": len(tables["accounts"]),
        "lists": int(cutoffs.nunique()),
        "first": f"{cutoffs.min():%Y-%m-%d}",
        "last": f"{cutoffs.max():%Y-%m-%d}",
        "share": round(float(1 - there.mean()), 6),
        "share_of_conversions": round(float((~there)[everyone["label"] == 1].mean()), 6),
        "everyone": measures_of(everyone),
        "same_model": measures_of(everyone[there]),
        "existing": measures_of(existing),
    }


def lists_of(export: Path, contract: Contract) -> pd.DataFrame:
    """Return the predictions of the backtest of an export, made in a temporary copy of the project."""
    with tempfile.TemporaryDirectory(prefix="not-yet-") as temporary:
        copy, path = Path(temporary) / "copy", Path(temporary) / "contract.json"
        copy.mkdir()
        write_json(path, contract.model_dump(mode="json"))
        make_snapshots(copy, export, {}, path)
        params = load_params(copy / "params.yaml")
        train, snapshots = (
            verified_parquet(copy / f"data/features/{name}.parquet") for name in ("train", "backtest")
        )
        return backtest(train, snapshots, params, contract)


def measures_of(predictions: pd.DataFrame) -> dict[str, Any]:
    """Measure the model's lists, with intervals; ``prospects`` is how many are on a list, on average."""
    params = load_params(ROOT / "params.yaml")
    samples = params.evaluate.bootstrap_samples
    found = ranker_measures(resample(predictions, samples, params.seed), [MODEL], (10,))["rankers"][MODEL]
    prospects = round(len(predictions) / predictions["as_of"].nunique(), 1)
    return {"prospects": prospects, **{name: found[name] for name in SHOWN}}
