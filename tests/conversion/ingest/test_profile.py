from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conversion.ingest import profile
from conversion.ingest.columns import key_columns
from conversion.runtime.cli import run
from stages import load
from tests.broken_exports import Tables, odd_rows
from tests.contract_files import projects
from tests.exports import NONCUSTOMERS, USAGE_ACTIONS, projects_export, typed, write_export


def test_profile_has_no_ids_and_is_deterministic(project: Path, tables: Tables) -> None:
    write_export(odd_rows(tables), project / "export")
    run(load.main)
    text = Path("metrics/data_quality.json").read_text(encoding="utf-8")
    assert not re.search(r"\b1000\d\d\b|\b999999\b", text)
    run(load.main)
    assert Path("metrics/data_quality.json").read_text(encoding="utf-8") == text
    usage = json.loads(text)[USAGE_ACTIONS]
    assert usage["rows"] == len(tables[USAGE_ACTIONS]) + 1
    assert usage["duplicate_keys"] == 1
    assert usage["columns"]["WHEN_TIMESTAMP"]["min"] == "2019-01-07"
    assert usage["columns"]["ACTIONS_EMAIL"]["min"] == -1
    noncustomers = json.loads(text)[NONCUSTOMERS]["columns"]
    assert noncustomers["INDUSTRY"]["missing_share"] == pytest.approx(0.7, abs=0.2)
    assert sum(noncustomers["EMPLOYEE_RANGE"]["most_frequent"].values()) <= 31


def test_profile_of_another_contract_names_no_company() -> None:
    accounts = typed(projects_export(), projects())["accounts"]
    facts = profile.profile(accounts, key_columns(projects(), "accounts"), projects().companies.shown)
    text = json.dumps(facts, ensure_ascii=False)
    assert not any(name in text for name in ("Müller", "Ann", "acme", "0000"))
    assert facts["key"] == "id"
    assert facts["columns"]["owner"] == {
        "missing_share": round(float(accounts["owner"].isna().mean()), 6),
        "distinct": 2,
    }
    partners = accounts["is_partner"].value_counts()
    assert facts["columns"]["is_partner"]["most_frequent"] == {
        "no": int(partners[False]),
        "yes": int(partners[True]),
    }
    assert facts["columns"]["created"]["min"] == f"{accounts['created'].min():%Y-%m-%d}"
