"""POST /predict/single and POST /predict: predictions, and companies that are refused."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from conversion.modelling import ensemble
from conversion.modelling.model import ConversionModel
from conversion.serving.messages import History
from conversion.stats.losses import log_odds
from tests.pipeline import Pipeline
from tests.serving import (
    EXAMPLE,
    MESSAGES,
    VERSION,
    Client,
    error_of,
    fields_of,
    history,
    state_of,
    week,
)

KEYS = (
    "company_id", "conversion_probability", "prediction", "confidence", "tier", "reasons", "caution",
    "evidence", "fit", "activity", "basis", "as_of", "model_version",
)  # fmt: skip


# One company


def test_the_example_of_the_original(client: Client) -> None:
    text = (
        '{"id": 123, "ALEXA_RANK": 50000, "EMPLOYEE_RANGE": "26 to 50", "INDUSTRY": "COMPUTER_SOFTWARE", '
        '"total_actions": 150, "total_users": 5, "days_active": 30, "activity_frequency": 5.0}'
    )
    response = client.post("/predict/single", text)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert tuple(body) == KEYS
    assert body["company_id"] == 123
    assert 0 < body["conversion_probability"] < 1
    assert body["prediction"] in (0, 1)
    assert body["confidence"] in ("high", "medium", "low")
    assert (body["basis"], body["as_of"], body["model_version"]) == ("summary", None, VERSION)
    assert 1 <= len(body["reasons"]) <= 3
    assert body["evidence"].startswith("Of ")
    MESSAGES.prediction.model_validate_json(response.content, strict=True, extra="forbid")


def test_a_history_is_the_lead_list(client: Client, pipeline: Pipeline) -> None:
    leads = pipeline.leads.set_index("id")
    for company in leads.index[:10]:
        body = client.post("/predict/single", history(pipeline, company)).json()
        assert tuple(body) == KEYS
        assert body["conversion_probability"] == pytest.approx(leads.loc[company, "probability"], abs=1e-9)
        assert (body["basis"], body["as_of"]) == ("history", f"{pipeline.as_of:%Y-%m-%d}")
        for name in ("tier", "evidence"):
            assert body[name] == leads.loc[company, name]
        model = pipeline.model
        raw = ensemble.raw_probability(
            list(model.members_.values()), model.values(pipeline.latest[pipeline.latest["id"] == company])
        )
        total = model.base_log_odds_ + body["fit"] + body["activity"]
        assert total == pytest.approx(float(log_odds(raw)[0]), abs=1e-6)


def test_a_body_may_come_in_pieces_and_say_its_charset(client: Client) -> None:
    expected = client.post("/predict/single", EXAMPLE).json()
    text = json.dumps(EXAMPLE | {"INDUSTRY": "Asesoría de Marketing"}, ensure_ascii=False).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 7):
            yield text[start : start + 7]

    headers = {"content-type": "Application/JSON; charset=utf-8"}
    response = client.request("POST", "/predict/single", content=pieces(), headers=headers)
    assert response.status_code == 200
    assert response.json() == client.post("/predict/single", text).json() != expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ([], ""),
        ({"id": 1, "MRR": 5}, "MRR"),
        ({"id": 1, "usage": [week("2019-08-05", USERS_EMAIL=1)]}, "usage[0].USERS_EMAIL"),
        ({"id": 1, "usage": [week("2039-08-05")]}, "usage[0].WHEN_TIMESTAMP"),
        ({"id": 1, "companies": []}, "companies"),
        ('{"id": 1, "ALEXA_RANK": NaN}', "ALEXA_RANK"),
        ('{"id": 1, "ALEXA_RANK": 1e999}', "ALEXA_RANK"),
        ('{"id": 1, "ALEXA_RANK": -Infinity}', "ALEXA_RANK"),
    ],
)
def test_a_company_that_is_refused(client: Client, body: object, field: str) -> None:
    assert fields_of(client.post("/predict/single", body)) == [field]


@pytest.mark.parametrize("path", ["/predict/single", "/predict"])
@pytest.mark.parametrize("body", ["", "{", "x", b"\xff\xfe", b"\x00", "[" * 15_000, '{"a":' * 3_000])
def test_no_json(client: Client, path: str, body: str | bytes) -> None:
    assert error_of(client.post(path, body), 400).detail == []


# Many


def test_answers_keep_the_order(client: Client, pipeline: Pipeline) -> None:
    companies = [
        EXAMPLE,
        history(pipeline, pipeline.leads["id"].iloc[0]),
        {"id": 5},
        EXAMPLE,
        {"id": -5, "usage": [], "as_of": "2019-07-03"},
    ]
    response = client.post("/predict", {"companies": companies})
    assert response.status_code == 200
    assert tuple(response.json()) == ("predictions", "model_version")
    answer = MESSAGES.predictions.model_validate_json(response.content, strict=True, extra="forbid")
    assert answer.model_version == VERSION
    assert [one.company_id for one in answer.predictions] == [company["id"] for company in companies]
    assert answer.predictions[0] == answer.predictions[3]
    for company, found in zip(companies, response.json()["predictions"], strict=True):
        assert tuple(found) == KEYS
        alone = client.post("/predict/single", company).json()
        probability = alone.pop("conversion_probability")
        assert found.pop("conversion_probability") == pytest.approx(probability, abs=2e-9)
        assert found == alone


def test_a_batch_of_none(client: Client) -> None:
    assert client.post("/predict", {"companies": []}).json() == {
        "predictions": [],
        "model_version": VERSION,
    }


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"id": "x"}, "companies[2].id"),
        ({"id": 1, "MRR": 2}, "companies[2].MRR"),
        (
            {"id": 1, "usage": [week("2019-08-05"), week("2019-08-05")]},
            "companies[2].usage[1].WHEN_TIMESTAMP",
        ),
        ({"id": 1, "usage": [week("2019-08-05", USERS_EMAIL=1)]}, "companies[2].usage[0].USERS_EMAIL"),
        (None, "companies[2]"),
        ("usage", "companies[2]"),
    ],
)
def test_one_bad_company_refuses_all(pipeline: Pipeline, bad: object, field: str) -> None:
    recorded: list[int] = []
    client = Client(state_of(pipeline, log_predictions=lambda companies, _: recorded.append(len(companies))))
    response = client.post("/predict", {"companies": [EXAMPLE, {"id": 1, "usage": []}, bad, EXAMPLE]})
    assert fields_of(response) == [field]
    assert recorded == []
    assert "conversion_predictions_total{" not in client.get("/metrics").text


def test_more_companies_than_allowed(client: Client) -> None:
    assert client.post("/predict", {"companies": [EXAMPLE] * 5}).status_code == 200
    response = client.post("/predict", {"companies": [EXAMPLE] * 6})
    assert fields_of(response) == ["companies"]
    assert response.json()["error"] == "companies: given 6 items, allowed is 5 items at most"


@pytest.mark.parametrize("body", [{}, [], {"companies": None}, {"companies": {}}, {"companies": [], "x": 1}])
def test_a_batch_that_is_refused(client: Client, body: object) -> None:
    assert fields_of(client.post("/predict", body)) in (["companies"], [""], ["x"])


def test_what_was_predicted_is_recorded(pipeline: Pipeline) -> None:
    recorded: list[tuple[Sequence[Any], Sequence[Any]]] = []
    client = Client(state_of(pipeline, log_predictions=lambda *both: recorded.append(both)))
    client.post("/predict/single", EXAMPLE)
    answer = client.post("/predict", {"companies": [{"id": 5}, {"id": 6, "usage": []}]})
    client.post("/predict/single", {"id": "x"})
    (one, _), (two, predictions) = recorded
    assert [company.id for company in (*one, *two)] == [123, 5, 6]
    assert isinstance(two[1], History)
    found = client.state.messages.predictions.model_validate_json(answer.content)
    assert found.predictions == list(predictions)


def test_the_model_is_asked_once_for_each_kind(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is two calls, however many companies it has."""
    asked: list[int] = []
    original = ConversionModel.probability_with_contributions

    def count(model: ConversionModel, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(values))
        return original(model, values)

    monkeypatch.setattr(ConversionModel, "probability_with_contributions", count)
    body = {"companies": [{"id": 1}, {"id": 2, "usage": []}, {"id": 3}, {"id": 4, "usage": []}, {"id": 5}]}
    answers = Client(state_of(pipeline)).post("/predict", body).json()["predictions"]
    assert sorted(asked) == [2, 3]
    assert all(math.isfinite(answer["conversion_probability"]) for answer in answers)
