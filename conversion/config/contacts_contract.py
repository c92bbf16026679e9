"""What a data contract says of contacts with companies, and of objections to being contacted."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from conversion.config.contract_types import MAX_LEVELS, Column, TableName, Word
from conversion.config.param_types import Section, as_tuple

Meaning = Literal["talking", "refused", "reached", "missed"]
MEANINGS: Final[tuple[str, ...]] = get_args(Meaning)
Words = Annotated[tuple[Word, ...], BeforeValidator(as_tuple), Field(max_length=MAX_LEVELS)]
TEAM_CONTACTS: Final = "team_contacts"
"""The weekly measure that a contract has if contacts are a feature."""
TEAM_CONTACTS_MEASURE: Final[dict[str, Any]] = {
    "column": TEAM_CONTACTS,
    "combine": "sum",
    "say": "contacts by your team",
    "sentence": "Contacted by your team, times: {value}",
    "unit": "",
    "direction": 0,
}


class Outcomes(Section):
    """What the words in the column of outcomes mean; any case."""

    talking: Words = Field(default=(), description="the talk goes on: a meeting, a demo, a promise to reply")
    refused: Words = Field(default=(), description="they said no")
    reached: Words = Field(default=(), description="somebody answered, and nothing follows from it")
    missed: Words = Field(default=(), description="nobody answered: voicemail, no answer, wrong number")

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Outcomes:
        words = [word.strip().casefold() for meaning in MEANINGS for word in getattr(self, meaning)]
        if not words:
            raise ValueError("none of the words is given; list each outcome of the table under its meaning")
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"{', '.join(twice)} is there twice (case counts for nothing); list it once")
        return self

    def meanings(self) -> dict[str, str]:
        """Return the meaning of each word, which is in small letters."""
        return {word.strip().casefold(): each for each in MEANINGS for word in getattr(self, each)}


class Contacts(Section):
    """A table of contacts: one row each time that the team called or wrote to a company."""

    table: TableName = Field(description="name of the table")
    id: Column = Field(description="column that identifies the company")
    when: Column = Field(description="day of the contact")
    who: Column | None = Field(default=None, description="rep who made the contact; null: not recorded")
    channel: Column | None = Field(default=None, description="phone, email, ...; null: not recorded")
    outcome: Column = Field(description="what came of it; missing: counts as missed")
    reason: Column | None = Field(default=None, description="why they refused; null: not recorded")
    outcomes: Outcomes = Field(description="what the words in outcome mean")
    feature: bool = Field(
        default=False,
        description="also learn from the contacts of each week, as a measure of usage called "
        f"{TEAM_CONTACTS}; a probability then depends on how you call",
    )


class Objections(Section):
    """A table of companies that object to being contacted: never on a list."""

    table: TableName = Field(description="name of the table")
    id: Column = Field(description="column that identifies the company")


def with_team_contacts(contract: Any) -> Any:
    """Return the raw keys of a contract with the measure that contacts become where they are a feature."""
    if not isinstance(contract, dict):
        return contract
    contacts, usage = contract.get("contacts"), contract.get("usage")
    if not isinstance(contacts, dict) or contacts.get("feature") is not True or not isinstance(usage, dict):
        return contract
    measures = usage.get("measures") or {}
    if not isinstance(measures, dict):
        return contract
    # A resolved contract has it already.
    if measures.get(TEAM_CONTACTS, TEAM_CONTACTS_MEASURE) != TEAM_CONTACTS_MEASURE:
        raise ValueError(
            f"usage.measures.{TEAM_CONTACTS}: contacts.feature makes a measure of this name; name yours "
            "otherwise"
        )
    measures = {**measures, TEAM_CONTACTS: TEAM_CONTACTS_MEASURE}
    return {**contract, "usage": {**usage, "measures": measures}}
