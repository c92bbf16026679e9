"""The page of the model: how good its lists were, beside the rule, and how to read each picture."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from conversion.config.data_contract import Contract
from conversion.pages import record_charts
from conversion.pages.bars import data_table
from conversion.pages.caveats import business_line, caveats, drift_line
from conversion.pages.layout import Site, render
from conversion.pages.track_record import TrackRecord
from conversion.pages.words import count, long_day, percent, percent_interval, plural
from conversion.scorecard.results import ListResult, ScorecardResults


def model_page(
    record: TrackRecord,
    contract: Contract,
    of_served_model: bool,
    site: Site,
    scorecard: ScorecardResults | None = None,
) -> str:
    """Render the page.

    Parameters
    ----------
    record
        What the backtest says.
    contract
        Of the model.
    of_served_model
        Whether the record is of the model that answers now.
    site
        Where the page is.
    scorecard
        What became of the lists that went out; None: not known.
    """
    return render(
        "model.html",
        site,
        record=record,
        of_served_model=of_served_model,
        over_time=[record_charts.over_time(record, place) for place in range(len(record.weeks))],
        charts=record_charts.charts_of(record),
        lists=_lists(record),
        business=business_line(record),
        drift=drift_line(record),
        caveats=caveats(record, contract),
        trained=long_day(record.about.trained_as_of.isoformat()),
        learned=_learned(record),
        scorecard=None if scorecard is None else scorecard.line,
        delivered=None if scorecard is None or not scorecard.lists else _delivered(scorecard.lists),
    )


def _delivered(lists: Sequence[ListResult]) -> Markup:
    """Write a row for each list that went out, the last one first."""
    headers = ["List of", "Called or to call", "Became customers", "Expected", "The rule's", "All prospects"]
    rows = []
    for each in reversed(lists):
        called, rule = each.call_list.delivered, each.call_list.rule
        interval = percent_interval(called.rate.low, called.rate.high)
        rows.append(
            [
                long_day(each.as_of.isoformat()) + (f", delivery {each.number}" if each.number > 1 else ""),
                count(called.companies),
                f"{count(called.conversions)}: {percent(called.rate.value)} ({interval})",
                f"{each.expected:.1f}",
                percent(rule.rate.value),
                percent(each.prospects.rate.value),
            ]
        )
    return data_table("What became of each list, with 95 % intervals", headers, rows)


def _lists(record: TrackRecord) -> str:
    lists, days = record.lists, plural(record.about.horizon_days, "day")
    return (
        f"{plural(lists.count, 'list')} of the past, from {long_day(lists.first.isoformat())} to "
        f"{long_day(lists.last.isoformat())}, each made with nothing but what was known that day. "
        f"{plural(lists.converters, 'company', 'companies')} on them became customers within {days}."
    )


def _learned(record: TrackRecord) -> str:
    about, days = record.about, plural(record.about.horizon_days, "day")
    return (
        f"It learned from {plural(about.snapshots, 'weekly snapshot')} of companies, from "
        f"{long_day(about.first_snapshot.isoformat())} to {long_day(about.last_snapshot.isoformat())}, "
        f"{plural(about.converting_companies, 'company', 'companies')} of which became customers. "
        f"On average {percent(about.base_rate)} of the companies on a list do within {days}."
    )
