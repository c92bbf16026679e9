"""Paid periods as the companies' own columns name them, one a company."""

from __future__ import annotations

import pandas as pd

from conversion.config.data_contract import Contract


def paid_periods(companies: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the paid period of each company that has converted, in their order.

    Parameters
    ----------
    companies
        As `conversion.data.timeline.prospects_at` reads them, with ``id`` and ``conversion_valid``.
    """
    names = contract.companies
    paid = companies[companies[names.converted].notna()]
    start = paid[names.converted]
    columns = {
        "id": paid["id"],
        "start": start,
        "end": pd.Series(pd.NaT, paid.index, start.dtype) if names.ended is None else paid[names.ended],
        "value": paid.get(names.value),
        "conversion_valid": paid["conversion_valid"],
    }
    return pd.DataFrame(columns).astype({"value": "float64"}).reset_index(drop=True)
