"""Copies of deliveries for others to pick up, in a folder or bucket: ``<deliver.copy_to>/<as_of>``.

A copy is complete if it has ``delivery.json``, which comes last and has the hash of each other file. A folder
of this machine, or of a share, gets the whole copy by renaming.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from conversion.delivery.ledger import Delivery
from conversion.ingest.folders import BUCKETS, Place, Remote, found_at, place_of, read_all
from conversion.runtime.errors import DeliveryError
from conversion.runtime.files import is_leftover, sha256, write_bytes

SETTING: Final = "deliver.copy_to"
MANIFEST: Final = "delivery.json"
log = logging.getLogger(__name__)


def copies_at(root: Path, copy_to: str | None) -> Place | None:
    """Return the folder of all copies; None if there are none.

    Parameters
    ----------
    root
        The project's root, from which a path goes out.
    copy_to
        Of params.yaml.

    Raises
    ------
    ExportError
        Nothing is installed that writes to such URLs.
    """
    if copy_to is None:
        return None
    place = place_of(copy_to, SETTING)
    return root / place if isinstance(place, Path) else place


def copy_delivery(published: Path, delivery: Delivery, copies: Place | None) -> Place | None:
    """Copy what was published of a delivery.

    Stopped at any moment and repeated, it ends the same. What the folder had of an earlier copy of this week
    is replaced.

    Parameters
    ----------
    published
        The publication's folder.
    delivery
        Of the ledger.
    copies
        From `copies_at`; None: nothing is copied.

    Returns
    -------
    Place or None
        The copy's folder; None if nothing had to be copied.

    Raises
    ------
    DeliveryError
        The copy is not complete, or its folder has files of somebody else.
    """
    if copies is None:
        return None
    target = copies / delivery.as_of.isoformat()
    files = {path.relative_to(published).as_posix(): path for path in published.rglob("*") if path.is_file()}
    about = {
        "as_of": delivery.as_of.isoformat(),
        "delivery": delivery.number,
        "files": {name: sha256(files[name]) for name in sorted(files)},
    }
    manifest = manifest_bytes(about)
    with _copying(target, published):
        if isinstance(target, Remote):
            is_new = _copy_there(files, manifest, target)
        else:
            is_new = _copy_here(files, manifest, target)
    log.info("copied" if is_new else "the copy is there already", extra={"copy": str(target)})
    return target if is_new else None


def manifest_bytes(about: Mapping[str, Any]) -> bytes:
    """Return the content of a copy's ``delivery.json``."""
    return (json.dumps(about, indent=2) + "\n").encode()


def copy_folders(copies: Place) -> Iterator[Place]:
    """Yield the folders of copies, complete or not, also what killed processes left; no other folders."""
    if not copies.is_dir():
        return
    folders = [folder for folder in copies.iterdir() if _may_be_a_copy(folder) and folder.is_dir()]
    folders.sort(key=lambda folder: folder.name)
    yield from (folder for folder in folders if _is_copy(set(names_in(folder))))


def names_in(folder: Place) -> list[str]:
    """Return the files of a copy, as paths from its folder, in order."""
    if isinstance(folder, Remote):
        return sorted(folder.files())
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def write_into(file: Place, content: bytes) -> None:
    """Write a file of a copy.

    Raises
    ------
    DeliveryError, OutputError
        It cannot be written.
    """
    if not isinstance(file, Remote):
        write_bytes(file, content)
        return
    try:
        file.file_system().pipe_file(file.path, content)
    except Exception as error:  # drivers raise the errors of their libraries, which have no common class
        raise DeliveryError(
            f"{file}: {SETTING}: cannot be written: {found_at(file.url, error)}; then run this again"
        ) from error


def _may_be_a_copy(folder: Place) -> bool:
    is_left = isinstance(folder, Path) and is_leftover(folder)
    return _is_day(folder.name.split(".")[1] if is_left else folder.name)


