"""Reading and writing files: atomic writes, deterministic bytes, errors that name the file and its stage."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conversion.runtime.errors import InputError, OutputError

if TYPE_CHECKING:
    import pandas as pd
WRITERS: Final = {
    "data/sample": "simulate",
    "data/truth.parquet": "simulate",
    "data/typed": "load",
    "data/contract.json": "load",
    "metrics/data_quality.json": "load",
    "data/clean": "clean",
    "data/quarantine": "clean",
    "metrics/cleaning.json": "clean",
    "data/features": "featurize",
    "models/model_card.md": "report",
    "models": "train",
    "plots/search.csv": "train",
    "data/backtest": "evaluate",
    "metrics": "evaluate",
    "plots": "evaluate",
    "data/leads": "score",
    "metrics/drift.json": "score",
    "data/report.html": "report",
    "data/track_record.json": "report",
    "data/run.json": "track",
}
"""The stage that writes a file or folder; a file comes before its folder. Errors name it."""
# What spreadsheets take for the start of a formula (some after spaces, some in full width). The apostrophe is
# here too, so that reading gives back what was written.
FORMULA: Final = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n']")
WITH_CHECKSUMS: Final[dict[str, Any]] = {"write_page_checksum": True}
"""Options for writing Parquet: a checksum for each page, which is off by default."""
VERIFIED: Final[dict[str, Any]] = {"page_checksum_verification": True}
"""Options for reading Parquet: compare each page with its checksum, if it has one."""
COPIED_AT_ONCE: Final = 1 << 20  # bytes
TEMPORARY: Final = re.compile(r"\.(?P<stem>.+)\.(?P<pid>\d{1,7})\.tmp(?P<suffix>\.[^.]+)?")
"""The name of a file that a process is writing, or left behind when it was killed."""


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file beside ``path``, then rename it: ``path`` is complete or unchanged.

    Parameters
    ----------
    path
        The target; its folder is created.
    write
        Called with the temporary path to write to.

    Raises
    ------
    OutputError
        The disk is full, the folder is read-only or not a folder.
    """
    with replacing(path) as temporary:
        write(temporary)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give the path of a temporary file to write, which takes the place of ``path`` if the block ends well.

    See `write_atomically`, also for errors.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn an error of writing in the block into a message that names the target and the remedy.

    Raises
    ------
    OutputError
        The disk is full, the folder is read-only or not a folder.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"{target}: cannot be written: {target.parent} is not a folder; move it away"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written: {_reason(error)}; the previous content is unchanged: check the "
            "disk and the folder's permissions, then run it again"
        ) from error


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of a temporary file of `write_atomically`."""
    return TEMPORARY.fullmatch(path.name) is not None


def is_leftover(path: Path) -> bool:
    """Return whether a temporary file or folder belongs to a process that has ended."""
    match = TEMPORARY.fullmatch(path.name)
    return match is not None and not _is_running(int(match["pid"]))


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of ``target`` that killed processes left."""
    for path in target.parent.iterdir():
        match = TEMPORARY.fullmatch(path.name)
        of_target = match and (match["stem"], match["suffix"] or "") == (target.stem, target.suffix)
        if of_target and is_leftover(path):
            path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # only checks whether the process exists
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with line feeds."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn an error of reading in the block into a message with the file, its stage and the remedy.

    Raises
    ------
    InputError
        The file is missing, unreadable or not of its format.
    """
    try:
        yield
    except FileNotFoundError as error:
        who, command = _remedy(path)
        raise InputError(f"{path}: not found; {who} writes it: {command}") from error
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}; check its permissions") from error
    except (OSError, ValueError) as error:  # the errors of pyarrow and json are ValueErrors
        who, command = _remedy(path)
        raise InputError(f"{path}: not what {who} writes ({_reason(error)}); {command} again") from error


def _remedy(path: str | Path) -> tuple[str, str]:
    stage = writer_of(path)
    if stage is None:
        return "the pipeline", "run 'dvc repro'"
    return f"the stage {stage}", f"run 'dvc repro {stage}'"


def writer_of(path: str | Path) -> str | None:
    """Return the stage that writes a file of the project, None if no stage does."""
    around = (Path(path), *Path(path).parents)
    return next((WRITERS[each.as_posix()] for each in around if each.as_posix() in WRITERS), None)


def _reason(error: Exception) -> str:
    """Return the cause on one line: the system's own words for an error number."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(text.split())


