"""The list of a company with its own tables: text ids, columns to show, flags, dates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.config.data_contract import LISTED
from conversion.config.params import Tiers
from conversion.leads.lead_list import lead_columns, lead_list, mrr_of
from tests.contract_files import hubspot, projects
from tests.conversion.leads.accounts import (
    INVOICES,
    PLAN,
    PROSPECTS,
    accounts,
    changed,
    given_model,
    weekly_usage,
)

TIERS = Tiers(very_high=50.0, high=20.0, medium=5.0)
REGION = {"name": "region", "description": "part of the world"}
SNAPSHOTS = pd.DataFrame({"id": pd.Series(PROSPECTS, dtype="str")})


def leads_of(model: Any, companies: pd.DataFrame) -> pd.DataFrame:
    return lead_list(model, SNAPSHOTS, companies, weekly_usage(), TIERS, 1e-9)


def test_the_columns_are_those_of_the_contract() -> None:
    assert lead_columns(hubspot()) == (
        *("rank", "id", "probability", "tier", "expected_mrr", "ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY"),
        *("sector", "last_active_week", "last_week_actions", "last_week_users"),
        *("reason_1", "reason_2", "reason_3"),
    )
    assert lead_columns(projects()) == (
        *("rank", "id", "probability", "tier", "expected_mrr", "name", "owner"),
        *("country", "plan", "head_count", "is_partner"),
        *("last_active_week", "last_week_actions", "last_week_users", "reason_1", "reason_2", "reason_3"),
    )


def test_no_column_of_a_company_can_be_called_as_one_of_the_list() -> None:
    own = {"id", *hubspot().company_columns(), "sector"}
    assert set(lead_columns(hubspot())) - own == set(LISTED) - {"reasons", "usage"}


def test_what_the_contract_lacks_is_left_out() -> None:
    def without_value(contract: dict[str, Any]) -> None:
        contract["companies"]["value"] = None

    def without_users(contract: dict[str, Any]) -> None:
        for module in contract["usage"]["modules"].values():
            module["users"] = None

    contract = changed(without_value, without_users)
    leads = lead_list(given_model(contract), SNAPSHOTS, accounts(contract), weekly_usage(), TIERS, 10.0)
    assert tuple(leads) == lead_columns(contract)
    assert {*lead_columns(projects())} - {*leads} == {"expected_mrr", "last_week_users"}
    assert leads.set_index("id")["last_week_actions"].dropna().to_dict() == {"007": 4, "acme-1": 4}


def test_a_list_by_hand() -> None:
    leads = leads_of(given_model(), accounts()).set_index("id")
    assert leads.index.tolist() == ["0042", "007", "=1+1", "acme-1"]
    assert leads["rank"].tolist() == [1, 2, 3, 4]
    assert leads["tier"].tolist() == ["very_high", "very_high", "high", "low"]
    assert leads["name"].tolist()[1:] == ['Müller, Söhne & Co. "M"', " kept ", "=SUM(A1)"]
    assert leads["head_count"].fillna(-1).tolist() == [1, 12, 4000, -1]
    assert leads["is_partner"].tolist() == [False, True, pd.NA, False]
    assert leads["last_active_week"].fillna("").tolist() == ["", "2020-02-03", "", "2020-02-03"]
    assert leads["last_week_actions"].fillna(-1).tolist() == [-1, 4, -1, 4]
    assert leads["last_week_users"].fillna(-1).tolist() == [-1, 2, -1, 0]
    assert leads[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist() == [
        ["+ actions in Invoices, last 4 weeks: 7", "+ plan: business", "+ the head count is missing: no"],
        ["+ employees: 12", "- plan: free", "+ country: DE"],
        ["- employees: 4,000", "- is_partner: not known", "+ plan: not known"],
        ["+ the head count is missing: yes", "- country: Unknown", "+ plan: team"],
    ]


def test_no_reason_says_what_is_only_shown() -> None:
    companies = accounts()
    leads = leads_of(given_model(), companies)
    others = leads_of(given_model(), companies.assign(name="Other", owner="Other"))
    reasons = ["probability", "reason_1", "reason_2", "reason_3"]
    pd.testing.assert_frame_equal(leads[reasons], others[reasons])
    assert not leads["reason_1"].str.contains("Müller|Ann|SUM").any()


def test_what_is_not_applicable_is_shown_as_exported_and_a_date_as_a_day() -> None:
    def edit(contract: dict[str, Any]) -> None:
        contract["companies"]["attributes"] = {
            "head_count": {"kind": "number", "not_applicable": 4000},
            "first_invoice": {"kind": "date"},
            "budget": {"kind": "ordered", "cuts": [10, 100]},
            "country": {"kind": "category", "groups": {"Europe": ["DE", "FR"]}, "feature": REGION},
        }

    contract = changed(edit)
    days = pd.to_datetime(pd.Series(["2020-01-31", None, "2019-12-24", *[None] * 4]))
    companies = accounts(contract, first_invoice=days, budget=[5.0, np.nan, 10.0, 250.0, *[np.nan] * 3])
    leads = leads_of(given_model(contract, (INVOICES,)), companies).set_index("id").loc[list(PROSPECTS)]
    assert lead_columns(contract)[7:12] == ("head_count", "first_invoice", "budget", "country", "region")
    assert leads["head_count"].fillna(-1).tolist() == [12, -1, 4000, 1]
    assert leads["first_invoice"].fillna("").tolist() == ["2020-01-31", "", "2019-12-24", ""]
    assert leads["budget"].fillna(-1).tolist() == [5, -1, 10, 250]
    assert leads["country"].fillna("").tolist() == ["DE", "", "FR", "DE"]
    assert leads["region"].tolist() == ["Europe", "Unknown", "Europe", "Europe"]


def test_a_model_of_few_features_has_fewer_reasons() -> None:
    leads = leads_of(given_model(features=(PLAN,)), accounts()).set_index("id")
    assert leads.loc["0042", "reason_1"] == "+ plan: business"
    assert leads[["reason_2", "reason_3"]].isna().all(axis=None)


# Revenue


def test_the_first_ordered_attribute_says_what_mrr_to_expect() -> None:
    """Without a prior: team has 100 and 400, so 250, and free 900; the others get the overall median."""
    companies = accounts()
    expected = mrr_of(companies[:4], companies, 1e-9, projects())
    assert expected.tolist() == pytest.approx([900, 250, 400, 400])
    leads = leads_of(given_model(), companies).set_index("id").loc[list(PROSPECTS)]
    assert leads["expected_mrr"].tolist() == pytest.approx([0.5 * 900, 0.02 * 250, 0.25 * 400, 0.9 * 400])


def test_what_is_cut_into_levels_is_ordered_too() -> None:
    def edit(contract: dict[str, Any]) -> None:
        attributes = contract["companies"]["attributes"]
        contract["companies"]["attributes"] = {"budget": {"kind": "ordered", "cuts": [10]}, **attributes}

    contract = changed(edit)
    companies = accounts(contract, budget=[5.0, 11.0, np.nan, 10.0, 1.0, 99.0, 70.0])
    assert mrr_of(companies[:4], companies, 1e-9, contract).tolist() == pytest.approx([100, 650, 400, 650])


def test_without_an_ordered_attribute_the_overall_median_is_expected() -> None:
    contract = changed(lambda values: values["companies"]["attributes"].pop("plan"))
    companies = accounts(contract)
    assert mrr_of(companies[:4], companies, 10.0, contract).tolist() == [400] * 4
    nobody = companies.assign(conversion_valid=False)
    assert mrr_of(companies[:4], nobody, 10.0, contract).tolist() == [0] * 4
