from __future__ import annotations

import datetime as dt
import fnmatch
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import TIMESTAMP, UnreadableError
from conversion.ingest.folders import find_table, place_of
from conversion.ingest.usage_faults import WeeklyCountsError
from conversion.ingest.weekly_counts import count_weeks, read_weekly_usage, weekly_chunks, weekly_counts
from tests.contract_files import ROOT

COMPANIES = yaml.safe_load((ROOT / "tests/contracts/projects.yaml").read_text(encoding="utf-8"))["companies"]
MODULES: dict[str, Any] = {
    "projects": {"events": ["project.*", "board.viewed"]},
    "boards": {"events": ["board.*"]},
    "invoices": {"events": ["invoice.sent"]},
}
HEADER = "account,who,name,at,kind"


def contract(ids: str = "text", **usage: Any) -> Contract:
    events = {"grain": "event", "user": "who", "event": "name", "modules": MODULES}
    table = {"table": "events", "id": "account", "time": "at", **events, **usage}
    return Contract.model_validate({"companies": {**COMPANIES, "ids": ids}, "usage": table})


def of_days(**usage: Any) -> Contract:
    modules = {"projects": {"actions": "done", "users": "people"}, "invoices": {"actions": "sent"}}
    return contract(grain="day", user=None, event=None, modules=modules, **usage)


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "events.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def faults_of(path: Path, of: Contract) -> list[str]:
    with pytest.raises(WeeklyCountsError) as error:
        weekly_counts(path, of)
    return str(error.value).splitlines()


Row = tuple[Any, ...]


def monday(moment: dt.datetime, zone: str) -> dt.datetime:
    """Return the Monday 00:00 of a moment's week, on the clocks of a zone."""
    local = moment if moment.tzinfo is None else moment.astimezone(ZoneInfo(zone))
    day = local.date() - dt.timedelta(days=local.weekday())
    return dt.datetime.combine(day, dt.time())


def reference(events: list[Row], of: Contract) -> list[Row]:
    """Count in plain loops."""
    counts: dict[Row, int] = defaultdict(int)
    users: dict[Row, set[str]] = defaultdict(set)
    weeks = set()
    for company, who, name, moment, kind in events:
        if kind is not None and kind.lower() == "bot":
            continue
        for module, each in of.usage.modules.items():
            if name is None or not any(fnmatch.fnmatchcase(name, pattern) for pattern in each.events):
                continue
            week = (company, monday(moment, of.usage.time_zone))
            weeks.add(week)
            counts[*week, module] += 1
            if who is not None:
                users[*week, module].add(who)
    return [
        (
            *week,
            *(counts[*week, module] for module in of.modules),
            *(len(users[*week, module]) for module in of.modules if of.usage.user is not None),
        )
        for week in sorted(weeks)
    ]


# A week around the borders of weeks, of years, and of summer time in the zones below.
STARTS = [dt.datetime(2024, 12, 29, 20), dt.datetime(2025, 3, 30), dt.datetime(2025, 11, 2, 22)]
MOMENTS = st.builds(
    lambda start, seconds, micros: start + dt.timedelta(seconds=seconds, microseconds=micros),
    st.sampled_from(STARTS),
    st.integers(0, 10 * 86400) | st.sampled_from([14399, 14400, 7199, 7200, 86399, 86400]),
    st.sampled_from([0, 1, 999_999]),
)
OFFSETS = st.sampled_from([None, 0, 330, -300, 840])
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"]


