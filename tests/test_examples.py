"""The examples from end to end, with the commands that a user runs: draw, pipeline, list, service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from tests.clone import ALL, Clone, stages_run
from tests.server import Server

pytestmark = pytest.mark.slow

SIZE = ("--accounts", "2000", "--weeks", "50")
LAST_COMPLETE_WEEK = {
    # 50 weeks from 2024-01-01; the last ends on its Wednesday.
    "projects": "2024-12-09",
    # 50 weeks from 2023-10-02.
    "documents": "2024-09-16",
}
PARAMS = {"model.logistic_regression.quadratic": ["auto"], "featurize.windows": [1, 4, 8]}
BATCH = 50
ANOTHER_PRODUCT = re.compile(
    rb"ALEXA|alexa|unranked|EMPLOYEE_RANGE|INDUSTRY|CLOSEDATE|CRM_|WHEN_TIMESTAMP|[Ss]ectors?\b|noncustomers"
)
"""Words of the default contract, which have no place in what is made with another."""


@dataclass(frozen=True)
class Ran:
    """An example after its first run."""

    name: str
    clone: Clone
    export: Path

    @property
    def contract(self) -> Contract:
        return load_contract(self.clone.folder / f"examples/{self.name}.yaml")

    @property
    def leads(self) -> pd.DataFrame:
        ids = {"id": str} if self.contract.companies.ids == "text" else {}
        return pd.read_csv(self.clone.folder / "data/leads/leads.csv", dtype=ids)

    def table(self, path: str) -> pd.DataFrame:
        return pd.read_parquet(self.clone.folder / path)

    def json(self, path: str) -> Any:
        return json.loads(self.clone.read(path))

    def settings(self, **changed: str) -> tuple[str, ...]:
        """Return the arguments that choose the example's export and contract, and ``data.*`` as given."""
        values = {"dir": str(self.export), "contract": f"examples/{self.name}.yaml"} | changed
        return tuple(part for key, value in values.items() for part in ("-S", f"data.{key}={value}"))


@pytest.fixture(scope="module", params=LAST_COMPLETE_WEEK)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    name = request.param
    folder, home, export = (tmp_path_factory.mktemp(part) for part in (name, "home", "export"))
    example = Ran(name, Clone.of_project(folder, home, PARAMS), export)
    example.clone.run("python", "-m", "examples.generate", name, str(export), *SIZE)
    assert stages_run(example.clone.dvc("exp", "run", *example.settings())) == ALL
    example.clone.commit("the example's first run")
    return example


