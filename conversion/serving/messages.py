"""The messages of the HTTP API: what clients send and what they get, as pydantic models and nothing else.

The routes, the OpenAPI document and BentoML's API methods all take their schemas from here.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from conversion.config.contract import EMPLOYEE_RANGES

MAX_ID: Final = 10**18 - 1
MAX_COUNT: Final = 10**9
MAX_TOTAL: Final = 1e12
MAX_WEEKS: Final = 520
"""Weeks of history that one company may have, and that its rows may reach back."""
MAX_LEADS: Final = 1000
"""Leads on one page."""

MAX_EXACT: Final = 2**53 - 1
"""Whole numbers up to here stay exact when JSON writes them with a point or an exponent."""

# A day, or as exports write it a day with the time 00:00.
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0{1,6})?)?)?", re.ASCII)

Basis = Literal["summary", "history"]
Tier = Literal["very_high", "high", "medium", "low"]
Confidence = Literal["high", "medium", "low"]


def _day_of(value: object) -> object:
    """Read a day, in JSON or in Python; pydantic refuses any other value."""
    if not isinstance(value, str):
        return value
    if not _DAY.fullmatch(value):  # pydantic would read '0' too, as seconds since 1970
        raise ValueError("a day like 2020-04-20, if with a time then 00:00")
    try:
        return dt.date.fromisoformat(value[:10])
    except ValueError:
        return value


def _without_point(value: object) -> object:
    """Read 5.0 as 5; pydantic refuses any value that is not an exact whole number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        return int(value)
    return value


class _Whole:
    """Accepts 5.0 as 5, as JSON Schema does, but not true, "5" or 5.5.

    Only values that are not strict integers reach Python: a large batch has hundreds of thousands of counts.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read the number first, then check the bounds of the annotated integer."""
        readings: list[CoreSchema | tuple[CoreSchema, str]] = [
            core_schema.int_schema(strict=True),
            core_schema.no_info_plain_validator_function(_without_point),
        ]
        first = core_schema.union_schema(readings, mode="left_to_right")
        return core_schema.chain_schema([first, handler(source)])

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the bounded integer; pydantic would describe the first step of the chain."""
        assert schema["type"] == "chain"
        return handler(schema["steps"][-1])


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError("a whole number")
    return value


Day = Annotated[
    dt.date,
    BeforeValidator(_day_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}[T ]00:00(:00(\.0{1,6})?)?$"},
            ]
        }
    ),
]
CompanyId = Annotated[int, Field(ge=-MAX_ID, le=MAX_ID), _Whole()]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT), _Whole()]
Total = Annotated[float, Field(ge=0, le=MAX_TOTAL)]
WholeNumber = Annotated[int, BeforeValidator(_digits)]
"""A number in a query: digits only, fewer forms than Python accepts."""


class Message(BaseModel):
    """What clients send: strictly typed, unknown fields refused by name, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What clients get."""

    model_config = ConfigDict(frozen=True)


class UsageWeek(Message):
    """One company's usage of one week, as a row of ``usage_actions`` has it, without the id."""

    WHEN_TIMESTAMP: Day = Field(
        description="Monday of the week; any other day counts for the week that it lies in"
    )
    ACTIONS_CRM_CONTACTS: Count
    ACTIONS_CRM_COMPANIES: Count
    ACTIONS_CRM_DEALS: Count
    ACTIONS_EMAIL: Count
    USERS_CRM_CONTACTS: Count = Field(description="at most ACTIONS_CRM_CONTACTS")
    USERS_CRM_COMPANIES: Count = Field(description="at most ACTIONS_CRM_COMPANIES")
    USERS_CRM_DEALS: Count = Field(description="at most ACTIONS_CRM_DEALS")
    USERS_EMAIL: Count = Field(description="at most ACTIONS_EMAIL")


class Company(Message):
    """What both kinds of request say about a company.

    Attributes
    ----------
    example
        A request, for the documentation. Not in the schema: `bentoml build` does not know ``examples``.
    """

    example: ClassVar[dict[str, Any]]

    id: CompanyId = Field(description="returned as company_id; never a feature")
    ALEXA_RANK: Annotated[float, Field(gt=0, le=MAX_TOTAL)] | None = Field(
        None, description="rank of the web site; 16000001 is unranked, null is not known"
    )
    EMPLOYEE_RANGE: Literal[EMPLOYEE_RANGES] | None = Field(  # type: ignore[valid-type]
        None, description="number of employees; null is not known"
    )
    INDUSTRY: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="label of either taxonomy; null and labels that are in neither are Unknown"
    )


class Summary(Company):
    """A company with lifetime totals only; a field that is left out or null is unknown."""

    example: ClassVar[dict[str, Any]] = {
        "id": 123,
        "ALEXA_RANK": 50000,
        "EMPLOYEE_RANGE": "26 to 50",
        "INDUSTRY": "COMPUTER_SOFTWARE",
        "total_actions": 150,
        "total_users": 5,
        "days_active": 30,
        "activity_frequency": 5.0,
    }

    total_actions: Total | None = Field(None, description="actions of all weeks and modules")
    total_users: Total | None = Field(None, description="weekly users summed over weeks and modules")
    days_active: Total | None = Field(None, description="last minus first day with a usage row")
    activity_frequency: Total | None = Field(
        None,
        description="usage rows over days_active + 1; there is one row a week, so more than 1 counts as 1",
    )


