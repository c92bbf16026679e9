"""Leaks of the file of origin: whether anything but behaviour separates customers from non-customers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.ingest.cross_checks import conversions
from conversion.stats.metric import Metric
from conversion.stats.numeric import rounded
from conversion.stats.roc_auc import pairs_in_order

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OriginLeak:
    """Something other than behaviour that may reveal which file a row came from."""

    low: float
    high: float
    """A ROC AUC beyond these is warned of; 0.5 reveals nothing, 0 and 1 everything."""
    least_customers: int
    """With fewer customers it may be chance."""
    meaning: str
    """What the leak means, and what this project does about it; ``{usage}`` is the usage table's name."""


ORIGIN_LEAKS: Final = {
    # Ids in order of signing up may reveal a little: older companies had more time to convert.
    "id_order": OriginLeak(
        low=0.2,
        high=0.8,
        least_customers=1,
        meaning="ids separate customers from non-customers, so they reveal who has converted; "
        "the id is never a feature, and no tie is broken by its order",
    ),
    # Missing values may be a cause of conversions: in the sample they are one, at a ROC AUC of 0.59.
    "missing_firmographics": OriginLeak(
        low=0.35,
        high=0.65,
        least_customers=50,
        meaning="missing firmographics separate customers from non-customers, so they may have been "
        "filled in when a company converted, which no backtest on one export can show; "
        "compare with a model without them (features.groups: [usage]) before trusting the results",
    ),
    # Within a week only chance should decide the order of rows.
    "usage_row_order": OriginLeak(
        low=0.35,
        high=0.65,
        least_customers=50,
        meaning="the order of rows in {usage} separates customers from non-customers within the same "
        "weeks, so it reveals who has converted; here the order of rows changes nothing",
    ),
}


def stratified_roc_auc(
    score: pd.Series[float], customer: pd.Series[bool], stratum: pd.Series[Any] | None = None
) -> float:
    """Compute the ROC AUC of a score for belonging to a customer.

    Parameters
    ----------
    score
        One number a row.
    customer
        Whether the row is a customer's.
    stratum
        Only rows of the same stratum are compared; None compares all.

    Returns
    -------
    float
        0.5 if the score reveals nothing, 0 or 1 if it reveals everything; tied pairs count half. NaN if there
        is no pair.

    Examples
    --------
    >>> stratified_roc_auc(pd.Series([7, 8, 1, 2, 9]), pd.Series([True, True, False, False, False]))
    0.6666666666666666
    """
    strata = pd.Series(0, index=score.index) if stratum is None else stratum
    counts = pairs_in_order(score, customer, [strata])
    pairs, won = counts["pairs"].sum(), counts["in_order"].sum()
    return float(won / pairs) if pairs else float("nan")


def measure_leaks(
    tables: dict[str, pd.DataFrame], contract: Contract, companies: pd.DataFrame
) -> dict[str, float]:
    """Measure how well each of `ORIGIN_LEAKS` separates customers from non-customers.

    Parameters
    ----------
    tables
        Checked, in the order of the files' rows.
    contract
        Names their columns.
    companies
        As `company_rows` returns them of the tables.

    Returns
    -------
    dict of float
        The ROC AUC of each. ``id_order``: of the id. ``missing_firmographics``: of the share of customers
        among the companies with the same attributes missing, taken from even ids for odd ones and the
        other way round, so that no company votes for itself; companies with usage are not compared with
        those without; text ids are numbered in alphabetical order. ``usage_row_order``: of a usage row's
        position in the file, among rows of its week.
    """
    order = RowOrder(contract.usage.time, companies.loc[companies["customer"], "id"])
    order.add(tables[contract.usage.table])
    return leaks_of(companies, order)


def leaks_of(companies: pd.DataFrame, order: RowOrder) -> dict[str, float]:
    """Measure `ORIGIN_LEAKS`, as `measure_leaks` does, of the rows of `company_rows` in any order."""
    customer, pattern = companies["customer"], companies["pattern"]
    numbers = _as_numbers(companies["id"])
    half = numbers % 2
    known = customer.groupby([pattern, half]).mean()
    share = pd.Series(known.reindex(pd.MultiIndex.from_arrays([pattern, 1 - half])).to_numpy())
    return {
        "id_order": stratified_roc_auc(numbers, customer),
        "missing_firmographics": stratified_roc_auc(
            share.fillna(customer.mean()), customer, 2 * companies["used"] + half
        ),
        "usage_row_order": order.roc_auc(),
    }


