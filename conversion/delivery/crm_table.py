"""What the files for CRMs and spreadsheets have in common: the values of a call list, as texts."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

import pandas as pd

from conversion.config.deliver_params import CrmFile
from conversion.runtime.errors import UserError

VALUES: Final = (
    *("place", "probability", "tier", "expected_mrr", "rep"),
    *("reason_1", "reason_2", "reason_3", "caution", "moved", "as_of"),
)
"""What a CRM is told of each company on the call list, in this order."""
DECIMALS: Final[Mapping[str, int]] = {"probability": 6, "expected_mrr": 2}


class CrmError(UserError):
    """A call list that a CRM could not import, or no last delivery to write files of."""


@dataclass(frozen=True)
class CrmTable:
    """The content of a file: texts, with None for what is missing.

    Attributes
    ----------
    header
        Names of the columns, the key first.
    rows
        In the order of the call list.
    left_out
        Ids of the companies without a key, which no import could match.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    left_out: tuple[str, ...] = ()


def called(companies: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Select the call list from a delivery's companies, in its order, with ``as_of``."""
    on_list = companies[companies["place"].notna()]
    return on_list.sort_values("place").reset_index(drop=True).assign(as_of=as_of.isoformat())


def crm_table(calls: pd.DataFrame, file: CrmFile, names: Mapping[str, str], section: str) -> CrmTable:
    """Put the content of a CRM's file together.

    Parameters
    ----------
    calls
        From `called`.
    file
        The key, and what it is called.
    names
        What the CRM calls each of `VALUES`.
    section
        Key of params.yaml that has ``file``, for messages.

    Raises
    ------
    CrmError
        The key is no column of the call list, two companies have the same, or the key's name is another
        column's.
    """
    if file.key not in calls:
        raise CrmError(
            f"params.yaml: {section}.key: given {file.key!r}, should be id or a shown column of the contract"
        )
    present = [name for name in VALUES if name in calls]
    header = (file.key_header, *(names[name] for name in present))
    if file.key_header in header[1:]:
        raise CrmError(
            f"params.yaml: {section}.key_header: {file.key_header!r} is another column of the file"
        )
    keys = texts(calls[file.key], file.key)
    known = [place for place, key in enumerate(keys) if key]
    left_out = [str(calls["id"].iloc[place]) for place, key in enumerate(keys) if not key]
    _require_distinct(calls["id"].iloc[known], [str(keys[place]) for place in known], section)
    columns = [keys, *(texts(calls[name], name) for name in present)]
    return CrmTable(header, tuple(tuple(each[place] for each in columns) for place in known), tuple(left_out))


def _require_distinct(ids: pd.Series[Any], keys: list[str], section: str) -> None:
    """Raise an error if two companies have the same key: one would overwrite the other."""
    first: dict[str, object] = {}
    for company, key in zip(ids, keys, strict=True):
        other = first.setdefault(key.casefold(), company)
        if other != company:
            raise CrmError(
                f"params.yaml: {section}.key: the companies {other} and {company} of the call list have the "
                f"same, {key!r}: one would overwrite the other in the CRM; name a column that "
                "differs, such as id"
            )


def texts(values: pd.Series[Any], name: str) -> list[str | None]:
    """Write values as texts that do not depend on the locale; missing and empty ones are None."""
    return [None if pd.isna(value) else _text(value, DECIMALS.get(name)) or None for value in values]


def _text(value: object, decimals: int | None) -> str:
    if isinstance(value, float):
        return f"{value:.{decimals}f}" if decimals is not None else f"{value:.15g}"
    return " ".join(str(value).split("\0"))


def csv_bytes(
    header: Iterable[str], rows: Iterable[Iterable[str]], line_end: str = "\n", encoding: str = "utf-8"
) -> bytes:
    """Write CSV as RFC 4180 says: cells with commas, quotation marks or line ends are quoted."""
    stream = StringIO(newline="")
    writer = csv.writer(stream, lineterminator=line_end)
    writer.writerow(header)
    writer.writerows(rows)
    # JSON may hold half of a surrogate pair, which UTF-8 has no bytes for.
    return stream.getvalue().encode(encoding, "replace")
