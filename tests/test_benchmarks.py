from __future__ import annotations

import importlib
import sys

import pytest

from benchmarks import features
from tests.clone import ROOT


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


def test_features_are_timed_by_the_number_of_modules(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(features, "MOST", 1000.0)  # one round tells nothing of the time
    monkeypatch.setattr(sys, "argv", ["features", "--rounds", "1", "--companies", "20"])
    features.main()
    assert '"companies": 20' in capsys.readouterr().out
