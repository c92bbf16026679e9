from __future__ import annotations

import pytest

from conversion.modelling.probability_doubts import off_text

Ratio = dict[str, float | None]
LOW: Ratio = {"value": 0.3, "low": 0.2, "high": 0.79}
HIGH: Ratio = {"value": 2.0, "low": 1.26, "high": 3.0}
RIGHT: Ratio = {"value": 0.6, "low": 0.4, "high": 0.9}
UNKNOWN: Ratio = {"value": None, "low": None, "high": None}


def months(*ratios: Ratio) -> dict[str, Ratio]:
    return {f"2024-{number:02d}": ratio for number, ratio in enumerate(ratios, start=1)}


@pytest.mark.parametrize(
    "ratios",
    [
        [],
        [LOW],
        [RIGHT, RIGHT, RIGHT],
        [LOW, LOW, RIGHT, RIGHT, LOW],
        [LOW, HIGH, RIGHT],
        [UNKNOWN, UNKNOWN, LOW],
    ],
)
def test_one_month_or_an_old_one_or_a_wide_interval_is_no_reason(ratios: list[Ratio]) -> None:
    assert off_text(months(*ratios)) is None


def test_two_recent_months_on_the_same_side_are() -> None:
    more = str(off_text(months(HIGH, LOW, RIGHT, LOW)))
    assert "more companies converted than the model expected" in more
    assert "of 100 that did, it expected 30 in 2024-02 and 30 in 2024-04. " in more
    fewer = str(off_text(months(HIGH, HIGH, UNKNOWN)))
    assert "fewer companies converted than the model expected" in fewer
    assert "it expected 200 in 2024-01 and 200 in 2024-02. " in fewer
