"""Reading YAML; what is refused in params.yaml is in the tests of the params."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conversion.runtime.yaml_values import read_own
from tests.clone import ROOT


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock"])
def test_dvcs_files_are_read_the_same_with_and_without_libyaml(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = read_own(ROOT / name)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert read_own(ROOT / name) == fast
    assert fast["stages"]


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dvc.yaml"
    path.write_text("stages: [", encoding="utf-8")
    with pytest.raises(yaml.YAMLError):
        read_own(path)
