"""The kinds of attributes that a data contract may give to companies, as strict, frozen values."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from conversion.config.contract_types import (
    MAX_LEVELS,
    Column,
    Columns,
    Direction,
    FeatureName,
    Levels,
    Sentence,
    TableName,
)
from conversion.config.param_types import Section, as_tuple


@lru_cache(maxsize=4096)
def normalized(level: str) -> str:
    """Drop case, punctuation and spacing, which differ between exports."""
    return re.sub(r"[\W_]+", " ", level).strip().casefold()


class Named(Section):
    """A feature's name and description, where those that follow from the column would not do."""

    name: FeatureName = Field(description="name of the feature: small letters, digits and underscores")
    description: str = Field(min_length=1, max_length=200, description="what it measures, in plain words")


class History(Section):
    """A table of what an attribute was from which day on; the value known at ``as_of`` is used."""

    table: TableName = Field(description="name of the table; several attributes may share one")
    id: Column = Field(description="column that identifies the company")
    valid_from: Column = Field(description="first day of the value")
    value: Column | None = Field(
        default=None, description="column of the value; null: called as the attribute"
    )


class Slice(Section):
    """Levels that the backtest measures together."""

    name: str = Field(
        min_length=1, max_length=80, description="what prospects of these levels have in common"
    )
    levels: Columns = Field(min_length=1, description="the levels")


Slices = Annotated[tuple[Slice, ...], BeforeValidator(as_tuple), Field(max_length=MAX_LEVELS)]


class Attribute(Section):
    """What all kinds of attributes have in common."""

    say: str | None = Field(default=None, max_length=80, description="what reps call it; null: the column")
    feature: Named | None = Field(default=None, description="the feature of its value; null: by its column")
    missing: Named | None = Field(default=None, description="the feature of its absence; null: by its column")
    history: History | None = Field(
        default=None,
        description="table of its values over time; null: at all times that of the companies",
    )
    description: str | None = Field(
        default=None, max_length=200, description="what the HTTP API says of its values; null: by its kind"
    )
    example: bool | int | float | str | None = Field(
        default=None, description="value in the examples of the HTTP API; null: by its kind"
    )
    slices: Literal["values", "known", "none"] = Field(
        default="values",
        description="how the backtest splits prospects: by its values, by whether it is known, or not by it",
    )


class Stated(Attribute):
    """What the kinds have in common whose values are more than yes and no."""

    sentence: Sentence | None = Field(
        default=None,
        description="what reasons say, such as They have {value} seats; null: by what reps call it",
    )


