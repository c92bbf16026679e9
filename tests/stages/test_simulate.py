from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stages import simulate as stage


class TestReproducible:
    def test_same_seed_same_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        text = (Path(stage.__file__).parents[1] / "params.yaml").read_text(encoding="utf-8")
        written = []
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            small_text = text.replace("companies: 20000", "companies: 500").replace("weeks: 82", "weeks: 30")
            (folder / "params.yaml").write_text(small_text, encoding="utf-8")
            monkeypatch.chdir(folder)
            stage.main()
            written.append({path.name: path.read_bytes() for path in sorted((folder / "data").rglob("*.*"))})
            shutil.rmtree(folder)
        assert sorted(written[0]) == [
            "customers.csv",
            "noncustomers.csv",
            "truth.parquet",
            "usage_actions.csv",
        ]
        assert written[0] == written[1]
