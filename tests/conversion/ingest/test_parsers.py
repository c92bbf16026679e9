from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.ingest import faults, parsers
from conversion.ingest.columns import tables_of
from tests.contract_files import hubspot, projects


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e+05", 100_000),  # as R writes round numbers
        ("3e5", 300_000),
        ("2e+005", 200_000),
        ("-4e+05", -400_000),
        ("1.00000E+05", 100_000),  # as digits down to the units
        ("1.89945123456E+11", 189_945_123_456),
        ("1.6000001e+07", 16_000_001),
        ("1.23456789012345678E+17", 123_456_789_012_345_678),  # which no float holds
        ("120e-1", 12),
        ("0e+00", 0),
    ],
)
def test_an_exponent_that_loses_no_digit_is_read(text: str, number: int) -> None:
    assert parsers.parse_whole(text) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1E+05", faults.ALL_DIGITS),  # 123456 in a narrow column
        ("1e+06", faults.ALL_DIGITS),  # 1000001 by %g
        ("1.2e+05", faults.ALL_DIGITS),
        ("1.6E+07", faults.ALL_DIGITS),
        ("1.89945e+11", faults.ALL_DIGITS),
        ("1.89945E+11", faults.ALL_DIGITS),
        ("1.89945E+0011", faults.ALL_DIGITS),
        ("1.234567890123456789e18", faults.WHOLE),
        ("1.00000000000000000000000001", faults.WHOLE),
        ("1.5e0", faults.WHOLE),
        ("12e-1", faults.WHOLE),
        ("e5", faults.WHOLE),
        ("1e999", faults.FINITE),
    ],
)
def test_an_exponent_that_may_have_lost_digits_is_not_read(text: str, expected: str) -> None:
    with pytest.raises(faults.BadCellError, match=f"^{re.escape(expected)}$"):
        parsers.parse_whole(text)


@given(st.integers(0, 10**18 - 1), st.integers(0, 20))
def test_a_number_with_an_exponent_is_read_as_itself_or_not_at_all(number: int, digits: int) -> None:
    with contextlib.suppress(faults.BadCellError):
        assert parsers.parse_whole(f"{Decimal(number):.{digits}E}") == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("00017", "00017"),
        ("0061t00000AbCdEFG1", "0061t00000AbCdEFG1"),
        ("1e5", "1e5"),
        ("7.0", "7.0"),
        (17, "17"),
        (2**60, str(2**60)),
        ("Zoë & Co", "Zoë & Co"),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_text_id_is_kept_as_it_is(value: object, text: str) -> None:
    assert parsers.parse_text_id(value) == text


@pytest.mark.parametrize("value", ["x" * 201, "a\nb", "a\x00", 17.0, True, dt.date(2020, 1, 1), Decimal(3)])
def test_what_is_no_text_id_is_refused(value: object) -> None:
    with pytest.raises(faults.BadCellError, match=r"^text of 1 to 200 characters"):
        parsers.parse_text_id(value)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("JA", True), ("ja", True), ("Nein", False), (True, True), (False, False), (1, True), (0.0, False),
        ("True", True), ("FALSE", False), ("1", True), ("0.0", False),
    ],
)  # fmt: skip
def test_a_flag_is_read_from_its_words_truth_values_and_numbers(value: object, flag: bool) -> None:
    assert parsers.flag_parser(["ja"], ["nein"])(value) is flag


def test_the_contract_s_words_of_a_flag_come_first() -> None:
    paid = parsers.flag_parser(["0"], ["1"])
    assert [paid("0"), paid(1)] == [True, False]


@pytest.mark.parametrize("value", ["j", "2", 2, -1, 0.5, "yes"])
def test_what_is_no_flag_is_refused_with_its_words(value: object) -> None:
    with pytest.raises(faults.BadCellError, match=r"^one of 'ja', 'nein'$"):
        parsers.flag_parser(["ja"], ["nein"])(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("  Müller, Söhne ", "  Müller, Söhne "),
        ("0049 30 1", "0049 30 1"),
        (17, "17"),
        (17.0, "17"),
        (1.5, "1.5"),
        (dt.date(2020, 1, 2), "2020-01-02"),
        (dt.datetime(2020, 1, 2), "2020-01-02"),
        (dt.datetime(2020, 1, 2, 3, 4), "2020-01-02 03:04:00"),
    ],
)
def test_what_is_only_shown_is_text(value: object, text: str) -> None:
    assert parsers.parse_shown(value) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-04T23:00:00Z", dt.datetime(2026, 1, 5)),
        ("2026-07-05 22:00:00 UTC", dt.datetime(2026, 7, 6)),
        ("2026-01-05 00:00:00+01:00", dt.datetime(2026, 1, 5)),
        ("2026-01-05 04:30:00.000+0530", dt.datetime(2026, 1, 5)),
        ("2026-01-04 23:00+00", dt.datetime(2026, 1, 5)),
        ("2026-01-05", dt.datetime(2026, 1, 5)),
        (dt.datetime(2026, 1, 4, 23, tzinfo=dt.UTC), dt.datetime(2026, 1, 5)),
        (dt.datetime(2026, 1, 5), dt.datetime(2026, 1, 5)),
        (dt.date(2026, 1, 5), dt.datetime(2026, 1, 5)),
    ],
)
def test_times_are_converted_to_a_stated_zone(value: object, expected: dt.datetime) -> None:
    assert parsers.zoned_parser("Europe/Berlin")(value) == expected


@pytest.mark.parametrize("value", ["2026-01-05 00:00+99:00", "2026-02-30Z", "soon", 7])
def test_what_is_no_time_in_a_zone_is_refused(value: object) -> None:
    with pytest.raises(faults.BadCellError):
        parsers.zoned_parser("Europe/Berlin")(value)


def test_without_a_stated_zone_zones_are_refused() -> None:
    with pytest.raises(faults.BadCellError, match="without time zone"):
        parsers.zoned_parser("UTC")("2026-01-05 00:00:00Z")


@pytest.mark.parametrize(
    ("value", "word"),
    [("Trial", "Trial"), (True, "true"), (False, "false"), (0, "0"), (1.0, "1"), (0.5, "0.5")],
)
def test_words_are_text_as_a_csv_has_them(value: object, word: str) -> None:
    assert parsers.parse_word(value) == word


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40) | st.from_regex(r"[-+]?[0-9.e:TZ -]{1,30}", fullmatch=True))
def test_parsers_return_a_value_or_say_what_they_expect(text: str) -> None:
    for contract in (hubspot(), projects()):
        for column in (column for table in tables_of(contract).values() for column in table.columns.values()):
            with contextlib.suppress(faults.BadCellError):
                assert isinstance(column.parse(text), int | float | str | dt.datetime)


@pytest.mark.parametrize("text", ["9" * 60_000 + "x", "2019-01-07" + " " * 60_000, "1." * 30_000])
def test_parsers_take_linear_time(text: str) -> None:
    start = time.monotonic()
    for parser in (parsers.parse_whole, parsers.parse_number, parsers.parse_timestamp, parsers.parse_text_id):
        with pytest.raises(faults.BadCellError):
            parser(text)
    assert time.monotonic() - start < 0.5
