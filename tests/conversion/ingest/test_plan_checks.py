from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import yaml

from conversion.config.data_contract import Contract
from conversion.data.counts import added
from conversion.ingest.plan_checks import check_plans, count_plans, warn_of_plans
from tests.broken_exports import warnings_of
from tests.contract_files import ROOT, hubspot

LOG = [
    ("a", "free", "2020-01-06"),
    ("a", "pro", "2020-02-03"),
    ("a", "free", "2020-05-04"),
    ("b", "free", "2020-01-06"),
    ("b", "pro", "2020-02-03"),
    ("c", "pro", "2020-02-03"),
    ("c", "free", "2020-02-03"),
    ("d", "pro", "2020-01-06"),
    ("d", "free", "2020-03-02"),
    ("d", "pro", "2020-04-06"),
    ("e", "free", "2020-03-02"),
]


def plans(rows: list[tuple[str, str, str]] = LOG) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame(rows, columns=["id", "plan", "starts"])
    return {"subscriptions": table.assign(starts=pd.to_datetime(table["starts"]))}


def contract(**changed: Any) -> Contract:
    given = yaml.safe_load((ROOT / "tests/contracts/events.yaml").read_text(encoding="utf-8"))
    subscriptions = given["companies"]["subscriptions"]
    own = {"end": None, "value": None, "trials": {"plan": ["Free"]}} | changed
    return Contract.model_validate(
        given | {"companies": given["companies"] | {"subscriptions": subscriptions | own}}
    )


def test_companies_that_are_free_again_are_warned_of_where_nothing_ends_what_they_pay_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_plans(plans(), contract())
    (said,) = warnings_of(caplog)
    found: Any = said
    assert "set until: next_row" in said.getMessage()
    assert found.companies == 2, "a and d: rows of one day are in no order"
    assert found.example == "account 'a' has a row under trials of 2020-05-04"


@pytest.mark.parametrize("changed", [{"end": "ends"}, {"until": "next_row"}, {"trials": {}}])
def test_nothing_is_said_where_rows_end_or_none_are_trials(
    changed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    check_plans(plans(), contract(**changed))
    check_plans({}, hubspot())
    assert warnings_of(caplog) == []


def test_a_trial_before_what_is_paid_is_usual(caplog: pytest.LogCaptureFixture) -> None:
    check_plans(plans([row for row in LOG if row[0] in "bce"]), contract())
    assert warnings_of(caplog) == []


def test_parts_add_up_to_the_whole(caplog: pytest.LogCaptureFixture) -> None:
    parts = [
        count_plans(plans([row for row in LOG if row[0] in ids]), contract()) for ids in ("ab", "ce", "d")
    ]
    warn_of_plans(added(parts), contract())
    check_plans(plans(), contract())
    first, second = warnings_of(caplog)
    assert first.__dict__["companies"] == second.__dict__["companies"] == 2
    assert first.__dict__["example"] == second.__dict__["example"]
