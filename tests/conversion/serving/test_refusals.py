from __future__ import annotations

import gzip
import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from conversion.serving import refusals
from conversion.serving.message_types import MAX_WEEKS
from conversion.serving.messages import Companies, Error, Fault, LeadsQuery
from conversion.serving.refusals import (
    MAX_FAULTS,
    MAX_LISTED,
    MAX_SHOWN,
    RefusalError,
    invalid_fields,
    path_of,
    refusal_of,
    shown,
)
from conversion.serving.request_body import BodyReader
from tests.serving import MESSAGES, week

ONE: BodyReader[Any] = BodyReader(MESSAGES.company, tag_depth=0)
MANY: BodyReader[Companies] = BodyReader(TypeAdapter(MESSAGES.companies(2)), tag_depth=2)


def refused(body: object, reader: BodyReader[Any] = ONE) -> RefusalError:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    with pytest.raises(RefusalError) as caught:
        reader.parse(bytearray(text.encode() if isinstance(text, str) else text))
    return caught.value


def only_fault(refusal: RefusalError) -> tuple[str, str, str]:
    (fault,) = refusal.body.detail
    return fault.field, fault.given, fault.allowed


# Where


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), ""),
        (("id",), "id"),
        ((3,), "[3]"),
        (("companies", 3, "usage", 0, "USERS_EMAIL"), "companies[3].usage[0].USERS_EMAIL"),
        (("a.b",), "a.b"),
        ((".a",), ".a"),
        (("",), "''"),
        (("two\nlines",), "two lines"),
        (("usage", 1, "x" * 500), "usage[1]." + "x" * (MAX_SHOWN - 3) + "..."),
    ],
)
def test_paths(location: tuple[int | str, ...], path: str) -> None:
    assert path_of(location) == path


# What was given


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (-0.5, "-0.5"),
        (float("nan"), "nan"),
        ("26-50", "'26-50'"),
        ("Café 中文 🎉", "'Café 中文 🎉'"),
        ("two\nlines\tand\u2028more", "'two\\nlines\\tand\\u2028more'"),
        ("\ud800", "'\\ud800'"),
        ([], "[]"),
        ([1, 2], "[1, 2]"),
        ({"a": "b"}, "{'a': 'b'}"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "[1, 2, 3, 4, 5, 6, ...]"),
    ],
)
def test_what_was_given_is_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_long_values_are_shortened() -> None:
    assert shown("x" * 10**6) == "'" + "x" * 37 + "..." + "x" * 38 + "'"
    assert len(shown(10**400)) == MAX_SHOWN
    nested: object = ["x" * 80] * 8
    for _ in range(6):
        nested = {str(place): nested for place in range(8)}
    assert len(shown(nested)) == MAX_SHOWN
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert shown(deep) == "[[[...]]]"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=())),  # lone surrogates too
    lambda inside: st.lists(inside) | st.dictionaries(st.text(st.characters(exclude_categories=())), inside),
)


@given(json_values)
def test_anything_is_shown_on_one_short_line(value: object) -> None:
    text = shown(value)
    assert 0 < len(text) <= MAX_SHOWN
    assert text.splitlines() == [text]
    assert text.encode("utf-8").decode("utf-8") == text


# Pydantic's faults


HISTORY = {"id": 1, "usage": []}


