from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.config.attribute_kinds import Category, Date, Ordered
from conversion.config.data_contract import Contract
from conversion.ingest.draft import Draft
from conversion.ingest.draft_columns import describe
from conversion.ingest.draft_events import excluded_rows, patterns_of
from conversion.ingest.export import read_export
from tests.drafts import Tables, drafted

DAY = pd.Timestamp("2025-01-06")


def days(rng: np.random.Generator, rows: int) -> pd.Series:
    return pd.Series((DAY + pd.to_timedelta(rng.integers(0, 90, rows), unit="D")).strftime("%Y-%m-%d"))


def events_export(seed: int = 0, companies: int = 80) -> Tables:
    """Accounts without a date of conversion, subscriptions, changes of plan, and a log of events."""
    rng = np.random.default_rng(seed)
    ids = [f"acc-{number:03d}" for number in rng.permutation(companies)]
    accounts = pd.DataFrame(
        {
            "account_id": ids,
            "signed_up_on": days(rng, companies),
            "founded": [f"{year}-05-01" for year in rng.integers(1980, 2020, companies)],
            "country": rng.choice(["Chile", "Norway", "Japan"], companies),
        }
    )
    starts = days(rng, 50)
    subscriptions = pd.DataFrame(
        {
            "subscription_id": range(50),
            "account_id": rng.choice(ids, 50),
            "start_date": starts,
            "end_date": pd.Series("2025-06-01", index=range(50)).where(rng.random(50) < 0.3),
            "mrr": rng.integers(10, 900, 50),
            "plan": rng.choice(["trial", "team", "business"], 50),
        }
    )
    history = pd.DataFrame(
        {
            "account_id": [*ids, *ids[:30]],
            "valid_from": days(rng, companies + 30),
            "segment": rng.choice(["smb", "mid market", "enterprise"], companies + 30),
        }
    )
    rows = companies * 20
    seconds = rng.integers(0, 90 * 86_400, rows)
    log = pd.DataFrame(
        {
            "event_id": [f"e{at}" for at in range(rows)],
            "account_id": rng.choice(ids, rows),
            "user_id": [f"u{at}" for at in rng.integers(0, 300, rows)],
            "event_name": rng.choice(["project.made", "project.seen", "invoice.sent", "board.made"], rows),
            "occurred_at": (DAY + pd.to_timedelta(seconds, unit="s")).strftime("%Y-%m-%d %H:%M:%S"),
            "agent": rng.choice(["web", "app", "bot"], rows),
            "storage_gb": np.round(rng.random(rows) * 9, 2),
        }
    )
    return {"accounts": accounts, "subscriptions": subscriptions, "account_history": history, "log": log}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Contract, Draft, Path]:
    folder = tmp_path_factory.mktemp("export")
    return *drafted(folder, events_export()), folder


def test_a_log_of_events_is_found(found: tuple[Contract, Draft, Path]) -> None:
    usage = found[0].usage
    assert (usage.table, usage.id, usage.time, usage.grain) == ("log", "account_id", "occurred_at", "event")
    assert (usage.event, usage.user) == ("event_name", "user_id")
    assert usage.exclude == {"agent": ("bot",)}
    assert {name: module.events for name, module in usage.modules.items()} == {
        "project": ("project.*",), "invoice": ("invoice.*",), "board": ("board.*",)
    }  # fmt: skip
    assert [(each.column, each.combine) for each in usage.measures.values()] == [("storage_gb", "last")]


def test_subscriptions_are_found(found: tuple[Contract, Draft, Path]) -> None:
    companies, draft = found[0].companies, found[1]
    assert list(companies.tables) == ["accounts"]
    assert companies.subscriptions is not None
    assert companies.subscriptions.model_dump() == {
        "table": "subscriptions",
        "id": "account_id",
        "start": "start_date",
        "end": "end_date",
        "value": "mrr",
        "until": "end",
        "trials": {"plan": ("trial",)},
    }
    assert (companies.signed_up, companies.converted) == ("signed_up_on", "converted")
    assert not [note for note in draft.notes if note.startswith(("converted", "ended", "value", "table "))]


