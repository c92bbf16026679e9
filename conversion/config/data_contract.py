"""The data contract: the names and meanings of a company's own tables, as strict, frozen values."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from conversion.config.param_types import Section, as_tuple, must_not_repeat

MAX_MODULES: Final = 50
MAX_ATTRIBUTES: Final = 50
MAX_LEVELS: Final = 1000

Column = Annotated[str, Field(min_length=1, max_length=200)]
Columns = Annotated[
    tuple[Column, ...],
    BeforeValidator(as_tuple),
    Field(max_length=MAX_LEVELS),
    AfterValidator(must_not_repeat),
]
Levels = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    BeforeValidator(as_tuple),
    Field(min_length=2, max_length=MAX_LEVELS),
    AfterValidator(must_not_repeat),
]


def _as_text(value: object) -> object:
    """Write YAML's yes, no and whole numbers as a table has them; leave the rest to the type."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _must_be_a_time_zone(name: str) -> str:
    expected = "should be the name of a time zone, such as Europe/Berlin"
    if name == "localtime":  # Differs from machine to machine.
        raise ValueError(expected)
    try:
        if name != "UTC":  # Known even where the system has no zones.
            zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(expected) from error
    return name


TimeZone = Annotated[str, AfterValidator(_must_be_a_time_zone)]
Values = Annotated[
    tuple[Annotated[str, BeforeValidator(_as_text), Field(min_length=1, max_length=200)], ...],
    BeforeValidator(as_tuple),
    Field(min_length=1, max_length=MAX_LEVELS),
    AfterValidator(must_not_repeat),
]
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
Direction = Literal[-1, 0, 1]


def _tables(value: object) -> object:
    """Let a list of tables stand for tables in which some companies have converted."""
    return dict.fromkeys(value, "some") if isinstance(value, list) else value


class Named(Section):
    """A feature's name and description, where those that follow from the column would not do."""

    name: FeatureName = Field(description="name of the feature: small letters, digits and underscores")
    description: str = Field(min_length=1, max_length=200, description="what it measures, in plain words")


class Attribute(Section):
    """What all kinds of attributes have in common."""

    say: str | None = Field(default=None, max_length=80, description="what reps call it; null: the column")
    feature: Named | None = Field(default=None, description="the feature of its value; null: by its column")
    missing: Named | None = Field(default=None, description="the feature of its absence; null: by its column")


class Number(Attribute):
    """A number: a head count, a rank, an amount."""

    kind: Literal["number"]
    whole: bool = Field(default=False, description="only whole numbers are right")
    minimum: float | None = Field(default=None, description="least value that is right; null: any")
    maximum: float | None = Field(default=None, description="largest value that is right; null: any")
    log: bool = Field(default=False, description="the feature is the logarithm; needs a minimum above 0")
    not_applicable: float | None = Field(
        default=None, description="value that stands for not applicable, and every larger one; null: none"
    )
    counts_as: float | None = Field(
        default=None, description="number that the feature takes where it is not applicable; null: missing"
    )
    flag: Named | None = Field(default=None, description="the feature that says whether it is applicable")
    direction: Direction = Field(
        default=0, description="1: more may only raise the probability, -1: only lower it, 0: either"
    )

    @model_validator(mode="after")
    def _logs_of_positive_numbers(self) -> Number:
        if self.log and not (self.minimum is not None and self.minimum > 0):
            raise ValueError("log needs a minimum above 0")
        if self.counts_as is not None and self.not_applicable is None:
            raise ValueError("counts_as needs not_applicable")
        if self.flag is not None and self.not_applicable is None:
            raise ValueError("flag needs not_applicable")
        return self


class Ordered(Attribute):
    """Levels in an order, such as ranges of head counts."""

    kind: Literal["ordered"]
    levels: Levels = Field(description="the levels as they stand in the table, lowest first")
    direction: Direction = Field(
        default=0,
        description="1: a higher level may only raise the probability, -1: only lower it, 0: either",
    )