@pytest.mark.parametrize(
    ("body", "field", "given", "allowed"),
    [
        ({}, "id", "nothing", "a value: the field is required"),
        ({"id": None}, "id", "null", "a whole number"),
        ({"id": "x"}, "id", "'x'", "a whole number"),
        ({"id": 1.5}, "id", "1.5", "a whole number"),
        ({"id": 10**18}, "id", "1000000000000000000", "less than or equal to 999999999999999999"),
        ({"id": 1, "ALEXA_RANK": 0}, "ALEXA_RANK", "0", "greater than 0"),
        ({"id": 1, "ALEXA_RANK": "5"}, "ALEXA_RANK", "'5'", "a number"),
        ('{"id": 1, "ALEXA_RANK": NaN}', "ALEXA_RANK", "nan", "a finite number"),
        ('{"id": 1, "total_users": 1e999}', "total_users", "inf", "a finite number"),
        ({"id": 1, "total_users": -1}, "total_users", "-1", "greater than or equal to 0"),
        ({"id": 1, "INDUSTRY": 5}, "INDUSTRY", "5", "text"),
        ({"id": 1, "MRR": 5}, "MRR", "5", "no field of this name"),
        ({"id": 1, "summary": 5}, "summary", "5", "no field of this name"),
        ({"id": 1, "usage": 5}, "usage", "5", "a list"),
        (HISTORY | {"history": True}, "history", "true", "no field of this name"),
        (HISTORY | {"as_of": 18000}, "as_of", "18000", "a day like 2020-04-20"),
        ({"id": 1, "usage": [7]}, "usage[0]", "7", "an object"),
        ({"id": 1, "usage": [{}] * (MAX_WEEKS + 1)}, "usage", "521 items", "520 items at most"),
        ([], "", "[]", "an object"),
        ("null", "", "null", "an object"),
        ('"usage"', "", "'usage'", "an object"),
    ],
)
def test_each_kind_of_fault(body: object, field: str, given: str, allowed: str) -> None:
    refusal = refused(body)
    assert refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert refusal.reason == "invalid_field"
    assert only_fault(refusal) == (field, given, allowed)
    assert refusal.body.error == str(refusal)
    start = f"{field}: " if field else ""
    assert refusal.body.error == f"{start}given {given}, allowed is {allowed}"


def test_an_employee_range_is_refused_with_all_nine() -> None:
    field, given, allowed = only_fault(refused({"id": 1, "EMPLOYEE_RANGE": "26-50"}))
    assert (field, given) == ("EMPLOYEE_RANGE", "'26-50'")
    assert allowed.startswith("one of '1', '2 to 5', ")
    assert allowed.endswith("'10,001 or more'")


@pytest.mark.parametrize("day", ["2020-02-30", "yesterday", "2020-02-03T09:00"])
def test_a_day_is_refused_in_words(day: str) -> None:
    for body, where in (
        (HISTORY | {"as_of": day}, "as_of"),
        ({"id": 1, "usage": [week(day)]}, "usage[0].WHEN_TIMESTAMP"),
    ):
        field, given, allowed = only_fault(refused(body))
        assert (field, given) == (where, f"'{day}'")
        assert allowed


def test_the_index_of_a_company_is_told() -> None:
    good, bad = {"id": 1}, {"id": 2, "usage": [week("2020-02-03"), week("2020-02-10", USERS_EMAIL=-1)]}
    refusal = refused({"companies": [good, bad]}, MANY)
    assert only_fault(refusal)[0] == "companies[1].usage[1].USERS_EMAIL"
    assert only_fault(refused({"companies": [good, {"id": 1, "summary": 2}]}, MANY))[0] == (
        "companies[1].summary"
    )
    assert only_fault(refused({"companies": [good, "x"]}, MANY))[0] == "companies[1]"


@pytest.mark.parametrize(
    ("body", "field", "given", "allowed"),
    [
        ({}, "companies", "nothing", "a value: the field is required"),
        ([], "", "[]", "an object"),
        ({"companies": None}, "companies", "null", "a list"),
        ({"companies": [{"id": 1}] * 3}, "companies", "3 items", "2 items at most"),
        ({"companies": [], "summary": 1}, "summary", "1", "no field of this name"),
        ({"companies": [], "id": 1}, "id", "1", "no field of this name"),
    ],
)
def test_faults_of_a_batch(body: object, field: str, given: str, allowed: str) -> None:
    assert only_fault(refused(body, MANY)) == (field, given, allowed)


