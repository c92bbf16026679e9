"""Markdown: tables, measures with intervals, JSON schemas in words, and the generated blocks of a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]

BLOCK: Final = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.DOTALL
)
LEAST: Final = "at least"
MOST: Final = "at most"
BOUNDS: Final = {"minimum": LEAST, "exclusiveMinimum": "above", "maximum": MOST, "exclusiveMaximum": "below"}
KINDS: Final = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
# pydantic describes the length of a list that is made from text or a tuple as that of a text.
COUNTS: Final = {"minItems": LEAST, "minLength": LEAST, "maxItems": MOST, "maxLength": MOST}


def fill(
    page: str, name: str, makers: Mapping[str, Callable[[], str]], unavailable: tuple[type[Exception], ...]
) -> tuple[str, list[Exception]]:
    """Return a page with its generated blocks made again, and the errors of the blocks that stay as they are.

    Parameters
    ----------
    page, name
        The Markdown, and what messages call it.
    makers
        What makes each block, by its name; a block that nothing makes ends the program.
    unavailable
        The errors that mean that what a block is made from does not exist.
    """
    errors: list[Exception] = []

    def body(match: re.Match[str]) -> str:
        if match["name"] not in makers:
            raise SystemExit(f"{name}: unknown block {match['name']}; known: {', '.join(makers)}")
        try:
            return f"{match['begin']}{makers[match['name']]()}{match['end']}"
        except unavailable as error:
            errors.append(error)
            return match[0]

    return BLOCK.sub(body, page), errors


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> str:
    """Return cells as a Markdown table, the last ``right`` columns aligned to the right."""
    rules = ["---"] * (len(header) - right) + ["--:"] * right
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in (header, rules, *escaped))


def code(value: object) -> str:
    """Return a value as code."""
    return f"`{value}`"


def interval(measure: Mapping[str, float | None] | None, key: str = "value", form: str = "{:.3f}") -> str:
    """Return a measure with its interval, if it has one, or a dash where there is no value.

    Parameters
    ----------
    measure
        The value, ``low`` and ``high``.
    key
        The key of the value.
    form
        How each number is written.

    Examples
    --------
    >>> interval({"value": 0.25, "low": 0.2, "high": 0.3})
    '0.250 (0.200 to 0.300)'
    >>> interval({"value": 0.25, "low": None, "high": None}), interval(None)
    ('0.250', '-')
    """
    if measure is None or measure[key] is None:
        return "-"
    value, low, high = (
        "" if each is None else form.format(each) for each in map(measure.get, (key, "low", "high"))
    )
    return f"{value} ({low} to {high})" if low and high else value


def allowed(schema: Json, date: str = "a day, as `2020-02-24`") -> str:
    """Describe in words what a JSON schema of one value allows; ``date`` describes a date.

    Examples
    --------
    >>> allowed({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]})
    'whole number, at least 1; or null'
    >>> allowed({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1})
    'list, at least 1 of: `a`, `b`'
    >>> allowed({"type": "array", "items": {"type": "boolean"}, "maxLength": 3})
    'list, at most 3 of: true or false'
    >>> allowed({"type": "object", "maxProperties": 9, "additionalProperties": {"type": "integer"}})
    'section of names, at most 9, each: whole number'
    """
    if "anyOf" in schema or "oneOf" in schema:
        return "; or ".join(allowed(each, date) for each in schema.get("anyOf") or schema["oneOf"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if schema.get("type") == "array":
        counts = [f"{word} {schema[name]}" for name, word in COUNTS.items() if name in schema]
        return f"list, {' and '.join(counts)} of: {allowed(schema['items'], date)}".replace(",  of", " of")
    if schema.get("format") == "date":
        return date
    if "additionalProperties" in schema or "patternProperties" in schema:
        return _section_of(schema, date)
    return ", ".join([KINDS[schema["type"]], *_bounds(schema)])


def _section_of(schema: Json, date: str) -> str:
    """Describe an object whose keys are names of the user's."""
    values = [schema["additionalProperties"]] if schema.get("additionalProperties") else []
    values += schema.get("patternProperties", {}).values()
    least, most = (schema.get(f"{bound}Properties") for bound in ("min", "max"))
    counts = [f"{word} {count}" for word, count in ((LEAST, least), (MOST, most)) if count]
    names = "section of names" + (f", {' and '.join(counts)}" if counts else "")
    return f"{names}, each: {'; or '.join(allowed(each, date) for each in values)}"


def _bounds(schema: Json) -> list[str]:
    bounds = [f"{word} {_number(schema[name])}" for name, word in BOUNDS.items() if name in schema]
    if "maxLength" in schema:
        bounds.append(f"at most {schema['maxLength']} characters")
    elif schema.get("minLength"):
        bounds.append("not empty")
    if "pattern" in schema:
        bounds.append(f"of the form {code(schema['pattern'])}")
    return bounds


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and value >= 10_000 else f"{value:g}"
