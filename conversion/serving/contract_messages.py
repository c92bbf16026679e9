"""The messages of a data contract: the models of companies, usage weeks and leads, made of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, Discriminator, Field, Tag, TypeAdapter, create_model

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number, Ordered, is_numeric
from conversion.config.attribute_names import flag_name, label
from conversion.config.data_contract import TOTALS, Contract
from conversion.leads.lead_columns import REASON_COLUMNS, lead_columns
from conversion.serving.message_types import (
    MAX_MEASURE,
    MAX_TEXT,
    MAX_TOTAL,
    MAX_WEEKS,
    Count,
    Day,
    TextId,
    Total,
    WholeId,
    WholeNumber,
)
from conversion.serving.messages import (
    Basis,
    Companies,
    History,
    Lead,
    LeadPath,
    Leads,
    LeadWithUsage,
    Prediction,
    Predictions,
    Summary,
    Tier,
    UsageWeek,
)

Base = TypeVar("Base", bound=BaseModel)
Definition = tuple[Any, Any]
"""Type and default of a field, as `pydantic.create_model` takes them."""

LEAD_TYPES: Final[dict[str, Any]] = {
    "rank": Annotated[int, Field(ge=1)],
    "probability": Annotated[float, Field(ge=0, le=1)],
    "tier": Tier,
    "expected_mrr": float,
    "probability_before": Annotated[
        float | None,
        Field(
            description="of the list that went out before; if none did, of the same model a week before; "
            "null: it was no prospect"
        ),
    ],
    "rank_before": Annotated[int | None, Field(description="on that list")],
    "rep": Annotated[str | None, Field(description="who calls it; null: nobody in particular")],
    "moved": Annotated[
        str | None,
        Field(
            description="a sentence on what changed since the list that went out before; null: there is "
            "nothing to say"
        ),
    ],
    "fit": Annotated[float, Field(description="what its attributes add to the log-odds before calibration")],
    "activity": Annotated[float, Field(description="what its usage adds to them")],
    "last_active_week": str | None,
    "last_week_actions": int | None,
    "last_week_users": int | None,
    "caution": Annotated[str | None, Field(description="a sentence on what lowers the probability")],
    "evidence": Annotated[
        str, Field(description="what became of companies that the backtest scored like this")
    ],
}
UNKNOWN: Final = "null is not known"


@dataclass(frozen=True)
class Messages:
    """The models of the messages that a data contract has.

    Attributes
    ----------
    contract
        They are of.
    names
        By column of companies and usage, the attribute of the models; their JSON has the column itself.
    usage_week, summary, history
        What clients send.
    company
        Reads a summary or a history.
    prediction, predictions, lead, leads, lead_with_usage
        What clients get.
    lead_path
        The id in a path.
    """

    contract: Contract
    names: Mapping[str, str]
    usage_week: type[UsageWeek]
    summary: type[Summary]
    history: type[History]
    company: TypeAdapter[Summary | History]
    prediction: type[Prediction]
    predictions: type[Predictions]
    lead: type[Lead]
    leads: type[Leads]
    lead_with_usage: type[LeadWithUsage]
    lead_path: type[LeadPath]

    @property
    def totals(self) -> tuple[str, ...]:
        """Names of a summary's totals."""
        return tuple(_totals(self.contract))

    def companies(self, max_companies: int) -> type[Companies]:
        """Make the model of a batch, limited to ``max_companies`` companies."""
        bounded = (list[self._any_company()], Field(max_length=max_companies))  # type: ignore[misc]
        return _made(Companies, {"companies": bounded})

    def _any_company(self) -> Any:
        return _any_company(self.summary, self.history)


