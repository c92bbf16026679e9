"""The table of leads in each format: written, and read with every column checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import AnyAttribute, Flag, is_numeric
from conversion.config.data_contract import Contract
from conversion.leads.lead_columns import REASON_COLUMNS, converted_columns, lead_columns
from conversion.modelling.tiers import TIERS
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import (
    as_written,
    reading,
    verified_parquet,
)

AGAIN: Final = "run 'dvc repro score' to write it again"
DECIMALS: Final = {
    "probability": 9,
    "expected_mrr": 4,
    "probability_before": 9,
    "fit": 9,
    "activity": 9,
}

_ALLOWED: Final[dict[str, tuple[str, Callable[[pd.Series], pd.Series]]]] = {
    "rank": ("the places 1, 2, 3, ...", lambda ranks: ranks == ranks.index.to_numpy() + 1),
    "id": ("each company once", lambda ids: ~ids.duplicated()),
    "probability": ("from 0 to 1", lambda values: values.between(0, 1)),
    "probability_before": ("from 0 to 1", lambda values: values.between(0, 1) | values.isna()),
    "tier": ("a tier", lambda tiers: tiers.isin(TIERS)),
}

WHOLE: Final = ("rank", "rank_before", "last_week_actions", "last_week_users")
"""Columns of whole numbers, which are read as decimals where some are missing."""
_BOOLEANS: Final = {"True": True, "False": False}


# Kinds of columns


@dataclass(frozen=True)
class _Kinds:
    """Columns of a list by what their values are."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    whole: tuple[str, ...]
    flags: tuple[str, ...]
    present: tuple[str, ...]
    """Those without missing values."""


def _lead_kinds(contract: Contract) -> _Kinds:
    """Return the kinds of the columns of leads."""
    columns, groups, who = lead_columns(contract), contract.group_columns, _company_kinds(contract)
    decimals = tuple(name for name in DECIMALS if name in columns)
    sentences = (*REASON_COLUMNS, "caution", "evidence")
    return _Kinds(
        texts=("tier", *who.texts, *groups, "last_active_week", *sentences),
        numbers=(*decimals, *who.numbers),
        whole=(*who.whole, *(name for name in WHOLE if name in columns)),
        flags=who.flags,
        present=(
            *("rank", "id", "tier", "evidence"),
            *(name for name in decimals if name != "probability_before"),
            *groups,
        ),
    )


def _converted_kinds(contract: Contract) -> _Kinds:
    who, days = _company_kinds(contract), ("as_of", "converted")
    return replace(who, texts=(*who.texts, *days), present=(*who.present, *days))


def _company_kinds(contract: Contract) -> _Kinds:
    """Return the kinds of the id and of the columns that show who a company is."""
    companies = contract.companies
    of = {name: _kind(attribute) for name, attribute in companies.attributes.items()}
    of |= dict.fromkeys(companies.shown, "text") | {"id": "text" if companies.ids == "text" else "whole"}
    by_kind = {kind: tuple(name for name in of if of[name] == kind) for kind in set(of.values())}
    texts, numbers, whole, flags = (by_kind.get(kind, ()) for kind in ("text", "number", "whole", "flag"))
    return _Kinds(texts, numbers, whole, flags, present=("id",))


def _kind(attribute: AnyAttribute) -> str:
    if isinstance(attribute, Flag):
        return "flag"
    return "number" if is_numeric(attribute) else "text"


# Reading


def parsed_leads(path: Path, content: bytes, contract: Contract) -> pd.DataFrame:
    """Parse a list, and check each column now rather than when a request reads a cell."""
    kinds = _lead_kinds(contract)
    with reading(path):
        leads = _READERS[path.suffix](BytesIO(content), kinds)
    return checked_leads(path, leads.reset_index(drop=True), contract)


