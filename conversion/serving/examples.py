"""Examples of requests for the documentation, made of a data contract."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from conversion.config.attribute_kinds import AnyAttribute, Category, Flag, Number, Ordered
from conversion.config.data_contract import Contract
from conversion.serving.contract_messages import Messages

EXAMPLE_TOTALS: Final = {"total_actions": 150, "total_users": 5, "days_active": 30, "activity_frequency": 5.0}
AS_OF: Final = dt.date(2020, 4, 27)
ACTIONS: Final = (42, 7, 0, 12)
USERS: Final = (4, 2, 0, 3)
MEASURE: Final = 8.5
NUMBER: Final = 100


def summary_example(messages: Messages) -> dict[str, Any]:
    """Return a summary, as JSON has it."""
    return _company(messages.contract) | {name: EXAMPLE_TOTALS[name] for name in messages.totals}


def history_example(messages: Messages) -> dict[str, Any]:
    """Return a history of one week, as JSON has it."""
    contract = messages.contract
    return _company(contract) | {"as_of": AS_OF.isoformat(), "usage": [week_example(contract)]}


def week_example(contract: Contract) -> dict[str, Any]:
    """Return the last week that is over at `AS_OF`, as JSON has it."""
    monday = AS_OF - dt.timedelta(days=7)
    first = monday - dt.timedelta(days=contract.usage.week_starts == "sunday")
    # The modules take turns with the counts, so that none has fewer actions than users.
    turns = {module: place % len(ACTIONS) for place, module in enumerate(contract.usage.modules.values())}
    return {
        contract.usage.time: first.isoformat(),
        **{module.actions: ACTIONS[turn] for module, turn in turns.items()},
        **{module.users: USERS[turn] for module, turn in turns.items() if module.users is not None},
        **{measure.column: MEASURE for measure in contract.usage.measures.values()},
    }


def _company(contract: Contract) -> dict[str, Any]:
    attributes = contract.companies.attributes
    company_id = 123 if contract.companies.ids == "whole" else "123"
    return {"id": company_id} | {column: attribute_example(each) for column, each in attributes.items()}


def attribute_example(attribute: AnyAttribute) -> Any:
    """Return a value of an attribute; None where the contract lists none."""
    if attribute.example is not None:
        return attribute.example
    if isinstance(attribute, Number):
        low, high = attribute.minimum, attribute.maximum
        number = max(NUMBER if high is None else min(high, NUMBER), NUMBER if low is None else low)
        return int(number) if float(number).is_integer() else number
    if isinstance(attribute, Ordered):
        values = attribute.cuts or attribute.levels
        return values[len(values) // 2]
    if isinstance(attribute, Category):
        return next((level for levels in attribute.levels_by_group.values() for level in levels), None)
    return True if isinstance(attribute, Flag) else "2020-01-31"