class History(Company):
    """A company with its weekly usage, from which every feature of the lead list is made."""

    example: ClassVar[dict[str, Any]] = {
        "id": 123,
        "ALEXA_RANK": 50000,
        "EMPLOYEE_RANGE": "26 to 50",
        "INDUSTRY": "COMPUTER_SOFTWARE",
        "as_of": "2020-04-27",
        "usage": [
            {
                "WHEN_TIMESTAMP": "2020-04-20",
                "ACTIONS_CRM_CONTACTS": 42,
                "ACTIONS_CRM_COMPANIES": 7,
                "ACTIONS_CRM_DEALS": 0,
                "ACTIONS_EMAIL": 12,
                "USERS_CRM_CONTACTS": 4,
                "USERS_CRM_COMPANIES": 2,
                "USERS_CRM_DEALS": 0,
                "USERS_EMAIL": 3,
            }
        ],
    }

    usage: list[UsageWeek] = Field(
        max_length=MAX_WEEKS,
        description="all weeks with usage, each at most once, in any order; empty: never used the product",
    )
    as_of: Day | None = Field(
        None,
        description="Monday 00:00 at which to predict, any other day counts for the Monday before it; null: "
        "when the model was trained. Only weeks that are over by then may be given",
    )


def _kind(value: Any) -> Basis:
    if isinstance(value, History) or (isinstance(value, dict) and "usage" in value):
        return "history"
    return "summary"


AnyCompany = Annotated[
    Annotated[Summary, Tag("summary")] | Annotated[History, Tag("history")], Discriminator(_kind)
]


class Companies(Message):
    """Companies to predict; ids may repeat."""

    companies: list[AnyCompany]


def companies_message(max_companies: int) -> type[Companies]:
    """Return `Companies`, limited to ``max_companies`` companies."""
    bounded = (list[AnyCompany], Field(max_length=max_companies))
    return create_model("Companies", __base__=Companies, __doc__=Companies.__doc__, companies=bounded)


class Prediction(Answer):
    """What the model says of one company."""

    company_id: int = Field(description="the id that was sent")
    conversion_probability: float = Field(
        ge=0, le=1, description="calibrated probability that it converts within featurize.horizon_days"
    )
    prediction: Literal[0, 1] = Field(description="1 where the probability is at least the model's threshold")
    confidence: Confidence = Field(
        description="how far the odds are from those of the threshold (serve.confidence in params.yaml); low "
        "where nothing is known of the company"
    )
    tier: Tier = Field(description="by lift over the training prevalence (score.tiers in params.yaml)")
    reasons: list[str] = Field(
        description="the strongest contributions, strongest first; + raises the probability, - lowers it; "
        "where nothing is known of the company, one sentence that says so"
    )
    basis: Basis = Field(description="whether the answer rests on weekly usage or on totals only")
    as_of: dt.date | None = Field(description="moment of the prediction; null for a summary")
    model_version: str = Field(description="first 12 hex digits of the model file's sha256")


class Predictions(Answer):
    """Predictions in the order of the request's companies."""

    predictions: list[Prediction]
    model_version: str


class Lead(Answer):
    """One row of the lead list."""

    rank: int = Field(ge=1)
    id: int
    probability: float = Field(ge=0, le=1)
    tier: Tier
    expected_mrr: float
    ALEXA_RANK: float | None = Field(description="16000001 is unranked, null is not known")
    EMPLOYEE_RANGE: str | None
    INDUSTRY: str | None
    sector: str
    last_active_week: str | None
    last_week_actions: int | None
    last_week_users: int | None
    reasons: list[str]


class Leads(Answer):
    """A page of the lead list."""

    leads: list[Lead]
    total: int = Field(description="leads of the asked tier, or of all")
    limit: int
    offset: int
    as_of: dt.date = Field(description="moment of the list")
    model_version: str = Field(description="of the model that scored the list, as predictions name theirs")


class LeadsQuery(BaseModel):
    """Which page of the lead list to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tier: Tier | None = Field(None, description="only leads of this tier")
    limit: WholeNumber = Field(50, ge=1, le=MAX_LEADS, description="leads on the page at most")
    offset: WholeNumber = Field(0, ge=0, le=MAX_COUNT, description="leads to skip")


class LeadPath(BaseModel):
    """Which lead to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: WholeNumber


class LeadWithUsage(Lead):
    """One lead and its weekly usage, oldest week first."""

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

    field: str = Field(description="which field, like companies[3].usage[0].USERS_EMAIL; empty: the whole")
    given: str = Field(description="what was given, shortened")
    allowed: str = Field(description="what is allowed")


class Error(Answer):
    """Every refusal's body."""

    error: str = Field(description="what is wrong, in one sentence")
    detail: list[Fault] = Field(description="each faulty field; empty where no field is at fault")
