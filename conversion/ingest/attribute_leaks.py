"""Leaks of attributes: whether today's value of one alone separates companies that have ever converted.

An attribute without a history has one value a company, as of today. If it was set because the company paid,
a backtest takes for foresight what came after the conversion. No date in the export shows it, but the value
does: hardly anything that was true before a company paid separates customers from others as well as that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import AnyAttribute, Date, Number
from conversion.config.data_contract import Contract
from conversion.ingest.origin_leaks import ORIGIN_LEAKS, named_attributes
from conversion.ingest.profile import plain
from conversion.stats.hashing import uniform_hash
from conversion.stats.metric import Metric
from conversion.stats.numeric import rounded
from conversion.stats.roc_auc import pairs_of_counts

log = logging.getLogger(__name__)

MOST_ROC_AUC: Final = 0.85
"""A ROC AUC above it is warned of.

Of what a company is, its size tells most, and hardly more than 0.8. Values set by paying are at 0.93 and
more. In the sample, where size is a cause of conversions, the largest is 0.67.
"""
LEAST_CONVERTED: Final = 20
"""With fewer companies that have converted, a ROC AUC of 0.8 may be measured as 0.9 by chance."""
SLICES: Final = 20
"""Numbers are compared by twentieths of the companies: enough for a level that few have to stand out."""
HALVES_SEED: Final = 2
"""The halves are independent of the parts that a company is in."""
TOTALS: Final = ["companies", "converted"]
FIX: Final = "leave the column out of the contract, or name a table of its changes as its history"


class Split(NamedTuple):
    """Companies with some value, and the others."""

    having: str
    """What they have in common, to be read after "of 525": ``with plan=pro``."""
    companies: int
    converted: int
    others: int
    others_converted: int


def count_values(
    tables: Mapping[str, pd.DataFrame], contract: Contract, rows: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Count by value of each attribute without a history how many companies converted.

    Parameters
    ----------
    tables
        Checked, with ids of today.
    contract
        Names their columns.
    rows
        As `conversion.ingest.origin_leaks.company_rows` returns them of the tables.

    Returns
    -------
    dict of pandas.DataFrame
        By attribute, a row for each ``value``, half of the companies (``half``, by a hash of the id) and
        whether they have usage (``used``): ``companies``, and how many of them ``converted``. Counts of parts
        add up.
    """
    half = uniform_hash(rows["id"].to_numpy(), seed=HALVES_SEED) < 0.5
    keys = {"half": half, "used": rows["used"].to_numpy()}
    counted = {}
    for name in dated_by_nothing(contract):
        values = pd.concat([tables[table][name] for table in contract.companies.tables], ignore_index=True)
        found = pd.DataFrame({"value": values, **keys, "converted": rows["customer"]})
        grouped = found.groupby(["value", "half", "used"], dropna=False)["converted"]
        counted[name] = grouped.agg(companies="size", converted="sum").reset_index()
    return counted


def dated_by_nothing(contract: Contract) -> list[str]:
    """Name the attributes that are known as of today only: a history and a date say since when."""
    attributes = contract.companies.attributes
    return [name for name in named_attributes(contract) if not isinstance(attributes[name], Date)]


