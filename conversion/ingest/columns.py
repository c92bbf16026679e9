"""What the contract says of each table's columns: parsers, types, ranges, and keys to change in its file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import pandas as pd
import pandera.pandas as pandera

from conversion.config.attribute_kinds import AnyAttribute, Date, Flag, History, Number, Ordered
from conversion.config.attribute_names import label
from conversion.config.contacts_contract import Contacts
from conversion.config.data_contract import Aliases, Contract, Subscriptions
from conversion.data.histories import histories_of, value_column
from conversion.ingest.advice import advise_on_dates_for_ranges, advise_on_weeks
from conversion.ingest.contact_checks import expected_outcomes, is_known_outcome
from conversion.ingest.faults import NAIVE, PRESENT, WHOLE, one_of
from conversion.ingest.parsers import (
    Parser,
    converting_parser,
    day_parser,
    flag_parser,
    parse_day,
    parse_number,
    parse_shown,
    parse_text,
    parse_text_id,
    parse_timestamp,
    parse_whole,
    parse_word,
    zoned_parser,
)
from conversion.runtime.errors import ParamsError

FIRST_DAY: Final = dt.datetime(2000, 1, 1)
LAST_DAY: Final = dt.datetime(2100, 12, 31)
FIRST_ATTRIBUTE_DAY: Final = dt.datetime(1900, 1, 1)
"""Dates that are attributes, such as of a company's foundation, may be older than the product."""
MAX_COUNT: Final = 2**31 - 1
MAX_MRR: Final = 1e9
MAX_NUMBER: Final = 1e12
"""Bound of numbers of companies, in exports as in requests."""
MAX_MEASURE: Final = 1e15


