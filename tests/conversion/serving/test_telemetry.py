from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conversion.serving.messages import Basis, Prediction, Tier
from conversion.serving.telemetry import SCORE_BUCKETS, Telemetry
from tests.serving import EXAMPLE, VERSION, Client, small_pipeline, state_of

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(telemetry: Telemetry) -> Samples:
    text = telemetry.exposition()[0].decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(telemetry: Telemetry, name: str, **labels: str) -> float:
    return samples(telemetry).get((name, frozenset(labels.items())), 0.0)


def by_label(telemetry: Telemetry, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(dict(given)[label] for label in labels): count
        for (sample, given), count in samples(telemetry).items()
        if sample == name
    }


def answer(probability: float, tier: Tier = "low", basis: Basis = "summary") -> Prediction:
    return Prediction(
        company_id=1,
        conversion_probability=probability,
        prediction=0,
        confidence="low",
        tier=tier,
        reasons=[],
        caution=None,
        evidence=None,
        fit=0.5,
        activity=-1.5,
        basis=basis,
        as_of=None,
        model_version=VERSION,
    )


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("conversion", "test")


def test_predictions_are_counted_by_basis_and_tier(telemetry: Telemetry) -> None:
    telemetry.count_predictions([answer(0.1), answer(0.2), answer(0.9, "very_high", "history")])
    telemetry.count_predictions([answer(0.1, "high", "history"), answer(0.3)])
    telemetry.count_predictions([])
    assert by_label(telemetry, "conversion_predictions_total", "basis", "tier") == {
        ("summary", "low"): 3,
        ("history", "very_high"): 1,
        ("history", "high"): 1,
    }


def test_scores_are_counted_in_buckets(telemetry: Telemetry) -> None:
    scores = [0.0, 0.001, 0.0011, 0.3, 0.5, 0.7, 1.0]
    telemetry.count_predictions([answer(score) for score in scores])
    found = {
        float(low): count for (low,), count in by_label(telemetry, "conversion_score_bucket", "le").items()
    }
    expected = {bound: sum(score <= bound for score in scores) for bound in (*SCORE_BUCKETS, math.inf)}
    assert found == expected
    assert value(telemetry, "conversion_score_count") == len(scores)
    assert value(telemetry, "conversion_score_sum") == pytest.approx(sum(scores))


def test_refusals_are_counted_by_reason(telemetry: Telemetry) -> None:
    for _ in range(3):
        telemetry.count_refused("invalid_field")
    telemetry.count_refused("too_large")
    assert by_label(telemetry, "conversion_rejected_total", "reason") == {
        ("invalid_field",): 3,
        ("too_large",): 1,
    }


def test_requests_are_timed_and_counted(telemetry: Telemetry) -> None:
    with telemetry.request() as observed:
        observed.endpoint, observed.status = "/predict", 422
    with pytest.raises(ZeroDivisionError), telemetry.request() as observed:
        raise ZeroDivisionError
    requests = by_label(telemetry, "bentoml_service_request_total", "endpoint", "http_response_code")
    assert requests == {("/predict", "422"): 1, ("other", "500"): 1}
    durations = by_label(telemetry, "bentoml_service_request_duration_seconds_count", "endpoint")
    assert durations == {("/predict",): 1, ("other",): 1}
    names = ("service_name", "service_version", "runner_name")
    assert set(by_label(telemetry, "bentoml_service_request_total", *names)) == {
        ("conversion", "test", "conversion")
    }


def test_two_telemetries_count_apart(telemetry: Telemetry) -> None:
    telemetry.count_refused("method")
    assert value(Telemetry("conversion", "test"), "conversion_rejected_total", reason="method") == 0


def test_what_the_routes_count() -> None:
    client = Client(state_of(small_pipeline(), max_body_bytes=5000))
    telemetry = client.state.telemetry
    first, second = (int(company) for company in small_pipeline().leads["id"][:2])
    client.post("/predict/single", EXAMPLE)
    client.post("/predict", {"companies": [EXAMPLE, {"id": 1, "usage": []}, {"id": 2, "usage": []}]})
    client.post("/predict/single", "{")
    client.post("/predict/single", {"id": "x"})
    client.post("/predict", {"companies": [EXAMPLE, {"id": 1, "MRR": 3}]})
    client.post("/predict", " " * 5001)
    client.post("/predict", "{}", headers={"content-type": "text/plain"})
    for path in (f"/leads/{first}", f"/leads/{second}", "/leads/1", "/leads?limit=0", "/leads", "/livez"):
        client.get(path)
    for path in ("/nowhere", "/nowhere/else", "/leads/1/2", "/predict/single"):
        client.get(path)

    counted = by_label(telemetry, "conversion_predictions_total", "basis", "tier")
    assert sum(count for (basis, _), count in counted.items() if basis == "summary") == 2
    assert sum(count for (basis, _), count in counted.items() if basis == "history") == 2
    assert value(telemetry, "conversion_score_count") == 4
    assert by_label(telemetry, "conversion_rejected_total", "reason") == {
        ("invalid_json",): 1,
        ("invalid_field",): 3,
        ("too_large",): 1,
        ("media_type",): 1,
        ("not_found",): 4,
        ("method",): 1,
    }
    requests = by_label(telemetry, "bentoml_service_request_total", "endpoint", "http_response_code")
    assert requests == {
        ("/predict/single", "200"): 1,
        ("/predict/single", "400"): 1,
        ("/predict/single", "422"): 1,
        ("/predict/single", "405"): 1,
        ("/predict", "200"): 1,
        ("/predict", "422"): 1,
        ("/predict", "413"): 1,
        ("/predict", "415"): 1,
        ("/leads/{id}", "200"): 2,
        ("/leads/{id}", "404"): 1,
        ("/leads", "200"): 1,
        ("/leads", "422"): 1,
        ("/livez", "200"): 1,
        ("other", "404"): 3,
    }


def test_clients_cannot_make_series() -> None:
    client = Client(state_of(small_pipeline(), token="secret"))
    for company in range(20):
        client.get(f"/leads/{company}")
        client.get(f"/static_content/{company}.js")
        client.get(f"/{company}")
        client.request("POST", f"/livez/{company}")
    names = by_label(client.state.telemetry, "bentoml_service_request_total", "endpoint")
    assert set(names) <= {("/leads/{id}",), ("other",)}


def test_the_exposition_is_prometheus_own() -> None:
    client = Client(state_of(small_pipeline()))
    client.post("/predict/single", EXAMPLE)
    exposed = client.get("/metrics")
    assert exposed.status_code == 200
    assert exposed.headers["content-type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(exposed.text)}
    assert {
        "conversion_predictions",
        "conversion_score",
        "conversion_rejected",
        "bentoml_service_request",
        "bentoml_service_request_duration_seconds",
    } <= names
