from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.gate_inputs import read_gate_inputs, week_before
from conversion.runtime.errors import ArtifactError, InputError, UserError
from conversion.runtime.files import read_json, write_json
from tests.gates import lay_out_gate, sound
from tests.ledgers import deliver, small_design


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay_out_gate(tmp_path, sound())
    return tmp_path


def test_what_the_pipeline_left_is_read(root: Path) -> None:
    pipeline = sound()
    inputs = read_gate_inputs(root, pipeline.params)
    assert inputs.as_of == inputs.trained_as_of == pipeline.as_of.date()
    assert inputs.calls == pipeline.params.score.top_n
    assert len(inputs.probability) == len(inputs.latest) == len(pipeline.latest)
    assert (np.diff(inputs.probability) <= 0).all()
    assert len(inputs.past) == 8
    assert inputs.past[-1].expected_calls <= inputs.past[-1].expected
    assert inputs.delivered is None
    pd.testing.assert_frame_equal(inputs.usage, pipeline.usage, check_dtype=False)


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_the_list_is_read_in_the_format_that_it_has(tmp_path: Path, file_format: str) -> None:
    lay_out_gate(tmp_path, sound(), file_format)
    inputs = read_gate_inputs(tmp_path, sound().params, calls=3)
    expected = sound().leads["probability"].to_numpy()
    np.testing.assert_allclose(inputs.probability, expected)
    assert inputs.calls == 3


def test_past_deliveries_are_read(root: Path) -> None:
    pipeline = sound()
    deliver(root, pipeline, small_design(5))
    lay_out_gate(root, pipeline, moment=pipeline.as_of + pd.Timedelta(days=7))
    inputs = read_gate_inputs(root, pipeline.params)
    assert inputs.delivered is not None
    assert week_before(inputs) == inputs.delivered
    assert inputs.delivered.as_of == pipeline.as_of.date()
    assert len(inputs.delivered.features) == len(pipeline.latest)
    last = inputs.past[-1]
    assert (last.as_of, last.prospects, last.converted) == (pipeline.as_of, len(pipeline.latest), None)


def test_what_a_list_of_another_horizon_expected_is_no_past(root: Path) -> None:
    pipeline = sound()
    deliver(root, pipeline, small_design(5))
    moment = pipeline.as_of + pd.Timedelta(days=7)
    lay_out_gate(root, pipeline, moment=moment)
    featurize = pipeline.params.featurize.model_copy(update={"horizon_days": 60})
    inputs = read_gate_inputs(root, pipeline.params.model_copy(update={"featurize": featurize}))
    assert pipeline.as_of not in [each.as_of for each in inputs.past]
    assert inputs.delivered is not None


def test_a_delivery_of_the_same_week_is_no_past(root: Path) -> None:
    deliver(root, sound())
    lay_out_gate(root, sound())
    assert read_gate_inputs(root, sound().params).delivered is None


def test_an_older_delivery_is_not_that_of_the_week_before(root: Path) -> None:
    deliver(root, sound())
    lay_out_gate(root, sound(), moment=sound().as_of + pd.Timedelta(days=14))
    inputs = read_gate_inputs(root, sound().params)
    assert inputs.delivered is not None
    assert week_before(inputs) is None


@pytest.mark.parametrize("name", ["metrics/drift.json", "data/leads/manifest.json"])
def test_files_of_another_run_are_refused(root: Path, name: str) -> None:
    content: Any = read_json(root / name)
    write_json(root / name, {**content, "as_of": "2018-01-01"})
    with pytest.raises(InputError, match=r"is of 2018-01-01, but .*; run 'dvc repro'"):
        read_gate_inputs(root, sound().params)


@pytest.mark.parametrize(
    "name",
    [
        "data/clean/usage.parquet",
        "data/features/latest.parquet",
        "data/backtest/predictions.parquet",
        "metrics/drift.json",
        "models/model.json",
    ],
)
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(UserError, match=name):
        read_gate_inputs(root, sound().params)


def test_a_missing_list_says_what_makes_it(root: Path) -> None:
    (root / "data/leads/leads.csv").unlink()
    with pytest.raises(ArtifactError, match="run 'dvc repro score'"):
        read_gate_inputs(root, sound().params)
