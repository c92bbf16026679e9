"""Weekly usage of the example contracts, worked out by hand from exports of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from stages import clean, load
from tests.contract_files import ROOT
from tests.pipeline import PARAMS

EVENTS = """\
at,account,user,actor,name
2024-03-18T08:00:00Z,b-1,u7,person,report.viewed
2024-03-19T09:00:00Z,a-1,u1,person,invoice.drafted
2024-03-19T09:30:00Z,old-a,u1,person,invoice.drafted
2024-03-20T09:30:00Z,old-a,u2,person,invoice.sent
2024-03-24T22:59:59Z,a-1,u1,person,project.created
2024-03-24T23:00:00Z,a-1,u1,person,project.created
2024-03-26T12:00:00Z,b-1,,person,automation.ran
2024-03-26T13:00:00Z,b-1,u9,person,automation.ran
2024-03-26T14:00:00Z,b-1,u9,person,automation.edited
2024-03-27T10:00:00Z,a-1,u1,person,task.added
2024-03-27T10:00:00Z,a-1,u1,person,task.added
2024-03-28T10:00:00Z,a-1,u2,person,task.completed
2024-03-28T11:00:00Z,a-1,u2,person,invoice.sent
2024-03-28T11:00:00Z,a-1,-,integration,invoice.sent
2024-03-29T11:00:00Z,a-1,-,Support,report.viewed
2024-03-29T12:00:00Z,a-1,u3,person,session.started
2024-03-31T21:59:59Z,a-1,u3,person,invoice.paid
2024-03-31T22:00:00Z,a-1,u3,person,invoice.paid
2024-04-02T08:00:00Z,c-1,u5,person,report.shared
2024-04-03T08:00:00Z,b-1,u9,person,project.updated
"""
"""Berlin is an hour ahead of UTC until 2024-03-31 at 01:00Z, then two."""
PROJECTS = {
    "events": EVENTS,
    "accounts": """\
account_id,created,name,country,plan,head_count,is_partner,owner
a-1,2024-01-10,A,DE,free,12,no,Ann
b-1,2024-02-11,B,FR,free,3,yes,
c-1,2024-03-01,C,,free,,no,Ann
""",
    "subscriptions": """\
account,kind,started,ended,mrr
c-1,trial,2024-03-20,2024-03-27,0
c-1,paid,2024-03-27,,90
""",
    "plans": """\
account,since,plan
a-1,2024-01-10,free
b-1,2024-02-11,free
c-1,2024-03-01,free
c-1,2024-03-20,trial
c-1,2024-03-27,team
""",
    "merged": "old_id,account\nold-a,a-1\n",
}

# id, week, then projects, automations, invoices, reports: actions, users
EXPECTED_PROJECTS = [
    # old-a is a-1 by now, and u1 one user of both.
    ("a-1", "2024-03-18", (1, 0, 3, 0), (1, 0, 2, 0)),
    ("a-1", "2024-03-25", (4, 0, 2, 0), (2, 0, 2, 0)),
    ("a-1", "2024-04-01", (0, 0, 1, 0), (0, 0, 1, 0)),
    ("b-1", "2024-03-18", (0, 0, 0, 1), (0, 0, 0, 1)),
    ("b-1", "2024-03-25", (0, 3, 0, 0), (0, 1, 0, 0)),
    ("b-1", "2024-04-01", (1, 0, 0, 0), (1, 0, 0, 0)),
    ("c-1", "2024-04-01", (0, 0, 0, 1), (0, 0, 0, 1)),
]

DAILY = """\
account,day,documents_edited,documents_users,signatures_requested,signatures_users,templates_used,\
templates_users,files_exported,storage_gb,largest_file_mb
7,2023-10-08,2,1,3,3,0,0,0,1.5,
7,2023-10-02,5,2,0,0,1,1,3,1,4.5
7,2023-10-04,1,1,0,0,0,0,0,9,4
8,2023-10-05,0,0,0,0,0,0,0,0.2,
9,2023-10-06,1,1,1,1,1,1,1,0.3,0.1
7,2023-10-10,1,1,0,0,0,0,0,,2
7,2023-10-09,1,1,0,0,0,0,0,2.5,
8,2023-10-11,4,4,0,0,0,0,2,,
"""
DOCUMENTS = {
    "daily_usage": DAILY,
    "accounts": """\
account,company,registered,converted,cancelled,monthly_value,employees,region,found_by,verified
7,Seven,2023-09-01,,,,7,South,search,2023-09-03
8,Eight,2023-09-01,,,,,n/a,,
9,Nine,2023-09-11,2023-10-03,,80.5,1200,West,event,
""",
}
# id, week, then documents, signatures, templates, exports: actions; users of the first three; GB, MB
EXPECTED_DOCUMENTS = [
    ("7", "2023-10-02", (8, 3, 1, 3), (2, 3, 1), 1.5, 4.5),
    ("7", "2023-10-09", (2, 0, 0, 0), (1, 0, 0), 2.5, 2.0),
    ("8", "2023-10-02", (0, 0, 0, 0), (0, 0, 0), 0.2, None),
    ("8", "2023-10-09", (4, 0, 0, 2), (4, 0, 0), None, None),
    ("9", "2023-10-02", (1, 1, 1, 1), (1, 1, 1), 0.3, 0.1),
]


def cleaned(
    example: str, tables: dict[str, str], as_of: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> pd.DataFrame:
    """Load and clean an export of text; return the clean usage table."""
    export = folder / "export"
    export.mkdir()
    for name, text in tables.items():
        (export / f"{name}.csv").write_text(text, encoding="utf-8")
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["data"] |= {"dir": "export", "contract": str(ROOT / f"examples/{example}.yaml"), "as_of": as_of}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.chdir(folder)
    load.main()
    clean.main()
    return pd.read_parquet("data/clean/usage.parquet")


def rows(usage: pd.DataFrame, time: str, *groups: int) -> list[tuple[Any, ...]]:
    """Return usage rows, sorted, with the counts of each group together; NaN is None."""
    assert usage[time].dt.day_of_week.eq(0).all()
    found = []
    for company, week, *values in usage.sort_values(["id", time]).itertuples(index=False):
        known = [None if pd.isna(value) else value for value in values]
        counts = []
        for size in groups:
            counts.append(tuple(known[:size]))
            known = known[size:]
        found.append((str(company), f"{week:%Y-%m-%d}", *counts, *known))
    return found


def test_events_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = cleaned("projects", PROJECTS, "2024-04-08", tmp_path, monkeypatch)
    assert rows(usage, "at", 4, 4) == EXPECTED_PROJECTS


def test_days_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = cleaned("documents", DOCUMENTS, "2023-10-16", tmp_path, monkeypatch)
    assert rows(usage, "day", 4, 3) == EXPECTED_DOCUMENTS
