from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.gate import Gate, GateInputs, check
from conversion.delivery.gate_checks import Band, Bounds, judged, most, worst
from tests.contract_files import projects
from tests.exports import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS, projects_export
from tests.gates import gate_inputs, gate_pipeline, sound, sound_export, week_ago
from tests.pipeline import Pipeline, Tables, small_params

TODAY = dt.datetime(2019, 8, 26, 12, tzinfo=dt.UTC)


def statuses(gate: Gate) -> dict[str, str]:
    return {each.name: each.status for each in gate.checks}


def test_a_sound_export_passes_every_check() -> None:
    pipeline = sound()
    gate = check(gate_inputs(pipeline, delivered=week_ago(pipeline)), pipeline.params, TODAY)
    assert gate.status == "ok", [each for each in gate.checks if each.status != "ok"]
    assert gate.verdict() == f"The list of 2019-08-26 may go out: all {len(gate.checks)} checks are ok."


def test_each_check_has_a_sentence_and_its_own_name() -> None:
    gate = check(gate_inputs(sound()), sound().params, TODAY)
    assert len(statuses(gate)) == len(gate.checks)
    for each in gate.checks:
        assert each.sentence.endswith(".")
        assert (each.value is None) == (each.bounds is None) == each.sentence.startswith("Not checked: ")
    assert set(gate.as_json()) == {"status", "as_of", "checks"}
    assert set(gate.as_json()["checks"][0]) == {"name", "status", "value", "bounds", "sentence"}


def attribute_missing(tables: Tables) -> None:
    for name in (CUSTOMERS, NONCUSTOMERS):
        tables[name]["EMPLOYEE_RANGE"] = None


def column_shifted(tables: Tables) -> None:
    for name in (CUSTOMERS, NONCUSTOMERS):
        values = tables[name]["ALEXA_RANK"].to_numpy()
        tables[name]["ALEXA_RANK"] = np.roll(values, 1)


def half_of_the_companies(tables: Tables) -> None:
    for name in tables:
        tables[name] = tables[name][tables[name]["id"] % 2 == 0].reset_index(drop=True)


def everything_doubled(tables: Tables) -> None:
    counts = [name for name in tables[USAGE_ACTIONS] if name.startswith(("ACTIONS", "USERS"))]
    tables[USAGE_ACTIONS][counts] *= 2


@pytest.mark.parametrize(
    ("fault", "caught_by", "needs_ledger"),
    [
        (attribute_missing, "missing_employee_range", False),
        (column_shifted, "past_features", True),
        (half_of_the_companies, "past_companies", True),
        (half_of_the_companies, "prospects", True),
        (everything_doubled, "past_features", True),
    ],
)
def test_a_fault_in_the_whole_export_stops_the_list(
    fault: Callable[[Tables], None], caught_by: str, needs_ledger: bool
) -> None:
    tables = sound_export()
    fault(tables)
    pipeline = gate_pipeline(tables)
    delivered = week_ago(sound()) if needs_ledger else None
    gate = check(gate_inputs(pipeline, delivered=delivered), pipeline.params, TODAY)
    assert gate.status == "stop"
    assert statuses(gate)[caught_by] == "stop"
    assert caught_by in gate.verdict()


