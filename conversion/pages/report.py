"""The report: one HTML file with the week's list and how far to believe it, to be mailed or printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names, label
from conversion.config.data_contract import Contract
from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.pages import record_charts
from conversion.pages.caveats import business_line, caveats, drift_line
from conversion.pages.charts import share_bar
from conversion.pages.company_words import attribute_words, given_name
from conversion.pages.layout import embedded_styles, environment
from conversion.pages.track_record import TrackRecord
from conversion.pages.words import count, long_day, money, moved, percent, plural, tier_words, words_of


@dataclass(frozen=True)
class Lead:
    """A company of the list as the report shows it.

    Attributes
    ----------
    rank, name, probability, tier
        In words.
    bar
        Of the probability.
    tier_class
        The end of its CSS class.
    details
        Titles and values of what else is known of the company.
    value
        The expected value; empty: not known.
    moved
        What changed since the last list, or where it was the week before; empty: there was no list.
    rep
        Who calls; empty: nobody in particular.
    reasons, caution, evidence
        Sentences; empty: none.
    """

    rank: str
    name: str
    details: tuple[tuple[str, str], ...]
    probability: str
    bar: Markup
    tier: str
    tier_class: str
    value: str
    moved: str
    rep: str
    reasons: tuple[str, ...]
    caution: str
    evidence: str


def report_html(leads: pd.DataFrame, prospects: int, record: TrackRecord, contract: Contract) -> str:
    """Write the report.

    Parameters
    ----------
    leads
        The first of the list, `conversion.leads.lead_columns.lead_columns`.
    prospects
        All companies on the list.
    record
        Of the model that scored it.
    contract
        Of the export.

    Returns
    -------
    str
        HTML without scripts, and without anything from elsewhere. It is a function of the arguments alone.
    """
    lists, days = record.lists, plural(record.about.horizon_days, "day")
    return (
        environment()
        .get_template("report.html")
        .render(
            styles=embedded_styles(),
            as_of=long_day(record.about.as_of.isoformat()),
            trained=long_day(record.about.trained_as_of.isoformat()),
            prospects=plural(prospects, "prospect"),
            leads=lead_rows(leads, record, contract),
            record=record,
            record_about=(
                f"{plural(lists.count, 'list')} from {long_day(lists.first.isoformat())} to "
                f"{long_day(lists.last.isoformat())}: {plural(lists.converters, 'company', 'companies')} on "
                f"them converted within {days} of a list, {percent(lists.prevalence)} of the rows."
            ),
            business=business_line(record),
            drift=drift_line(record),
            caveats=caveats(record, contract),
            charts={"over_time": record_charts.over_time(record), **record_charts.charts_of(record)},
        )
    )


def lead_rows(leads: pd.DataFrame, record: TrackRecord, contract: Contract) -> list[Lead]:
    """Put leads into words, in the order given."""
    had_list = bool(leads["rank_before"].notna().any())
    rows = leads.astype(object).where(leads.notna(), None).to_dict("records")
    return [
        _lead({str(key): value for key, value in row.items()}, had_list, record, contract) for row in rows
    ]


def _lead(row: Mapping[str, Any], had_list: bool, record: TrackRecord, contract: Contract) -> Lead:
    rank, before, probability = int(row["rank"]), row["rank_before"], float(row["probability"])
    value = row.get("expected_mrr")
    return Lead(
        rank=count(rank),
        name=given_name(row, contract.companies.shown) or f"Company {row['id']}",
        details=tuple(_details(row, contract)),
        probability=percent(probability),
        bar=share_bar(probability),
        tier=tier_words(row["tier"]),
        tier_class=str(row["tier"]).replace("_", "-"),
        value="" if value is None else money(value, record.business.currency),
        moved=_moved(rank, before, row.get("moved")) if had_list else "",
        rep=row.get("rep") or "",
        reasons=tuple(str(row[name]) for name in REASON_COLUMNS if row[name] is not None),
        caution=row["caution"] or "",
        evidence=row["evidence"] or "",
    )


def _moved(rank: int, before: Any, sentence: str | None) -> str:
    if sentence:
        return f"{sentence}."
    text = moved(rank, None if before is None else int(before))
    return f"Since last week: {text}."


def _details(row: Mapping[str, Any], contract: Contract) -> list[tuple[str, str]]:
    companies = contract.companies
    found: list[tuple[str, str | None]] = [("Id", str(row["id"]))] if companies.shown else []
    found += [(words_of(name), str(row[name])) for name in companies.shown[1:] if row[name] is not None]
    for column, attribute in companies.attributes.items():
        value = row[column]
        if value is not None and isinstance(attribute, Category) and attribute.groups is not None:
            value = row[encoded_names(column, attribute)[0]]
        found.append((words_of(label(column, attribute)), attribute_words(value, attribute)))
    return [(title, text) for title, text in found if text]
