"""All clean tables of an export at once, and the count of what each cleaning rule caught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import (
    MERGED,
    CurrentIds,
    ids_of_today,
    known_ids,
    merge_companies,
    merge_usage,
    replaced,
)
from conversion.data.cleaning import (
    clean_companies,
    clean_usage,
    company_ids,
    company_periods,
    company_rules,
    usage_rules,
)
from conversion.data.contacts import (
    CONTACT_RULES,
    OBJECTION_RULES,
    clean_contacts,
    clean_objections,
    with_team_contacts,
)
from conversion.data.histories import HISTORY_RULES, clean_history, histories_of
from conversion.data.period import Period
from conversion.data.subscriptions import clean_subscriptions, subscription_rules
from conversion.stats.metric import Metric

Tables = Mapping[str, pd.DataFrame]


class CleanTables(NamedTuple):
    """What is known at ``as_of``.

    Attributes
    ----------
    companies, usage
        As `clean_companies` and `clean_usage` return them.
    periods
        Paid periods: ``id``, ``start``, ``end``, ``value``, ``conversion_valid``; sorted by id and start.
    histories
        By attribute that has one, as `clean_history` returns them.
    contacts, objections
        As `clean_contacts` and `clean_objections` return them; None where a stage does not read them.
    """

    companies: pd.DataFrame
    usage: pd.DataFrame
    periods: pd.DataFrame
    histories: dict[str, pd.DataFrame]
    contacts: pd.DataFrame | None = None
    objections: pd.DataFrame | None = None


class Quarantine(NamedTuple):
    """Rows that are left out, or of which something is not used, with a ``rule`` column.

    ``subscriptions``, ``contacts`` and ``objections`` are None without such a table; ``histories`` are by
    attribute.
    """

    companies: pd.DataFrame
    usage: pd.DataFrame
    subscriptions: pd.DataFrame | None
    histories: dict[str, pd.DataFrame]
    contacts: pd.DataFrame | None = None
    objections: pd.DataFrame | None = None


def clean_tables(
    tables: Tables,
    period: Period,
    deduplication: str,
    contract: Contract,
    first_week: pd.Timestamp | None = None,
) -> tuple[CleanTables, Quarantine]:
    """Clean every table of an export as of one moment.

    Parameters
    ----------
    tables
        Typed, by name; weeks of usage begin on Mondays.
    period
        The weeks that the export covers, and ``as_of``.
    deduplication
        Which of several rows of a company is kept.
    contract
        Names tables and columns.
    first_week
        Of a part of an export, the first clean week of all its usage; None: that of these tables.

    Raises
    ------
    ExportError
        The table of aliases contradicts itself.
    """
    names, as_of = contract.companies, period.as_of
    current = ids_of_today(tables, contract)
    rows, merged = merge_companies([tables[name] for name in names.tables], current, as_of, contract)
    ids = company_ids(rows, as_of, contract)
    dated = [each for each in contract.tables if each not in {*names.tables, contract.usage.table}]
    today = {name: _of_today(tables[name], current) for name in dated}
    subscriptions = None
    if names.subscriptions is None:
        periods = company_periods(rows, as_of, deduplication, contract)
    else:
        table = today[names.subscriptions.table]
        periods, subscriptions = clean_subscriptions(table, ids, as_of, names.subscriptions)
    histories = {
        column: clean_history(today[history.table], column, history, ids, as_of)
        for column, history in histories_of(contract).items()
    }
    values = {column: kept for column, (kept, _) in histories.items()}
    companies, companies_out = clean_companies(rows, as_of, deduplication, contract, periods, values)
    # Under the ids of their time, so that a broken or repeated row is left out before weeks are added up.
    exported = contract.exported
    usage = tables[contract.usage.table].rename(columns=measure_names(exported))
    signed_up = _sign_ups(companies, current, contract)
    usage, usage_out = clean_usage(usage, known_ids(ids, current), period, exported, signed_up)
    usage = merge_usage(usage, current, exported)
    called, objected = _contact_tables(today, companies["id"], as_of, contract)
    usage = with_team_contacts(usage, called[0], signed_up, contract, first_week)
    former = [each.assign(rule=MERGED).reindex(columns=companies_out.columns) for each in merged if len(each)]
    companies_out = pd.concat([companies_out, *former], ignore_index=True)
    left_out = {column: out for column, (_, out) in histories.items()}
    return (
        CleanTables(companies, usage, periods, values, called[0], objected[0]),
        Quarantine(
            companies_out,
            usage_out,
            subscriptions,
            left_out,
            None if contract.contacts is None else called[1],
            None if contract.objections is None else objected[1],
        ),
    )


Cleaned = tuple[pd.DataFrame, pd.DataFrame]
"""A clean table, and its rows in quarantine."""


def _contact_tables(
    today: Tables, ids: pd.Series, as_of: pd.Timestamp, contract: Contract
) -> tuple[Cleaned, Cleaned]:
    """Clean contacts and objections; both are there, if without rows, whatever the contract has."""
    contacts, objections = contract.contacts, contract.objections
    return (
        clean_contacts(None if contacts is None else today[contacts.table], ids, as_of, contacts),
        clean_objections(None if objections is None else today[objections.table], ids),
    )


def _sign_ups(companies: pd.DataFrame, current: CurrentIds, contract: Contract) -> pd.Series | None:
    """Return the days of sign-up by id, also by the ids no longer used; None where none are recorded."""
    if contract.companies.signed_up is None:
        return None
    days = companies.set_index("id")[contract.companies.signed_up]
    ids = known_ids(companies["id"], current)
    return pd.Series(days.reindex(replaced(ids, current)).array, index=ids)


def measure_names(contract: Contract) -> dict[str, str]:
    """Return the names of measures by their columns: from clean usage on they are called so."""
    return {measure.column: name for name, measure in contract.usage.measures.items()}


def _of_today(table: pd.DataFrame, current: CurrentIds) -> pd.DataFrame:
    return table.assign(id=replaced(table["id"], current))


def cleaning_report(
    clean: CleanTables, quarantine: Quarantine, as_of: pd.Timestamp, contract: Contract
) -> dict[str, object]:
    """Count the rows that each rule caught, and those that were kept."""

    def counts(table: pd.DataFrame, rules: tuple[str, ...]) -> dict[str, int]:
        return {name: int((table["rule"] == name).sum()) for name in rules}

    report: dict[str, object] = {
        "as_of": f"{as_of:%Y-%m-%d}",
        "companies": {
            "kept": len(clean.companies),
            "conversions": int(clean.periods["conversion_valid"].sum()),
            "quarantined": counts(quarantine.companies, company_rules(contract)),
        },
        "usage": {
            "kept": len(clean.usage),
            "quarantined": counts(quarantine.usage, usage_rules(contract)),
        },
    }
    if quarantine.subscriptions is not None:
        report["subscriptions"] = {
            "paid_periods": len(clean.periods),
            "quarantined": counts(quarantine.subscriptions, subscription_rules(contract)),
        }
    if quarantine.histories:
        report["histories"] = {
            column: {"kept": len(clean.histories[column]), "quarantined": counts(table, tuple(HISTORY_RULES))}
            for column, table in quarantine.histories.items()
        }
    for name, cleaned, rules, left_out in (
        ("contacts", clean.contacts, CONTACT_RULES, quarantine.contacts),
        ("objections", clean.objections, OBJECTION_RULES, quarantine.objections),
    ):
        if cleaned is not None and left_out is not None:
            report[name] = {"kept": len(cleaned), "quarantined": counts(left_out, tuple(rules))}
    return report


CLEANING_METRICS: Final = (
    Metric("as_of", "the moment as of which the export is read"),
    Metric("companies.kept", "companies that are kept"),
    Metric("companies.conversions", "conversions known at `as_of`"),
    Metric("companies.quarantined.<rule>", "company rows that a cleaning rule drops"),
    Metric("usage.kept", "usage rows that are kept"),
    Metric("usage.quarantined.<rule>", "usage rows that a cleaning rule drops"),
    Metric("subscriptions.paid_periods", "paid periods, of a contract with subscriptions"),
    Metric(
        "subscriptions.quarantined.<rule>", "subscriptions that a cleaning rule drops or does not fully use"
    ),
    Metric("histories.<attribute>.kept", "rows of an attribute's history that are kept"),
    Metric("histories.<attribute>.quarantined.<rule>", "rows of its history that a cleaning rule drops"),
    Metric("contacts.kept", "contacts that are kept"),
    Metric("contacts.quarantined.<rule>", "contacts that a cleaning rule drops"),
    Metric("objections.kept", "companies that object to being contacted"),
    Metric("objections.quarantined.<rule>", "rows of the table of objections that a cleaning rule drops"),
)
"""What `cleaning_report` counts."""