@pytest.fixture(scope="module")
def client(ran: Ran, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with Server(ran.clone.folder, tmp_path_factory.mktemp("bentoml")) as server, server.client() as client:
        yield client


# The list


def test_the_list_is_of_the_last_complete_week(ran: Ran) -> None:
    assert ran.json("data/clean/export.json")["as_of"] == LAST_COMPLETE_WEEK[ran.name]


def test_the_list_has_each_prospect_once(ran: Ran) -> None:
    """Everybody who has signed up by then and does not pay, read from the export's own tables."""
    as_of, leads = LAST_COMPLETE_WEEK[ran.name], ran.leads
    accounts = pd.read_csv(ran.export / "accounts.csv").set_index(ran.contract.companies.id)
    if ran.name == "projects":
        periods = pd.read_csv(ran.export / "subscriptions.csv")
        paid = periods[(periods["kind"] == "paid") & (periods["started"] < as_of)]
        paying = set(paid.loc[paid["ended"].isna() | (paid["ended"] >= as_of), "account"])
        signed_up = accounts["created"]
    else:
        paid = accounts[accounts["converted"] < as_of]
        paying = set(paid.index[paid["cancelled"].isna() | (paid["cancelled"] >= as_of)])
        signed_up = accounts["registered"]
    expected = set(accounts.index[signed_up < as_of]) - paying
    assert len(paying) > 10
    assert len(leads) == len(expected)
    assert set(leads["id"]) == expected
    assert leads["probability"].is_monotonic_decreasing
    assert leads["probability"].between(0, 1, inclusive="neither").all()


def test_what_is_shown_is_as_in_the_export(ran: Ran) -> None:
    leads = ran.leads.set_index("id")
    accounts = pd.read_csv(ran.export / "accounts.csv").set_index(ran.contract.companies.id)
    for column in ran.contract.companies.shown:
        assert leads[column].equals(accounts.loc[leads.index, column].rename_axis("id"))


def test_the_model_is_much_better_than_chance(ran: Ran) -> None:
    headline = ran.json("metrics/headline.json")
    prevalence = ran.json("metrics/evaluation.json")["prevalence"]
    assert headline["roc_auc"] > 0.7
    assert headline["average_precision"] > 3 * prevalence


def test_no_word_of_another_product_is_in_what_is_written(ran: Ran) -> None:
    written = [
        path
        for folder in ("data/leads", "data/contract.json", "metrics", "plots", "models/model.json")
        for path in [ran.clone.folder / folder, *(ran.clone.folder / folder).rglob("*")]
        if path.is_file() and path.suffix in {".csv", ".json", ".txt"}
    ]
    assert len(written) > 15
    for path in written:
        found = ANOTHER_PRODUCT.search(path.read_bytes())
        assert found is None, f"{path}: {found}"


def test_reasons_and_slices_speak_of_the_product(ran: Ran) -> None:
    says = [module.say or name for name, module in ran.contract.usage.modules.items()]
    reasons = " ".join(map(str, ran.leads.filter(like="reason").to_numpy().ravel()))
    assert any(name in reasons for name in says)
    slices = pd.read_csv(ran.clone.folder / "metrics/slices.csv")["slice"].unique()
    assert len(slices) > len(ran.contract.companies.attributes)


# The service


def requests_of(ran: Ran, ids: pd.Series) -> list[dict[str, Any]]:
    """Make the requests of prospects from the clean tables."""
    contract = ran.contract
    companies = ran.table("data/clean/companies.parquet").set_index("id")
    # Requests call weekly measures as the export does.
    columns = {name: measure.column for name, measure in contract.usage.measures.items()}
    usage = ran.table("data/clean/usage.parquet").rename(columns=columns)
    time = contract.usage.time
    usage[time] = usage[time].dt.strftime("%Y-%m-%d")
    by_company = {
        company: rows.drop(columns="id").astype(object).where(rows.drop(columns="id").notna(), None)
        for company, rows in usage[usage["id"].isin(ids)].groupby("id")
    }
    asked = []
    for company in ids:
        known = companies.loc[company, list(contract.companies.attributes)].to_dict()
        rows = by_company.get(company)
        asked.append(
            {
                "id": company,
                **{name: in_json(value) for name, value in known.items()},
                "usage": [] if rows is None else rows.to_dict("records"),
            }
        )
    return asked


def in_json(value: Any) -> Any:
    """Return a cell as a client sends it."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return value.item() if isinstance(value, np.generic) else value


def test_the_service_answers_what_the_list_says(ran: Ran, client: httpx.Client) -> None:
    asked, expected = requests_of(ran, ran.leads["id"]), ran.leads["probability"]
    answers = []
    for start in range(0, len(asked), BATCH):
        answer = client.post("/predict", json={"companies": asked[start : start + BATCH]})
        assert answer.status_code == httpx.codes.OK, answer.text
        answers += answer.json()["predictions"]
    assert [answer["company_id"] for answer in answers] == [one["id"] for one in asked]
    online = [answer["conversion_probability"] for answer in answers]
    np.testing.assert_allclose(online, expected, rtol=0, atol=1e-9)


def test_leads_over_http(ran: Ran, client: httpx.Client) -> None:
    leads = ran.leads
    answer = client.get("/leads", params={"limit": 5}).raise_for_status().json()
    assert [lead["id"] for lead in answer["leads"]] == leads["id"].head(5).tolist()
    assert answer["leads"][0].keys() >= {*ran.contract.companies.attributes, *ran.contract.companies.shown}
    first = client.get(f"/leads/{leads['id'][0]}").raise_for_status().json()
    assert first["usage"]
    measures = {measure.column for measure in ran.contract.usage.measures.values()}
    assert first["usage"][0].keys() == {ran.contract.usage.time, *ran.contract.counts, *measures}
    page = client.get("/", follow_redirects=True).raise_for_status()
    assert ANOTHER_PRODUCT.search(page.content) is None


def test_the_description_speaks_of_the_product_alone(client: httpx.Client) -> None:
    description = client.get("/docs.json").raise_for_status()
    assert ANOTHER_PRODUCT.search(description.content) is None


def test_a_mistake_names_the_contracts_column(ran: Ran, client: httpx.Client) -> None:
    module = next(iter(ran.contract.usage.modules.values()))
    week = {ran.contract.usage.time: "2024-01-08", module.actions: "many"}
    company = requests_of(ran, ran.leads["id"].head(1))[0] | {"usage": [week]}
    answer = client.post("/predict/single", json=company)
    assert answer.is_client_error
    assert module.actions in answer.text
