from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def shipped(root: Path) -> str:
    return (root / "params.yaml").read_text(encoding="utf-8")
