from __future__ import annotations

import json
from pathlib import Path

import pytest

from conversion.delivery.copies import MANIFEST
from conversion.forgetting.copies import changed_copies, write_copy
from conversion.forgetting.wanted import Wanted
from conversion.runtime.errors import InputError
from conversion.runtime.seals import sha256_of

COMPANY = Wanted(frozenset({"77"}), True, frozenset({"id"}), names=frozenset({"Acme Bolts"}))
LIST = b"id,rank\n76,1\n77,2\n"
PAGE = b"<html><h1>Acme Bolts</h1></html>"


def copy_at(copies: Path, files: dict[str, bytes], manifest: bytes | None = None) -> Path:
    folder = copies / "2020-04-27"
    hashes = {"files": {name: sha256_of(content) for name, content in files.items()}}
    for name, content in (files | {MANIFEST: manifest or json.dumps(hashes).encode()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_the_rows_go_and_the_manifest_has_the_new_hash(tmp_path: Path) -> None:
    folder = copy_at(tmp_path, {"crm/excel.csv": LIST, "left.csv": b"id\n76\n"})
    [changed] = changed_copies(tmp_path, COMPANY)
    assert list(changed.files) == ["crm/excel.csv"]
    write_copy(changed)
    assert b"77" not in (folder / "crm/excel.csv").read_bytes()
    hashes = json.loads((folder / MANIFEST).read_bytes())["files"]
    assert hashes == {name: sha256_of((folder / name).read_bytes()) for name in hashes}
    assert [each.files for each in changed_copies(tmp_path, COMPANY)] == [{}]


def test_a_page_that_shows_the_company_is_named_and_stays(tmp_path: Path) -> None:
    folder = copy_at(tmp_path, {"crm/excel.csv": b"id,rank\n76,1\n", "notes.html": PAGE})
    [changed] = changed_copies(tmp_path, COMPANY)
    assert changed.files == changed.manifests == {}
    [(place, why)] = changed.unreadable
    assert place == folder / "notes.html"
    assert "shows the company" in why


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"7", b'{"as_of": "2020-04-27"}', b'{"files": 7}'])
def test_a_manifest_of_something_else_is_one_message(tmp_path: Path, manifest: bytes) -> None:
    folder = copy_at(tmp_path, {"crm/excel.csv": LIST}, manifest)
    with pytest.raises(
        InputError, match=r"2020-04-27: has the company, and a manifest that no copy has"
    ) as error:
        list(changed_copies(tmp_path, COMPANY))
    assert "\n" not in str(error.value)
    assert (folder / "crm/excel.csv").read_bytes() == LIST
