"""Parts that stay when a run is ended: written aside, skipped by the next run, moved in place at the end.

DVC deletes the outputs of a stage before it starts. So parts are written into ``data/.work/``, which is no
output of a stage and no dependency: ``<stage>-<fingerprint>/files/`` has the files under the paths that they
will have in the project, ``<stage>-<fingerprint>/done/`` a JSON for each part that is done, with its summary
and the hashes of its files: a machine that loses its power may lose some of what was written last. The
fingerprint covers all that the files follow from. Another fingerprint is another folder.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from conversion.engine.one_run import one_run
from conversion.runtime.files import reading, sha256, write_json, writing
from conversion.runtime.parts import move_table, part_path

WORK: Final = Path("data/.work")
SOURCE: Final = Path(__file__).resolve().parents[2]
"""The folder of the project's code."""
PACKAGES: Final = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "xgboost-cpu", "duckdb")
"""Packages whose versions decide it too; xgboost-cpu is xgboost on macOS."""


@dataclass(frozen=True)
class KeptParts:
    """Where the parts of a run are written; from `kept_parts`."""

    folder: Path | None
    """The folder of this run; None: files are written in place and nothing is kept."""

    @property
    def root(self) -> Path:
        """The folder that takes the place of the project's root for the files that parts write."""
        return Path() if self.folder is None else self.folder / "files"

    def mark(self, what: str, part: int, summary: Any) -> None:
        """Write that a part of a work is done, after all of its files; without a folder do nothing."""
        if self.folder is not None:
            content = {"part": part, "summary": summary, "files": self._files_of(part)}
            write_json(self._mark(self.folder, what, part), content)

    def done(self, what: str, parts: Iterable[int]) -> dict[int, Any]:
        """Return the summaries of those of the parts of a work that are done, by part.

        A part whose files are not those that were there when it was marked counts as not done: it is made
        again. So does one whose files a later work of the stage has written anew.
        """
        if self.folder is None:
            return {}
        marks = {part: _content(self._mark(self.folder, what, part)) for part in parts}
        return {
            part: content["summary"]
            for part, content in marks.items()
            if content is not None and content["files"] == self._files_of(part)
        }

    def _files_of(self, part: int) -> dict[str, str]:
        """Hash the files of a part, by their paths in the project."""
        files = sorted(self.root.rglob(part_path("", part, parts=2).name))
        return {file.relative_to(self.root).as_posix(): hash_of(file) for file in files}

    @staticmethod
    def _mark(folder: Path, what: str, part: int) -> Path:
        return folder / "done" / re.sub(r"[^\w.-]+", "_", what) / f"part-{part:05d}.json"


def _content(mark: Path) -> dict[str, Any] | None:
    """Read what `KeptParts.mark` wrote; None if there is no such file, or a damaged one."""
    with reading(mark):
        try:
            content = json.loads(mark.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
    return content if isinstance(content, dict) and {"summary", "files"} <= content.keys() else None


NOTHING_KEPT: Final = KeptParts(None)


@contextmanager
def kept_parts(
    stage: str, parts: int, params: Mapping[str, Any], inputs: Iterable[str | Path]
) -> Iterator[KeptParts]:
    """Give a stage the place to write its parts, and move all files in place when the block ends well.

    Parts that an ended run of the same fingerprint left are kept; what other runs of the stage left is
    removed. One part alone is written in place.

    Parameters
    ----------
    stage
        Its name.
    parts
        How many there are.
    params
        All that the files follow from besides the inputs and the code: sections of params.yaml, dates.
        Not the engine: every engine writes the same.
    inputs
        The files and folders that are read.

    Raises
    ------
    EngineError
        Another run of the stage is at work.

    Examples
    --------
    A stage with parts. ``root`` tells a function of a wing where to write: what it writes to
    ``part_path(root / "data/features/train.parquet", part, parts)`` ends up in data/features/train.parquet::

        settings = {"featurize": params.featurize, "seed": params.seed}
        with kept_parts("featurize", parts, settings, ["data/contract.json", "data/clean"]) as kept:
            write = functools.partial(write_part, root=kept.root, parts=parts, settings=params.featurize)
            counts = run_parts(write, parts, params.engine, "snapshots", kept)
    """
    if parts == 1:
        yield NOTHING_KEPT
        return
    # Another run of the stage would write into the same folder, or remove this one.
    with one_run(stage):
        folder = WORK / f"{stage}-{fingerprint(stage, parts, params, inputs)}"
        _remove_others(stage, folder)
        kept = KeptParts(folder)
        with writing(folder):
            kept.root.mkdir(parents=True, exist_ok=True)
        yield kept
        # Renamed first: a run that is ended in the middle of the moves must not leave parts that look done.
        moving = folder.with_name(f"{folder.name}.moving")
        with writing(moving):
            folder.rename(moving)
            _move(moving / "files", Path())
            shutil.rmtree(moving)
            if not any(WORK.iterdir()):
                WORK.rmdir()


def fingerprint(stage: str, parts: int, params: Mapping[str, Any], inputs: Iterable[str | Path]) -> str:
    """Return a short hash of all that the files of the parts follow from; see `kept_parts`."""
    about = {
        "stage": stage,
        "parts": parts,
        "params": dict(params),
        "inputs": {str(path): hash_of(path) for path in inputs},
        "code": code_hash(),
        "packages": package_versions(),
    }
    text = json.dumps(about, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_hash() -> str:
    """Hash the code of the stages and of all that they call."""
    folders = (SOURCE / "conversion", SOURCE / "stages")
    return "-".join(hash_of(folder)[:16] for folder in folders if folder.is_dir())


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dt.date | Path):  # a timestamp is a date
        return str(value)
    raise TypeError(f"{value!r} has no place in a fingerprint")


def hash_of(path: str | Path) -> str:
    """Hash a file, or the names and contents of the files of a folder; see `reading` for errors."""
    with reading(path):
        return sha256(path)


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages whose arithmetic or files could differ."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _remove_others(stage: str, folder: Path) -> None:
    """Remove the folders of the stage's runs but one."""
    name = re.compile(rf"{re.escape(stage)}-[0-9a-f]{{16}}(\.moving)?")
    for other in WORK.iterdir() if WORK.is_dir() else ():
        if other != folder and name.fullmatch(other.name):
            with writing(other):
                shutil.rmtree(other)


def _move(source: Path, target: Path) -> None:
    """Move the files of a folder into another; a table in parts replaces the whole table that is there."""
    for each in sorted(source.iterdir()):
        there = target / each.name
        if each.is_dir() and each.suffix != ".parquet":
            there.mkdir(parents=True, exist_ok=True)
            _move(each, there)
        else:
            move_table(each, there)
