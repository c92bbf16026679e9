from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.gate_drift import (
    Delivered,
    check_missing_features,
    check_past,
    check_training_drift,
    check_weekly_drift,
)
from tests.pipeline import small_params

GATE = small_params().gate
BEFORE = dt.date(2020, 4, 20)


def snapshots(rows: int = 2000, clock: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "weeks_seen": rng.integers(0, 60, rows).astype(np.float32) + clock,
            "actions": rng.poisson(3, rows).astype(np.float32),
            "sector": pd.Categorical(rng.choice(["Media", "Retail"], rows)),
        }
    )


NAMES = ("weeks_seen", "actions", "sector")


def test_a_clock_that_runs_on_is_ok() -> None:
    found = check_weekly_drift(snapshots(clock=1), snapshots(), NAMES, GATE)
    assert found.status == "ok"
    assert "weeks_seen has moved most" in found.sentence


def test_a_feature_that_moved_stops_and_is_named() -> None:
    moved = snapshots().assign(actions=lambda table: 2 * table["actions"] + 1)
    found = check_weekly_drift(moved, snapshots(), NAMES, GATE)
    assert found.status == "stop"
    assert "actions has moved most" in found.sentence
    assert check_weekly_drift(moved, snapshots(), NAMES, GATE, at_worst="watch").status == "watch"


def test_levels_are_compared_by_name_not_by_code() -> None:
    recoded = snapshots().assign(sector=lambda t: t["sector"].cat.set_categories(["New", "Retail", "Media"]))
    assert check_weekly_drift(recoded, snapshots(), NAMES, GATE).value == 0
    assert next(iter(check_past(Delivered(BEFORE, snapshots()), recoded, GATE))).status == "ok"


@pytest.mark.parametrize(("far", "expected"), [(0, "ok"), (1, "watch"), (10, "watch"), (11, "stop")])
def test_drift_since_training_counts_features(far: int, expected: str) -> None:
    index = {f"feature_{at}": 0.3 if at < far else 0.01 for at in range(100)}
    found = check_training_drift(index, GATE)
    assert (found.value, found.status) == (far / 100, expected)


class TestPast:
    def found(self, previous: pd.DataFrame) -> dict[str, str]:
        return {each.name: each.status for each in check_past(Delivered(BEFORE, snapshots()), previous, GATE)}

    def test_the_same_past(self) -> None:
        shuffled = snapshots().sample(frac=1, random_state=1)
        assert self.found(shuffled) == {"past_companies": "ok", "past_features": "ok"}

    @pytest.mark.parametrize(("share", "expected"), [(0.01, "ok"), (0.1, "watch"), (0.5, "stop")])
    def test_changed_features(self, share: float, expected: str) -> None:
        changed = snapshots()
        changed.loc[changed["id"] < share * len(changed), "actions"] += 1
        assert self.found(changed) == {"past_companies": "ok", "past_features": expected}

    @pytest.mark.parametrize(("share", "expected"), [(0.01, "ok"), (0.1, "watch"), (0.5, "stop")])
    def test_companies_that_are_gone(self, share: float, expected: str) -> None:
        fewer = snapshots()[lambda table: table["id"] >= share * len(table)]
        assert self.found(fewer) == {"past_companies": expected, "past_features": "ok"}

    def test_nothing_delivered(self) -> None:
        checks = list(check_past(None, snapshots(), GATE))
        assert [each.status for each in checks] == ["ok", "ok"]
        assert all(each.sentence.startswith("Not checked") for each in checks)


@pytest.mark.parametrize(("share", "expected"), [(0.1, "ok"), (0.3, "watch"), (0.9, "stop")])
def test_a_feature_that_is_missing_more_often(share: float, expected: str) -> None:
    latest = snapshots()
    latest.loc[latest["id"] < share * len(latest), "actions"] = np.nan
    found = check_missing_features(Delivered(BEFORE, snapshots()), latest, GATE)
    assert found.status == expected
    assert "in actions" in found.sentence
    assert check_missing_features(None, latest, GATE).status == "ok"


def test_a_list_of_other_features_has_no_features_to_compare() -> None:
    """Between two deliveries a model may be trained that shares no feature with the one before."""
    others = Delivered(BEFORE, snapshots().rename(columns={name: f"old_{name}" for name in NAMES}))
    _, past = check_past(others, snapshots(), GATE)
    for found in (past, check_missing_features(others, snapshots(), GATE)):
        assert found.status == "ok"
        assert found.sentence == "Not checked: the delivery of 2020-04-20 has none of today's features."
