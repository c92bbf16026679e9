from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from conversion.config.params import Tiers
from conversion.modelling.tiers import TIERS, out_of_reach, tier_of

CHOSEN = Tiers(very_high=100.0, high=40.0, medium=10.0)


def test_the_names_are_those_of_the_params_and_low() -> None:
    assert TIERS == ("very_high", "high", "medium", "low")


def test_each_probability_is_measured_by_its_own_base_rate() -> None:
    base_rate = np.array([0.002, 0.002, 0.002, 0.004, 0.002])
    found = tier_of([0.2, 0.1, 0.02, 0.02, 0.0199], base_rate, CHOSEN)
    assert found.tolist() == ["very_high", "high", "medium", "low", "low"]


@pytest.mark.parametrize(
    ("base_rate", "unreached"),
    [(0.0025, []), (0.01, []), (0.0101, ["very_high"]), (0.05, ["very_high", "high"])],
)
def test_tiers_that_no_probability_reaches_are_named(base_rate: float, unreached: list[str]) -> None:
    assert out_of_reach(base_rate, CHOSEN) == unreached
    for name in set(TIERS) - set(unreached) - {"low"}:
        assert tier_of(1.0, base_rate, CHOSEN) in TIERS[: TIERS.index(name) + 1]


def test_the_default_tiers_tell_the_first_fifty_of_the_samples_lists_apart(root: Path) -> None:
    result = json.loads((root / "metrics/evaluation.json").read_text(encoding="utf-8"))
    tiers = result["tiers"]
    assert tuple(tiers) == TIERS
    assert 5 < tiers["very_high"]["prospects"] / result["cutoffs"] < 45
    rates = [tiers[name]["observed_rate"] for name in TIERS]
    for higher, lower in itertools.pairwise(rates):
        assert higher["low"] > lower["high"], "each tier converts more often than the next, for sure"
