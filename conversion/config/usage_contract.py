"""What a data contract says of usage: its table, grain and modules, as strict, frozen values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from conversion.config.contract_types import (
    MAX_MODULES,
    Column,
    Columns,
    Direction,
    Sentence,
    TableName,
    TimeZone,
    Values,
)
from conversion.config.param_types import Section


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


class Measure(Section):
    """A weekly number beside the counts of actions and users, such as gigabytes stored."""

    column: Column = Field(description="column of the numbers")
    combine: Literal["sum", "max", "last"] = Field(
        description="how days make a week, and weeks a longer time: their sum, the largest, the last known"
    )
    say: str | None = Field(default=None, max_length=80, description="what reps call it; null: its name")
    sentence: Sentence | None = Field(
        default=None,
        description="what reasons say of four weeks, such as They stored {value}; null: by what reps call it",
    )
    unit: str = Field(default="", max_length=40, description="unit of the numbers, such as GB")
    direction: Direction = Field(
        default=0, description="1: more may only raise the probability, -1: only lower it, 0: either"
    )


def _made_columns(module: str, user: object) -> dict[str, str | None]:
    """Name the columns of a module's weekly counts of events; without a column of users there are none."""
    return {"actions": f"actions_{module}", "users": None if user is None else f"users_{module}"}


class Usage(Section):
    """The usage table: rows of a company and week, of a company and day, or of single events."""

    table: TableName = Field(description="name of the table")
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
    event: Column | None = Field(
        default=None,
        description="of grain event: column of the event's name; null: all rows are of the one module",
    )
    event_id: Column | None = Field(
        default=None,
        description="of grain event: column that identifies the event; of rows with the same, one counts; "
        "null: all rows count",
    )
    exclude: dict[Column, Values] = Field(
        default_factory=dict,
        max_length=20,
        description="rows left out, as those of bots or of your own staff: values by column, any case",
    )
    before_sign_up: Literal["drop", "keep"] = Field(
        default="drop",
        description="rows of weeks that were over when the company signed up, where that day is recorded",
    )
    modules: dict[ModuleName, Module] = Field(
        min_length=1, max_length=MAX_MODULES, description="parts of the product by name"
    )
    measures: dict[ModuleName, Measure] = Field(
        default_factory=dict, max_length=MAX_MODULES, description="other numbers of a week, by name"
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
            self._must_tell_events_apart()
        else:
            of_events = [key for key in ("user", "event", "event_id") if getattr(self, key) is not None]
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

    def _must_tell_events_apart(self) -> None:
        """Refuse modules without events, unless all rows are of one module, as no column names events."""
        without = [name for name, module in self.modules.items() if not module.events]
        if self.event is None and (len(self.modules) > 1 or not without):
            raise ValueError(
                "grain event needs event, the column of the event's name; without one, name one module "
                "without events, to which all rows belong"
            )
        if self.event is not None and without:
            raise ValueError(
                f"grain event needs events, names or patterns such as invoice.*, in {_listed(without)}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are read, each once, but for those of ``exclude``."""
        measures = [measure.column for measure in self.measures.values()]
        if self.grain == "event":
            named = (self.id, self.time, self.user, self.event, self.event_id, *measures)
            return tuple(name for name in named if name is not None)
        modules = self.modules.values()
        users = [module.users for module in modules if module.users is not None]
        return (self.id, self.time, *(module.actions for module in modules), *users, *measures)


def _listed(modules: list[str]) -> str:
    return ", ".join(f"modules.{name}" for name in modules)
