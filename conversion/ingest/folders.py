"""Where tables are: in a folder of this machine or at a URL, each one file or a folder of files.

A URL such as ``s3://bucket/export`` is read by fsspec; credentials and addresses come from the environment
variables of the driver's library. A table that is a folder is what a warehouse unloads: many files of one
format, possibly in folders below it, whose names may hold values (``week=2019-01-07``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import unquote

from conversion.config.param_types import has_password
from conversion.ingest.faults import UnreadableError, one_line, quoted
from conversion.runtime.errors import ExportError

if TYPE_CHECKING:
    from conversion.ingest.columns import Table

BUCKETS: Final = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "azure", "abfs", "abfss"), "adlfs"),
}
"""What to install for URLs that begin so and name a bucket, which has no folders of its own."""
DRIVERS: Final = {**BUCKETS, **dict.fromkeys(("sftp", "ssh"), "paramiko"), "smb": "smbprotocol"}
"""What to install for URLs that begin so."""
DATA_DIR: Final = "data.dir"
SUFFIXES: Final = (".csv", ".parquet")
HIDDEN: Final = ("_", ".")
"""What names begin with that are no tables, such as ``_SUCCESS``."""
NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
"""What stands for a missing value in the name of a folder."""


@dataclass(frozen=True, order=True)
class Remote:
    """A file or folder at a URL, with those methods of `pathlib.Path` that reading an export needs."""

    url: str
    path: str
    """The path in the file system that the URL names."""
    setting: str = field(default=DATA_DIR, compare=False)
    """What the user gave the URL as; errors name it."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot on."""
        return PurePosixPath(self.path).suffix

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url.rstrip('/')}/{name}", f"{self.path.rstrip('/')}/{name}", self.setting)

    def file_system(self) -> Any:
        """Return fsspec's file system; it is the same object for all files of one."""
        import fsspec  # imported here: most exports are on this machine

        with _reaching(self.url, self.setting):
            return fsspec.core.url_to_fs(_for_fsspec(self.url))[0]

    def exists(self) -> bool:
        """Return whether there is a file or folder."""
        with _reaching(self.url, self.setting):
            return bool(self.file_system().exists(self.path))

    def is_dir(self) -> bool:
        """Return whether there is a folder."""
        with _reaching(self.url, self.setting):
            return bool(self.file_system().isdir(self.path))

    def is_file(self) -> bool:
        """Return whether there is a file."""
        with _reaching(self.url, self.setting):
            return bool(self.file_system().isfile(self.path))

    def iterdir(self) -> Iterator[Remote]:
        """Yield the files and folders in a folder."""
        with _reaching(self.url, self.setting):
            found = self.file_system().ls(self.path, detail=False)
        yield from (self / PurePosixPath(path).name for path in found)

    def files(self) -> list[str]:
        """Return the files in a folder and those below it, as paths from it."""
        with _reaching(self.url, self.setting):
            found = self.file_system().find(self.path)
        start = len(self.path.rstrip("/")) + 1
        return [path[start:] for path in found if path[start:] and not path.endswith("/")]

    def size(self) -> int:
        """Return a file's size in bytes."""
        with _reaching(self.url, self.setting):
            return int(self.file_system().size(self.path))

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open a file."""
        with _reaching(self.url, self.setting):
            return cast(BinaryIO, self.file_system().open(self.path, mode))


Place = Path | Remote
"""Where a table or an export is."""


@contextmanager
def _reaching(url: str, setting: str) -> Iterator[None]:
    """Turn an error of a driver into a message that names the URL and the remedy."""
    try:
        yield
    except (ExportError, FileNotFoundError):
        raise
    except Exception as error:  # drivers raise the errors of their libraries, which have no common class
        raise ExportError(
            f"{url}: {setting}: expected a folder that can be reached; found {found_at(url, error)}"
        ) from error


def found_at(url: str, error: Exception) -> str:
    """Say what an error of a driver means, and what to do: to install the driver, or to check the URL."""
    if isinstance(error, ImportError):
        protocol = url.partition("://")[0]
        driver = DRIVERS.get(protocol)
        return f"no driver of {protocol}://; {f'pip install {driver}' if driver else one_line(error)}"
    return (
        f"{type(error).__name__}: {one_line(error)}; check the URL, and the environment variables with the "
        "credentials and the address"
    )


def place_of(folder: str, setting: str = DATA_DIR) -> Place:
    """Return the folder that a path of this machine or a URL names.

    Parameters
    ----------
    folder
        Of ``data.dir``, for example.
    setting
        What the user gave it as; errors name it.

    Raises
    ------
    ExportError
        Nothing is installed that reads such URLs, no such URLs are known, or the URL has a password.
    """
    protocol, separator, path = folder.partition("://")
    if not separator:
        return Path(folder)
    if has_password(folder):
        raise ExportError(
            f"{setting}: expected a URL without a password, as files and messages keep it; give "
            "credentials by environment variables or the files of the URL's own tools"
        )
    if protocol in ("file", "local"):
        return Path(unquote(path))
    import fsspec  # imported here: most exports are on this machine

    with _reaching(folder, setting):
        return Remote(folder, fsspec.core.url_to_fs(_for_fsspec(folder))[1], setting)


def _for_fsspec(url: str) -> str:
    """Return a URL as fsspec knows it: DVC calls ``azure://`` what fsspec calls ``az://``."""
    return f"az://{url.removeprefix('azure://')}" if url.startswith("azure://") else url


