"""The training snapshots to learn from: all of them, or a weighted sample where there are too many.

Only as many rows as are kept are ever in memory: row groups are read one after the other, first to count,
then to keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conversion.data.timeline import week_number
from conversion.runtime.files import VERIFIED, reading, require_columns
from conversion.runtime.parts import parts_at
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import Floats

KEY = ("id", "as_of", "label", "weight")
"""What decides which snapshots are drawn."""


def read_training(path: str | Path, columns: Sequence[str], max_snapshots: int, seed: int) -> pd.DataFrame:
    """Return the training snapshots of a table, or a weighted sample of them if there are too many.

    Parameters
    ----------
    path
        What ``featurize`` wrote: a file, or a folder of parts.
    columns
        The columns to return; see `KEY` for those that must be among them.
    max_snapshots
        How many to return at most. Beyond it positives are kept, or so many that they are half of the
        maximum, and of the negatives of each weight the same share. Which ones depends on a hash of id and
        week alone.
    seed
        Of the hash.

    Returns
    -------
    pandas.DataFrame
        Sorted by id and week, the same for any number of parts. Where snapshots were left out, ``weight`` is
        larger: the weighted count of each kind is as before (Horvitz and Thompson 1952).

    Raises
    ------
    InputError
        The table is missing, damaged, or lacks a column.
    """
    parts = parts_at(path)
    with reading(path):
        for part in parts:
            require_columns(pq.read_schema(part).names, columns)
        if count_training(path) <= max_snapshots:
            table = pa.concat_tables(pq.read_table(part, columns=list(columns), **VERIFIED) for part in parts)
        else:
            draw = _Draw.of(_row_groups(parts, KEY), max_snapshots, seed)
            table = pa.concat_tables(draw.kept(group) for group in _row_groups(parts, columns))
    rows = _to_pandas(table)
    return rows if len(parts) == 1 else rows.sort_values(["id", "as_of"], kind="stable", ignore_index=True)


def count_training(path: str | Path) -> int:
    """Return how many training snapshots a table has; see `reading` for errors."""
    with reading(path):
        return sum(pq.read_metadata(part).num_rows for part in parts_at(path))


def _row_groups(parts: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part, **VERIFIED) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=list(columns))


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Convert column by column, freeing each: never the whole table twice."""
    rows: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return rows


class _Kind(NamedTuple):
    """Snapshots that are drawn at one rate."""

    positive: bool
    weight: float


class _Share(NamedTuple):
    """What is kept of a kind of snapshots."""

    below: float  # the hash
    factor: float  # of the weights


class _Draw(NamedTuple):
    """What is kept of each kind of snapshots."""

    shares: dict[_Kind, _Share]
    seed: int

    @classmethod
    def of(cls, groups: Iterator[pa.Table], most: int, seed: int) -> Self:
        """Count the kinds, and choose how many of each to keep."""
        counts: dict[_Kind, int] = {}
        lowest: dict[_Kind, Floats] = {}
        for group in groups:
            hashes = _hashes(group, seed)
            for kind, rows in _kinds(group):
                counts[kind] = counts.get(kind, 0) + int(rows.sum())
                # One more than can be kept: the first hash that is left out is a bound.
                lowest[kind] = _lowest(np.append(lowest.get(kind, []), hashes[rows]), most + 1)
        kept = _to_keep(counts, most)
        return cls({kind: _share(lowest[kind], counts[kind], kept[kind]) for kind in counts}, seed)

    def kept(self, group: pa.Table) -> pa.Table:
        """Return the rows of a group that are kept, with their weights."""
        hashes = _hashes(group, self.seed)
        keep, factor = np.zeros(len(hashes), dtype=np.bool_), np.ones(len(hashes))
        for kind, rows in _kinds(group):
            share = self.shares[kind]
            keep |= rows & (hashes < share.below)
            factor[rows] = share.factor
        place = group.schema.get_field_index("weight")
        weight = (group["weight"].to_numpy() * factor).astype(np.float32)
        return group.set_column(place, group.schema.field(place), pa.array(weight)).filter(pa.array(keep))


def _hashes(group: pa.Table, seed: int) -> Floats:
    """Return the numbers by which ``featurize`` keeps negatives: to keep fewer is to go on with it."""
    weeks = week_number(pd.DatetimeIndex(group["as_of"].to_pandas()))
    return uniform_hash(group["id"].to_pandas().to_numpy(), weeks, seed=seed)


def _kinds(group: pa.Table) -> list[tuple[_Kind, NDArray[np.bool_]]]:
    """Return the kinds of snapshots in a group, each with a mask; negatives differ by their weight."""
    positive, weight = group["label"].to_numpy() == 1, group["weight"].to_numpy()
    kinds = [(_Kind(True, 1.0), positive)]
    negatives = np.unique(weight[~positive]).tolist()
    return kinds + [(_Kind(False, each), ~positive & (weight == each)) for each in negatives]


def _lowest(hashes: Floats, most: int) -> Floats:
    return hashes if len(hashes) <= most else np.partition(hashes, most)[:most]


def _to_keep(counts: dict[_Kind, int], most: int) -> dict[_Kind, int]:
    """Return how many snapshots of each kind to keep; there are more than ``most``."""
    positives = sum(count for kind, count in counts.items() if kind.positive)
    negatives = sum(counts.values()) - positives
    # Never fewer positives than fit, where negatives are few.
    kept = min(positives, max(most // 2, most - negatives))
    left = most - kept
    found = {kind: kept for kind in counts if kind.positive}
    if not negatives:
        return found
    *others, largest = sorted((kind for kind in counts if not kind.positive), key=counts.__getitem__)
    for kind in others:
        found[kind] = max(counts[kind] * left // negatives, 1)  # of none kept, nothing would be known
    return found | {largest: left - sum(found[kind] for kind in others)}


def _share(lowest: Floats, count: int, keep: int) -> _Share:
    if keep >= count:
        return _Share(np.inf, 1.0)
    below = float(np.partition(lowest, keep)[keep])
    return _Share(below, count / int((lowest < below).sum()))
