"""The service of another contract: text ids, any attributes, a module without users."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.serving.predictor import NO_USAGE, predict
from tests.pipeline import MODEL_TYPES, Pipeline
from tests.serving import (
    PROJECTS,
    Client,
    error_of,
    fields_of,
    histories,
    history,
    leads_of,
    predictor_of,
    projects_pipeline,
    state_of,
)

SUMMARY = {
    "id": "007", "country": "DE", "plan": "team", "head_count": 12, "is_partner": True, "total_actions": 9,
    "total_users": 2, "days_active": 7, "activity_frequency": 0.25,
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return projects_pipeline()


@pytest.fixture(scope="module")
def client(pipeline: Pipeline) -> Client:
    return Client(state_of(pipeline))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_prospect_scores_as_on_the_list(model_type: str) -> None:
    pipeline = projects_pipeline(model_type)
    leads = pipeline.leads
    requests = histories(pipeline, leads["id"])
    found = predict(predictor_of(pipeline), requests, [""] * len(requests))
    alone = [predict(predictor_of(pipeline), [company], [""])[0] for company in requests[:20]]
    assert [answer.company_id for answer in found] == leads["id"].tolist()
    for answers, rows in ((found, leads), (alone, leads[:20])):
        probability = [answer.conversion_probability for answer in answers]
        np.testing.assert_allclose(probability, rows["probability"], rtol=0, atol=1e-9)
        assert [answer.tier for answer in answers] == rows["tier"].tolist()
        listed = rows.astype(object).where(rows.notna(), None)
        for answer, (_, lead) in zip(answers, listed.iterrows(), strict=True):
            if answer.reasons != [NO_USAGE]:
                reasons = [each for each in lead[list(REASON_COLUMNS)] if each is not None]
                said = [answer.reasons, answer.caution, answer.evidence]
                assert said == [reasons, lead["caution"], lead["evidence"]]


def test_a_summary(client: Client) -> None:
    body = client.post("/predict/single", SUMMARY).json()
    assert body["company_id"] == "007"
    assert body["basis"] == "summary"
    assert 0 < body["conversion_probability"] < 1
    nothing = client.post("/predict/single", {"id": "007"}).json()
    assert nothing["reasons"] == [
        "Nothing but its id is known of this company; the probability is not specific to it"
    ]


def test_a_batch_keeps_the_order_and_the_ids(client: Client, pipeline: Pipeline) -> None:
    companies = [SUMMARY, history(pipeline, pipeline.leads["id"].iloc[0]), {"id": "é/ü"}]
    answers = client.post("/predict", {"companies": companies}).json()["predictions"]
    assert [answer["company_id"] for answer in answers] == [company["id"] for company in companies]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"id": 7}, "id: given 7, allowed is text"),
        ({"id": ""}, "id: given '', allowed is String should have at least 1 character"),
        ({"id": "a\nb"}, "id: given 'a\\nb', allowed is text without control characters"),
        ({"id": "1", "plan": "gold"}, "plan: given 'gold', allowed is one of 'free', 'team' or 'business'"),
        ({"id": "1", "is_partner": "yes"}, "is_partner: given 'yes', allowed is true or false"),
        ({"id": "1", "head_count": 0}, "head_count: given 0, allowed is greater than 0"),
        ({"id": "1", "name": "Acme"}, "name: given 'Acme', allowed is no field of this name"),
        ({"id": "1", "ALEXA_RANK": 1}, "ALEXA_RANK: given 1, allowed is no field of this name"),
        (
            {"id": "1", "usage": [{"week": "2019-08-05"}]},
            "usage[0].projects_actions: given nothing, allowed is a value: the field is required (4 more)",
        ),
    ],
)
def test_what_is_refused(client: Client, body: dict[str, Any], error: str) -> None:
    assert error_of(client.post("/predict/single", body), 422).error == error


# Leads


def test_leads_have_what_is_shown(client: Client, pipeline: Pipeline) -> None:
    page = client.get("/leads?limit=1000").json()
    assert page["total"] == len(pipeline.leads)
    shown = pipeline.companies.set_index("id")
    for lead in page["leads"]:
        assert list(lead) == list(PROJECTS.lead.model_fields)
        assert lead["name"] == shown.loc[lead["id"], "name"]
        assert lead["name"].startswith("Müller, Söhne & Co. ")
    assert {type(lead["is_partner"]) for lead in page["leads"]} == {bool, type(None)}
    assert {lead["plan"] for lead in page["leads"]} == {"free", "team", "business", None}


def test_a_lead_and_its_prediction_agree(client: Client) -> None:
    leads = client.get("/leads?limit=1000").json()["leads"]
    assert any(lead["id"].startswith("0") for lead in leads)
    for lead in leads[::5]:
        found = client.get(f"/leads/{lead['id']}").json()
        usage = found.pop("usage")
        assert found == lead
        known = {name: lead[name] for name in ("id", "country", "plan", "head_count", "is_partner")}
        answer = client.post("/predict/single", known | {"usage": usage}).json()
        assert answer["conversion_probability"] == pytest.approx(lead["probability"], abs=1e-9)
        if answer["reasons"] != [NO_USAGE]:
            assert answer["reasons"] == lead["reasons"]


@pytest.mark.parametrize("company", ["a/b", "ü ö", "a?b#c", "100%", "a/usage", "007", "\u2028", "'"])
def test_any_text_may_be_in_a_path(pipeline: Pipeline, company: str) -> None:
    listed = leads_of(pipeline)
    leads, usage = listed.leads.copy(), listed.usage
    old, leads.loc[3, "id"] = leads.loc[3, "id"], company
    usage = usage.assign(id=usage["id"].mask(usage["id"] == old, company)).sort_values(["id", "week"])
    files = dataclasses.replace(listed.files, leads=leads, usage=usage)
    state = state_of(pipeline, leads=dataclasses.replace(listed, files=files))
    lead = Client(state).get(f"/leads/{quote(company, safe='')}").json()
    assert lead["id"] == company
    assert len(lead["usage"]) == (usage["id"] == company).sum()


def test_a_lead_that_is_not_there(client: Client) -> None:
    assert error_of(client.get("/leads/7"), 404).error == "company '7' is not on the lead list"
    assert error_of(client.get("/leads/a%2Fb"), 404).error == "company 'a/b' is not on the lead list"
    for path in ("/leads/", "/leads/%00", "/leads/a%0Ab", "/leads/007%0A", f"/leads/{'x' * 201}"):
        assert fields_of(client.get(path)) == ["id"]
    assert 'endpoint="/leads/{id}"' in client.get("/metrics").text


# What is recorded


def test_what_is_shown_is_not_logged(pipeline: Pipeline) -> None:
    recorded: list[Any] = []
    client = Client(state_of(pipeline, log_predictions=lambda *both: recorded.append(both)))
    lead = client.get("/leads?limit=1").json()["leads"][0]
    assert client.post("/predict/single", lead).status_code == 422
    client.post("/predict", {"companies": [SUMMARY, history(pipeline, lead["id"])]})
    ((companies, _),) = recorded
    logged = [json.dumps(company.model_dump(mode="json")) for company in companies]
    assert json.loads(logged[0]) == SUMMARY
    for text in logged:
        assert "owner" not in text
        assert lead["name"] not in text


def test_levels_that_the_model_has_not_seen_are_counted(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline))
    client.post("/predict/single", SUMMARY)
    assert "conversion_unseen_levels" not in client.get("/metrics").text
    answers = [client.post("/predict/single", SUMMARY | {"country": name}).json() for name in ("XX", "YY")]
    assert answers[0] == answers[1]
    assert 'conversion_unseen_levels_total{attribute="country"} 2.0' in client.get("/metrics").text
