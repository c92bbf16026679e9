"""Functions of parts for the tests of engines. Worker processes import them."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_info

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.features.compute import feature_settings
from conversion.features.feature_tables import featurize_part, survey
from conversion.features.snapshots import Recipe, Weeks, backtest_weeks, training_weeks
from conversion.runtime.errors import ParamsError
from conversion.runtime.files import read_value, write_text
from conversion.runtime.parts import part_path

WAIT_SECONDS = 120


class TwoPartsError(ParamsError):
    """An error that cannot be made again from its message, as a pickle makes it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")


def square(part: int) -> dict[str, int]:
    return {"square": part * part}


def about(part: int) -> dict[str, Any]:
    """Where a part runs, and with how many threads; it takes long enough for every worker to have one."""
    time.sleep(0.2)
    threads = {each["num_threads"] for each in threadpool_info()}
    return {
        "part": part,
        "pid": os.getpid(),
        "folder": str(Path.cwd()),
        "threads": sorted(threads),
        "trims": os.environ.get("MALLOC_TRIM_THRESHOLD_") == "65536",
    }


def refuse(part: int) -> int:
    if part == 3:
        raise TwoPartsError("part 3", "mend it")
    return part


def fault(part: int) -> int:
    return 1 // (part - 1)


def die(part: int) -> int:
    if part == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def write(part: int, root: Path, parts: int) -> dict[str, int]:
    """Write one file, and count the call."""
    _called(part)
    write_text(part_path(root / "data/out/table.parquet", part, parts), f"part {part}")
    return {"part": part}


def write_when_told(part: int, root: Path, parts: int) -> dict[str, int]:
    """Write like `write`; all parts but the first two wait for the file ``go``."""
    if part >= 2:
        _called(part, "waiting")
        wait_for(Path("go"))
    return write(part, root, parts)


def _called(part: int, folder: str = "calls") -> None:
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / f"{part}-{uuid.uuid4().hex}").touch()


def calls(folder: str = "calls") -> dict[int, int]:
    """How often each part was called."""
    names = [int(each.name.partition("-")[0]) for each in Path(folder).glob("*-*")]
    return {part: names.count(part) for part in sorted(set(names))}


def wait_for(*files: Path) -> None:
    """Wait until files are there."""
    end = time.monotonic() + WAIT_SECONDS
    while not all(file.exists() for file in files):
        assert time.monotonic() < end, files
        time.sleep(0.02)


def featurize(part: int, root: Path, parts: int) -> dict[str, int]:
    """Make the snapshots of a part; the file ``fragile`` kills the worker of part 1 before that is noted."""
    params = load_params("params.yaml")
    contract = load_contract("data/contract.json")
    as_of = pd.Timestamp(read_value("data/clean/export.json", "as_of"))
    found = survey(contract)
    assert found.parts == parts
    weeks = Weeks(
        training_weeks(found.first_week, as_of, params.featurize),
        backtest_weeks(found.first_week, as_of, params),
        as_of,
    )
    settings = feature_settings(params.featurize, contract)
    recipe = Recipe(params.featurize, contract, settings, found.levels)
    counts = featurize_part(part, root=root, parts=parts, weeks=weeks, recipe=recipe, seed=params.seed)
    if part == 1 and Path("fragile").exists():  # the first time
        Path("fragile").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return counts
