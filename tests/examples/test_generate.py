"""The examples' exports: the same bytes again, and what their descriptions say is in them."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.ingest.weekly_counts import weekly_counts
from conversion.runtime.files import write_parquet
from conversion.simulation.behaviour import NEVER
from examples import documents, generate, projects
from examples.product import History, draw_history
from tests.contract_files import ROOT

ACCOUNTS, WEEKS, SEED = 600, 40, 3
TAKEN = projects.FIRST_WEEK + 7 * (WEEKS - 1) + projects.TAKEN_ON


def contract(example: str) -> Contract:
    return load_contract(ROOT / f"examples/{example}.yaml")


@cache
def project_tables() -> dict[str, pd.DataFrame]:
    return projects.export(ACCOUNTS, WEEKS, SEED)


@cache
def document_tables() -> dict[str, pd.DataFrame]:
    return documents.export(ACCOUNTS, WEEKS, SEED)


@cache
def history() -> History:
    """Return what both exports write down: they draw it first, with the same generator."""
    return draw_history(ACCOUNTS, WEEKS, np.random.default_rng(SEED))


def generate_into(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, bytes]:
    monkeypatch.setattr(sys, "argv", ["generate", arguments[0], str(folder), *arguments[1:]])
    generate.main()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("example", generate.EXAMPLES)
def test_the_same_seed_writes_the_same_bytes(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = (example, "--accounts", "150", "--weeks", "20")
    first, again, other = (
        generate_into(tmp_path / folder, monkeypatch, *small, "--seed", seed)
        for folder, seed in (("first", "1"), ("again", "1"), ("other", "2"))
    )
    assert first == again
    assert {Path(name).stem for name in first} == set(contract(example).tables)
    assert all(first[name] != other[name] for name in first)


@pytest.mark.parametrize(
    "given", [("--accounts", "99"), ("--weeks", "19"), ("--seed", "-1"), ("--weeks", "x")]
)
def test_a_size_that_is_too_small_is_refused(
    given: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        generate_into(tmp_path, monkeypatch, "projects", *given)
    assert f"given {given[1]}, should be a whole number of at least" in capsys.readouterr().err


def local(log: pd.DataFrame) -> pd.Series:
    """Return the times of an event log in its product's zone."""
    return log["at"].dt.tz_convert(projects.ZONE).dt.tz_localize(None)


