from __future__ import annotations

from conversion.pages.caveats import CONTROL_GROUP, business_line, caveats, time_rules
from tests.contract_files import hubspot, projects
from tests.records import record


def test_only_a_control_group_can_tell_what_calling_adds() -> None:
    for contract in (hubspot(), projects()):
        assert CONTROL_GROUP in caveats(record(), contract)


def test_companies_that_had_not_signed_up_are_told_where_that_is_not_recorded() -> None:
    assert caveats(record(), hubspot())[-1] == (
        "The export does not say when companies signed up, so lists of the past contain companies that had "
        "not signed up yet. 50 % of their rows, and 25 % of the conversions, are of companies that had not "
        "used the product by then."
    )
    assert len(caveats(record(), projects())) == len(caveats(record(), hubspot())) - 1


def test_who_is_a_prospect_depends_on_what_is_recorded() -> None:
    assert time_rules(record(), hubspot())[1] == (
        "A company is a prospect at a date if, by then, it has not converted yet."
    )
    assert time_rules(record(), projects())[1] == (
        "A company is a prospect at a date if, by then, it has signed up and has not converted yet, or has "
        "ended its subscription."
    )


def test_money_is_gross() -> None:
    said = business_line(record())
    assert said.startswith("40 calls to 25 companies: 9 of them converted within 30 days, and 36 companies")
    assert (
        "Gross revenue of the conversions among those called: EUR 32,400 (each conversion's monthly value"
        in said
    )
    assert "cost of the calls: EUR 1,000." in said


def test_without_a_value_no_revenue_is_made_up() -> None:
    business = record().business.model_copy(
        update={"gross_revenue": None, "value_of_a_conversion": "revenue is not known"}
    )
    said = business_line(record(business=business))
    assert said.endswith("The calls cost EUR 1,000; revenue is not known.")
    assert "ross revenue" not in said
