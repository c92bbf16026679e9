from __future__ import annotations

import inspect
from xml.etree import ElementTree as ET

import pytest

from conversion.pages import record_charts
from conversion.pages.track_record import Drift, TrackRecord
from tests.records import a_week, estimate, record, some_weeks

CHARTS = [
    name
    for name, function in inspect.getmembers(record_charts, inspect.isfunction)
    if function.__module__ == record_charts.__name__ and not name.startswith(("_", "charts_of"))
]


def drawn(name: str, of: TrackRecord) -> ET.Element:
    return ET.fromstring(getattr(record_charts, name)(of))


def text(root: ET.Element) -> str:
    return " ".join(" ".join(root.itertext()).split())


def tiny() -> TrackRecord:
    """Return the record of one list with no rule, on which nobody converted and little is known."""
    bare = record()
    none = estimate(None)
    model = bare.ranked[0].model_copy(update={"precision": {"10": none, "50": none}})
    return record(
        rule=None,
        ranked=(model,),
        weeks=(some_weeks(10, 1).model_copy(update={"model": (a_week(None),), "rule": ()}),),
        gains=(bare.gains[0].model_copy(update={"calls": (0, 3), "shares": (estimate(0.0), estimate(0.0))}),),
        bins=(),
        tiers=tuple(each.model_copy(update={"predicted": None, "observed": none}) for each in bare.tiers),
        facts=(),
        probability=dict.fromkeys(bare.probability, none),
        drift=Drift(shifted=0, facts=()),
    )


def test_no_chart_is_left_out() -> None:
    assert {"over_time", *record_charts.charts_of(record())} == {*CHARTS}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("which", ["usual", "tiny"])
def test_each_chart_has_a_title_a_sentence_and_its_numbers(name: str, which: str) -> None:
    root = drawn(name, record() if which == "usual" else tiny())
    assert root.tag == "figure"
    assert [each.tag for each in root].count("h3") == 1
    caption = root.find("figcaption")
    assert caption is not None
    assert len(text(caption).split()) > 10
    assert list(root.iter("table")), "the numbers, beside the picture or as the picture"
    for each in root.iter("svg"):
        assert (each.get("role") == "img") == (each.get("aria-hidden") is None)


def test_over_time_says_what_the_lines_show_to_those_who_do_not_see_them() -> None:
    picture = next(drawn("over_time", record()).iter("svg"))
    assert picture.get("aria-label") == (
        "Converted, of the first 10 of each list, list by list. On average the model has 50 of 100, the "
        "rule 25 of 100."
    )


def test_over_time_has_a_row_for_each_list() -> None:
    rows = [text(row) for row in drawn("over_time", record()).iter("tr")]
    assert rows[1] == "6 January 2020 50 % 50 % 25 % to 75 % 25 % 25 %"
    assert len(rows) == 1 + 4


def test_over_time_of_another_length() -> None:
    root = ET.fromstring(record_charts.over_time(record(), 1))
    assert "of the first 50" in text(root)


def test_gains_are_read_off_at_round_numbers_of_calls() -> None:
    rows = [text(row) for row in drawn("gains", record()).iter("tr")]
    assert rows == ["Calls the model the rule", "10 8 % 4 %", "50 40 % 20 %", "100 80 % 40 %"]


def test_gains_leave_out_the_rule_that_is_not_the_one_to_beat() -> None:
    other = record().gains[1].model_copy(update={"key": "actions_rule", "name": "another rule"})
    root = drawn("gains", record(gains=(*record().gains, other)))
    assert "another rule" not in text(root)


def test_each_order_of_the_list_is_compared() -> None:
    rows = [text(row) for row in drawn("compared", record()).iter("tr")]
    assert rows[1:] == [
        "the model 95 % interval 25 % to 75 % 50 of 100",
        "the rule 95 % interval 12 % to 38 % 25 of 100",
        "random order 95 % interval 0 % to 0 % 0 of 100",
    ]


def test_a_tier_has_what_became_of_it() -> None:
    rows = [text(row) for row in drawn("tiers", record()).iter("tr")]
    assert rows[1] == "very high 10 a list, 10 conversions 25 % 20 %"


def test_a_slice_without_conversions_has_no_bar() -> None:
    rows = list(drawn("slices", record()).iter("tr"))
    assert list(rows[1].iter("svg"))
    assert not list(rows[2].iter("svg"))
    assert text(rows[2]) == "never seen 0 conversions, 0 % of all - -"


def test_facts_of_fit_and_activity_differ() -> None:
    rows = list(drawn("importance", record()).iter("tr"))
    assert [next(iter(list(row.iter("rect"))[1:])).get("class") for row in rows[1:]] == ["fill-1", "fill-4"]


def test_reliability_says_the_ratio_in_words() -> None:
    assert "1.10 conversions were predicted for each that happened" in text(drawn("reliability", record()))
    assert "No conversion was observed." in text(drawn("reliability", tiny()))
