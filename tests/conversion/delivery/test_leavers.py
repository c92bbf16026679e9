from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conversion.data.clean_tables import CleanTables
from conversion.delivery.leavers import Leaver, left, left_columns, read_left, write_left
from conversion.runtime.errors import ArtifactError
from tests.contract_files import hubspot, projects

UNTIL = pd.Timestamp("2020-11-02")


def before(**columns: Any) -> pd.DataFrame:
    """Return the last call list of the contract ``projects``: companies a to h at places 1 to 8, and i."""
    ids = list("abcdefghi")
    table = {
        "id": ids,
        "status": ["listed"] * 7 + ["explored", "below"],
        "place": pd.array([*range(1, 9), None], dtype="Int64"),
        "rep": ["Ann", "Bo"] * 4 + [None],
        "name": [f"{each.upper()} Ltd" for each in ids],
        "owner": None,
    }
    return pd.DataFrame(table | columns)


def now(**statuses: str) -> pd.DataFrame:
    ids = [each for each, status in statuses.items() if status != "none"]
    table = pd.DataFrame({"id": ids, "status": [statuses[each] for each in ids]})
    listed = table["status"].isin(["listed", "explored"])
    return table.assign(place=listed.cumsum().where(listed).astype("Int64"))


def periods(*rows: tuple[str, str, str | None]) -> CleanTables:
    table = pd.DataFrame(rows, columns=["id", "start", "end"])
    table = table.assign(start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]))
    nothing = pd.DataFrame({"id": []})
    return CleanTables(nothing, nothing, table, {}, nothing, nothing)


def suppressed(**whys: str) -> pd.DataFrame:
    return pd.DataFrame({"id": [*whys], "until": UNTIL, "why": [*whys.values()]})


def told(
    last: pd.DataFrame, companies: pd.DataFrame, tables: CleanTables, **whys: str
) -> list[tuple[Any, ...]]:
    moved = pd.DataFrame({"id": last["id"], "moved": "Off the call list: quiet in the last two weeks"})
    found = left(last, companies, moved, tables, projects(), suppressed(**whys))
    return [*found[["id", "place_before", "why", "left"]].itertuples(index=False, name=None)]


def test_each_company_that_left_says_why_converted_ones_first() -> None:
    resting = dict.fromkeys("bgh", "suppressed")
    companies = now(a="below", c="objected", d="none", e="none", f="listed", i="listed", **resting)
    tables = periods(("e", "2020-04-23", None), ("z", "2020-04-20", None))
    assert told(before(), companies, tables, b="refused", g="talking", h="called") == [
        ("e", 5, "converted", "Became a customer on 23 April 2020"),
        ("d", 4, "gone", "No longer a prospect"),
        ("c", 3, "objected", "Not to be called any more"),
        ("b", 2, "contacted", "Said no, so they rest until 2 November 2020"),
        ("g", 7, "contacted", "In talks with us, so they rest until 2 November 2020"),
        ("h", 8, "contacted", "Was called, so they rest until 2 November 2020"),
        ("a", 1, "cooled", "Quiet in the last two weeks"),
    ]


def test_a_former_customer_that_left_did_not_convert_again_unless_it_pays_now() -> None:
    came_back = ("a", "2019-01-07", "2019-06-03")
    companies = now(**dict.fromkeys("bcdefgh", "listed"))
    assert told(before(), companies, periods(came_back)) == [("a", 1, "gone", "No longer a prospect")]
    again = periods(came_back, ("a", "2020-04-21", None))
    assert told(before(), companies, again) == [("a", 1, "converted", "Became a customer on 21 April 2020")]


def test_the_control_group_is_not_revealed() -> None:
    companies = now(a="held_back", **dict.fromkeys("bcdefgh", "listed"))
    assert told(before(), companies, periods()) == []


def test_nobody_left() -> None:
    found = told(before(), now(**dict.fromkeys("abcdefgh", "listed")), periods())
    assert found == []