def company_rows(tables: dict[str, pd.DataFrame], contract: Contract) -> pd.DataFrame:
    """Return what `leaks_of` reads of each row of a company.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``customer``, ``pattern``, a number for the attributes that are missing, and ``used``, whether
        the company has usage.
    """
    paying = _paying(tables, contract)
    named = named_attributes(contract)
    found = []
    for table in (tables[name] for name in contract.companies.tables):
        missing = table[named].isna().to_numpy(dtype=np.int64)
        found.append(
            pd.DataFrame(
                {
                    "id": table["id"],
                    "customer": _customers(table, contract, paying),
                    "pattern": missing @ (1 << np.arange(missing.shape[1])),
                    "used": table["id"].isin(tables[contract.usage.table]["id"]),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def named_attributes(contract: Contract) -> list[str]:
    """Name the attributes that company tables have: those with a history are not there."""
    return [name for name, each in contract.companies.attributes.items() if each.history is None]


class RowOrder:
    """Counts in how many pairs of usage rows of one week the customer's comes later in the file.

    Parameters
    ----------
    time
        Column of the week.
    customers
        Ids of customers.
    """

    def __init__(self, time: str, customers: pd.Series[Any]) -> None:
        self._time, self._customers = time, customers
        self._rows = pd.DataFrame({"customers": [], "others": []}, dtype="int64")
        self._in_order = 0.0

    def add(self, usage: pd.DataFrame) -> None:
        """Count the next rows of the file."""
        week = usage[self._time]
        owners = usage["id"].isin(self._customers)
        position = pd.Series(np.arange(len(usage)), index=usage.index)
        within = pairs_in_order(position, owners, [week])
        rows = pd.DataFrame({"customers": owners, "others": ~owners}).groupby(week).sum()
        before = self._rows["others"].reindex(rows.index, fill_value=0)
        self._in_order += float(within["in_order"].sum() + (rows["customers"] * before).sum())
        self._rows = self._rows.add(rows, fill_value=0).astype("int64")

    def roc_auc(self) -> float:
        """Return the share of pairs, 0.5 if the order reveals nothing; NaN if there is no pair."""
        pairs = int((self._rows["customers"] * self._rows["others"]).sum())
        return self._in_order / pairs if pairs else float("nan")


def _paying(tables: dict[str, pd.DataFrame], contract: Contract) -> pd.Index[Any]:
    """Return the ids of companies with a paid subscription; none without a table of subscriptions."""
    if contract.companies.subscriptions is None:
        return pd.Index([])
    return conversions(tables, contract).index


def _customers(table: pd.DataFrame, contract: Contract, paying: pd.Index[Any]) -> pd.Series[bool]:
    if contract.companies.subscriptions is not None:
        return table["id"].isin(paying)
    name = contract.companies.converted
    return table[name].notna() if name in table else pd.Series(False, index=table.index)


def _as_numbers(ids: pd.Series[Any]) -> pd.Series[Any]:
    """Return whole ids as they are, and text ids as their places in alphabetical order."""
    if not pd.api.types.is_string_dtype(ids):
        return ids
    return pd.Series(pd.factorize(ids, sort=True)[0], index=ids.index)


def warn_of_leaks(
    measured: dict[str, float], customers: int, usage: str, often_missing: Sequence[str] = ()
) -> dict[str, Any]:
    """Log a warning for each of `ORIGIN_LEAKS` that separates too well.

    Parameters
    ----------
    measured
        As `measure_leaks` returns it.
    customers
        How many customers there are.
    usage
        The usage table's name.
    often_missing
        Attributes whose missing values alone reveal much, which the warning of them names.

    Returns
    -------
    dict
        By name ``roc_auc`` (None where there is nothing to compare), the bounds ``low`` and ``high``, and
        ``warned``; of ``missing_firmographics`` also the ``columns``, if it is warned of and there are any.
    """
    facts: dict[str, Any] = {}
    for name, auc in measured.items():
        leak = ORIGIN_LEAKS[name]
        beyond = auc < leak.low or auc > leak.high  # NaN is neither
        warned = beyond and customers >= leak.least_customers
        named = warned and name == "missing_firmographics" and often_missing
        columns = {"columns": ", ".join(often_missing)} if named else {}
        if warned:
            log.warning(leak.meaning.format(usage=usage), extra={"tell": name, "roc_auc": auc} | columns)
        facts[name] = {
            "roc_auc": rounded(auc),
            "low": leak.low,
            "high": leak.high,
            "warned": warned,
        } | columns
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
