"""The call list as Salesforce's Bulk API 2.0 upserts it.

UTF-8 without byte order mark, commas, line feeds (the default of a job), API names of fields in the header,
the external id first. An empty cell would leave the last week's value in place; ``#N/A`` sets the field to
null ("Prepare CSV Files" of the Bulk API 2.0 Developer Guide). Spaces around a value count.
"""

from __future__ import annotations

import pandas as pd

from conversion.config.deliver_params import Crm
from conversion.delivery.crm_table import VALUES, CrmTable, crm_table, csv_bytes

NULL = "#N/A"


def table(calls: pd.DataFrame, crm: Crm) -> CrmTable:
    """Return the content of the file; fields of the customer's own end in ``__c``."""
    file = crm.salesforce
    names = {name: f"{file.prefix}{name.title()}__c" for name in VALUES}
    return crm_table(calls, file, names, "deliver.crm.salesforce")


def content(made: CrmTable) -> bytes:
    """Return the bytes of the file."""
    return csv_bytes(made.header, ([NULL if cell is None else cell for cell in row] for row in made.rows))
