from __future__ import annotations

import pytest

from conversion.pages.company_words import attribute_words
from tests.contract_files import hubspot, projects


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("ALEXA_RANK", 7796875.0, "7,796,875"),
        ("ALEXA_RANK", 16000001.0, None),
        ("ALEXA_RANK", None, None),
        ("EMPLOYEE_RANGE", "2 to 5", "2 to 5"),
    ],
)
def test_attributes_in_words(column: str, value: object, text: str | None) -> None:
    assert attribute_words(value, hubspot().companies.attributes[column]) == text


def test_numbers_and_flags_in_words() -> None:
    attributes = projects().companies.attributes
    assert attribute_words(12.5, attributes["head_count"]) == "12.5"
    assert attribute_words(1_234_567.5, attributes["head_count"]) == "1,234,567.5"
    assert attribute_words(False, attributes["is_partner"]) == "no"
