"""The call list as HubSpot imports it: CSV, UTF-8, a header row that names properties.

Companies are matched by ``Record ID`` or ``Company Domain Name`` ("Set up import files" and "Deduplicate
records" of HubSpot's knowledge base). A record id is a number.
"""

from __future__ import annotations

import pandas as pd

from conversion.config.deliver_params import Crm
from conversion.delivery.crm_table import VALUES, CrmError, CrmTable, crm_table, csv_bytes

RECORD_ID = "Record ID"


def table(calls: pd.DataFrame, crm: Crm) -> CrmTable:
    """Return the content of the file.

    Raises
    ------
    CrmError
        A record id is not a number.
    """
    file = crm.hubspot
    made = crm_table(calls, file, {name: f"{file.prefix}{name}" for name in VALUES}, "deliver.crm.hubspot")
    if file.key_header == RECORD_ID:
        for key, *_ in made.rows:
            if not (key and key.isascii() and key.isdecimal()):
                raise CrmError(
                    f"params.yaml: deliver.crm.hubspot.key: {file.key} has {key!r}, but a {RECORD_ID} of "
                    "HubSpot is a whole number: name the shown column with HubSpot's record ids, or use the "
                    "key_header Company Domain Name"
                )
    return made


def content(made: CrmTable) -> bytes:
    """Return the bytes of the file."""
    return csv_bytes(made.header, ([cell or "" for cell in row] for row in made.rows))
