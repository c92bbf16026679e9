"""Sentences of attributes of every kind, also where a contract's words are hostile."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import encode, levels_of
from conversion.features.attribute_sentences import attribute_templates
from conversion.features.statements import Sentence
from tests.contract_files import hubspot, projects
from tests.reasons import faults_of


def contract_with(**attributes: dict[str, Any]) -> Contract:
    values = projects().model_dump(mode="json")
    values["companies"]["attributes"] = attributes
    return Contract.model_validate_json(json.dumps(values))


def sentence_of(contract: Contract, value: Any, column: str = "it", own: tuple[str, ...] = ()) -> Sentence:
    """Return the sentence of an attribute's value as it stands in a table."""
    attributes = contract.companies.attributes
    known = {name: ("Two", "One", "Unknown") if name in ("it", "Pays") else () for name in attributes}
    levels = {
        name: known[name] if known[name] and each.kind == "category" else levels_of(each, ())
        for name, each in attributes.items()
        if each.kind == "category"
    }
    values = {key: [value if key == column else None] for key in attributes}
    encoded = encode(contract, values, levels)
    row = [float(encoded[name][0]) for key, each in attributes.items() for name in encoded_names(key, each)]
    model = {column: own} if own else levels
    return attribute_templates(contract, levels, model)[f"attribute:{column}"](row)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("ALEXA_RANK", 50_000, "Alexa ranks their site at about 50,000"),
        ("ALEXA_RANK", 123_456, "Alexa ranks their site at about 120,000"),
        ("ALEXA_RANK", 7_796_875, "Alexa ranks their site at about 7,800,000"),
        ("ALEXA_RANK", 123, "Alexa ranks their site at about 100"),
        ("ALEXA_RANK", 7, "Alexa ranks their site at about 7"),
        ("ALEXA_RANK", 16_000_001, "Alexa did not rank the site"),
        ("ALEXA_RANK", None, "Their Alexa rank is not known"),
        ("EMPLOYEE_RANGE", "51 to 200", "They have 51 to 200 employees"),
        ("EMPLOYEE_RANGE", "1001 to 10000", "They have 1,001 to 10,000 employees"),
        ("EMPLOYEE_RANGE", "10,001 or more", "They have 10,001 or more employees"),
        ("EMPLOYEE_RANGE", "1", "They have one employee"),
        ("EMPLOYEE_RANGE", None, "Their number of employees is not known"),
        ("INDUSTRY", "SaaS", "Their sector is Software and IT"),
        ("INDUSTRY", None, "Their sector is not known"),
    ],
)
def test_the_default_contract(column: str, value: Any, text: str) -> None:
    sentence = sentence_of(hubspot(), value, column)
    assert sentence.text == text
    assert sentence.leaning == ("bad" if "not known" in text else "neutral")


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ({"kind": "number", "whole": True, "say": "employees"}, 4321, "They have 4,321 employees"),
        ({"kind": "number", "whole": True, "say": "employees"}, 12, "They have twelve employees"),
        ({"kind": "number", "whole": True, "say": "employees"}, 1, "They have one employee"),
        ({"kind": "number", "whole": True, "say": "employees"}, 0, "They have no employees"),
        ({"kind": "number", "say": "score"}, 7, "Their score is 7"),
        ({"kind": "number", "say": "score"}, 12.3, "Their score is 12.30"),
        ({"kind": "number", "say": "score"}, -0.5, "Their score is -0.50"),
        ({"kind": "number", "say": "score"}, 0.00034, "Their score is 0.00034"),
        ({"kind": "number", "say": "score", "decimals": 0}, 12.3, "Their score is 12"),
        ({"kind": "number", "say": "annual sales"}, None, "Their number of annual sales is not known"),
        ({"kind": "number"}, 3, "Their it is 3"),
        ({"kind": "number", "say": "fee", "not_applicable": 999}, 999, "Their fee does not apply"),
        ({"kind": "number", "say": "fees", "not_applicable": 999}, 999, "Their fees do not apply"),
        ({"kind": "number", "say": "fee", "sentence": "They pay {value} {now}"}, 5, "They pay 5 {now}"),
        ({"kind": "ordered", "levels": ["free", "team"], "say": "plan"}, "team", "Their plan is team"),
        ({"kind": "ordered", "levels": ["free", "team"], "say": "plan"}, None, "Their plan is not known"),
        ({"kind": "ordered", "levels": ["few", "9 seats"], "say": "seats"}, "9 seats", "They have 9 seats"),
        ({"kind": "ordered", "cuts": [10, 100], "say": "seats"}, 3, "Their number of seats is below 10"),
        ({"kind": "ordered", "cuts": [10, 100], "say": "seats"}, 30, "They have 10 to below 100 seats"),
        ({"kind": "ordered", "cuts": [10, 1000], "say": "seats"}, 1000, "They have 1,000 or more seats"),
        ({"kind": "category", "say": "country"}, "One", "Their country is One"),
        ({"kind": "category", "say": "interests"}, "One", "Their interests are One"),
        ({"kind": "category", "say": "interests"}, None, "Their interests are not known"),
        ({"kind": "category", "say": "country", "sentence": "They are in {value}"}, "Two", "They are in Two"),
        ({"kind": "flag", "say": "partner"}, True, "They are marked as 'partner'"),
        ({"kind": "flag", "say": "partner"}, False, "They are not marked as 'partner'"),
        ({"kind": "flag", "say": "partner"}, None, "It is not known whether they are marked as 'partner'"),
        ({"kind": "flag", "sentence": "They are a partner"}, True, "They are a partner"),
        ({"kind": "flag", "sentence_no": "They are no partner"}, False, "They are no partner"),
        ({"kind": "flag", "sentence": "They are a partner"}, False, "They are not marked as 'it'"),
        ({"kind": "number", "say": None, "whole": True}, 4, "Their it is 4"),
    ],
)  # fmt: skip
def test_each_kind(attribute: dict[str, Any], value: Any, text: str) -> None:
    assert sentence_of(contract_with(it=attribute), value).text == text


