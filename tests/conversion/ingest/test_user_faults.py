"""Faults as users make them, each in the default contract and in another one where it applies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.ingest.cross_checks import check_long_ids
from conversion.ingest.export import read_export
from conversion.ingest.id_checks import check_case_of_ids, folded_ids, may_differ_by_case
from conversion.runtime.errors import ExportError
from conversion.stats.hashing import part_of
from tests.broken_exports import Tables, warnings_of
from tests.contract_files import hubspot, projects
from tests.event_exports import events, events_export
from tests.exports import projects_export, tiny_export, write_export

FILE = "contracts/mine.yaml"
BOTH = pytest.mark.parametrize("contract", [hubspot(), projects()], ids=["hubspot", "projects"])


def tables_of(contract: Contract) -> Tables:
    return tiny_export(companies=40, weeks=12) if contract == hubspot() else projects_export()


def file_of(contract: Contract) -> str | None:
    """The contract's file for messages; the default contract is not the user's."""
    return None if contract == hubspot() else FILE


def read(folder: Path, contract: Contract) -> Tables:
    return read_export(folder, contract, file_of(contract)).tables


def fault_of(folder: Path, contract: Contract) -> str:
    """The one fault of an export."""
    with pytest.raises(ExportError) as error:
        read(folder, contract)
    (line,) = str(error.value).splitlines()
    return line.removeprefix(f"{folder}/")


def rewritten(folder: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a CSV table as text."""
    path = folder / f"{name}.csv"
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)


def company_table(contract: Contract) -> str:
    return next(iter(contract.companies.tables))


def same_tables(left: Tables, right: Tables) -> None:
    for name, table in left.items():
        pd.testing.assert_frame_equal(table, right[name])


@BOTH
def test_a_byte_order_mark_is_no_part_of_the_first_column(contract: Contract, tmp_path: Path) -> None:
    folder = write_export(tables_of(contract), tmp_path)
    before = read(folder, contract)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    same_tables(read(folder, contract), before)


@BOTH
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(contract: Contract, encoding: str, tmp_path: Path) -> None:
    folder = write_export(tables_of(contract), tmp_path)
    path = folder / f"{company_table(contract)}.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    assert fault_of(folder, contract) == (
        f"{path.name}: the file: expected UTF-8 text; found UTF-16, which spreadsheets call Unicode text; "
        "save it as UTF-8 (in Excel: CSV UTF-8)"
    )


@BOTH
def test_semicolons_are_named(contract: Contract, tmp_path: Path) -> None:
    folder = write_export(tables_of(contract), tmp_path)
    path = folder / f"{company_table(contract)}.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    assert fault_of(folder, contract) == (
        f"{path.name}: the header: expected ','-separated columns; found a header that looks like "
        "';'-separated; export it with commas"
    )


def with_commas(number: str) -> str:
    return number.replace(".", ",")


def with_thousands(number: str, separator: str = ",", point: str = ".") -> str:
    return f"{float(number):,.2f}".replace(",", "_").replace(".", point).replace("_", separator)


