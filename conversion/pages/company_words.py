"""What companies are called, and the values of their attributes, as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conversion.config.attribute_kinds import AnyAttribute, Number
from conversion.pages.words import count


def given_name(row: Mapping[str, Any], shown: Sequence[str]) -> str | None:
    """Return the first shown column of a company; None: there is none, or it is blank.

    Examples
    --------
    >>> given_name({"id": 7, "name": "Zoo"}, ["name"]), given_name({"id": 7, "name": "  "}, ["name"])
    ('Zoo', None)
    """
    name = row[shown[0]] if shown else None
    return None if name is None or not str(name).strip() else str(name)


def attribute_words(value: Any, attribute: AnyAttribute) -> str | None:
    """Write the value of an attribute; None: it is not known, or does not apply."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    beyond = attribute.not_applicable if isinstance(attribute, Number) else None
    if beyond is not None and value >= beyond:
        return None
    return count(value) if float(value).is_integer() else f"{value:,.15g}"
