from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.runtime.errors import ExportError
from conversion.runtime.files import write_json
from stages import clean
from tests.contract_files import hubspot, projects
from tests.memberships import memberships, memberships_export
from tests.pipeline import Pipeline, lay_out_typed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and the typed tables of a dirty export."""
    monkeypatch.chdir(tmp_path)
    lay_out_typed(tmp_path)
    return tmp_path


def test_the_stage_writes_tables_quarantine_and_counts(project: Path) -> None:
    clean.main()
    report = json.loads((project / "metrics/cleaning.json").read_text())
    for part in ("companies", "usage"):
        assert len(pd.read_parquet(project / f"data/clean/{part}.parquet")) == report[part]["kept"]
        quarantine = pd.read_parquet(project / f"data/quarantine/{part}.parquet")
        assert len(quarantine) == sum(report[part]["quarantined"].values())
    export = json.loads((project / "data/clean/export.json").read_text())
    assert export == {"as_of": report["as_of"]} == {"as_of": "2019-10-14"}


def test_contacts_and_objections_are_written_also_where_the_contract_has_none(project: Path) -> None:
    clean.main()
    for name in ("contacts", "objections"):
        assert pd.read_parquet(project / f"data/clean/{name}.parquet").empty
        assert not (project / f"data/quarantine/{name}.parquet").exists()
    assert not {"contacts", "objections"} & {*json.loads((project / "metrics/cleaning.json").read_text())}


def test_the_stage_says_what_became_of_all_rows(project: Path) -> None:
    path = project / "data/typed/usage_actions.parquet"
    usage = pd.read_parquet(path)
    usage.assign(id=1, ACTIONS_EMAIL=5).to_parquet(path, index=False)
    caught = r"no row is left after cleaning at 2019-10-14: orphan_usage \d+, stray_week 1$"
    with pytest.raises(ExportError, match=caught):
        clean.main()
    assert not (project / "data/clean").exists()


def test_an_export_of_customers_alone_is_refused_with_what_to_do(project: Path) -> None:
    path = project / "data/typed/noncustomers.parquet"
    noncustomers = pd.read_parquet(path)
    noncustomers.head(0).to_parquet(path, index=False)
    refused = (
        r"customers and noncustomers: at 2019-10-14 none of the \d+ companies is a prospect: all have "
        r"converted.*; export every company, also those that have never paid"
    )
    with pytest.raises(ExportError, match=refused):
        clean.main()
    assert not (project / "data/clean").exists()


def test_the_stage_names_the_week_it_leaves_out_and_how_to_keep_it(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    typed_tables = project / "data/typed"
    customers = pd.read_parquet(typed_tables / "customers.parquet")
    customers[customers["CLOSEDATE"] < "2019-10-10"].to_parquet(typed_tables / "customers.parquet")
    usage = pd.read_parquet(typed_tables / "usage_actions.parquet")
    weeks = pd.date_range("2019-08-05", "2019-10-07", freq="7D").astype("datetime64[us]")
    row = usage.iloc[[0]].assign(**(dict.fromkeys(hubspot().counts, 0) | {"ACTIONS_EMAIL": 8}))
    busy = [row.assign(id=company, WHEN_TIMESTAMP=when) for when in weeks for company in range(400)]
    usage = pd.concat([usage, *busy], ignore_index=True)
    last = usage["WHEN_TIMESTAMP"] == weeks[-1]
    usage["ACTIONS_EMAIL"] = usage["ACTIONS_EMAIL"].mask(last & (usage["id"] < 400), 4)
    usage.to_parquet(typed_tables / "usage_actions.parquet")
    clean.main()
    assert json.loads((project / "data/clean/export.json").read_text()) == {"as_of": "2019-10-07"}
    quarantined = json.loads((project / "metrics/cleaning.json").read_text())["usage"]["quarantined"]
    assert quarantined["after_as_of"] == last.sum()
    said: Any = next(record for record in caplog.records if "incomplete" in record.getMessage())
    assert said.getMessage() == "the last week looks incomplete and is left out; data.as_of keeps it"
    assert (said.week, said.keep) == ("2019-10-07", "dvc exp run -S data.as_of=2019-10-14")
    assert 0.5 <= said.share_of_usual_volume < 0.6


def test_the_stage_names_the_rows_that_are_far_from_the_others(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean.main()
    said: Any = next(record for record in caplog.records if record.levelname == "WARNING")
    usage = pd.read_parquet(project / "data/typed/usage_actions.parquet")
    assert said.getMessage() == (
        "usage far from the weeks of the other rows left out, see data/quarantine/usage.parquet"
    )
    assert (said.rule, said.rows) == ("stray_week", 1)
    assert said.first == f"id {usage.loc[usage['WHEN_TIMESTAMP'].idxmin(), 'id']} at 2009-06-01"


def lay_out_accounts(contract: Contract, first_day: str) -> None:
    """Put typed tables of two accounts and eight weeks into the working directory, and their contract."""
    accounts = pd.DataFrame(
        {
            "id": ["0042", "a-7"],
            "created": pd.to_datetime(["2019-01-02", None]),
            "paid_since": pd.to_datetime([None, "2019-02-20"]),
            "cancelled": pd.to_datetime([None, "2019-02-25"]),
            "arr": [None, 1200.0],
            "country": ["DE", None],
            "plan": ["free", "business"],
            "head_count": [3.0, None],
            "is_partner": pd.array([None, False], "boolean"),
            "name": ["Oak", "Elm"],
            "owner": ["ann", None],
        }
    ).astype(dict.fromkeys(["id", "country", "plan", "name", "owner"], "str"))
    weeks = pd.date_range(first_day, periods=8, freq="7D").astype("datetime64[us]")
    usage = pd.DataFrame({"id": ["0042"] * 8, "week": weeks} | dict.fromkeys(contract.counts, 2))
    accounts.to_parquet("data/typed/accounts.parquet", index=False)
    usage.astype({"id": "str"}).to_parquet("data/typed/weekly_usage.parquet", index=False)
    write_json("data/contract.json", contract.model_dump(mode="json"))


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("starts", "first_day"), [("monday", "2019-01-07"), ("sunday", "2019-01-06")])
def test_the_stage_follows_any_contract(starts: str, first_day: str) -> None:
    usage = projects().usage.model_copy(update={"week_starts": starts})
    lay_out_accounts(projects().model_copy(update={"usage": usage}), first_day)
    clean.main()
    companies = pd.read_parquet("data/clean/companies.parquet")
    assert companies["id"].tolist() == ["0042", "a-7"]
    assert companies["name"].tolist() == ["Oak", "Elm"]
    assert companies["is_partner_encoded"].tolist()[1] == 0
    weeks = pd.read_parquet("data/clean/usage.parquet")["week"]
    assert weeks.dt.strftime("%Y-%m-%d").tolist()[::7] == ["2019-01-07", "2019-02-25"]
    report = json.loads(Path("metrics/cleaning.json").read_text())
    assert report["as_of"] == "2019-03-04"
    assert report["companies"]["quarantined"]["ended_before_converted"] == 0


def test_the_stage_writes_paid_periods_of_any_contract(project: Path) -> None:
    clean.main()
    companies = pd.read_parquet(project / "data/clean/companies.parquet")
    periods = pd.read_parquet(project / "data/clean/subscriptions.parquet")
    converted = companies[companies["CLOSEDATE"].notna()]
    assert periods["id"].tolist() == converted["id"].tolist()
    assert periods["start"].tolist() == converted["CLOSEDATE"].tolist()
    assert periods["value"].tolist() == converted["MRR"].tolist()
    assert periods["conversion_valid"].tolist() == converted["conversion_valid"].tolist()
    assert periods["end"].isna().all()
    assert not periods["conversion_valid"].all()


def test_the_stage_writes_subscriptions_and_histories(project: Path) -> None:
    lay_out_typed(project, memberships_export(), memberships())
    clean.main()
    written = Pipeline(memberships_export(), load_params(), memberships()).clean
    report = json.loads((project / "metrics/cleaning.json").read_text())
    for part, table in (("companies", written.companies), ("subscriptions", written.periods)):
        pd.testing.assert_frame_equal(pd.read_parquet(project / f"data/clean/{part}.parquet"), table)
        quarantine = pd.read_parquet(project / f"data/quarantine/{part}.parquet")
        assert len(quarantine) == sum(report[part]["quarantined"].values()) > 0
    assert report["subscriptions"]["paid_periods"] == len(written.periods)
    assert report["companies"]["conversions"] == written.periods["conversion_valid"].sum()
    for column in ("grade", "region"):
        path = f"histories/{column}.parquet"
        pd.testing.assert_frame_equal(
            pd.read_parquet(project / "data/clean" / path), written.histories[column]
        )
        counts = report["histories"][column]
        quarantine = pd.read_parquet(project / "data/quarantine" / path)
        assert len(quarantine) == sum(counts["quarantined"].values())
        assert counts["kept"] == len(written.histories[column])


def test_the_stage_says_which_week_ends_early_and_why(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    usage = projects().usage.model_copy(update={"grain": "day"})
    lay_out_accounts(projects().model_copy(update={"usage": usage}), "2019-01-07")
    days = {
        f"{week:%Y-%m-%d}": week + pd.Timedelta(days=6)
        for week in pd.date_range("2019-01-07", periods=8, freq="7D")
    }
    days["2019-02-25"] = pd.Timestamp("2019-02-27")
    last_days = {week: f"{day:%Y-%m-%d}" for week, day in days.items()}
    write_json(project / "data/typed/export.json", {"last_days": last_days})
    clean.main()
    assert json.loads((project / "data/clean/export.json").read_text()) == {"as_of": "2019-02-25"}
    warnings: Any = [record for record in caplog.records if record.levelname == "WARNING"]
    (said,) = warnings
    assert said.getMessage() == "the last week ends early and is left out; data.as_of keeps it"
    assert (said.week, said.last_day, said.of) == ("2019-02-25", "2019-02-27", "usage")
    assert said.keep == "dvc exp run -S data.as_of=2019-03-04"
    path = project / "data/typed/accounts.parquet"
    accounts = pd.read_parquet(path)
    free = accounts.index[accounts["paid_since"].isna()]
    accounts.loc[free, "paid_since"] = pd.Timestamp("2019-03-04")
    accounts.to_parquet(path)
    before = (project / "metrics/cleaning.json").read_bytes()
    caplog.clear()
    clean.main()
    assert (project / "metrics/cleaning.json").read_bytes() == before, "booked ahead is not known"
    again, booked = [record for record in caplog.records if record.levelname == "WARNING"]
    assert again.getMessage() == said.getMessage()
    assert booked.getMessage().startswith("conversions dated after the last day of usage are not known yet")
    found: Any = booked
    assert (found.column, found.rows) == ("paid_since", 1)
    assert (found.first, found.last) == ("2019-03-04", "2019-03-04")


def test_the_stage_refuses_aliases_in_a_circle(project: Path) -> None:
    tables = memberships_export()
    ids = tables["teams"]["team"].tolist()[:2]
    circle = pd.DataFrame({"old": ids, "new": ids[::-1]}).astype("str")
    lay_out_typed(project, tables | {"merged": circle}, memberships())
    with pytest.raises(
        ExportError, match=r"^merged: new: expected .* (\d+) -> \d+ -> \1; remove one of the rows$"
    ):
        clean.main()
    assert not (project / "data/clean").exists()