@pytest.mark.parametrize(
    ("days", "said"),
    [(1, "one day ago"), (12, "twelve days ago"), (45, "six weeks ago"), (1234, "over three years ago")],
)
def test_days(days: float, said: str) -> None:
    for attribute, opening in (
        ({"kind": "date", "say": "founded"}, "Founded"),
        ({"kind": "date", "say": "first invoice"}, "First invoice"),
        ({"kind": "date", "sentence": "We sent the first invoice {value}"}, "We sent the first invoice"),
    ):
        write = attribute_templates(contract_with(it=attribute), {}, {})["attribute:it"]
        assert write([days]).text == f"{opening} {said}"
    sentence = write([math.nan])
    assert (sentence.text, sentence.leaning) == ("Their record has no day for 'it'", "bad")


def test_a_column_without_words_is_read_as_words() -> None:
    head_count = contract_with(HEAD_COUNT={"kind": "number"})
    assert sentence_of(head_count, 12, "HEAD_COUNT").text == "Their head count is 12"


def test_a_level_that_the_model_does_not_tell_apart_is_not_named() -> None:
    contract = contract_with(it={"kind": "category", "say": "country"})
    assert sentence_of(contract, "One", own=("Two", "Unknown")).text == (
        "Their country is one that few companies have"
    )
    assert sentence_of(contract, "Two", own=("Two", "Unknown")).text == "Their country is Two"


HOSTILE = st.text(min_size=1, max_size=80) | st.sampled_from(
    ["=1+1", "{0}", "{value", "%s", "'\"", "a\nb", "  two  spaces ", "\\", "\x00", "@", "x" * 80]
)


@given(say=HOSTILE, level=HOSTILE)
def test_no_word_breaks_a_sentence(say: str, level: str) -> None:
    levels = {"type": (level, "Unknown")}
    contract = contract_with(
        type={"kind": "category", "say": say, "rare": 0},
        grade={"kind": "ordered", "levels": [level, f"{level}+"], "say": say},
        flag={"kind": "flag", "say": say},
        day={"kind": "date", "say": say},
    )
    written = attribute_templates(contract, levels, levels)
    for row in ([0.0, 1.0, 1.0, 3.0], [1.0, math.nan, math.nan, math.nan], [0.0, 2.0, 0.0, 900.0]):
        for key, write in written.items():
            text = write(row).text
            assert set(faults_of(text)) <= {
                "one of several",
                "several of one",
                "not a number",
                "no capital",
            }, (
                key,
                text,
            )


def test_a_column_whose_number_is_unknown_has_a_form_for_any_noun() -> None:
    countries = contract_with(Pays={"kind": "category"})
    assert sentence_of(countries, "One", "Pays").text == "Pays: One"
    assert sentence_of(countries, None, "Pays").text == "Pays: not known"