def build_messages(contract: Contract) -> Messages:
    """Make the models of a contract's messages; the service does so once, when it starts."""
    names = _python_names(contract)
    company_id = WholeId if contract.companies.ids == "whole" else TextId
    plain_id = int if contract.companies.ids == "whole" else str
    company = {"id": (company_id, Field(description="returned as company_id; never a feature"))} | {
        names[column]: _attribute(column, attribute, names[column])
        for column, attribute in contract.companies.attributes.items()
    }
    usage_week = _made(UsageWeek, _week(contract, names), _week_doc(contract))
    summary = _made(Summary, company | _totals(contract))
    history = _made(History, company | _usage(usage_week))
    prediction = _made(Prediction, {"company_id": (plain_id, Field(description="the id that was sent"))})
    lead = _made(Lead, _lead(contract, names, plain_id))
    return Messages(
        contract=contract,
        names=names,
        usage_week=usage_week,
        summary=summary,
        history=history,
        company=TypeAdapter(_any_company(summary, history)),
        prediction=prediction,
        predictions=_made(Predictions, {"predictions": (list[prediction], ...)}),  # type: ignore[valid-type]
        lead=lead,
        leads=_made(Leads, {"leads": (list[lead], ...)}),  # type: ignore[valid-type]
        lead_with_usage=_with_usage(lead, usage_week),
        lead_path=_made(LeadPath, {"id": (WholeNumber if plain_id is int else TextId, ...)}),
    )


def _made(base: type[Base], fields: Mapping[str, Definition], doc: str | None = None) -> type[Base]:
    """Make a model of a base, of the same name and, unless another is given, with the same docstring."""
    given: dict[str, Any] = dict(fields)
    return create_model(base.__name__, __base__=base, __doc__=doc or base.__doc__, **given)


def _with_usage(lead: type[Lead], usage_week: type[UsageWeek]) -> type[LeadWithUsage]:
    # The lead's fields come first: pydantic collects those of the last base first.
    return create_model(
        LeadWithUsage.__name__,
        __base__=(LeadWithUsage, lead),  # type: ignore[arg-type]  # a base of its own
        __doc__=LeadWithUsage.__doc__,
        usage=(list[usage_week], ...),  # type: ignore[valid-type]
    )


def _kind(value: Any) -> Basis:
    if isinstance(value, History) or (isinstance(value, dict) and "usage" in value):
        return "history"
    return "summary"


def _any_company(summary: Any, history: Any) -> Any:
    either = Annotated[summary, Tag("summary")] | Annotated[history, Tag("history")]
    return Annotated[either, Discriminator(_kind)]


# Names


def _usage_columns(contract: Contract) -> tuple[str, ...]:
    measures = (measure.column for measure in contract.usage.measures.values())
    return (contract.usage.time, *contract.counts, *measures)


def _python_names(contract: Contract) -> dict[str, str]:
    """Name a model's attribute for each column: the column, where Python and pydantic can call one so."""
    columns = dict.fromkeys(
        (*lead_columns(contract), "rep", "moved", *contract.companies.attributes, *_usage_columns(contract))
    )
    plain = {
        column: column.isidentifier()
        and not column.startswith(("_", "model_"))
        and not hasattr(BaseModel, column)
        for column in columns
    }
    free = (name for place in range(len(columns) * 2) if (name := f"column_{place}") not in columns)
    return {column: column if plain[column] else next(free) for column in columns}


def _field(column: str, name: str, default: Any = ..., **more: Any) -> Any:
    """Make a field that JSON calls as the column."""
    return Field(default, **more) if name == column else Field(default, alias=column, **more)


# Companies


def _attribute(column: str, attribute: AnyAttribute, name: str) -> Definition:
    """Define the field of an attribute: what is right for its kind, or null."""
    return attribute_type(attribute) | None, _field(column, name, None, description=_said(column, attribute))


def attribute_type(attribute: AnyAttribute) -> Any:
    """Return the type of an attribute's values in requests."""
    if isinstance(attribute, Number):
        return Annotated[float, Field(**_bounds(attribute))]
    if isinstance(attribute, Ordered):
        if attribute.cuts:
            return Annotated[float, Field(ge=-MAX_TOTAL, le=MAX_TOTAL)]
        return Literal[attribute.levels]
    if isinstance(attribute, Flag):
        return bool
    if isinstance(attribute, Date):
        return Day
    return Annotated[str, Field(max_length=MAX_TEXT)]


def _bounds(number: Number) -> dict[str, Any]:
    """Return the bounds of a number; what stands for not applicable may be above them.

    Of a logarithm only 0 is the bound: fractions and values below the least of the export mean something.
    """
    low = -MAX_TOTAL if number.minimum is None else number.minimum
    high = MAX_TOTAL if number.maximum is None or number.not_applicable is not None else number.maximum
    return ({"gt": 0} if number.log else {"ge": low}) | {"le": high}


