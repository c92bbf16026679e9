"""By what else a company is known: former ids, its name, and its keys in files for CRMs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.delivery.ledger import COMPANIES, read_deliveries
from conversion.forgetting.wanted import Wanted
from conversion.ingest.folders import Place, files_of, place_of, read_all
from conversion.runtime.files import verified_parquet

CLEAN = "data/clean/companies.parquet"


def with_former_ids(root: Path, wanted: Wanted, params: Params, contract: Contract) -> Wanted:
    """Add the ids that became this company's, as the export's table of aliases has them."""
    aliases = contract.companies.aliases
    if aliases is None:
        return wanted
    folder = place_of(params.data.dir)
    folder = root / folder if isinstance(folder, Path) else folder
    ids, known = set(wanted.ids), tuple(_aliases(folder, aliases.table))
    while True:
        current = replace(wanted, ids=frozenset(ids))
        former = {
            row[aliases.id].removeprefix("'")
            for row in known
            if aliases.id in row and current.is_in(aliases.into, row.get(aliases.into))
        }
        if former <= ids:
            return current
        ids |= former


def _aliases(folder: Place, table: str) -> Iterator[dict[str, str]]:
    import pandas as pd

    for path in files_of(folder, table):
        content = BytesIO(read_all(path))
        if path.suffix == ".parquet":
            rows = verified_parquet(content)
        else:
            rows = pd.read_csv(content, dtype=str, keep_default_na=False, sep=None, engine="python")
        for row in rows.astype(str).to_dict("records"):
            yield {str(name): str(value) for name, value in row.items()}


def with_names(root: Path, wanted: Wanted, contract: Contract) -> Wanted:
    """Add the texts of shown columns that only this company has, such as its name."""
    path, shown = root / CLEAN, contract.companies.shown
    if not shown or not path.is_file():
        return wanted
    companies = verified_parquet(path)
    own = companies[[wanted.is_in("id", each) for each in companies["id"]]]
    names = {
        str(value)
        for column in shown
        if column in companies
        for value in own[column].dropna()
        if (companies[column] == value).sum() == len(own)
    }
    return replace(wanted, names=wanted.names | names)


def with_keys(root: Path, wanted: Wanted, params: Params) -> Wanted:
    """Add the company's keys in files for CRMs, which the deliveries that it was on have."""
    files = [getattr(params.deliver.crm, name) for name in type(params.deliver.crm).model_fields]
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for delivery in read_deliveries(root):
        companies = verified_parquet(delivery.folder / COMPANIES)
        own = companies[[wanted.is_in("id", each) for each in companies["id"]]]
        for file in files:
            if file.key in own:
                keys[file.key_header] |= {str(value) for value in own[file.key].dropna()}
    return replace(wanted, keys={name: frozenset(values) for name, values in keys.items()})
