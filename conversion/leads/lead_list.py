"""Ranked leads from a fitted model and feature rows: probability, rank, tier, expected MRR and reasons."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from conversion.config.contract import FIRMOGRAPHICS, MEASURES, UNRANKED
from conversion.config.params import Tiers
from conversion.leads.reasons import reason_writer
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import tier_of
from conversion.stats.portable_math import exp, log
from conversion.stats.rank_order import rank_order

REASONS: Final = 3
REASON_COLUMNS: Final = tuple(f"reason_{place}" for place in range(1, REASONS + 1))

LEAD_COLUMNS: Final = (
    "rank",
    "id",
    "probability",
    "tier",
    "expected_mrr",
    *FIRMOGRAPHICS,
    "sector",
    "last_active_week",
    "last_week_actions",
    "last_week_users",
    *REASON_COLUMNS,
)


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
        Fitted.
    snapshots
        One row for each prospect: ``id`` and the features.
    companies
        Clean companies as of the same moment; the MRR to expect comes from the converted ones.
    usage
        Clean usage rows.
    tiers
        Least lift of each tier.
    mrr_prior
        See `mrr_by_size`.

    Returns
    -------
    pandas.DataFrame
        `LEAD_COLUMNS`, most probable first; ties in the fixed pseudo-random order of
        `conversion.stats.hashing.tie_break`.
    """
    values = model.values(snapshots)
    probability, contributions = model.probability_with_contributions(values)
    probability = np.round(probability, 9)
    reasons = reason_writer(model.features, REASONS)(values, contributions)
    known = companies.set_index("id").loc[snapshots["id"]]
    mrr = known["size"].map(mrr_by_size(companies, mrr_prior)).fillna(overall_mrr(companies))
    leads = pd.DataFrame(
        {
            "id": snapshots["id"].to_numpy(),
            "probability": probability,
            "tier": tier_of(probability, model.base_rate_, tiers),
            "expected_mrr": probability * mrr.to_numpy(),
        }
    )
    as_exported = known.assign(ALEXA_RANK=known["ALEXA_RANK"].mask(known["unranked"] == 1.0, UNRANKED))
    firmographics = as_exported[[*FIRMOGRAPHICS, "sector"]].reset_index(drop=True)
    texts = pd.DataFrame(reasons, columns=list(REASON_COLUMNS), dtype="str")
    leads = pd.concat([leads, firmographics, texts], axis=1).merge(last_activity(usage), on="id", how="left")
    leads = leads.iloc[rank_order(leads["probability"], leads["id"])].reset_index(drop=True)
    return leads.assign(rank=np.arange(1, len(leads) + 1))[list(LEAD_COLUMNS)]


def overall_mrr(companies: pd.DataFrame) -> float:
    """Return the median MRR of all valid conversions; 0.0 if there is none."""
    paid = companies.loc[companies["conversion_valid"], "MRR"].dropna()
    return float(paid.median()) if len(paid) else 0.0


def mrr_by_size(companies: pd.DataFrame, prior: float) -> pd.Series:
    """Estimate the MRR of each size: the median of its conversions, shrunk to the overall median in logs.

    Parameters
    ----------
    companies
        With ``size``, ``MRR`` and ``conversion_valid``; rows without ``MRR`` do not count.
    prior
        Weight of the overall median, as a number of conversions.

    Returns
    -------
    pandas.Series of float64, indexed by size
        ``exp((n log(median of size) + prior log(overall median)) / (n + prior))`` with n conversions of the
        size.
    """
    paid = companies[companies["conversion_valid"] & companies["MRR"].notna()]
    by_size = paid.groupby("size")["MRR"].agg(["count", "median"])
    overall = log(overall_mrr(companies)) if len(paid) else 0.0
    logs = (by_size["count"] * log(by_size["median"]) + prior * overall) / (by_size["count"] + prior)
    return pd.Series(exp(logs), index=by_size.index)


def last_activity(usage: pd.DataFrame) -> pd.DataFrame:
    """Return each company's last week with any action or user.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``last_active_week`` (ISO date text), ``last_week_actions`` and ``last_week_users`` (most of
        any module), Int64.
    """
    counts = usage[list(MEASURES)].to_numpy()
    modules = len(MEASURES) // 2
    weeks = pd.DataFrame(
        {
            "id": usage["id"],
            "last_active_week": usage["WHEN_TIMESTAMP"],
            "last_week_actions": counts[:, :modules].sum(axis=1),
            "last_week_users": counts[:, modules:].max(axis=1, initial=0),
        }
    )[usage[list(MEASURES)].ne(0).any(axis=1)]
    last = weeks.sort_values("last_active_week", kind="stable").drop_duplicates("id", keep="last")
    whole = {"last_week_actions": "Int64", "last_week_users": "Int64"}
    return last.astype(whole).assign(last_active_week=last["last_active_week"].dt.strftime("%Y-%m-%d"))
