from __future__ import annotations

from typing import Any

from conversion.data.cleaning import COMPANY_RULES, USAGE_RULES
from conversion.data.subscriptions import SUBSCRIPTION_RULES
from conversion.pages.quality_notes import RULES, quality_notes
from tests.contract_files import hubspot, projects


def cleaning(**changed: Any) -> dict[str, Any]:
    return {
        "as_of": "2020-04-27",
        "companies": {
            "kept": 20_000,
            "conversions": 905,
            "quarantined": {"duplicate_company": 12, "other": 0},
        },
        "usage": {"kept": 106_853, "quarantined": {"stray_week": 1}},
    } | changed


def table(rows: int, **missing: float) -> dict[str, Any]:
    columns = {name: {"missing_share": share, "distinct": 3} for name, share in missing.items()}
    return {"rows": rows, "key": "id", "duplicate_keys": 0, "columns": columns}


def texts(profile: dict[str, Any], cleaned: dict[str, Any] | None = None) -> dict[str, bool]:
    return {note.text: note.is_warning for note in quality_notes(profile, cleaned or cleaning(), hubspot())}


def test_what_there_is_and_what_was_left_out() -> None:
    assert texts({}) == {
        "20,000 companies and 106,853 rows of usage; 905 conversions known": False,
        "12 company rows left out: the company has another row": False,
        "1 usage row left out: the week is far from all others": False,
    }


def test_every_rule_of_cleaning_has_words() -> None:
    assert set(RULES) == {*COMPANY_RULES, *USAGE_RULES, *SUBSCRIPTION_RULES}


def test_missing_shares_are_of_the_companies_of_all_tables() -> None:
    profile = {
        "customers": table(100, ALEXA_RANK=0.0, EMPLOYEE_RANGE=0.0, INDUSTRY=0.5),
        "noncustomers": table(300, ALEXA_RANK=0.0, EMPLOYEE_RANGE=0.2, INDUSTRY=0.9),
    }
    found = texts(profile)
    assert found["Employees: not known of 15 % of the companies"] is False
    assert found["Sector: not known of 80 % of the companies"] is True
    assert not any(text.startswith("Alexa") for text in found)


def test_what_looks_wrong_is_a_warning() -> None:
    profile = {
        "orphaned_usage": {"rows": 5, "companies": 2, "share": 0.1},
        "usage_before_conversion": {"customers": 90, "without": 0.8, "warned": True},
        "merged_ids": {"ids": 4, "into_no_company": 3},
        "dates_out_of_order": {"converted_before_signed_up": 2, "ended_before_converted": 0},
        "file_of_origin": {
            "id_order": {"roc_auc": 0.9, "low": 0.2, "high": 0.8, "warned": True},
            "usage_row_order": {"roc_auc": 0.5, "low": 0.2, "high": 0.8, "warned": False},
        },
    }
    warned = [text for text, is_warning in texts(profile).items() if is_warning]
    assert warned == [
        "5 rows of usage belong to no company (10 %)",
        "3 merged ids lead to no company",
        "2 rows whose dates are out of order: converted before signed up",
        "80 % of the customers have no usage from before they converted: the export may lack it",
        "id order tells those in customers from the others: the way the export was made shows in it",
    ]


def test_leaks_are_warned_of_with_columns_and_numbers() -> None:
    found = "9 of 9 with plan=pro converted, 0 of 80 others"
    profile = {
        "file_of_origin": {"missing_firmographics": {"roc_auc": 0.9, "warned": True, "columns": "manager"}},
        "attribute_leaks": {
            "plan": {"roc_auc": 0.99, "warned": True, "found": found},
            "size": {"roc_auc": 0.6, "warned": False},
        },
    }
    of_origin, of_plan = (text for text, is_warning in texts(profile).items() if is_warning)
    assert of_origin.startswith("missing firmographics (manager) tells those in customers from the others")
    assert of_plan.startswith(f"plan alone tells which companies have converted ({found}): if it was set")
    assert "leave the column out of the contract" in of_plan


def test_what_is_only_worth_knowing() -> None:
    profile = {
        "usage_before_sign_up": {"rows": 7, "companies": 3},
        "unlisted_industries": {"companies": 2, "labels": 1},
        "orphaned_usage": {"rows": 0, "companies": 0, "share": 0.0},
        "usage_before_conversion": {"customers": 90, "without": 0.3, "warned": False},
    }
    found = [text for text, is_warning in texts(profile).items() if not is_warning][3:]
    assert found == [
        "7 rows of usage from before the company signed up",
        "2 companies with 1 label that no group of the contract lists (industries)",
    ]


def test_subscriptions_and_histories() -> None:
    cleaned = cleaning(
        subscriptions={"paid_periods": 3, "quarantined": {"trial": 2}},
        histories={"plan": {"kept": 9, "quarantined": {"after_as_of": 1, "orphan": 2}}},
    )
    found = [note.text for note in quality_notes({}, cleaned, projects())]
    assert found[-2:] == [
        "2 subscriptions left out: trials that nobody paid for",
        "3 rows of the history of plan left out",
    ]