def _is_day(name: str) -> bool:
    try:
        return dt.date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def _is_copy(names: set[str]) -> bool:
    """Return whether some files are a copy, or the beginning of one."""
    return MANIFEST in names or any(name.startswith(("data/", "models/")) for name in names)


@contextmanager
def _copying(target: Place, published: Path) -> Iterator[None]:
    """Turn an error of the block into one message.

    Raises
    ------
    DeliveryError
        Says what happened, and what to do.
    """
    try:
        yield
    except Exception as error:  # drivers raise the errors of their libraries, which have no common class
        if isinstance(error, DeliveryError):
            found = str(error)
        elif isinstance(target, Remote):
            found = found_at(target.url, error)
        elif isinstance(error, OSError) and error.errno:
            found = f"{os.strerror(error.errno)}; check the disk and the folder's permissions"
        else:
            raise
        raise DeliveryError(
            f"{target}: {SETTING}: the delivery was not copied: {found}. It stands in {published}; run this "
            "again to copy it"
        ) from error


def _refuse_others(found: set[str], names: set[str]) -> None:
    """Check that what a copy replaces is an earlier one, or the beginning of one."""
    if found and MANIFEST not in found and not found & names:
        raise DeliveryError(
            f"there are other files, such as {min(found)}, which a copy would replace; move them away"
        )


def _copy_here(files: Mapping[str, Path], manifest: bytes, target: Path) -> bool:
    """Copy into a folder of this machine; return whether anything changed."""
    hashes = json.loads(manifest)["files"]
    found = set(names_in(target)) if target.is_dir() else set()
    is_same = found == {*files, MANIFEST} and (target / MANIFEST).read_bytes() == manifest
    if is_same and all(sha256(target / name) == hashes[name] for name in files):
        return False
    _refuse_others(found, {*files})
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in target.parent.iterdir():
        if path.name.startswith(f".{target.name}.") and is_leftover(path):
            shutil.rmtree(path)
    new, old = (target.with_name(f".{target.name}.{what}.{os.getpid()}.tmp") for what in ("new", "old"))
    try:
        for name, path in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new / name)
        (new / MANIFEST).write_bytes(manifest)
        if target.is_dir():
            target.rename(old)  # a folder cannot take the place of another one in one step
        new.rename(target)
    finally:
        if old.is_dir() and not target.is_dir():
            old.rename(target)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return True


def _copy_there(files: Mapping[str, Path], manifest: bytes, target: Remote) -> bool:
    """Copy to a URL, the manifest last; return whether anything changed."""
    system = target.file_system()
    sizes = {name: path.stat().st_size for name, path in files.items()} | {MANIFEST: len(manifest)}
    found = _sizes(system, target)
    if found == sizes and read_all(target / MANIFEST) == manifest:
        return False
    _refuse_others({*found}, {*files})
    if MANIFEST in found:
        system.rm((target / MANIFEST).path)
    for name, path in files.items():
        to = (target / name).path
        if target.url.partition("://")[0] not in BUCKETS:
            system.makedirs(to.rpartition("/")[0], exist_ok=True)
        system.put_file(str(path), to)
    for name in found.keys() - sizes.keys():
        system.rm((target / name).path)
    arrived = _sizes(system, target)
    if wrong := sorted(name for name in files if arrived.get(name) != sizes[name]):
        raise DeliveryError(f"{wrong[0]} has {arrived.get(wrong[0], 0)} bytes there, {sizes[wrong[0]]} here")
    system.pipe_file((target / MANIFEST).path, manifest)
    return True


def _sizes(system: Any, folder: Remote) -> dict[str, int]:
    """Return the size of each file in a folder and those below it, as they are now."""
    system.invalidate_cache()
    start = len(folder.path.rstrip("/")) + 1
    found = system.find(folder.path, detail=True)
    return {path[start:]: about["size"] for path, about in found.items() if not path.endswith("/")}
