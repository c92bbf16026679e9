"""The scorecard as strict values, for the page and for machines: ``data/scorecard/scorecard.json``."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import read_json
from conversion.runtime.validation import first_fault
from conversion.scorecard.contacts import CalledOrNot, Override, Reach

FOLDER: Final = "data/scorecard"
PATH: Final = f"{FOLDER}/scorecard.json"


class Result(BaseModel):
    """A value of the scorecard: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Estimate(Result):
    """A number with its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Converted(Result):
    """How many companies converted within the horizon of a list."""

    companies: int = Field(ge=0, description="whose outcome is known, counted once a list")
    conversions: int = Field(ge=0)
    rate: Estimate


class AtLength(Result):
    """The first of the delivered list, and the first of the rule's, of the same companies."""

    length: int = Field(ge=1)
    delivered: Converted
    rule: Converted


class LeftOut(Result):
    """Companies of the call list whose outcome is not known: in no share that converted."""

    not_in_export: int = Field(ge=0, description="the newest export no longer has them")
    no_prospect: int = Field(
        ge=0, description="it says that they paid already, or their conversion is faulty"
    )


class Earlier(Result):
    """A delivery that a later one of the same day corrected."""

    number: int = Field(ge=1)
    call_list: Converted


class ListResult(Result):
    """What became of one delivered list."""

    as_of: dt.date
    number: int = Field(ge=1, description="of the delivery that counts: the last one of its day")
    reason: str | None = Field(description="why it corrected the one before; None: it is the first")
    earlier: tuple[Earlier, ...]
    prospects: Converted = Field(description="all of them: the base rate")
    call_list: AtLength
    lengths: tuple[AtLength, ...]
    expected: float = Field(description="sum of the probabilities of the call list")
    left_out: LeftOut
    held_back: int = Field(ge=0)
    explored: int = Field(ge=0)


class Part(Result):
    """The companies of one tier, rep or reason over all lists."""

    name: str = Field(description="the tier, the rep, or the key of the fact")
    title: str = Field(description="for people")
    converted: Converted
    expected: float


class Overall(Result):
    """All lists whose horizon is over, together; intervals by resampling companies."""

    lists: int = Field(ge=1)
    first: dt.date
    last: dt.date
    companies: int = Field(ge=0, description="different ones on the call lists")
    converters: int = Field(ge=0, description="different ones of them that converted")
    prospects: Converted
    call_list: AtLength
    lengths: tuple[AtLength, ...]
    above_rule: Estimate = Field(description="rate of the call lists minus that of the rule's")
    expected: float
    observed_over_expected: Estimate = Field(description="conversions of the call lists over those expected")
    left_out: LeftOut


class Trend(Result):
    """The earlier half of the lists and the later one."""

    earlier_lists: int = Field(ge=1)
    later_lists: int = Field(ge=1)
    earlier: float
    later: float
    change: Estimate


class Group(Result):
    """Companies of an experiment."""

    companies: int = Field(ge=0)
    conversions: int = Field(ge=0)
    rate: Estimate = Field(description="weighted by the probability of being in the group")
    called: float | None = Field(description="share that a contact names; None: no contacts")


class Contrast(Result):
    """Two groups, and how much more of the first one converts."""

    first: Group
    second: Group
    difference: Estimate


class Effect(Result):
    """What calling adds, and what a report without a control group would have said."""

    estimand: str
    offered: Contrast | None = Field(description="offered for a call, and held back; None: no control group")
    per_call: Estimate | None = Field(description="of a call, from that of the offer and who was called")
    naive: Contrast | None = Field(description="called, and not called; None: no contacts")
    naive_excess: float | None = Field(description="naive difference minus the effect of a call")
    explored: Contrast | None = Field(description="explorers, and who could have been; None: no explorers")


class Contacts(Result):
    """Who was called, of the lists whose week is over."""

    reach: Reach
    overrides: tuple[Override, ...] = Field(description="by tier, the best first")
    called_or_not: CalledOrNot


class Power(Result):
    """How small an effect is seen with 80 % power, and how long that takes."""

    calls: int
    fresh: float = Field(description="companies a week that stood on no list before")
    base_rate: float = Field(description="that convert within the horizon of their first list")
    seen_on: int = Field(description="lists that this is known from")
    shares: tuple[float, ...] = Field(description="held back: the columns of both tables")
    weeks: tuple[int, ...]
    smallest_effect: tuple[tuple[float | None, ...], ...] = Field(description="by weeks, then by share")
    effects: tuple[float, ...]
    weeks_needed: tuple[tuple[int | None, ...], ...] = Field(description="by effect, then by share")


class Waiting(Result):
    """A delivered list whose horizon is not over."""

    as_of: dt.date
    number: int = Field(ge=1)
    mature_on: dt.date


class ScorecardResults(Result):
    """What became of the delivered lists."""

    line: str = Field(description="the scorecard in one sentence")
    as_of: dt.date = Field(description="of the newest export, which it was read from")
    horizon_days: int | None = Field(description="of the last list; None: none was delivered")
    lists: tuple[ListResult, ...] = Field(description="whose horizon is over, in order")
    waiting: tuple[Waiting, ...]
    forgotten: int = Field(ge=0, description="places of companies that were removed on request")
    overall: Overall | None = Field(description="None: no list's horizon is over")
    tiers: tuple[Part, ...] = Field(description="of all prospects that were not held back")
    reps: tuple[Part, ...] = Field(description="of the call lists")
    reasons: tuple[Part, ...] = Field(description="of the call lists, by the fact of the first reason")
    trend: Trend | None = Field(description="None: fewer than four lists")
    contacts: Contacts | None = Field(description="None: nobody was contacted, or it is not recorded")
    effect: Effect
    power: Power | None = Field(description="None: fewer than two lists, or no outcome is known")


def read_scorecard(root: Path) -> ScorecardResults | None:
    """Read the scorecard of a project; None if there is none.

    Raises
    ------
    ArtifactError
        The file is not a scorecard of this version.
    """
    path = root / PATH
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        return ScorecardResults.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise ArtifactError(
            f"{path}: {first_fault(error)}; run 'python -m commands.scorecard' to write it again"
        ) from error