class Number(Stated):
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
    decimals: int | None = Field(
        default=None,
        ge=-9,
        le=6,
        description="decimals in reasons, -2: about so many hundreds; null: as many as are known, 0 if whole",
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Number:
        low, beyond = self.minimum, self.not_applicable
        if low is not None and self.maximum is not None and low > self.maximum:
            raise ValueError(f"minimum is {low:.15g}, but maximum is {self.maximum:.15g}")
        # Each larger value is not applicable too: of a marker such as -1 all numbers would be.
        least = 0.0 if low is None else low
        if beyond is not None and beyond <= least:
            raise ValueError(
                f"not_applicable should be above {least:.15g}, as each larger value is not applicable too; "
                "leave the cells of a smaller marker empty in the export"
            )
        return self

    @model_validator(mode="after")
    def _example_is_right(self) -> Number:
        example, beyond = self.example, self.not_applicable
        if example is None:
            return self
        if isinstance(example, bool | str):
            raise ValueError("example should be a number")  # noqa: TRY004 - pydantic reports it
        low = 0.0 if self.log else self.minimum
        too_low = low is not None and (example <= low if self.log else example < low)
        too_high = beyond is None and self.maximum is not None and example > self.maximum
        if too_low or too_high:
            raise ValueError("example should be within minimum and maximum")
        return self

    @model_validator(mode="after")
    def _logs_of_positive_numbers(self) -> Number:
        if self.log and not (self.minimum is not None and self.minimum > 0):
            raise ValueError("log needs a minimum above 0")
        if self.counts_as is not None and self.not_applicable is None:
            raise ValueError("counts_as needs not_applicable")
        if self.log and self.counts_as is not None and self.counts_as <= 0:
            raise ValueError("log needs a counts_as above 0")
        if self.flag is not None and self.not_applicable is None:
            raise ValueError("flag needs not_applicable")
        return self


class Ordered(Stated):
    """Levels in an order, such as ranges of head counts; or a number that is cut into levels."""

    kind: Literal["ordered"]
    cuts: Annotated[tuple[float, ...], BeforeValidator(as_tuple), Field(max_length=MAX_LEVELS)] = Field(
        default=(),
        description="numbers at which the column is cut, each the least of the next level; "
        "none: the column has the levels themselves",
    )
    levels: Levels = Field(
        description="the levels as they stand in the table, or names for those between cuts; lowest first"
    )
    direction: Direction = Field(
        default=0,
        description="1: a higher level may only raise the probability, -1: only lower it, 0: either",
    )
    slice_levels: Slices = Field(
        default=(), description="levels that the backtest measures together; none: each level by itself"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_levels(cls, ordered: Any) -> Any:
        """Name the levels between cuts that are given without names."""
        if not isinstance(ordered, dict) or ordered.get("levels") is not None:
            return ordered
        cuts = ordered.get("cuts")
        if not isinstance(cuts, list) or not cuts or not all(isinstance(each, int | float) for each in cuts):
            return ordered
        between = [f"{low:g} to below {high:g}" for low, high in itertools.pairwise(cuts)]
        return {**ordered, "levels": [f"below {cuts[0]:g}", *between, f"{cuts[-1]:g} or more"]}

    @model_validator(mode="after")
    def _each_level_in_one_slice(self) -> Ordered:
        sliced = [level for each in self.slice_levels for level in each.levels]
        if self.slice_levels and self.slices != "values":
            raise ValueError(
                f"slices {self.slices} has no slice_levels; remove them, or set slices to values"
            )
        if self.slice_levels and sorted(sliced) != sorted(self.levels):
            raise ValueError("slice_levels should have each of the levels once")
        if len({each.name for each in self.slice_levels}) < len(self.slice_levels):
            raise ValueError("slice_levels should have different names")
        return self

    @model_validator(mode="after")
    def _example_is_right(self) -> Ordered:
        if self.example is not None:
            if self.cuts and isinstance(self.example, bool | str):
                raise ValueError("example should be a number")
            if not self.cuts and self.example not in self.levels:
                raise ValueError("example should be one of the levels")
        return self

    @model_validator(mode="after")
    def _a_level_between_cuts(self) -> Ordered:
        if any(low >= high for low, high in itertools.pairwise(self.cuts)):
            raise ValueError("cuts should increase")
        if self.cuts and len(self.levels) != len(self.cuts) + 1:
            raise ValueError(
                f"{len(self.cuts)} cuts make {len(self.cuts) + 1} levels, but {len(self.levels)} are named"
            )
        return self


class Category(Stated):
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
    rare: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="levels outside of groups that fewer companies have when a model learns count as other",
    )
    other: str = Field(
        default="Other",
        min_length=1,
        max_length=80,
        description="name of the level of rare levels, and of those that a model has not seen",
    )

    @model_validator(mode="after")
    def _levels_of_one_meaning(self) -> Category:
        if self.unknown == self.other:
            raise ValueError(f"unknown and other are both {self.unknown}; name them differently")
        if self.unlisted == "unknown" and self.groups is None:
            raise ValueError("unlisted unknown needs groups, as without them no level is listed")
        if self.unknown in self.levels_by_group:
            raise ValueError(
                f"{self.unknown} is a group and the level of missing values; name one of them "
                "differently, or list the group's levels in says_nothing"
            )
        _refuse_doubles(self.levels_by_group, self.says_nothing)
        return self

    @property
    def levels_by_group(self) -> dict[str, Columns]:
        """The groups as `load_contract` reads them; empty without groups."""
        return self.groups if isinstance(self.groups, dict) else {}

    @model_validator(mode="after")
    def _example_is_right(self) -> Category:
        if not isinstance(self.example, str | None):
            raise ValueError("example should be text in quotes")  # noqa: TRY004 - pydantic reports it
        return self


class GroupsFile(Section):
    """A file that puts the levels of a category into groups."""

    groups: dict[str, Columns] = Field(min_length=1, description="lists of levels by group")
    says_nothing: Columns = Field(default=(), description="levels that say as little as a missing value")

    @model_validator(mode="after")
    def _in_one_group(self) -> GroupsFile:
        _refuse_doubles(self.groups, self.says_nothing)
        return self


def _refuse_doubles(groups: Mapping[str, Columns], says_nothing: Columns) -> None:
    """Check that no level is in two groups, however it is spelled."""
    found: dict[str, str] = {}
    for group, levels in {**groups, "says_nothing": says_nothing}.items():
        for level in levels:
            other = found.setdefault(normalized(level), group)
            if other != group:
                raise ValueError(f"{level} is in {other} and in {group}; keep one of them")


class Flag(Attribute):
    """Yes or no."""

    kind: Literal["flag"]
    yes: Columns = Field(
        default=("true", "yes", "1"), min_length=1, description="values that mean yes, any case"
    )
    no: Columns = Field(
        default=("false", "no", "0"), min_length=1, description="values that mean no, any case"
    )
    sentence: str | None = Field(
        default=None, min_length=1, max_length=80, description="what reasons say of yes; null: by its name"
    )
    sentence_no: str | None = Field(
        default=None, min_length=1, max_length=80, description="what reasons say of no; null: by its name"
    )
    direction: Direction = Field(
        default=0, description="1: yes may only raise the probability, -1: only lower it, 0: either"
    )

    @model_validator(mode="after")
    def _yes_is_not_no(self) -> Flag:
        both = [
            each for each in self.yes if each.strip().casefold() in {n.strip().casefold() for n in self.no}
        ]
        if both:
            raise ValueError(f"{', '.join(both)} means yes and no; give yes and no without a value in common")
        if not isinstance(self.example, bool | None):
            raise ValueError("example should be true or false")  # noqa: TRY004 - pydantic reports it
        return self


class Date(Stated):
    """A day, such as of the first invoice; its feature is its age in days at ``as_of``, if it was before."""

    kind: Literal["date"]
    direction: Direction = Field(
        default=0, description="1: more days may only raise the probability, -1: only lower it, 0: either"
    )

    @model_validator(mode="after")
    def _example_is_right(self) -> Date:
        if self.example is not None:
            try:
                dt.datetime.strptime(str(self.example), "%Y-%m-%d")
            except ValueError as error:
                raise ValueError("example should be a day in quotes such as '2020-01-31'") from error
        return self


AnyAttribute = Annotated[Number | Ordered | Category | Flag | Date, Field(discriminator="kind")]


def is_numeric(attribute: AnyAttribute) -> bool:
    """Return whether tables and requests have an attribute's values as numbers."""
    return isinstance(attribute, Number) or (isinstance(attribute, Ordered) and bool(attribute.cuts))
