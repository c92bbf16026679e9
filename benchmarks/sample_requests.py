"""Requests for benchmarks, of whatever contract is served: made of the service's OpenAPI document."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class SampleRequests:
    """What an OpenAPI document shows of companies.

    Attributes
    ----------
    document
        The document.
    """

    document: Json

    @property
    def summary(self) -> Json:
        """The document's example of lifetime totals."""
        return self._example("summary")

    def history(self, weeks: int) -> Json:
        """Return the document's example of weekly usage, with so many weeks."""
        example = self._example("history")
        (week,) = example["usage"]
        return example | {"usage": [self._weeks_before(week, back) for back in range(weeks)][::-1]}

    def company(self, rng: random.Random, with_usage: bool) -> Json:
        """Return a company of up to a year of usage, or a summary; some have almost no values."""
        example = self._example("history")
        schemas = self.document["components"]["schemas"]["History"]["properties"]
        known = {
            name: _drawn(rng, schemas[name], value)
            for name, value in example.items()
            if name not in ("id", "as_of", "usage")
        }
        company = {"id": type(example["id"])(rng.randrange(10**9))} | known
        if not with_usage:
            totals = [name for name in self.summary if name not in example and rng.random() < 0.9]
            return company | {name: rng.randrange(400) for name in totals}
        (week,) = example["usage"]
        backs = rng.sample(range(52), rng.randrange(53))
        usage = [_scaled(self._weeks_before(week, back), rng.randrange(20)) for back in backs]
        return company | {"as_of": example["as_of"], "usage": usage}

    def wrong_summaries(self, rng: random.Random) -> Iterator[Json]:
        """Return summaries with one value that the document does not allow."""
        from jsonschema import Draft202012Validator

        schemas = self.document["components"]["schemas"]
        validator = Draft202012Validator(schemas["Summary"] | {"components": {"schemas": schemas}})
        for name in self.summary:
            values: tuple[Any, ...] = ("x" * rng.randrange(1, 300), -1, [], {}, True, [[[]]])
            for value in values:
                if not validator.is_valid(wrong := {**self.summary, name: value}):
                    yield wrong

    def _example(self, kind: str) -> Json:
        body = self.document["paths"]["/predict/single"]["post"]["requestBody"]
        return dict(body["content"]["application/json"]["examples"][kind]["value"])

    def _weeks_before(self, week: Json, back: int) -> Json:
        (time,) = (name for name, value in week.items() if isinstance(value, str))
        day = dt.date.fromisoformat(week[time]) - dt.timedelta(weeks=back)
        return week | {time: day.isoformat()}


def sample_requests(folder: Path) -> SampleRequests:
    """Return the requests of the contract in a project's folder, see ``data/contract.json``."""
    from conversion.config.contract_file import load_contract
    from conversion.serving.contract_messages import build_messages
    from conversion.serving.openapi import openapi_document

    messages = build_messages(load_contract(folder / "data/contract.json"))
    return SampleRequests(json.loads(openapi_document(messages, 1000)))


def _drawn(rng: random.Random, schema: Json, example: Any) -> Any:
    """Draw a value of a field: mostly a right one, of a category also one that nobody has seen."""
    if rng.random() < 0.15:
        return None
    kind = schema["anyOf"][0]
    if "enum" in kind:
        return rng.choice(kind["enum"])
    if kind.get("type") == "boolean":
        return rng.random() < 0.5
    if kind.get("type") == "number":
        high = min(kind["maximum"], 2.0**25)
        return rng.uniform(max(kind.get("minimum", 0.0), 1e-3), high)
    return example if "format" in kind or rng.random() < 0.5 else rng.choice(["Travel", "Zauberei", ""])


def _scaled(week: Json, factor: int) -> Json:
    return {name: value if isinstance(value, str) else value * factor for name, value in week.items()}