@BOTH
@pytest.mark.parametrize(
    ("write", "found"),
    [
        (with_commas, "decimal commas"),
        (with_thousands, "commas between thousands"),
        (lambda text: with_thousands(text, ".", ","), "points between thousands and decimal commas"),
        (lambda text: with_thousands(text, "\u00a0"), "spaces between thousands"),
        (lambda text: with_thousands(text, "'", "."), "spaces between thousands"),
        (lambda text: with_thousands(text, "\u202f", ","), "spaces between thousands and decimal commas"),
    ],
)
def test_a_column_of_numbers_written_in_another_way_is_read(
    contract: Contract,
    write: Callable[[str], str],
    found: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table, column = company_table(contract), str(contract.companies.value)
    tables = tables_of(contract)
    known = tables[table][column].notna()
    tables[table].loc[known, column] = np.round(np.linspace(1, 123_456_789, known.sum()), 2)
    folder = write_export(tables, tmp_path)
    before = read(folder, contract)
    rewritten(
        folder, table, lambda frame: frame.assign(**{column: frame[column].map(lambda x: x and write(x))})
    )
    same_tables(read(folder, contract), before)
    (record,) = warnings_of(caplog)
    assert record.getMessage() == f"all numbers of a column have {found}, and are read so"
    assert (record.__dict__["column"], record.__dict__["file"]) == (column, str(folder / f"{table}.csv"))


@BOTH
def test_points_that_may_stand_between_thousands_are_warned_of(
    contract: Contract, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, column = company_table(contract), str(contract.companies.value)
    folder = write_export(tables_of(contract), tmp_path)
    written = cycle(["7", "45", "2.010"])
    rewritten(
        folder,
        table,
        lambda frame: frame.assign(**{column: frame[column].map(lambda x: x and next(written))}),
    )
    read(folder, contract)
    (record,) = warnings_of(caplog)
    assert record.getMessage().startswith(
        "points are read as decimal points, but may stand between thousands"
    )
    assert record.__dict__["column"] == column


@BOTH
def test_counts_with_separators_of_thousands_are_read(contract: Contract, tmp_path: Path) -> None:
    tables = tables_of(contract)
    usage, count = tables[contract.usage.table], contract.actions[0]
    usage[count] = usage[count] * 997
    folder = write_export(tables, tmp_path)
    before = read(folder, contract)
    for separator in (",", ".", " "):
        write_export(tables, folder)
        rewritten(
            folder,
            contract.usage.table,
            lambda frame, separator=separator: frame.assign(
                **{count: [f"{int(text):,}".replace(",", separator) for text in frame[count]]}
            ),
        )
        same_tables(read(folder, contract), before)


@BOTH
@pytest.mark.parametrize(
    "values", [["1,234", "5,678"], ["1,234.5", "1.234,5"], ["1,234.5", "1234.5"], ["1,23,456.0", "2,000.0"]]
)
def test_numbers_that_could_be_two_or_are_written_in_two_ways_are_refused(
    contract: Contract, values: list[str], tmp_path: Path
) -> None:
    table, column = company_table(contract), str(contract.companies.value)
    tables = tables_of(contract)
    tables[table] = tables[table][tables[table][column].notna()].reset_index(drop=True)
    folder = write_export(tables, tmp_path)
    texts = [values[at % 2] for at in range(len(tables[table]))]
    rewritten(folder, table, lambda frame: frame.assign(**{column: texts}))
    fault = fault_of(folder, contract)
    assert fault.startswith(
        f"{table}.csv: {column}: expected a number with a decimal point and no thousands separators; "
    )
    assert f"found '{values[0]}'" in fault


@BOTH
def test_ranges_that_a_spreadsheet_made_dates_of_are_named(contract: Contract, tmp_path: Path) -> None:
    table = company_table(contract)
    column = "EMPLOYEE_RANGE" if contract == hubspot() else "plan"
    folder = write_export(tables_of(contract), tmp_path)
    rewritten(folder, table, lambda frame: frame.assign(**{column: ["2-May", "Jun-10", *frame[column][2:]]}))
    fault = fault_of(folder, contract)
    assert fault.startswith(f"{table}.csv: {column}: expected one of ")
    assert "; 2 rows (" in fault
    assert "found '2-May', 'Jun-10'; a spreadsheet has made dates of ranges, such as 2-May of 2-5: " in fault


def test_ids_in_scientific_notation_are_refused_or_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tables_of(projects())
    own["accounts"].loc[0, "account_id"] = "1.89945E+11"
    check_long_ids(read(write_export(own, tmp_path / "text"), projects()))
    (record,) = warnings_of(caplog)
    assert record.getMessage().startswith("ids look like numbers that a spreadsheet shortened")
    folder = write_export(tables_of(hubspot()), tmp_path / "whole")
    rewritten(folder, "customers", lambda frame: frame.assign(id=["1.89945E+11", *frame["id"][1:]]))
    fault = fault_of(folder, hubspot())
    assert fault.startswith("customers.csv: id: expected every digit of a whole number; 1 row (line 2)")
    assert "without an exponent" in fault


@BOTH
@pytest.mark.parametrize("name", ["", "Total", "TOTAL:", "Summe"])
@pytest.mark.parametrize("of_usage", [True, False], ids=["usage", "companies"])
def test_a_row_of_totals_is_named(contract: Contract, name: str, of_usage: bool, tmp_path: Path) -> None:
    table = contract.usage.table if of_usage else company_table(contract)
    key = contract.usage.id if of_usage else contract.companies.id
    folder = write_export(tables_of(contract), tmp_path)
    path = folder / f"{table}.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    # The sums of numbers; the rest as in the last row, so that there is no other fault.
    last = lines[-1].split(",", 1)[1]
    assert lines[0].startswith(f"{key},")
    path.write_text("\n".join([*lines, f"{name},{last}", ""]), encoding="utf-8")
    fault = fault_of(folder, contract)
    assert fault.startswith(f"{table}.csv: {key}: expected ")
    assert f"; 1 row (line {len(lines) + 1})" in fault
    assert fault.endswith("; if this is a row of totals, remove it; else correct it")


@BOTH
def test_columns_in_another_case_or_with_spaces_are_named(contract: Contract, tmp_path: Path) -> None:
    table, column = company_table(contract), contract.companies.converted
    folder = write_export(tables_of(contract), tmp_path)
    written = f" {column.swapcase()} "
    rewritten(folder, table, lambda frame: frame.rename(columns={column: written}))
    fault = fault_of(folder, contract)
    assert fault.startswith(
        f"{table}.csv: {column}: expected this column; found no such column; rename {written!r}"
    )


@BOTH
@pytest.mark.parametrize("hours", [0, 9])
def test_days_under_a_contract_of_weeks_are_named(contract: Contract, hours: int, tmp_path: Path) -> None:
    tables = tables_of(contract)
    usage, time = tables[contract.usage.table], contract.usage.time
    usage[time] += pd.to_timedelta(np.arange(len(usage)) % 7, unit="D") + pd.Timedelta(hours=hours)
    folder = write_export(tables, tmp_path, ".parquet")
    fault = fault_of(folder, contract)
    assert fault.startswith(f"{contract.usage.table}.parquet: {time}: expected a Monday 00:00; ")
    kind, grain = ("single events", "event (or day, if rows have counts)") if hours else ("days", "day")
    change = (
        f"set usage.grain to {grain} in {FILE}"
        if contract == projects()
        else f"use a contract of your own, in which usage.grain is {grain}"
    )
    assert fault.endswith(f"; these look like rows of {kind}, not of weeks: {change}")


@BOTH
def test_weeks_that_start_on_sunday_are_named(contract: Contract, tmp_path: Path) -> None:
    tables = tables_of(contract)
    usage, time = tables[contract.usage.table], contract.usage.time
    usage[time] -= pd.Timedelta(days=1)
    fault = fault_of(write_export(tables, tmp_path, ".parquet"), contract)
    change = (
        f"set usage.week_starts to sunday in {FILE}"
        if contract == projects()
        else "use a contract of your own, in which usage.week_starts is sunday"
    )
    assert fault.endswith(
        f"; if weeks start on Sunday, {change}; if that is their last day, export the first"
    )


def test_weeks_that_start_on_monday_under_a_contract_of_sundays_are_named(tmp_path: Path) -> None:
    contract = changed(projects(), usage={"week_starts": "sunday"})
    fault = fault_of(write_export(projects_export(), tmp_path), contract)
    assert "expected a Sunday 00:00; " in fault
    assert f"if weeks start on Monday, set usage.week_starts to monday in {FILE}" in fault


@BOTH
@pytest.mark.parametrize("hours", [-2, -1, 5])
def test_weeks_that_a_time_zone_has_shifted_are_named(contract: Contract, hours: int, tmp_path: Path) -> None:
    tables = tables_of(contract)
    tables[contract.usage.table][contract.usage.time] += pd.Timedelta(hours=hours)
    fault = fault_of(write_export(tables, tmp_path, ".parquet"), contract)
    assert fault.endswith("; the weeks' first days look shifted by a time zone: export days without a time")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_times_with_a_zone_are_converted_to_the_one_that_a_contract_states(
    suffix: str, tmp_path: Path
) -> None:
    contract = changed(projects(), usage={"time_zone": "Europe/Berlin"})
    tables = projects_export()
    before = read(write_export(tables, tmp_path / "plain"), contract)
    weeks = tables["weekly_usage"]["week"].dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")
    tables["weekly_usage"]["week"] = weeks if suffix == ".parquet" else weeks.map(pd.Timestamp.isoformat)
    folder = write_export(tables, tmp_path / "zoned", suffix)
    same_tables(read(folder, contract), before)
    if suffix == ".csv":
        fault = fault_of(folder, projects())
        assert "week: expected a time without time zone; " in fault
        assert fault.endswith(f"export times without zones or offsets, or change usage.time_zone in {FILE}")


def test_days_of_companies_with_an_offset_are_converted_as_usage_is(tmp_path: Path) -> None:
    contract = changed(projects(), usage={"time_zone": "Europe/Berlin"})
    tables = projects_export()
    before = read(write_export(tables, tmp_path / "plain"), contract)
    created = tables["accounts"]["created"].dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")
    tables["accounts"]["created"] = created.map(pd.Timestamp.isoformat)
    folder = write_export(tables, tmp_path / "zoned")
    same_tables(read(folder, contract), before)
    fault = fault_of(folder, projects())
    assert "created: expected a time without time zone; " in fault
    assert fault.endswith(f"export times without zones or offsets, or change usage.time_zone in {FILE}")


@pytest.mark.parametrize(("unit", "each"), [("seconds", 1), ("milliseconds", 1000)])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_days_that_count_seconds_are_named(unit: str, each: int, suffix: str, tmp_path: Path) -> None:
    tables = projects_export()
    created = tables["accounts"]["created"]
    tables["accounts"]["created"] = (created - pd.Timestamp(0)) // pd.Timedelta(seconds=1) * each
    fault = fault_of(write_export(tables, tmp_path, suffix), projects())
    assert f"these look like {unit} since 1970, which are not read: export dates, such as 2019-" in fault
    assert "correct these rows" not in fault


def test_a_line_break_in_a_name_is_found_by_its_line_without_the_name(tmp_path: Path) -> None:
    tables = projects_export()
    tables["accounts"].loc[3, "name"] = "Oak\nand Elm"
    fault = fault_of(write_export(tables, tmp_path), projects())
    assert f"account_id '{tables['accounts']['account_id'][3]}' in " in fault
    assert "found a line break ('\\n') at character 4 of 11; " in fault
    assert "Oak" not in fault


GUIDS = [f"0f8fad5b-d9cb-469f-a165-70867728{at:04x}" for at in range(60)]


def guid_tables() -> Tables:
    tables = projects_export()
    new = dict(zip(tables["accounts"]["account_id"], GUIDS, strict=True))
    tables["accounts"]["account_id"] = GUIDS
    tables["weekly_usage"]["account"] = tables["weekly_usage"]["account"].map(new)
    return tables


def case_faults(tables: Tables, folder: Path, contract: Contract | None = None) -> list[str]:
    contract = contract or projects()
    read_tables = read(write_export(tables, folder), contract)
    faults = []
    try:
        check_case_of_ids(read_tables, contract, folder)
    except ExportError as error:
        faults = [line.removeprefix(f"{folder}/") for line in str(error).splitlines()]
    assert may_differ_by_case(folded_in_parts(read_tables, contract), contract) == bool(faults)
    return faults


def folded_in_parts(tables: Tables, contract: Contract, parts: int = 3) -> Tables:
    """Return what parts say of their ids, each company's rows in one of them."""
    names, aliases = [*contract.tables], contract.companies.aliases
    if aliases is not None:
        names.remove(aliases.table)
    found = []
    for part in range(parts):
        some = {name: table[part_of(table["id"], parts) == part] for name, table in tables.items()}
        shared = {} if aliases is None else {aliases.table: tables[aliases.table]}
        found.append(folded_ids(some | shared, contract))
    return {name: pd.concat([each[name] for each in found]) for name in names}


def test_guids_in_mixed_case_are_named(tmp_path: Path) -> None:
    tables = guid_tables()
    assert case_faults(tables, tmp_path) == []
    one = tables["weekly_usage"]["account"].iloc[0]
    rows = int((tables["weekly_usage"]["account"] == one).sum())
    tables["weekly_usage"]["account"] = tables["weekly_usage"]["account"].replace(one, one.upper())
    (fault,) = case_faults(tables, tmp_path)
    assert fault == (
        f"weekly_usage.csv: account: expected ids written as in accounts; {rows} rows "
        f"(account '{one.upper()}', ...); found '{one}' there; export the ids of all tables in the same "
        "case; the project does not change them, as case tells other ids apart, such as a CRM's of 15 "
        "characters"
    )


def test_companies_whose_guids_differ_by_case_alone_are_named(tmp_path: Path) -> None:
    tables = guid_tables()
    tables["accounts"].loc[7, "account_id"] = GUIDS[3].upper()
    (fault,) = case_faults(tables, tmp_path)
    assert fault.startswith(
        "accounts.csv: account_id: expected ids written as in accounts; 1 row "
        f"(account_id '{GUIDS[3].upper()}')"
    )


def test_other_ids_in_mixed_case_are_named_if_no_two_companies_differ_so(tmp_path: Path) -> None:
    tables = projects_export()
    upper = tables["weekly_usage"].assign(account=tables["weekly_usage"]["account"].str.upper())
    (fault,) = case_faults(tables | {"weekly_usage": upper}, tmp_path)
    assert fault.startswith("weekly_usage.csv: account: expected ids written as in accounts; ")
    # As a CRM's of 15 characters: case tells companies apart, and some may be left out of the export.
    accounts = tables["accounts"]
    accounts.loc[0, "account_id"] = "ACME-x"
    accounts.loc[1, "account_id"] = "acme-x"
    assert case_faults(tables | {"weekly_usage": upper}, tmp_path) == []


def test_two_companies_that_were_merged_have_a_table(tmp_path: Path) -> None:
    tables = events_export()
    assert case_faults(tables, tmp_path, events()) == []
    assert read(tmp_path, events())["merges"].to_numpy().tolist() == [["a1", "a2"]]


def changed(contract: Contract, **sections: dict[str, Any]) -> Contract:
    values = contract.model_dump(mode="json")
    for section, keys in sections.items():
        values[section] |= keys
    return Contract.model_validate(values)


DAY_HEADER = "account,at,done,gb"


def of_days(ids: str = "text") -> Contract:
    usage = {
        "table": "daily", "id": "account", "time": "at", "grain": "day",
        "modules": {"projects": {"actions": "done"}},
        "measures": {"storage": {"column": "gb", "combine": "max"}},
    }  # fmt: skip
    values = {"companies": projects().model_dump(mode="json")["companies"] | {"ids": ids}, "usage": usage}
    return Contract.model_validate(values)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["000001,2026-01-05,3,1", ",2026-01-06,1,1", "000001,2026-01-07,1,1"],
            (
                "account: expected a value in each row; 1 row (row 2); fill in the missing values or "
                "leave these rows out"
            ),
        ),
        (
            ["000001,2026-01-05,3,1", "000001,2026-01-07,1,1", ",,4,2"],
            (
                "account: expected a value in each row; 1 row (row 3); if this is a row of totals, "
                "remove it; else correct it"
            ),
        ),
        (
            ["000001,2026-01-05,3,1", "Total,,3,1"],
            (
                "at: expected a value in each row; 1 row (id Total); if this is a row of totals, "
                "remove it; else correct it"
            ),
        ),
        (
            ["000001,01/05/2026,3,1"],
            (
                "at: expected a timestamp like 2019-12-30 00:00:00; 1 row (id 000001); found '01/05/2026'; "
                "export the dates of this column as year-month-day, with hyphens"
            ),
        ),
        (
            ['000001,2026-01-05,3,"1,5"'],
            (
                "gb: expected a number with a decimal point and no thousands separators, within ±1e+15; "
                "1 row (id 000001); found '1,5'; correct these rows"
            ),
        ),
        (
            ['000001,2026-01-05,"1,200",1'],
            (
                "done: expected a whole number of at most 18 digits; 1 row (id 000001); found '1,200'; "
                "correct these rows"
            ),
        ),
    ],
)
def test_faults_of_days(lines: list[str], said: str, tmp_path: Path) -> None:
    tables = projects_export()
    folder = write_export({"accounts": tables["accounts"]}, tmp_path)
    (folder / "daily.csv").write_text("\n".join([DAY_HEADER, *lines, ""]), encoding="utf-8")
    with pytest.raises(ExportError) as error:
        read_export(folder, of_days(), FILE)
    assert str(error.value).splitlines()[0] == f"{folder}/daily.csv: {said}"


