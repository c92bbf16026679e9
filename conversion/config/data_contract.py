"""The data contract: the names and meanings of a company's own tables, as strict, frozen values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from conversion.config.attribute_kinds import AnyAttribute, Category, Date
from conversion.config.attribute_names import encoded_names, feature_name, missing_name
from conversion.config.contacts_contract import TEAM_CONTACTS, Contacts, Objections, with_team_contacts
from conversion.config.contract_types import MAX_ATTRIBUTES, Column, Columns, TableName, Values
from conversion.config.param_types import Section
from conversion.config.usage_contract import Usage
from conversion.config.usage_names import is_usage_name


def _tables(value: object) -> object:
    """Let a list of tables stand for tables in which some companies have converted."""
    if not isinstance(value, list):
        return value
    if any(isinstance(each, list | dict) for each in value):
        raise ValueError("should be a list of names, or a section of names with all, some or none")
    return dict.fromkeys(value, "some")


RESERVED: Final = ("conversion_valid", "rule", "as_of", "label", "weight", "self")
"""Columns that the project adds to tables of companies and snapshots, and one that pandas cannot assign."""
LISTED: Final = (
    *("rank", "probability", "tier", "expected_mrr", "probability_before", "rank_before", "fit", "activity"),
    *("last_active_week", "last_week_actions", "last_week_users", "reason_1", "reason_2", "reason_3"),
    *("caution", "evidence", "reasons", "usage", "converted", "rep", "moved"),
)
"""Columns of the lead list and of the companies that converted, and fields of the HTTP API's leads, beside
those of the company."""
TOTALS: Final = {
    "total_actions": "actions of all weeks and modules",
    "total_users": "weekly users summed over weeks and modules",
    "days_active": "last minus first day with a usage row",
    "activity_frequency": "usage rows over days_active + 1; there is one row a week, so more than 1 counts "
    "as 1",
}
"""What clients may send of a company's usage in place of its weeks, and what it means."""
TAKEN: Final = ("id", *RESERVED, *LISTED, *TOTALS)
"""Names that no attribute's column may have, unless it is the one of the id."""


def _made_names(column: str, attribute: AnyAttribute) -> set[str]:
    """Name the features and columns that are made of an attribute, but for the column itself."""
    made = {feature_name(column, attribute), missing_name(column, attribute)}
    return (made | {*encoded_names(column, attribute)}) - {column}


class Subscriptions(Section):
    """A table of subscriptions, any number a company; a conversion is the start of a paid one."""

    table: TableName = Field(description="name of the table")
    id: Column = Field(description="column that identifies the company")
    start: Column = Field(description="first day of the subscription")
    end: Column | None = Field(
        default=None, description="day it ended; missing: it has not; null: ends are not recorded"
    )
    value: Column | None = Field(default=None, description="its monthly revenue; null: not recorded")
    until: Literal["end", "next_row"] = Field(
        default="end",
        description="what ends it: the column end, or the company's next row, as in a log of changes of plan",
    )
    trials: dict[Column, Values] = Field(
        default_factory=dict,
        max_length=20,
        description="rows that are trials and not paid: values by column, any case",
    )

    @model_validator(mode="after")
    def _ends_in_one_way(self) -> Subscriptions:
        if self.until == "next_row" and self.end is not None:
            raise ValueError("end and until: next_row: a row ends in one of the two ways; remove one")
        if self.until == "next_row" and not self.trials:
            raise ValueError(
                "until: next_row: no row would end what is paid; name under trials the rows that are not "
                "paid, such as those of the free plan"
            )
        return self


class Aliases(Section):
    """A table of ids that are no longer used, as where two companies were merged into one."""

    table: TableName = Field(description="name of the table")
    id: Column = Field(description="id that is no longer used")
    into: Column = Field(description="id of the company that it became")


def _made_columns(subscriptions: Any) -> dict[str, str | None]:
    """Name the columns of companies that cleaning makes of subscriptions."""
    recorded = {
        "converted": subscriptions.get("start"),
        "ended": subscriptions.get("end") or subscriptions.get("until") == "next_row",
        "value": subscriptions.get("value"),
    }
    return {name: name if column else None for name, column in recorded.items()}


