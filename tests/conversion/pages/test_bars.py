from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from conversion.pages.bars import Bar, Step, bar_table, data_table, framed, waterfall

HOSTILE = "<script>alert(1)</script>"


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(f"<div>{markup}</div>")


def rects(row: ET.Element, class_: str) -> list[tuple[float, float]]:
    found = (each for each in row.iter("rect") if class_ in str(each.get("class")).split())
    return [(float(str(each.get("x"))), float(str(each.get("width")))) for each in found]


def body(markup: str) -> list[ET.Element]:
    return list(next(parsed(markup).iter("tbody")))


def test_bars_are_as_long_as_their_values_and_beside_their_words() -> None:
    (row, none) = body(
        bar_table("c", ("Who", "Share"), [Bar("model", 0.5, ("50 %",)), Bar("other", None, ("-",))], 1.0)
    )
    assert rects(row, "fill-1") == [(0.0, 50.0)]
    assert [each.text for each in row.iter("td")] == ["50 %"]
    assert not list(none.iter("svg"))


def test_an_interval_is_a_line_across_the_end_of_a_bar() -> None:
    (row,) = body(bar_table("c", ("Who", "Share"), [Bar("model", 0.5, ("50 %",), 0.25, 0.6)], 1.0))
    assert rects(row, "whisker") == [(25.0, 35.0)]


def test_ratios_are_marks_beside_a_line_at_one() -> None:
    (row,) = body(
        bar_table("c", ("Who", "Ratio"), [Bar("all", 1.5, ("1.50",), 0.9, 9.0)], 3.0, reference=1.0)
    )
    assert rects(row, "reference-mark")[0][0] == pytest.approx(33.33 - 0.15, abs=0.02)
    assert rects(row, "whisker") == [(30.0, 70.0)], "cut off at the right end"
    assert rects(row, "fill-1") == [(49.5, 1.0)]


def test_a_value_of_nothing_but_zeros_is_drawn() -> None:
    (row,) = body(bar_table("c", ("Who", "Share"), [Bar("a", 0.0, ("0 %",))], 0.0))
    assert rects(row, "fill-1") == [(0.0, 0.0)]


def test_the_steps_of_a_waterfall_lead_from_its_start_to_its_end() -> None:
    steps = [Step("people", 3.0, "raises"), Step("size", -1.0, "lowers")]
    first, up, down, last = body(
        waterfall("c", ("What", "How much"), Step("all", -6.0, "1 %"), steps, Step("this", -4.0, "9 %"))
    )
    assert rects(up, "up") == [(0.0, 100.0)]
    assert rects(down, "down") == [(66.67, 33.33)]
    assert rects(first, "stand") == [(0.0, 0.8)]
    assert rects(last, "stand") == [(66.27, 0.8)]
    assert last.get("class") == "end"


def test_a_waterfall_without_steps() -> None:
    rows = body(waterfall("c", ("What", "How much"), Step("all", 0.0, ""), [], Step("this", 0.0, "")))
    assert len(rows) == 2


def test_texts_are_escaped() -> None:
    for markup in (
        bar_table(HOSTILE, (HOSTILE,), [Bar(HOSTILE, 1.0, (HOSTILE,), note=HOSTILE)], 1.0),
        waterfall(HOSTILE, ("a", HOSTILE), Step(HOSTILE, 0, HOSTILE), [], Step(HOSTILE, 0, HOSTILE)),
        data_table(HOSTILE, (HOSTILE,), [(HOSTILE, HOSTILE)]),
        framed(HOSTILE, Markup(), HOSTILE, Markup("<p>numbers</p>")),
    ):
        assert "<script" not in markup
        parsed(markup)


def test_a_chart_in_its_frame_says_how_to_read_it_and_has_its_numbers() -> None:
    root = parsed(
        framed("Title", Markup("<svg/>"), "Higher is better.", data_table("c", ("a", "b"), [("x", "1")]))
    )
    assert [each.tag for each in root[0]] == ["h3", "svg", "figcaption"]
    assert [each.tag for each in root[0][2]] == ["p", "details"]
    region = root[0][2][1][1]
    assert (region.get("role"), region.get("tabindex"), region.get("aria-label")) == (
        "region",
        "0",
        "Title: numbers",
    )
    assert [each.get("scope") for each in root.iter("th")] == ["col", "col", "row"]
