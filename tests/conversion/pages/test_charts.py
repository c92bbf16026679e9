from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from conversion.pages.charts import (
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Line,
    Reliable,
    count_axis,
    line_chart,
    over_weeks,
    reliability_chart,
    share_axis,
    share_bar,
    sparkline,
)
from conversion.pages.svg import Axis

HOSTILE = '<script>alert("1")</script>'
UP = Axis("share", 0.0, 1.0, ((0.0, "0 %"), (1.0, "100 %")))
ACROSS = Axis("calls", 0.0, 2.0, ((0.0, "0"), (2.0, "2")))


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(f"<div>{markup}</div>")


def numbers_in(data: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", data)]


def paths_of(markup: str, class_: str) -> list[str]:
    return [str(each.get("d")) for each in parsed(markup).iter("path") if each.get("class") == class_]


def test_a_line_runs_through_its_values() -> None:
    markup = line_chart("label", ACROSS, [0.0, 1.0, 2.0], UP, [Line("model", [0.0, 0.5, 1.0])])
    (data,) = paths_of(markup, "line line-1")
    (x0, bottom), (x1, middle), (x2, top) = numbers_in(data)
    assert (x0, x2) == (LEFT, WIDTH - RIGHT)
    assert x1 == pytest.approx((x0 + x2) / 2)
    assert middle == pytest.approx((bottom + top) / 2)
    assert bottom > top


def test_a_gap_parts_a_line_and_a_lone_value_is_a_point() -> None:
    markup = line_chart("label", ACROSS, [0.0, 0.5, 1.0, 2.0], UP, [Line("model", [0.1, 0.2, None, 0.3])])
    assert len(paths_of(markup, "line line-1")) == 1
    assert [each.get("class") for each in parsed(markup).iter("circle")] == ["point point-1"]


def test_a_band_goes_along_the_highs_and_back_along_the_lows() -> None:
    line = Line("model", [0.5, 0.5], low=[0.25, 0.25], high=[0.75, 1.0])
    (data,) = paths_of(line_chart("label", ACROSS, [0.0, 2.0], UP, [line]), "band fill-1")
    heights = [y for _, y in numbers_in(data)]
    assert data.endswith("z")
    assert heights[1] < heights[0] < heights[2] == heights[3]


def test_the_first_line_is_on_top_and_first_in_the_legend() -> None:
    lines = [Line("model", [0.1, 0.2]), Line("rule", [0.1, 0.1], kind=2)]
    root = parsed(line_chart("label", ACROSS, [0.0, 2.0], UP, lines))
    drawn = [each.get("class") for each in root.iter("path") if str(each.get("class")).startswith("line ")]
    assert drawn == ["line line-2", "line line-1", "line line-1", "line line-2"], (
        "the last two are the legend's"
    )
    assert [each.text or (each[0].tail or "") for each in root.iter("li")] == ["model", "rule"]


def test_a_single_line_has_no_legend() -> None:
    assert "<ul" not in line_chart("label", ACROSS, [0.0, 2.0], UP, [Line("model", [0.1, 0.2])])


def test_names_and_labels_are_escaped() -> None:
    lines = [Line(HOSTILE, [0.1]), Line("rule", [0.1], kind=2)]
    markup = line_chart(HOSTILE, Axis(HOSTILE, 0.0, 1.0, ((0.0, HOSTILE),)), [0.0], UP, lines)
    assert "<script" not in markup
    assert parsed(markup)[0].get("aria-label") == HOSTILE


def test_charts_bring_no_styles_scripts_or_ids_of_their_own() -> None:
    bins = [Reliable(0.1, 0.2, 0.1, 0.3)]
    lines = [Line("model", [0.1, 0.2], [0.0, 0.1], [0.2, 0.3])]
    for markup in (
        line_chart("label", ACROSS, [0.0, 2.0], UP, lines),
        reliability_chart("label", bins),
        sparkline([1.0, 2.0], "label"),
        share_bar(0.5, "label"),
    ):
        for each in parsed(markup).iter():
            assert not {"style", "id", "onclick", "href"} & set(each.attrib)
        assert parsed(markup)[0].get("role") == "img"


def test_texts_below_do_not_run_into_each_other() -> None:
    days = [f"day {place}" for place in range(50)]
    markup = over_weeks("label", days, ["a long name of a day"] * 50, UP, [Line("model", [0.5] * 50)])
    root = parsed(markup)
    places = [float(str(each.get("x"))) for each in root.iter("text") if each.text == "a long name of a day"]
    wide = 7.0 * len("a long name of a day")
    assert len(places) >= 2
    assert all(right - left >= wide for left, right in pairwise(places))


def test_a_single_week_is_drawn() -> None:
    markup = over_weeks("label", ["2020-01-06"], ["Jan 2020"], UP, [Line("model", [0.5])])
    assert len(list(parsed(markup).iter("circle"))) == 1


@pytest.mark.parametrize(
    ("largest", "end"), [(0.7, 0.8), (0.8, 0.8), (0.05, 0.05), (1.0, 1.0), (0.0, 1e-6), (0.93, 1.0)]
)
def test_an_axis_of_shares_ends_above_the_values(largest: float, end: float) -> None:
    axis = share_axis("", [None, largest])
    assert axis.low == 0.0
    assert axis.high >= largest
    assert axis.high <= 1.0
    if largest:
        assert axis.high == pytest.approx(end)


def test_an_axis_of_counts_has_whole_ticks() -> None:
    assert [text for _, text in count_axis("", [0.0, 3.0]).ticks] == ["0", "1", "2", "3"]
    assert [text for _, text in count_axis("", []).ticks] == ["0", "1"]
    assert count_axis("", [1_950.0]).ticks[-1] == (2000.0, "2,000")


def test_reliable_bins_are_on_the_line_and_others_beside_it() -> None:
    right, low, none = Reliable(0.01, 0.01), Reliable(0.1, 0.05, 0.02, 0.08), Reliable(0.001, 0.0, 0.0, 0.01)
    root = parsed(reliability_chart("label", [right, low, none]))
    (line,) = (each.get("d") for each in root.iter("path") if each.get("class") == "reference")
    (x0, y0), (x1, y1) = numbers_in(str(line))
    points = [(float(str(each.get("cx"))), float(str(each.get("cy")))) for each in root.iter("circle")]

    def on_line(x: float) -> float:
        return y0 + (x - x0) / (x1 - x0) * (y1 - y0)

    assert points[0][1] == pytest.approx(on_line(points[0][0]), abs=0.02)
    assert points[1][1] > on_line(points[1][0]), "fewer converted: below the line"
    assert points[2][1] == y0, "none converted: at the lower end"
    assert [each.get("class") for each in root.iter("circle")][2] == "point hollow"
    assert len([each for each in root.iter("path") if each.get("class") == "interval line-1"]) == 2
    assert points[2][1] <= HEIGHT


def test_reliability_without_any_bin() -> None:
    assert 'role="img"' in reliability_chart("label", [])


def test_a_sparkline_has_a_column_for_each_week() -> None:
    (data,) = re.findall(r'd="([^"]*)"', sparkline([0.0, 5.0, 10.0]))
    heights = [float(text) for text in re.findall(r"h4v([\d.]+)h-4z", data)]
    assert heights == [0.75, 11.0, 22.0]
    assert 'viewBox="0 0 16 24"' in sparkline([0.0, 5.0, 10.0])


def test_a_sparkline_of_nothing() -> None:
    assert "<svg" in sparkline([])
    assert sparkline([0.0, 0.0]).count("v0.75") == 2


@pytest.mark.parametrize(
    ("share", "width"), [(0.0, "0"), (0.25, "25"), (1.0, "100"), (1.5, "100"), (-1.0, "0")]
)
def test_a_bar_is_as_long_as_its_share(share: float, width: str) -> None:
    assert [each.get("width") for each in parsed(share_bar(share)).iter("rect")] == ["100", width]
