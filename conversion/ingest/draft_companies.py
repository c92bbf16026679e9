"""What the columns of company tables are, for the draft of a contract: days, value, shown, attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from conversion.config.contract_types import MAX_ATTRIBUTES, MAX_LEVELS
from conversion.config.data_contract import TAKEN
from conversion.ingest.advice import is_date_for_range
from conversion.ingest.draft_columns import Column, begins, is_refused_date, note_on_dates, words
from conversion.ingest.draft_levels import ordered_ranges, ordered_words, yes_and_no
from conversion.ingest.draft_roles import looks_like_id

ENDED: Final = ("cancel", "churn", "terminat", "unsubscri", "deactivat", "end", "expir", "lost")
CONVERTED: Final = (
    "paid",
    "convert",
    "conversion",
    "pay",
    "subscri",
    "upgrad",
    "purchas",
    "won",
    "customer",
    "clos",
)
SIGNED_UP: Final = (
    "sign",
    "creat",
    "regist",
    "join",
    "onboard",
    "install",
    "start",
    "since",
    "first",
    "open",
)
NO_ROLE: Final = ("trial", "last", "updat", "modif", "next", "birth", "login", "renew", "due", "export")
VALUE: Final = ("mrr", "arr", "acv", "revenue", "amount", "price", "spend", "value", "fee")
"""Beginnings of words in names of columns, the surest first."""
PERSONAL: Final = {
    *("owner", "email", "mail", "phone", "mobile", "contact", "rep", "csm", "manager", "seller"),
    *("address", "street", "linkedin", "twitter", "firstname", "lastname"),
}
NAMING: Final = {
    "name",
    "domain",
    "website",
    "web",
    "url",
    "homepage",
    "site",
    "host",
    "title",
    "companyname",
}
CODES: Final = {"zip", "postal", "postcode", "zipcode", "phone", "fax", "vat", "iban", "code", "lat", "lon"}
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|(https?://)?([\w-]+\.)+[a-z]{2,}(/\S*)?", re.IGNORECASE)
LONG_TEXT: Final = 60
LEAST_ROWS: Final = 10
"""Rows from which on shares of them say something."""


@dataclass(frozen=True)
class Guess:
    """What a column is taken for, and why."""

    column: str
    why: str


@dataclass
class CompanyDraft:
    """The guesses about the columns of company tables."""

    signed_up: Guess | None = None
    converted: Guess | None = None
    ended: Guess | None = None
    value: Guess | None = None
    shown: list[Guess] = field(default_factory=list)
    attributes: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    """By column, the keys of the attribute, and why."""
    dropped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_converted(name: str, column: Column) -> bool:
    """Return whether a column is the date of conversions by its name, and some companies have it."""
    return column.kind == "date" and _role_of(name)[0] == "converted" and 0 < column.filled < 1


def draft_companies(columns: dict[str, Column], paying: NDArray[np.bool_] | None = None) -> CompanyDraft:
    """Guess what each column is.

    Parameters
    ----------
    columns
        Those of all company tables one below the other, without the id.
    paying
        Which companies have converted, if a table of subscriptions says so; None: their columns do.
    """
    draft = CompanyDraft()
    for name, column in columns.items():
        # The day of the conversion is not on the list, so it may have the name of a column there.
        if name in TAKEN and not (paying is None and is_converted(name, column)):
            draft.dropped[name] = "the project has a column of this name; rename it in the export"
    columns = {name: column for name, column in columns.items() if name not in draft.dropped}
    dates = {name: column for name, column in columns.items() if column.kind == "date"}
    _place_dates(dates, draft, subscribed=paying is not None)
    conversions = columns[draft.converted.column].present if draft.converted else paying
    if paying is None:
        _place_value(columns, conversions, draft)
    _place_age(dates, conversions, draft)
    _place_other_dates(dates, conversions, draft)
    placed = {g.column for g in (draft.signed_up, draft.converted, draft.ended, draft.value) if g is not None}
    for name, column in columns.items():
        if name in placed or name in draft.dropped or name in draft.attributes:
            continue
        _note_style(column, draft)
        _place(column, conversions, draft)
    return draft


def _place_dates(dates: dict[str, Column], draft: CompanyDraft, *, subscribed: bool) -> None:
    named: dict[str, list[tuple[int, str]]] = {"ended": [], "converted": [], "signed_up": []}
    unnamed = []
    for name in dates:
        role, place = _role_of(name)
        if role in named:
            named[role].append((place, name))
        elif role is None:
            unnamed.append(name)
    partly = [name for _, name in sorted(named["converted"]) if dates[name].filled < 1 and not subscribed]
    draft.converted = _by_name(partly)
    if draft.converted:
        later = [name for name in partly[1:] if "clos" in name.casefold()]
        draft.ended = _by_name([name for _, name in sorted(named["ended"])] or later)
    draft.signed_up = _by_name([name for _, name in sorted(named["signed_up"])])
    if not subscribed:
        _place_by_order(dates, unnamed, draft)
    _check_order(dates, draft)


def _place_age(dates: dict[str, Column], conversions: Any, draft: CompanyDraft) -> None:
    """Make the day of signing up an attribute too, unless it is empty or tells who has converted."""
    if draft.signed_up is None:
        return
    name = draft.signed_up.column
    if not (why_dropped(dates[name]) or _leak(dates[name], conversions)):
        why = (
            "the day of signing up again: the feature is the company's age in days; delete it if accounts "
            "have the day on which they were moved from another system"
        )
        keys = {"kind": "date", "say": "sign-up", "sentence": "They signed up {value}"}
        draft.attributes[name] = keys, why


def _place_other_dates(dates: dict[str, Column], conversions: Any, draft: CompanyDraft) -> None:
    """Make dates attributes if neither their names nor who has them tie them to conversions."""
    taken = {guess.column for guess in (draft.signed_up, draft.converted, draft.ended) if guess}
    for name, column in dates.items():
        if name in taken:
            continue
        if _role_of(name)[0] is not None or is_refused_date(column):
            draft.dropped[name] = "a date that is neither signed_up, converted nor ended by its name"
        elif why := why_dropped(column) or _leak(column, conversions):
            draft.dropped[name] = why
        elif conversions is None or len(draft.attributes) == MAX_ATTRIBUTES:
            draft.dropped[name] = "a date that is neither signed_up, converted nor ended by its name"
        else:
            why = "a date; the feature is its age in days; delete it if it is filled in or changed later"
            draft.attributes[name] = {"kind": "date"}, why
            if column.style:
                draft.notes.append(note_on_dates(column))


def _role_of(name: str) -> tuple[str | None, int]:
    if begins(name, NO_ROLE) is not None:
        return "none", 0
    for role, hints in (("ended", ENDED), ("converted", CONVERTED), ("signed_up", SIGNED_UP)):
        if (place := begins(name, hints)) is not None:
            return role, place
    return None, 0


def _by_name(names: list[str]) -> Guess | None:
    if not names:
        return None
    others = f"; or {', '.join(names[1:])}" if names[1:] else ""
    return Guess(names[0], f"a date with such a name{others}")


def _place_by_order(dates: dict[str, Column], names: list[str], draft: CompanyDraft) -> None:
    """Place dates whose names say nothing: by how many companies have them, and by what follows what."""
    everywhere = [name for name in names if dates[name].filled >= 0.95]
    partly = sorted((name for name in names if 0 < dates[name].filled < 0.95), key=lambda n: -dates[n].rows)
    if draft.converted is None and partly:
        why = "the date that some companies have and others not; its name says nothing: check it"
        draft.converted = Guess(partly.pop(0), why)
        if draft.ended is None and partly and follows(dates[partly[0]], dates[draft.converted.column]):
            draft.ended = Guess(partly[0], "a date on or after that of the conversion: check it")
    if draft.signed_up is not None or draft.converted is None or len(everywhere) != 1:
        return
    if follows(dates[draft.converted.column], dates[everywhere[0]]):
        draft.signed_up = Guess(everywhere[0], "each company has it, and conversions come after it")


def follows(later: Column, earlier: Column) -> bool:
    """Return whether one date is on or after the other wherever both are known."""
    both = later.present & earlier.present
    return bool(both.any()) and _share_in_order(later, earlier) >= 0.95


def _share_in_order(later: Column, earlier: Column) -> float:
    both = later.present & earlier.present
    days = [column.values[both].astype("datetime64[D]") for column in (earlier, later)]
    return float((days[0] <= days[1]).mean()) if both.any() else 1.0


def _check_order(dates: dict[str, Column], draft: CompanyDraft) -> None:
    steps = (
        (draft.signed_up, draft.converted),
        (draft.converted, draft.ended),
    )
    for before, after in steps:
        if before is None or after is None:
            continue
        share = _share_in_order(dates[after.column], dates[before.column])
        if share < 0.95:
            draft.notes.append(
                f"{after.column} is before {before.column} in {1 - share:.0%} of the companies that have "
                "both: check what they mean"
            )
    for guess in (draft.signed_up, draft.converted, draft.ended):
        if guess and dates[guess.column].style:
            draft.notes.append(note_on_dates(dates[guess.column]))


def _place_value(columns: dict[str, Column], conversions: Any, draft: CompanyDraft) -> None:
    found = []
    for name, column in columns.items():
        place = begins(name, VALUE)
        if place is None or not column.is_number or len(column.levels) < 2:
            continue
        if conversions is not None and (~conversions).any():
            others = np.nan_to_num(column.values[~conversions]) > 0
            if others.mean() > 0.5:  # a company's own revenue, say
                continue
        found.append((place, name))
    names = [name for _, name in sorted(found)]
    if not names:
        return
    yearly = "" if begins(names[0], ("mrr",)) is not None else "; should be an amount a month"
    others = f"; or {', '.join(names[1:])}" if names[1:] else ""
    draft.value = Guess(names[0], f"a number with such a name{yearly}{others}")
    _note_style(columns[names[0]], draft)
    for name in names[1:]:
        draft.dropped[name] = f"an amount of customers, as {names[0]} is: known once they have converted"


def _note_style(column: Column, draft: CompanyDraft) -> None:
    if column.style:
        draft.notes.append(f"{column.name}: {column.kind} values {column.style}, which load may refuse")


def _place(column: Column, conversions: Any, draft: CompanyDraft) -> None:
    """Put one column among the attributes, what is shown, or what is left out."""
    name = column.name
    if why := _why_shown(column):
        draft.shown.append(Guess(name, why))
        return
    why_not = why_dropped(column) or _leak(column, conversions)
    if why_not:
        draft.dropped[name] = why_not
        return
    if len(draft.attributes) == MAX_ATTRIBUTES:
        draft.dropped[name] = f"a contract has at most {MAX_ATTRIBUTES} attributes, these come first"
        return
    draft.attributes[name] = attribute_keys(column, draft.notes)


def _why_shown(column: Column) -> str:
    found = set(words(column.name))
    if column.kind != "text" or _special(column) is not None:
        return ""
    if found & PERSONAL:
        return "names or addresses by the column's name"
    addresses = sum(map(bool, map(_ADDRESS.fullmatch, column.levels[:200])))
    if addresses > min(len(column.levels), 200) / 2:
        return "addresses or domains"
    long = float(np.mean([len(level) for level in column.levels[:1000]])) > LONG_TEXT
    if long or looks_like_id(column.name) >= 2:
        return ""
    if found & NAMING and (column.uniqueness > 0.2 or len(column.levels) > 50):
        return "names by the column's name"
    if column.uniqueness > 0.5 and len(column.levels) > 2:
        return f"text that differs in {column.uniqueness:.0%} of the rows that have it"
    return ""


def _special(column: Column) -> tuple[str, ...] | None:
    return yes_and_no(column.levels) or ordered_ranges(column.levels) or ordered_words(column.levels)


def why_dropped(column: Column) -> str:
    """Return why a column is nothing that features or reps can use; an empty text if it may be."""
    found = set(words(column.name))
    if column.kind == "empty":
        return "it has no values"
    if is_refused_date(column):
        return "a date"
    if looks_like_id(column.name) >= 2 or (found & CODES and len(column.levels) > 2):
        return "an id or code: it says nothing of how a company uses the product"
    if len(column.levels) == 1:
        return "it has one value"
    if column.kind == "text" and len(column.levels) > MAX_LEVELS:
        return f"text with {len(column.levels):,} different values; add it to shown if reps need it"
    if column.kind == "text" and max(map(len, column.levels)) > 200:
        return "long text; add it to shown if reps need it"
    return ""


def _leak(column: Column, conversions: Any) -> str:
    """Say where a column tells who has converted: it was captured after the conversion."""
    if conversions is None or min(conversions.sum(), (~conversions).sum()) < LEAST_ROWS:
        return ""
    filled = [float(column.present[group].mean()) for group in (conversions, ~conversions)]
    if min(filled) <= 0.01 and max(filled) >= 0.2:
        who = "that have converted" if filled[0] > filled[1] else "that have not converted"
        return f"only companies {who} have it: a feature of it would look ahead"
    smaller = min(int(conversions.sum()), int((~conversions).sum()))
    for codes in _splits(column):
        table = np.zeros((codes.max() + 1, 2), dtype=np.int64)
        np.add.at(table, (codes, conversions.astype(np.int64)), 1)
        if table.min(axis=1).sum() <= 0.02 * smaller:
            return (
                "it separates companies that have converted from the others: captured after the conversion?"
            )
    return ""


def _splits(column: Column) -> Iterator[Any]:
    if len(column.levels) <= 50:
        yield column.codes + 1
    if column.is_number:
        yield (np.nan_to_num(column.values) > 0).astype(np.int64)


def attribute_keys(column: Column, notes: list[str]) -> tuple[dict[str, Any], str]:
    """Return the keys of an attribute, and why it is taken for one of its kind."""
    pair = yes_and_no(column.levels)
    if pair:
        default = pair[0].casefold() in ("true", "yes", "1") and pair[1].casefold() in ("false", "no", "0")
        said = {} if default else {"yes": [pair[0]], "no": [pair[1]]}
        return {"kind": "flag", **said}, "two values, yes and no"
    if column.is_number:
        return _number(column, notes)
    ordered = ordered_ranges(column.levels)
    known = ordered or ordered_words(column.levels)
    if known:
        _note_missing_words(column, notes)
        how = "ranges by their lower bounds" if ordered else "words of a known order"
        return (
            {"kind": "ordered", "levels": list(known)},
            f"{how}; add levels that the tables do not have yet; or kind: category",
        )
    if any(is_date_for_range(level) for level in column.levels):
        notes.append(f"{column.name}: a spreadsheet seems to have made dates of ranges; export it again")
    keys: dict[str, Any] = {"kind": "category"}
    if column.missing_words:
        keys["says_nothing"] = list(column.missing_words)
    return keys, f"{len(column.levels)} different texts; or ordered, with levels from lowest to highest"


def _note_missing_words(column: Column, notes: list[str]) -> None:
    if column.missing_words:
        notes.append(f"{column.name}: leave the cell empty instead of {', '.join(column.missing_words)}")


def _number(column: Column, notes: list[str]) -> tuple[dict[str, Any], str]:
    values = column.values[~np.isnan(column.values)]
    keys: dict[str, Any] = {"kind": "number"}
    why = "numbers"
    if column.kind == "whole":
        keys["whole"] = True
    _note_missing_words(column, notes)
    least = float(values.min())
    top = float(values.max())
    share = float((values == top).mean())
    stands_for = len(column.levels) >= 50 and share >= 0.05 and top > 0
    rest = values[values < top] if stands_for else values
    if least > 0:
        keys["minimum"] = 1 if column.kind == "whole" else float(f"1e{Decimal(float(least)).adjusted()}")
        middle, high = np.quantile(rest, [0.5, 0.99])
        if high >= 10 * middle or float(rest.max()) >= 10_000 * least or "rank" in words(column.name):
            keys["log"] = True
            why += " with a long tail or ranks, so log"
    elif least == 0:
        keys["minimum"] = 0
    if stands_for:
        keys["not_applicable"] = int(top) if column.kind == "whole" else top
        why += (
            f"; {share:.0%} have the largest one, which may stand for not applicable: delete that key if not"
        )
    return keys, why
