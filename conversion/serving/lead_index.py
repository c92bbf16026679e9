"""The index of a large lead list: made once, shared by all workers, read where a page needs it.

It has the list, its contributions and its usage in a form of which any row is found at once, and the orders,
filters and words that pages ask for. Its folder is named by the list and the contract, and it is made anew
where it is missing, of another version, or not what it says of itself.

A file is verified by its hash once. From then on its size, times and inode stand for that, as long as they
stay the same: the time of its last change of any kind cannot be set back. A file of the list that has changed
is refused, as that of a small list is; a file of the index that has changed is made anew.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conversion.config.data_contract import Contract
from conversion.leads.lead_batches import names_of
from conversion.leads.lead_files import (
    FOLDER,
    BesideList,
    Manifest,
    read_beside_list,
    verify_file,
)
from conversion.leads.lead_tables import AGAIN
from conversion.pages.stored_rows import Store
from conversion.runtime.errors import ArtifactError, OutputError, UserError
from conversion.runtime.files import read_json, sha256, write_json, writing
from conversion.runtime.parts import parts_at
from conversion.runtime.seals import sealed, sha256_of, unsealed
from conversion.serving.lead_index_build import build

INDEXES: Final = "data/lead_index"
INDEX_DIR: Final = "CONVERSION_LEAD_INDEX"
"""The variable of the environment that names another folder of indexes than `INDEXES`."""
ABOUT: Final = "index.json"
VERIFIED: Final = "verified.json"
"""What the files looked like when they were verified."""
VERSION: Final = 1
KEPT: Final = 2
"""Indexes that are kept: that of the list, and the one before, which workers may still read."""

Looks = dict[str, list[int]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StoredFiles(BesideList):
    """A lead list that stays in files.

    Attributes
    ----------
    store
        Its index.
    """

    store: Store


def read_stored_files(root: Path, manifest: Manifest, contract: Contract, indexes: Path) -> StoredFiles:
    """Open the index of a list, or make it first.

    Parameters
    ----------
    root
        The folder that has the list.
    manifest
        Of the list.
    contract
        Of the model that scored it.
    indexes
        The folder of indexes.

    Raises
    ------
    ArtifactError
        The list is not the one of its manifest, or not of this contract.
    OutputError
        The index cannot be written.
    """
    beside = read_beside_list(root, manifest, contract)
    folder = indexes / index_name(manifest, contract)
    store = _opened(folder, root, manifest)
    if store is None:
        with _alone(indexes):
            store = _opened(folder, root, manifest)  # another worker may have made it
            if store is None:
                _make(folder, root, manifest, contract)
                store = _opened(folder, root, manifest)
        if store is None:
            raise OutputError(f"{folder}: changed while it was written; check who else writes there")
    return StoredFiles(**vars(beside), store=store)


def indexes_folder(root: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder of indexes."""
    return Path(environment.get(INDEX_DIR) or root / INDEXES)


def index_name(manifest: Manifest, contract: Contract) -> str:
    """Name the folder of the index of a list."""
    parts = [VERSION, manifest.model_dump_json(), contract.model_dump_json(by_alias=True)]
    return sha256_of(json.dumps(parts).encode())[:32]


@contextmanager
def _alone(indexes: Path) -> Iterator[None]:
    """Let one process at a time make an index; others wait for it."""
    with writing(indexes / ABOUT):
        indexes.mkdir(parents=True, exist_ok=True)
        lock = (indexes / ".lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Opening


def _opened(folder: Path, root: Path, manifest: Manifest) -> Store | None:
    """Open an index if it is there and what it says of itself; refuse a list that has changed.

    Raises
    ------
    ArtifactError
        The list is not the one of its manifest.
    """
    if not (folder / ABOUT).is_file() or not _is_ours(folder):
        return None
    seen = _seen(folder)
    sources = source_looks(root, manifest)
    if sources != seen.get("sources"):
        for name in names_of(manifest):
            verify_file(root, name, manifest)
    try:
        about = unsealed(read_json(folder / ABOUT), str(folder / ABOUT), AGAIN)
        files = _file_looks(folder, about["files"])
        if files != seen.get("files"):
            _verify_index(folder, about)
        store = Store(folder, about)
    except (UserError, OSError, ValueError, LookupError, TypeError) as error:
        log.warning("an index of the lead list is made anew: %s", error)
        return None
    if seen != (now := {"sources": sources, "files": files}):
        _remember(folder, now)
    return store


def _is_ours(folder: Path) -> bool:
    """Return whether an index was written by this user, or by root."""
    return folder.stat().st_uid in (os.geteuid(), 0)


def _seen(folder: Path) -> dict[str, Any]:
    """Return what the files looked like when they were verified; nothing if that is not known."""
    try:
        seen = unsealed(read_json(folder / VERIFIED), str(folder / VERIFIED), AGAIN)
    except UserError:
        return {}
    return seen


def _remember(folder: Path, seen: Mapping[str, Any]) -> None:
    try:
        write_json(folder / VERIFIED, sealed(seen))
    except OutputError as error:  # of a read-only image: files are hashed at each start
        log.warning("files of the lead list are verified anew at each start: %s", error)


def source_looks(root: Path, manifest: Manifest) -> Looks:
    """Return what the large files of a list look like from outside; without one that is missing."""
    looks: Looks = {}
    for name in names_of(manifest):
        if (root / FOLDER / name).exists():
            for path in parts_at(root / FOLDER / name):
                looks[str(path.relative_to(root / FOLDER))] = _look(path)
    return looks


def _file_looks(folder: Path, files: Mapping[str, Any]) -> Looks:
    return {name: _look(folder / name) for name in files}


def _look(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _verify_index(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise ValueError for a file that is not the one that was written, or has no hash."""
    if about["files"].keys() != {*about["arrays"], *about["tables"]}:
        raise ValueError(f"{folder / ABOUT} does not describe its files")
    for name, written in about["files"].items():
        if sha256(folder / name) != written:
            raise ValueError(f"{folder / name} is not the file that was written")


# Making


def _make(folder: Path, root: Path, manifest: Manifest, contract: Contract) -> None:
    """Write an index to a folder of another name, and rename it."""
    log.warning("makes an index of the lead list", extra={"leads": manifest.prospects})
    before = source_looks(root, manifest)
    for name in names_of(manifest):
        verify_file(root, name, manifest)
    indexes = folder.parent
    making = indexes / f".{folder.name}.{os.getpid()}.tmp"
    with writing(folder):
        for left in indexes.glob(".*.tmp"):  # of processes that were killed: this one holds the lock
            shutil.rmtree(left)
        making.mkdir()
        try:
            about = build(making, root, manifest, contract)
            files = {path.name: sha256(path) for path in sorted(making.iterdir())}
            write_json(making / ABOUT, sealed(about | {"files": files}))
            if source_looks(root, manifest) != before:
                raise ArtifactError(f"{root / FOLDER}: was written while it was read; {AGAIN}")
            if folder.exists():
                shutil.rmtree(folder)
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _remember(folder, {"sources": before, "files": _file_looks(folder, files)})
        _remove_old(indexes, folder)


def _remove_old(indexes: Path, folder: Path) -> None:
    others = [each for each in indexes.iterdir() if each.is_dir() and each != folder]
    for old in sorted(others, key=lambda each: -each.stat().st_mtime_ns)[KEPT - 1 :]:
        shutil.rmtree(old)
