"""The pipeline on parts: the same bytes by every engine, the same model and list for any number of parts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from tests.exports import tiny_export, write_export
from tests.pipeline import run_stages, small_params

WRITTEN = ("data/clean", "data/features", "data/leads", "metrics", "models/model.joblib")
OF_ANY_PARTS = ("data/leads/leads.csv", "data/leads/contributions.parquet", "models/model.joblib")
ENGINES = {
    "one part": {},
    "local": {"data__part_rows": 1000},
    "processes": {"data__part_rows": 1000, "engine__workers": 2},
    "dask": {"data__part_rows": 1000, "engine__type": "dask", "engine__workers": 2},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders in which the pipeline ran, by engine."""
    folders = {}
    for name, given in ENGINES.items():
        folder = folders[name] = tmp_path_factory.mktemp(name.replace(" ", "_"))
        export = write_export(tiny_export(companies=400), folder / "export")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert (
                run_stages(folder, small_params(data__dir=str(export.relative_to(folder)), **given)) is None
            )
    return folders


def hashes(folder: Path) -> dict[str, str]:
    """Hash what the stages wrote."""
    files = [
        path
        for name in WRITTEN
        for path in ([folder / name] if (folder / name).is_file() else sorted((folder / name).rglob("*")))
        if path.is_file()
    ]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_every_engine_writes_the_bytes_of_the_local_one(engine: str, runs: dict[str, Path]) -> None:
    written = hashes(runs["local"])
    assert len([name for name in written if name.startswith("data/features/train.parquet/part-")]) > 2
    assert hashes(runs[engine]) == written


@pytest.mark.slow
def test_any_number_of_parts_gives_the_same_numbers(runs: dict[str, Path]) -> None:
    whole, parts = runs["one part"], runs["local"]
    for name in OF_ANY_PARTS:
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    for path in sorted((whole / "metrics").iterdir()):
        assert path.read_bytes() == (parts / "metrics" / path.name).read_bytes(), path.name
    usage, in_parts = (pd.read_parquet(folder / "data/leads/usage.parquet") for folder in (whole, parts))
    pd.testing.assert_frame_equal(usage, in_parts)