class Category(Attribute):
    """Levels in no order, such as countries or industries."""

    kind: Literal["category"]
    groups: str | dict[str, Columns] | None = Field(
        default=None,
        description="groups of levels, or a YAML file of them beside the contract; null: levels as they are",
    )
    says_nothing: Columns = Field(default=(), description="levels that say as little as a missing value")
    unlisted: Literal["keep", "unknown"] = Field(
        default="keep", description="a level that no group lists is kept as itself, or unknown"
    )
    unknown: str = Field(
        default="Unknown", min_length=1, max_length=80, description="name of the level of missing values"
    )


class GroupsFile(Section):
    """A file that puts the levels of a category into groups."""

    groups: dict[str, Columns] = Field(min_length=1, description="lists of levels by group")
    says_nothing: Columns = Field(default=(), description="levels that say as little as a missing value")

    @model_validator(mode="after")
    def _in_one_group(self) -> GroupsFile:
        found: dict[str, str] = {}
        for group, levels in {**self.groups, "says_nothing": self.says_nothing}.items():
            for level in levels:
                if level in found:
                    raise ValueError(f"{level} is in {found[level]} and in {group}; keep one of them")
                found[level] = group
        return self


class Flag(Attribute):
    """Yes or no."""

    kind: Literal["flag"]
    yes: Levels | Columns = Field(default=("true", "yes", "1"), description="values that mean yes, any case")
    no: Levels | Columns = Field(default=("false", "no", "0"), description="values that mean no, any case")
    direction: Direction = Field(
        default=0, description="1: yes may only raise the probability, -1: only lower it, 0: either"
    )


AnyAttribute = Annotated[Number | Ordered | Category | Flag, Field(discriminator="kind")]


class Companies(Section):
    """The company tables: one row a company."""

    tables: Annotated[dict[Column, Literal["all", "some", "none"]], BeforeValidator(_tables)] = Field(
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
    shown: Columns = Field(default=(), description="columns carried through to the list, never a feature")
    attributes: dict[Column, AnyAttribute] = Field(
        default_factory=dict, max_length=MAX_ATTRIBUTES, description="columns that features are made of"
    )


class Module(Section):
    """A part of the product."""

    actions: Column = Field(description="column with the number of actions")
    users: Column | None = Field(default=None, description="column with the number of users; null: none")
    events: Columns = Field(
        default=(),
        description="names of its events or patterns such as invoice.*, of grain event, in place of columns",
    )
    say: str | None = Field(default=None, max_length=80, description="what reps call it; null: its name")


ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,59}$")]


def _made_columns(module: str, user: object) -> dict[str, str | None]:
    """Name the columns of a module's weekly counts of events; without a column of users there are none."""
    return {"actions": f"actions_{module}", "users": None if user is None else f"users_{module}"}


