"""Ranked leads from a fitted model and feature rows: probability, rank, tier, expected MRR and reasons."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import Date, Number, Ordered
from conversion.config.attribute_names import encoded_names, flag_name
from conversion.config.data_contract import Contract
from conversion.config.params import Tiers
from conversion.leads.reasons import reason_writer
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import tier_of
from conversion.stats.numeric import Floats
from conversion.stats.portable_math import exp, log
from conversion.stats.rank_order import rank_order

REASONS: Final = 3
REASON_COLUMNS: Final = tuple(f"reason_{place}" for place in range(1, REASONS + 1))


def lead_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns of the list: what the model says, the company, its last active week, the reasons.

    What the contract has no columns for is left out: the expected MRR, the users of the last active week.
    """
    companies = contract.companies
    return (
        "rank",
        "id",
        "probability",
        "tier",
        *(() if companies.value is None else ("expected_mrr",)),
        *companies.shown,
        *companies.attributes,
        *contract.group_columns,
        *activity_columns(contract),
        *REASON_COLUMNS,
    )


def activity_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns of `last_activity`, but for the id."""
    users = ("last_week_users",) if contract.users else ()
    return ("last_active_week", "last_week_actions", *users)


def lead_list(
    model: ConversionModel,
    snapshots: pd.DataFrame,
    companies: pd.DataFrame,
    usage: pd.DataFrame,
    tiers: Tiers,
    mrr_prior: float,
) -> pd.DataFrame:
    """Score prospects and sort them in the order to call them.

    Parameters
    ----------
    model
        Fitted; its contract names the columns of the other tables.
    snapshots
        One row for each prospect: ``id`` and the features.
    companies
        Clean companies as of the same moment; the MRR to expect comes from the converted ones.
    usage
        Clean usage rows.
    tiers
        Least lift of each tier.
    mrr_prior
        See `mrr_by_level`.

    Returns
    -------
    pandas.DataFrame
        `lead_columns`, most probable first; ties in the fixed pseudo-random order of
        `conversion.stats.hashing.tie_break`.
    """
    contract = model.data_contract
    values = model.values(snapshots)
    probability, contributions = model.probability_with_contributions(values)
    probability = np.round(probability, 9)
    write = reason_writer(model.features, REASONS, contract, model.levels)
    known = companies.set_index("id").loc[snapshots["id"]].reset_index()
    scored = pd.DataFrame({"probability": probability, "tier": tier_of(probability, model.base_rate_, tiers)})
    if contract.companies.value is not None:
        scored["expected_mrr"] = probability * mrr_of(known, companies, mrr_prior, contract)
    leads = pd.concat([scored, _shown(known, contract), _side_by_side(write(values, contributions))], axis=1)
    leads = leads.merge(last_activity(usage, contract), on="id", how="left")
    leads = leads.iloc[rank_order(leads["probability"], leads["id"])].reset_index(drop=True)
    return leads.assign(rank=np.arange(1, len(leads) + 1))[list(lead_columns(contract))]


def _shown(companies: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the id, and the columns that show who a company is: as exported, then its groups."""
    shown = [*contract.companies.shown, *contract.companies.attributes, *contract.group_columns]
    as_exported: dict[str, pd.Series[Any]] = {}
    for column, attribute in contract.companies.attributes.items():
        values = companies[column]
        if isinstance(attribute, Number) and attribute.not_applicable is not None:
            beyond = companies[flag_name(column, attribute)] == 1.0
            as_exported[column] = values.mask(beyond, attribute.not_applicable)
        elif isinstance(attribute, Date):
            as_exported[column] = _as_day(values)
    return companies.assign(**as_exported)[["id", *shown]]


def _as_day(days: pd.Series[Any]) -> pd.Series[Any]:
    texts: pd.Series[Any] = days.dt.strftime("%Y-%m-%d").astype("str")
    return texts


def _side_by_side(reasons: list[list[str]]) -> pd.DataFrame:
    # A model of few features has fewer reasons.
    rows = [[*row, *[None] * (REASONS - len(row))] for row in reasons]
    return pd.DataFrame(rows, columns=list(REASON_COLUMNS), dtype="str")


def mrr_of(prospects: pd.DataFrame, companies: pd.DataFrame, prior: float, contract: Contract) -> Floats:
    """Return the MRR to expect of each prospect if it converts, by its level of the first ordered attribute.

    Parameters
    ----------
    prospects, companies
        Clean companies: those to list, and all.
    prior
        See `mrr_by_level`.
    contract
        Has a column of the value. Without an ordered attribute all prospects have the overall median.

    Returns
    -------
    numpy.ndarray of float64, one a prospect
    """
    value = contract.companies.value
    assert value is not None, "only conversions with a value have an MRR to expect"
    paid = companies.loc[companies["conversion_valid"], value]
    overall = overall_mrr(paid)
    level = _level_column(contract)
    if level is None:
        return np.full(len(prospects), overall, dtype=np.float64)
    by_level = mrr_by_level(paid, companies.loc[paid.index, level], prior)
    return np.asarray(prospects[level].map(by_level).fillna(overall), dtype=np.float64)


def _level_column(contract: Contract) -> str | None:
    """Name the column of the positions of the first ordered attribute's levels."""
    ordered = contract.attributes_of(Ordered)
    return next((encoded_names(column, each)[0] for column, each in ordered.items()), None)


def overall_mrr(paid: pd.Series[float]) -> float:
    """Return the median MRR of conversions; missing ones do not count; 0.0 if there is none."""
    paid = paid.dropna()
    return float(paid.median()) if len(paid) else 0.0


def mrr_by_level(paid: pd.Series[float], level: pd.Series[float], prior: float) -> pd.Series[float]:
    """Estimate the MRR of each level: the median of its conversions, shrunk to the overall median in logs.

    Parameters
    ----------
    paid
        MRR of valid conversions; missing ones do not count.
    level
        The companies' levels, with the same index.
    prior
        Weight of the overall median, as a number of conversions.

    Returns
    -------
    pandas.Series of float64, indexed by level
        ``exp((n log(median of level) + prior log(overall median)) / (n + prior))`` with n conversions of the
        level.
    """
    known = paid.dropna()
    by_level = known.groupby(level.loc[known.index]).agg(["count", "median"])
    overall = log(overall_mrr(known)) if len(known) else 0.0
    logs = (by_level["count"] * log(by_level["median"]) + prior * overall) / (by_level["count"] + prior)
    return pd.Series(exp(logs), index=by_level.index)


def last_activity(usage: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return each company's last week with any action or user.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``last_active_week`` (ISO date text), ``last_week_actions`` and, where modules have users,
        ``last_week_users`` (most of any module), Int64.
    """
    time, users = contract.usage.time, list(contract.users)
    weeks = pd.DataFrame(
        {
            "id": usage["id"],
            "last_active_week": usage[time],
            "last_week_actions": usage[list(contract.actions)].to_numpy().sum(axis=1),
            "last_week_users": usage[users].to_numpy().max(axis=1, initial=0),
        }
    )[usage[list(contract.counts)].ne(0).any(axis=1)]
    last = weeks.sort_values("last_active_week", kind="stable").drop_duplicates("id", keep="last")
    whole = {"last_week_actions": "Int64", "last_week_users": "Int64"}
    last = last.astype(whole).assign(last_active_week=_as_day(last["last_active_week"]))
    return last[["id", *activity_columns(contract)]]
