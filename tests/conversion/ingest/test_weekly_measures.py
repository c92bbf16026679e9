from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.ingest.usage_faults import WeeklyCountsError
from conversion.ingest.weekly_counts import count_weeks, weekly_counts
from tests.contract_files import projects

MEASURES = {
    "storage": {"column": "gb", "combine": "last"},
    "peak": {"column": "top", "combine": "max"},
    "credits": {"column": "spent", "combine": "sum"},
}
HEADER = ["account", "at", "name", "done", "kind", "gb", "top", "spent"]


def contract(grain: str) -> Contract:
    of_events = {"event": "name", "modules": {"invoices": {"events": ["invoice.*", "paid"]}}}
    of_days = {"modules": {"invoices": {"actions": "done"}}}
    usage = {
        "table": "usage",
        "id": "account",
        "time": "at",
        "grain": grain,
        "exclude": {"kind": ["bot"]},
        "measures": MEASURES,
        **(of_events if grain == "event" else of_days),
    }
    return Contract.model_validate(
        {"companies": projects().model_dump(mode="json")["companies"], "usage": usage}
    )


Row = tuple[Any, ...]


def counted(rows: list[Row], grain: str) -> list[Row]:
    """Count rows of `HEADER` that are in memory; None in place of NaN."""
    columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
    weeks = weekly_counts(pa.table(columns), contract(grain))
    return [tuple(None if pd.isna(each) else each for each in row) for row in weeks.itertuples(index=False)]


def day(number: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, 1, number, hour)


@pytest.mark.parametrize("grain", ["event", "day"])
def test_values_become_those_of_the_week(grain: str) -> None:
    rows = [
        ("a", day(5), "paid", 1, None, 3.0, 5.0, 0.1),
        ("a", day(6), "paid", 1, None, 1.5, None, 0.2),
        ("a", day(7), "login", 0, None, None, 4.0, None),
        ("a", day(8), "paid", 1, "Bot", 99.0, 99.0, 99.0),
        ("a", day(12), "paid", 1, None, None, -2.0, None),
        ("b", day(11), "login", 0, None, 7.0, None, None),
    ]
    assert counted(rows, grain) == [
        ("a", day(5), 2, 1.5, 5.0, 0.3),
        ("a", day(12), 1, None, -2.0, None),
        ("b", day(5), 0, 7.0, None, None),
    ]


def test_events_without_a_module_and_without_a_value_make_no_week() -> None:
    rows = [
        ("a", day(5), "login", 0, None, None, None, None),
        ("b", day(5), "paid", 1, None, math.nan, None, None),
    ]
    assert counted(rows, "event") == [("b", day(5), 1, None, None, None)]


def test_an_event_of_two_modules_has_its_value_once() -> None:
    values = contract("event").model_dump(mode="json")
    values["usage"]["modules"] |= {"bills": {"events": ["paid"]}}
    columns = dict(zip(HEADER, [["a"], [day(5)], ["paid"], [1], [None], [1.0], [2.0], [4.0]], strict=True))
    weeks = weekly_counts(pa.table(columns), Contract.model_validate(values))
    assert weeks.iloc[0].tolist() == ["a", day(5), 1, 1, 1.0, 2.0, 4.0]


def test_of_values_at_one_time_the_largest_is_the_last() -> None:
    rows = [
        ("a", day(5, 9), "paid", 1, None, 2.0, None, None),
        ("a", day(5, 9), "paid", 1, None, 3.0, None, None),
        ("a", day(5, 8), "paid", 1, None, 9.0, None, None),
    ]
    assert counted(rows, "event") == [("a", day(5), 3, 3.0, None, None)]
    assert counted(rows, "day") == [("a", day(5), 1, 3.0, None, None)]


def test_of_several_rows_of_a_day_the_largest_is_added() -> None:
    rows = [
        ("a", day(5), "", 4, None, None, None, 1.0),
        ("a", day(5), "", 2, None, None, None, 2.5),
        ("a", day(6), "", 1, None, None, None, 1.0),
    ]
    assert counted(rows, "day") == [("a", day(5), 5, None, None, 3.5)]


NUMBERS = st.none() | st.decimals(-1000, 1000, places=3).map(float)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.datetimes(dt.datetime(2026, 1, 3), dt.datetime(2026, 1, 14)).map(
            lambda moment: moment.replace(minute=0, second=0, microsecond=0)
        ),
        st.sampled_from(["paid", "invoice.sent", "login", None]),
        st.integers(0, 9),
        st.sampled_from(["bot", "person", None]),
        *[NUMBERS] * 3,
    ),
    max_size=25,
).map(lambda rows: [*rows, ("a", day(5), "paid", 1, None, None, None, 0.5)])


