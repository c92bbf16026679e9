"""Exports for the tests of drafted contracts, and the contract that is drafted from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.ingest.draft import Draft, draft_contract
from conversion.ingest.draft_tables import read_samples

Tables = dict[str, pd.DataFrame]


def projects_export(seed: int = 0, companies: int = 200, weeks: int = 12) -> Tables:
    """Draw an export in the columns of tests/contracts/projects.yaml."""
    rng = np.random.default_rng(seed)
    ids = [f"{number:05d}" for number in rng.permutation(companies)]
    created = pd.Timestamp("2024-01-03") + pd.to_timedelta(rng.integers(0, 200, companies), unit="D")
    paid = pd.Series(created + pd.to_timedelta(rng.integers(1, 90, companies), unit="D"))
    paid = paid.where(rng.random(companies) < 0.3)
    ended = (paid + pd.to_timedelta(rng.integers(1, 90, companies), unit="D")).where(
        rng.random(companies) < 0.3
    )
    accounts = pd.DataFrame(
        {
            "account_id": ids,
            "created": created.strftime("%Y-%m-%d"),
            "paid_since": paid.dt.strftime("%Y-%m-%d"),
            "cancelled": ended.dt.strftime("%Y-%m-%d"),
            "arr": pd.Series(rng.integers(100, 9000, companies)).where(paid.notna()),
            "name": [f"Secret Name {number}" for number in range(companies)],
            "owner": rng.choice(["Ann Private", "Bob Hidden"], companies),
            "country": rng.choice(["Chile", "Norway", "Japan", "Kenya"], companies),
            "plan": rng.choice(["free", "team", "business"], companies),
            "head_count": np.ceil(rng.lognormal(3, 2, companies)).astype(int),
            "is_partner": rng.choice(["yes", "no"], companies),
        }
    )
    rows = companies * weeks // 2
    users = rng.integers(0, 4, (2, rows))
    usage = pd.DataFrame(
        {
            "account": rng.choice(ids, rows),
            "week": (
                pd.Timestamp("2024-03-04") + pd.to_timedelta(7 * rng.integers(0, weeks, rows), unit="D")
            ).strftime("%Y-%m-%d"),
            "projects_actions": users[0] + rng.integers(0, 9, rows),
            "projects_users": users[0],
            "automation_runs": rng.integers(0, 50, rows),
            "invoices_sent": users[1] + rng.integers(0, 9, rows),
            "invoices_users": users[1],
        }
    ).drop_duplicates(["account", "week"])
    return {"accounts": accounts, "weekly_usage": usage}


def write(folder: Path, tables: Tables, **to_csv: Any) -> Path:
    """Write tables as CSV into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, **to_csv)
    return folder


def drafted(folder: Path, tables: Tables | None = None) -> tuple[Contract, Draft]:
    """Draft a contract from a folder, and read it as the pipeline does."""
    if tables is not None:
        write(folder, tables)
    samples, _ = read_samples(folder)
    draft = draft_contract(samples)
    path = folder / "draft.yaml"
    path.write_text(draft.text, encoding="utf-8")
    return load_contract(path), draft
