"""The files of a sample, written block by block: one file a table, or a folder of Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

import pandas as pd

from conversion.runtime.files import (
    replacing,
    without_formulas,
    write_parquet,
)
from conversion.runtime.row_groups import row_group_writer
from conversion.simulation.export import Sample, as_text
from conversion.simulation.vocabulary import COLUMNS, CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS

TABLES: Final = tuple(COLUMNS)
TRUTH_ROWS: Final = "truth"


def write_csv_sample(blocks: Iterable[Sample], folder: Path, truth: Path) -> Counter[str]:
    """Append the blocks to a CSV file for each table, and write the truth.

    Parameters
    ----------
    blocks
        At least one.
    folder
        Gets the tables.
    truth
        A Parquet file: block after block, each in the order of ``as_of``.

    Returns
    -------
    Counter
        Rows by table, and of the truth under `TRUTH_ROWS`.
    """
    rows: Counter[str] = Counter()

    def write(temporaries: tuple[Path, ...]) -> None:
        with ExitStack() as stack:
            # Without newline="" each line feed would become two bytes on Windows.
            files = [
                stack.enter_context(path.open("w", encoding="utf-8", newline="")) for path in temporaries[:-1]
            ]
            append_truth = stack.enter_context(row_group_writer(temporaries[-1]))
            for sample in blocks:
                for file, (name, table) in zip(files, as_text(sample).items(), strict=True):
                    _append_csv(file, table, header=not rows[name])
                    rows[name] += len(table)
                append_truth(sample.truth)
                rows[TRUTH_ROWS] += len(sample.truth)

    targets = tuple(folder / f"{name}.csv" for name in TABLES)
    write_together((*targets, truth), write)
    _remove_others(folder, targets)
    return rows


def write_parquet_sample(blocks: Iterable[Sample], count: int, folder: Path, truth: Path) -> Counter[str]:
    """Write a Parquet file for each table, or a folder of files where there are several blocks.

    Parameters
    ----------
    blocks, folder, truth
        As in `write_csv_sample`.
    count
        How many blocks there are.

    Returns
    -------
    Counter
        As from `write_csv_sample`.
    """
    rows: Counter[str] = Counter()
    written: list[Path] = []

    def write(temporaries: tuple[Path, ...]) -> None:
        with ExitStack() as stack:
            append_truth = stack.enter_context(row_group_writer(temporaries[0]))
            for number, sample in enumerate(blocks):
                for name, table in _typed_tables(sample).items():
                    one = folder / f"{name}.parquet"
                    path = one if count == 1 else folder / name / f"part-{number:05d}.parquet"
                    write_parquet(path, table)
                    written.append(path)
                    rows[name] += len(table)
                append_truth(sample.truth)
                rows[TRUTH_ROWS] += len(sample.truth)

    write_together((truth,), write)
    _remove_others(folder, written)
    return rows


def write_together(targets: Iterable[Path], write: Callable[[tuple[Path, ...]], None]) -> None:
    """Write several files side by side, each as `conversion.runtime.files.write_atomically` does.

    Parameters
    ----------
    targets
        The files.
    write
        Called with a temporary path for each of them.
    """
    with ExitStack() as stack:
        write(tuple(stack.enter_context(replacing(target)) for target in targets))


def _append_csv(file: TextIO, table: pd.DataFrame, *, header: bool) -> None:
    without_formulas(table).to_csv(file, index=False, header=header, lineterminator="\n")


def _typed_tables(sample: Sample) -> dict[str, pd.DataFrame]:
    return {
        CUSTOMERS: sample.customers,
        NONCUSTOMERS: sample.noncustomers,
        USAGE_ACTIONS: sample.usage_actions,
    }


def _remove_others(folder: Path, kept: Iterable[Path]) -> None:
    """Remove what an earlier run wrote in the other format, or in more blocks: a table has one source."""
    keep = set(kept)
    for name in TABLES:
        parts = folder / name
        for path in (folder / f"{name}.csv", folder / f"{name}.parquet", *parts.glob("part-*.parquet")):
            if path not in keep:
                path.unlink(missing_ok=True)
        if parts.is_dir() and not any(parts.iterdir()):
            parts.rmdir()
