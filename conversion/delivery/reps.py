"""The reps who call: their capacity and their territories, read from a CSV file that people write."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from conversion.config.attribute_kinds import Category, Flag, Ordered
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.config.deliver_params import Deliver
from conversion.config.params import Score
from conversion.runtime.errors import ParamsError, UserError

REP: Final = "rep"
CAPACITY: Final = "capacity"
BETWEEN: Final = "|"
"""Stands between the values of a territory."""
MOST_CALLS: Final = 100_000
MOST_LISTED: Final = 12  # values in one message


class RepsError(UserError):
    """A fault in the table of reps, or calls that the reps cannot share."""


@dataclass(frozen=True)
class Rep:
    """One who calls.

    Attributes
    ----------
    name
        As in the file.
    capacity
        Calls a week.
    territory
        For each restricted column the values that the rep takes, as `comparable` writes them.
    """

    name: str
    capacity: int
    territory: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Reps:
    """Those who call, in the order of their names.

    Attributes
    ----------
    source
        The file, for messages.
    all
        One for each row of the file.
    """

    source: str
    all: tuple[Rep, ...]

    @property
    def calls(self) -> int:
        """The calls that they make in a week."""
        return sum(rep.capacity for rep in self.all)


def comparable(text: str) -> str:
    """Drop the case and the spaces around a value, which differ between files."""
    return text.strip().casefold()


def territory_columns(contract: Contract) -> dict[str, tuple[str, ...] | None]:
    """Name the columns that territories may restrict, each with its values; None: any.

    Numbers and days have too many values to list.
    """
    companies = contract.companies
    columns: dict[str, tuple[str, ...] | None] = dict.fromkeys(companies.shown)
    for column, attribute in companies.attributes.items():
        if isinstance(attribute, Ordered) and not attribute.cuts:
            columns[column] = attribute.levels
        elif isinstance(attribute, Flag):
            columns[column] = (*attribute.yes, *attribute.no)
        elif isinstance(attribute, Category):
            columns[column] = None
            if isinstance(attribute.groups, dict):
                groups = dict.fromkeys((*attribute.groups, attribute.unknown))
                columns[encoded_names(column, attribute)[0]] = tuple(groups)
    return columns


def reps_of(deliver: Deliver, contract: Contract) -> Reps | None:
    """Read the reps that params name, after checking ``deliver.owner``; None where they name none.

    Raises
    ------
    ParamsError
        ``deliver.owner`` is no shown column of the contract.
    RepsError
        See `read_reps`.
    """
    _require_owner(deliver.owner, contract)
    return None if deliver.reps is None else read_reps(Path(deliver.reps), contract)


def read_reps(path: Path, contract: Contract) -> Reps:
    """Read the table of reps.

    Parameters
    ----------
    path
        A CSV file with the columns ``rep`` and ``capacity``, and any of `territory_columns`.
    contract
        Names the columns and levels.

    Raises
    ------
    RepsError
        The file cannot be read, or has faults: one line each, with row and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(StringIO(text, newline=""), strict=True))
    except FileNotFoundError as error:
        raise RepsError(f"{path}: not found; deliver.reps of params.yaml names it") from error
    except OSError as error:
        raise RepsError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    except UnicodeDecodeError as error:
        raise RepsError(f"{path}: is not UTF-8; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise RepsError(f"{path}: is not CSV: {error}; check its quotation marks") from error
    return parse_reps(rows, str(path), contract)


def calls_a_week(reps: Reps | None, score: Score) -> int:
    """Return how many companies are called from a list: as many as the reps can, else ``score.top_n``."""
    return score.top_n if reps is None else reps.calls


def _require_owner(owner: str | None, contract: Contract) -> None:
    """Check that ``deliver.owner`` names a shown column of the contract, or none."""
    shown = contract.companies.shown
    if owner is not None and owner not in shown:
        allowed = f"null or one of {', '.join(shown)}" if shown else "null: there is none"
        raise ParamsError(
            f"params.yaml: deliver.owner: given {owner!r}, should be a shown column of the "
            f"contract: {allowed}"
        )


def parse_reps(rows: list[list[str]], source: str, contract: Contract) -> Reps:
    """Check the cells of the table of reps; see `read_reps`.

    Parameters
    ----------
    rows
        The cells, the header first; rows without any text are skipped.
    source
        The file, for messages.
    contract
        Names the columns and levels.
    """
    columns = territory_columns(contract)
    header = [name.strip() for name in rows[0]] if rows else []
    faults = _faults_of_header(header, columns)
    if faults:
        raise RepsError("\n".join(f"{source}: {fault}" for fault in faults))
    cells = {number: row for number, row in enumerate(rows[1:], start=2) if any(map(str.strip, row))}
    if not cells:
        raise RepsError(f"{source}: has no rep; give each a row with {REP} and {CAPACITY}")
    found: dict[str, int] = {}
    reps: list[Rep] = []
    for number, row in cells.items():
        if len(row) != len(header):
            faults.append(f"row {number}: has {len(row)} cells, the header has {len(header)}")
            continue
        given = dict(zip(header, map(str.strip, row), strict=True))
        rep, wrong = _rep(given, columns)
        first = found.setdefault(comparable(rep.name), number)
        if rep.name and first != number:
            wrong.append(f"column {REP}: {rep.name!r} is in row {first} already; a rep has one row")
        faults += [f"row {number}, {each}" for each in wrong]
        reps.append(rep)
    if not faults and not any(rep.capacity for rep in reps):
        faults.append(f"column {CAPACITY}: is 0 for every rep, so nobody would be called; give a rep calls")
    if faults:
        raise RepsError("\n".join(f"{source}: {fault}" for fault in faults))
    return Reps(source, tuple(sorted(reps, key=lambda rep: rep.name)))


def _faults_of_header(header: list[str], columns: Mapping[str, object]) -> list[str]:
    if not header:
        return [f"is empty; its first row names the columns: {REP}, {CAPACITY} and those of territories"]
    faults = [f"has no column {name}" for name in (REP, CAPACITY) if name not in header]
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    faults += [f"row 1: column {name} is there twice" for name in twice]
    allowed = ", ".join((REP, CAPACITY, *columns))
    for place, name in enumerate(header, start=1):
        if name not in (REP, CAPACITY, *columns):
            faults.append(f"row 1, column {place}: given {name!r}, should be one of {allowed}")
    return faults


def _rep(given: Mapping[str, str], columns: Mapping[str, tuple[str, ...] | None]) -> tuple[Rep, list[str]]:
    """Read one row; the faults name the column."""
    faults: list[str] = []
    name, capacity = given[REP], given[CAPACITY]
    if not name or not name.isprintable():
        visible = " without invisible characters" if name else ""
        faults.append(f"column {REP}: given {name!r}, should be a name{visible}")
    right = capacity.isascii() and capacity.isdecimal() and len(capacity) <= 9 and int(capacity) <= MOST_CALLS
    if not right:
        faults.append(
            f"column {CAPACITY}: given {capacity!r}, should be the calls a week, a whole number from 0 to "
            f"{MOST_CALLS}"
        )
    territory: dict[str, frozenset[str]] = {}
    for column, levels in columns.items():
        values = [value.strip() for value in given.get(column, "").split(BETWEEN)]
        if not any(values):
            continue
        faults += [f"column {column}: {fault}" for fault in _faults_of_values(values, levels)]
        territory[column] = frozenset(map(comparable, values))
    return Rep(name, int(capacity) if right else 0, territory), faults


def _faults_of_values(values: list[str], levels: tuple[str, ...] | None) -> list[str]:
    if not all(values):
        return [f"a value is empty: put one {BETWEEN!r} between two values"]
    if levels is None:
        return []
    known = set(map(comparable, levels))
    shown = ", ".join(levels[:MOST_LISTED]) + (", ..." if len(levels) > MOST_LISTED else "")
    return [
        f"given {value!r}, should be of {shown} (with {BETWEEN!r} between several)"
        for value in values
        if comparable(value) not in known
    ]