Advise = Callable[[pd.Series, Iterable[object], str | None], str | None]
"""Takes the parsed values of a column, those that are wrong, and the contract's file; returns what to do in
place of the usual remedy, or None."""


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
    adjust: dict[str, str] = field(default_factory=dict)
    """By what is expected, the key of the contract that may be wrong instead; ``""``: of all that is."""
    advise: Mapping[str, Advise] = field(default_factory=dict)
    """By what is expected, what may know better what to do."""

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
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Columns that data/typed calls otherwise, beside the id."""
    may_be_empty: bool = False
    """Whether a table without rows is right."""

    def or_change(self, key: str | None) -> str:
        """Return the end of a remedy: that a key of the contract could be changed instead."""
        return f", or change {key} in {self.contract_file}" if key and self.contract_file else ""


def tables_of(contract: Contract, contract_file: str | None = None) -> dict[str, Table]:
    """Describe every table of a contract, in the order of `Contract.tables`.

    Parameters
    ----------
    contract
        Names tables and columns.
    contract_file
        Its file, if messages should say what could be changed there; None if only the export can be wrong.

    Returns
    -------
    dict of Table
        By name; columns in the order in which data/typed has them. An attribute that has a history is not
        among those of the company tables.

    Raises
    ------
    ParamsError
        A column of another meaning is called ``id``, or columns of a history stand for two things.
    """
    contract = contract.exported
    companies, usage = contract.companies, contract.usage
    columns = {name: (companies.id, [*_company_columns(contract, name)]) for name in companies.tables}
    columns[usage.table] = (usage.id, [*_usage_columns(contract)])
    if (subscriptions := companies.subscriptions) is not None:
        columns[subscriptions.table] = (subscriptions.id, [*_subscription_columns(contract, subscriptions)])
    if (aliases := companies.aliases) is not None:
        columns[aliases.table] = (aliases.id, [*_alias_columns(contract, aliases)])
    columns |= {name: (key, [*found]) for name, key, found in _contact_tables(contract)}
    for name, histories in _histories(contract).items():
        columns[name] = _history_columns(contract, histories, contract_file)
    for found in columns.values():
        _refuse_doubles(found[1], contract_file)
    tables = {
        name: Table(name, key, {each.name: each for each in found}, contract_file)
        for name, (key, found) in columns.items()
    }
    if aliases is not None:
        alias_table = tables[aliases.table]
        tables[aliases.table] = replace(alias_table, renamed={aliases.into: "into"}, may_be_empty=True)
    for name in (each.table for each in (contract.contacts, contract.objections) if each is not None):
        tables[name] = replace(tables[name], may_be_empty=True)
    for table in tables.values():
        _refuse_second_id(table)
    return tables


def _refuse_doubles(columns: list[Column], contract_file: str | None) -> None:
    keys: dict[str, str] = {}
    for column in columns:
        if (key := keys.setdefault(column.name, column.key)) != column.key:
            raise ParamsError(
                f"{contract_file or 'the contract'}: {key} and {column.key}: given {column.name} for both; "
                "name each column once"
            )


def _refuse_second_id(table: Table) -> None:
    """Refuse a column ``id`` beside the one that identifies a company, which data/typed calls ``id``."""
    if table.id != "id" and "id" in table.columns and "id" not in table.renamed:
        raise ParamsError(
            f"{table.contract_file or 'the contract'}: {table.columns['id'].key}: given id, but that is what "
            f"the project calls {table.id}, by which it identifies a company; rename the column"
        )


def key_columns(contract: Contract, table: str) -> tuple[str, ...]:
    """Name the columns of a typed table that should identify a row."""
    if table == contract.usage.table:
        return ("id", contract.usage.time)
    if contract.contacts is not None and table == contract.contacts.table:
        return ("id", contract.contacts.when)
    subscriptions = contract.companies.subscriptions
    if subscriptions is not None and table == subscriptions.table:
        return ("id", subscriptions.start)
    for history in _histories(contract).get(table, {}).values():
        return ("id", history.valid_from)
    return ("id",)


def _company_columns(contract: Contract, table: str) -> Iterator[Column]:
    companies, kind = contract.companies, contract.companies.tables[table]
    yield _id_column(contract, companies.id, "companies.id")
    if companies.signed_up is not None:
        yield _day_column(contract, companies.signed_up, "companies.signed_up")
    if kind != "none" and companies.subscriptions is None:
        adjust = {PRESENT: f"companies.tables.{table} to some"} if kind == "all" else {}
        converted = _day_column(contract, companies.converted, "companies.converted")
        yield replace(converted, nullable=kind != "all", adjust=converted.adjust | adjust)
        if companies.ended is not None:
            yield _day_column(contract, companies.ended, "companies.ended")
        if companies.value is not None:
            yield _value_column(companies.value, "companies.value", nullable=kind != "all")
    for name, attribute in companies.attributes.items():
        if attribute.history is None and name != companies.signed_up:
            yield _attribute_column(contract, name, attribute, f"companies.attributes.{name}")
    for name in companies.shown:
        yield Column(name, "companies.shown", parse_shown, "str", "str", as_is=True)


def _subscription_columns(contract: Contract, subscriptions: Subscriptions) -> Iterator[Column]:
    key = "companies.subscriptions"
    yield _id_column(contract, subscriptions.id, f"{key}.id")
    yield replace(_day_column(contract, subscriptions.start, f"{key}.start"), nullable=False)
    if subscriptions.end is not None:
        yield _day_column(contract, subscriptions.end, f"{key}.end")
    if subscriptions.value is not None:
        yield _value_column(subscriptions.value, f"{key}.value", nullable=True)
    read = {subscriptions.id, subscriptions.start, subscriptions.end, subscriptions.value}
    for name in subscriptions.trials:
        if name not in read:
            yield Column(name, f"{key}.trials", parse_word, "str", "str")


def _alias_columns(contract: Contract, aliases: Aliases) -> Iterator[Column]:
    yield _id_column(contract, aliases.id, "companies.aliases.id")
    yield _id_column(contract, aliases.into, "companies.aliases.into")


def _contact_tables(contract: Contract) -> Iterator[tuple[str, str, Iterator[Column]]]:
    """Return name, column of the id and all columns of the tables of contacts and objections."""
    if (contacts := contract.contacts) is not None:
        yield contacts.table, contacts.id, _contact_columns(contract, contacts)
    if (objections := contract.objections) is not None:
        yield objections.table, objections.id, iter([_id_column(contract, objections.id, "objections.id")])


def _contact_columns(contract: Contract, contacts: Contacts) -> Iterator[Column]:
    expected = expected_outcomes(contacts.outcomes)
    yield _id_column(contract, contacts.id, "contacts.id")
    yield replace(_day_column(contract, contacts.when, "contacts.when"), nullable=False)
    for role in ("who", "channel", "reason"):
        if (name := getattr(contacts, role)) is not None:
            yield Column(name, f"contacts.{role}", parse_shown, "str", "str")
    known = pandera.Check(partial(is_known_outcome, outcomes=contacts.outcomes), error=expected)
    outcome = Column(contacts.outcome, "contacts.outcome", parse_word, "str", "str", checks=(known,))
    yield replace(outcome, adjust={expected: "contacts.outcomes"})


def _histories(contract: Contract) -> dict[str, dict[str, History]]:
    """Return the histories in each table of them, by attribute."""
    found: dict[str, dict[str, History]] = {}
    for name, history in histories_of(contract).items():
        found.setdefault(history.table, {})[name] = history
    return found


def _history_columns(
    contract: Contract, histories: Mapping[str, History], contract_file: str | None
) -> tuple[str, list[Column]]:
    """Return the column of the id and all columns of a table of histories, which attributes may share."""
    columns: dict[str, Column] = {}
    shared: set[tuple[str, str]] = set()
    for name, history in histories.items():
        attribute, key = contract.companies.attributes[name], f"companies.attributes.{name}.history"
        value = value_column(name, history)
        since = Column(
            history.valid_from,
            f"{key}.valid_from",
            converting_parser(contract.usage.time_zone) if _converts_zones(contract) else parse_timestamp,
            "datetime64[us]",
            "datetime64[us]",
            nullable=False,
            checks=(_era(),),
            adjust={NAIVE: "usage.time_zone"},
        )
        columns |= {
            history.id: columns.get(history.id, _id_column(contract, history.id, f"{key}.id")),
            history.valid_from: columns.get(history.valid_from, since),
        }
        shared.add((history.id, history.valid_from))
        if value in columns or len(shared) > 1:
            raise ParamsError(
                f"{contract_file or 'the contract'}: {key}: the attributes of table {history.table} share id "
                f"and valid_from, and each has a value column of its own; change these, or use another table"
            )
        columns[value] = _attribute_column(contract, value, attribute, f"{key}.value", name)
    return next(iter(shared))[0], list(columns.values())


def _usage_columns(contract: Contract) -> Iterator[Column]:
    usage = contract.usage
    yield _id_column(contract, usage.id, "usage.id")
    starts = pandera.Check(_starts_on(usage.week_starts), error=f"a {usage.week_starts.title()} 00:00")
    yield Column(
        usage.time,
        "usage.time",
        zoned_parser(usage.time_zone) if usage.grain == "week" else parse_timestamp,
        "datetime64[us]",
        "datetime64[us]",
        nullable=False,
        checks=(_era(), starts),
        adjust={str(starts.error): "usage.week_starts", NAIVE: "usage.time_zone"},
        advise={str(starts.error): partial(advise_on_weeks, usage.week_starts)},
    )
    for measure in ("actions", "users"):
        for module, columns in usage.modules.items():
            if (name := getattr(columns, measure)) is not None:
                yield _count_column(name, f"usage.modules.{module}.{measure}")
    for module, number in usage.measures.items():
        yield _measure_column(number.column, f"usage.measures.{module}.column")


def _id_column(contract: Contract, name: str, key: str) -> Column:
    if contract.companies.ids == "text":
        return Column(name, key, parse_text_id, "str", "str", nullable=False)
    return Column(name, key, parse_whole, "Int64", "int64", nullable=False, adjust={WHOLE: "companies.ids"})


def _day_column(contract: Contract, name: str, key: str) -> Column:
    """Describe a column of days; times with a zone or an offset are converted wherever those of usage are."""
    adjust = {NAIVE: "usage.time_zone"}
    return Column(
        name, key, _day_parser(contract), "datetime64[us]", "datetime64[us]", checks=(_era(),), adjust=adjust
    )


def _day_parser(contract: Contract) -> Parser:
    return day_parser(contract.usage.time_zone) if _converts_zones(contract) else parse_day


def _converts_zones(contract: Contract) -> bool:
    """Return whether times with a zone or an offset are converted, instead of refused."""
    return contract.usage.grain != "week" or contract.usage.time_zone != "UTC"


def _value_column(name: str, key: str, nullable: bool) -> Column:
    amount = _between(-MAX_MRR, MAX_MRR, f"an amount within ±{MAX_MRR:.0e}")
    return Column(name, key, parse_number, "float64", "float64", nullable, (amount,))


def _count_column(name: str, key: str) -> Column:
    # Negative counts are left to the cleaning.
    count = _between(-MAX_COUNT, MAX_COUNT, f"a count of at most {MAX_COUNT}")
    return Column(name, key, parse_whole, "Int64", "int64", nullable=False, checks=(count,))


def _measure_column(name: str, key: str) -> Column:
    number = _between(-MAX_MEASURE, MAX_MEASURE, f"a number within ±{MAX_MEASURE:.0e}")
    return Column(name, key, parse_number, "float64", "float64", checks=(number,))


def _attribute_column(
    contract: Contract, name: str, attribute: AnyAttribute, key: str, called: str | None = None
) -> Column:
    """Describe a column of an attribute's values, which a table of its history may call otherwise."""
    adjust = {"": f"companies.attributes.{called or name}"}
    column = Column(name, key, parse_text, "str", "str", adjust=adjust)
    bounded = _between(-MAX_NUMBER, MAX_NUMBER, f"a number within ±{MAX_NUMBER:.0e}")
    if isinstance(attribute, Number):
        checks = (*_range(called or name, attribute), bounded)
        number = replace(column, dtype="float64", final="float64", checks=checks)
        if attribute.whole:
            return replace(number, parse=parse_whole, dtype="Int64")
        return replace(number, parse=parse_number)
    if isinstance(attribute, Flag):
        return replace(
            column, parse=flag_parser(attribute.yes, attribute.no), dtype="boolean", final="boolean"
        )
    if isinstance(attribute, Date):
        return replace(
            column,
            parse=_day_parser(contract),
            dtype="datetime64[us]",
            final="datetime64[us]",
            checks=(_era(FIRST_ATTRIBUTE_DAY),),
            adjust=adjust | {NAIVE: "usage.time_zone"},
        )
    if isinstance(attribute, Ordered) and attribute.cuts:
        return replace(column, parse=parse_number, dtype="float64", final="float64", checks=(bounded,))
    if isinstance(attribute, Ordered):
        expected = one_of(attribute.levels)
        isin = pandera.Check.isin(attribute.levels, error=expected)
        return replace(column, checks=(isin,), advise={expected: advise_on_dates_for_ranges})
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


def _era(first: dt.datetime = FIRST_DAY) -> pandera.Check:
    return _between(first, LAST_DAY, f"a date from {first.year} to {LAST_DAY.year}")


def _between(low: Any, high: Any, expected: str) -> pandera.Check:
    return pandera.Check.in_range(low, high, error=expected)
