"""What DVC's run cache lacks for stages that write files which are in git, such as metrics and plots.

With the run cache, returning to params that have run before takes seconds. Three rules of DVC 3 prevent that:

- It neither saves nor restores a stage that has an output with ``persist: true``. So dvc.yaml has none.
- Without ``persist`` it deletes a stage's outputs before the stage starts. A stage that fails would leave
  neither the last model nor the last metrics. `keep_last_outputs` puts them back.
- It saves no entry for a stage that has an output with ``cache: false``, unless the output is declared as a
  metric or a plot, which `dvc metrics show` and `dvc plots show` would then show. DVC does restore such a
  stage if there is an entry. `save_entries` saves it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cache as cache_results
from functools import partial
from pathlib import Path
from typing import Any, Final

from conversion.runtime.files import write_atomically, writing
from conversion.runtime.git import git
from conversion.runtime.yaml_values import read_own

LOCK: Final = Path("dvc.lock")
DVC_FOLDER: Final = Path(".dvc")
OBJECTS: Final = "files/md5"
"""Where DVC's cache has the content of files, by their MD5."""
ENTRIES: Final = "runs"
"""Where it has the run cache."""
SIZES: Final = ("size", "nfiles")
"""Keys of dvc.lock that do not count in the run cache."""


def run_by_dvc(stage: str) -> bool:
    """Return whether DVC started this program as a stage; by hand the run cache does not concern it."""
    return os.environ.get("DVC_STAGE", "").rpartition(":")[2] == stage


def keep_last_outputs(stage: str) -> None:
    """Write again the files that DVC deleted before it started this stage.

    A stage replaces a file when the new one is complete, so the last run's files stay if it fails or is
    killed. Folders are not put back: a stage may write other files into them this time.

    Parameters
    ----------
    stage
        The name of the running stage.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    if not run_by_dvc(stage) or not LOCK.is_file():
        return
    for path, md5 in _recorded_files(stage):
        if not path.exists() and (content := _content(path, md5)) is not None:
            write_atomically(path, partial(Path.write_bytes, data=content))


def _recorded_files(stage: str) -> Iterator[tuple[Path, str]]:
    """List the files that dvc.lock has for a stage, each with its MD5."""
    lock = read_own(LOCK)
    for out in lock["stages"].get(stage, {}).get("outs", ()):
        md5 = out.get("md5")
        if md5 is not None and not md5.endswith(".dir"):
            yield Path(out["path"]), md5


def _content(path: Path, md5: str) -> bytes | None:
    """Return what a file held; None if neither DVC's cache nor, as in a new clone, git has it.

    DVC's configuration is asked last: reading it takes a third of a second at the start of a stage, and the
    cache is elsewhere only if a user or an experiment in a temporary folder says so.
    """
    content = _cached(DVC_FOLDER / "cache", md5)
    if content is None:
        content = _committed(path, md5)
    return _cached(_folder_of(_configuration()), md5) if content is None else content


def _cached(cache: Path, md5: str) -> bytes | None:
    found = cache / OBJECTS / md5[:2] / md5[2:]
    return found.read_bytes() if found.is_file() else None


def _committed(path: Path, md5: str) -> bytes | None:
    committed = git("show", f"HEAD:./{path.as_posix()}")
    return committed if committed is not None and _md5(committed) == md5 else None


def _folder_of(configured: dict[str, Any]) -> Path:
    return Path(configured.get("dir") or DVC_FOLDER / "cache")


def _configuration() -> dict[str, Any]:
    """Return what DVC's configuration says of the cache."""
    from dvc.config import Config

    return dict(Config(str(DVC_FOLDER.resolve()))["cache"])


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _md5_of(path: Path) -> str | None:
    """Hash a file; None if there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def save_entries(stage: str) -> None:
    """Save what DVC needs to restore the stages that have run before this one.

    An entry repeats what dvc.lock says of a stage. A stage is left out where dvc.lock may mix two runs, as
    after a merge: its params are not those of now, it read another file than is there, or an output of it is
    neither in the cache nor in place. Folders of code are not compared.

    ``dvc commit --force`` saves the same, but it cannot run while DVC runs a stage. DVC's own function for it
    takes four times as long: it loads the whole project, and params.yaml again for each stage.

    Parameters
    ----------
    stage
        The name of the running stage.

    Raises
    ------
    OutputError
        The cache cannot be written.
    """
    if not run_by_dvc(stage) or not LOCK.is_file():
        return
    configured = _configuration()
    if configured.get("local"):  # an old way to name the cache, which only DVC follows
        return
    stages = _load(LOCK)["stages"]
    written = {out["path"]: out.get("md5") for each in stages.values() for out in each.get("outs", ())}
    params = cache_results(_load)
    cache = _opened_cache(configured)
    with writing(Path(cache.path)):
        for name, recorded in stages.items():
            if (
                name != stage
                and _is_current(recorded, written, params)
                and all(_is_cached(out, cache) for out in recorded.get("outs", ()))
            ):
                _save_entry(recorded, cache)


def _load(path: str | Path) -> dict[str, Any]:
    """Read a file of DVC's, or of params, as DVC does."""
    from dvc.utils.serialize import load_path
    from dvc_objects.fs.local import localfs

    return dict(load_path(str(path), localfs))


