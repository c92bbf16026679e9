from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.ingest import date_checks
from conversion.runtime.errors import ExportError
from tests import exports
from tests.broken_exports import Tables, warnings_of
from tests.contract_files import hubspot, projects
from tests.event_exports import events, typed_events
from tests.exports import projects_export
from tests.memberships import memberships, memberships_export


def test_dates_in_the_wrong_order_are_counted_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    tables = exports.typed(projects_export(), projects())
    assert date_checks.check_dates(tables, projects()) == {
        "converted_before_signed_up": 0,
        "ended_before_converted": 0,
    }
    assert warnings_of(caplog) == []
    accounts = tables["accounts"].copy()
    ended = accounts.index[accounts["cancelled"].notna()]
    accounts.loc[ended[:2], "cancelled"] = accounts.loc[ended[:2], "paid_since"] - pd.Timedelta(days=1)
    accounts.loc[ended[2], "created"] = accounts.loc[ended[2], "paid_since"] + pd.Timedelta(days=1)
    assert date_checks.check_dates(tables | {"accounts": accounts}, projects()) == {
        "converted_before_signed_up": 1,
        "ended_before_converted": 2,
    }
    assert [(record.getMessage(), record.rows) for record in warnings_of(caplog)] == [  # type: ignore[attr-defined]
        ("some companies converted before they signed up: compare paid_since with created", 1),
        ("some companies ended before they converted: compare cancelled with paid_since", 2),
    ]


def test_dates_that_the_contract_does_not_record_are_not_compared(tables: Tables) -> None:
    assert date_checks.check_dates(tables, hubspot()) == {}


def test_dates_of_subscriptions_are_compared(caplog: pytest.LogCaptureFixture) -> None:
    tables = typed_events()
    assert date_checks.check_dates(tables, events()) == {
        "converted_before_signed_up": 0,
        "ended_before_converted": 0,
    }
    odd = tables["subscriptions"].assign(plan="team", paid="true")
    odd.loc[0, "ends"] = pd.Timestamp("2025-12-19")
    odd.loc[2, "starts"] = pd.Timestamp("2025-12-01")
    assert date_checks.check_dates(tables | {"subscriptions": odd}, events()) == {
        "converted_before_signed_up": 1,
        "ended_before_converted": 1,
    }
    assert [record.getMessage() for record in warnings_of(caplog)] == [
        "some companies converted before they signed up: compare starts with created",
        "some companies ended before they converted: compare ends with starts",
    ]


def test_dates_of_trials_are_no_conversions() -> None:
    tables = exports.typed(memberships_export(), memberships())
    right = date_checks.count_dates(tables, memberships())
    payments = tables["payments"].copy()
    trials = payments["kind"].isin(["Trial", "FREE month"])
    assert trials.any()
    payments.loc[trials, "from_day"] = pd.Timestamp("2001-01-01")
    payments.loc[trials, "to_day"] = pd.Timestamp("2000-12-01")
    assert date_checks.check_dates(tables | {"payments": payments}, memberships()) == right
    payments.loc[~trials, "from_day"] = pd.Timestamp("2001-01-01")
    found = date_checks.count_dates(tables | {"payments": payments}, memberships())
    assert found["converted_before_signed_up"] > right["converted_before_signed_up"]


def test_usage_before_the_week_of_the_sign_up_is_counted(tables: Tables, tmp_path: Path) -> None:
    assert date_checks.check_usage_before_sign_up(tables, hubspot(), tmp_path) == {}
    own = exports.typed(projects_export(), projects())
    week = own["weekly_usage"]["week"].iloc[0]
    company = own["weekly_usage"]["id"].iloc[0]
    accounts = own["accounts"].assign(created=pd.Timestamp("2019-01-01"))

    def signed_up(day: pd.Timestamp) -> dict[str, int]:
        accounts.loc[accounts["id"] == company, "created"] = day
        usage = own["weekly_usage"].head(1)
        tables = {"accounts": accounts, "weekly_usage": usage}
        found = date_checks.check_usage_before_sign_up(tables, projects(), tmp_path)
        return found["usage_before_sign_up"]

    for days, rows in ((-1, 0), (0, 0), (6, 0), (7, 1), (30, 1)):
        assert signed_up(week + pd.Timedelta(days=days)) == {"rows": rows, "companies": rows}
    assert signed_up(pd.NaT) == {"rows": 0, "companies": 0}


def signed_up_late(companies: int, usage_rows: int, late: int) -> Tables:
    """Give typed tables of companies with so many weeks of usage each, the first ``late`` before sign-up."""
    ids = [f"a{number:02d}" for number in range(companies)]
    weeks = [pd.Timestamp("2019-01-07") + pd.Timedelta(days=7 * week) for week in range(usage_rows)]
    created = weeks[0] + pd.Timedelta(days=7 * late)
    usage = pd.DataFrame([(each, week) for each in ids for week in weeks], columns=["id", "week"])
    return {"accounts": pd.DataFrame({"id": ids, "created": created}), "weekly_usage": usage}


def check_sign_ups(tables: Tables, contract: Contract | None = None) -> dict[str, Any]:
    return date_checks.check_usage_before_sign_up(tables, contract or projects(), Path("export"))


def test_usage_before_sign_up_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check_sign_ups(signed_up_late(30, 10, 0))
    assert warnings_of(caplog) == []
    found = check_sign_ups(signed_up_late(30, 10, 2))
    assert found == {"usage_before_sign_up": {"rows": 60, "companies": 30}}
    said: Any = warnings_of(caplog)[0]
    assert said.getMessage().startswith("usage of weeks before its company signed up is left out: ")
    assert "correct the days of created, or leave companies.signed_up out" in said.getMessage()
    assert (said.rows, said.of, said.companies) == (60, 300, 30)
    assert said.example == "account_id 'a00' signed up 2019-01-21, used in the week of 2019-01-07"


def test_too_much_usage_before_sign_up_is_refused_by_example(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ExportError) as error:
        check_sign_ups(signed_up_late(30, 10, 4))
    for part in (
        "export/accounts: created: expected at most a share of 0.3 of the usage",
        "120 of 300 rows of weekly_usage, of 30 companies",
        "account_id 'a00' signed up 2019-02-04, used in the week of 2019-01-07",
        "usage.before_sign_up to keep",
    ):
        assert part in str(error.value)
    check_sign_ups(signed_up_late(19, 10, 4))
    assert len(warnings_of(caplog)) == 1, "few companies are warned of"


def test_usage_before_sign_up_that_is_kept_is_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    keep = projects().usage.model_copy(update={"before_sign_up": "keep"})
    found = check_sign_ups(signed_up_late(30, 10, 9), projects().model_copy(update={"usage": keep}))
    assert found["usage_before_sign_up"]["rows"] == 270
    assert warnings_of(caplog) == []
