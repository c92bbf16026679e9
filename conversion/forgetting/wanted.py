"""Which values identify the company: its ids, exactly, and what shows who it is."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from conversion.config.data_contract import Contract
from conversion.runtime.errors import UsageError

_WHOLE: Final = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?", re.ASCII)
_CONSTANT: Final = re.compile(r'="(.*)"')
LEAST_NAME: Final = 4
"""Shorter names are not searched for in texts: they would be found within other words."""


@dataclass(frozen=True)
class Wanted:
    """A company to look for.

    Attributes
    ----------
    ids
        Its id, and those that it had before.
    whole
        Whether ids are whole numbers.
    id_columns
        Names of the columns and keys that hold ids.
    keys
        Other columns that identify it, with its values: keys of files for CRMs.
    names
        Texts that no other company has in a shown column, such as its name.
    """

    ids: frozenset[str]
    whole: bool
    id_columns: frozenset[str]
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()

    def columns(self, given: Iterable[object]) -> list[str]:
        """Select the columns that may identify the company, in their order."""
        return [name for name in map(str, given) if name in self.id_columns or name in self.keys]

    def is_in(self, column: str, value: Any) -> bool:
        """Return whether a value of a column identifies the company: 123 is neither 1234 nor 0.123."""
        if value is None or isinstance(value, bool | list | dict):
            return False
        if column in self.id_columns and self._plain(value) in self.ids:
            return True
        return _without_marks(value) in self.keys.get(column, ())

    def _plain(self, value: object) -> str:
        """Write an id as the contract has it: floats add a point."""
        text = _without_marks(value)
        if not self.whole:
            return text
        found = _WHOLE.fullmatch(text.strip())
        return text if found is None else f"{'-' * (found[1] == '-')}{found[2]}"

    def is_named_in(self, text: str) -> bool:
        """Return whether a page shows the company by its title or its name."""
        return self._named.search(text) is not None

    @cached_property
    def _named(self) -> re.Pattern[str]:
        titles = [rf"\bCompany {re.escape(html.escape(each))}(?![\w.-])" for each in sorted(self.ids)]
        links = [rf"/companies/{re.escape(each)}(?![\w.%-])" for each in sorted(self.ids)]
        cells = [rf">\s*{re.escape(html.escape(each))}\s*</t[dh]>" for each in sorted(self.ids)]
        long = (name for name in sorted(self.names) if len(name) >= LEAST_NAME)
        names = [rf"(?<!\w){re.escape(html.escape(each))}(?!\w)" for each in long]
        return re.compile("|".join([*titles, *links, *cells, *names]))


def _without_marks(value: object) -> str:
    """Return a text without what keeps spreadsheets from changing it: ``'7`` and ``="7"`` are 7."""
    constant = _CONSTANT.fullmatch(str(value))
    return str(value).removeprefix("'") if constant is None else constant[1]


def id_columns(contract: Contract) -> frozenset[str]:
    """Name the columns with ids: those of the contract's tables, and ``id``, which the project calls them."""
    companies = contract.companies
    single = (companies.subscriptions, companies.aliases, contract.contacts, contract.objections)
    histories = (each.history for each in companies.attributes.values())
    named = {each.id for each in (*single, *histories) if each is not None}
    into = {companies.aliases.into} if companies.aliases is not None else set()
    return frozenset({"id", companies.id, contract.usage.id, *named, *into})


def wanted_company(given: str, contract: Contract) -> Wanted:
    """Return what to look for, from the id that the user gave.

    Raises
    ------
    UsageError
        It is no id of the contract: ids are whole numbers.
    """
    whole = contract.companies.ids == "whole"
    found = _WHOLE.fullmatch(given) if whole else None
    if whole and found is None:
        raise UsageError(f"ID: given {given!r}, should be a whole number, as companies.ids says")
    if not given:
        raise UsageError("ID: given nothing, should be the id of a company")
    plain = given if found is None else f"{'-' * (found[1] == '-')}{found[2]}"
    return Wanted(frozenset({plain}), whole, id_columns(contract))
