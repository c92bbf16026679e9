"""A typed client of the service: it shows the first leads, then predicts one of them again from its usage.

    python examples/client.py http://localhost:8000

It works with every contract: the service's OpenAPI document names the columns of a company. If the service
requires a token, set CONVERSION_API_TOKEN. The client needs httpx and nothing of this project.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict, cast
from urllib.parse import quote

import httpx

Company = dict[str, object]
"""``id``, the attributes, ``usage`` (a list of weeks) and, if wanted, ``as_of``; None means unknown."""
UsageWeek = dict[str, str | float | None]
"""One week of usage: its first day, and the counts."""


class Prediction(TypedDict):
    """The service's answer for one company."""

    company_id: int | str
    conversion_probability: float
    prediction: Literal[0, 1]
    confidence: Literal["high", "medium", "low"]
    tier: Literal["very_high", "high", "medium", "low"]
    reasons: list[str]
    caution: str | None
    evidence: str | None
    fit: float
    activity: float
    basis: Literal["summary", "history"]
    as_of: str | None
    model_version: str


class Lead(TypedDict):
    """One row of the lead list; a single lead has ``usage`` too. The contract's columns are beside these."""

    rank: int
    id: int | str
    probability: float
    tier: Literal["very_high", "high", "medium", "low"]
    probability_before: float | None
    rank_before: int | None
    fit: float
    activity: float
    reasons: list[str]
    caution: str | None
    evidence: str
    rep: str | None
    moved: str | None
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


def lead(client: httpx.Client, company_id: int | str) -> Lead:
    """Get one lead with its usage."""
    return cast(Lead, _answer(client.get(f"/leads/{quote(str(company_id), safe='')}")))


def company_columns(client: httpx.Client) -> list[str]:
    """Name what the service reads of a company: ``id``, its attributes, ``usage``, ``as_of``."""
    document = client.get("/openapi.json").raise_for_status().json()
    return list(document["components"]["schemas"]["History"]["properties"])


def _answer(response: httpx.Response) -> dict[str, object]:
    if response.is_client_error:
        raise ValueError(response.json()["error"])
    response.raise_for_status()
    return cast(dict[str, object], response.json())


def main() -> None:
    """Print the first leads with their evidence, and the prediction for the first one with its reasons."""
    parser = argparse.ArgumentParser(description="show the first leads of the service")
    parser.add_argument("url", nargs="?", default="http://localhost:8000")
    token = os.environ.get("CONVERSION_API_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=parser.parse_args().url, headers=headers, timeout=30) as client:
        leads = first_leads(client, 5)
        for each in leads:
            print(f"{each['rank']:>3}  company {each['id']}  {each['probability']:.3f}  {each['tier']}")
            print(f"     {each['evidence']}")
        found = cast(Company, lead(client, leads[0]["id"]))
        company = {name: found[name] for name in company_columns(client) if name in found}
        (prediction,) = predict(client, [company])
        print(f"company {prediction['company_id']} again: {prediction['conversion_probability']:.3f}")
        for reason in prediction["reasons"]:
            print(f"  {reason}")
        if prediction["caution"]:
            print(f"  But: {prediction['caution']}")


if __name__ == "__main__":
    main()