def _said(column: str, attribute: AnyAttribute) -> str:
    """Describe the field of an attribute."""
    said = label(column, attribute)
    if attribute.description is not None:
        return attribute.description
    if isinstance(attribute, Category):
        return f"{said}; null is {attribute.unknown}"
    if isinstance(attribute, Number) and attribute.not_applicable is not None:
        return f"{said}; {not_applicable_said(column, attribute)}"
    return f"{said}; {UNKNOWN}"


def not_applicable_said(column: str, number: Number) -> str:
    """Describe the values that are no numbers."""
    assert number.not_applicable is not None
    name = "not applicable" if number.flag is None else flag_name(column, number).replace("_", " ")
    return f"{number.not_applicable:.15g} is {name}, {UNKNOWN}"


def _totals(contract: Contract) -> dict[str, Definition]:
    names = [name for name in TOTALS if name != "total_users" or contract.users]
    return {name: (Total | None, Field(None, description=TOTALS[name])) for name in names}


def _usage(usage_week: type[UsageWeek]) -> dict[str, Definition]:
    weeks = Field(
        max_length=MAX_WEEKS,
        description="all weeks with usage, each at most once, in any order; empty: never used the product",
    )
    as_of = Field(
        None,
        description="Monday 00:00 at which to predict, any other day counts for the Monday before it; null: "
        "when the model was trained. Only weeks that are over by then may be given",
    )
    return {"usage": (list[usage_week], weeks), "as_of": (Day | None, as_of)}  # type: ignore[valid-type]


def _week(contract: Contract, names: Mapping[str, str]) -> dict[str, Definition]:
    """Define a week's fields: its first day, the counts of actions, of users, and other measures."""
    usage = contract.usage
    first = f"{usage.week_starts.title()} of the week; any other day counts for the week that it lies in"
    fields: dict[str, Definition] = {
        names[usage.time]: (Day, _field(usage.time, names[usage.time], description=first))
    }
    for column in contract.actions:
        fields[names[column]] = (Count, _field(column, names[column]))
    for module in usage.modules.values():
        if (users := module.users) is not None:
            most = f"at most {module.actions}"
            fields[names[users]] = (Count, _field(users, names[users], description=most))
    for name, measure in usage.measures.items():
        unit = f", in {measure.unit}" if measure.unit else ""
        said = f"{label(name, measure)}{unit}; {UNKNOWN}"
        number = Annotated[float, Field(ge=-MAX_MEASURE, le=MAX_MEASURE)] | None
        column = measure.column
        fields[names[column]] = (number, _field(column, names[column], None, description=said))
    return fields


def _week_doc(contract: Contract) -> str:
    """Describe a week: as a row of the usage table, or made of its rows."""
    usage = contract.usage
    rows = {
        "week": f"as a row of ``{usage.table}`` has it",
        "day": f"the sums of its days in ``{usage.table}``",
        "event": f"counted from its events in ``{usage.table}``",
    }[usage.grain]
    return f"One company's usage of one week, {rows}, without the id."


# Leads


def _lead(contract: Contract, names: Mapping[str, str], plain_id: type) -> dict[str, Definition]:
    """Define a lead's fields, in the order of `lead_columns`; the reasons are one list."""
    attributes = contract.companies.attributes
    types: dict[str, Definition] = {name: (each, ...) for name, each in LEAD_TYPES.items()}
    types["id"] = (plain_id, ...)
    types |= {column: (str | None, _field(column, names[column])) for column in contract.companies.shown}
    types |= {column: _listed(column, each, names[column]) for column, each in attributes.items()}
    types |= {column: (str, _field(column, names[column])) for column in contract.group_columns}
    types["reasons"] = (list[str], ...)
    listed = (*lead_columns(contract), "rep", "moved")
    columns = dict.fromkeys("reasons" if column in REASON_COLUMNS else column for column in listed)
    return {names.get(column, column): types[column] for column in columns}


def _listed(column: str, attribute: AnyAttribute, name: str) -> Definition:
    """Define the field of an attribute in a lead: as the export has it, or null."""
    if isinstance(attribute, Number) and attribute.not_applicable is not None:
        return float | None, _field(column, name, description=not_applicable_said(column, attribute))
    if is_numeric(attribute):
        return float | None, _field(column, name)
    return (bool if isinstance(attribute, Flag) else str) | None, _field(column, name)
