"""The words of the sample are those of the contract that reads it."""

from __future__ import annotations

from conversion.simulation import vocabulary
from tests.contract_files import hubspot


def test_the_sample_is_written_for_the_default_contract() -> None:
    contract = hubspot()
    companies, usage = contract.companies, contract.usage
    ranges, rank = companies.attributes["EMPLOYEE_RANGE"], companies.attributes["ALEXA_RANK"]
    assert contract.tables == (vocabulary.CUSTOMERS, vocabulary.NONCUSTOMERS, vocabulary.USAGE_ACTIONS)
    assert contract.modules == vocabulary.MODULES
    assert (contract.actions, contract.users) == (vocabulary.ACTIONS, vocabulary.USERS)
    assert tuple(companies.attributes) == vocabulary.FIRMOGRAPHICS
    assert ranges.levels == vocabulary.EMPLOYEE_RANGES  # type: ignore[union-attr]
    assert rank.not_applicable == vocabulary.UNRANKED  # type: ignore[union-attr]
    paid = (companies.id, companies.converted, companies.value, *companies.attributes)
    assert {
        vocabulary.CUSTOMERS: paid,
        vocabulary.NONCUSTOMERS: (companies.id, *companies.attributes),
        vocabulary.USAGE_ACTIONS: (usage.id, usage.time, *contract.counts),
    } == vocabulary.COLUMNS
