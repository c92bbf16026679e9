"""Lead lists worked out by hand, as the pages hold them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.pages.layout import Site
from conversion.pages.lead_table import LeadTable
from conversion.pages.list_page import AboutList
from tests.contract_files import hubspot, projects
from tests.records import lead_frame

AS_OF = dt.date(2020, 4, 27)
SITE = Site("")
ABOUT = AboutList(
    version="abc123", of_served_model=True, record="52 of 100 converted", horizon_days=30, currency="EUR"
)
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "{{ 7 * 7 }}",
    "x" * 500,
)
"""Names that must do no harm, wherever they are shown."""

COMPANIES: list[dict[str, Any]] = [
    {"id": "a", "name": "Zürich AG", "owner": "Ann", "country": "CH", "plan": "free", "head_count": 12.0},
    {"id": "b", "name": "acme", "owner": "Bo", "country": "US", "plan": "team", "is_partner": True},
    {"id": "c/ü 1", "name": None, "owner": None, "country": None, "plan": None},
    {
        "id": "..",
        "name": "Acme Two",
        "owner": "Ann",
        "country": "US",
        "plan": "business",
        "is_partner": False,
    },
]
SCORES: list[dict[str, Any]] = [
    {
        "probability": 0.5,
        "tier": "very_high",
        "expected_mrr": 10.0,
        "rank_before": 3,
        "probability_before": 0.2,
    },
    {"probability": 0.4, "tier": "high", "expected_mrr": 40.0, "rank_before": 1, "probability_before": 0.6},
    {"probability": 0.2, "tier": "medium", "expected_mrr": 20.0},
    {
        "probability": 0.004,
        "tier": "low",
        "expected_mrr": 30.0,
        "rank_before": 4,
        "probability_before": 0.004,
    },
]


def usage_frame(contract: Contract, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return clean usage rows; counts that a row leaves out are 0."""
    columns = ["id", contract.usage.time, *contract.counts]
    table = pd.DataFrame([dict.fromkeys(contract.counts, 0) | row for row in rows], columns=columns)
    days = pd.to_datetime(table[contract.usage.time]).astype("datetime64[s]")
    return table.astype(dict.fromkeys(contract.counts, "int64")).assign(**{contract.usage.time: days})


def projects_list(
    changed: list[dict[str, Any]] | None = None, usage: list[dict[str, Any]] | None = None
) -> LeadTable:
    """Return a list of four accounts, or of others with the same scores."""
    companies = COMPANIES if changed is None else changed
    rows = [dict(score) | company for score, company in zip(SCORES * len(companies), companies, strict=False)]
    leads = typed(lead_frame(projects(), rows), projects())
    return LeadTable(leads, usage_frame(projects(), USAGE if usage is None else usage), projects(), AS_OF)


USAGE = [
    {"id": "a", "week": "2020-04-13", "projects_actions": 5, "projects_users": 2, "automation_runs": 1},
    {"id": "a", "week": "2020-04-20", "projects_actions": 9, "projects_users": 3},
    {"id": "b", "week": "2019-01-07", "invoices_sent": 4, "invoices_users": 1},
]


def typed(leads: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return leads with the types that reading a list gives them."""
    texts = [
        "tier",
        *contract.companies.shown,
        *contract.group_columns,
        "last_active_week",
        "caution",
        "evidence",
    ]
    texts += ["reason_1", "reason_2", "reason_3"]
    numbers = ["probability_before", "rank_before", "expected_mrr"]
    flags = [name for name, each in contract.companies.attributes.items() if each.kind == "flag"]
    return leads.astype(
        dict.fromkeys(texts, "str") | dict.fromkeys(numbers, "float64") | dict.fromkeys(flags, "boolean")
    )


def plain_list(count: int = 3) -> LeadTable:
    """Return a list of companies with whole ids and no name."""
    rows = [{"id": 100 + place, "EMPLOYEE_RANGE": "2 to 5", "sector": "Retail"} for place in range(count)]
    leads = typed(lead_frame(hubspot(), rows), hubspot())
    return LeadTable(leads, usage_frame(hubspot(), []), hubspot(), AS_OF)
