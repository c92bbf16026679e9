"""The call list for spreadsheets: UTF-8 with a byte order mark, CRLF, nothing that runs as a formula.

Excel takes a file without the mark for the system's code page. It reads digits as a number and drops
leading zeros and all digits after the 15th, and reads ``1-2`` as a day: such texts are written as the
constant ``="00123"``, which Excel shows as it is. Only letters, digits and a few signs stand within the
quotation marks, so it can do nothing else.
"""

from __future__ import annotations

import re
from typing import Final

import pandas as pd
from pandas.api.types import is_numeric_dtype

from conversion.delivery.crm_table import CrmTable, csv_bytes, texts
from conversion.runtime.files import FORMULA

HIDDEN: Final = frozenset(
    {
        *("rank", "log_odds", "rule_rank", "status", "call_probability", "fact_1", "fact_2", "fact_3"),
        *("log_odds_change", "moved_activity", "moved_windows", "moved_attributes", "moved_model"),
    }
)
"""Columns of a delivery that are for the scorecard, not for reps."""
CONVERTED: Final = re.compile(
    r"[\d.,:/ +-]*\d[\d.,:/ +-]*(e[+-]?\d+)?( ?[ap]m?)?"  # a number, a day, a time
    r"|(\d{1,4}[ ./-]?)?[a-z]{3,9}\.?[ ./-]?\d{1,4}|\d{1,4}[ ./-]?[a-z]{3,9}\.?"  # a day with its month
    r"|true|false|wahr|falsch|vrai|faux",
    re.IGNORECASE | re.ASCII,
)
"""What a spreadsheet may take for something else than text."""
CONSTANT: Final = re.compile(r"[\w.,:/ +-]{1,250}", re.ASCII)
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
"""The one conversion that is right."""


def table(calls: pd.DataFrame) -> CrmTable:
    """Return the content of a spreadsheet, as its cells are written."""
    shown = [name for name in ("place", "id", "rep") if name in calls]
    shown += [str(name) for name in calls if name not in HIDDEN and name not in shown]
    if calls["rep"].isna().all():
        shown.remove("rep")
    columns = [
        [
            cell(text, is_text=name == "id" or not is_numeric_dtype(calls[name]), is_id=name == "id")
            for text in texts(calls[name], name)
        ]
        for name in shown
    ]
    return CrmTable(
        tuple(cell(name, is_text=True) or "" for name in shown), tuple(zip(*columns, strict=True))
    )


def cell(text: str | None, is_text: bool, is_id: bool = False) -> str | None:
    """Write a cell so that a spreadsheet shows the text as it is.

    Examples
    --------
    >>> cell("00123", is_text=True), cell("=1+1", is_text=True), cell("0.25", is_text=False)
    ('="00123"', "'=1+1", '0.25')
    """
    if text is None or not is_text:
        return text
    changes = CONVERTED.fullmatch(text) and not DAY.fullmatch(text)
    if CONSTANT.fullmatch(text) and (is_id or changes):
        return f'="{text}"'
    return f"'{text}" if FORMULA.match(text) else text


def as_shown(text: str) -> str:
    """Return what a spreadsheet shows of a cell that is a constant.

    Examples
    --------
    >>> as_shown('="00123"'), as_shown("0.25")
    ('00123', '0.25')
    """
    inside = text.removeprefix('="').removesuffix('"')
    return inside if text == f'="{inside}"' else text


def content(made: CrmTable) -> bytes:
    """Return the bytes of the file."""
    cells = ([each or "" for each in row] for row in made.rows)
    return csv_bytes(made.header, cells, line_end="\r\n", encoding="utf-8-sig")
