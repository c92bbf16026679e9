"""Who left the call list since the last delivery, and why, and the file that tells reps: ``left.csv``."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.clean_tables import CleanTables
from conversion.delivery.delivery_tables import column_of
from conversion.delivery.statuses import HELD_BACK, OBJECTED, SUPPRESSED
from conversion.features.words import capitalised, day_of
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import reading, without_formulas, write_atomically

FILE: Final = "left.csv"
AGAIN: Final = "run 'python -m commands.deliver' to publish again"
WHY: Final = ("converted", "gone", "objected", "contacted", "cooled")
"""Why a company left, in the order in which the list of them is sorted."""
COLUMNS: Final = ("id", "place_before", "rep", "why", "left")
_RESTS: Final = {"refused": "Said no, so they rest", "talking": "In talks with us, so they rest"}


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
        Of the last delivery and of this one: ``id``, ``status``, ``place`` and the columns that show who a
        company is; before also ``rep``.
    moved
        From `conversion.delivery.moves.moves`.
    tables
        Clean tables as of this delivery.
    contract
        Names their columns, and those that show who a company is.
    suppressed
        From `conversion.delivery.suppression.suppressed`.

    Returns
    -------
    pandas.DataFrame
        The columns of `left_columns`: ``why`` is one of `WHY`, ``left`` one sentence. Columns that the
        contract shows only since the last delivery are empty. Converted ones first, then by the place that
        they had.
    """
    called = companies.loc[companies["place"].notna(), "id"]
    gone = before[before["place"].notna() & ~before["id"].isin(called)]
    gone = gone.assign(status=companies.set_index("id")["status"].reindex(gone["id"]).array)
    gone = gone[gone["status"].isna() | (gone["status"] != HELD_BACK)]
    converted = _conversions(gone["id"], tables)
    rests = suppressed.set_index("id")
    sentences = moved.set_index("id")["moved"]
    told = [
        _told(row.id, row.status, converted, rests, sentences)
        for row in gone[["id", "status"]].itertuples(index=False)
    ]
    # What the ledger calls a shown column, and what this table calls it.
    shown = {column_of(name): _named(name) for name in contract.companies.shown}
    result = _with_columns(gone, shown, companies)[["id", *shown]].rename(columns=shown)
    result = result.assign(
        place_before=gone["place"].astype("int64"),
        rep=gone["rep"],
        why=pd.Series([why for why, _ in told], index=gone.index, dtype="str"),
        left=pd.Series([text for _, text in told], index=gone.index, dtype="str"),
    )
    order = result["why"].map({why: place for place, why in enumerate(WHY)})
    by = pd.DataFrame({"order": order, "place": result["place_before"]}).sort_values(["order", "place"])
    return result.loc[by.index].reset_index(drop=True)


def left_columns(contract: Contract) -> list[str]:
    """Name the columns: `COLUMNS`, and between them those that show who a company is."""
    return ["id", *map(_named, contract.companies.shown), *COLUMNS[1:]]


def _named(shown: str) -> str:
    """Return what to call a shown column, which may have the name of another one."""
    return f"company_{shown}" if shown in COLUMNS else column_of(shown)


def _with_columns(table: pd.DataFrame, names: Iterable[str], like: pd.DataFrame) -> pd.DataFrame:
    """Add columns that a table does not have: empty, of the types that they have in another one."""
    # Of a type that can be missing, such as float instead of int.
    empty = {name: like[name].iloc[:0].reindex(table.index) for name in names if name not in table}
    return table.assign(**empty)


def _conversions(ids: pd.Series[Any], tables: CleanTables) -> dict[Any, pd.Timestamp]:
    """Return the day on which each company that pays now started to."""
    periods = tables.periods[tables.periods["id"].isin(ids) & tables.periods["end"].isna()]
    return periods.groupby("id")["start"].max().to_dict()


def _told(
    company: Any,
    status: Any,
    converted: dict[Any, pd.Timestamp],
    rests: pd.DataFrame,
    sentences: pd.Series[Any],
) -> tuple[str, str]:
    """Return why a company left, and the sentence."""
    if pd.isna(status):
        if company in converted:
            return "converted", f"Became a customer on {day_of(converted[company])}"
        return "gone", "No longer a prospect"
    if status == OBJECTED:
        return "objected", "Not to be called any more"
    if status == SUPPRESSED:
        why, until = rests.loc[company, ["why", "until"]]
        return "contacted", f"{_RESTS.get(why, 'Was called, so they rest')} until {day_of(until)}"
    # The sentence begins with "Off the call list: ".
    return "cooled", capitalised(str(sentences[company]).partition(": ")[2])


# The file


@dataclass(frozen=True)
class Leaver:
    """A company that left the call list.

    Attributes
    ----------
    id
        Of the company.
    name
        The first column that shows who it is; None: there is none, or it is not known.
    place_before
        Its place on the last call list.
    rep
        Who called it; None: nobody in particular.
    why
        One of `WHY`.
    sentence
        Why, for people.
    """

    id: int | str
    name: str | None
    place_before: int
    rep: str | None
    why: str
    sentence: str


def write_left(path: Path, table: pd.DataFrame) -> None:
    """Write who left as CSV without formulas, with the mark by which spreadsheets know UTF-8."""
    # Texts are quoted, as a lone carriage return in one would end its row.
    rows = without_formulas(table)
    write_atomically(
        path,
        lambda temporary: rows.to_csv(
            temporary,
            index=False,
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC,
            encoding="utf-8-sig",
        ),
    )


def read_left(folder: Path, contract: Contract) -> tuple[Leaver, ...] | None:
    """Read who left from a publication's folder; None: nothing was delivered before.

    Raises
    ------
    ArtifactError
        The file is not one that `write_left` wrote for this contract.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [*csv.reader(file, strict=True)] or [[]]
    except csv.Error as error:
        raise ArtifactError(f"{path}: {error}; {AGAIN}") from error
    columns = left_columns(contract)
    if header != columns or any(len(line) != len(columns) for line in lines):
        raise ArtifactError(f"{path}: should have the columns {', '.join(columns)} in each row; {AGAIN}")
    try:
        return tuple(_leaver(dict(zip(columns, line, strict=True)), contract) for line in lines)
    except ValueError as error:
        raise ArtifactError(f"{path}: {error}; {AGAIN}") from error


def _leaver(row: dict[str, str], contract: Contract) -> Leaver:
    row = {name: text.removeprefix("'") for name, text in row.items()}  # of `without_formulas`
    companies = contract.companies
    if row["why"] not in WHY:
        raise ValueError(f"why: given '{row['why']}', allowed are {', '.join(WHY)}")
    return Leaver(
        id=int(row["id"]) if companies.ids == "whole" else row["id"],
        name=(row[_named(companies.shown[0])].strip() or None) if companies.shown else None,
        place_before=int(row["place_before"]),
        rep=row["rep"] or None,
        why=row["why"],
        sentence=row["left"],
    )
