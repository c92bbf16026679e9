from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from conversion.data.counts import added
from conversion.ingest.company_checks import check_contradictions, count_contradictions
from tests import exports
from tests.broken_exports import Tables, warnings_of
from tests.contract_files import projects
from tests.exports import projects_export


@pytest.fixture
def accounts() -> pd.DataFrame:
    return exports.typed(projects_export(), projects())["accounts"]


def with_rows(accounts: pd.DataFrame, rows: pd.DataFrame, **changed: Any) -> Tables:
    return {"accounts": pd.concat([accounts, rows.assign(**changed)], ignore_index=True)}


def test_rows_of_one_company_that_differ_are_warned_of(
    accounts: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    free = accounts[accounts["paid_since"].isna()].sort_values("id")
    check_contradictions(with_rows(accounts, accounts), projects())
    assert warnings_of(caplog) == [], "the same row twice"
    again = free[:3].assign(head_count=7777.0, owner=None)
    again.loc[again.index[1:], "created"] = pd.Timestamp("2018-06-01")
    check_contradictions(with_rows(accounts, again), projects())
    (said,) = warnings_of(caplog)
    found: Any = said
    assert said.getMessage().startswith("rows of one company contradict each other: one is kept by")
    assert (found.companies, found.columns) == (3, "created (2), head_count (3)")
    size = free["head_count"].iloc[0]
    lowest = min([str(size), "7777.0"]), max([str(size), "7777.0"])
    assert found.example == f"account_id '{free['id'].iloc[0]}': head_count '{lowest[0]}' and '{lowest[1]}'"


def test_a_paid_row_and_an_unpaid_one_are_compared(accounts: pd.DataFrame) -> None:
    paid = accounts[accounts["paid_since"].notna() & accounts["head_count"].notna()]
    unpaid = paid.assign(paid_since=pd.NaT, cancelled=pd.NaT, arr=None, head_count=7777.0)
    found = count_contradictions(with_rows(accounts, unpaid), projects())
    assert (found["companies"], found["columns"]) == (len(paid), {"head_count": len(paid)})


def test_a_later_conversion_may_differ_but_not_another_value_of_the_same(accounts: pd.DataFrame) -> None:
    paid = accounts[accounts["paid_since"].notna()]
    later = paid["paid_since"] + pd.Timedelta(days=100)
    found = count_contradictions(with_rows(accounts, paid, paid_since=later, arr=1.0), projects())
    assert found == {"companies": 0, "columns": {}, "examples": {}}
    found = count_contradictions(with_rows(accounts, paid, arr=1.0), projects())
    assert found["columns"] == {"arr": len(paid)}


def test_what_is_shown_of_a_company_stays_out_of_logs(accounts: pd.DataFrame) -> None:
    free = accounts[accounts["paid_since"].isna()].sort_values("id")
    found = count_contradictions(with_rows(accounts, free[:1], name="Jane Doe"), projects())
    assert found["columns"] == {"name": 1}
    assert list(found["examples"]) == [f"account_id '{free['id'].iloc[0]}': name"]


def test_parts_add_up_to_the_whole(accounts: pd.DataFrame) -> None:
    tables = with_rows(accounts, accounts, head_count=7777.0, name="another")["accounts"]
    last = tables["id"].str[-1]
    parts = [count_contradictions({"accounts": tables[last == digit]}, projects()) for digit in "0123456789"]
    together, whole = added(parts), count_contradictions({"accounts": tables}, projects())
    assert min(together.pop("examples")) == min(whole.pop("examples"))
    assert together == whole
