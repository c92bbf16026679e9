"""The page of the model: how good its lists were, beside the rule, and how to read each picture."""

from __future__ import annotations

from conversion.config.data_contract import Contract
from conversion.pages import record_charts
from conversion.pages.caveats import business_line, caveats, drift_line
from conversion.pages.layout import Site, render
from conversion.pages.track_record import TrackRecord
from conversion.pages.words import long_day, percent, plural


def model_page(record: TrackRecord, contract: Contract, of_served_model: bool, site: Site) -> str:
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
    )


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
