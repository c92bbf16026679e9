"""The lead list as files: written with a manifest of hashes, and read only if the files match it.

``data/leads`` has the list, its top, the usage behind it, and the manifest, which is written last and has the
date of the list and the hashes of the model, each input and each file. A folder that was written in
part, or edited, does not match its manifest.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.config.attribute_kinds import AnyAttribute, Flag, is_numeric
from conversion.config.data_contract import Contract
from conversion.leads.lead_list import REASON_COLUMNS, lead_columns
from conversion.modelling.tiers import TIERS
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import (
    WITH_CHECKSUMS,
    as_written,
    read_json,
    reading,
    require_columns,
    sha256,
    verified_parquet,
    without_formulas,
    write_atomically,
    write_json,
)
from conversion.runtime.seals import sealed, sha256_of, unsealed

FOLDER: Final = "data/leads"
MANIFEST: Final = "manifest.json"
USAGE: Final = "usage.parquet"
DECIMALS: Final = {"probability": 9, "expected_mrr": 4}
AGAIN: Final = "run 'dvc repro score' to write it again"

_ALLOWED: Final[dict[str, tuple[str, Callable[[pd.Series], pd.Series]]]] = {
    "rank": ("the places 1, 2, 3, ...", lambda ranks: ranks == np.arange(1, len(ranks) + 1)),
    "id": ("each company once", lambda ids: ~ids.duplicated()),
    "probability": ("from 0 to 1", lambda values: values.between(0, 1)),
    "tier": ("a tier", lambda tiers: tiers.isin(TIERS)),
}

_WHOLE: Final = ("rank", "last_week_actions", "last_week_users")
_BOOLEANS: Final = {"True": True, "False": False}

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What a lead list is, and what it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    as_of: dt.date = Field(description="moment of the list")
    prospects: int = Field(ge=0, description="its rows")
    model_sha256: Sha256 = Field(description="of the model file that scored it")
    inputs: dict[str, Sha256] = Field(description="sha256 of each file that it was made from")
    files: dict[str, Sha256] = Field(description="sha256 of each file beside the manifest")


@dataclass(frozen=True)
class LeadFiles:
    """A lead list, as read.

    Attributes
    ----------
    manifest
        Of the list.
    leads
        `conversion.leads.lead_list.lead_columns`.
    usage
        Clean usage rows, sorted by ``id`` and week.
    """

    manifest: Manifest
    leads: pd.DataFrame
    usage: pd.DataFrame


# Writing


def write_lead_files(
    root: Path, leads: pd.DataFrame, top: int, file_format: str, usage: Path, about: Mapping[str, Any]
) -> None:
    """Write the list, its first ``top`` rows, the usage behind it, and the manifest last.

    Parameters
    ----------
    root
        The project's root.
    leads
        From `conversion.leads.lead_list.lead_list`.
    top
        Rows of the short list.
    file_format
        ``score.format`` of params.yaml.
    usage
        The file of clean usage rows; it is copied, so that this list is never shown with the usage of the
        next export.
    about
        ``as_of``, ``model_sha256`` and ``inputs`` of `Manifest`.
    """
    folder = root / FOLDER
    tables = {f"leads.{file_format}": leads, f"top_leads.{file_format}": leads.head(top)}
    for name, table in tables.items():
        write_leads(table, folder / name)
    with reading(usage):
        content = usage.read_bytes()
    write_atomically(folder / USAGE, lambda temporary: temporary.write_bytes(content))
    hashes = {name: sha256(folder / name) for name in (*tables, USAGE)}
    write_json(folder / MANIFEST, sealed({**about, "prospects": len(leads), "files": hashes}))


def write_leads(leads: pd.DataFrame, path: Path) -> None:
    """Write leads in the format of the path's suffix: .csv, .json (an array of objects) or .parquet.

    In CSV no cell is a formula: reasons begin with ``(+)`` or ``(-)`` instead of the bare sign, and
    `conversion.runtime.files.without_formulas` writes the other texts.
    """
    rounded = leads.round(DECIMALS)
    if path.suffix == ".csv":
        rounded = in_csv_form(rounded)
    writers = {
        ".csv": partial(rounded.to_csv, index=False, lineterminator="\n", quoting=_quoting(rounded)),
        ".json": partial(rounded.to_json, orient="records", indent=1, double_precision=9),
        ".parquet": partial(rounded.to_parquet, index=False, **WITH_CHECKSUMS),
    }
    write_atomically(path, writers[path.suffix])


def _quoting(leads: pd.DataFrame) -> Literal[0, 2]:
    """Return which cells to quote: those that must be, or all texts where one has a carriage return.

    The writer does not quote a lone one, but readers would end the row there.
    """
    texts = leads.select_dtypes(["str", "object"])
    lone = any(texts[name].str.contains("\r", regex=False, na=False).any() for name in texts)
    return csv.QUOTE_NONNUMERIC if lone else csv.QUOTE_MINIMAL


def in_csv_form(leads: pd.DataFrame) -> pd.DataFrame:
    """Return the leads as in CSV, where no cell is a formula; see `write_leads`."""
    signs = {name: _sign_in_brackets(leads[name]) for name in REASON_COLUMNS if name in leads}
    return without_formulas(leads.assign(**signs))


def _sign_in_brackets(reasons: pd.Series) -> pd.Series:
    return reasons.str.replace(r"^([+-]) ", r"(\1) ", regex=True)


def _bare_sign(reasons: pd.Series) -> pd.Series:
    return reasons.str.replace(r"^\(([+-])\) ", r"\1 ", regex=True)


# Reading


@dataclass(frozen=True)
class _Kinds:
    """Columns of a list by what their values are."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    whole: tuple[str, ...]
    flags: tuple[str, ...]
    present: tuple[str, ...]
    """Those without missing values."""


