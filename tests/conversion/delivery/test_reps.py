"""The table of reps: what is read, and one message a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from conversion.config.params_file import load_params
from conversion.delivery.reps import Rep, Reps, RepsError, read_reps, reps_of, territory_columns
from conversion.runtime.errors import ParamsError
from tests.contract_files import ROOT, hubspot, projects

CALLS = "should be the calls a week, a whole number from 0 to 100000"
COLUMNS = "should be one of rep, capacity, name, owner, country, plan, is_partner"


def read(folder: Path, text: str) -> Reps:
    path = folder / "reps.csv"
    path.write_bytes(text.encode())
    return read_reps(path, projects())


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(RepsError) as raised:
        read(folder, text)
    return [line.removeprefix(f"{folder}/reps.csv: ") for line in str(raised.value).splitlines()]


def test_reps_are_in_the_order_of_their_names_with_their_territories(tmp_path: Path) -> None:
    text = "\ufeffrep,capacity,country,plan\r\nBob, 20 ,,\r\n\r\nAnn,10,FR| de ,Free|team\r\n"
    reps = read(tmp_path, text)
    ann = Rep("Ann", 10, {"country": frozenset({"fr", "de"}), "plan": frozenset({"free", "team"})})
    assert reps.all == (ann, Rep("Bob", 20, {}))
    assert reps.calls == 30


def test_each_fault_has_its_row_and_column(tmp_path: Path) -> None:
    text = "rep,capacity,plan\nAnn,ten,free\nBob,5,gold\nann,1.5,\n,3,free||team\nEve,2\n"
    assert faults(tmp_path, text) == [
        f"row 2, column capacity: given 'ten', {CALLS}",
        "row 3, column plan: given 'gold', should be of free, team, business (with '|' between several)",
        f"row 4, column capacity: given '1.5', {CALLS}",
        "row 4, column rep: 'ann' is in row 2 already; a rep has one row",
        "row 5, column rep: given '', should be a name",
        "row 5, column plan: a value is empty: put one '|' between two values",
        "row 6: has 2 cells, the header has 3",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty; its first row names the columns: rep, capacity and those of territories"),
        ("rep,capacity\n", "has no rep; give each a row with rep and capacity"),
        ("rep\nAnn\n", "has no column capacity"),
        ("rep,capacity,rep\nAnn,1,Bob\n", "row 1: column rep is there twice"),
        ("rep,capacity,head_count\nAnn,1,5\n", f"row 1, column 3: given 'head_count', {COLUMNS}"),
        ('rep,capacity\n"Ann,1\n', "is not CSV: unexpected end of data; check its quotation marks"),
        ("rep,capacity\nAnn,-1\n", f"row 2, column capacity: given '-1', {CALLS}"),
    ],
)
def test_a_table_that_is_none(text: str, fault: str, tmp_path: Path) -> None:
    assert faults(tmp_path, text) == [fault]


def test_a_missing_file_and_one_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "reps.csv"
    with pytest.raises(RepsError, match=r"reps.csv: not found; deliver.reps of params.yaml names it"):
        read_reps(path, projects())
    path.write_bytes("rep,capacity\nJosé,1\n".encode("latin-1"))
    with pytest.raises(RepsError, match=r"is not UTF-8; save it as 'CSV UTF-8'"):
        read_reps(path, projects())


def test_territories_are_of_levels_groups_and_shown_columns() -> None:
    columns = territory_columns(hubspot())
    assert set(columns) == {"EMPLOYEE_RANGE", "INDUSTRY", "sector"}
    levels, sectors = columns["EMPLOYEE_RANGE"], columns["sector"]
    assert levels is not None
    assert levels[1] == "2 to 5"
    assert sectors is not None
    assert "Unknown" in sectors
    assert columns["INDUSTRY"] is None


def test_a_team_without_any_call_is_refused(tmp_path: Path) -> None:
    assert read(tmp_path, "rep,capacity\nAnn,0\nBob,1\n").calls == 1
    fault = "column capacity: is 0 for every rep, so nobody would be called; give a rep calls"
    assert faults(tmp_path, "rep,capacity\nAnn,0\n") == [fault]


def test_a_name_has_no_sign_that_turns_text_around(tmp_path: Path) -> None:
    fault = r"row 2, column rep: given 'Ann\u202exslx', should be a name without invisible characters"
    assert faults(tmp_path, "rep,capacity\nAnn\u202exslx,1\n") == [fault]


def test_the_owner_is_a_shown_column_with_reps_or_without() -> None:
    params = load_params(str(ROOT / "params.yaml")).deliver
    shown = "should be a shown column of the contract: null or one of name, owner"
    assert reps_of(params.model_copy(update={"owner": "owner"}), projects()) is None
    with pytest.raises(ParamsError, match=f"deliver.owner: given 'country', {shown}$"):
        reps_of(params.model_copy(update={"owner": "country"}), projects())
    with pytest.raises(ParamsError, match=r"null: there is none$"):
        reps_of(params.model_copy(update={"owner": "name"}), hubspot())