def find_leaks(
    tables: Mapping[str, pd.DataFrame], contract: Contract, rows: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Measure each attribute of whole tables, given as to `count_values`; see `leak_facts`."""
    return facts_of_all(count_values(tables, contract, rows).items(), contract)


def facts_of_all(
    counted: Iterable[tuple[str, pd.DataFrame]], contract: Contract
) -> dict[str, dict[str, Any]]:
    """Measure attributes one after the other, of their names and counts; see `leak_facts`."""
    attributes = contract.companies.attributes
    return {name: leak_facts(name, attributes[name], counts) for name, counts in counted}


def leak_facts(name: str, attribute: AnyAttribute, counts: pd.DataFrame) -> dict[str, Any]:
    """Measure how well one attribute alone separates companies that ever converted from those that did not.

    Parameters
    ----------
    name, attribute
        Of the contract.
    counts
        As `count_values` returns them; several rows of the same value are added up.

    Returns
    -------
    dict
        ``roc_auc`` of the share of converted companies among those with the same value, taken from the other
        half of the companies, so that a thousand rare levels reveal nothing; ``missing_roc_auc``, likewise of
        whether there is a value. Companies with usage are not compared with those without. None where there
        is nothing to compare. ``high``, the bound, and ``warned``; if it is, also ``found``, the `sentence`
        of the clearest split.
    """
    merged = counts.groupby(["value", "half", "used"], dropna=False)[TOTALS].sum().reset_index()
    groups = _slices(merged) if isinstance(attribute, Number) else _levels(merged)
    auc = roc_auc_of_groups(merged, groups)
    missing = roc_auc_of_groups(merged, merged["value"].isna().astype(np.int64))
    warned = merged["converted"].sum() >= LEAST_CONVERTED and auc > MOST_ROC_AUC  # NaN is not
    facts = {
        "roc_auc": rounded(auc),
        "missing_roc_auc": rounded(missing),
        "high": MOST_ROC_AUC,
        "warned": bool(warned),
    }
    if not warned:
        return facts
    return facts | {"found": sentence(clearest_split(name, attribute, merged))}


def _levels(counts: pd.DataFrame) -> pd.Series[int]:
    return pd.Series(pd.factorize(counts["value"])[0], index=counts.index)


def _slices(counts: pd.DataFrame) -> pd.Series[int]:
    """Return the slice of companies by value that each row is in.

    A value that many companies have is a slice of its own, and so are missing values.
    """
    companies = counts.groupby("value")["companies"].sum()
    middle = companies.cumsum() - companies / 2
    places = (middle * SLICES / companies.sum()).astype(np.int64)
    return counts["value"].map(places).fillna(-1).astype(np.int64)


def roc_auc_of_groups(counts: pd.DataFrame, groups: pd.Series[int]) -> float:
    """Return the ROC AUC of the share of converted companies in the same group of the other half.

    NaN if there is nothing to compare.
    """
    keys = ["used", "half", "group"]
    sums = counts.assign(group=groups).groupby(keys, as_index=False)[TOTALS].sum()
    other = sums.assign(half=~sums["half"]).set_index(keys)
    known = other.reindex(pd.MultiIndex.from_frame(sums[keys])).reset_index(drop=True)
    whole = other.groupby(["used", "half"])[TOTALS].sum()
    # What is not in the other half is taken for average.
    average = whole.reindex(pd.MultiIndex.from_frame(sums[["used", "half"]])).reset_index(drop=True)
    share = known["converted"] / known["companies"]
    score = share.fillna(average["converted"] / average["companies"]).fillna(0.0)
    remained = sums["companies"] - sums["converted"]
    found = pairs_of_counts(score, sums["converted"], remained, [sums["used"], sums["half"]])
    pairs = found["pairs"].sum()
    return float(found["in_order"].sum() / pairs) if pairs else float("nan")


def clearest_split(name: str, attribute: AnyAttribute, counts: pd.DataFrame) -> Split:
    """Return the value, or the least one of a number, that separates the companies most clearly.

    Parameters
    ----------
    name, attribute
        Of the contract.
    counts
        As `count_values` returns them.
    """
    values = counts.groupby("value", dropna=False)[TOTALS].sum().sort_index()
    total = values.sum()
    known = values[values.index.notna()]
    filled = known.sum()
    candidates = [(f"with {name} filled in", filled), (f"without {name}", total - filled)]
    value, inside = _clearest(known, total)
    candidates.append((f"with {name}={_shown(value)}", inside))
    if isinstance(attribute, Number):
        least, inside = _clearest(known[::-1].cumsum(), total)
        candidates.append((f"with {name} of {_shown(least)} or more", inside))
        most, inside = _clearest(known.cumsum(), total)
        candidates.append((f"with {name} of {_shown(most)} or less", inside))
    having, inside = max(candidates, key=lambda each: _difference(each[1], total))
    return Split(having, *map(int, inside[TOTALS]), *map(int, (total - inside)[TOTALS]))


def _clearest(sums: pd.DataFrame, total: pd.Series[int]) -> tuple[Any, pd.Series[int]]:
    """Return the row of the sums that has most of the converted companies and fewest of the others."""
    place = int(np.argmax(_difference(sums, total)))
    return sums.index[place], sums.iloc[place]


def _difference(inside: Any, total: pd.Series[int]) -> Any:
    """Return the share of converted companies that are inside, minus that of the others."""
    others = total["companies"] - total["converted"]
    return inside["converted"] / total["converted"] - (inside["companies"] - inside["converted"]) / others


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return str(plain(value))


def sentence(split: Split) -> str:
    """Say what a split is.

    Examples
    --------
    >>> sentence(Split("with plan=pro", 525, 235, 6285, 0))
    '235 of 525 with plan=pro converted, 0 of 6,285 others'
    """
    return (
        f"{split.converted:,} of {split.companies:,} {split.having} converted, "
        f"{split.others_converted:,} of {split.others:,} others"
    )


def warn_of_attributes(facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Log a warning for each attribute of `find_leaks` that separates too well."""
    for name, fact in facts.items():
        if fact["warned"]:
            log.warning(
                "%s alone tells which companies have converted (%s): it may have been set because they paid, "
                "which no backtest on one export can show; %s",
                name,
                fact["found"],
                FIX,
                extra={"attribute": name, "roc_auc": fact["roc_auc"]},
            )


def columns_often_missing(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the attributes of `find_leaks` whose missing values alone reveal much, most revealing first."""
    measured = {name: fact["missing_roc_auc"] or 0.0 for name, fact in facts.items()}
    bound = ORIGIN_LEAKS["missing_firmographics"].high
    return sorted((name for name in measured if measured[name] > bound), key=lambda name: -measured[name])


ATTRIBUTE_LEAK_METRICS: Final = (
    Metric(
        "<attribute>.roc_auc",
        "how well today's value alone separates companies that ever converted from others; 0.5 is not at all",
        "0.5",
    ),
    Metric("<attribute>.missing_roc_auc", "the same, of whether there is a value", "0.5"),
    Metric("<attribute>.high", "above this `load` warns"),
    Metric("<attribute>.warned", "whether `load` warned"),
)
"""What `leak_facts` reports, but for what was ``found`` of an attribute that is warned of."""
