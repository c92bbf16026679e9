"""What to say of the attributes of a company, by their kinds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Final

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number, Ordered
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.features.facts import attribute_fact
from conversion.features.statements import Sentence
from conversion.features.words import (
    amount,
    capitalised,
    days_ago,
    filled,
    is_plural,
    number,
    plain,
    singular,
    spoken,
)

Values = list[float]
Template = Callable[[Values], Sentence]
_MOST_IN_WORDS: Final = 12


def attribute_templates(contract: Contract, levels: Levels, own: Levels) -> dict[str, Template]:
    """Return what writes the sentence of each fact of an attribute, from the encoded columns of all.

    Parameters
    ----------
    contract
        Says what reps call the attributes.
    levels
        By category, its levels in the order of their codes.
    own
        By category, the levels that the model tells apart; the others are its ``other`` level.
    """
    templates: dict[str, Template] = {}
    place = 0
    for column, attribute in contract.companies.attributes.items():
        said, known = spoken(column, attribute.say), levels.get(column, ())
        about = attribute_fact(column)
        texts = _texts(attribute, said, known, own.get(column, known))
        templates[about] = partial(_sentence, place, texts, (about,), _unknown(attribute, said))
        if isinstance(attribute, Number) and attribute.not_applicable is not None:
            templates[about] = partial(
                _with_flag, templates[about], place + 1, (about,), _not_applicable(attribute, said)
            )
        place += len(encoded_names(column, attribute))
    return templates


def _sentence(
    place: int,
    text_of: Callable[[float], str | None],
    says: tuple[object, ...],
    unknown: str,
    attributes: Values,
) -> Sentence:
    value = attributes[place]
    text = None if math.isnan(value) else text_of(value)
    # What nobody knows is no reason to call.
    return Sentence(unknown, "bad", says) if text is None else Sentence(_safe(text), "neutral", says)


def _with_flag(
    otherwise: Template, place: int, says: tuple[object, ...], text: str, attributes: Values
) -> Sentence:
    return Sentence(text, "neutral", says) if attributes[place] == 1.0 else otherwise(attributes)


def _not_applicable(attribute: Number, said: str) -> str:
    if attribute.flag is None:
        return f"Their {said} {'do' if is_plural(said) else 'does'} not apply"
    return _safe(capitalised(plain(attribute.flag.description, 80)))


def _unknown(attribute: AnyAttribute, said: str) -> str:
    if isinstance(attribute, Flag):
        return f"It is not known whether they are marked as '{said}'"
    if isinstance(attribute, Date):
        return f"Their record has no day for '{said}'"
    if isinstance(attribute, Number | Ordered) and is_plural(said):
        return f"Their number of {said} is not known"
    return f"{_begun(attribute, said)} not known"


def _begun(attribute: AnyAttribute, said: str) -> str:
    """Begin the sentence of a level; where a column's name seems to be of several things, for any noun."""
    if not is_plural(said):
        return f"Their {said} is"
    # It may be of another language, such as Pays. What the contract says is English.
    return f"{capitalised(said)}:" if attribute.say is None else f"Their {said} are"


def _safe(text: str) -> str:
    """Keep a contract's word from the start where spreadsheets would read a formula."""
    return text if text[:1].isalnum() else f"Their record says {text}"


# The kinds


def _texts(
    attribute: AnyAttribute, said: str, levels: tuple[str, ...], own: tuple[str, ...]
) -> Callable[[float], str | None]:
    """Return what writes what a value means; None where it is not known."""
    if isinstance(attribute, Flag):
        yes = attribute.sentence or f"They are marked as '{said}'"
        no = attribute.sentence_no or f"They are not marked as '{said}'"
        return lambda value: yes if value else no
    given = None if attribute.sentence is None else filled(attribute.sentence)
    if isinstance(attribute, Number):
        return _of_number(attribute, said, given)
    if isinstance(attribute, Date):
        since = given or (lambda ago: f"{capitalised(said)} {ago}")
        return lambda days: since(days_ago(days))
    texts = _of_levels(attribute, said, given, levels, own)
    return lambda value: texts[int(value)]


def _of_levels(
    attribute: Ordered | Category,
    said: str,
    given: Callable[[str], str] | None,
    levels: tuple[str, ...],
    own: tuple[str, ...],
) -> list[str | None]:
    """List the sentences of levels by their code; an ordered attribute's codes begin with 1."""
    if isinstance(attribute, Ordered):
        return [None, *((given or partial(_with_level, said))(plain(level)) for level in attribute.levels)]
    begun = _begun(attribute, said)
    state = given or (lambda level: f"{begun} {level}")
    texts: list[str | None] = []
    for level in levels:
        if level == attribute.unknown:
            texts.append(None)
        elif level in own and level != attribute.other:
            texts.append(state(plain(level)))
        else:
            texts.append(f"{begun} one that few companies have")
    return texts


def _with_level(said: str, level: str) -> str:
    if not is_plural(said):
        return f"Their {said} is {level}"
    if level == "1":
        return f"They have one {singular(said)}"
    if not level[:1].isdigit():
        return f"Their number of {said} is {level}"
    level = re.sub(r"(?<![\d.,])\d{4,}(?![\d.,])", lambda digits: f"{int(digits[0]):,}", level)
    named = said.rpartition(" ")[2].casefold() in level.casefold()
    return f"They have {level}" if named else f"They have {level} {said}"


def _of_number(attribute: Number, said: str, given: Callable[[str], str] | None) -> Callable[[float], str]:
    write = _amounts(attribute)
    if given is not None:
        return lambda value: given(write(value))
    if not is_plural(said):
        return lambda value: f"Their {said} is {write(value)}"

    def have(value: float) -> str:
        if not 0 <= value <= _MOST_IN_WORDS or value != round(value):
            return f"They have {write(value)} {said}"
        return f"They have {number(value) if value else 'no'} {singular(said) if value == 1 else said}"

    return have


def _amounts(attribute: Number) -> Callable[[float], str]:
    """Return what writes a number, with the decimals that the contract asks for.

    Nobody says more than two digits of a number that is about right.
    """
    decimals = attribute.decimals
    most = (0 if attribute.whole else 6) if decimals is None else decimals

    def write(value: float) -> str:
        if most >= 0:
            return amount(round(value, most))
        digits = len(f"{abs(value):.0f}")
        return f"about {round(value, max(min(most, 2 - digits), 1 - digits)):,.0f}"

    return write