def _kinds(contract: Contract) -> _Kinds:
    columns, companies, groups = lead_columns(contract), contract.companies, contract.group_columns
    of = {name: _kind(attribute) for name, attribute in companies.attributes.items()}
    texts = ("tier", *companies.shown, *groups, "last_active_week", *REASON_COLUMNS)
    return _Kinds(
        texts=(
            *(["id"] if companies.ids == "text" else []),
            *texts,
            *(name for name in of if of[name] == "text"),
        ),
        numbers=(
            *(name for name in DECIMALS if name in columns),
            *(name for name in of if of[name] == "number"),
        ),
        whole=(
            *(["id"] if companies.ids == "whole" else []),
            *(name for name in _WHOLE if name in columns),
        ),
        flags=tuple(name for name in of if of[name] == "flag"),
        present=("rank", "id", "tier", *(name for name in DECIMALS if name in columns), *groups),
    )


def _kind(attribute: AnyAttribute) -> str:
    if isinstance(attribute, Flag):
        return "flag"
    return "number" if is_numeric(attribute) else "text"


def read_lead_files(root: Path, file_format: str, contract: Contract) -> LeadFiles | None:
    """Read a lead list, each file once, so that the bytes hashed are the bytes parsed.

    Parameters
    ----------
    root
        The project's root.
    file_format
        ``score.format`` of params.yaml.
    contract
        Of the model that scored the list: names its columns.

    Returns
    -------
    LeadFiles, or None if there is no list in this format

    Raises
    ------
    ArtifactError
        A file is missing, does not match the manifest, or is not a lead list of this contract.
    """
    folder, name = root / FOLDER, f"leads.{file_format}"
    if not (folder / MANIFEST).is_file():
        if (folder / name).is_file():
            raise ArtifactError(
                f"{folder / MANIFEST}: not found, but {folder / name} is there: 'score' did not end, or "
                f"another version wrote it; {AGAIN}"
            )
        return None
    manifest = _read_manifest(folder / MANIFEST)
    if name not in manifest.files:
        return None
    leads = _parsed(folder / name, _read_verified(folder, name, manifest), contract)
    usage_bytes = _read_verified(folder, USAGE, manifest)
    with reading(folder / USAGE):
        usage = verified_parquet(BytesIO(usage_bytes))
        columns = ["id", contract.usage.time, *contract.counts, *contract.usage.measures]
        require_columns(usage.columns, columns)
    return LeadFiles(manifest, leads, usage)


def _read_manifest(path: Path) -> Manifest:
    content = unsealed(read_json(path), str(path), AGAIN)
    try:
        return Manifest.model_validate_json(json.dumps(content))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ArtifactError(f"{path}: {where}: {fault['msg']}; {AGAIN}") from error


