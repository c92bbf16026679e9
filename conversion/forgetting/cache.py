"""DVC's cache: every content that a run has had, and the entries that restore it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conversion.forgetting.contents import UnreadableError, without_company
from conversion.forgetting.wanted import Wanted
from conversion.runtime.files import writing

OBJECT: Final = re.compile(r"(?:files/md5/)?([0-9a-f]{2})/([0-9a-f]{30})(\.dir)?")
RUNS: Final = "runs"
_HASH: Final = re.compile(r"\b[0-9a-f]{32}(?:\.dir)?\b")


@dataclass(frozen=True)
class CachedCompany:
    """What of a cache has the company.

    Attributes
    ----------
    objects
        Contents, by hash; DVC's remotes may have them too.
    folders
        Lists of folders that have such a content.
    runs
        Entries of the run cache that would restore one of these.
    """

    objects: dict[str, Path]
    folders: dict[str, Path]
    runs: tuple[Path, ...]

    @property
    def hashes(self) -> tuple[str, ...]:
        """The hashes that a remote may have."""
        return tuple(sorted({*self.objects, *self.folders}))

    def paths(self) -> tuple[Path, ...]:
        """Return the files to remove; contents last, so that a repetition finds the others by them."""
        return (*self.runs, *self.folders.values(), *self.objects.values())


def find_cached(cache: Path, wanted: Wanted) -> CachedCompany:
    """Find the contents of a cache that have the company, without changing them.

    Parameters
    ----------
    cache
        DVC's folder of objects.
    wanted
        The company.
    """
    found = dict(_objects(cache))
    contents = {
        name: path for name, path in found.items() if not name.endswith(".dir") and _has(path, wanted)
    }
    folders = {
        name: path
        for name, path in found.items()
        if name.endswith(".dir") and not _listed(path).isdisjoint(contents)
    }
    gone = {*contents, *folders}
    entries = (path for path in (cache / RUNS).rglob("*") if path.is_file())
    runs = tuple(sorted(path for path in entries if not gone.isdisjoint(_HASH.findall(_text(path)))))
    return CachedCompany(contents, folders, runs)


def _objects(cache: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(cache.rglob("*")):
        match = OBJECT.fullmatch(path.relative_to(cache).as_posix())
        if match is not None and path.is_file():
            yield f"{match[1]}{match[2]}{match[3] or ''}", path


def _has(path: Path, wanted: Wanted) -> bool:
    try:
        return without_company(path.read_bytes(), wanted) is not None
    except UnreadableError:
        return False  # of no format that the project writes; without a name nothing says that it should be


def _listed(path: Path) -> set[str]:
    try:
        return {str(item["md5"]) for item in json.loads(path.read_bytes())}
    except (ValueError, KeyError, TypeError):
        return set()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files of the cache, which DVC keeps read-only."""
    for path in paths:
        with writing(path):
            path.unlink(missing_ok=True)
