"""The messages of the HTTP API: what clients send and what they get, as pydantic models and nothing else.

The routes, the OpenAPI document and BentoML's API methods all take their schemas from here. What depends on
the data contract is a base here, and `conversion.serving.contract_messages` makes the model of it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from conversion.pages.list_query import MAX_SEARCH, SORTS
from conversion.serving.message_types import MAX_COUNT, Answer, Message, WholeNumber

MAX_LEADS: Final = 1000
"""Leads on one page."""

Basis = Literal["summary", "history"]
Tier = Literal["very_high", "high", "medium", "low"]
Confidence = Literal["high", "medium", "low"]


class UsageWeek(Message):
    """One company's usage of one week: its first day, counts by module, and other measures."""


class Company(Message):
    """What both kinds of request say about a company: its id, and its attributes."""

    if TYPE_CHECKING:
        id: int | str


class Summary(Company):
    """A company with lifetime totals only; a field that is left out or null is unknown."""


class History(Company):
    """A company with its weekly usage, from which every feature of the lead list is made."""

    if TYPE_CHECKING:
        usage: list[UsageWeek]
        as_of: dt.date | None


class Companies(Message):
    """Companies to predict; ids may repeat."""

    if TYPE_CHECKING:
        companies: list[Summary | History]


class Prediction(Answer):
    """What the model says of one company."""

    company_id: int | str = Field(description="the id that was sent")
    conversion_probability: float = Field(
        ge=0, le=1, description="calibrated probability that it converts within featurize.horizon_days"
    )
    prediction: Literal[0, 1] = Field(description="1 where the probability is at least the model's threshold")
    confidence: Confidence = Field(
        description="how far the odds are from those of the threshold (serve.confidence in params.yaml); low "
        "where nothing is known of the company"
    )
    tier: Tier = Field(
        description="where the probability would place it on the served list; without a list, by "
        "score.tiers.probability in params.yaml"
    )
    reasons: list[str] = Field(
        description="at most three sentences on what raises the probability, what tells the company apart "
        "first; where nothing is known of the company, one sentence that says so"
    )
    caution: str | None = Field(description="a sentence on what lowers it; null: nothing does, or is known")
    evidence: str | None = Field(
        description="what became of companies that the backtest scored like this; null without a lead list, "
        "or where nothing is known of the company"
    )
    fit: float = Field(description="what the company's attributes add to the log-odds before calibration")
    activity: float = Field(description="what its usage adds to them")
    basis: Basis = Field(description="whether the answer rests on weekly usage or on totals only")
    as_of: dt.date | None = Field(description="moment of the prediction; null for a summary")
    model_version: str = Field(description="first 12 hex digits of the model file's sha256")


class Predictions(Answer):
    """Predictions in the order of the request's companies."""

    predictions: list[Prediction]
    model_version: str


class Lead(Answer):
    """One row of the lead list."""

    if TYPE_CHECKING:
        id: int | str
        reasons: list[str]


class Leads(Answer):
    """A page of the lead list."""

    leads: list[Lead]
    total: int = Field(description="leads that the query asks for, on all pages")
    limit: int
    offset: int
    as_of: dt.date = Field(description="moment of the list")
    model_version: str = Field(description="of the model that scored the list, as predictions name theirs")


class LeadsQuery(BaseModel):
    """Which page of the lead list to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = Field(
        "",
        max_length=MAX_SEARCH,
        description="words that the id or a shown column must have, in any case",
    )
    tier: Tier | None = Field(None, description="only leads of this tier")
    sort: str = Field(
        "rank",
        description="the order: value by expected value, rose and fell by how much the probability changed "
        "since the list before; only where the list has these; empty: rank",
        json_schema_extra={"enum": ["", *SORTS]},  # empty, as forms send it: by rank
    )
    limit: WholeNumber = Field(50, ge=1, le=MAX_LEADS, description="leads on the page at most")
    offset: WholeNumber = Field(0, ge=0, le=MAX_COUNT, description="leads to skip")


class LeadPath(BaseModel):
    """Which lead to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    if TYPE_CHECKING:
        id: int | str


class LeadWithUsage(Lead):
    """One lead and its weekly usage, oldest week first."""

    if TYPE_CHECKING:
        usage: list[UsageWeek]


class RegisteredModel(Answer):
    """A version of a registered model."""

    name: str = Field(description="registry.model_name in params.yaml")
    version: str
    aliases: list[str] = Field(description="such as champion, when the model was last promoted")


class ServedList(Answer):
    """The lead list that is served."""

    as_of: dt.date = Field(description="moment of the list")
    model_version: str = Field(description="of the model that scored it")
    of_served_model: bool = Field(
        description="false: another model scored the list than the one that predicts; they may differ"
    )
    delivery: int | None = Field(
        description="which delivery of this as_of it is, above 1 for a correction; null: it was not delivered"
    )
    loaded: dt.datetime = Field(description="when this worker read it")


class Health(Answer):
    """State of the service."""

    status: Literal["ok"]
    model_loaded: bool
    model_version: str
    trained_as_of: dt.date
    model_type: str
    registered_model: RegisteredModel | None = Field(
        description="which registered version the served model file is; null: it is none"
    )
    lead_list: ServedList | None = Field(description="null: there is none")


class Fault(Answer):
    """One thing that is wrong with a request."""

    field: str = Field(description="which field, like companies[3].usage[0].actions; empty: the whole")
    given: str = Field(description="what was given, shortened")
    allowed: str = Field(description="what is allowed")


class Error(Answer):
    """Every refusal's body."""

    error: str = Field(description="what is wrong, in one sentence")
    detail: list[Fault] = Field(description="each faulty field; empty where no field is at fault")
