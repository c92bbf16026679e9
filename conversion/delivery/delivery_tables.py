"""The tables of a delivery, put together from the lead list, the draw, the reps and what moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.delivery.ledger import COLUMNS, DeliveryTables
from conversion.features.rules import rule_feature
from conversion.leads.lead_columns import FACT_COLUMNS, REASON_COLUMNS, company_columns
from conversion.stats.rank_order import ranks

MOVED: Final = (
    "moved",
    "rank_before",
    "probability_before",
    "log_odds_change",
    "moved_activity",
    "moved_windows",
    "moved_attributes",
    "moved_model",
)
"""Columns of `conversion.delivery.moves.moves`."""
DECIMALS: Final = 9


@dataclass(frozen=True)
class Scored:
    """A lead list as the stage ``score`` writes it, with the features that it was scored from.

    Attributes
    ----------
    leads
        `conversion.leads.lead_columns.lead_columns`, by rank.
    contributions
        Of each lead, in the same order: ``id``, ``base``, and a column for each fact.
    facts
        Of each lead, in the same order: ``id`` and the facts of its reasons.
    snapshots
        ``id`` and the features, in any order.
    """

    leads: pd.DataFrame
    contributions: pd.DataFrame
    facts: pd.DataFrame
    snapshots: pd.DataFrame


def delivery_tables(
    scored: Scored,
    features: list[str],
    drawn: pd.DataFrame,
    contract: Contract,
    reps: pd.Series | None = None,
) -> DeliveryTables:
    """Put the tables of a delivery together; what moved is for `with_moved` to add.

    Parameters
    ----------
    scored
        The list.
    features
        Names of the model's features.
    drawn
        From `conversion.delivery.call_list.call_list`, by rank.
    contract
        Of the list.
    reps
        Who calls each company of the call list, indexed by ``id``; None: the list is not split.
    """
    leads, on_list = scored.leads, drawn["place"].notna().to_numpy()
    snapshots = scored.snapshots.set_index("id").loc[leads["id"]].reset_index()
    companies = leads[["id", "rank", "probability", "tier"]].assign(
        log_odds=scored.contributions.drop(columns="id").to_numpy().sum(axis=1).round(DECIMALS),
        rule_rank=ranks(snapshots[rule_feature(contract)], leads["id"]),
        status=drawn["status"].array,
        call_probability=drawn["call_probability"].array,
        place=drawn["place"].array,
        rep=None if reps is None else leads["id"].map(reps),
    )
    names = ["expected_mrr"] if "expected_mrr" in leads else []
    for_reps = pd.concat(
        [leads[[*REASON_COLUMNS, "caution", "evidence"]], scored.facts[list(FACT_COLUMNS)]], axis=1
    )
    who = leads[list(company_columns(contract))].rename(columns=column_of)
    sentences, company = (table[on_list].reindex(table.index) for table in (for_reps, who))
    nothing = {name: pd.Series(None, index=leads.index, dtype=COLUMNS[name]) for name in MOVED}
    whole = pd.concat([companies, leads[names], sentences, pd.DataFrame(nothing), company], axis=1)
    # The ledger's order, so that files made from the ledger are those that went out.
    ordered = whole[["id", *COLUMNS, *(each for each in whole if each not in {"id", *COLUMNS})]]
    return DeliveryTables(ordered.astype(COLUMNS), snapshots[["id", *features]])


def with_moved(tables: DeliveryTables, moved: pd.DataFrame) -> DeliveryTables:
    """Add what moved since the last delivery.

    Parameters
    ----------
    tables
        Of the delivery.
    moved
        ``id`` and `MOVED`, from `conversion.delivery.moves.moves`.
    """
    found = moved.set_index("id").reindex(tables.companies["id"])[list(MOVED)].reset_index(drop=True)
    return replace(tables, companies=tables.companies.assign(**found).astype(COLUMNS))


def column_of(name: str) -> str:
    """Return what the ledger calls a column of the export, which may have the name of one of its own."""
    return f"company_{name}" if name in {"as_of", "delivery", *COLUMNS} else name
