from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.features.compute import compute_features, feature_definitions
from tests.conversion.features.cases import AS_OF, companies_of, settings_of, usage_of, workspaces

NAN = float("nan")
HOW = settings_of(workspaces(), windows=(1, 4, 6), half_lives=(2,))
NO_COUNTS = [0.0] * 5
# Worked out by hand. Weeks ago that the week was over, then storage (last), uploads (sum) and load (max).
WEEKS = [
    (0, [NAN, 2.5, NAN]),
    (2, [80.0, NAN, -3.0]),
    (4, [75.5, 4.0, -7.0]),
    (5, [90.0, 0.25, 12.0]),
    (9, [10.0, 100.0, 40.0]),
]
GOLDEN = {
    "stored": {"1w": NAN, "4w": 80.0, "6w": 80.0, "lifetime": 80.0},
    "uploaded": {"1w": 2.5, "4w": 2.5, "6w": 6.75, "lifetime": 106.75},
    "peak": {"1w": NAN, "4w": -3.0, "6w": 12.0, "lifetime": 40.0},
}


def measured(weeks: list[tuple[int, list[float]]]) -> dict[str, float]:
    rows = [("a", ago, NO_COUNTS + numbers) for ago, numbers in weeks]
    usage = usage_of(workspaces(), *rows)
    values = compute_features(companies_of(workspaces(), "a"), usage, pd.DatetimeIndex([AS_OF]), HOW)[0, 0]
    names = [feature.name for feature in feature_definitions(HOW)]
    return dict(zip(names, values.tolist(), strict=True))


@pytest.mark.parametrize("measure", GOLDEN)
def test_golden(measure: str) -> None:
    row = measured(WEEKS)
    found = [row[f"{measure}_{window}"] for window in GOLDEN[measure]]
    np.testing.assert_array_equal(found, list(GOLDEN[measure].values()))


def test_a_week_without_a_row_adds_nothing_but_one_without_the_number_is_unknown() -> None:
    never = measured([])
    assert never["uploaded_4w"] == never["uploaded_lifetime"] == 0.0, "no week, as with actions"
    assert np.isnan([never["stored_lifetime"], never["peak_lifetime"]]).all()
    silent = measured([(1, [NAN, NAN, NAN])])
    assert np.isnan([silent["uploaded_4w"], silent["stored_4w"], silent["peak_4w"]]).all()
    assert silent["uploaded_1w"] == 0.0


def test_small_sums_survive_after_large_ones() -> None:
    """A difference of running sums would lose them."""
    row = measured([(9, [NAN, 1e17, NAN]), (5, [NAN, 0.125, NAN]), (0, [NAN, 0.25, NAN])])
    assert row["uploaded_1w"] == 0.25
    assert row["uploaded_6w"] == 0.375


def test_a_larger_week_that_is_over_the_windows_edge_does_not_count() -> None:
    row = measured([(3, [1.0, 1.0, 5.0]), (4, [2.0, 1.0, 9.0])])
    assert row["stored_4w"] == 1.0
    assert row["uploaded_4w"] == 1.0
    assert row["peak_4w"] == 5.0
    assert row["peak_6w"] == 9.0
    row = measured([(4, [2.0, 1.0, 9.0])])
    assert np.isnan([row["stored_4w"], row["peak_4w"]]).all()
    assert row["uploaded_4w"] == 0.0
    assert row["stored_6w"] == row["stored_lifetime"] == 2.0


def test_their_definitions_come_from_the_contract() -> None:
    by_name = {feature.name: feature for feature in feature_definitions(HOW)}
    stored, uploaded, peak = by_name["stored_4w"], by_name["uploaded_4w"], by_name["peak_lifetime"]
    assert (stored.description, stored.unit, stored.window) == ("last known storage", "GB", "4")
    assert (uploaded.description, uploaded.unit, uploaded.monotone) == ("Uploaded in sum", "number", 1)
    assert (peak.description, peak.window, peak.monotone) == ("largest peak of a week", "lifetime", 0)
    assert {stored.group, uploaded.group, peak.group} == {"usage"}
    measures = [name for name in by_name if name.split("_")[0] in GOLDEN]
    windows = ("1w", "4w", "6w", "lifetime")
    assert measures == [f"{measure}_{window}" for window in windows for measure in GOLDEN]
