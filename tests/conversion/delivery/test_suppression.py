from __future__ import annotations

import pandas as pd
import pytest

from conversion.config.deliver_params import Suppress
from conversion.delivery.suppression import suppressed

WEEKS = Suppress(called_weeks=1, talking_weeks=8, refused_weeks=26)
AS_OF = pd.Timestamp("2020-04-27")


def contacts(*rows: tuple[object, str, str]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=["id", "when", "meaning"])
    return table.assign(when=pd.to_datetime(table["when"]).astype("datetime64[us]"))


def found(table: pd.DataFrame, as_of: str, suppress: Suppress = WEEKS) -> list[tuple[object, ...]]:
    rows = suppressed(table, pd.Timestamp(as_of), suppress)
    return [(row.id, f"{row.until:%Y-%m-%d}", row.why) for row in rows.itertuples()]


@pytest.mark.parametrize(
    ("meaning", "last", "first_again", "until", "why"),
    [
        # A Monday's call: its day is over on Tuesday, and so many weeks later, also a Tuesday, it may be
        # called again. The next list is that of the Monday after.
        ("talking", "2020-06-15", "2020-06-22", "2020-06-16", "talking"),
        ("refused", "2020-10-19", "2020-10-26", "2020-10-20", "refused"),
        ("reached", "2020-04-27", "2020-05-04", "2020-04-28", "called"),
        ("missed", "2020-04-27", "2020-05-04", "2020-04-28", "called"),
    ],
)
def test_a_company_is_off_the_list_for_the_weeks_after_a_contact(
    meaning: str, last: str, first_again: str, until: str, why: str
) -> None:
    of_monday = contacts((7, "2020-04-20", meaning))
    assert found(of_monday, last) == [(7, until, why)]
    assert found(of_monday, first_again) == []


def test_a_sunday_s_contact_ends_with_a_list() -> None:
    of_sunday = contacts((7, "2020-04-26", "talking"))
    assert found(of_sunday, "2020-06-15") == [(7, "2020-06-22", "talking")]
    assert found(of_sunday, "2020-06-22") == []


def test_a_contact_of_the_list_s_own_day_is_not_known_yet() -> None:
    assert found(contacts((7, "2020-04-27", "refused")), "2020-04-27") == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # A later missed call shortens no refusal.
        ([("2020-03-02", "refused"), ("2020-04-20", "missed")], ("2020-09-01", "refused")),
        # A later talk does not either; a later refusal lasts longer than a talk.
        ([("2020-03-02", "refused"), ("2020-04-20", "talking")], ("2020-09-01", "refused")),
        ([("2020-03-02", "talking"), ("2020-04-20", "refused")], ("2020-10-20", "refused")),
        # A talk outlasts a refusal that is almost over.
        ([("2019-11-04", "refused"), ("2020-04-20", "talking")], ("2020-06-16", "talking")),
    ],
)
def test_of_several_contacts_the_longest_time_counts(
    rows: list[tuple[str, str]], expected: tuple[str, str]
) -> None:
    table = contacts(*((7, when, meaning) for when, meaning in rows))
    assert found(table, "2020-04-27") == [(7, *expected)]
    assert found(table.iloc[::-1], "2020-04-27") == [(7, *expected)]


def test_for_the_same_time_a_refusal_is_named_first() -> None:
    same = Suppress(called_weeks=4, talking_weeks=4, refused_weeks=4)
    table = contacts((7, "2020-04-20", "talking"), (7, "2020-04-20", "refused"), (8, "2020-04-20", "talking"))
    assert found(table, "2020-04-27", same) == [(7, "2020-05-19", "refused"), (8, "2020-05-19", "talking")]


def test_without_weeks_nobody_is_suppressed() -> None:
    none = Suppress(called_weeks=0, talking_weeks=0, refused_weeks=0)
    rows = suppressed(contacts((7, "2020-04-26", "refused"), (8, "2020-04-26", "missed")), AS_OF, none)
    assert rows.empty
    assert list(rows) == ["id", "until", "why"]
    only_talks = Suppress(called_weeks=0, talking_weeks=8, refused_weeks=0)
    assert found(contacts((7, "2020-04-26", "refused")), "2020-04-27", only_talks) == []


def test_ids_keep_their_type_and_their_order() -> None:
    text = suppressed(contacts(("b", "2020-04-20", "refused"), ("a", "2020-04-20", "missed")), AS_OF, WEEKS)
    assert text["id"].tolist() == ["a", "b"]
    assert suppressed(contacts(("b", "2020-04-20", "refused"))[:0], AS_OF, WEEKS).empty