def test_dates_and_histories_are_attributes(found: tuple[Contract, Draft, Path]) -> None:
    attributes = found[0].companies.attributes
    assert list(attributes) == ["signed_up_on", "founded", "country", "segment"]
    assert isinstance(attributes["founded"], Date)
    segment = attributes["segment"]
    assert isinstance(segment, Category | Ordered)
    assert segment.history is not None
    assert (segment.history.table, segment.history.valid_from) == ("account_history", "valid_from")


def test_each_guess_has_a_comment(found: tuple[Contract, Draft, Path]) -> None:
    lines = found[1].text.splitlines()
    plain = ("id:", "table:", "agent")
    for place, line in enumerate(lines):
        if not line.startswith("  ") or line.lstrip().startswith(("#", *plain)) or line.endswith(":"):
            continue
        assert lines[place - 1].lstrip().startswith("#") or "  # " in line, line


def test_the_export_is_read_by_its_draft(found: tuple[Contract, Draft, Path]) -> None:
    contract, _, folder = found
    export = read_export(folder, contract)
    assert list(export.tables) == ["accounts", "log", "subscriptions", "account_history"]
    assert len(export.tables["log"]) > 300


def test_a_date_of_conversion_goes_before_subscriptions(tmp_path: Path) -> None:
    tables = events_export()
    converted = days(np.random.default_rng(1), 80).where(np.arange(80) % 3 == 0)
    tables["accounts"] = tables["accounts"].assign(paid_since=converted)
    contract, draft = drafted(tmp_path, tables)
    assert contract.companies.subscriptions is None
    assert contract.companies.converted == "paid_since"
    assert any(note.startswith("table subscriptions: not used") for note in draft.notes)


def test_what_tells_who_subscribed_is_left_out(tmp_path: Path) -> None:
    tables = events_export()
    paid = tables["subscriptions"]
    customers = set(paid.loc[paid["plan"] != "trial", "account_id"])
    known = tables["accounts"]["account_id"].isin(customers)
    seats = pd.Series(np.arange(80) % 7, index=known.index).where(known)
    tables["accounts"] = tables["accounts"].assign(seats=seats, paid_on="2025-02-01", last_login="2025-03-01")
    contract, draft = drafted(tmp_path, tables)
    assert not {"seats", "paid_on", "last_login"} & {*contract.companies.attributes}
    assert "# - seats: only companies that have converted have it" in draft.text


def test_days_are_a_grain(tmp_path: Path) -> None:
    tables = events_export()
    rng = np.random.default_rng(2)
    rows = 2000
    daily = pd.DataFrame(
        {
            "account_id": rng.choice(tables["accounts"]["account_id"], rows),
            "day": days(rng, rows),
            "invoices_sent": rng.integers(0, 9, rows),
            "storage": np.round(rng.random(rows), 2),
            "is_internal": rng.choice(["yes", "no"], rows, p=[0.1, 0.9]),
        }
    ).drop_duplicates(["account_id", "day"])
    contract, draft = drafted(
        tmp_path, {"accounts": tables["accounts"], "daily": daily, "subscriptions": tables["subscriptions"]}
    )
    assert contract.usage.grain == "day"
    assert contract.actions == ("invoices_sent",)
    assert contract.usage.exclude == {"is_internal": ("yes",)}
    assert [each.column for each in contract.usage.measures.values()] == ["storage"]
    assert any("load adds them up" in note for note in draft.notes)
    assert read_export(tmp_path, contract).last_days is not None


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["a.x", "a.y", "b.x", "b.y"], {"a": ["a.*"], "b": ["b.*"]}),
        (
            ["made_plan", "made_task", "seen_plan", "seen_task", "sent_plan"],
            {"plan": ["*_plan"], "task": ["*_task"]},
        ),
        (["task made", "task seen", "plan made", "task sent"], {"task": ["task *"], "plan": ["plan *"]}),
        (["login", "invite"], {"invite": ["invite"], "login": ["login"]}),
        (
            ["a:x", "a:y", "b:z", "c:x", "login"],
            {"a": ["a:*"], "b": ["b:*"], "c": ["c:*"], "login": ["login"]},
        ),
        (["a.[x]", "b*"], {"a.[x]": ["a.[[]x]"], "b*": ["b[*]"]}),
    ],
)  # fmt: skip
def test_names_of_events_are_grouped(names: list[str], patterns: dict[str, list[str]]) -> None:
    assert patterns_of(describe("event", pd.Series(names))) == patterns


