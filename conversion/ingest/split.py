"""Splitting of an export by company: chunk by chunk it is parsed, checked and written in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from conversion.config.data_contract import Contract
from conversion.data.aliases import NO_ALIASES, CurrentIds, current_ids, replaced
from conversion.ingest.advice import is_total
from conversion.ingest.cells import Formats, ParsedTable, final_types, parse_cells
from conversion.ingest.checks import check_rules
from conversion.ingest.chunks import chunks_of
from conversion.ingest.columns import Table, tables_of
from conversion.ingest.faults import UnreadableError
from conversion.ingest.folders import Place
from conversion.ingest.origin_leaks import RowOrder
from conversion.ingest.whole_columns import Suspects, describe_faults
from conversion.runtime.errors import ExportError
from conversion.runtime.files import read_parquet, writing
from conversion.runtime.parts import part_path
from conversion.runtime.row_groups import parquet_writer
from conversion.stats.hashing import part_of

NO_FORMATS: Final[Formats] = {}


@dataclass
class SplitExport:
    """What is known of an export whose tables are in parts; nothing in a cell or a header is wrong."""

    order: RowOrder
    """The order of rows of usage in the file."""
    current: CurrentIds = field(default_factory=dict)
    """Ids of today by those that are no longer used."""
    last_days: dict[str, str] | None = None
    """As in `conversion.ingest.export.Export`."""
    weeks: tuple[pd.Timestamp, pd.Timestamp] = (pd.Timestamp.max, pd.Timestamp.min)
    """The first and the last week of usage."""
    formats: Mapping[str, Formats] = field(default_factory=dict)
    """As in `conversion.ingest.whole_columns.describe_faults`."""


Customers = Callable[[CurrentIds], pd.Series]
"""Takes the ids of today and returns the customers, once all tables but usage are written."""


def split_export(
    folder: Place,
    contract: Contract,
    contract_file: str | None,
    target: Path,
    parts: int,
    customers: Customers,
) -> SplitExport:
    """Write an export's typed tables in parts, by company of today.

    Parameters
    ----------
    folder, contract, contract_file
        As `conversion.ingest.export.read_export` takes them.
    target
        The folder of the parts, which are not to be used if an error is raised.
    parts
        How many.
    customers
        Finds the customers.

    Raises
    ------
    ExportError
        Some table has faults: the message is that of `conversion.ingest.export.read_export`.
    """
    described = tables_of(contract, contract_file)
    formats: Mapping[str, Formats] = {}
    # In a second round, numbers are read as the whole of their columns shows that they are written.
    for _ in range(2):
        one = _Round(folder, contract, contract_file, target, parts, formats)
        split = one.run(described, customers)
        if one.suspects or one.unreadable:
            faults, formats = describe_faults(folder, contract, contract_file, one.suspects)
            if faults:
                raise ExportError("\n".join(map(str, faults)))
        if not one.is_wrong:
            if one.contradiction is not None:
                raise one.contradiction
            return replace(split, formats=formats)
    raise AssertionError("chunks of columns are wrong that as a whole are not")


@dataclass
class _Round:
    """One pass over all tables."""

    folder: Place
    contract: Contract
    contract_file: str | None
    target: Path
    parts: int
    formats: Mapping[str, Formats]
    suspects: Suspects = field(default_factory=dict)
    unreadable: bool = False
    blocking: bool = False
    """Whether cells were read wrong, if they are no faults."""
    contradiction: ExportError | None = None
    """What is wrong with the table of aliases."""

    def run(self, described: Mapping[str, Table], customers: Customers) -> SplitExport:
        """Read all tables; write them as long as nothing is wrong."""
        usage, aliases = self.contract.usage.table, self.contract.companies.aliases
        time = self.contract.usage.time
        split = SplitExport(RowOrder(time, pd.Series(dtype="object")))
        first = None if aliases is None else aliases.table
        # Aliases come first: they say which part a row is in. Usage comes last: customers are known then.
        for name in sorted(described, key=lambda name: (name == usage) - (name == first)):
            if name == usage and not self.is_wrong:
                split.order = RowOrder(time, customers(split.current))
            self._read(described[name], split)
            if aliases is not None and name == first and not self.is_wrong:
                try:
                    split.current = current_ids(read_parquet(self._path(name)), aliases)
                except ExportError as error:
                    # Said once the faults of all tables are known to be none.
                    self.contradiction = error
        return split

    @property
    def is_wrong(self) -> bool:
        """Whether what was written is not to be used."""
        return self.unreadable or self.blocking

    def _path(self, name: str) -> Path:
        return self.target / f"{name}.parquet"

    def _read(self, table: Table, split: SplitExport) -> None:
        current = split.current if self.contract.usage.grain == "event" else NO_ALIASES
        found: set[str] = set()
        try:
            with _Writers(self._path(table.name), self._parts_of(table)) as writers:
                for source in chunks_of(self.folder, table, self.contract, self.contract_file, current):
                    typed = parse_cells(source, table, self.formats.get(table.name, NO_FORMATS))
                    own = [*source.header.faults, *source.faults, *typed.faults, *check_rules(typed)]
                    found |= {fault.column for fault in own}
                    self.blocking |= bool(own)
                    if not self.is_wrong:
                        self._write(typed, writers, split)
                if _may_end_with_total(typed):
                    found.add(table.id)
        except UnreadableError:
            # Said again where all faults are described; nothing else of this table is looked for.
            self.unreadable, found = True, set()
        if found:
            self.suspects[table.name] = found

    def _parts_of(self, table: Table) -> int:
        aliases = self.contract.companies.aliases
        return 1 if aliases is not None and table.name == aliases.table else self.parts

    def _write(self, typed: ParsedTable, writers: _Writers, split: SplitExport) -> None:
        rows = final_types(typed.cells, typed.table)
        today = replaced(rows["id"], split.current)
        writers.write(rows, part_of(today.to_numpy(), writers.parts))
        if typed.table.name == self.contract.usage.table and len(rows):
            split.last_days = typed.source.last_days
            weeks = rows[self.contract.usage.time]
            split.weeks = (min(split.weeks[0], weeks.min()), max(split.weeks[1], weeks.max()))
            split.order.add(rows.assign(id=today))


def _may_end_with_total(typed: ParsedTable) -> bool:
    """Return whether the last row may be one of totals, which the whole column shows."""
    name = typed.table.id
    return (
        name in typed.cells
        and len(typed.cells) > 0
        and typed.source.last_days is None
        and is_total(typed.cells[name].iloc[-1])
    )


class _Writers:
    """The open files of a table's parts; rows keep the order in which they are written."""

    def __init__(self, path: Path, parts: int) -> None:
        self.parts = parts
        self._paths = [part_path(path, part, parts) for part in range(parts)]
        self._open: list[parquet.ParquetWriter] = []
        self._opened = ExitStack()

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *error: Any) -> None:
        with writing(self._paths[0]):
            self._opened.__exit__(*error)

    def write(self, rows: pd.DataFrame, part: np.ndarray) -> None:
        table = pa.Table.from_pandas(rows, preserve_index=False)
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(self.parts), side="right")
        table = table.take(pa.array(order))
        with writing(self._paths[0]):
            if not self._open:
                self._paths[0].parent.mkdir(parents=True, exist_ok=True)
                self._open = [
                    self._opened.enter_context(parquet_writer(path, table.schema)) for path in self._paths
                ]
            for at, writer in enumerate(self._open):
                start = int(ends[at - 1]) if at else 0
                if ends[at] > start:
                    writer.write_table(table.slice(start, int(ends[at]) - start))
