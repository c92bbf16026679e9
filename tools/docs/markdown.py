"""Tables and JSON schemas as Markdown."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

BOUNDS: Final = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
KINDS: Final = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
# Of a list that is made from text or a tuple, pydantic says how long it is as of a text.
COUNTS: Final = {
    "minItems": "at least",
    "minLength": "at least",
    "maxItems": "at most",
    "maxLength": "at most",
}


def table(header: list[str], rows: list[list[str]], right: int = 0) -> str:
    """Lay cells out as a Markdown table, the last ``right`` columns to the right."""
    rules = ["---"] * (len(header) - right) + ["--:"] * right
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in (header, rules, *escaped))


def code(value: object) -> str:
    """Show a value as code."""
    return f"`{value}`"


def allowed(schema: Json, date: str = "a day, as `2020-02-24`") -> str:
    """Say in words what a JSON schema allows.

    Parameters
    ----------
    schema
        Of one value.
    date
        What a date is called.

    Examples
    --------
    >>> allowed({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]})
    'whole number, at least 1; or null'
    >>> allowed({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1})
    'list, at least 1 of: `a`, `b`'
    >>> allowed({"type": "array", "items": {"type": "boolean"}, "maxLength": 3})
    'list, at most 3 of: true or false'
    """
    if "anyOf" in schema or "oneOf" in schema:
        return "; or ".join(allowed(each, date) for each in schema.get("anyOf") or schema["oneOf"])
    if "$ref" in schema:
        return _link(schema["$ref"])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if schema.get("type") == "array":
        counts = [f"{word} {schema[name]}" for name, word in COUNTS.items() if name in schema]
        return f"list, {' and '.join(counts)} of: {allowed(schema['items'], date)}".replace(",  of", " of")
    if schema.get("format") == "date":
        return date
    bounds = [f"{word} {_number(schema[name])}" for name, word in BOUNDS.items() if name in schema]
    if "maxLength" in schema:
        bounds.append(f"at most {schema['maxLength']} characters")
    elif schema.get("minLength"):
        bounds.append("not empty")
    if "pattern" in schema:
        bounds.append(f"of the form {code(schema['pattern'])}")
    return ", ".join([KINDS[schema["type"]], *bounds])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and value >= 10_000 else f"{value:g}"


def _link(reference: str) -> str:
    """Link to the heading of a schema's name, as Sphinx and GitHub both make it."""
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})"