class Companies(Section):
    """The company tables: one row a company."""

    tables: Annotated[dict[TableName, Literal["all", "some", "none"]], BeforeValidator(_tables)] = Field(
        min_length=1,
        max_length=10,
        description="table names, and whether all, some or none of the companies in each have converted",
    )
    id: Column = Field(description="column that identifies a company")
    ids: Literal["whole", "text"] = Field(description="whole numbers, or text, which keeps leading zeros")
    signed_up: Column | None = Field(default=None, description="day of signing up; null: not recorded")
    converted: Column = Field(description="day of the first payment; missing: not converted")
    ended: Column | None = Field(default=None, description="day the subscription ended; null: not recorded")
    value: Column | None = Field(
        default=None, description="monthly revenue of a customer; null: not recorded"
    )
    subscriptions: Subscriptions | None = Field(
        default=None, description="a table of subscriptions, in place of converted, ended and value"
    )
    aliases: Aliases | None = Field(
        default=None, description="a table of ids that are no longer used; null: none"
    )
    shown: Columns = Field(default=(), description="columns carried through to the list, never a feature")
    attributes: dict[Column, AnyAttribute] = Field(
        default_factory=dict, max_length=MAX_ATTRIBUTES, description="columns that features are made of"
    )

    @model_validator(mode="before")
    @classmethod
    def _subscribed(cls, companies: Any) -> Any:
        """Fill in the columns that are made of subscriptions; refuse other ones."""
        if not isinstance(companies, dict) or not isinstance(companies.get("subscriptions"), dict):
            return companies
        made = _made_columns(companies["subscriptions"])
        # A resolved contract has them already.
        named = [key for key, column in made.items() if companies.get(key) not in {None, column}]
        if named:
            raise ValueError(f"{' and '.join(named)}: subscriptions has these; remove one of the two")
        return {**companies, **made}

    @model_validator(mode="after")
    def _some_have_converted(self) -> Companies:
        if self.subscriptions is None and set(self.tables.values()) == {"none"}:
            raise ValueError("tables: none of the companies have converted; set one of the tables to some")
        return self


