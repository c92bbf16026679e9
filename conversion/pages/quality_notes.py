"""What the checks of an export and its cleaning found, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from conversion.config.attribute_names import label
from conversion.config.data_contract import Contract
from conversion.features.words import capitalised
from conversion.pages.track_record import Note
from conversion.pages.words import count, percent, plural

MOSTLY_MISSING: Final = 0.5
"""An attribute that more companies lack than this is worth a warning."""
_NO_VALUE: Final = "whose conversion does not count: its value is 0 or less"
_ORPHAN: Final = "left out: the company is in no company table"
RULES: Final = {
    "duplicate_company": "left out: the company has another row",
    "later_conversion": "of which only the paid time is used: the company had converted before",
    "mrr_not_positive": _NO_VALUE,
    "signed_up_after_as_of": "left out: the company had not signed up yet",
    "converted_before_signed_up": "whose sign-up day is left out: it is after the conversion",
    "ended_before_converted": "whose end is left out: it is before the conversion, or there is none",
    "merged_company": "left out: the company has become another one",
    "stray_week": "left out: the week is far from all others",
    "after_as_of": "left out: the week was not over yet",
    "orphan_usage": _ORPHAN,
    "before_sign_up": "left out: the company had not signed up yet",
    "negative_count": "left out: a count is below 0",
    "actions_below_users": "left out: a module has fewer actions than users",
    "duplicate_week": "left out: the company has another row of the week",
    "starts_after_as_of": "left out: it had not started yet",
    "orphan_subscription": _ORPHAN,
    "trial": "left out: trials that nobody paid for",
    "ended_before_started": "whose end is left out: it is before the start",
    "value_not_positive": _NO_VALUE,
}
"""What became of the rows that break a rule of cleaning, after how many there are."""


def quality_notes(
    profile: Mapping[str, Any], cleaning: Mapping[str, Any], contract: Contract
) -> tuple[Note, ...]:
    """Say what the week's data is like.

    Parameters
    ----------
    profile
        The content of metrics/data_quality.json.
    cleaning
        The content of metrics/cleaning.json.
    contract
        Of the export.

    Returns
    -------
    tuple of Note
        What there is, then what was left out, then what is missing or suspicious.
    """
    return (
        *_kept(cleaning),
        *_left_out(cleaning),
        *_orphans(profile),
        *_missing(profile, contract),
        *_warned(profile, contract),
    )


def _kept(cleaning: Mapping[str, Any]) -> Iterator[Note]:
    companies, usage = cleaning["companies"], cleaning["usage"]
    text = (
        f"{plural(companies['kept'], 'company', 'companies')} and {plural(usage['kept'], 'row')} of usage; "
        f"{plural(companies['conversions'], 'conversion')} known"
    )
    yield _plain(text)


def _left_out(cleaning: Mapping[str, Any]) -> Iterator[Note]:
    for what, part in (
        ("company row", "companies"),
        ("usage row", "usage"),
        ("subscription", "subscriptions"),
    ):
        dropped = cleaning.get(part, {}).get("quarantined", {})
        for rule, rows in dropped.items():
            if rows:
                yield _plain(f"{plural(rows, what)} {RULES[rule]}")
    for attribute, history in cleaning.get("histories", {}).items():
        if rows := sum(history.get("quarantined", {}).values()):
            yield _plain(f"{plural(rows, 'row')} of the history of {attribute} left out")


def _orphans(profile: Mapping[str, Any]) -> Iterator[Note]:
    for key, found in profile.items():
        if key.startswith("orphaned_") and found.get("rows"):
            rows, table = plural(found["rows"], "row"), key.removeprefix("orphaned_").replace("_", " ")
            yield _warning(f"{rows} of {table} belong to no company ({percent(found['share'])})")
    before = profile.get("usage_before_sign_up", {})
    if before.get("rows"):
        yield _plain(f"{plural(before['rows'], 'row')} of usage from before the company signed up")
    merged = profile.get("merged_ids", {})
    if merged.get("into_no_company"):
        yield _warning(f"{count(merged['into_no_company'])} merged ids lead to no company")


def _missing(profile: Mapping[str, Any], contract: Contract) -> Iterator[Note]:
    tables = [profile[name] for name in contract.companies.tables if name in profile]
    for column, attribute in contract.companies.attributes.items():
        having = [table for table in tables if column in table["columns"]]
        rows = sum(table["rows"] for table in having)
        if not rows:
            continue
        missing = sum(table["columns"][column]["missing_share"] * table["rows"] for table in having) / rows
        if missing > 0.0:
            note = _warning if missing > MOSTLY_MISSING else _plain
            name = label(column, attribute)
            yield note(f"{capitalised(name)}: not known of {percent(missing)} of the companies")


def _warned(profile: Mapping[str, Any], contract: Contract) -> Iterator[Note]:
    for key, found in profile.items():
        if key.startswith("unlisted_") and found.get("companies"):
            levels = plural(found["labels"], "label")
            yield _plain(
                f"{plural(found['companies'], 'company', 'companies')} with {levels} that no group of the "
                f"contract lists ({key.removeprefix('unlisted_').replace('_', ' ')})"
            )
    for rule, rows in profile.get("dates_out_of_order", {}).items():
        if rows:
            yield _warning(f"{plural(rows, 'row')} whose dates are out of order: {rule.replace('_', ' ')}")
    before = profile.get("usage_before_conversion", {})
    if before.get("warned"):
        yield _warning(
            f"{percent(before['without'])} of the customers have no usage from before they converted: the "
            "export may lack it"
        )
    yield from _leaks(profile, contract)


def _leaks(profile: Mapping[str, Any], contract: Contract) -> Iterator[Note]:
    for rule, found in profile.get("file_of_origin", {}).items():
        if found.get("warned"):
            columns = f" ({found['columns']})" if "columns" in found else ""
            yield _warning(
                f"{rule.replace('_', ' ')}{columns} tells those in {contract.conversion_tables} from the "
                "others: the way the export was made shows in it"
            )
    for name, found in profile.get("attribute_leaks", {}).items():
        if found.get("warned"):
            yield _warning(
                f"{name} alone tells which companies have converted ({found['found']}): if it was set "
                "because they paid, neither the list nor its track record can be trusted; leave the column "
                "out of the contract, or name a table of its changes as its history"
            )


def _plain(text: str) -> Note:
    return Note(text=text, is_warning=False)


def _warning(text: str) -> Note:
    return Note(text=text, is_warning=True)
