"""The scorecard's interval holds the true effect of a call; a report without a control group is wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from conversion.scorecard.effect import (
    called_against_not_called,
    called_within,
    effect_of_offering,
    entries,
    first_listed,
    per_call,
)
from tests.call_years import Year, YearSettings, year_of_lists

YEARS = 100


class Judged(NamedTuple):
    """What the scorecard says of a year, and the truth."""

    truth: float
    effect: float
    holds: bool
    width: float
    truth_of_call: float
    call: float
    call_holds: bool
    naive: float


def judge(year: Year) -> Judged:
    entered = entries(year.rows)
    found = effect_of_offering(entered)
    naive = called_against_not_called(first_listed(year.rows), year.contacts)
    assert found is not None
    assert naive is not None
    called, offered = called_within(entered, year.contacts), entered["offered"]
    call = per_call(found.difference, called[offered].mean() - called[~offered].mean())
    value, low, high = found.difference
    return Judged(
        year.effect, value, low <= year.effect <= high, high - low,
        year.effect_of_call, call.value, call.low <= year.effect_of_call <= call.high, naive.difference.value,
    )  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        YearSettings(log_hazard_ratio=0.7),
        YearSettings(log_hazard_ratio=0.5, spread=0.6),
        YearSettings(log_hazard_ratio=0.0),
    ],
    ids=["same for all", "by company", "none"],
)
def test_the_interval_holds_the_true_effect_in_ninety_of_a_hundred_years(settings: YearSettings) -> None:
    years = [judge(year_of_lists(settings, seed)) for seed in range(YEARS)]
    assert sum(year.holds for year in years) >= 90
    assert sum(year.call_holds for year in years) >= 90
    misses = np.array([year.effect - year.truth for year in years])
    assert abs(misses.mean()) < 3 * misses.std() / np.sqrt(YEARS)
    # Not by being wide: about four standard deviations of the estimates.
    assert np.mean([year.width for year in years]) < 1.3 * 4 * misses.std()
    # Reps prefer who converts anyway: the naive figure claims this much more than a call adds.
    excess = np.array([year.naive - year.truth_of_call for year in years])
    assert excess.mean() > 0.04
    assert excess.mean() > 10 * excess.std() / np.sqrt(YEARS)
