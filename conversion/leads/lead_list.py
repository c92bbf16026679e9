"""Ranked leads from a fitted model: score, tier, expected MRR, what moved, sentences and evidence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import Date, Number, Ordered
from conversion.config.attribute_names import encoded_names, flag_name
from conversion.config.data_contract import Contract
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
from conversion.leads.reasons import ReasonWriter, Told, reason_writer
from conversion.modelling.evidence import Evidence
from conversion.modelling.tiers import TierCuts, tier_of
from conversion.stats.numeric import Floats, Ints
from conversion.stats.portable_math import exp, log

if TYPE_CHECKING:
    from conversion.modelling.model import ConversionModel

PROBABILITY_DECIMALS: Final = 9


@dataclass(frozen=True)
class LeadRows:
    """Rows of a lead list.

    Attributes
    ----------
    leads
        `conversion.leads.lead_columns.lead_columns`.
    contributions
        From `conversion.leads.contributions.ModelFacts.table`, in the same order.
    facts
        In the same order, ``id`` and the keys of the facts that the reasons state,
        `conversion.leads.lead_columns.FACT_COLUMNS`.
    """

    leads: pd.DataFrame
    contributions: pd.DataFrame
    facts: pd.DataFrame

    def rows(self, start: int, stop: int) -> LeadRows:
        """Return some of the rows."""
        return LeadRows(*(table.iloc[start:stop] for table in self._tables()))

    def by_rank(self) -> LeadRows:
        """Return the rows in the order of their ranks."""
        order = np.argsort(self.leads["rank"].to_numpy(), kind="stable")
        return LeadRows(*(table.iloc[order].reset_index(drop=True) for table in self._tables()))

    def _tables(self) -> tuple[pd.DataFrame, ...]:
        return self.leads, self.contributions, self.facts


@dataclass(frozen=True)
class RankedLeads(LeadRows):
    """A lead list, most probable first; ties in the order of `conversion.stats.hashing.tie_break`.

    Attributes
    ----------
    cuts
        Of its tiers.
    """

    cuts: TierCuts


class Standing(NamedTuple):
    """Where prospects stand among all prospects of the list, and where they stood a week before.

    Attributes
    ----------
    probability, rank
        Of each; the probability is rounded to `PROBABILITY_DECIMALS`.
    before
        ``probability_before``, and ``rank_before``, Int64; missing where it was no prospect then.
    """

    probability: Floats
    rank: Ints
    before: pd.DataFrame


@dataclass(frozen=True)
class ListPlan:
    """What is the same for every row of a list.

    Attributes
    ----------
    model
        Fitted; its contract names the columns of the tables.
    evidence
        From the backtest.
    cuts
        Of the tiers.
    mrr
        What to expect of a conversion; None without a value.
    as_of
        The moment of the list.
    settings
        What features depend on.
    """

    model: ConversionModel
    evidence: Evidence
    cuts: TierCuts
    mrr: MrrEstimates | None
    as_of: pd.Timestamp
    settings: FeatureSettings

    @cached_property
    def facts(self) -> ModelFacts:
        """The facts that the model's features measure."""
        return ModelFacts(self.model)

    @cached_property
    def writer(self) -> ReasonWriter:
        """What writes the reasons."""
        return reason_writer(self.model, self.model.data_contract, self.model.levels)


def lead_rows(plan: ListPlan, snapshots: pd.DataFrame, standing: Standing, tables: CleanTables) -> LeadRows:
    """Return the rows of some prospects, in the order of their snapshots.

    Parameters
    ----------
    plan
        Of the list.
    snapshots
        ``id`` and the features of the prospects.
    standing
        Of the same, in the same order.
    tables
        Clean tables with at least these companies, with encoded histories.
    """
    model, contract = plan.model, plan.model.data_contract
    probability = standing.probability
    _, contributions = model.probability_with_contributions(model.values(snapshots))
    known = tables.companies.set_index("id").loc[snapshots["id"]].reset_index()
    scored = pd.DataFrame(
        {"rank": standing.rank, "probability": probability, "tier": tier_of(probability, plan.cuts)}
    )
    if plan.mrr is not None:
        scored["expected_mrr"] = probability * plan.mrr.of(known)
    scored["fit"], scored["activity"] = plan.facts.parts(contributions)
    seen = observe_table(known, tables.usage, plan.as_of, plan.settings, tables.histories or None)
    told = _side_by_side(plan.writer.write(seen, contributions))
    lines = pd.DataFrame({"evidence": pd.Series(plan.evidence.lines.of_each(probability), dtype="str")})
    leads = pd.concat([scored, standing.before, shown_columns(known, contract), told, lines], axis=1)
    leads = leads.merge(last_activity(tables.usage, contract), on="id", how="left")
    return LeadRows(
        leads[list(lead_columns(contract))],
        plan.facts.table(leads["id"], contributions),
        leads[["id", *FACT_COLUMNS]],
    )


def _side_by_side(told: list[Told]) -> pd.DataFrame:
    rows = []
    for each in told:
        fewer = [None] * (len(REASON_COLUMNS) - len(each.reasons))
        rows.append([*each.reasons, *fewer, each.caution, *each.facts, *fewer])
    return pd.DataFrame(rows, columns=[*REASON_COLUMNS, "caution", *FACT_COLUMNS], dtype="str")


def rounded_probability(model: ConversionModel, snapshots: pd.DataFrame) -> Floats:
    """Return the probability of each snapshot, as lists have it."""
    return np.round(model.probability(model.values(snapshots)), PROBABILITY_DECIMALS)


def before_columns(probability: Floats, rank: Ints) -> pd.DataFrame:
    """Return the columns of where prospects stood a week before."""
    return pd.DataFrame({"probability_before": probability, "rank_before": pd.array(rank, dtype="Int64")})


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


@dataclass(frozen=True)
class MrrEstimates:
    """The MRR to expect of a conversion, by the company's level of the first ordered attribute.

    Attributes
    ----------
    overall
        Of levels without an estimate of their own.
    by_level
        From `mrr_by_level`; empty without an ordered attribute.
    level
        The column of the levels; None without an ordered attribute.
    """

    overall: float
    by_level: pd.Series[float]
    level: str | None

    def of(self, prospects: pd.DataFrame) -> Floats:
        """Return the MRR to expect of each of some clean companies."""
        if self.level is None:
            return np.full(len(prospects), self.overall, dtype=np.float64)
        of_each = prospects[self.level].map(self.by_level).fillna(self.overall)
        return np.asarray(of_each, dtype=np.float64)


def mrr_columns(contract: Contract) -> list[str]:
    """Name the columns of clean companies that `mrr_estimates` reads."""
    level = _level_column(contract)
    return ["conversion_valid", str(contract.companies.value), *(() if level is None else (level,))]


def mrr_estimates(companies: pd.DataFrame, prior: float, contract: Contract) -> MrrEstimates:
    """Estimate the MRR to expect of a conversion.

    Parameters
    ----------
    companies
        All clean companies, or those of them whose conversion is valid, in any order.
    prior
        See `mrr_by_level`.
    contract
        Has a column of the value. Without an ordered attribute all prospects have the overall median.
    """
    value = contract.companies.value
    assert value is not None, "only conversions with a value have an MRR to expect"
    paid = companies.loc[companies["conversion_valid"], value]
    level = _level_column(contract)
    by_level = (
        pd.Series(dtype=np.float64)
        if level is None
        else mrr_by_level(paid, companies.loc[paid.index, level], prior)
    )
    return MrrEstimates(overall_mrr(paid), by_level, level)


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