def test_faults_of_a_query() -> None:
    with pytest.raises(ValidationError) as caught:
        LeadsQuery.model_validate_strings({"limit": "1.5", "tier": "top", "summary": "x"})
    assert [(fault.field, fault.given) for fault in refusal_of(caught.value).body.detail] == [
        ("tier", "'top'"),
        ("limit", "'1.5'"),
        ("summary", "'x'"),
    ]


def test_several_faults_are_all_told() -> None:
    refusal = refused({"id": "x", "ALEXA_RANK": -1, "MRR": 3})
    assert [fault.field for fault in refusal.body.detail] == ["id", "ALEXA_RANK", "MRR"]
    assert refusal.body.error == "id: given 'x', allowed is a whole number (2 more)"


def test_faults_without_end_are_cut() -> None:
    refusal = refused({"id": 1} | {f"x{place}": place for place in range(1000)})
    assert len(refusal.body.detail) == MAX_FAULTS
    assert refusal.body.error == "x0: given 0, allowed is no field of this name (999 more)"
    fault = Fault(field="id", given="x", allowed="y")
    assert len(invalid_fields([fault] * 50).body.detail) == MAX_FAULTS
    assert invalid_fields([fault] * 50).body.error.endswith("(49 more)")


def test_only_faults_that_are_told_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def count(value: object) -> str:
        asked.append(value)
        return shown(value)

    monkeypatch.setattr(refusals, "shown", count)
    refused({"id": 1} | {f"x{place}": place for place in range(1000)})
    assert len(asked) == MAX_FAULTS


def test_faults_by_the_million_are_not_listed() -> None:
    body = '{"id": 1' + "".join(f', "{place}": 1' for place in range(MAX_LISTED + 1)) + "}"
    field, given, allowed = only_fault(refused(body))
    assert (field, given) == ("", f"{MAX_LISTED + 1} faults")
    assert allowed == "none; send one company to be told each of its own"


def test_long_names_are_cut() -> None:
    refusal = refused({"id": 1, "x" * 10**6: "y" * 10**6})
    assert len(refusal.body.model_dump_json()) < 1000


# No JSON at all


@pytest.mark.parametrize(
    "body", ["", "{", "nonsense", "{'id': 1}", '{"id": 1} x', '"\\ud800"', b"\xff", b"\x00", b"[" * 100_000]
)
def test_no_json(body: str | bytes) -> None:
    for reader in (ONE, MANY):
        refusal = refused(body, reader)
        assert refusal.status == HTTPStatus.BAD_REQUEST
        assert refusal.reason == "invalid_json"
        assert refusal.body.detail == []
        assert refusal.body.error.startswith("the body is not JSON: ")
        assert len(refusal.body.error) < 200


@given(json_values)
def test_any_value_is_refused_in_the_shape_of_errors(value: object) -> None:
    class Wanted(BaseModel):
        value: None

    for body in ({"value": value}, value):
        try:
            Wanted.model_validate(body)
        except ValidationError as error:
            told = refusal_of(error).body
            assert Error.model_validate_json(told.model_dump_json()) == told


# Numbers that lost digits, and other encodings


def test_a_large_number_with_a_point_is_told_why() -> None:
    assert only_fault(refused('{"id": 1e17}')) == (
        "id",
        "1e+17",
        "a whole number without point or exponent, which are exact up to 9007199254740991 only",
    )
    assert only_fault(refused('{"id": 1.5}')) == ("id", "1.5", "a whole number")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ('{"id": 1}'.encode("utf-16"), "it is UTF-16"),
        (b"\xfe\xff" + '{"id": 1}'.encode("utf-16-be"), "it is UTF-16"),
        ('{"id": 1}'.encode("utf-32"), "it is UTF-32"),
        (gzip.compress(b'{"id": 1}', mtime=0), "it is compressed with gzip"),
    ],
)
def test_what_is_no_utf8_is_named(body: bytes, what: str) -> None:
    refusal = refused(body)
    assert refusal.status == HTTPStatus.BAD_REQUEST
    assert refusal.body.error == f"the body is not JSON: {what}; send plain UTF-8"
