"""Where each company stands on a list as it went out: what reps see as its rank."""

from __future__ import annotations

import numpy as np
import pandas as pd

from conversion.delivery.statuses import HIDDEN


def standing(companies: pd.DataFrame) -> pd.Series:
    """Return the rank of each company on the published list, counted from 1.

    The call list comes first in the order of its places, then the others by the model's rank. Companies that
    are held back, suppressed or objected are not on it.

    Parameters
    ----------
    companies
        Of a delivery: ``id``, ``rank``, ``status`` and ``place``.

    Returns
    -------
    pandas.Series of Int64, indexed by id
        Missing where the company is not on the published list.
    """
    place = companies["place"].to_numpy(dtype=np.float64, na_value=np.inf)
    hidden = companies["status"].isin(HIDDEN).to_numpy()
    order = np.lexsort((companies["rank"].to_numpy(), place, hidden))
    stands = np.empty(len(companies), dtype=np.int64)
    stands[order] = np.arange(1, len(companies) + 1)
    return pd.Series(pd.array(stands, dtype="Int64"), index=pd.Index(companies["id"])).mask(hidden)
