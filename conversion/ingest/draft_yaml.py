"""The text of a drafted contract: YAML with a comment at each guess."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from conversion.config.attribute_kinds import AnyAttribute, Number
from conversion.config.attribute_names import encoded_names, missing_name, slug
from conversion.config.data_contract import RESERVED, TOTALS
from conversion.config.usage_names import is_usage_name
from conversion.data.subscriptions import MADE_TYPES
from conversion.ingest.draft_companies import CompanyDraft
from conversion.ingest.draft_extras import Extras, SubscriptionDraft
from conversion.ingest.draft_roles import Roles
from conversion.ingest.draft_usage import UsageDraft

WIDTH: Final = 110
PLACEHOLDER: Final = "PUT_THE_COLUMN_HERE"
PLACEHOLDER_TABLE: Final = "PUT_THE_TABLE_HERE"
"""For what is required and could not be told: the draft is a contract, and `load` names it as missing."""
MAX_SLUG: Final = 60
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Final = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
HEADER: Final = (
    "A draft of a data contract, guessed from the first rows of the tables. Read each comment, correct the "
    "guess where it is wrong, then delete the comment. docs/how-to/own_export.md explains the next steps."
)
_ATTRIBUTE: TypeAdapter[AnyAttribute] = TypeAdapter(AnyAttribute)


def one_line(text: str) -> str:
    """Return a text on one line, without characters that cannot be printed."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def scalar(value: object) -> str:
    """Write a value as YAML on one line.

    Examples
    --------
    >>> scalar("MRR"), scalar("it's: a #1"), scalar("no"), scalar(True), scalar(None)
    ('MRR', "'it''s: a #1'", "'no'", 'true', 'null')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS:
        return value
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return yaml.safe_dump(value, default_style='"', width=10**6).strip()


def inline(value: object) -> str:
    """Write a value, list or mapping in YAML's short form."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return scalar(value)


def comment(text: str, indent: int = 0) -> list[str]:
    """Write a comment in lines that are not too long."""
    start = " " * indent + "# "
    lines = textwrap.wrap(one_line(text), WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False)
    return [start + line for line in lines]


def contract_text(
    roles: Roles,
    converted_in: Mapping[str, str],
    ids: tuple[str, str],
    companies: CompanyDraft,
    usage: UsageDraft | None,
    extras: Extras,
) -> str:
    """Write the contract file.

    Parameters
    ----------
    roles
        The tables.
    converted_in
        By company table, whether all, some or none of its companies have converted.
    ids
        The kind of ids, and why.
    companies, usage
        The guesses; usage None where no such table was found.
    extras
        The guesses about other tables.
    """
    lines = [
        *comment(HEADER),
        "companies:",
        *_tables(roles, converted_in, ids),
        *_roles(companies, extras.subscriptions),
        *_attributes(companies, extras, roles),
        *_dropped(companies.dropped, 2),
        "usage:",
        *_usage(roles, usage),
    ]
    return "\n".join(lines) + "\n"


def _tables(roles: Roles, converted_in: Mapping[str, str], ids: tuple[str, str]) -> Iterator[str]:
    yield from comment("One row a company. all, some or none of a table's companies have converted.", 2)
    for name, why in roles.others.items():
        yield from comment(f"{name} is not used: {why}.", 2)
    yield f"  tables: {inline(dict(converted_in))}"
    joins = f", and joins the table to {roles.usage}" if roles.usage else ""
    yield from comment(f"It differs in (almost) every row{joins}.", 2)
    yield f"  id: {scalar(roles.company_id)}"
    yield from comment(f"{_sentence(ids[1])}.", 2)
    yield f"  ids: {ids[0]}"


def _roles(draft: CompanyDraft, subscriptions: SubscriptionDraft | None) -> Iterator[str]:
    nothing = "No column looks like it. null: not recorded"
    for key, meaning, guess in (
        ("signed_up", "Day of signing up", draft.signed_up),
        (
            "converted",
            "Day of the first payment, missing for companies that have not converted",
            draft.converted,
        ),
        ("ended", "Day the subscription ended", draft.ended),
        ("value", "Monthly revenue of a customer", draft.value),
    ):
        if subscriptions is not None and key != "signed_up":
            continue
        missing = "No column looks like it: put its name here" if key == "converted" else nothing
        yield from comment(f"{meaning}. {_sentence(guess.why) if guess else missing}.", 2)
        yield f"  {key}: {scalar(guess.column if guess else PLACEHOLDER if key == 'converted' else None)}"
    if subscriptions is not None:
        yield from _subscriptions(subscriptions)
    yield from comment("Carried through to the list for reps, never a feature.", 2)
    for guess in draft.shown:
        yield from comment(f"{guess.column}: {guess.why}.", 2)
    yield f"  shown: {inline([guess.column for guess in draft.shown])}"