def _is_current(
    recorded: dict[str, Any], written: dict[str, str | None], params: Callable[[str], dict[str, Any]]
) -> bool:
    """Return whether a stage's params are those of now, and what it read is what is there now."""
    return all(
        _param(params(path), key) == value
        for path, given in recorded.get("params", {}).items()
        for key, value in given.items()
    ) and all(_is_there(dep, written) for dep in recorded.get("deps", ()))


def _is_there(dep: dict[str, Any], written: dict[str, str | None]) -> bool:
    """Return whether what a stage read is what another one wrote, or the file that is there.

    Of folders that no stage writes, such as code, that is not asked.
    """
    path, md5 = Path(dep["path"]), dep.get("md5")
    if dep["path"] in written:
        return written[dep["path"]] == md5
    return not path.is_file() or _md5_of(path) == md5


def _param(values: Any, key: str) -> Any:
    """Look a dotted key up; None if it is not there."""
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _opened_cache(configured: dict[str, Any]) -> Any:
    """Open DVC's cache, which gives files and folders the permissions of its configuration."""
    from dvc_data.hashfile.db.local import LocalHashFileDB
    from dvc_objects.fs.local import localfs

    objects = str(_folder_of(configured) / OBJECTS)
    return LocalHashFileDB(localfs, objects, shared=configured.get("shared"))  # type: ignore[no-untyped-call]


def _is_cached(out: dict[str, Any], cache: Any) -> bool:
    """Return whether the cache has an output, after adding a file that it lacks, such as those in git."""
    path, md5 = Path(out["path"]), out.get("md5")
    if md5 is None:  # DVC lists the files of a folder of a remote with versions
        return False
    if not cache.exists(md5) and _md5_of(path) == md5:
        cache.add(str(path), cache.fs, md5)
    return bool(cache.exists(md5))


def _save_entry(recorded: dict[str, Any], cache: Any) -> None:
    """Save the entry of a stage where DVC looks for it: by what it read, then by what it wrote."""
    from dvc.utils.serialize import dump_yaml
    from dvc_objects.fs.utils import tmp_fname

    read = _digest(recorded | {"outs": [out["path"] for out in recorded.get("outs", ())]})
    folder = Path(cache.path).parents[1] / ENTRIES / read[:2] / read
    entry = folder / _digest(recorded)
    if not entry.is_file():
        cache.makedirs(str(folder))
        temporary = folder / tmp_fname()
        dump_yaml(str(temporary), recorded)
        cache.move(str(temporary), str(entry))


def _digest(recorded: dict[str, Any]) -> str:
    """Hash what dvc.lock says of a stage as DVC does, without the sizes of what it read and wrote."""
    from dvc.utils import dict_sha256

    return str(dict_sha256(recorded, exclude=SIZES))
