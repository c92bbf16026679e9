"""Whether anything beside behaviour separates customers from non-customers."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config import contract
from conversion.config.contract import COMPANIES
from conversion.ingest.profile import PROFILE_DIGITS
from conversion.stats.metric import Metric
from conversion.stats.roc_auc import pairs_in_order

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tell:
    """Something beside behaviour that could tell customers from non-customers."""

    low: float
    high: float
    """ROC AUCs beyond these are warned of; 0.5 tells nothing, 0 and 1 tell all."""
    least_customers: int
    """Of fewer customers it may do so by chance."""
    meaning: str
    """What it would mean, and what this project does about it."""


TELLS: Final = {
    # Ids given in order of signing up may tell a little: older companies had more time to convert.
    "id_order": Tell(
        *(0.2, 0.8, 1),
        "ids separate customers from non-customers, so who saw them would know who has converted; "
        "the id is never a feature and no tie is broken by its order",
    ),
    # Missing values may be a cause: where they are one, in the sample, the ROC AUC is 0.59.
    "missing_firmographics": Tell(
        *(0.35, 0.65, 50),
        "which firmographics are missing separates customers from non-customers, so they may have been "
        "filled in when a company converted, which no backtest on one export can show; "
        "compare with a model without them (features.groups: [usage]) before trusting the results",
    ),
    # Within a week nothing but chance should decide the order of rows.
    "usage_row_order": Tell(
        *(0.35, 0.65, 50),
        "the order of rows in usage_actions separates customers from non-customers within the same weeks, so "
        "whoever uses it would know who has converted; here the order of rows changes nothing",
    ),
}


def separation(
    score: pd.Series[float], customer: pd.Series[bool], stratum: pd.Series[Any] | None = None
) -> float:
    """ROC AUC of a score for "is a customer's".

    Parameters
    ----------
    score
        A number a row.
    customer
        Whether the row is a customer's.
    stratum
        Compare rows of the same stratum only; None: all.

    Returns
    -------
    float
        0.5 if the score tells nothing, 0 or 1 if it tells everything; tied pairs count half. NaN where there
        is no pair.

    Examples
    --------
    >>> separation(pd.Series([7, 8, 1, 2, 9]), pd.Series([True, True, False, False, False]))
    0.6666666666666666
    """
    strata = pd.Series(0, index=score.index) if stratum is None else stratum
    counts = pairs_in_order(score, customer, [strata])
    pairs, won = counts["pairs"].sum(), counts["in_order"].sum()
    return float(won / pairs) if pairs else float("nan")


def separations(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Measure how well each of `TELLS` separates customers from non-customers.

    Parameters
    ----------
    tables
        Checked, in the order of the files' rows.

    Returns
    -------
    dict of float
        ROC AUCs. ``id_order``: of the id. ``missing_firmographics``: of the share of customers among the
        companies with the same firmographics missing, taken from companies with even ids for those with odd
        ids and the other way round; companies with and without usage are not compared with each other.
        ``usage_row_order``: of a usage row's position in the file, among rows of the same week.
    """
    usage = tables[contract.USAGE_ACTIONS]
    companies = pd.concat(
        [tables[name].assign(customer=name == contract.CUSTOMERS) for name in COMPANIES], ignore_index=True
    )
    customer = companies["customer"]
    missing = companies[list(contract.FIRMOGRAPHICS)].isna().to_numpy()
    pattern = pd.Series(missing @ (1 << np.arange(missing.shape[1])))
    half = companies["id"] % 2
    known = customer.groupby([pattern, half]).mean()
    share = pd.Series(known.reindex([*zip(pattern, 1 - half, strict=True)]).to_numpy())
    position = pd.Series(np.arange(len(usage)), index=usage.index)
    owners = usage["id"].isin(tables[contract.CUSTOMERS]["id"])
    return {
        "id_order": separation(companies["id"], customer),
        "missing_firmographics": separation(
            share.fillna(customer.mean()), customer, 2 * companies["id"].isin(usage["id"]) + half
        ),
        "usage_row_order": separation(position, owners, usage["WHEN_TIMESTAMP"]),
    }


def warn_of_tells(measured: dict[str, float], customers: int) -> dict[str, Any]:
    """Log a warning for each of `TELLS` that separates too well.

    Parameters
    ----------
    measured
        From `separations`.
    customers
        How many there are.

    Returns
    -------
    dict
        By name ``roc_auc`` (None where there is nothing to compare), the bounds ``low`` and ``high``, and
        ``warned``.
    """
    facts: dict[str, Any] = {}
    for name, auc in measured.items():
        tell = TELLS[name]
        beyond = auc < tell.low or auc > tell.high  # NaN is neither
        warned = beyond and customers >= tell.least_customers
        if warned:
            log.warning(tell.meaning, extra={"tell": name, "roc_auc": auc})
        value = None if math.isnan(auc) else round(auc, PROFILE_DIGITS)
        facts[name] = {"roc_auc": value, "low": tell.low, "high": tell.high, "warned": warned}
    return facts


ORIGIN_METRICS: Final = (
    Metric(
        "<rule>.roc_auc",
        "how well it alone separates customers from other companies; 0.5 is not at all",
        "0.5",
    ),
    Metric("<rule>.low", "below this `load` warns"),
    Metric("<rule>.high", "above this `load` warns"),
    Metric("<rule>.warned", "whether `load` warned"),
)
"""What is reported of each of `TELLS`."""
