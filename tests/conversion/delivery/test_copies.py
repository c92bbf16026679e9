from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from conversion.delivery import copies
from conversion.delivery.copies import MANIFEST, copies_at, copy_delivery, copy_folders
from conversion.delivery.ledger import Delivery, DeliveryManifest
from conversion.ingest.folders import Place
from conversion.runtime.errors import DeliveryError, ExportError
from tests.buckets import bucket

AS_OF = dt.date(2020, 4, 27)
FILES = {
    "models/model.joblib": b"model",
    "data/leads/leads.csv": b"id,rank\n7,1\n",
    "crm/excel.csv": b"id\n7\n",
    "reps/Ann O'Neil.csv": b"id\n7\n",
    "left.csv": b"",
}


def delivery(number: int = 1) -> Delivery:
    return Delivery(Path("ledger"), DeliveryManifest.model_construct(as_of=AS_OF, number=number))


def publication(folder: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with bucket() as url:
        yield url


@pytest.fixture(params=["folder", "memory", "s3"])
def copy_to(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a folder or URL in which nothing is yet."""
    if request.param == "folder":
        return str(tmp_path / "share/lists")
    root = "memory://copies" if request.param == "memory" else str(request.getfixturevalue("s3"))
    return f"{root}/{uuid.uuid4().hex}/lists"


def at(root: Path, copy_to: str) -> Place:
    place = copies_at(root, copy_to)
    assert place is not None
    return place


def found_in(copy_to: str) -> dict[str, bytes]:
    """Read all files, by fsspec alone."""
    system, path = fsspec.core.url_to_fs(copy_to)
    system.invalidate_cache()
    return {name[len(path) + 1 :]: system.cat_file(name) for name in system.find(path)}


def expected(files: dict[str, bytes], number: int = 1) -> dict[str, bytes]:
    """Return what a complete copy has."""
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    about = {"as_of": "2020-04-27", "delivery": number, "files": hashes}
    every = files | {MANIFEST: (json.dumps(about, indent=2) + "\n").encode()}
    return {f"2020-04-27/{name}": content for name, content in every.items()}


def test_a_copy_has_every_file_and_the_second_run_does_nothing(copy_to: str, tmp_path: Path) -> None:
    published = publication(tmp_path / "published", FILES)
    place = at(tmp_path, copy_to)
    copied = copy_delivery(published, delivery(), place)
    assert str(copied) == f"{copy_to}/2020-04-27"
    assert found_in(copy_to) == expected(FILES)
    system, path = fsspec.core.url_to_fs(f"{copy_to}/2020-04-27/left.csv")
    before = system.modified(path)
    assert copy_delivery(published, delivery(), place) is None
    assert system.modified(path) == before
    assert [folder.name for folder in copy_folders(place)] == ["2020-04-27"]


def test_a_correction_takes_the_place_of_the_copy(copy_to: str, tmp_path: Path) -> None:
    place = at(tmp_path, copy_to)
    copy_delivery(publication(tmp_path / "one", FILES), delivery(), place)
    files = FILES | {"reps/Bob.csv": b"id\n8\n"}
    del files["reps/Ann O'Neil.csv"]
    assert copy_delivery(publication(tmp_path / "two", files), delivery(2), place) is not None
    assert found_in(copy_to) == expected(files, 2)


def test_a_file_that_was_lost_or_cut_is_copied_again(copy_to: str, tmp_path: Path) -> None:
    published, place = publication(tmp_path / "published", FILES), at(tmp_path, copy_to)
    for content in (None, b"i"):
        copy_delivery(published, delivery(), place)
        system, path = fsspec.core.url_to_fs(f"{copy_to}/2020-04-27/crm/excel.csv")
        if content is None:
            system.rm(path)
        else:
            system.pipe_file(path, content)
        assert copy_delivery(published, delivery(), place) is not None
        assert found_in(copy_to) == expected(FILES)


def failing_at(patch: pytest.MonkeyPatch, owner: Any, name: str, count: int) -> None:
    """Let a function fail from its so many-th call on."""
    works, calls = getattr(owner, name), 0

    def maybe(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= count:
            raise OSError(28, "No space left on device")
        return works(*given, **named)

    patch.setattr(owner, name, maybe)


def fail(patch: pytest.MonkeyPatch, copy_to: str, count: int) -> None:
    if "://" not in copy_to:
        failing_at(patch, copies.shutil, "copyfile", count)
    else:
        failing_at(patch, fsspec.core.url_to_fs(copy_to)[0], "put_file", count)


@pytest.mark.parametrize("count", range(1, len(FILES) + 1))
@pytest.mark.parametrize("is_first", [True, False])
def test_a_copy_that_fails_in_the_middle_is_never_complete(
    copy_to: str, tmp_path: Path, count: int, is_first: bool
) -> None:
    place = at(tmp_path, copy_to)
    before = {f"2020-04-27/{name}" for name in FILES} if not is_first else set()
    if not is_first:
        copy_delivery(publication(tmp_path / "before", FILES), delivery(), place)
    files = {name: content + b"9\n" for name, content in FILES.items()} | {"new.csv": b"id\n"}
    published = publication(tmp_path / "published", files)
    with pytest.MonkeyPatch.context() as patch:
        fail(patch, copy_to, count)
        with pytest.raises(DeliveryError) as error:
            copy_delivery(published, delivery(2), place)
    message = str(error.value)
    assert message.startswith(f"{copy_to}/2020-04-27: deliver.copy_to: the delivery was not copied: ")
    assert message.endswith(f". It stands in {published}; run this again to copy it")
    assert "No space left on device" in message
    assert "\n" not in message
    if "://" in copy_to:
        # What is there has no manifest, so nobody takes it for complete.
        assert f"2020-04-27/{MANIFEST}" not in found_in(copy_to)
        assert before <= set(found_in(copy_to))
    else:
        assert found_in(copy_to) == ({} if is_first else expected(FILES))
    assert copy_delivery(published, delivery(2), place) is not None
    assert found_in(copy_to) == expected(files, 2)


def test_a_file_that_arrives_cut_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_file = MemoryFileSystem.put_file

    def cut(self: MemoryFileSystem, source: str, target: str, **named: Any) -> None:
        put_file(self, source, target, **named)
        self.pipe_file(target, self.cat_file(target)[:-1])

    monkeypatch.setattr(MemoryFileSystem, "put_file", cut)
    place = at(tmp_path, f"memory://copies/{uuid.uuid4().hex}")
    published = publication(tmp_path / "published", {"crm/excel.csv": b"id\n"})
    with pytest.raises(DeliveryError, match=r"crm/excel\.csv has 2 bytes there, 3 here"):
        copy_delivery(published, delivery(), place)


@pytest.mark.parametrize("name", ["holiday.jpg", "data/holiday.jpg"])
def test_files_of_somebody_else_stay(copy_to: str, tmp_path: Path, name: str) -> None:
    published, place = publication(tmp_path / "published", FILES), at(tmp_path, copy_to)
    system, path = fsspec.core.url_to_fs(f"{copy_to}/2020-04-27/{name}")
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, b"jpg")
    with pytest.raises(DeliveryError, match=rf"other files, such as {name}, .* move them away"):
        copy_delivery(published, delivery(), place)
    assert found_in(copy_to) == {f"2020-04-27/{name}": b"jpg"}


def test_a_folder_of_a_day_with_other_files_is_no_copy(copy_to: str, tmp_path: Path) -> None:
    system, path = fsspec.core.url_to_fs(f"{copy_to}/2020-04-27/holiday.jpg")
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, b"jpg")
    assert list(copy_folders(at(tmp_path, copy_to))) == []


def test_what_a_killed_copy_left_is_found_and_then_removed(tmp_path: Path) -> None:
    place = at(tmp_path, "share")
    left = publication(tmp_path / "share/.2020-04-27.new.9999999.tmp", FILES)
    assert [folder.name for folder in copy_folders(place)] == [left.name]
    copy_delivery(publication(tmp_path / "published", FILES), delivery(), place)
    assert [path.name for path in (tmp_path / "share").iterdir()] == ["2020-04-27"]


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "share").write_text("a file", encoding="utf-8")
    published = publication(tmp_path / "published", FILES)
    with pytest.raises(
        DeliveryError, match=r"share/2020-04-27: deliver\.copy_to: the delivery was not copied"
    ):
        copy_delivery(published, delivery(), copies_at(tmp_path, "share"))


def test_a_bucket_that_is_missing_is_one_message(s3: str, tmp_path: Path) -> None:
    published = publication(tmp_path / "published", FILES)
    with pytest.raises(DeliveryError) as error:
        copy_delivery(published, delivery(), copies_at(tmp_path, f"{s3}-not/lists"))
    assert str(error.value).startswith(f"{s3}-not/lists/2020-04-27: deliver.copy_to: the delivery was not")
    assert "check the URL" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "package"),
    [("gs://b/x", "gcsfs"), ("az://b/x", "adlfs"), ("sftp://h/x", "paramiko"), ("smb://h/x", "smbprotocol")],
)
def test_a_driver_that_is_missing_is_named(url: str, package: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as error:
        copies_at(tmp_path, url)
    scheme = url.partition("/")[0]
    assert str(error.value).startswith(
        f"{url}: deliver.copy_to: expected a folder that can be reached; found"
    )
    assert str(error.value).endswith(f"no driver of {scheme}//; pip install {package}")
