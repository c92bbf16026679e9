"""Ways to break an export, in its tables or in the bytes of a file, and the check that `load` reports it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from conversion.runtime.cli import run
from stages import load
from tests.exports import (
    COLUMNS,
    CUSTOMERS,
    NONCUSTOMERS,
    USAGE_ACTIONS,
    lay_out_contracts,
    tiny_export,
    write_export,
)

PARAMS = Path(__file__).parents[1] / "params.yaml"
Tables = dict[str, pd.DataFrame]


def lay_out_params(folder: Path) -> None:
    """Write the project's params and contracts into a folder, with ``data.dir`` its folder ``export``."""
    lay_out_contracts(folder)
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["data"]["dir"] = "export"
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@dataclass(frozen=True)
class Broken:
    name: str
    spoil: Callable[[Path], None]
    file: str
    column: str
    says: tuple[str, ...]


def written(project: Path) -> list[Path]:
    return sorted(
        path.relative_to(project) for folder in ("data", "metrics") for path in (project / folder).rglob("*")
    )


def run_and_fail(project: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Run the stage on a broken export; check that it stops cleanly, and return the lines of its message."""
    with pytest.raises(SystemExit) as stop:
        run(load.main)
    assert stop.value.code == 1
    assert written(project) == []
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def check_that_load_stops(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    """Break the export, run the stage, and check that its one message names the fault."""
    case.spoil(write_export(tables, project / "export"))
    start = time.monotonic()
    lines = run_and_fail(project, caplog)
    assert time.monotonic() - start < 5
    assert len(lines) == 1, "a single fault makes a single line"
    assert f"{case.file}: {case.column}: expected" in lines[0]
    for words in case.says:
        assert words in lines[0]
    assert len(lines[0]) < 600


def cell(table: str, column: str, value: object, rows: int = 1) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / f"{table}.csv"
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.loc[range(3, 3 + rows), column] = value
        frame.to_csv(path, index=False)

    return spoil


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def line(name: str, number: int, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def on_line(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return edit(name, on_line)


def notes_column(data: bytes, *notes: bytes) -> bytes:
    """Add a column that nothing reads, with some notes in its first rows."""
    header, *rows = data.rstrip(b"\n").split(b"\n")
    fields = [*notes, *[b""] * (len(rows) - len(notes))]
    return b"\n".join(
        [header + b",NOTES", *(row + b"," + x for row, x in zip(rows, fields, strict=True)), b""]
    )


def as_parquet(table: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / f"{table}.csv").unlink()
        frame = tiny_export(companies=40, weeks=12)[table]
        pq.write_table(change(pa.Table.from_pandas(frame, preserve_index=False)), folder / f"{table}.parquet")

    return spoil


def with_column(name: str, make: Callable[[int], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, make(len(table)))


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()

    return spoil


def overlapping(folder: Path) -> None:
    ids = pd.read_csv(folder / "noncustomers.csv")["id"].iloc[:2].to_list()
    frame = pd.read_csv(folder / "customers.csv", dtype=str, keep_default_na=False)
    frame.loc[[4, 5], "id"] = [str(value) for value in ids]
    frame.to_csv(folder / "customers.csv", index=False)


def odd_rows(tables: Tables) -> Tables:
    """Rows that the cleaning stage has rules for, so `load` must let them pass."""
    customers, noncustomers, usage = (tables[name].copy() for name in COLUMNS)
    customers.loc[0, "MRR"] = -5.0
    usage.loc[0, "ACTIONS_EMAIL"] = -1
    usage.loc[1, ["ACTIONS_EMAIL", "USERS_EMAIL"]] = [0, 3]
    usage.loc[2, "id"] = 999_999
    usage = pd.concat([usage, usage.iloc[[3]]], ignore_index=True)
    noncustomers = pd.concat([noncustomers, noncustomers.iloc[[0]]], ignore_index=True)
    customers = pd.concat([customers, customers.iloc[[0]]], ignore_index=True)
    return {CUSTOMERS: customers, NONCUSTOMERS: noncustomers, USAGE_ACTIONS: usage}


def with_orphans(tables: Tables, rows: int) -> Tables:
    """A hundred usage rows, the last ones of two companies that no table lists."""
    usage = pd.concat([tables[USAGE_ACTIONS]] * 2, ignore_index=True).head(100)
    usage.loc[usage.index[100 - rows :], "id"] = np.resize([900_001, 900_002], rows)
    return tables | {USAGE_ACTIONS: usage}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno == logging.WARNING]