def _read_verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    path = folder / name
    if name not in manifest.files or not path.is_file():
        raise ArtifactError(f"{path}: not found, but {folder / MANIFEST} is there; {AGAIN}")
    with reading(path):
        content = path.read_bytes()
    if (found := sha256_of(content)) != manifest.files[name]:
        raise ArtifactError(
            f"{path}: sha256 is {found}, but {folder / MANIFEST} says {manifest.files[name]}: the file was "
            f"changed or is of another run; {AGAIN}"
        )
    return content


def _parsed(path: Path, content: bytes, contract: Contract) -> pd.DataFrame:
    """Parse a list, and check each column now rather than when a request reads a cell."""
    kinds, columns = _kinds(contract), list(lead_columns(contract))
    with reading(path):
        leads = _READERS[path.suffix](BytesIO(content), kinds)
    missing = [name for name in columns if name not in leads]
    if missing:
        raise ArtifactError(f"{path}: lacks the columns {', '.join(missing)}; {AGAIN}")
    leads = leads.reindex(columns=columns)
    for name in (*kinds.numbers, *kinds.whole):
        numbers = pd.to_numeric(leads[name], errors="coerce")
        is_number = np.isfinite(numbers) & (numbers % 1 == 0 if name in kinds.whole else True)
        expected = "a whole number" if name in kinds.whole else "a number"
        _refuse(path, leads, name, is_number | leads[name].isna(), expected)
        leads = leads.assign(**{name: numbers})
    for names, kind, expected in ((kinds.texts, str, "text"), (kinds.flags, bool, "True or False")):
        for name in names:
            is_kind = leads[name].map(lambda value, kind=kind: isinstance(value, kind), na_action=None)
            _refuse(path, leads, name, is_kind.astype(bool) | leads[name].isna(), expected)
    for name in kinds.present:
        _refuse(path, leads, name, leads[name].notna(), "a value in each row")
    for name, (expected, holds) in _ALLOWED.items():
        _refuse(path, leads, name, holds(leads[name]), expected)
    return leads.astype(dict.fromkeys(kinds.flags, "boolean"))


def _refuse(path: Path, leads: pd.DataFrame, name: str, good: pd.Series, expected: str) -> None:
    if good.all():
        return
    row = int(np.argmin(good.to_numpy(dtype=bool)))
    given = leads[name].iloc[row]
    shown = "nothing" if pd.isna(given) else repr(given.item() if isinstance(given, np.generic) else given)
    raise ArtifactError(f"{path}: {name}: given {shown} in row {row + 1}, should be {expected}; {AGAIN}")


# Text columns are read as text: a category may be called None, and a level or an id is 1.
def _read_csv(content: BytesIO, kinds: _Kinds) -> pd.DataFrame:
    texts: dict[Any, Any] = dict.fromkeys((*kinds.texts, *kinds.flags), "str")
    leads = pd.read_csv(content, dtype=texts, keep_default_na=False, na_values=[""])
    plain = {name: as_written(leads[name]) for name in kinds.texts if name in leads}
    signs = {name: _bare_sign(plain[name]) for name in REASON_COLUMNS if name in plain}
    flags = {name: _as_flags(leads[name]) for name in kinds.flags if name in leads}
    return leads.assign(**(plain | signs | flags))


def _as_flags(texts: pd.Series) -> pd.Series:
    return texts.astype(object).map(lambda text: _BOOLEANS.get(text, text))


def _read_json(content: BytesIO, kinds: _Kinds) -> pd.DataFrame:
    leads = pd.read_json(content, dtype=False, precise_float=True)
    return leads if len(leads) else leads.reindex(columns=_every(kinds))


def _read_parquet(content: BytesIO, kinds: _Kinds) -> pd.DataFrame:
    leads = verified_parquet(content)
    return leads.astype({name: object for name in kinds.flags if name in leads})


def _every(kinds: _Kinds) -> list[str]:
    return [*kinds.texts, *kinds.numbers, *kinds.whole, *kinds.flags]


_READERS: Final[dict[str, Callable[[BytesIO, _Kinds], pd.DataFrame]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
