from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conversion.errors import ArtifactError
from conversion.registered import (
    PATH,
    RegisteredVersion,
    RegisteredVersions,
    read_registered,
    write_registered,
)

REGISTERED = RegisteredVersions(
    model_name="conversion",
    versions={
        "a" * 64: RegisteredVersion(version="1", aliases=[], run_id="first"),
        "b" * 64: RegisteredVersion(version="2", aliases=["champion"], run_id="second"),
    },
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_registered(REGISTERED, tmp_path)
    assert json.loads((tmp_path / PATH).read_text(encoding="utf-8")) == {
        "model_name": "conversion",
        "versions": {
            "a" * 64: {"version": "1", "aliases": [], "run_id": "first"},
            "b" * 64: {"version": "2", "aliases": ["champion"], "run_id": "second"},
        },
    }
    assert read_registered(tmp_path) == REGISTERED


def test_without_the_file_nothing_is_registered(tmp_path: Path) -> None:
    assert read_registered(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "Invalid JSON"),
        ("\x00", "Invalid JSON"),
        ("[]", "should be an object"),
        ({"model_name": "conversion"}, "versions: Field required"),
        ({"model_name": "conversion", "versions": {"a": {"version": 1}}}, "versions.a.version: "),
        ({"model_name": "", "versions": {}}, "model_name: "),
        ({"model_name": "conversion", "versions": {}, "champion": "1"}, "champion: Extra inputs"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / PATH
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError) as caught:
        read_registered(tmp_path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: not a list of registered versions (")
    assert says in message
    assert "run 'python -m commands.promote'" in message
