from __future__ import annotations

from pathlib import Path

import pytest

from tests.broken_exports import Tables, lay_out_params
from tests.exports import tiny_export


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run the stage in, whose params point at its ``export``."""
    lay_out_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tiny_export(companies=40, weeks=12)
