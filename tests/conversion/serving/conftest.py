"""A small model and the service that serves it, for the tests of its routes."""

from __future__ import annotations

import pytest

from tests.pipeline import Pipeline
from tests.serving import Client, small_pipeline, state_of


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return small_pipeline()


@pytest.fixture(scope="module")
def client(pipeline: Pipeline) -> Client:
    return Client(state_of(pipeline, max_companies=5, max_body_bytes=20_000))
