"""Tiny valid exports for tests: in memory, seeded, of the contracts of `tests.contract_files`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.ingest.cells import final_types
from conversion.ingest.columns import tables_of
from tests.contract_files import ROOT, hubspot

CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS = "customers", "noncustomers", "usage_actions"
MODULES = ("CRM_CONTACTS", "CRM_COMPANIES", "CRM_DEALS", "EMAIL")
ACTIONS = tuple(f"ACTIONS_{module}" for module in MODULES)
USERS = tuple(f"USERS_{module}" for module in MODULES)
MEASURES = ACTIONS + USERS
FIRMOGRAPHICS = ("ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY")
COLUMNS = {
    CUSTOMERS: ("id", "CLOSEDATE", "MRR", *FIRMOGRAPHICS),
    NONCUSTOMERS: ("id", *FIRMOGRAPHICS),
    USAGE_ACTIONS: ("id", "WHEN_TIMESTAMP", *MEASURES),
}
EMPLOYEE_RANGES = hubspot().companies.attributes["EMPLOYEE_RANGE"].levels  # type: ignore[union-attr]
UNRANKED = 16_000_001
FIRST_WEEK = "2019-01-07"
INDUSTRIES = ("COMPUTER_SOFTWARE", "Technology - Software", "REAL_ESTATE", "Consulting/Advisory")


def tiny_export(seed: int = 0, companies: int = 120, weeks: int = 40) -> dict[str, pd.DataFrame]:
    """Draw a valid export: a quarter of the companies convert, a third of the others show no usage.

    Parameters
    ----------
    seed
        Seed of the random generator; the same arguments give the same tables.
    companies
        Companies in both company tables together; their ids are shuffled, so they reveal nothing.
    weeks
        Weeks of usage from Monday 2019-01-07 on; conversions fall into the same period.

    Returns
    -------
    dict of DataFrame
        ``customers``, ``noncustomers`` and ``usage_actions`` with dates as datetime64, ids and counts as
        int64, ``MRR`` and ``ALEXA_RANK`` as float64. There is nothing to quarantine: no duplicate, no
        orphan, no ``MRR`` <= 0, actions >= users >= 0. Usage goes on after the conversion and grows.
    """
    rng = np.random.default_rng(seed)
    ids = 100_000 + rng.permutation(companies)
    converters = max(companies // 4, 1)
    start = pd.Timestamp(FIRST_WEEK)
    firmographics = pd.DataFrame(
        {
            "id": ids,
            "ALEXA_RANK": np.where(
                rng.random(companies) < 0.3, UNRANKED, rng.integers(1_000, 15_000_000, companies)
            ).astype("float64"),
            "EMPLOYEE_RANGE": rng.choice(EMPLOYEE_RANGES, companies).astype(object),
            "INDUSTRY": rng.choice(INDUSTRIES, companies).astype(object),
        }
    )
    firmographics.loc[rng.random(companies) < 0.05, "ALEXA_RANK"] = np.nan
    firmographics.loc[rng.random(companies) < 0.05, "EMPLOYEE_RANGE"] = None
    firmographics.loc[rng.random(companies) < 0.7, "INDUSTRY"] = None

    close_days = rng.integers(0, weeks * 7, converters)
    customers = firmographics.iloc[:converters].copy()
    customers["CLOSEDATE"] = start + pd.to_timedelta(close_days, unit="D")
    customers["MRR"] = np.round(rng.lognormal(5.5, 0.8, converters) + 10, 2)
    tables = {
        CUSTOMERS: customers,
        NONCUSTOMERS: firmographics.iloc[converters:],
        USAGE_ACTIONS: _usage(rng, ids, close_days, weeks, start),
    }
    return {name: table[list(COLUMNS[name])].reset_index(drop=True) for name, table in tables.items()}


def _usage(
    rng: np.random.Generator, ids: np.ndarray, close_days: np.ndarray, weeks: int, start: pd.Timestamp
) -> pd.DataFrame:
    companies, converters = len(ids), len(close_days)
    week = np.arange(weeks)
    closes = np.full(companies, 10 * weeks)
    closes[:converters] = close_days // 7
    warm = (week >= closes[:, None] - 6) & (closes[:, None] < 2 * weeks)
    after = week > closes[:, None]
    silent = rng.random(companies) < 1 / 3
    silent[:converters] = False
    rate = np.where(warm, 0.7, 0.1) * ~silent[:, None]
    company, at = np.nonzero(rng.random((companies, weeks)) < rate)

    shape = (len(company), len(MODULES))
    level = np.where(after, 8.0, np.where(warm, 3.0, 1.0))[company, at][:, None]
    users = rng.poisson(0.5 * level, shape) * (rng.random(shape) < 0.6)
    actions = users + rng.poisson(4 * level, shape) * (users > 0)
    table = pd.DataFrame({"id": ids[company], "WHEN_TIMESTAMP": start + pd.to_timedelta(7 * at, unit="D")})
    table[list(ACTIONS)] = actions.astype("int64")
    table[list(USERS)] = users.astype("int64")
    return table.sample(frac=1, random_state=int(rng.integers(2**31)))


def projects_export(seed: int = 0, companies: int = 60, weeks: int = 20) -> dict[str, pd.DataFrame]:
    """Draw a valid export of the contract `tests.contract_files.projects`.

    Parameters
    ----------
    seed
        Seed of the random generator; the same arguments give the same tables.
    companies
        Accounts; their ids are text, many of them digits that begin with zeros.
    weeks
        Weeks of usage from Monday 2019-01-07 on; sign-ups, conversions and ends fall into the same period.

    Returns
    -------
    dict of DataFrame
        ``accounts`` and ``weekly_usage``. A third of the accounts convert, a quarter of those end again.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(companies)
    ids = np.array([f"{number:06d}" if number % 3 else f"acme-{number}" for number in numbers], dtype=object)
    start, days = pd.Timestamp(FIRST_WEEK), weeks * 7
    created = rng.integers(0, days // 2, companies)
    paid = created + rng.integers(1, days // 2, companies)
    converted = rng.random(companies) < 1 / 3
    ended = converted & (rng.random(companies) < 1 / 4)

    def days_where(at: np.ndarray, known: np.ndarray) -> pd.Series:
        return pd.Series(start + pd.to_timedelta(at, unit="D")).where(known)

    flags = pd.array(rng.random(companies) < 0.2, dtype="boolean")
    flags[::9] = pd.NA
    accounts = pd.DataFrame(
        {
            "account_id": ids,
            "created": days_where(created, np.full(companies, True)),
            "paid_since": days_where(paid, converted),
            "cancelled": days_where(paid + 10, ended),
            "arr": np.where(converted, np.round(rng.lognormal(6, 1, companies), 2), np.nan),
            "country": rng.choice(np.array(["DE", "US", "FR", None], dtype=object), companies),
            "plan": rng.choice(np.array(["free", "team", "business", None], dtype=object), companies),
            "head_count": np.where(rng.random(companies) < 0.1, np.nan, rng.integers(1, 900, companies)),
            "is_partner": flags,
            "name": [f"Müller, Söhne & Co. {number}" for number in numbers],
            "owner": rng.choice(np.array([" Ann ", "Bé", None], dtype=object), companies),
        }
    )
    company, week = np.nonzero(rng.random((companies, weeks)) < 0.3)
    usage = pd.DataFrame({"account": ids[company], "week": start + pd.to_timedelta(7 * week, unit="D")})
    for name in ("projects_actions", "automation_runs", "invoices_sent"):
        usage[name] = rng.poisson(3, len(usage)) + 2
    for name in ("projects_users", "invoices_users"):
        usage[name] = rng.integers(0, 3, len(usage))
    return {"accounts": accounts, "weekly_usage": usage}


def write_export(tables: dict[str, pd.DataFrame], folder: str | Path, suffix: str = ".csv") -> Path:
    """Write the tables as an export; dates in CSV look like the real export's.

    Parameters
    ----------
    tables
        As `tiny_export` returns them, or broken on purpose.
    folder
        Created if it does not exist.
    suffix
        ``.csv`` or ``.parquet``.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        path = folder / f"{name}{suffix}"
        if suffix == ".parquet":
            table.to_parquet(path, index=False)
        else:
            _as_text(table).to_csv(path, index=False, lineterminator="\n")
    return folder


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    days, moments = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S.000"
    dates = [name for name in table if pd.api.types.is_datetime64_any_dtype(table[name])]
    flags = [name for name in table if pd.api.types.is_bool_dtype(table[name])]
    return table.assign(
        **{name: table[name].dt.strftime(moments if name == "WHEN_TIMESTAMP" else days) for name in dates},
        **{name: table[name].map({True: "yes", False: "no"}) for name in flags},
    )


def typed(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, pd.DataFrame]:
    """Return the tables of an export with the names and types that ``stages.load`` writes."""
    described = tables_of(contract)
    return {
        name: final_types(
            table.astype({column: described[name].columns[column].dtype for column in table}), described[name]
        )
        for name, table in tables.items()
    }


def lay_out_contracts(folder: Path) -> None:
    """Copy the project's contracts into a folder, to run stages in."""
    shutil.copytree(ROOT / "contracts", folder / "contracts", dirs_exist_ok=True)
