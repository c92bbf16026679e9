from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from conversion.modelling.registered_versions import (
    KEY,
    PATH,
    RegisteredVersion,
    RegisteredVersions,
    read_registered,
    registry_key,
    write_registered,
)
from conversion.runtime.errors import ArtifactError
from conversion.runtime.seals import sealed

REGISTERED = RegisteredVersions(
    model_name="conversion",
    versions={
        "a" * 64: RegisteredVersion(version="1", aliases=[], run_id="first"),
        "b" * 64: RegisteredVersion(version="2", aliases=["champion"], run_id="second"),
    },
)
CANONICAL = (
    '{"model_name":"conversion","versions":{"'
    + "a" * 64
    + '":{"aliases":[],"run_id":"first","version":"1"},"'
    + "b" * 64
    + '":{"aliases":["champion"],"run_id":"second","version":"2"}}}'
)
SECRET = b"a key of sixteen"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_registered(REGISTERED, tmp_path)
    assert json.loads((tmp_path / PATH).read_text(encoding="utf-8")) == {
        "model_name": "conversion",
        "versions": {
            "a" * 64: {"version": "1", "aliases": [], "run_id": "first"},
            "b" * 64: {"version": "2", "aliases": ["champion"], "run_id": "second"},
        },
        "sha256": hashlib.sha256(CANONICAL.encode()).hexdigest(),
    }
    assert read_registered(tmp_path) == REGISTERED


def test_without_the_file_nothing_is_registered(tmp_path: Path) -> None:
    assert read_registered(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "Expecting value"),
        ("\x00", "Expecting value"),
        ({"model_name": "conversion"}, "versions: Field required"),
        ({"model_name": "conversion", "versions": {"a": {"version": 1}}}, "versions.a.version: "),
        ({"model_name": "", "versions": {}}, "model_name: "),
        ({"model_name": "conversion", "versions": {}, "champion": "1"}, "champion: Extra inputs"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / PATH
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(sealed(content)), encoding="utf-8")
    with pytest.raises(ArtifactError) as caught:
        read_registered(tmp_path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: not a list of registered versions (")
    assert says in message
    assert "run 'python -m commands.promote'" in message


@pytest.mark.parametrize("content", ["[]", "7", "null", '{"model_name": "conversion", "versions": {}}'])
def test_a_list_without_a_hash_of_its_own_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / PATH).parent.mkdir()
    (tmp_path / PATH).write_text(content, encoding="utf-8")
    with pytest.raises(
        ArtifactError, match=r"has no sha256 of its own content: .* 'python -m commands.promote'"
    ):
        read_registered(tmp_path)


def test_an_edited_list_is_refused(tmp_path: Path) -> None:
    write_registered(REGISTERED, tmp_path)
    text = (tmp_path / PATH).read_text(encoding="utf-8")
    (tmp_path / PATH).write_text(text.replace('"version": "2"', '"version": "3"'), encoding="utf-8")
    with pytest.raises(
        ArtifactError, match="its content is not what its own sha256 says: it was edited; run"
    ):
        read_registered(tmp_path)


# With a key


def test_a_signed_list_is_read_with_its_key_and_without(tmp_path: Path) -> None:
    write_registered(REGISTERED, tmp_path, SECRET)
    written = json.loads((tmp_path / PATH).read_text(encoding="utf-8"))
    assert written["hmac_sha256"] == hmac.new(SECRET, CANONICAL.encode(), "sha256").hexdigest()
    assert read_registered(tmp_path, SECRET) == read_registered(tmp_path) == REGISTERED


def test_a_forged_list_is_refused_where_there_is_a_key(tmp_path: Path) -> None:
    write_registered(REGISTERED, tmp_path)
    with pytest.raises(ArtifactError, match=r"is not signed, though there is a key; run .* with that key"):
        read_registered(tmp_path, SECRET)
    write_registered(REGISTERED, tmp_path, b"a key of their own")
    with pytest.raises(ArtifactError, match=r"is not signed with this key; run .* with that key"):
        read_registered(tmp_path, SECRET)


def test_a_signature_of_another_kind_is_no_signature(tmp_path: Path) -> None:
    write_registered(REGISTERED, tmp_path, SECRET)
    written = json.loads((tmp_path / PATH).read_text(encoding="utf-8"))
    for given in (7, [], "é"):
        (tmp_path / PATH).write_text(json.dumps(written | {"hmac_sha256": given}), encoding="utf-8")
        with pytest.raises(ArtifactError, match=r"is not signed with this key"):
            read_registered(tmp_path, SECRET)


def test_with_a_key_there_has_to_be_a_list(tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError, match=f"not found, but {KEY} is set, so only registered models are served"
    ):
        read_registered(tmp_path, SECRET)


def test_the_key_is_read_without_the_line_end_of_its_file() -> None:
    assert registry_key({}) is None
    assert registry_key({KEY: f"{SECRET.decode()}\n"}) == SECRET


@pytest.mark.parametrize("short", ["", "   ", "fifteen letters", "fifteen letters "])
def test_a_short_key_is_refused(short: str) -> None:
    with pytest.raises(
        ArtifactError, match=f"{KEY}: has {len(short.strip())} characters, should have at least 16"
    ):
        registry_key({KEY: short})
