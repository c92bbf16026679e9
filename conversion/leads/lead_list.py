"""Ranked leads from a fitted model: score, tier, expected MRR, what moved, sentences and evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import Date, Number, Ordered
from conversion.config.attribute_names import encoded_names, flag_name
from conversion.config.data_contract import Contract
from conversion.config.params import Score
from conversion.data.clean_tables import CleanTables
from conversion.features.definitions import FeatureSettings
from conversion.features.observations import observe_table
from conversion.leads.contributions import ModelFacts
from conversion.leads.lead_columns import (
    FACT_COLUMNS,
    REASON_COLUMNS,
    activity_columns,
    company_columns,
    lead_columns,
)
from conversion.leads.reasons import Told, reason_writer
from conversion.modelling.evidence import Evidence
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import TierCuts, tier_cuts, tier_of
from conversion.stats.numeric import Floats
from conversion.stats.portable_math import exp, log
from conversion.stats.rank_order import rank_order, ranks

PROBABILITY_DECIMALS: Final = 9


@dataclass(frozen=True)
class Prospects:
    """What a list is made of.

    Attributes
    ----------
    snapshots
        One row for each prospect: ``id``, ``as_of`` and the features.
    previous
        The same a week before.
    tables
        Clean tables as of the same moment, with encoded histories.
    settings
        What features depend on.
    """

    snapshots: pd.DataFrame
    previous: pd.DataFrame
    tables: CleanTables
    settings: FeatureSettings


@dataclass(frozen=True)
class RankedLeads:
    """A lead list.

    Attributes
    ----------
    leads
        `conversion.leads.lead_columns.lead_columns`, most probable first; ties in the fixed pseudo-random
        order of `conversion.stats.hashing.tie_break`.
    contributions
        From `conversion.leads.contributions.ModelFacts.table`, in the same order.
    facts
        In the same order, ``id`` and the keys of the facts that the reasons state,
        `conversion.leads.lead_columns.FACT_COLUMNS`.
    cuts
        Of its tiers.
    """

    leads: pd.DataFrame
    contributions: pd.DataFrame
    facts: pd.DataFrame
    cuts: TierCuts


def lead_list(model: ConversionModel, prospects: Prospects, evidence: Evidence, score: Score) -> RankedLeads:
    """Score prospects and sort them in the order to call them.

    Parameters
    ----------
    model
        Fitted; its contract names the columns of the tables.
    prospects
        To list.
    evidence
        From the backtest.
    score
        Of params.yaml.
    """
    contract, facts, tables = model.data_contract, ModelFacts(model), prospects.tables
    values = model.values(prospects.snapshots)
    probability, contributions = model.probability_with_contributions(values)
    probability = np.round(probability, PROBABILITY_DECIMALS)
    cuts = tier_cuts(probability, score.tiers, score.top_n)
    known = tables.companies.set_index("id").loc[prospects.snapshots["id"]].reset_index()
    scored = pd.DataFrame({"probability": probability, "tier": tier_of(probability, cuts)})
    if contract.companies.value is not None:
        scored["expected_mrr"] = probability * mrr_of(known, tables.companies, score.mrr_prior, contract)
    scored["fit"], scored["activity"] = facts.parts(contributions)
    told = _told(model, prospects, known, contributions)
    lines = pd.DataFrame({"evidence": pd.Series(evidence.lines.of_each(probability), dtype="str")})
    leads = pd.concat([scored, shown_columns(known, contract), told, lines], axis=1)
    leads = leads.merge(last_activity(tables.usage, contract), on="id", how="left")
    leads = leads.merge(ranks_before(model, prospects.previous), on="id", how="left")
    order = rank_order(leads["probability"], leads["id"])
    leads = leads.iloc[order].reset_index(drop=True).assign(rank=np.arange(1, len(leads) + 1))
    return RankedLeads(
        leads[list(lead_columns(contract))],
        facts.table(leads["id"], contributions[order]),
        leads[["id", *FACT_COLUMNS]],
        cuts,
    )


def _told(
    model: ConversionModel, prospects: Prospects, companies: pd.DataFrame, contributions: Floats
) -> pd.DataFrame:
    """Write the reasons and the caution of each prospect."""
    tables = prospects.tables
    as_of = pd.Timestamp(prospects.snapshots["as_of"].max())
    seen = observe_table(companies, tables.usage, as_of, prospects.settings, tables.histories or None)
    write = reason_writer(model, model.data_contract, model.levels).write
    return _side_by_side(write(seen, contributions))


def _side_by_side(told: list[Told]) -> pd.DataFrame:
    rows = []
    for each in told:
        fewer = [None] * (len(REASON_COLUMNS) - len(each.reasons))
        rows.append([*each.reasons, *fewer, each.caution, *each.facts, *fewer])
    return pd.DataFrame(rows, columns=[*REASON_COLUMNS, "caution", *FACT_COLUMNS], dtype="str")


def ranks_before(model: ConversionModel, previous: pd.DataFrame) -> pd.DataFrame:
    """Rank the prospects of a week before as the same model would have: what has moved, has moved since then.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``probability_before``, and ``rank_before``, Int64.
    """
    probability = np.round(model.probability(model.values(previous)), PROBABILITY_DECIMALS)
    return pd.DataFrame(
        {
            "id": previous["id"].array,
            "probability_before": probability,
            "rank_before": pd.array(ranks(probability, previous["id"]), dtype="Int64"),
        }
    )


def shown_columns(companies: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the id, and the columns that show who a company is: as exported, then its groups."""
    as_exported: dict[str, pd.Series[Any]] = {}
    for column, attribute in contract.companies.attributes.items():
        values = companies[column]
        if isinstance(attribute, Number) and attribute.not_applicable is not None:
            beyond = companies[flag_name(column, attribute)] == 1.0
            as_exported[column] = values.mask(beyond, attribute.not_applicable)
        elif isinstance(attribute, Date):
            as_exported[column] = as_day(values)
    shown = ["id", *company_columns(contract), *contract.group_columns]
    return companies.assign(**as_exported)[shown]


def as_day(days: pd.Series[Any]) -> pd.Series[Any]:
    """Write days as ISO text; missing ones stay so."""
    texts: pd.Series[Any] = days.dt.strftime("%Y-%m-%d").astype("str")
    return texts


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
    last = last.astype(whole).assign(last_active_week=as_day(last["last_active_week"]))
    return last[["id", *activity_columns(contract)]]
