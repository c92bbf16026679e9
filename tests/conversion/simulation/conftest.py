from __future__ import annotations

import pytest

from conversion.simulation.export import Sample
from conversion.simulation.sample import simulate
from tests.samples import FIRST_WEEK, SEED


@pytest.fixture(scope="session")
def default() -> Sample:
    return simulate(20_000, 82, FIRST_WEEK, SEED)


@pytest.fixture(scope="session")
def small() -> Sample:
    return simulate(600, 40, FIRST_WEEK, 5)