def zoned(moment: dt.datetime, minutes: int | None) -> dt.datetime:
    return moment if minutes is None else moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "007", "Ä"]),
        st.sampled_from(["u1", "u2", "u3", None]),
        st.sampled_from(["project.made", "board.viewed", "board.made", "invoice.sent", "login", None]),
        st.builds(zoned, MOMENTS, OFFSETS),
        st.sampled_from(["Bot", "person", None]),
    ),
    max_size=30,
).map(lambda events: [*events, *events[:3], ("a", "u1", "invoice.sent", STARTS[0], None)])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, zone=st.sampled_from(ZONES), with_users=st.booleans(), data=st.data())
def test_counts_equal_those_of_plain_loops(
    suffix: str, events: list[Row], zone: str, with_users: bool, data: st.DataObject, tmp_path: Path
) -> None:
    of = contract(time_zone=zone, user="who" if with_users else None, exclude={"kind": ["bot"]})
    columns = dict(zip(HEADER.split(","), map(list, zip(*events, strict=True)), strict=True))
    if suffix == "csv":
        separator = data.draw(st.sampled_from([" ", "T"]))
        columns["at"] = [moment.isoformat(separator) for moment in columns["at"]]
    elif data.draw(st.booleans()):
        # One type holds times with a zone, or without.
        columns["at"] = [moment.replace(tzinfo=dt.UTC) for moment in columns["at"]]
        events = [(*event[:3], event[3].replace(tzinfo=dt.UTC), event[4]) for event in events]
    else:
        columns["at"] = [moment.replace(tzinfo=None) for moment in columns["at"]]
        events = [(*event[:3], event[3].replace(tzinfo=None), event[4]) for event in events]
    table = pa.table(columns)
    path = tmp_path / f"events.{suffix}"
    if suffix == "csv":
        table.to_pandas().to_csv(path, index=False)
    else:
        parquet.write_table(table, path)
    weekly = weekly_counts(path, of)
    assert list(weekly) == ["id", "at", *of.counts]
    assert [tuple(row) for row in weekly.itertuples(index=False)] == reference(events, of)
    pd.testing.assert_frame_equal(weekly_counts(table, of), weekly)


def test_an_event_is_in_the_week_of_the_contracts_zone(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "a,u1,invoice.sent,2026-01-05 00:00:00,",
        "a,u1,invoice.sent,2026-01-04T23:30:00Z,",
        "a,u2,invoice.sent,2026-01-04 23:59:59.999999,",
    )
    weekly = weekly_counts(path, contract(time_zone="Europe/Berlin"))
    assert weekly["at"].tolist() == [pd.Timestamp("2025-12-29"), pd.Timestamp("2026-01-05")]
    assert weekly["actions_invoices"].tolist() == [1, 2]
    assert weekly["users_invoices"].tolist() == [1, 1]


def test_days_become_weeks(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "7,2026-01-05,3,2,0",
        "7,2026-01-06,4,3,1",
        "7,2026-01-11,1,1,0",
        "7,2026-01-12,-1,1,0",
        "7,2026-01-13,9,1,0",
        "8,2026-01-05,5,1,0",
        "8,2026-01-05,2,2,1",
        header="account,at,done,people,sent",
    )
    weekly = weekly_counts(path, of_days(ids="whole"))
    assert weekly.to_dict("list") == {
        "id": [7, 7, 8],
        "at": [pd.Timestamp("2026-01-05"), pd.Timestamp("2026-01-12"), pd.Timestamp("2026-01-05")],
        "done": [8, -1, 5],
        "sent": [1, 0, 1],
        "people": [3, 1, 2],
    }


def test_repeated_days_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = ["a,2026-01-05,3,2,0", "a,2026-01-05,4,1,0", "a,2026-01-06,1,1,1"]
    weekly_counts(written(tmp_path, *lines, header="account,at,done,people,sent"), of_days())
    (record,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert "several rows of one company and day" in record.message
    assert record.__dict__["rows"] == 1


def days_of(companies: int, rows: int) -> list[str]:
    """One row of each company on one day, and on the next day some of each."""
    ids = [f"c{number:02d}" for number in range(companies)]
    once = [f"{name},2026-01-05,3,1,0" for name in ids]
    return once + [f"{name},2026-01-06,{row + 1},1,0" for name in ids for row in range(rows)]


def test_a_row_of_each_user_and_day_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *days_of(companies=20, rows=3), header="account,at,done,people,sent")
    with pytest.raises(WeeklyCountsError) as caught:
        weekly_counts(path, of_days())
    (fault,) = caught.value.faults
    assert (fault.expected, fault.rows) == ("one row a company and day", 40)
    assert fault.keys[0] == "id c00 on 2026-01-06"
    assert "if a row is of a user" in fault.remedy


@pytest.mark.parametrize(("companies", "rows"), [(19, 3), (40, 1)])
def test_a_few_copies_of_days_are_read(companies: int, rows: int, tmp_path: Path) -> None:
    lines = days_of(companies, rows)
    path = written(tmp_path, *lines, *lines[:10], header="account,at,done,people,sent")
    assert len(weekly_counts(path, of_days())) == companies


