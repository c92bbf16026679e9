from __future__ import annotations

import pandas as pd
import pytest

from conversion.ingest import date_checks
from tests import exports
from tests.broken_exports import Tables, warnings_of
from tests.contract_files import hubspot, projects
from tests.event_exports import events, typed_events
from tests.exports import projects_export


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
    odd = tables["subscriptions"].copy()
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


def test_usage_before_the_week_of_the_sign_up_is_counted(tables: Tables) -> None:
    assert date_checks.check_usage_before_sign_up(tables, hubspot()) == {}
    own = exports.typed(projects_export(), projects())
    week = own["weekly_usage"]["week"].iloc[0]
    company = own["weekly_usage"]["id"].iloc[0]
    accounts = own["accounts"].assign(created=pd.Timestamp("2019-01-01"))

    def signed_up(day: pd.Timestamp) -> dict[str, int]:
        accounts.loc[accounts["id"] == company, "created"] = day
        usage = own["weekly_usage"].head(1)
        tables = {"accounts": accounts, "weekly_usage": usage}
        return date_checks.check_usage_before_sign_up(tables, projects())["usage_before_sign_up"]

    for days, rows in ((-1, 0), (0, 0), (6, 0), (7, 1), (30, 1)):
        assert signed_up(week + pd.Timedelta(days=days)) == {"rows": rows, "companies": rows}
    assert signed_up(pd.NaT) == {"rows": 0, "companies": 0}
