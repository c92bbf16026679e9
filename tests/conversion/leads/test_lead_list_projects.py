"""The list of a company with its own tables: text ids, columns to show, flags, dates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.config.data_contract import LISTED
from conversion.leads.lead_columns import lead_columns
from conversion.leads.lead_list import RankedLeads, mrr_estimates
from conversion.modelling.tiers import TierCuts
from tests.contract_files import hubspot, projects
from tests.conversion.leads.accounts import (
    EVIDENCE,
    INVOICES,
    PLAN,
    PROSPECTS,
    accounts,
    changed,
    given_model,
    prospects,
)
from tests.lead_lists import lead_list
from tests.pipeline import small_params

REGION = {"name": "region", "description": "part of the world"}
SCORE = small_params(score__top_n=2, score__mrr_prior=1e-9).score


def ranked(model: Any, companies: pd.DataFrame, previous: Sequence[str] = PROSPECTS) -> RankedLeads:
    return lead_list(model, prospects(companies, previous, model.data_contract), EVIDENCE, SCORE)


def leads_of(model: Any, companies: pd.DataFrame) -> pd.DataFrame:
    return ranked(model, companies).leads


def test_the_columns_are_those_of_the_contract() -> None:
    assert lead_columns(hubspot()) == (
        *("rank", "id", "probability", "tier", "expected_mrr", "probability_before", "rank_before"),
        *("fit", "activity", "ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY"),
        *("sector", "last_active_week", "last_week_actions", "last_week_users"),
        *("reason_1", "reason_2", "reason_3", "caution", "evidence"),
    )
    assert lead_columns(projects()) == (
        *("rank", "id", "probability", "tier", "expected_mrr", "probability_before", "rank_before"),
        *("fit", "activity", "name", "owner", "country", "plan", "head_count", "is_partner"),
        *("last_active_week", "last_week_actions", "last_week_users", "reason_1", "reason_2", "reason_3"),
        *("caution", "evidence"),
    )


def test_no_column_of_a_company_can_be_called_as_one_of_the_list() -> None:
    own = {"id", *hubspot().company_columns(), "sector"}
    assert set(lead_columns(hubspot())) - own == set(LISTED) - {
        "reasons",
        "usage",
        "converted",
        "rep",
        "moved",
    }


def test_what_the_contract_lacks_is_left_out() -> None:
    def without_value(contract: dict[str, Any]) -> None:
        contract["companies"]["value"] = None

    def without_users(contract: dict[str, Any]) -> None:
        for module in contract["usage"]["modules"].values():
            module["users"] = None

    contract = changed(without_value, without_users)
    leads = leads_of(given_model(contract), accounts(contract))
    assert tuple(leads) == lead_columns(contract)
    assert {*lead_columns(projects())} - {*leads} == {"expected_mrr", "last_week_users"}
    assert leads.set_index("id")["last_week_actions"].dropna().to_dict() == {"007": 4, "acme-1": 4}


def test_a_list_by_hand() -> None:
    leads = leads_of(given_model(), accounts()).set_index("id")
    assert leads.index.tolist() == ["0042", "007", "=1+1", "acme-1"]
    assert leads["rank"].tolist() == [1, 2, 3, 4]
    assert leads["tier"].tolist() == ["very_high", "high", "medium", "medium"]
    assert leads["name"].tolist()[1:] == ['Müller, Söhne & Co. "M"', " kept ", "=SUM(A1)"]
    assert leads["head_count"].fillna(-1).tolist() == [1, 12, 4000, -1]
    assert leads["is_partner"].tolist() == [False, True, pd.NA, False]
    assert leads["last_active_week"].fillna("").tolist() == ["", "2020-02-03", "", "2020-02-03"]
    assert leads["last_week_actions"].fillna(-1).tolist() == [-1, 4, -1, 4]
    assert leads["last_week_users"].fillna(-1).tolist() == [-1, 2, -1, 0]
    lines = ["Of 40 companies scored 50 % or more, 10", "Of 900 companies scored below 50 %, 3"]
    expected = [f"{lines[place]} converted within 30 days" for place in (0, 0, 1, 1)]
    assert leads["evidence"].tolist() == expected


def test_what_the_facts_add_by_hand() -> None:
    """The head count is two features and one fact; invoices are what a company does, the rest what it is."""
    found = ranked(given_model(), accounts())
    leads, contributions = found.leads.set_index("id"), found.contributions.set_index("id")
    assert contributions.index.equals(leads.index)
    assert contributions.to_dict("index")["acme-1"] == pytest.approx(
        {
            "base": -3.0,
            "attribute:head_count": 0.8,
            "attribute:plan": 0.3,
            "attribute:country": -0.5,
            "attribute:is_partner": 0.2,
            "module:invoices": 0.0,
        }
    )
    assert leads["fit"].tolist() == pytest.approx([0.3, 0.6, -0.6, 0.8])
    assert leads["activity"].tolist() == pytest.approx([0.8, 0.1, 0.2, 0.0])


def test_reasons_raise_and_the_caution_lowers() -> None:
    leads = leads_of(given_model(), accounts()).set_index("id")
    assert "plan" in leads.loc["007", "caution"]
    assert not leads.loc["007", ["reason_1", "reason_2", "reason_3"]].str.contains("plan").any()
    assert leads["caution"].isna().tolist() == [True, False, False, False]


def test_what_has_moved_since_a_week_before() -> None:
    found = ranked(given_model(), accounts(), ["=1+1", "0042", "acme-1"])
    leads = found.leads.set_index("id")
    assert leads["rank_before"].astype(object).fillna(0).tolist() == [1, 0, 2, 3]
    assert leads["probability_before"].fillna(-1).tolist() == [0.9, -1, 0.25, 0.02]


def test_the_cuts_are_the_probabilities_of_the_last_ranks() -> None:
    found = ranked(given_model(), accounts())
    assert found.cuts == TierCuts(very_high=0.9, high=0.5, medium=0.02)


def test_no_reason_says_what_is_only_shown() -> None:
    companies = accounts()
    leads = leads_of(given_model(), companies)
    others = leads_of(given_model(), companies.assign(name="Other", owner="Other"))
    reasons = ["probability", "reason_1", "reason_2", "reason_3", "caution"]
    pd.testing.assert_frame_equal(leads[reasons], others[reasons])
    assert not leads["reason_1"].fillna("").str.contains("Müller|Ann|SUM").any()


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
    assert lead_columns(contract)[11:16] == ("head_count", "first_invoice", "budget", "country", "region")
    assert leads["head_count"].fillna(-1).tolist() == [12, -1, 4000, 1]
    assert leads["first_invoice"].fillna("").tolist() == ["2020-01-31", "", "2019-12-24", ""]
    assert leads["budget"].fillna(-1).tolist() == [5, -1, 10, 250]
    assert leads["country"].fillna("").tolist() == ["DE", "", "FR", "DE"]
    assert leads["region"].tolist() == ["Europe", "Unknown", "Europe", "Europe"]


def test_a_model_of_few_features_has_fewer_reasons() -> None:
    leads = leads_of(given_model(features=(PLAN,)), accounts()).set_index("id")
    assert "business" in leads.loc["0042", "reason_1"]
    assert leads[["reason_2", "reason_3"]].isna().all(axis=None)


# Revenue


def test_the_first_ordered_attribute_says_what_mrr_to_expect() -> None:
    """Without a prior: team has 100 and 400, so 250, and free 900; the others get the overall median."""
    companies = accounts()
    expected = mrr_estimates(companies, 1e-9, projects()).of(companies[:4])
    assert expected.tolist() == pytest.approx([900, 250, 400, 400])
    leads = leads_of(given_model(), companies).set_index("id").loc[list(PROSPECTS)]
    assert leads["expected_mrr"].tolist() == pytest.approx([0.5 * 900, 0.02 * 250, 0.25 * 400, 0.9 * 400])


def test_what_is_cut_into_levels_is_ordered_too() -> None:
    def edit(contract: dict[str, Any]) -> None:
        attributes = contract["companies"]["attributes"]
        contract["companies"]["attributes"] = {"budget": {"kind": "ordered", "cuts": [10]}, **attributes}

    contract = changed(edit)
    companies = accounts(contract, budget=[5.0, 11.0, np.nan, 10.0, 1.0, 99.0, 70.0])
    assert mrr_estimates(companies, 1e-9, contract).of(companies[:4]).tolist() == pytest.approx(
        [100, 650, 400, 650]
    )


def test_without_an_ordered_attribute_the_overall_median_is_expected() -> None:
    contract = changed(lambda values: values["companies"]["attributes"].pop("plan"))
    companies = accounts(contract)
    assert mrr_estimates(companies, 10.0, contract).of(companies[:4]).tolist() == [400] * 4
    nobody = companies.assign(conversion_valid=False)
    assert mrr_estimates(nobody, 10.0, contract).of(companies[:4]).tolist() == [0] * 4