def test_a_table_that_is_there_twice_is_read(tmp_path: Path) -> None:
    lines = days_of(companies=40, rows=1)
    path = written(tmp_path, *lines, *lines, header="account,at,done,people,sent")
    assert weekly_counts(path, of_days())["done"].tolist() == [4] * 40


COPIES = [
    "a,u1,invoice.sent,2026-01-11 23:00,,m1,2",
    "a,u1,invoice.sent,2026-01-12 01:00,,m1,5",  # as it was received
    "a,u2,invoice.sent,2026-01-07 10:00,,m2,3",
    "a,u2,invoice.sent,2026-01-07 10:00,,m2,3",
    "a,u2,invoice.sent,2026-01-07 10:00,bot,m3,7",
    "b,u3,invoice.sent,2026-01-08 10:00,,,1",
    "b,u3,invoice.sent,2026-01-08 10:00,,n/a,1",
]


@pytest.mark.parametrize("order", [1, -1])
def test_of_copies_of_an_event_the_earliest_counts(
    order: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stored = {"stored": {"column": "gb", "combine": "sum"}}
    of = contract(event_id="message", exclude={"kind": ["bot"]}, measures=stored)
    path = written(tmp_path, *COPIES[::order], header=f"{HEADER},message,gb")
    weekly = weekly_counts(path, of)
    columns = ["id", "at", "actions_invoices", "users_invoices", "gb"]
    monday = pd.Timestamp("2026-01-05")
    assert weekly[columns].to_numpy().tolist() == [["a", monday, 2, 2, 5.0], ["b", monday, 2, 1, 2.0]]
    (record,) = (each for each in caplog.records if "copies of events" in each.message)
    assert record.__dict__["rows"] == 2


def test_a_missing_column_of_event_ids_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(written(tmp_path, GOOD), contract(event_id="message"))
    assert "message: expected this column" in fault


def test_only_events_have_an_id() -> None:
    with pytest.raises(ValueError, match="grain day has no event_id"):
        of_days(event_id="message")


GOOD = "a,u1,invoice.sent,2026-01-05 10:00,"
BROKEN: dict[str, tuple[list[str], list[str]]] = {
    "times": (
        [GOOD, "a,u1,invoice.sent,05/01/2026,", "b,u1,login,2026-02-30,", "c,u1,invoice.sent,,"],
        [
            "at: expected a value in each row; 1 row (id c); fill in",
            f"at: expected {TIMESTAMP}; 2 rows (id a, id b); found '05/01/2026', '2026-02-30'; correct",
        ],
    ),
    "ids": ([GOOD, ",u1,invoice.sent,2026-01-05,"], ["account: expected a value in each row; 1 row"]),
    "no_rows": ([], ["the file: expected rows after the header; found none"]),
    "no_module": (
        ["a,u1,login,2026-01-05,", "a,u1,login,2026-01-06,", "b,,logout,2026-01-05,bot"],
        ["name: expected events of some module; found 2 of others, 1 excluded, most frequent 'login': 2"],
    ),
    "all_excluded": (
        ["b,,invoice.sent,2026-01-05,BOT"],
        ["name: expected events of some module; found 0 of others, 1 excluded; correct usage.exclude"],
    ),
    "cut_off": ([GOOD, "a,u1"], ["all columns: expected lines as the header has them; 1 row (line 3)"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_says_where_and_what(name: str, tmp_path: Path) -> None:
    lines, said = BROKEN[name]
    path = written(tmp_path, *lines)
    faults = faults_of(path, contract(exclude={"kind": ["bot"]}))
    assert len(faults) == len(said)
    for fault, start in zip(faults, said, strict=True):
        assert fault.startswith(f"{path}: {start}")


def test_whole_ids_and_counts_must_be_whole(tmp_path: Path) -> None:
    lines = ["12,2026-01-05,1,1,0", "x,2026-01-05,1.5,,0"]
    path = written(tmp_path, *lines, header="account,at,done,people,sent")
    assert [
        fault.removeprefix(f"{path}: ").split(";")[0] for fault in faults_of(path, of_days(ids="whole"))
    ] == [
        "account: expected a whole number of at most 18 digits",
        "done: expected a whole number of at most 18 digits",
        "people: expected a value in each row",
    ]


def test_what_is_excluded_may_be_wrong(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, ",,x,yesterday,Bot")
    assert len(weekly_counts(path, contract(exclude={"kind": ["bot"]}))) == 1


def test_missing_columns_are_named_with_what_is_near(tmp_path: Path) -> None:
    path = written(tmp_path, "a,u1,login,2026-01-05,,", header="Account,who,name,time,kind,kind")
    faults = faults_of(path, contract(exclude={"kind": ["bot"]}))
    assert faults == [
        f"{path}: account: expected this column; found no such column; rename 'Account'",
        f"{path}: at: expected this column; found no such column; add it to the export",
        f"{path}: kind: expected one column of this name; found 2 of them; remove the others",
    ]


def test_a_module_without_events_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, GOOD, *["a,u1,Project.made,2026-01-05,"] * 2, "a,u1,,2026-01-05,")
    assert len(weekly_counts(path, contract())) == 1
    (record,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert "no event matches the patterns" in record.message
    assert record.__dict__["modules"] == ["projects", "boards"]
    assert record.__dict__["unmatched"] == ["'Project.made': 2", "no name: 1"]
    assert record.__dict__["unmatched_rows"] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04...", "found an Excel workbook"),
        (b"", "found an empty file"),
        (HEADER.replace(",", ";").encode() + b"\na;u1;x;2026-01-05;\n", "looks like ';'-separated"),
        (HEADER.encode("utf-16"), "found UTF-16"),
        (HEADER.encode() + b"\na,u1,\xe9,2026-01-05,\n", "expected UTF-8 text"),
    ],
)
def test_what_is_no_csv_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    assert said in "\n".join(faults_of(path, contract()))


@pytest.mark.parametrize("change", ["bom", "crlf", "folder", "quotes"])
def test_a_csv_of_a_spreadsheet_is_read(change: str, tmp_path: Path) -> None:
    folder = tmp_path / ("its [2026] * files" if change == "folder" else "plain")
    folder.mkdir()
    data = written(folder, GOOD, ' b ,"u, ""x""\ny",invoice.sent,2026-01-05,').read_bytes()
    if change == "bom":
        data = b"\xef\xbb\xbf" + data
    elif change == "crlf":
        data = data.replace(b"\n", b"\r\n")
    (folder / "events.csv").write_bytes(data)
    weekly = weekly_counts(folder / "events.csv", contract())
    assert weekly["id"].tolist() == ["a", "b"]
    assert weekly["users_invoices"].tolist() == [1, 1]


def test_a_file_that_is_no_parquet_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"PAR1 and no more")
    (fault,) = faults_of(path, contract())
    assert "expected a readable table" in fault


def test_times_of_another_type_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    columns = {"account": ["a"], "who": ["u"], "name": ["invoice.sent"], "at": [1_700_000_000]}
    parquet.write_table(pa.table(columns), path)
    (fault,) = faults_of(path, contract())
    assert fault.startswith(f"{path}: at: expected a timestamp")
    assert "found type BIGINT" in fault


def test_too_many_names_are_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversion.ingest.weekly_counts.MAX_EVENT_NAMES", 3)
    path = written(tmp_path, *(f"a,u,{at},2026-01-05," for at in range(4)))
    (fault,) = faults_of(path, contract())
    assert "name: expected at most 3 different names" in fault


def test_an_export_is_read_like_a_table_of_weeks(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "stranger,u1,invoice.sent,2026-01-05 10:00,")
    source = read_weekly_usage(tmp_path, contract())
    assert (source.file, source.faults) == (str(path), ())
    assert source.header.columns == tuple(source.columns) == ("account", "at", *contract().counts)
    # A company without a row is left to the checks across tables.
    assert source.columns["account"].to_pylist() == ["a", "stranger"]
    assert source.columns["at"].to_pylist() == [dt.datetime(2026, 1, 5)] * 2
    assert source.columns["actions_invoices"].to_pylist() == [1, 1]


def test_a_faulty_export_has_no_rows(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("2026", "26"))
    source = read_weekly_usage(tmp_path, contract())
    assert len(source.faults) == 1
    assert list(source.columns) == ["account", "at", *contract().counts]
    assert all(len(column) == 0 for column in source.columns.values())


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_chunks_are_the_whole_in_pieces(rows: int, tmp_path: Path) -> None:
    weeks = [f"{company},u,invoice.sent,2026-01-{day:02} 10:00," for company in "cab" for day in (5, 12, 19)]
    written(tmp_path, *weeks)
    whole = read_weekly_usage(tmp_path, contract())
    chunks = list(weekly_chunks(tmp_path, contract(), rows=rows))
    assert len(chunks) == -(-len(weeks) // rows)
    for name, column in whole.columns.items():
        assert [value for each in chunks for value in each.columns[name].to_pylist()] == column.to_pylist()
    labels = [each.label(row) for each in chunks for row in range(each.rows)]
    assert labels == [whole.label(row) for row in range(len(weeks))]
    assert all(each.header == whole.header for each in chunks)
    assert all(each.last_days == whole.last_days for each in chunks)


def test_chunks_of_a_faulty_export_say_what_the_whole_says(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("2026", "26"))
    (chunk,) = weekly_chunks(tmp_path, contract())
    assert chunk.rows == 0
    assert chunk.faults == read_weekly_usage(tmp_path, contract()).faults


def test_there_is_one_table(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"one of events\.csv and events\.parquet"):
        read_weekly_usage(tmp_path, contract())


def test_who_used_an_id_of_then_and_one_of_today_is_one_user(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "old,u1,invoice.sent,2024-03-18T09:00:00,person",
        "old,u2,invoice.sent,2024-03-19T09:00:00,person",
        "a,u1,invoice.sent,2024-03-20T09:00:00,person",
        "b,u1,invoice.sent,2024-03-20T09:00:00,person",
    )
    weeks = count_weeks(path, contract(), current={"old": "a", "older": "a"}).weeks
    assert weeks["id"].tolist() == ["a", "b"]
    assert weeks["actions_invoices"].tolist() == [3, 1]
    assert weeks["users_invoices"].tolist() == [2, 1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_folder_of_files_is_counted_like_one_file(tmp_path: Path, suffix: str) -> None:
    rows = [f"a,2020-01-0{day},{day},1,2" for day in (1, 2, 6, 7)]
    header = "account,at,done,people,sent"
    whole = weekly_counts(written(tmp_path, *rows, header=header), of_days())
    folder = tmp_path / "export" / "events"
    folder.mkdir(parents=True)
    for at in (0, 2):
        path = folder / f"data_{at}.csv"
        path.write_text("\n".join([header, *rows[at : at + 2], ""]), encoding="utf-8")
        if suffix == "parquet":
            pd.read_csv(path).to_parquet(path.with_suffix(".parquet"), index=False)
            path.unlink()
    system = fsspec.filesystem("memory")
    system.put(str(tmp_path / "export"), "/counted", recursive=True)
    table = tables_of(of_days())["events"]
    for place in (tmp_path / "export", place_of("memory://counted")):
        weeks = count_weeks(find_table(place, table), of_days()).weeks
        pd.testing.assert_frame_equal(weeks, whole)


def test_a_line_of_a_folder_is_named_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    for name, line in (("0.csv", "a,2020-01-01,1,1,1"), ("1.csv", "a,2020-01-01")):
        (folder / name).write_text(f"account,at,done,people,sent\n{line}\n", encoding="utf-8")
    table = tables_of(of_days())["events"]
    with pytest.raises(WeeklyCountsError, match=r"1 row \(1\.csv line 2\)"):
        count_weeks(find_table(tmp_path, table), of_days())
    (folder / "1.csv").write_text("account,at,done,sent\na,2020-01-01,1,1\n", encoding="utf-8")
    with pytest.raises(WeeklyCountsError, match=r"events/1\.csv: people: expected the columns as in 0\.csv"):
        count_weeks(find_table(tmp_path, table), of_days())


def test_without_names_of_events_all_rows_are_of_the_one_module(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a,u1,open,2024-01-01 09:00:00,x", "a,u2,,2024-01-02,x", "b,u1,shut,2024-01-09,x"
    )
    unnamed = contract(event=None, modules={"logins": {}})
    weeks = weekly_counts(path, unnamed)
    assert weeks["actions_logins"].tolist() == [2, 1]
    assert weeks["users_logins"].tolist() == [2, 1]
    excluded = contract(event=None, modules={"logins": {}}, exclude={"kind": ["x"]})
    found = "all columns: expected events of some module; found 0 of others, 3 excluded"
    assert faults_of(path, excluded) == [f"{path}: {found}; correct usage.exclude"]
