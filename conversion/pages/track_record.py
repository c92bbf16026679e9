"""The track record: what the backtest says of the model, as strict values for the page and the report."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import read_json

PATH: Final = "data/track_record.json"
Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A value of the track record: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Estimate(Record):
    """A measure with its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class About(Record):
    """The model and what it learned from."""

    as_of: dt.date = Field(description="moment of the list")
    model_type: str
    model_sha256: str
    trained_as_of: dt.date
    first_snapshot: dt.date
    last_snapshot: dt.date
    snapshots: int
    converting_companies: int
    base_rate: float = Field(description="share of the training snapshots that converted, weighted")
    horizon_days: int


class Lists(Record):
    """The lists of the backtest."""

    count: int
    first: dt.date
    last: dt.date
    are_weekly: bool
    converters: int = Field(description="companies that converted within the horizon of at least one list")
    prevalence: float = Field(description="share of the lists' rows that converted")


class Ranked(Record):
    """How well one way to order a list did."""

    key: str = Field(description="its column in the backtest")
    name: str
    precision: dict[str, Estimate] = Field(description="by list length")
    recall: dict[str, Estimate] = Field(description="by list length")
    overall: dict[str, Estimate] = Field(description="average_precision and roc_auc")


class Week(Record):
    """The precision of one list, and the mean of the lists around it."""

    precision: float | None
    mean: Estimate = Field(description="of a few lists, this one in the middle")


class Weeks(Record):
    """The precision of each list at one length, beside the rule's."""

    length: int
    days: tuple[dt.date, ...]
    model: tuple[Week, ...]
    rule: tuple[Week, ...] = Field(description="empty where there is no rule")


class Gains(Record):
    """The share of conversions that the first calls of each list reach, by one way to order it."""

    key: str
    name: str
    calls: tuple[int, ...]
    shares: tuple[Estimate, ...]


class Bin(Record):
    """Prospects of similar probability."""

    predicted: Share
    observed: Share
    low: float | None
    high: float | None
    prospects: int
    conversions: int


class Slice(Record):
    """A part of the prospects."""

    name: str
    prospects: int
    conversions: int
    share_of_conversions: float | None
    expected_over_observed: Estimate
    recall: Estimate = Field(description="share of its conversions among the first `recall_length`")


class Tier(Record):
    """What became of a tier."""

    key: str
    prospects: int = Field(description="over all lists")
    conversions: int
    predicted: float | None
    observed: Estimate


class FactWeight(Record):
    """How much a fact moves scores."""

    key: str
    title: str
    part: Literal["activity", "fit"]
    share: Share = Field(description="of all movement")
    direction: str = Field(description="what more of it does, in words")


class Business(Record):
    """Gross figures of calling the first of each list: conversions among those called."""

    calls_a_list: int
    calls: int
    companies_called: int
    conversions_among_called: int
    conversions_not_called: int
    currency: str
    cost: float
    gross_revenue: float | None = Field(description="None: not known")
    value_of_a_conversion: str = Field(description="where the revenue comes from, or why there is none")


class Note(Record):
    """A sentence on the data."""

    text: str
    is_warning: bool


class Moved(Record):
    """How far a fact has moved since training, beyond what time explains."""

    title: str
    index: float
    verdict: Literal["no change", "some change", "shift"]


class Drift(Record):
    """What has changed in the prospects of the week."""

    shifted: int = Field(description="features above the index of a shift")
    facts: tuple[Moved, ...] = Field(description="largest index first")


class TrackRecord(Record):
    """What the page and the report say of the model: data/track_record.json."""

    line: str = Field(description="the record in one sentence")
    about: About
    lists: Lists
    rule: str | None = Field(description="key in `ranked` of the rule to beat; None: there is none")
    lengths: tuple[int, ...] = Field(description="list lengths of precision and recall")
    recall_length: int = Field(description="list length of the slices' recall")
    ranked: tuple[Ranked, ...] = Field(description="the model first")
    weeks: tuple[Weeks, ...] = Field(description="one for each of a few of `lengths`, ascending")
    gains: tuple[Gains, ...]
    bins: tuple[Bin, ...] = Field(description="ascending")
    probability: dict[str, Estimate] = Field(description="log_loss_ratio, ece, expected_over_observed, ...")
    slices: tuple[Slice, ...] = Field(description="all prospects first")
    tiers: tuple[Tier, ...] = Field(description="highest first")
    facts: tuple[FactWeight, ...] = Field(description="largest share first")
    business: Business
    never_seen: dict[str, float | None] = Field(description="what companies that never used the product have")
    quality: tuple[Note, ...]
    drift: Drift

    def ranked_by(self, key: str) -> Ranked | None:
        """Return one way to order lists, None if the backtest does not have it."""
        return next((each for each in self.ranked if each.key == key), None)


def read_track_record(root: Path) -> TrackRecord | None:
    """Read the track record of a project; None if there is none.

    Raises
    ------
    ArtifactError
        The file is not a track record of this version.
    """
    path = root / PATH
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        return TrackRecord.model_validate_json(json.dumps(content))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = [".".join(map(str, fault["loc"]))] if fault["loc"] else []
        raise ArtifactError(
            f"{': '.join((str(path), *where))}: {fault['msg']}; run 'dvc repro report' to write it again"
        ) from error
