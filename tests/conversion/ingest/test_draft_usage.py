from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.drafts import Tables, drafted, projects_export


def usage(**columns: object) -> Tables:
    tables = projects_export()
    return {**tables, "weekly_usage": tables["weekly_usage"].assign(**columns)}


def test_weeks_from_sunday_and_days(tmp_path: Path) -> None:
    tables = usage()
    weeks = pd.to_datetime(tables["weekly_usage"]["week"])
    for how, shift, expected in (
        ("sunday", -1, "sunday"),
        ("wednesday", 2, "monday"),
        ("daily", np.arange(len(weeks)) % 7, "monday"),
    ):
        tables["weekly_usage"]["week"] = (weeks + pd.to_timedelta(shift, unit="D")).dt.strftime("%Y-%m-%d")
        contract, draft = drafted(tmp_path / how, tables)
        assert contract.usage.week_starts == expected
        reported = [note for note in draft.notes if note.startswith("week: ")]
        assert bool(reported) == (how != "sunday")
        assert not reported or (
            "Wednesday" in reported[0] if how == "wednesday" else "not weeks" in reported[0]
        )


def test_modules(tmp_path: Path) -> None:
    tables = projects_export()
    rng = np.random.default_rng(0)
    kept = tables["weekly_usage"][["account", "week"]]
    counts = {
        name: rng.integers(1, 9, len(kept))
        for name in ("actionsDocs", "users_docs", "chat_total", "Zeitpläne", "invited_people", "报告", "图表")
    }
    minutes = np.round(rng.random(len(kept)), 2)
    tables["weekly_usage"] = kept.assign(**counts, minutes=minutes, unused=0, browser="x", note=None)
    contract, draft = drafted(tmp_path, tables)
    assert {name: (each.actions, each.users) for name, each in contract.usage.modules.items()} == {
        "Docs": ("actionsDocs", "users_docs"),
        "chat": ("chat_total", None),
        "Zeitplane": ("Zeitpläne", None),
        "module": ("报告", None),
        "module_2": ("图表", None),
    }
    for name in ("invited_people", "minutes", "unused", "browser", "note"):
        assert f"# - {name}: " in draft.text


def test_a_sum_of_the_others_is_no_module(tmp_path: Path) -> None:
    tables = usage()
    table = tables["weekly_usage"]
    actions = ["projects_actions", "automation_runs", "invoices_sent"]
    tables["weekly_usage"] = table.assign(total_actions=table[actions].sum(axis=1))
    contract, draft = drafted(tmp_path, tables)
    assert contract.actions == tuple(actions)
    assert "# - total_actions: the sum of" in draft.text


def test_users_above_actions_are_reported(tmp_path: Path) -> None:
    tables = usage()
    table = tables["weekly_usage"]
    tables["weekly_usage"] = table.assign(invoices_users=table["invoices_sent"] + 1)
    _, draft = drafted(tmp_path, tables)
    assert any(note.startswith("invoices_users is above invoices_sent in 100%") for note in draft.notes)
