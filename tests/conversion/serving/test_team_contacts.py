"""The service of a contract that learns from contacts: clients send those of each week."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from conversion.config.contacts_contract import TEAM_CONTACTS
from conversion.config.data_contract import Contract
from conversion.serving.contract_messages import build_messages
from conversion.serving.predictor import predict
from tests.contract_files import hubspot, projects
from tests.exports import projects_export, tiny_export
from tests.pipeline import Pipeline, small_params
from tests.serving import history, predictor_of

CONTRACTS = {"hubspot": hubspot, "projects": projects}
CONTACTS = {
    "table": "calls", "id": "company", "when": "day", "outcome": "outcome",
    "outcomes": {"reached": ["short call"], "missed": ["voicemail"]}, "feature": True,
}  # fmt: skip


@functools.cache
def pipeline(name: str) -> Pipeline:
    contract = Contract.model_validate(CONTRACTS[name]().model_dump() | {"contacts": CONTACTS})
    tables = tiny_export() if name == "hubspot" else projects_export(companies=240, weeks=40)
    rng = np.random.default_rng(5)
    key, time = contract.companies.id, contract.usage.time
    ids = pd.concat([tables[table][key] for table in contract.companies.tables]).drop_duplicates()
    days = pd.to_datetime(tables[contract.usage.table][time])
    first, span = days.min(), (days.max() - days.min()).days
    calls = pd.DataFrame(
        {
            "company": rng.choice(ids.to_numpy(), 500),
            "day": first + pd.to_timedelta(rng.integers(0, span, 500), unit="D"),
            "outcome": rng.choice(["short call", "voicemail"], 500),
        }
    )
    params = small_params(model__logistic_regression__quadratic=["auto"])
    return Pipeline(tables | {"calls": calls}, params, contract)


def request_of(made: Pipeline, company: Any) -> dict[str, Any]:
    rows = made.usage[made.usage["id"] == company]
    found = history(made, company)
    for week, contacts in zip(found["usage"], rows[TEAM_CONTACTS], strict=True):
        week[TEAM_CONTACTS] = contacts
    return found


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_prospect_scores_as_on_the_list(name: str) -> None:
    made = pipeline(name)
    assert any(TEAM_CONTACTS in feature.name for feature in made.model.features)
    messages, leads = build_messages(made.contract), made.leads
    requests = [
        messages.history.model_validate_json(json.dumps(request_of(made, each))) for each in leads["id"]
    ]
    found = predict(predictor_of(made), requests, [""] * len(requests))
    probability = [answer.conversion_probability for answer in found]
    np.testing.assert_allclose(probability, leads["probability"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CONTRACTS)
def test_contacts_that_are_no_number_are_refused(name: str) -> None:
    made = pipeline(name)
    company = made.usage.loc[made.usage[TEAM_CONTACTS] > 0, "id"].iloc[0]
    request = request_of(made, company)
    request["usage"][0][TEAM_CONTACTS] = "two"
    with pytest.raises(ValidationError, match=TEAM_CONTACTS):
        build_messages(made.contract).history.model_validate_json(json.dumps(request))