def size_of(file: Place) -> int:
    """Return a file's size in bytes."""
    return file.size() if isinstance(file, Remote) else file.stat().st_size


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, in the order in which they are read."""

    place: Place
    """The file, or the folder."""
    names: tuple[str, ...] | None = None
    """In a folder, the paths of its files from it; None of a file."""

    @property
    def suffix(self) -> str:
        """The format of all of them."""
        return self.place.suffix if self.names is None else PurePosixPath(self.names[0]).suffix

    def files(self) -> list[tuple[str | None, Place]]:
        """Return each file with its path from the folder; None of a table that is one file."""
        if self.names is None:
            return [(None, self.place)]
        return [(name, self.place / name) for name in self.names]


def values_in(name: str | None) -> dict[str, str | None]:
    """Return the values that the folders of a file's path hold.

    >>> values_in("week=2019-01-07/region=/part%200/0.parquet")
    {'week': '2019-01-07', 'region': ''}
    """
    folders = PurePosixPath(name or "").parent.parts
    pairs = [folder.partition("=") for folder in folders if "=" in folder]
    return {unquote(key): None if value == NO_VALUE else unquote(value) for key, _, value in pairs}


def find_table(folder: Place, table: Table) -> TableFiles:
    """Find a table: its one file, or its folder of files.

    Raises
    ------
    UnreadableError
        There is none, there are two, or it is a folder without tables or with several formats.
    """
    name = table.name
    found = _candidates(folder, name)
    if len(found) > 1:
        expected = f"one of {' and '.join(each.name for each in found)}"
        remedy = "remove the one that is out of date"
        raise UnreadableError("the file", expected, remedy, "both" if len(found) == 2 else "all of them")
    if not found:
        _refuse_none(folder, table)
    [place] = found
    if place.is_file():
        return TableFiles(place)
    if (files := table_in(place)) is None:
        raise UnreadableError("the file", "a file", "replace it with the table", "a folder or device")
    return files


def table_in(folder: Place) -> TableFiles | None:
    """Return the files of a folder that is a table; None if it has no files.

    Raises
    ------
    UnreadableError
        They are of several formats, or of others than tables have.
    """
    if not (names := _names_in(folder)):
        return None
    _refuse_other_formats(folder, names)
    return TableFiles(folder, tuple(names))


def _refuse_none(folder: Place, table: Table) -> None:
    name = table.name
    names = sorted(path.name for path in folder.iterdir())
    near = [each for each in names if each.casefold().startswith(f"{name.casefold()}.")]
    expected = f"one of {name}.csv and {name}.parquet"
    seen = f"neither, but {', '.join(near)}" if near else "neither"
    remedy = f"save it as {name}.csv or {name}.parquet" if near else "put the table into the folder"
    raise UnreadableError("the file", expected, remedy + table.or_change(f"the name {name}"), seen)


def _refuse_other_formats(place: Place, names: list[str]) -> None:
    suffix = place.suffix if place.suffix in SUFFIXES else PurePosixPath(names[0]).suffix
    allowed = (suffix,) if suffix in SUFFIXES else SUFFIXES
    others = [name for name in names if PurePosixPath(name).suffix not in allowed]
    if others:
        expected = f"a folder of files that all end with {' or all with '.join(allowed)}"
        remedy = "export the table in one format, not compressed as a whole, and remove other files"
        raise UnreadableError("the file", expected, remedy, ", ".join(map(quoted, others[:3])))


def files_of(folder: Place, name: str) -> list[Place]:
    """Return all files of a table by its name, in whatever formats; none if there is no table."""
    return [
        file
        for place in _candidates(folder, name)
        for file in ([place] if place.is_file() else [place / each for each in _names_in(place)])
        if file.suffix in SUFFIXES
    ]


def read_all(file: Place) -> bytes:
    """Read a file.

    Raises
    ------
    ExportError
        Its URL cannot be reached.
    """
    if isinstance(file, Path):
        return file.read_bytes()
    with _reaching(file.url, file.setting), file.open() as opened:
        return opened.read()


def shown_file(folder: Place, name: str) -> str:
    """Return a table's file as messages show it: without a suffix if there is none, or one of each."""
    found = _candidates(folder, name)
    return str(found[0] if len(found) == 1 else folder / name)


def _candidates(folder: Place, name: str) -> list[Place]:
    """Return the files and folders that may be a table."""
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()]
    bare = folder / name
    return [*found, bare] if bare.is_dir() and has_tables(bare) else found


def has_tables(folder: Place) -> bool:
    """Return whether a folder has files, in it or in folders below it, that are named like tables."""
    return any(PurePosixPath(name).suffix in SUFFIXES for name in _names_in(folder))


def _names_in(folder: Place) -> list[str]:
    """Return the paths of the files of a table that is a folder, from it, in order."""
    if isinstance(folder, Remote):
        names = folder.files()
    else:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(
        name for name in names if not any(part.startswith(HIDDEN) for part in PurePosixPath(name).parts)
    )
