"""Files of the project that have a company, what they are without it, and the lists' manifests."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conversion.delivery.ledger import FOLDER as LEDGER
from conversion.forgetting.contents import Cleaned, UnreadableError, is_searched, without_company
from conversion.forgetting.wanted import Wanted
from conversion.leads.lead_files import FOLDER as LEADS
from conversion.leads.lead_files import LIST, MANIFEST
from conversion.runtime.files import read_json, write_bytes, write_json, writing
from conversion.runtime.seals import HASH, sealed, sha256_of

SKIPPED: Final = frozenset(
    ("conversion", "stages", "commands", "tests", "tools", "benchmarks", "contracts", "examples", "deploy")
)
"""Folders of the root with code and descriptions, in which no company is."""
CACHES: Final = frozenset((".git", "__pycache__", "node_modules"))
DVC_CACHE: Final = Path(".dvc/cache")


@dataclass(frozen=True)
class Place:
    """A file that has the company.

    Attributes
    ----------
    path
        Of the file.
    removed
        Rows, objects, lines or pages of the company.
    content
        What it is without; None: the file is removed.
    """

    path: Path
    removed: int
    content: bytes | None


@dataclass(frozen=True)
class Places:
    """Files that have the company, and those that could not be read."""

    found: tuple[Place, ...]
    unreadable: tuple[tuple[Path, str], ...]


def find_places(root: Path, wanted: Wanted, last: Iterable[str] = (), apart: Collection[Path] = ()) -> Places:
    """Search the files of the project, except for the ledger and DVC's cache, without changing them.

    Parameters
    ----------
    root
        The project's root.
    wanted
        The company.
    last
        Stems of files that come last: they tell by what else the company is known, so that a repetition
        after an interruption finds it too.
    apart
        Folders that are not searched.
    """
    found, unreadable, late = [], [], {*last}
    for path in sorted(
        _files(root, apart), key=lambda path: (path.stem in late, path.suffix != ".html", path)
    ):
        try:
            cleaned = without_company(path.read_bytes(), wanted, path.name)
        except UnreadableError as error:
            unreadable.append((path, str(error)))
            continue
        if cleaned is not None:
            found.append(Place(path, cleaned.removed, cleaned.content))
    return Places(tuple(found), tuple(unreadable))


def _files(root: Path, apart: Collection[Path]) -> Iterator[Path]:
    skipped = {root / DVC_CACHE, *(root / name for name in SKIPPED), *apart}
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = sorted(
            name
            for name in names
            if here / name not in skipped
            and name not in CACHES
            and not name.startswith(".venv")
            # what a killed delivery left in the ledger is searched, deliveries are not: they have manifests
            and not (here == root / LEDGER and name.startswith("as_of="))
        )
        yield from (here / name for name in files if is_searched(name) and (here / name).is_file())


def write_places(places: Iterable[Place]) -> None:
    """Write the files without the company, each in one step; manifests of lists first.

    A list's manifest has the hashes of its files. If this is stopped, a repetition finds the files that are
    left, and their hashes are those that the manifest has already.
    """
    every = tuple(places)
    by_folder: dict[Path, dict[str, Place]] = {}
    for place in every:
        if place.path.parent.as_posix().endswith(LEADS):
            by_folder.setdefault(place.path.parent, {})[place.path.name] = place
    for folder, of_list in by_folder.items():
        _write_manifest(folder, of_list)
    for place in every:
        if place.content is None:
            with writing(place.path):
                place.path.unlink(missing_ok=True)
        else:
            write_bytes(place.path, place.content)


def _write_manifest(folder: Path, changed: Mapping[str, Place]) -> None:
    path = folder / MANIFEST
    if not path.is_file():
        return
    write_json(path, manifest_without(read_json(path), changed))


def manifest_without(manifest: Mapping[str, Any], changed: Mapping[str, Place | Cleaned]) -> dict[str, Any]:
    """Return the manifest of a lead list with the hashes of its files without the company.

    Parameters
    ----------
    manifest
        As it was read.
    changed
        The files that have the company, by name. Of those whose hash it has already, nothing is counted.
    """
    content = {name: value for name, value in manifest.items() if name != HASH}
    content["files"] = dict(content["files"])
    for name, file in changed.items():
        if name not in content["files"] or file.content is None:
            continue
        after = sha256_of(file.content)
        if name.startswith(LIST) and content["files"][name] != after:
            content["prospects"] -= file.removed
        content["files"][name] = after
    return sealed(content)