def _subscriptions(draft: SubscriptionDraft) -> Iterator[str]:
    yield from comment(
        "Any number a company; the start of a paid one is a conversion. The columns are guessed by name.",
        2,
    )
    yield "  subscriptions:"
    yield f"    table: {scalar(draft.table)}"
    yield f"    id: {scalar(draft.id)}"
    yield f"    start: {scalar(draft.start)}  # should be the day of the first payment"
    null = "no such column" if draft.is_log else "ends are not recorded"
    yield f"    end: {scalar(draft.end)}  # missing where it has not ended; null: {null}"
    yield f"    value: {scalar(draft.value)}  # should be an amount a month"
    if draft.is_log:
        yield from comment(
            "A company's next row ends one, as in a log of changes of plan. end: none does.", 4
        )
        yield "    until: next_row"
    yield from comment("Rows that are trials and not paid, by column.", 4)
    yield f"    trials: {inline(draft.trials)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _attributes(draft: CompanyDraft, extras: Extras, roles: Roles) -> Iterator[str]:
    yield from comment(
        "What features are made of. Delete what may have been filled in after the conversion.", 2
    )
    attributes = {**draft.attributes, **extras.attributes()}
    if not attributes:
        yield "  attributes: {}"
        return
    yield "  attributes:"
    guesses = (draft.signed_up, draft.converted, draft.ended, draft.value, *draft.shown)
    columns = {roles.company_id, *attributes, *(guess.column for guess in guesses if guess is not None)}
    names = _FeatureNames({*columns, *MADE_TYPES, *RESERVED})
    for column, (keys, why) in attributes.items():
        yield from comment(f"{_sentence(why)}.", 4)
        yield f"    {scalar(column)}: {inline({**keys, **names.own(column, keys)})}"


class _FeatureNames:
    """Gives features names of their own where those that follow from the columns would not do."""

    def __init__(self, columns: set[str]) -> None:
        self.columns = columns
        self.taken: set[str] = set()

    def own(self, column: str, keys: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that name an attribute's features; none where the usual names will do."""
        attribute = _ATTRIBUTE.validate_python(keys)
        usual = {*encoded_names(column, attribute), missing_name(column, attribute), slug(column)}
        fits = re.fullmatch(r"[a-z][a-z0-9_]*", slug(column)) and len(slug(column)) <= MAX_SLUG
        of_usage = any(is_usage_name(name) or name in TOTALS for name in usual)
        clash = of_usage or usual & self.taken or (usual - {column}) & self.columns
        if fits and not slug(column).startswith("x_") and not clash:
            self.taken |= usual
            return {}
        plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
        base = slug(plain)[:MAX_SLUG].strip("_") if re.search("[A-Za-z]", plain) else "attribute"
        number, name = 1, base
        while {name, f"{name}_encoded", f"{name}_missing", f"{name}_not_applicable"} & (
            self.taken | self.columns | {*TOTALS}
        ) or is_usage_name(name):
            number += 1
            name = f"{base}_{number}"
        self.taken |= {name, f"{name}_missing", f"{name}_not_applicable"}
        return _named(name, column, isinstance(attribute, Number) and attribute.not_applicable is not None)


def _named(name: str, column: str, with_flag: bool) -> dict[str, Any]:
    title = one_line(column)[:150]
    named: dict[str, Any] = {"feature": {"name": name, "description": title}}
    if with_flag:
        named["flag"] = {"name": f"{name}_not_applicable", "description": f"{title} is not applicable"}
    return named | {"missing": {"name": f"{name}_missing", "description": f"{title} is missing"}}


def _grain(draft: UsageDraft) -> Iterator[str]:
    if draft.of == "week":
        return
    yield f"  grain: {draft.of}  # what a row is: a company's week, its day, or one event"
    yield from comment("The zone that times without one are in; weeks begin on Monday 00:00 in it.", 2)
    yield "  time_zone: UTC"
    for key, guess in (("event", draft.event), ("user", draft.user), ("event_id", draft.event_id)):
        if guess is not None:
            yield from comment(f"{_sentence(guess.why)}.", 2)
            yield f"  {key}: {scalar(guess.column)}"
    yield from comment("Rows left out, as those of bots or of your own staff, by column.", 2)
    yield f"  exclude: {inline(draft.exclude)}"


def _dropped(dropped: Mapping[str, str], indent: int) -> Iterator[str]:
    if dropped:
        yield from comment("Columns left out:", indent)
    for name, why in dropped.items():
        yield from comment(f"- {name}: {why}", indent)


def _usage(roles: Roles, draft: UsageDraft | None) -> Iterator[str]:
    if draft is None or roles.usage is None or roles.usage_id is None:
        yield from comment("No table with several rows a company, a date and counts was found.", 2)
        yield f"  table: {PLACEHOLDER_TABLE}"
        yield f"  id: {scalar(roles.company_id)}"
        yield f"  time: {PLACEHOLDER}"
        yield f"  modules: {{product: {{actions: {PLACEHOLDER}_TOO}}}}"
        return
    yield from comment("The table with several rows a company, a date and counts.", 2)
    yield f"  table: {scalar(roles.usage)}"
    yield f"  id: {scalar(roles.usage_id)}"
    yield from comment(f"{_sentence(draft.time.why)}; {draft.grain}.", 2)
    yield f"  time: {scalar(draft.time.column)}"
    yield from _grain(draft)
    if draft.week_starts != "monday":
        yield f"  week_starts: {draft.week_starts}"
    yield from comment("Parts of the product. Add say: for what reps call one.", 2)
    if not draft.modules:
        yield f"  modules: {{product: {{actions: {PLACEHOLDER}}}}}"
    else:
        yield "  modules:"
    for name, module in draft.modules.items():
        columns = {"actions": module.actions, "users": module.users, "events": list(module.events)}
        keys = {key: each for key, each in columns.items() if each}
        yield f"    {scalar(name)}: {inline(keys)}  # {module.why}"
    if draft.measures:
        yield from comment("Numbers beside the counts, of which the last one of a week counts.", 2)
        yield "  measures:"
    for name, column in draft.measures.items():
        yield f"    {scalar(name)}: {inline({'column': column, 'combine': 'last'})}  # a level by its name"
    yield from _dropped(draft.dropped, 2)