class TestAge:
    def status(
        self, now: dt.datetime, as_of: str | None = None, folder: str = "export", zone: str = "UTC"
    ) -> tuple[str, str]:
        params = small_params(data__dir=folder, data__as_of=as_of)
        found = next(each for each in check(self.inputs(sound(), zone), params, now).checks)
        assert found.name == "export_age"
        return found.status, found.sentence

    def inputs(self, pipeline: Pipeline, zone: str) -> GateInputs:
        usage = pipeline.contract.usage.model_copy(update={"time_zone": zone})
        return gate_inputs(pipeline, contract=pipeline.contract.model_copy(update={"usage": usage}))

    @pytest.mark.parametrize(
        ("days", "expected"), [(0, "ok"), (6, "ok"), (7, "watch"), (14, "stop"), (-1, "ok"), (-2, "stop")]
    )
    def test_by_days(self, days: int, expected: str) -> None:
        status, sentence = self.status(TODAY + dt.timedelta(days=days))
        assert status == expected
        assert "2019-08-26" in sentence

    @pytest.mark.parametrize(
        ("zone", "first", "last"),
        [
            ("UTC", "2019-08-25T00:00", "2019-09-01T23:59"),
            ("Asia/Tokyo", "2019-08-24T15:00", "2019-09-01T14:59"),
            ("America/Los_Angeles", "2019-08-25T07:00", "2019-09-02T06:59"),
        ],
    )
    def test_a_list_is_new_from_its_sunday_on_where_its_weeks_begin(
        self, zone: str, first: str, last: str
    ) -> None:
        """The week ends on Sunday at midnight there, and its list may be delivered on that evening."""
        begins, ends = (dt.datetime.fromisoformat(each).replace(tzinfo=dt.UTC) for each in (first, last))
        minute = dt.timedelta(minutes=1)
        assert self.status(begins - minute, zone=zone)[0] == "stop"
        assert self.status(begins, zone=zone) == (
            "ok",
            "The last complete week ends tonight, before 2019-08-26.",
        )
        assert self.status(ends, zone=zone)[0] == "ok"
        assert self.status(ends + minute, zone=zone)[0] == "watch"

    def test_time_travel_and_the_sample_have_no_age(self) -> None:
        late = TODAY + dt.timedelta(days=1000)
        status, sentence = self.status(late, as_of="2019-08-26")
        assert status == "ok"
        assert sentence.startswith("Not checked: data.as_of is set to 2019-08-26")
        assert self.status(late, folder="data/sample")[0] == "ok"


@pytest.mark.parametrize(
    ("weeks", "expected"), [(0, "ok"), (5, "ok"), (6, "watch"), (27, "stop"), (-1, "stop")]
)
def test_an_old_model_is_watched_and_stops(weeks: int, expected: str) -> None:
    trained = TODAY.date() - dt.timedelta(weeks=weeks)
    gate = check(gate_inputs(sound(), trained_as_of=trained), sound().params, TODAY)
    assert statuses(gate)["model_age"] == expected


def test_another_contract_is_checked_in_its_own_words() -> None:
    pipeline = Pipeline(
        projects_export(companies=150, weeks=40),
        small_params(model__logistic_regression__quadratic=["plan"]),
        projects(),
    )
    gate = check(
        gate_inputs(pipeline), pipeline.params, pipeline.as_of.to_pydatetime().replace(tzinfo=dt.UTC)
    )
    names = statuses(gate)
    assert {"actions_invoices", "missing_plan", "missing_head_count_new", "new_companies"} <= set(names)


class TestJudged:
    bounds = Bounds(Band(1.0, 2.0), Band(0.5, 4.0))

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, "ok"),
            (2, "ok"),
            (0.9, "watch"),
            (4, "watch"),
            (0.4, "stop"),
            (4.1, "stop"),
            (float("nan"), "stop"),
        ],
    )
    def test_both_ends_belong_to_it(self, value: float, expected: str) -> None:
        assert judged("name", value, self.bounds, "It.").status == expected

    def test_at_worst(self) -> None:
        assert judged("name", 9, self.bounds, "It.", at_worst="watch").status == "watch"
        assert judged("name", 1, self.bounds, "It.", at_worst="watch").status == "ok"

    def test_most_has_no_lower_end(self) -> None:
        assert judged("name", -1e9, most(0.0, 1.0), "It.").status == "ok"

    def test_the_worst_wins(self) -> None:
        assert worst(["ok", "stop", "watch"]) == "stop"
        assert worst(["ok", "watch"]) == "watch"
        assert worst([]) == "ok"


def test_the_inputs_are_not_changed() -> None:
    inputs = gate_inputs(sound())
    before = inputs.usage.copy(), inputs.latest.copy()
    check(inputs, sound().params, TODAY)
    pd.testing.assert_frame_equal(inputs.usage, before[0])
    pd.testing.assert_frame_equal(inputs.latest, before[1])
