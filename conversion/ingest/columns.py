"""What the contract says of each table's columns: parsers, types, ranges, and keys to change in its file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pandas as pd
import pandera.pandas as pandera

from conversion.config.attribute_kinds import AnyAttribute, Flag, Number, Ordered
from conversion.config.attribute_names import label
from conversion.config.data_contract import Contract
from conversion.ingest.faults import PRESENT, WHOLE, one_of
from conversion.ingest.parsers import (
    Parser,
    flag_parser,
    parse_day,
    parse_number,
    parse_shown,
    parse_text,
    parse_text_id,
    parse_timestamp,
    parse_whole,
)
from conversion.runtime.errors import ParamsError

FIRST_DAY: Final = dt.datetime(2000, 1, 1)
LAST_DAY: Final = dt.datetime(2100, 12, 31)
MAX_COUNT: Final = 2**31 - 1
MAX_MRR: Final = 1e9


@dataclass(frozen=True)
class Column:
    """A column that the contract names: how its values are read, and what is right in it."""

    name: str
    key: str
    """Where the contract names it, such as ``companies.converted``."""
    parse: Parser
    dtype: str
    """The type of the parsed values, of which some may be missing."""
    final: str
    """The type in data/typed."""
    nullable: bool = True
    checks: tuple[pandera.Check, ...] = ()
    as_is: bool = False
    """Whether white space around the values is kept."""
    adjust: Mapping[str, str] = field(default_factory=dict)
    """By what is expected, the key of the contract that may be wrong instead; ``""``: of all that is."""

    def key_to_change(self, expected: str) -> str | None:
        """Return the key of the contract that may be wrong where values are not what is expected."""
        return self.adjust.get(expected, self.adjust.get(""))


@dataclass(frozen=True)
class Table:
    """A table of the contract and its columns."""

    name: str
    id: str
    """The column that identifies a company."""
    columns: dict[str, Column]
    contract_file: str | None = None
    """The contract, if messages should say what to change there."""

    def or_change(self, key: str | None) -> str:
        """Return the end of a remedy: that a key of the contract could be changed instead."""
        return f", or change {key} in {self.contract_file}" if key and self.contract_file else ""


def tables_of(contract: Contract, contract_file: str | None = None) -> dict[str, Table]:
    """Describe every table of a contract: the company tables, then usage.

    Parameters
    ----------
    contract
        Names tables and columns.
    contract_file
        Its file, if messages should say what could be changed there; None if only the export can be wrong.

    Returns
    -------
    dict of Table
        By name; columns in the order in which data/typed has them.

    Raises
    ------
    ParamsError
        A column of another meaning is called ``id``.
    """
    companies, usage = contract.companies, contract.usage
    columns = {name: (companies.id, _company_columns(contract, name)) for name in companies.tables}
    columns[usage.table] = (usage.id, _usage_columns(contract))
    tables = {
        name: Table(name, key, {each.name: each for each in found}, contract_file)
        for name, (key, found) in columns.items()
    }
    for table in tables.values():
        _refuse_second_id(table)
    return tables


def _refuse_second_id(table: Table) -> None:
    """Refuse a column ``id`` beside the one that identifies a company, which data/typed calls ``id``."""
    if table.id != "id" and "id" in table.columns:
        raise ParamsError(
            f"{table.contract_file or 'the contract'}: {table.columns['id'].key}: given id, but that is what "
            f"the project calls {table.id}, by which it identifies a company; rename the column"
        )


def key_columns(contract: Contract, table: str) -> tuple[str, ...]:
    """Name the columns of a typed table that should identify a row."""
    return ("id", contract.usage.time) if table == contract.usage.table else ("id",)


def _company_columns(contract: Contract, table: str) -> Iterator[Column]:
    companies, kind = contract.companies, contract.companies.tables[table]
    yield _id_column(contract, companies.id, "companies.id")
    if companies.signed_up is not None:
        yield _day_column(companies.signed_up, "companies.signed_up")
    if kind != "none":
        adjust = {PRESENT: f"companies.tables.{table} to some"} if kind == "all" else {}
        converted = _day_column(companies.converted, "companies.converted")
        yield replace(converted, nullable=kind != "all", adjust=adjust)
        if companies.ended is not None:
            yield _day_column(companies.ended, "companies.ended")
        if companies.value is not None:
            yield _value_column(companies.value, nullable=kind != "all")
    for name, attribute in companies.attributes.items():
        yield _attribute_column(name, attribute)
    for name in companies.shown:
        yield Column(name, "companies.shown", parse_shown, "str", "str", as_is=True)


def _usage_columns(contract: Contract) -> Iterator[Column]:
    usage = contract.usage
    yield _id_column(contract, usage.id, "usage.id")
    starts = pandera.Check(_starts_on(usage.week_starts), error=f"a {usage.week_starts.title()} 00:00")
    yield Column(
        usage.time,
        "usage.time",
        parse_timestamp,
        "datetime64[us]",
        "datetime64[us]",
        nullable=False,
        checks=(_era(), starts),
        adjust={str(starts.error): "usage.week_starts"},
    )
    for measure in ("actions", "users"):
        for module, columns in usage.modules.items():
            if (name := getattr(columns, measure)) is not None:
                yield _count_column(name, f"usage.modules.{module}.{measure}")


def _id_column(contract: Contract, name: str, key: str) -> Column:
    if contract.companies.ids == "text":
        return Column(name, key, parse_text_id, "str", "str", nullable=False)
    return Column(name, key, parse_whole, "Int64", "int64", nullable=False, adjust={WHOLE: "companies.ids"})


def _day_column(name: str, key: str) -> Column:
    return Column(name, key, parse_day, "datetime64[us]", "datetime64[us]", checks=(_era(),))


def _value_column(name: str, nullable: bool) -> Column:
    amount = _between(-MAX_MRR, MAX_MRR, f"an amount within ±{MAX_MRR:.0e}")
    return Column(name, "companies.value", parse_number, "float64", "float64", nullable, (amount,))


def _count_column(name: str, key: str) -> Column:
    # Negative counts are left to the cleaning.
    count = _between(-MAX_COUNT, MAX_COUNT, f"a count of at most {MAX_COUNT}")
    return Column(name, key, parse_whole, "Int64", "int64", nullable=False, checks=(count,))


def _attribute_column(name: str, attribute: AnyAttribute) -> Column:
    key = f"companies.attributes.{name}"
    column = Column(name, key, parse_text, "str", "str", adjust={"": key})
    if isinstance(attribute, Number):
        number = replace(column, dtype="float64", final="float64", checks=_range(name, attribute))
        if attribute.whole:
            return replace(number, parse=parse_whole, dtype="Int64")
        return replace(number, parse=parse_number)
    if isinstance(attribute, Flag):
        return replace(
            column, parse=flag_parser(attribute.yes, attribute.no), dtype="boolean", final="boolean"
        )
    if isinstance(attribute, Ordered):
        isin = pandera.Check.isin(attribute.levels, error=one_of(attribute.levels))
        return replace(column, checks=(isin,))
    return column


def _range(name: str, attribute: Number) -> tuple[pandera.Check, ...]:
    """Return the check of a number's bounds; what stands for not applicable may be above them."""
    low, high, beyond = attribute.minimum, attribute.maximum, attribute.not_applicable
    noun = "rank" if label(name, attribute).casefold().endswith("rank") else "number"
    if low is None and high is None:
        return ()
    if high is None:
        bounds = f"of at least {low:.15g}"
    elif low is None:
        bounds = f"of at most {high:.15g}"
    else:
        bounds = f"from {low:.15g} to {high:.15g}"

    def is_right(values: pd.Series[Any]) -> pd.Series[bool]:
        numbers = values.astype("float64")
        right = numbers.between(float("-inf") if low is None else low, float("inf") if high is None else high)
        return right if beyond is None else right | (numbers >= beyond)

    return (pandera.Check(is_right, error=f"a {noun} {bounds}"),)


def _starts_on(day: str) -> Any:
    number = {"monday": 0, "sunday": 6}[day]

    def is_week(times: pd.Series[Any]) -> pd.Series[bool]:
        result: pd.Series[bool] = (times.dt.day_of_week == number) & (times == times.dt.normalize())
        return result

    return is_week


def _era() -> pandera.Check:
    return _between(FIRST_DAY, LAST_DAY, f"a date from {FIRST_DAY.year} to {LAST_DAY.year}")


def _between(low: Any, high: Any, expected: str) -> pandera.Check:
    return pandera.Check.in_range(low, high, error=expected)