def test_rows_of_bots_and_staff_are_found() -> None:
    columns = {
        name: describe(name, pd.Series(values * 5))
        for name, values in {
            "kind": ["Bot", "person"],
            "is_staff": ["true", "false"],
            "agent": ["web", "app"],
            "all": ["test", "test"],
        }.items()
    }
    assert excluded_rows(columns) == {"kind": ["Bot"], "is_staff": ["true"]}


def test_a_subscription_is_from_and_to(tmp_path: Path) -> None:
    tables = events_export()
    tables["subscriptions"] = tables["subscriptions"].rename(columns={"start_date": "From", "end_date": "To"})
    subscriptions = drafted(tmp_path, tables)[0].companies.subscriptions
    assert subscriptions is not None
    assert (subscriptions.start, subscriptions.end) == ("From", "To")


def test_a_total_is_no_end_of_a_subscription(tmp_path: Path) -> None:
    tables = events_export()
    tables["subscriptions"] = tables["subscriptions"].rename(columns={"end_date": "total_counted_on"})
    contract, draft = drafted(tmp_path, tables)
    assert contract.companies.subscriptions is not None
    assert contract.companies.subscriptions.end is None
    assert any(note.startswith("subscriptions.end: no such column was found; ") for note in draft.notes)


def test_in_a_log_of_changes_of_plan_the_next_row_ends_one(tmp_path: Path) -> None:
    tables = events_export()
    log = tables.pop("subscriptions")[["account_id", "plan", "start_date"]]
    log = log.rename(columns={"start_date": "since"}).replace({"plan": {"trial": "free"}})
    contract, draft = drafted(tmp_path, {**tables, "plan_changes": log})
    subscriptions = contract.companies.subscriptions
    assert subscriptions is not None
    assert subscriptions.model_dump() == {
        "table": "plan_changes", "id": "account_id", "start": "since", "end": None, "value": None,
        "until": "next_row", "trials": {"plan": ("free",)},
    }  # fmt: skip
    assert contract.companies.ended == "ended"
    assert (
        "subscriptions.end: no such column was found; until: next_row lets a company's next row end one"
    ) in draft.notes


def test_without_rows_that_nobody_paid_for_no_row_ends_another(tmp_path: Path) -> None:
    tables = events_export()
    log = tables.pop("subscriptions")[["account_id", "plan", "start_date"]]
    log = log.rename(columns={"start_date": "since"}).replace({"plan": {"trial": "basic"}})
    contract, draft = drafted(tmp_path, {**tables, "plan_changes": log})
    assert contract.companies.subscriptions is not None
    assert (contract.companies.subscriptions.until, contract.companies.ended) == ("end", None)
    assert "subscriptions.end: no such column was found; null means that it is not recorded" in draft.notes


def test_dates_of_subscriptions_that_load_does_not_read_are_noted(tmp_path: Path) -> None:
    tables = events_export()
    starts = pd.to_datetime(tables["subscriptions"]["start_date"])
    tables["subscriptions"] = tables["subscriptions"].assign(start_date=starts.dt.strftime("%m/%d/%Y"))
    draft = drafted(tmp_path, tables)[1]
    assert "subscriptions: start_date: dates like 12/31/2019; load reads dates like 2019-12-31" in draft.notes