def monday(moment: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(moment.date() - dt.timedelta(days=moment.weekday()), dt.time())


def latest(values: list[tuple[dt.datetime, float | None]]) -> float | None:
    known = [(moment, value) for moment, value in values if value is not None]
    return max(known)[1] if known else None


def total(values: list[float | None]) -> float | None:
    known = [Decimal(repr(value)) for value in values if value is not None]
    return float(sum(known)) if known else None


def largest(values: list[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def reference(rows: list[Row], grain: str) -> list[Row]:
    """Count and combine in plain loops."""
    weeks: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        if row[4] != "bot":
            weeks[row[0], monday(row[1])].append(row)
    found = []
    for week in sorted(weeks):
        kept = weeks[week]
        last = latest([(row[1], row[5]) for row in kept])
        peak = largest([row[6] for row in kept])
        if grain == "event":
            actions = sum(row[2] in ("paid", "invoice.sent") for row in kept)
            spent = total([row[7] for row in kept])
            if not actions and last is peak is spent is None:
                continue
        else:
            days = sorted({row[1].date() for row in kept})
            by_day = [[row for row in kept if row[1].date() == each] for each in days]
            actions = sum(max(row[3] for row in each) for each in by_day)
            spent = total([largest([row[7] for row in each]) for each in by_day])
        found.append((*week, actions, last, peak, spent))
    return found


@pytest.mark.parametrize("grain", ["event", "day"])
@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_measures_equal_those_of_plain_loops(grain: str, rows: list[Row]) -> None:
    assert counted(rows, grain) == reference(rows, grain)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, random=st.randoms(use_true_random=False))
def test_files_and_the_order_of_rows_change_nothing(rows: list[Row], random: Any, tmp_path: Path) -> None:
    expected = counted(rows, "event")
    random.shuffle(rows)
    frame = pd.DataFrame(rows, columns=HEADER)
    frame.to_csv(tmp_path / "usage.csv", index=False)
    table = pa.table(dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True)))
    parquet.write_table(table, tmp_path / "usage.parquet")
    for suffix in ("csv", "parquet"):
        weeks = weekly_counts(tmp_path / f"usage.{suffix}", contract("event"))
        assert [
            tuple(None if pd.isna(each) else each for each in row) for row in weeks.itertuples(index=False)
        ] == expected


def test_many_small_values_add_up_in_any_order() -> None:
    """Sums of binary fractions would depend on the order, and that on the threads."""
    rows = [("a", day(5 + at % 7), "paid", 1, None, None, None, 0.1 * (at % 9)) for at in range(5000)]
    exact = float(sum(Decimal(repr(round(0.1 * (at % 9), 1))) for at in range(5000)))
    assert counted(rows, "event")[0][-1] == exact
    assert counted(rows[::-1], "event")[0][-1] == exact


@pytest.mark.parametrize("kind", [pa.int32(), pa.float32(), pa.decimal128(10, 2), pa.string()])
def test_types_of_parquet_that_mean_the_same(kind: pa.DataType) -> None:
    columns: dict[str, Any] = dict(
        zip(HEADER, [["a"], [day(5)], ["paid"], [1], [None], [1.0], [2.0]], strict=False)
    )
    table = pa.table(columns | {"spent": pa.array([4.0]).cast(kind)})
    assert weekly_counts(table, contract("event"))["spent"].tolist() == [4.0]


@pytest.mark.parametrize("grain", ["event", "day"])
@pytest.mark.parametrize("value", ["1,5", "inf", "1e16", "n/a", "1.2.3"])
def test_values_that_are_no_numbers_are_named(grain: str, value: str, tmp_path: Path) -> None:
    frame = pd.DataFrame([("a", "2026-01-05", "paid", 1, "", value, "", "")], columns=HEADER)
    frame.to_csv(tmp_path / "usage.csv", index=False)
    with pytest.raises(WeeklyCountsError) as error:
        weekly_counts(tmp_path / "usage.csv", contract(grain))
    assert str(error.value) == (
        f"{tmp_path}/usage.csv: gb: expected a number with a decimal point and no thousands separators, "
        f"within ±1e+15; 1 row (id a); found '{value}'; correct these rows"
    )


@pytest.mark.parametrize("grain", ["event", "day"])
def test_the_last_day_of_each_week_is_known(grain: str) -> None:
    rows = [
        ("a", day(5), "paid", 1, None, None, None, None),
        ("b", day(9, 23), "login", 1, None, None, None, None),
        ("b", day(11), "paid", 1, "bot", None, None, None),
        ("a", day(13), "paid", 1, None, None, None, None),
    ]
    columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
    found = count_weeks(pa.table(columns), contract(grain)).last_days
    assert found == {"2026-01-05": "2026-01-09", "2026-01-12": "2026-01-13"}
    assert list(found) == sorted(found)