def read_text(path: str | Path) -> str:
    """Read UTF-8 text; see `reading` for errors."""
    with reading(path):
        return Path(path).read_text(encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; see `reading` for errors."""
    with reading(path):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_value(path: str | Path, key: str) -> Any:
    """Read one value from a file with a JSON object; see `reading` for errors."""
    read = read_json(path)
    with reading(path):
        if not isinstance(read, dict) or key not in read:
            raise ValueError(f"no key {key}")
        return read[key]


def read_monday(path: str | Path, key: str) -> dt.date:
    """Read a Monday from a file with a JSON object; see `reading` for errors."""
    given = read_value(path, key)
    with reading(path):
        try:
            day = dt.date.fromisoformat(given)
        except (TypeError, ValueError):
            day = None
        if day is None or day.weekday() != 0:
            raise ValueError(f"{key}: given {given!r}, should be a Monday like 2020-02-24")
        return day


def verified_parquet(
    source: str | Path | BytesIO, columns: Iterable[str] | None = None, **to_pandas: Any
) -> pd.DataFrame:
    """Read a Parquet table, and check its pages against their checksums.

    Parameters
    ----------
    source
        The file, or its bytes.
    columns
        The columns to read; None: all.
    **to_pandas
        Options of `pyarrow.Table.to_pandas`.

    Raises
    ------
    OSError, ValueError
        The file is damaged, lacks a column or is not Parquet.
    """
    import pandas as pd  # imported here: commands that read no table need not wait for it

    names = None if columns is None else list(columns)
    try:
        return pd.read_parquet(source, columns=names, to_pandas_kwargs=to_pandas, **VERIFIED)
    except (KeyError, TypeError, NotImplementedError) as error:
        # The checksums do not cover the description of the columns, after the pages.
        raise ValueError(f"the description of its columns is damaged: {error}") from error


def read_parquet(path: str | Path, needed: Iterable[str] = (), **to_pandas: Any) -> pd.DataFrame:
    """Read a Parquet table and check that it has the ``needed`` columns; see `reading` for errors.

    ``to_pandas`` are options of `verified_parquet`.
    """
    with reading(path):
        table = verified_parquet(path, **to_pandas)
        require_columns(table.columns, needed)
        return table


def require_columns(names: Iterable[str], needed: Iterable[str]) -> None:
    """Raise ValueError, which `reading` reports, if columns are missing: other code wrote the file."""
    if missing := [name for name in needed if name not in set(names)]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ValueError(f"it lacks the columns {shown}")


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file that a stage wrote, as `write_atomically` does; see `reading` for errors of the source.

    An error of the target, such as a full disk, is not reported as one of the source.
    """
    chunks = _chunks(source)
    first = next(chunks, b"")  # read before the copy is created
    with replacing(target) as temporary, temporary.open("wb") as copy:
        copy.write(first)
        copy.writelines(chunks)


def _chunks(path: str | Path) -> Iterator[bytes]:
    with reading(path), Path(path).open("rb") as opened:
        while chunk := opened.read(COPIED_AT_ONCE):
            yield chunk


def write_parquet(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index, with checksums."""
    write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False, **WITH_CHECKSUMS))


def write_csv(
    path: str | Path, table: pd.DataFrame, float_format: str | None = None, missing: str = ""
) -> None:
    """Write a table as CSV without its index and without formulas, with line feeds."""
    harmless = without_formulas(table)
    write_atomically(
        path,
        lambda temporary: harmless.to_csv(
            temporary, index=False, float_format=float_format, na_rep=missing, lineterminator="\n"
        ),
    )


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before each text that a spreadsheet would run as a formula.

    Numbers stay unchanged, negative ones too.
    """
    texts = table.select_dtypes(["str", "object", "category"])
    return table.assign(**{str(name): texts[name].map(_harmless, na_action="ignore") for name in texts})


def as_written(texts: pd.Series) -> pd.Series:
    """Remove the apostrophes that `without_formulas` added."""
    return texts.str.removeprefix("'")


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def sha256(path: str | Path) -> str:
    """Hash a file's bytes, or the names and hashes of the files of a folder.

    Files that are being written, and Python's own caches, do not count.
    """
    if Path(path).is_dir():
        files = sorted(
            each
            for each in Path(path).rglob("*")
            if each.is_file() and not is_temporary(each) and "__pycache__" not in each.parts
        )
        lines = (f"{each.relative_to(path).as_posix()} {sha256(each)}\n" for each in files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