def zoned(tables: Tables) -> Tables:
    """Give all dates but those of events a time of day and an offset, as warehouses write them."""
    dates = {
        "accounts": ["signed_up_on", "founded"],
        "subscriptions": ["start_date", "end_date"],
        "account_history": ["valid_from"],
    }
    found = dict(tables)
    for name, columns in dates.items():
        for column in columns:
            days = found[name][column]
            found[name] = found[name].assign(**{column: (days + "T01:30:00+02:00").where(days.notna())})
    return found


def test_dates_with_a_zone_are_attributes_that_load_reads(tmp_path: Path) -> None:
    tables = events_export()
    plain, _ = drafted(tmp_path / "plain", tables)
    contract, draft = drafted(tmp_path / "zoned", zoned(tables))
    assert contract.companies == plain.companies
    assert not [note for note in draft.notes if "load reads dates like" in note]
    assert len([note for note in draft.notes if "load converts them to usage.time_zone" in note]) >= 3
    before = read_export(tmp_path / "plain", contract).tables
    read = read_export(tmp_path / "zoned", contract).tables
    for name in ("signed_up_on", "founded"):  # 01:30 with this offset is the day before in UTC
        assert ((before["accounts"][name] - read["accounts"][name]) == pd.Timedelta(days=1)).all()
    moved = before["account_history"]["valid_from"] - read["account_history"]["valid_from"]
    assert (moved == pd.Timedelta(minutes=30)).all()


@pytest.mark.parametrize("word", ["trial_expired", "14-day trial", "Trialing", "incomplete_expired"])
def test_what_nobody_pays_for_is_found_in_other_words(word: str, tmp_path: Path) -> None:
    tables = events_export()
    subscriptions = tables["subscriptions"].drop(columns="plan", errors="ignore")
    status = pd.Series("active", index=subscriptions.index).where(subscriptions.index % 4 != 0, word)
    tables["subscriptions"] = subscriptions.assign(status=status)
    found = drafted(tmp_path, tables)[0].companies.subscriptions
    assert found is not None
    assert found.trials["status"] == (word,)


def test_several_rows_of_a_day_are_noted(tmp_path: Path) -> None:
    tables = events_export()
    rng = np.random.default_rng(2)
    rows = 2000
    tables["daily"] = pd.DataFrame(
        {
            "account_id": rng.choice(tables["accounts"]["account_id"][:20], rows),
            "user": rng.choice(["u1", "u2", "u3"], rows),
            "day": days(rng, rows),
            "invoices_sent": rng.integers(0, 9, rows),
        }
    )
    del tables["log"]
    contract, draft = drafted(tmp_path, tables)
    assert contract.usage.grain == "day"
    assert any("of the rows repeat a company and day" in note for note in draft.notes)


def test_load_converts_the_zones_of_events_as_the_draft_says(tmp_path: Path) -> None:
    tables = events_export()
    log = tables["log"]
    tables["log"] = log.assign(occurred_at=log["occurred_at"].str.replace(" ", "T") + "+01:00")
    contract, draft = drafted(tmp_path, tables)
    assert (
        "occurred_at: times with a time zone; load converts them to usage.time_zone: set it to the zone in "
        "which your weeks begin"
    ) in draft.notes
    assert len(read_export(tmp_path, contract).tables["log"]) > 300


@pytest.mark.parametrize(
    ("layout", "example"),
    [
        ("%m/%d/%Y %H:%M", "12/31/2019 14:05"),
        ("%d.%m.%Y %H:%M:%S", "31.12.2019 14:05:59"),
        ("%m/%d/%Y %I:%M %p", "12/31/2019 2:05 PM"),
    ],
)
def test_events_at_times_of_other_countries_are_usage(layout: str, example: str, tmp_path: Path) -> None:
    tables = events_export()
    times = pd.to_datetime(tables["log"]["occurred_at"]).dt.strftime(layout)
    tables["log"] = tables["log"].assign(occurred_at=times)
    contract, draft = drafted(tmp_path, tables)
    assert (contract.usage.table, contract.usage.time, contract.usage.grain) == (
        "log",
        "occurred_at",
        "event",
    )
    assert f"occurred_at: times like {example}; load reads times like 2019-12-30 00:00:00" in draft.notes
