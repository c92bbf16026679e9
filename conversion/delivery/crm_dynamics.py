"""The call list as the import wizard of Dynamics 365 takes it.

Comma-separated, one line of column headings without quotation marks, double quotation marks around data,
records of one type in a file ("Import data" of the Dynamics 365 documentation). Without the byte order mark
it reads UTF-8 as the code page of the server's language, so the mark is there.
"""

from __future__ import annotations

import pandas as pd

from conversion.config.deliver_params import Crm
from conversion.delivery.crm_table import VALUES, CrmError, CrmTable, crm_table, csv_bytes


def table(calls: pd.DataFrame, crm: Crm) -> CrmTable:
    """Return the content of the file: headings are the display names of columns.

    Raises
    ------
    CrmError
        A heading would need quotation marks.
    """
    file = crm.dynamics
    if set(file.key_header) & set('",\r\n'):
        raise CrmError(
            f"params.yaml: deliver.crm.dynamics.key_header: given {file.key_header!r}, should have no comma, "
            "quotation mark or line end: the wizard takes no quoted headings"
        )
    names = {name: f"{file.prefix}{name.replace('_', ' ')}" for name in VALUES}
    return crm_table(calls, file, names, "deliver.crm.dynamics")


def content(made: CrmTable) -> bytes:
    """Return the bytes of the file."""
    cells = ([cell or "" for cell in row] for row in made.rows)
    return csv_bytes(made.header, cells, line_end="\r\n", encoding="utf-8-sig")