class Contract(Section):
    """All of a contract file."""

    companies: Companies
    usage: Usage
    contacts: Contacts | None = Field(
        default=None, description="a table of contacts with companies; null: none"
    )
    objections: Objections | None = Field(
        default=None, description="a table of companies never to be listed; null: none"
    )

    @model_validator(mode="before")
    @classmethod
    def _counted_contacts(cls, contract: Any) -> Any:
        return with_team_contacts(contract)

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A contract without these tables is written as if there were no such keys.
        absent = [name for name in ("contacts", "objections") if getattr(self, name) is None]
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name not in absent}

    @model_validator(mode="after")
    def _names_of_their_own(self, info: ValidationInfo) -> Contract:
        """Refuse names that stand for two things, all at once, so that one look at the export mends them.

        With ``any_windows`` in the context, features of usage are refused whatever windows params.yaml sets:
        when these are known, after `load` and `clean`, is late.
        """
        faults = [
            *self._twice(),
            *self._signed_up_as_another_kind(),
            *self._taken_measures(),
            *self._taken_features(),
            *self._taken_columns(),
            *(self._features_of_usage() if (info.context or {}).get("any_windows") else ()),
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _twice(self) -> Iterator[str]:
        for where, columns in (
            ("companies", list(self.company_columns())),
            ("usage", [*self.usage.columns, *(self.counts if self.usage.grain == "event" else ())]),
        ):
            twice = sorted({name for name in columns if columns.count(name) > 1})
            if twice:
                yield f"{where}: {', '.join(twice)} stands for two things; name each column once"
        if self.usage.table in self.companies.tables:
            yield f"usage.table: {self.usage.table} is a company table too"
        tables = [name.casefold() for name in self.tables]
        twice = sorted({name for name in self.tables if tables.count(name.casefold()) > 1})
        if twice and self.usage.table not in self.companies.tables:
            yield f"{', '.join(twice)}: a table stands for two things; name each once"
        for key, named in (
            ("modules", [*self.usage.modules]),
            ("measures", [*self.modules, *self.usage.measures]),
        ):
            if len({name.lower() for name in named}) < len(named):
                yield f"usage.{key}: two names are the same, or differ by case alone"
                break  # The measures are compared with the modules, too.

    def _signed_up_as_another_kind(self) -> Iterator[str]:
        # A day that a history would change could not say from when on a company is a prospect.
        column, attributes = self.companies.signed_up, self.companies.attributes
        attribute = None if column is None else attributes.get(column)
        if attribute is not None and (not isinstance(attribute, Date) or attribute.history is not None):
            yield (
                f"companies: {column} stands for two things; the day of signing up may be an attribute, but "
                "only of kind date and without a history"
            )

    def _taken_measures(self) -> Iterator[str]:
        # Clean usage calls measures by their names and counts by their columns.
        others = {"id", self.usage.time, *self.counts, *RESERVED}
        if taken := sorted(others & {*self.usage.measures}):
            yield (
                f"usage.measures: {', '.join(taken)} is what another column of usage is called; name the "
                "measure otherwise"
            )
        if "rule" in self.usage.columns:
            yield "usage: rule is what the project calls a column of its own; rename it in the export"

    def _taken_features(self) -> Iterator[str]:
        attributes = self.companies.attributes
        made = [name for column, each in attributes.items() for name in _made_names(column, each)]
        twice = sorted({name for name in made if made.count(name) > 1})
        if twice:
            yield (
                f"companies.attributes: {', '.join(twice)} would be the feature of two; give one of them a "
                "feature (or missing, or flag) with another name"
            )
        taken = sorted({"id", *RESERVED} & {*made})
        if taken:
            yield (
                f"companies.attributes: {', '.join(taken)} would be a feature, but that is what the project "
                "calls a column of its own; give the attribute a feature (or missing, or flag) with another "
                "name"
            )
        groups = sorted({*self.group_columns} & {*LISTED})
        if groups:
            yield (
                f"companies.attributes: {', '.join(groups)} would be a column of groups in the lead list, "
                "which has one of that name; give the attribute a feature with another name"
            )

    def _taken_columns(self) -> Iterator[str]:
        companies = self.companies
        made = [_made_names(column, each) for column, each in companies.attributes.items()]
        found = Counter(name for names in made for name in names)
        # Other names for features that clash with another one mend this, too.
        single = [names for names in made if all(found[name] == 1 for name in names)]
        others = {name for names in single for name in names} - {"id", *RESERVED}
        taken = sorted({*others, *RESERVED} & {*self.company_columns()})
        if taken:
            yield (
                f"companies: {', '.join(taken)} is what the project calls a column of its own; rename it in "
                "the export"
            )
        listed = {*companies.shown, *companies.attributes}
        taken = sorted(listed & {*LISTED} | {*companies.attributes} & {*TOTALS})
        if taken:
            yield (
                f"companies: {', '.join(taken)} is what the lead list or the HTTP API calls a value of its "
                "own; rename it in the export"
            )

    def _features_of_usage(self) -> Iterator[str]:
        attributes = self.companies.attributes
        made = {
            name
            for column, each in attributes.items()
            for name in (feature_name(column, each), *_made_names(column, each))
        }
        of_usage = {name for name in made if is_usage_name(name, self.usage.measures)}
        if taken := sorted(of_usage | (made - {*attributes}) & {*TOTALS}):
            yield (
                f"companies.attributes: {', '.join(taken)} would be a feature, but a feature of usage is "
                "called so; give the attribute a feature (or missing, or flag) with another name"
            )

    def company_columns(self) -> Iterator[str]:
        """Name every column of the company tables that the contract knows.

        The day of signing up may be an attribute as well; it is named once.
        """
        companies = self.companies
        for name in (
            companies.id,
            None if companies.signed_up in companies.attributes else companies.signed_up,
            companies.converted,
            companies.ended,
            companies.value,
        ):
            if name is not None:
                yield name
        yield from companies.attributes
        yield from companies.shown

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of all tables: companies, usage, subscriptions, aliases, histories, contacts, objections."""
        companies = self.companies
        single = [each.table for each in (companies.subscriptions, companies.aliases) if each is not None]
        called = [each.table for each in (self.contacts, self.objections) if each is not None]
        histories = dict.fromkeys(
            each.history.table for each in companies.attributes.values() if each.history is not None
        )
        return (*companies.tables, self.usage.table, *single, *histories, *called)

    @property
    def learns_from_contacts(self) -> bool:
        """Whether contacts are a feature."""
        return self.contacts is not None and self.contacts.feature

    @property
    def exported(self) -> Contract:
        """The contract with only those measures of usage that the export's own table of usage has."""
        if not self.learns_from_contacts:
            return self
        measures = {name: each for name, each in self.usage.measures.items() if name != TEAM_CONTACTS}
        return self.model_copy(update={"usage": self.usage.model_copy(update={"measures": measures})})

    def of_model(self) -> dict[str, Any]:
        """Return the contract as a model keeps it: what its features are made of."""
        return self.model_dump(mode="json", exclude={"contacts", "objections"})

    @property
    def conversion_tables(self) -> str:
        """Name the tables that say which companies have converted, for messages."""
        if self.companies.subscriptions is not None:
            return self.companies.subscriptions.table
        return ", ".join(name for name, have in self.companies.tables.items() if have != "none")

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules."""
        return tuple(self.usage.modules)

    @property
    def actions(self) -> tuple[str, ...]:
        """The modules' columns of actions."""
        return tuple(module.actions for module in self.usage.modules.values())

    @property
    def users(self) -> tuple[str, ...]:
        """The columns of users of the modules that have one."""
        return tuple(module.users for module in self.usage.modules.values() if module.users is not None)

    @property
    def counts(self) -> tuple[str, ...]:
        """All columns of counts: actions, then users."""
        return self.actions + self.users

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns of the groups that companies are in, one for each category with groups."""
        return tuple(
            encoded_names(column, category)[0]
            for column, category in self.attributes_of(Category).items()
            if category.groups is not None
        )

    def attributes_of(self, kind: type[Any]) -> dict[str, Any]:
        """Select the attributes of one kind, such as `Category`."""
        return {name: each for name, each in self.companies.attributes.items() if isinstance(each, kind)}