class Usage(Section):
    """The usage table: rows of a company and week, of a company and day, or of single events."""

    table: Column = Field(description="name of the table")
    id: Column = Field(description="column that identifies the company")
    time: Column = Field(description="first day of the week; of other grains the day, or the event's time")
    grain: Literal["week", "day", "event"] = Field(
        default="week", description="what a row is: a company's week, its day, or one event"
    )
    week_starts: Literal["monday", "sunday"] = Field(
        default="monday", description="first day of a week, of grain week"
    )
    time_zone: TimeZone = Field(
        default="UTC", description="zone that times without one are in; times with one are converted to it"
    )
    user: Column | None = Field(
        default=None, description="of grain event: column of the user; null: users are not counted"
    )
    event: Column | None = Field(default=None, description="of grain event: column of the event's name")
    exclude: dict[Column, Values] = Field(
        default_factory=dict,
        max_length=20,
        description="rows left out, as those of bots or of your own staff: values by column, any case",
    )
    modules: dict[ModuleName, Module] = Field(
        min_length=1, max_length=MAX_MODULES, description="parts of the product by name"
    )

    @model_validator(mode="before")
    @classmethod
    def _counted_events(cls, usage: Any) -> Any:
        """Fill in the columns that are made of events; refuse other ones."""
        if not isinstance(usage, dict) or usage.get("grain") != "event":
            return usage
        modules = usage.get("modules")
        if not isinstance(modules, dict) or not all(isinstance(each, dict) for each in modules.values()):
            return usage
        filled = {}
        for name, module in modules.items():
            made = _made_columns(name, usage.get("user"))
            # A resolved contract has them already.
            named = [key for key, column in made.items() if module.get(key) not in {None, column}]
            if named:
                raise ValueError(
                    f"modules.{name} names {' and '.join(named)}, which grain event counts from events; "
                    "remove them, or set grain to day or week"
                )
            filled[name] = {**module, **made}
        return {**usage, "modules": filled}

    @model_validator(mode="after")
    def _keys_of_the_grain(self) -> Usage:
        if self.grain == "event":
            if self.event is None:
                raise ValueError("grain event needs event, the column of the event's name")
            without = [name for name, module in self.modules.items() if not module.events]
            if without:
                raise ValueError(
                    f"grain event needs events, names or patterns such as invoice.*, in {_listed(without)}"
                )
        else:
            of_events = [key for key in ("user", "event") if getattr(self, key) is not None]
            of_events += [f"modules.{name}.events" for name, module in self.modules.items() if module.events]
            if of_events:
                raise ValueError(
                    f"grain {self.grain} has no {', '.join(of_events)}; remove it, or set grain to event"
                )
        if self.grain == "week" and self.exclude:
            raise ValueError("grain week has no exclude, as a row holds many users; leave them out before")
        if self.grain != "week" and self.week_starts != "monday":
            raise ValueError(
                f"grain {self.grain} has no week_starts: the weeks that are made start on Monday"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are read, each once, but for those of ``exclude``."""
        if self.grain == "event":
            return tuple(name for name in (self.id, self.time, self.user, self.event) if name is not None)
        modules = self.modules.values()
        users = [module.users for module in modules if module.users is not None]
        return (self.id, self.time, *(module.actions for module in modules), *users)


def _listed(modules: list[str]) -> str:
    return ", ".join(f"modules.{name}" for name in modules)


class Contract(Section):
    """All of a contract file."""

    companies: Companies
    usage: Usage

    @model_validator(mode="after")
    def _nothing_twice(self) -> Contract:
        for where, columns in (
            ("companies", list(self.company_columns())),
            ("usage", [*self.usage.columns, *(self.measures if self.usage.grain == "event" else ())]),
        ):
            twice = sorted({name for name in columns if columns.count(name) > 1})
            if twice:
                raise ValueError(f"{where}: {', '.join(twice)} stands for two things; name each column once")
        if self.usage.table in self.companies.tables:
            raise ValueError(f"usage.table: {self.usage.table} is a company table too")
        slugs = [name.lower() for name in self.usage.modules]
        if len(set(slugs)) < len(slugs):
            raise ValueError("usage.modules: two names differ by case alone")
        return self

    def company_columns(self) -> Iterator[str]:
        """Name every column of the company tables that the contract knows."""
        companies = self.companies
        for name in (
            companies.id,
            companies.signed_up,
            companies.converted,
            companies.ended,
            companies.value,
        ):
            if name is not None:
                yield name
        yield from companies.attributes
        yield from companies.shown

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
    def measures(self) -> tuple[str, ...]:
        """All columns of counts: actions, then users."""
        return self.actions + self.users

    def attributes_of(self, kind: type[Any]) -> dict[str, Any]:
        """Select the attributes of one kind, such as `Category`."""
        return {name: each for name, each in self.companies.attributes.items() if isinstance(each, kind)}