def checked_leads(path: Path, leads: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Check each column of a list, or of some of its rows; the index has their places, from 0 on."""
    kinds, columns = _lead_kinds(contract), lead_columns(contract)
    leads = leads.astype({name: object for name in kinds.flags if name in leads})
    missing = [name for name in columns if name not in leads]
    if missing:
        raise ArtifactError(f"{path}: lacks the columns {', '.join(missing)}; {AGAIN}")
    leads = _checked(path, leads, kinds, columns)
    for name, (expected, holds) in _ALLOWED.items():
        _refuse(path, leads, name, holds(leads[name]), expected)
    return leads


def _checked(path: Path, table: pd.DataFrame, kinds: _Kinds, columns: tuple[str, ...]) -> pd.DataFrame:
    """Check that each column has values of its kind, and return these columns alone."""
    table = table.reindex(columns=list(columns))
    for name in (*kinds.numbers, *kinds.whole):
        numbers = pd.to_numeric(table[name], errors="coerce")
        is_number = np.isfinite(numbers) & (numbers % 1 == 0 if name in kinds.whole else True)
        expected = "a whole number" if name in kinds.whole else "a number"
        _refuse(path, table, name, is_number | table[name].isna(), expected)
        table = table.assign(**{name: numbers})
    for names, kind, expected in ((kinds.texts, str, "text"), (kinds.flags, bool, "True or False")):
        for name in names:
            if isinstance(table[name].dtype, pd.StringDtype):
                continue
            is_kind = table[name].map(lambda value, kind=kind: isinstance(value, kind), na_action=None)
            _refuse(path, table, name, is_kind.astype(bool) | table[name].isna(), expected)
    for name in kinds.present:
        _refuse(path, table, name, table[name].notna(), "a value in each row")
    return table.astype(dict.fromkeys(kinds.flags, "boolean"))


def texts_and_flags(contract: Contract) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the columns of leads that are texts, and those that are True or False."""
    kinds = _lead_kinds(contract)
    ids = ("id",) if contract.companies.ids == "text" else ()
    return tuple(dict.fromkeys((*kinds.texts, *ids))), kinds.flags


def checked_converted(path: Path, table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Check each column of the companies that converted."""
    return _checked(path, table, _converted_kinds(contract), converted_columns(contract))


def _refuse(path: Path, leads: pd.DataFrame, name: str, good: pd.Series, expected: str) -> None:
    if good.all():
        return
    row = int(np.argmin(good.to_numpy(dtype=bool)))
    given = leads[name].iloc[row]
    shown = "nothing" if pd.isna(given) else repr(given.item() if isinstance(given, np.generic) else given)
    place = leads.index[row] + 1
    raise ArtifactError(f"{path}: {name}: given {shown} in row {place}, should be {expected}; {AGAIN}")


# Text columns are read as text: a category may be called None, and a level or an id is 1.
def _read_csv(content: BytesIO, kinds: _Kinds) -> pd.DataFrame:
    texts: dict[Any, Any] = dict.fromkeys((*kinds.texts, *kinds.flags), "str")
    leads = pd.read_csv(content, dtype=texts, keep_default_na=False, na_values=[""])
    plain = {name: as_written(leads[name]) for name in kinds.texts if name in leads}
    flags = {name: _as_flags(leads[name]) for name in kinds.flags if name in leads}
    return leads.assign(**(plain | flags))


def _as_flags(texts: pd.Series) -> pd.Series:
    return texts.astype(object).map(lambda text: _BOOLEANS.get(text, text))


def _read_json(content: BytesIO, kinds: _Kinds) -> pd.DataFrame:
    leads = pd.read_json(content, dtype=False, precise_float=True)
    return leads if len(leads) else leads.reindex(columns=_every(kinds))


def _read_parquet(content: BytesIO, _: _Kinds) -> pd.DataFrame:
    return verified_parquet(content)


def _every(kinds: _Kinds) -> list[str]:
    return [*kinds.texts, *kinds.numbers, *kinds.whole, *kinds.flags]


_READERS: Final[dict[str, Callable[[BytesIO, _Kinds], pd.DataFrame]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