def test_days_whose_ids_lost_digits_are_named(tmp_path: Path) -> None:
    accounts = projects_export(companies=9)["accounts"].assign(account_id=range(9))
    folder = write_export({"accounts": accounts}, tmp_path)
    (folder / "daily.csv").write_text(f"{DAY_HEADER}\n1.9E+11,2026-01-05,3,1\n", encoding="utf-8")
    with pytest.raises(
        ExportError, match=r"account: expected every digit .* 1 row \(row 1\); found '1.9E\+11'"
    ):
        read_export(folder, of_days("whole"), FILE)


def test_columns_of_days_in_another_case_are_named_with_the_key(tmp_path: Path) -> None:
    folder = write_export({"accounts": projects_export()["accounts"]}, tmp_path)
    header = "Account ,at,doen,gb"
    (folder / "daily.csv").write_text(f"{header}\n000001,2026-01-05,3,1\n", encoding="utf-8")
    with pytest.raises(ExportError) as error:
        read_export(folder, of_days(), FILE)
    assert str(error.value).splitlines() == [
        (
            f"{folder}/daily.csv: account: expected this column; found no such column; rename 'Account ', or "
            f"change usage.id in {FILE}"
        ),
        (
            f"{folder}/daily.csv: done: expected this column; found no such column; add it to the export, or "
            f"change usage.modules.projects.actions in {FILE}"
        ),
    ]


def test_nothing_is_warned_of_where_nothing_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(write_export(tables_of(hubspot()), tmp_path / "a"), hubspot())
    read(write_export(tables_of(projects()), tmp_path / "b"), projects())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
