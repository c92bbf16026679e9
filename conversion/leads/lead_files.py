"""The lead list as files: written with a manifest of hashes, and read only if the files match it.

``data/leads`` has the list, its top, the usage behind it, and the manifest, which is written last and has the
date of the list and the hashes of the model, each input and each file. A folder that was written in
part, or edited, does not match its manifest.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.config.contract import MEASURES
from conversion.leads.lead_list import LEAD_COLUMNS, REASON_COLUMNS
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

_TEXTS: Final = ("tier", "EMPLOYEE_RANGE", "INDUSTRY", "sector", "last_active_week")
_NUMBERS: Final = ("probability", "expected_mrr", "ALEXA_RANK")
_WHOLE: Final = ("rank", "id", "last_week_actions", "last_week_users")
_PRESENT: Final = ("rank", "id", "probability", "tier", "expected_mrr", "sector")
_ALLOWED: Final[dict[str, tuple[str, Callable[[pd.Series], pd.Series]]]] = {
    "rank": ("the places 1, 2, 3, ...", lambda ranks: ranks == np.arange(1, len(ranks) + 1)),
    "id": ("each company once", lambda ids: ~ids.duplicated()),
    "probability": ("from 0 to 1", lambda values: values.between(0, 1)),
    "tier": ("a tier", lambda tiers: tiers.isin(TIERS)),
}

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
        `conversion.leads.lead_list.LEAD_COLUMNS`.
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
        ".csv": partial(rounded.to_csv, index=False, lineterminator="\n"),
        ".json": partial(rounded.to_json, orient="records", indent=1, double_precision=9),
        ".parquet": partial(rounded.to_parquet, index=False, **WITH_CHECKSUMS),
    }
    write_atomically(path, writers[path.suffix])


def in_csv_form(leads: pd.DataFrame) -> pd.DataFrame:
    """Return the leads as in CSV, where no cell is a formula; see `write_leads`."""
    signs = {name: _sign_in_brackets(leads[name]) for name in REASON_COLUMNS if name in leads}
    return without_formulas(leads.assign(**signs))


def _sign_in_brackets(reasons: pd.Series) -> pd.Series:
    return reasons.str.replace(r"^([+-]) ", r"(\1) ", regex=True)


def _bare_sign(reasons: pd.Series) -> pd.Series:
    return reasons.str.replace(r"^\(([+-])\) ", r"\1 ", regex=True)


# Reading


def read_lead_files(root: Path, file_format: str) -> LeadFiles | None:
    """Read a lead list, each file once, so that the bytes hashed are the bytes parsed.

    Parameters
    ----------
    root
        The project's root.
    file_format
        ``score.format`` of params.yaml.

    Returns
    -------
    LeadFiles, or None if there is no list in this format

    Raises
    ------
    ArtifactError
        A file is missing, does not match the manifest, or is not a lead list.
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
    leads = _parsed(folder / name, _read_verified(folder, name, manifest))
    usage_bytes = _read_verified(folder, USAGE, manifest)
    with reading(folder / USAGE):
        usage = verified_parquet(BytesIO(usage_bytes))
        require_columns(usage.columns, ["id", "WHEN_TIMESTAMP", *MEASURES])
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


def _parsed(path: Path, content: bytes) -> pd.DataFrame:
    """Parse a list, and check each column now rather than when a request reads a cell."""
    with reading(path):
        leads = _READERS[path.suffix](BytesIO(content))
    missing = [name for name in LEAD_COLUMNS if name not in leads]
    if missing:
        raise ArtifactError(f"{path}: lacks the columns {', '.join(missing)}; {AGAIN}")
    for name in (*_NUMBERS, *_WHOLE):
        numbers = pd.to_numeric(leads[name], errors="coerce")
        is_number = np.isfinite(numbers) & (numbers % 1 == 0 if name in _WHOLE else True)
        expected = "a whole number" if name in _WHOLE else "a number"
        _refuse(path, leads, name, is_number | leads[name].isna(), expected)
        leads = leads.assign(**{name: numbers})
    for name in (*_TEXTS, *REASON_COLUMNS):
        is_text = leads[name].map(lambda value: isinstance(value, str), na_action=None).astype(bool)
        _refuse(path, leads, name, is_text | leads[name].isna(), "text")
    for name in _PRESENT:
        _refuse(path, leads, name, leads[name].notna(), "a value in each row")
    for name, (expected, holds) in _ALLOWED.items():
        _refuse(path, leads, name, holds(leads[name]), expected)
    return leads[list(LEAD_COLUMNS)]


def _refuse(path: Path, leads: pd.DataFrame, name: str, good: pd.Series, expected: str) -> None:
    if good.all():
        return
    row = int(np.argmin(good.to_numpy(dtype=bool)))
    given = leads[name].iloc[row]
    shown = "nothing" if pd.isna(given) else repr(given.item() if isinstance(given, np.generic) else given)
    raise ArtifactError(f"{path}: {name}: given {shown} in row {row + 1}, should be {expected}; {AGAIN}")


# Text columns are read as text: an industry may be called None, and an employee range is 1.
def _read_csv(content: BytesIO) -> pd.DataFrame:
    texts: dict[Any, Any] = dict.fromkeys((*_TEXTS, *REASON_COLUMNS), "str")
    leads = pd.read_csv(content, dtype=texts, keep_default_na=False, na_values=[""])
    plain = {name: as_written(leads[name]) for name in texts if name in leads}
    signs = {name: _bare_sign(plain[name]) for name in REASON_COLUMNS if name in plain}
    return leads.assign(**(plain | signs))


def _read_json(content: BytesIO) -> pd.DataFrame:
    leads = pd.read_json(content, dtype=False, precise_float=True)
    return leads if len(leads) else leads.reindex(columns=list(LEAD_COLUMNS))


_READERS: Final[dict[str, Callable[[BytesIO], pd.DataFrame]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": verified_parquet,
}
