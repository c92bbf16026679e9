"""A typed client of the service: it shows the first leads, then predicts one of them again from its usage.

    python examples/client.py http://localhost:8000

If the service requires a token, set CONVERSION_API_TOKEN. The client needs httpx and nothing of this project.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict, cast

import httpx


class UsageWeek(TypedDict):
    """One week of usage; ``WHEN_TIMESTAMP`` is its Monday."""

    WHEN_TIMESTAMP: str
    ACTIONS_CRM_CONTACTS: int
    ACTIONS_CRM_COMPANIES: int
    ACTIONS_CRM_DEALS: int
    ACTIONS_EMAIL: int
    USERS_CRM_CONTACTS: int
    USERS_CRM_COMPANIES: int
    USERS_CRM_DEALS: int
    USERS_EMAIL: int


class Company(TypedDict):
    """A company with its weekly usage; None means unknown."""

    id: int
    ALEXA_RANK: NotRequired[float | None]
    EMPLOYEE_RANGE: NotRequired[str | None]
    INDUSTRY: NotRequired[str | None]
    usage: list[UsageWeek]
    as_of: NotRequired[str]


class Prediction(TypedDict):
    """The service's answer for one company."""

    company_id: int
    conversion_probability: float
    prediction: Literal[0, 1]
    confidence: Literal["high", "medium", "low"]
    tier: Literal["very_high", "high", "medium", "low"]
    reasons: list[str]
    basis: Literal["summary", "history"]
    as_of: str | None
    model_version: str


class Lead(TypedDict):
    """One row of the lead list; a single lead has ``usage`` too. The service sends more keys than these."""

    rank: int
    id: int
    probability: float
    tier: str
    ALEXA_RANK: float | None
    EMPLOYEE_RANGE: str | None
    INDUSTRY: str | None
    reasons: list[str]
    usage: NotRequired[list[UsageWeek]]


def predict(client: httpx.Client, companies: Sequence[Company]) -> list[Prediction]:
    """Predict conversion for companies, in the given order.

    Raises
    ------
    ValueError
        The service refuses the request; the message names the field.
    """
    return cast(
        list[Prediction], _answer(client.post("/predict", json={"companies": companies}))["predictions"]
    )


def first_leads(client: httpx.Client, count: int) -> list[Lead]:
    """Get the first leads of the list."""
    return cast(list[Lead], _answer(client.get("/leads", params={"limit": count}))["leads"])


def lead(client: httpx.Client, company_id: int) -> Lead:
    """Get one lead with its usage."""
    return cast(Lead, _answer(client.get(f"/leads/{company_id}")))


def _answer(response: httpx.Response) -> dict[str, object]:
    if response.is_client_error:
        raise ValueError(response.json()["error"])
    response.raise_for_status()
    return cast(dict[str, object], response.json())


def main() -> None:
    """Print the first leads, and the prediction and reasons for the first one."""
    parser = argparse.ArgumentParser(description="show the first leads of the service")
    parser.add_argument("url", nargs="?", default="http://localhost:8000")
    token = os.environ.get("CONVERSION_API_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=parser.parse_args().url, headers=headers, timeout=30) as client:
        leads = first_leads(client, 5)
        for each in leads:
            print(f"{each['rank']:>3}  company {each['id']}  {each['probability']:.3f}  {each['tier']}")
        found = lead(client, leads[0]["id"])
        company: Company = {
            "id": found["id"],
            "ALEXA_RANK": found["ALEXA_RANK"],
            "EMPLOYEE_RANGE": found["EMPLOYEE_RANGE"],
            "INDUSTRY": found["INDUSTRY"],
            "usage": found["usage"],
        }
        (prediction,) = predict(client, [company])
        print(f"company {prediction['company_id']} again: {prediction['conversion_probability']:.3f}")
        for reason in prediction["reasons"]:
            print(f"  {reason}")


if __name__ == "__main__":
    main()
