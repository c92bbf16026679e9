"""Reading and writing files at the edge: atomic writes, deterministic bytes, errors that name the file."""

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

import yaml

from conversion.runtime.errors import InputError, OutputError

if TYPE_CHECKING:
    import pandas as pd
PIPELINE: Final = "dvc.yaml"
# What spreadsheets take for the start of a formula (some after spaces, some in full width), and the
# apostrophe itself, so that what is read back is what was written.
FORMULA: Final = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n']")
WITH_CHECKSUMS: Final[dict[str, Any]] = {"write_page_checksum": True}
"""For whatever writes Parquet: a checksum for each page, which Parquet leaves out by default."""
VERIFIED: Final[dict[str, Any]] = {"page_checksum_verification": True}
"""For whatever reads Parquet: compare each page with its checksum, where it has one."""
COPIED_AT_ONCE: Final = 1 << 20  # bytes
TEMPORARY: Final = re.compile(r"\.(?P<stem>.+)\.(?P<pid>\d{1,7})\.tmp(?P<suffix>\.[^.]+)?")
"""Name of a file that is being written, and by which process; one that was killed leaves it behind."""


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it: all or nothing.

    Parameters
    ----------
    path
        Where the file is to be; its folder is made.
    write
        Called with the temporary path.

    Raises
    ------
    OutputError
        The disk is full, the folder is read-only, or is no folder.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        try:
            write(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Report, for a file or folder that the block cannot write, which one it is and what to do.

    Raises
    ------
    OutputError
        The disk is full, the folder is read-only, or is no folder.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"{target}: cannot be written: {target.parent} is no folder; move away what is there"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written: {_reason(error)}; what was there before is untouched: see to the "
            "disk and the folder's permissions, then run it again"
        ) from error


def is_temporary(path: Path) -> bool:
    """Return whether a file is one that is, or was, being written beside its target."""
    return TEMPORARY.fullmatch(path.name) is not None


def is_leftover(path: Path) -> bool:
    """Return whether a temporary file or folder belongs to a process that no longer runs."""
    match = TEMPORARY.fullmatch(path.name)
    return match is not None and not _is_running(int(match["pid"]))


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes left of ``target``; the next one to write it knows of it first."""
    for path in target.parent.iterdir():
        match = TEMPORARY.fullmatch(path.name)
        of_target = match and (match["stem"], match["suffix"] or "") == (target.stem, target.suffix)
        if of_target and is_leftover(path):
            path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, lines ended by a line feed."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Say of a file that cannot be read in the block which one it is, who writes it and what to do.

    Raises
    ------
    InputError
        The file is missing, not readable, or not of its format.
    """
    try:
        yield
    except FileNotFoundError as error:
        who, command = _remedy(path)
        raise InputError(f"{path}: not found; {who} writes it: {command}") from error
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}; see to its permissions") from error
    except (OSError, ValueError) as error:  # what pyarrow and json raise are ValueErrors
        who, command = _remedy(path)
        raise InputError(f"{path}: not what {who} writes ({_reason(error)}); {command} again") from error


def _remedy(path: str | Path) -> tuple[str, str]:
    stage = writer_of(path)
    if stage is None:
        return "the pipeline", "run 'dvc repro'"
    return f"the stage {stage}", f"run 'dvc repro {stage}'"


def writer_of(path: str | Path) -> str | None:
    """Find in dvc.yaml which stage writes a file; None where none does, or there is no dvc.yaml."""
    try:
        stages = yaml.safe_load(Path(PIPELINE).read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None
    around = {str(Path(path)), *map(str, Path(path).parents)}
    for name, stage in stages.items():
        written = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, ())]
        if around & {out if isinstance(out, str) else next(iter(out)) for out in written}:
            return str(name)
    return None


def _reason(error: Exception) -> str:
    """Say in one line what went wrong; where the system says it, in its words alone."""
    told = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(told.split())


def read_text(path: str | Path) -> str:
    """Read UTF-8 text; see `reading` for errors."""
    with reading(path):
        return Path(path).read_text(encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; see `reading` for errors."""
    with reading(path):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_value(path: str | Path, key: str) -> Any:
    """Read one value of a file with a JSON object; see `reading` for errors."""
    read = read_json(path)
    with reading(path):
        if not isinstance(read, dict) or key not in read:
            raise ValueError(f"no key {key}")
        return read[key]


def read_monday(path: str | Path, key: str) -> dt.date:
    """Read a Monday of a file with a JSON object; see `reading` for errors."""
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
    """Read a Parquet table whose pages are what was written, as far as they have checksums.

    Parameters
    ----------
    source
        The file, or its bytes.
    columns
        Which ones; None: all.
    **to_pandas
        Options of `pyarrow.Table.to_pandas`.

    Raises
    ------
    OSError, ValueError
        The file is damaged, lacks a column or is no Parquet file.
    """
    import pandas as pd  # the service's command line need not wait for it

    names = None if columns is None else list(columns)
    try:
        return pd.read_parquet(source, columns=names, to_pandas_kwargs=to_pandas, **VERIFIED)
    except (KeyError, TypeError, NotImplementedError) as error:
        # Checksums cover pages, not the description of the columns after them.
        raise ValueError(f"the description of its columns is damaged: {error}") from error


def read_parquet(path: str | Path, needed: Iterable[str] = (), **to_pandas: Any) -> pd.DataFrame:
    """Read a Parquet table that must have the ``needed`` columns; see `reading` for errors.

    ``to_pandas`` are options of `verified_parquet`.
    """
    with reading(path):
        table = verified_parquet(path, **to_pandas)
        require_columns(table.columns, needed)
        return table


def require_columns(names: Iterable[str], needed: Iterable[str]) -> None:
    """Raise ValueError, for `reading`, where columns are missing: other code wrote the file."""
    if missing := [name for name in needed if name not in set(names)]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ValueError(f"it lacks the columns {shown}")


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy what a stage wrote; see `reading` and `writing` for errors.

    The two are told apart: a full disk is no fault of the file that is read.
    """
    chunks = _chunks(source)
    first = next(chunks, b"")  # there is no copy of what cannot be read
    with writing(Path(target)), Path(target).open("wb") as copy:
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
    """Write a table as CSV without its index, lines ended by a line feed, no cell a formula."""
    harmless = without_formulas(table)
    write_atomically(
        path,
        lambda temporary: harmless.to_csv(
            temporary, index=False, float_format=float_format, na_rep=missing, lineterminator="\n"
        ),
    )


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before each text that a spreadsheet would take for a formula and run.

    Numbers stay as they are; a negative one is no formula.
    """
    texts = table.select_dtypes(["str", "object", "category"])
    return table.assign(**{str(name): texts[name].map(_harmless, na_action="ignore") for name in texts})


def as_written(texts: pd.Series) -> pd.Series:
    """Take off what `without_formulas` put before texts."""
    return texts.str.removeprefix("'")


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def sha256(path: str | Path) -> str:
    """Hash a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
