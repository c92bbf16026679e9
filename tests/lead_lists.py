"""A lead list that is made in memory at once, where `stages.score` makes it part by part."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from conversion.config.params import Score
from conversion.data.clean_tables import CleanTables
from conversion.features.definitions import FeatureSettings
from conversion.leads.lead_list import (
    ListPlan,
    RankedLeads,
    Standing,
    before_columns,
    lead_rows,
    mrr_estimates,
    rounded_probability,
)
from conversion.modelling.evidence import Evidence
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import tier_cuts
from conversion.stats.rank_order import ranks


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
    snapshots, companies, contract = prospects.snapshots, prospects.tables.companies, model.data_contract
    probability = rounded_probability(model, snapshots)
    before = ranks_before(model, prospects.previous).set_index("id").reindex(snapshots["id"])
    standing = Standing(probability, ranks(probability, snapshots["id"]), before.reset_index(drop=True))
    plan = ListPlan(
        model=model,
        evidence=evidence,
        cuts=tier_cuts(probability, score.tiers, score.top_n),
        mrr=None if contract.companies.value is None else mrr_estimates(companies, score.mrr_prior, contract),
        as_of=pd.Timestamp(snapshots["as_of"].max()),
        settings=prospects.settings,
    )
    rows = lead_rows(plan, snapshots, standing, prospects.tables).by_rank()
    return RankedLeads(rows.leads, rows.contributions, rows.facts, plan.cuts)


def ranks_before(model: ConversionModel, previous: pd.DataFrame) -> pd.DataFrame:
    """Rank the prospects of a week before as the same model would have: what has moved, has moved since then.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``probability_before``, and ``rank_before``, Int64.
    """
    probability = rounded_probability(model, previous)
    return before_columns(probability, ranks(probability, previous["id"])).assign(id=previous["id"].array)