class TestProjects:
    def test_events_of_people_add_up_to_the_weekly_counts(self, tmp_path: Path) -> None:
        """Actions are those that happened, but for the limit; users are distinct."""
        tables, happened = project_tables(), history()
        log, created = tables["events"], tables["accounts"].set_index("account_id")["created"]
        newest = tables["merged"].set_index("old_id")["account"]
        log = log.assign(account=log["account"].replace(newest))
        early = local(log) < log["account"].map(pd.to_datetime(created))
        write_parquet(tmp_path / "events.parquet", log[~early])
        weekly = weekly_counts(tmp_path / "events.parquet", contract("projects"))
        whole = weekly[weekly["at"] < (TAKEN - projects.TAKEN_ON)]
        rows = (happened.users.sum(axis=1) > 0) & (happened.week < WEEKS - 1)
        users = happened.users[rows]
        most = projects.MOST_EVENTS_PER_USER * users
        actions = np.minimum(happened.actions[rows], most)
        assert len(whole) == rows.sum() > 500
        found = whole[list(contract("projects").counts)].to_numpy()
        expected = np.hstack([actions, users])
        assert sorted(map(tuple, found)) == sorted(map(tuple, expected))
        weeks, counts = np.unique(happened.week[rows], return_counts=True)
        assert whole.groupby("at").size().to_dict() == {
            pd.Timestamp(projects.FIRST_WEEK + 7 * week): count
            for week, count in zip(weeks, counts, strict=True)
        }

    def test_nothing_is_later_than_the_export(self) -> None:
        tables = project_tables()
        assert local(tables["events"]).max() < pd.Timestamp(TAKEN)
        assert local(tables["events"]).max() > pd.Timestamp(TAKEN - 1)
        last = f"{pd.Timestamp(TAKEN):%Y-%m-%d}"
        for table, column in (
            ("accounts", "created"),
            ("subscriptions", "started"),
            ("subscriptions", "ended"),
            ("plans", "since"),
        ):
            days = tables[table][column].dropna()
            assert len(days) > 10
            assert days.max() < last

    def test_ids_are_those_of_accounts_or_were_merged_into_them(self) -> None:
        tables = project_tables()
        ids, old = set(tables["accounts"]["account_id"]), set(tables["merged"]["old_id"])
        assert not ids & old
        assert set(tables["merged"]["account"]) <= ids
        assert set(tables["events"]["account"]) <= ids | old
        assert old <= set(tables["events"]["account"])
        assert set(tables["subscriptions"]["account"]) | set(tables["plans"]["account"]) <= ids

    def test_most_events_come_after_the_sign_up_and_are_a_persons(self) -> None:
        tables = project_tables()
        log = tables["events"]
        created = pd.to_datetime(tables["accounts"].set_index("account_id")["created"])
        early = (local(log) < log["account"].map(created)).sum()
        assert 0 < early < 0.001 * len(log)
        assert (log["actor"] != "person").mean() == pytest.approx(0.01, abs=0.002)
        assert set(log["actor"]) == {"person", "integration", "support"}

    def test_the_first_paid_day_is_the_conversion(self) -> None:
        subscriptions, happened = project_tables()["subscriptions"], history()
        paid = subscriptions[subscriptions["kind"] == "paid"]
        first = paid.groupby("account")["started"].min()
        taken = 7 * (WEEKS - 1) + projects.TAKEN_ON
        days = happened.converted[happened.converted < taken]
        expected = sorted(f"{pd.Timestamp(projects.FIRST_WEEK + day):%Y-%m-%d}" for day in days)
        assert sorted(first) == expected
        assert (paid["mrr"] > 0).all()
        assert (subscriptions.loc[subscriptions["kind"] == "trial", "mrr"] == 0).all()
        assert (paid.groupby("account").size() > 1).any()
        assert paid["ended"].notna().any()

    def test_the_plan_of_the_account_is_the_last_of_its_history(self) -> None:
        tables = project_tables()
        plans = tables["plans"]
        assert not plans.duplicated(["account", "since"]).any()
        last = plans.sort_values("since").groupby("account")["plan"].last()
        accounts = tables["accounts"].set_index("account_id")["plan"]
        pd.testing.assert_series_equal(last.sort_index(), accounts.sort_index(), check_names=False)
        assert set(plans["plan"]) == {"free", "trial", "team", "business"}
        created = tables["accounts"].set_index("account_id")["created"]
        pd.testing.assert_series_equal(
            plans.groupby("account")["since"].min(), created.sort_index(), check_names=False
        )


class TestDocuments:
    def test_days_add_up_to_the_weekly_counts(self) -> None:
        weekly = weekly_counts(pa.Table.from_pandas(document_tables()["daily_usage"]), contract("documents"))
        happened = history()
        assert len(weekly) == len(happened.week) > 500
        expected = np.hstack([happened.actions, happened.users[:, : len(documents.USERS)]])
        found = weekly[list(contract("documents").counts)].to_numpy()
        assert sorted(map(tuple, found)) == sorted(map(tuple, expected))

    def test_a_row_is_an_account_and_a_day_after_it_registered(self) -> None:
        tables = document_tables()
        usage = tables["daily_usage"]
        assert not usage.duplicated(["account", "day"]).any()
        registered = tables["accounts"].set_index("account")["registered"]
        assert (usage["day"] >= usage["account"].map(registered)).all()
        for actions, users in zip(documents.ACTIONS, documents.USERS, strict=False):
            assert (usage[actions] >= usage[users]).all()
            assert (usage[users] >= 0).all()
        assert (usage["files_exported"] >= 0).all()

    def test_storage_never_shrinks_and_the_largest_file_is_known_on_days_with_actions(self) -> None:
        usage = document_tables()["daily_usage"].sort_values(["account", "day"])
        assert (usage.groupby("account")["storage_gb"].diff().dropna() >= 0).all()
        acted = usage[list(documents.ACTIONS)].sum(axis=1) > 0
        assert usage["largest_file_mb"].notna().equals(acted)

    def test_conversions_are_those_that_happened_after_the_registration(self) -> None:
        accounts, happened = document_tables()["accounts"], history()
        converted = accounts.dropna(subset="converted")
        assert len(converted) == (happened.converted < NEVER).sum()
        assert (converted["converted"] >= converted["registered"]).all()
        assert converted["monthly_value"].notna().all()
        cancelled = accounts.dropna(subset="cancelled")
        assert len(cancelled) > 0
        assert (cancelled["cancelled"] > cancelled["converted"]).all()
