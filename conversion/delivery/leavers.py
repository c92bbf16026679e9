"""Who left the call list since the last delivery, and why."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.clean_tables import CleanTables
from conversion.delivery.days import day_of

WHY: Final = ("converted", "gone", "objected", "contacted", "cooled")
"""Why a company left, in the order in which the list of them is sorted."""
COLUMNS: Final = ("id", "place_before", "rep", "why", "left")


def left(
    before: pd.DataFrame,
    companies: pd.DataFrame,
    moved: pd.DataFrame,
    tables: CleanTables,
    contract: Contract,
    suppressed: pd.DataFrame,
) -> pd.DataFrame:
    """List the companies of the last call list that are not on this one.

    Companies that are in the control group now are left out, so that reps do not learn who is in it.

    Parameters
    ----------
    before, companies
        Of the last delivery and of this one: ``id``, ``status``, ``place``; before also ``rep`` and the
        columns that show who a company is.
    moved
        From `conversion.delivery.moves.moves`.
    tables
        Clean tables as of this delivery.
    contract
        Names their columns, and those that show who a company is.
    suppressed
        Ids that are not called now, and ``until`` when.

    Returns
    -------
    pandas.DataFrame
        The shown columns beside `COLUMNS`: ``why`` is one of `WHY`, ``left`` one sentence. Converted ones
        first, then by the place that they had.
    """
    called = companies.loc[companies["place"].notna(), "id"]
    gone = before[before["place"].notna() & ~before["id"].isin(called)]
    status = companies.set_index("id")["status"].reindex(gone["id"]).array
    gone = gone.assign(status=status)
    gone = gone[gone["status"].isna() | (gone["status"] != "held_back")]
    converted = _conversions(gone["id"], tables)
    until = suppressed.set_index("id")["until"] if len(suppressed) else pd.Series(dtype=object)
    sentences = moved.set_index("id")["moved"]
    told = [
        _told(row.id, row.status, converted, until, sentences)
        for row in gone[["id", "status"]].itertuples(index=False)
    ]
    result = gone.assign(
        place_before=gone["place"].astype("int64"),
        why=pd.Series([why for why, _ in told], index=gone.index, dtype="str"),
        left=pd.Series([text for _, text in told], index=gone.index, dtype="str"),
    )
    order = result["why"].map({why: place for place, why in enumerate(WHY)})
    result = result.assign(order=order).sort_values(["order", "place_before"])
    shown = [name for name in contract.companies.shown if name in result]
    return result[["id", *shown, *COLUMNS[1:]]].reset_index(drop=True)


def _conversions(ids: pd.Series[Any], tables: CleanTables) -> dict[Any, pd.Timestamp]:
    """Return the last day on which each company started to pay."""
    periods = tables.periods[tables.periods["id"].isin(ids)]
    return periods.groupby("id")["start"].max().to_dict()


def _told(
    company: Any,
    status: Any,
    converted: dict[Any, pd.Timestamp],
    until: pd.Series[Any],
    sentences: pd.Series[Any],
) -> tuple[str, str]:
    """Return why a company left, and the sentence."""
    if pd.isna(status):
        if company in converted:
            return "converted", f"Became a customer on {day_of(converted[company])}"
        return "gone", "No longer a prospect"
    if status == "objected":
        return "objected", "Not to be called any more"
    if status == "suppressed":
        rest = f" until {day_of(until[company])}" if company in until.index else ""
        return "contacted", f"Contacted, so it rests{rest}"
    sentence = sentences.get(company)
    return "cooled", "No longer among the companies to call" if pd.isna(sentence) else str(sentence)
