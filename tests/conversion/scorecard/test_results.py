from __future__ import annotations

from pathlib import Path

import pytest

from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import write_json
from conversion.scorecard.results import PATH, read_scorecard
from tests.scorecards import a_year, results_of


def test_what_was_written_is_read(tmp_path: Path) -> None:
    lists, export, contacts = a_year()
    results = results_of(lists, export, contacts)
    assert read_scorecard(tmp_path) is None
    write_json(tmp_path / PATH, results.model_dump(mode="json"))
    assert read_scorecard(tmp_path) == results


def test_another_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write_json(tmp_path / PATH, {"line": "all is well"})
    with pytest.raises(ArtifactError, match=r"scorecard.json: as_of: .* run 'python -m commands.scorecard'"):
        read_scorecard(tmp_path)
