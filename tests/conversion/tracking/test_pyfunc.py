from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.modelling.artifact import EXPECTED, save_model
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import sha256
from conversion.tracking.pyfunc import _load_pyfunc
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_it_gives_what_the_model_file_gives_whatever_the_columns_types(
    model_type: str, tmp_path: Path
) -> None:
    pipeline = Pipeline(dirty_export(), small_params(model__type=model_type))
    save_model(pipeline.model, {"model_type": model_type}, tmp_path)
    latest = pipeline.latest
    expected = pipeline.model.predict_proba(latest)[:, 1]
    loaded = _load_pyfunc(str(tmp_path))
    numbers = [feature.name for feature in pipeline.model.features if feature.kind != "category"]
    as_json = latest.astype(dict.fromkeys(numbers, "float64") | {"sector": "object"})
    for rows in (latest, as_json, as_json[as_json.columns[::-1]]):
        answer = loaded.predict(rows)
        assert list(answer) == ["probability"]
        np.testing.assert_array_equal(answer["probability"], expected)


def test_a_model_file_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    save_model(pd.Timestamp(0), {}, tmp_path)
    (tmp_path / "model.joblib").write_bytes(b"something else")
    with pytest.raises(ArtifactError, match="sha256"):
        _load_pyfunc(str(tmp_path))


def test_only_the_expected_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline(dirty_export(), small_params())
    save_model(pipeline.model, {}, tmp_path)
    monkeypatch.setenv(EXPECTED, sha256(tmp_path / "model.joblib"))
    assert len(_load_pyfunc(str(tmp_path)).predict(pipeline.latest)) == len(pipeline.latest)
    save_model(pipeline.model.summary_, {}, tmp_path)  # its description agrees
    with pytest.raises(ArtifactError, match=f"but {EXPECTED} allows "):
        _load_pyfunc(str(tmp_path))


def test_another_object_than_a_model_is_not_taken_for_one(tmp_path: Path) -> None:
    save_model({"weights": [1.0]}, {}, tmp_path)
    with pytest.raises(ArtifactError, match="holds a dict, should be a ConversionModel"):
        _load_pyfunc(str(tmp_path))
