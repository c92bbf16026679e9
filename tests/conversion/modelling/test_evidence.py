from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from conversion.modelling.evidence import Evidence

BINS = [
    {"from": 0.4, "to": 1.0, "companies": 112, "converted": 31},
    {"from": 0.01, "to": 0.4, "companies": 1, "converted": 1},
    {"from": 0.0, "to": 0.01, "companies": 12_345, "converted": 0},
]
TOP = "Of 112 companies scored 40 % or more, 31 converted within 30 days"
MIDDLE = "Of 1 company scored 1 % to 40 %, 1 converted within 30 days"
LOW = "Of 12,345 companies scored below 1 %, none converted within 30 days"


def evidence(**changed: Any) -> Evidence:
    given = {"horizon_days": 30, "lists": 37, "bins": BINS, "summary_bins": BINS}
    return Evidence.model_validate(given | changed)


@pytest.mark.parametrize(
    ("probability", "line"),
    [
        *[(1.0, TOP), (0.4, TOP)],
        *[(0.399999999, MIDDLE), (0.01, MIDDLE)],
        *[(0.009999999, LOW), (0.0, LOW)],
    ],
)
def test_each_probability_has_the_line_of_its_bin(probability: float, line: str) -> None:
    assert evidence().lines.of(probability) == line


def test_many_lines_at_once_are_those_of_each() -> None:
    probability = np.array([0.5, 0.005, 0.02, 0.4, 0.0])
    assert evidence().lines.of_each(probability) == [TOP, LOW, MIDDLE, TOP, LOW]


def test_summaries_have_bins_of_their_own() -> None:
    everyone = [{"from": 0.0, "to": 1.0, "companies": 0, "converted": 0}]
    found = evidence(summary_bins=everyone, horizon_days=1)
    assert found.summary_lines.of(0.7) == "No company was scored like this in the past"
    assert found.lines.of(0.7) == "Of 112 companies scored 40 % or more, 31 converted within 1 day"


@pytest.mark.parametrize(
    ("bounds", "scored"),
    [
        ((1.0, 0.0), ["on past lists"]),
        ((1.0, 0.9999, 0.2, 0.0), ["scored 99 % or more", "scored 20 % to 99 %", "scored below 20 %"]),
        (
            (1.0, 0.0591, 0.0034, 0.0),
            ["scored 5.9 % or more", "scored 0.34 % to 5.9 %", "scored below 0.34 %"],
        ),
        ((1.0, 0.2049, 0.2041, 0.0), ["scored 20 % or more", "scored about 20 %", "scored below 20 %"]),
        ((1.0, 0.1, 0.00001, 0.0), ["scored 10 % or more", "scored 0.001 % to 10 %", "scored below 0.001 %"]),
        ((1.0, 0.07, 0.0), ["scored 7 % or more", "scored below 7 %"]),
    ],
)
def test_the_line_says_between_which_probabilities_the_companies_are(
    bounds: tuple[float, ...], scored: list[str]
) -> None:
    bins = [
        {"from": least, "to": below, "companies": 9, "converted": 3}
        for below, least in itertools.pairwise(bounds)
    ]
    sentences = [f"Of 9 companies {each}, 3 converted within 30 days" for each in scored]
    assert evidence(bins=bins).lines.of_each(bounds[1:]) == sentences


def test_evidence_is_the_same_when_read_again() -> None:
    assert Evidence.model_validate_json(evidence().model_dump_json(by_alias=True)) == evidence()


@pytest.mark.parametrize(
    ("bins", "fault"),
    [
        ([], "at least 1 item"),
        (BINS[:2], "descend from 1 to 0"),
        (BINS[::-1], "descend from 1 to 0"),
        ([BINS[0] | {"to": 0.9}, *BINS[1:]], "begin where the one above ends"),
        ([BINS[0], BINS[2]], "begin where the one above ends"),
        ([{**BINS[0], "companies": "112"}, *BINS[1:]], "valid integer"),
    ],
)
@pytest.mark.parametrize("name", ["bins", "summary_bins"])
def test_bins_with_gaps_are_refused(name: str, bins: list[Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        evidence(**{name: bins})
