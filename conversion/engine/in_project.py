"""What a Dask worker runs; it is sent whole, so that a worker need not have the project's code yet."""

from __future__ import annotations

from typing import Any

REFUSED = "refused"


def run_in_project(
    project: str, source: str, code: str, versions: dict[str, str], function: bytes, part: int
) -> tuple[str, Any]:
    """Run a pickled function for a part in the project's folder, with the project's code as it is now.

    It imports all that it uses itself, since a worker has nothing else of this module.

    Parameters
    ----------
    project
        The folder that paths are relative to, the same files on every machine.
    source
        The folder of the project's code.
    code
        Its hash. A process that has modules of other code imports them anew.
    versions
        Of Python and of the packages that decide what is written.
    function
        Takes the part.
    part
        Its number.

    Returns
    -------
    tuple
        ``done`` and the summary, or ``refused`` and why this worker must not work on it.
    """
    import importlib
    import os
    import pickle
    import sys
    from importlib import metadata
    from pathlib import Path

    try:
        os.chdir(project)
    except OSError as error:
        return "refused", f"the project's folder {project} cannot be opened there: {error.strerror}"
    for name, version in versions.items():
        try:
            found = metadata.version(name) if name != "python" else "{}.{}".format(*sys.version_info)
        except metadata.PackageNotFoundError:
            found = "none"
        if found != version:
            return "refused", f"it has {name} {found} and the stage has {version}"

    loaded = sys.modules.get("conversion")
    if loaded is not None:
        elsewhere = Path(loaded.__path__[0]).resolve().parent != Path(source)
        if elsewhere or getattr(loaded, "code", code) != code:
            for name in [name for name in sys.modules if name.split(".")[0] in ("conversion", "stages")]:
                del sys.modules[name]
    if sys.path[0] != source:
        sys.path.insert(0, source)
    importlib.invalidate_caches()
    importlib.import_module("conversion").code = code  # type: ignore[attr-defined]
    return "done", pickle.loads(function)(part)