def test_shown_columns_of_any_name() -> None:
    """The ledger has columns of its own of these names."""
    companies = projects().companies.model_copy(update={"shown": ("status", "why")})
    contract = projects().model_copy(update={"companies": companies})
    last = before(company_status="gold", why=["says " + each for each in "abcdefghi"])
    moved = pd.DataFrame({"id": last["id"], "moved": "Off the call list: others moved ahead"})
    found = left(last, now(a="below"), moved, periods(), contract, suppressed()).head(2)
    assert (
        [*found]
        == left_columns(contract)
        == ["id", "company_status", "company_why", "place_before", "rep", "why", "left"]
    )
    assert found["company_status"].tolist() == ["gold", "gold"]
    assert "says b" in set(found["company_why"])


@pytest.mark.parametrize(
    "values",
    [pd.Series(["x"], dtype="str"), pd.Series([7]), pd.Series(pd.to_datetime(["2020-04-20"]))],
    ids=["text", "number", "day"],
)
def test_a_column_that_the_last_list_did_not_show_is_empty(values: pd.Series[Any]) -> None:
    companies = projects().companies.model_copy(update={"shown": ("name", "since")})
    contract = projects().model_copy(update={"companies": companies})
    moved = pd.DataFrame({"id": ["a"], "moved": "Off the call list: others moved ahead"})
    this = now(a="below").assign(since=values)

    found = left(before().head(1), this, moved, periods(), contract, suppressed())

    assert [*found] == left_columns(contract)
    assert found["name"].tolist() == ["A Ltd"]
    assert found["since"].isna().all()
    assert found["since"].dtype == values.reindex([5]).dtype


# The file

ROW = {
    "id": "a",
    "name": "A Ltd",
    "owner": None,
    "place_before": 1,
    "rep": "Ann",
    "why": "cooled",
    "left": "Quiet",
}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    write_left(
        folder / "left.csv", pd.DataFrame([ROW | row for row in rows], columns=left_columns(projects()))
    )
    return folder / "left.csv"


@pytest.mark.parametrize("text", ["=1+1", "'quoted", "a\rb", 'say "hi", she\nsaid', "007", "Zürich", "None"])
def test_what_is_written_is_read_again(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, {"id": text, "name": text, "rep": None})
    assert ',"=' not in path.read_text(encoding="utf-8"), "no formula"
    assert read_left(tmp_path, projects()) == (Leaver(text, text, 1, None, "cooled", "Quiet"),)


def test_spreadsheets_know_that_it_is_utf8(tmp_path: Path) -> None:
    assert written(tmp_path, {"name": "Zürich"}).read_bytes().startswith("\ufeff".encode())


def test_ids_that_are_numbers_and_no_names(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [{"id": 7, "place_before": 3, "rep": None, "why": "gone", "left": "No longer a prospect"}]
    )
    write_left(tmp_path / "left.csv", table)
    assert read_left(tmp_path, hubspot()) == (Leaver(7, None, 3, None, "gone", "No longer a prospect"),)


def test_a_first_delivery_has_no_file_and_a_week_without_leavers_no_rows(tmp_path: Path) -> None:
    assert read_left(tmp_path, projects()) is None
    written(tmp_path)
    assert read_left(tmp_path, projects()) == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("place_before", "place", "should have the columns id, name, owner, place_before, rep, why, left"),
        (',"cooled"', "", "should have the columns"),
        ("cooled", "bored", "why: given 'bored', allowed are converted, gone"),
        (",1,", ",first,", "invalid literal"),
        ('"Quiet"', '"Quiet', "unexpected end of data"),
    ],
)
def test_a_file_that_was_edited_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = written(tmp_path, {})
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        read_left(tmp_path, projects())


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "left.csv").touch()
    with pytest.raises(ArtifactError, match="should have the columns"):
        read_left(tmp_path, projects())
