from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from conversion.pages.track_record import PATH, TrackRecord, read_track_record
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import write_json
from tests.records import record


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / PATH, record().model_dump(mode="json"))
    assert read_track_record(tmp_path) == record()


def test_without_a_file_there_is_none(tmp_path: Path) -> None:
    assert read_track_record(tmp_path) is None


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    content = record().model_dump(mode="json")
    del content["tiers"][0]["predicted"]
    write_json(tmp_path / PATH, content)
    with pytest.raises(
        ArtifactError, match=r"track_record.json: tiers\.0\.predicted: .*run 'dvc repro report'"
    ):
        read_track_record(tmp_path)


def test_a_file_that_is_no_json_names_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / PATH).write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not what the stage report writes"):
        read_track_record(Path())


def test_unknown_keys_and_numbers_that_are_none_are_refused() -> None:
    content = record().model_dump(mode="json")
    with pytest.raises(ValidationError, match="extra"):
        TrackRecord.model_validate_json(json.dumps(content | {"more": 1}))
    content["lists"]["prevalence"] = float("nan")
    with pytest.raises(ValidationError, match="finite"):
        TrackRecord.model_validate_json(json.dumps(content))


def test_ways_to_order_a_list_are_found_by_their_key() -> None:
    found = record().ranked_by("users_rule")
    assert found is not None
    assert found.name == "the rule"
    assert record().ranked_by("oracle") is None


def test_a_file_of_something_else_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / PATH).parent.mkdir(parents=True)
    (tmp_path / PATH).write_text("[]")
    with pytest.raises(ArtifactError, match=r"track_record\.json: Input should be an object; run"):
        read_track_record(tmp_path)
