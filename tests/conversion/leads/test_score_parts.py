from __future__ import annotations

import functools
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from conversion.engine.one_run import one_run
from conversion.leads import lead_files, lead_writers, score_parts, usage_file
from conversion.leads.lead_files import FOLDER
from conversion.leads.score_parts import added
from conversion.modelling.artifact import save_model
from conversion.modelling.evidence import EVIDENCE
from conversion.runtime.errors import EngineError, OutputError
from conversion.runtime.files import write_json, write_parquet
from conversion.runtime.parts import part_path
from conversion.runtime.scratch import scratch_folder
from conversion.stats.hashing import part_of
from stages import score
from tests.full_disk import full_disk
from tests.pipeline import Pipeline, dirty_export, small_params

ABOUT_THE_INPUT = {"manifest.json"}


@functools.cache
def pipeline() -> Pipeline:
    return Pipeline(dirty_export(), small_params(model__type="xgboost", data__as_of="2019-08-26"))


def lay_out(how: str, parts: int) -> None:
    """Put all that the stage reads into the working directory, the tables in parts."""
    made = pipeline()
    params = small_params(model__type="xgboost", score__format=how, score__top_n=7)
    Path("params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    write_json("data/clean/export.json", {"as_of": f"{made.as_of:%Y-%m-%d}"})
    write_json("data/contract.json", made.contract.model_dump(mode="json"))
    write_json(EVIDENCE, made.evidence.model_dump(by_alias=True))
    save_model(made.model, {"model_type": "xgboost"})
    tables = {
        "clean/companies": made.clean.companies,
        "clean/usage": made.clean.usage,
        "clean/subscriptions": made.clean.periods,
        **{f"features/{name}": getattr(made, name) for name in ("train", "latest", "previous")},
    }
    for name, table in tables.items():
        of_row = part_of(table["id"], parts)
        for part in range(parts):
            rows = table[of_row == part].reset_index(drop=True)
            write_parquet(part_path(f"data/{name}.parquet", part, parts), rows)


def written(folder: Path, how: str, parts: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Run the stage on tables in parts; return the files that it wrote."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    lay_out(how, parts)
    score.main()
    files = {each.name: each.read_bytes() for each in Path(FOLDER).iterdir()}
    return files | {"drift.json": Path("metrics/drift.json").read_bytes()}


@pytest.mark.parametrize("how", ["csv", "json", "parquet"])
@pytest.mark.parametrize("block_rows", [lead_writers.BLOCK_ROWS, 16])
def test_the_list_does_not_depend_on_the_number_of_parts(
    how: str, block_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lead_files, score_parts):
        monkeypatch.setattr(module, "BLOCK_ROWS", block_rows)
    one, several = (written(tmp_path / f"{parts}", how, parts, monkeypatch) for parts in (1, 5))
    assert set(one) == set(several)
    different = {name for name, content in one.items() if several[name] != content}
    assert different <= ABOUT_THE_INPUT


@pytest.mark.parametrize("how", ["csv", "json"])
def test_text_does_not_depend_on_the_size_of_blocks(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(tmp_path / "whole", how, 1, monkeypatch)
    for module in (lead_files, score_parts):
        monkeypatch.setattr(module, "BLOCK_ROWS", 16)
    blocks = written(tmp_path / "blocks", how, 1, monkeypatch)
    for name in (f"leads.{how}", f"top_leads.{how}"):
        assert blocks[name] == whole[name]


def test_each_block_is_a_row_group_in_the_order_of_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lead_files, score_parts):
        monkeypatch.setattr(module, "BLOCK_ROWS", 16)
    written(tmp_path / "project", "parquet", 5, monkeypatch)
    leads, contributions = (pq.ParquetFile(f"{FOLDER}/{name}.parquet") for name in ("leads", "contributions"))
    prospects = len(pipeline().latest)
    assert leads.num_row_groups == contributions.num_row_groups == -(-prospects // 16) > 1
    assert leads.read(["rank"])["rank"].to_pylist() == list(range(1, prospects + 1))
    assert leads.read(["id"])["id"].to_pylist() == pipeline().leads["id"].tolist()


def test_usage_in_parts_is_merged_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_file, "GROUP_ROWS", 100)
    monkeypatch.setattr(usage_file, "READ_ROWS", 7)
    monkeypatch.chdir(tmp_path)
    lay_out("csv", 4)
    usage_file.copy_usage(Path("data/clean/usage.parquet"), tmp_path / "usage.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet("usage.parquet"), pipeline().usage)
    file = pq.ParquetFile("usage.parquet")
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert len(sizes) > 1
    assert set(sizes[:-1]) == {100}


def test_counts_of_parts_are_added_up() -> None:
    one, other = {"country": {"AT": 3, "CH": 2}}, {"country": {"CH": 4}, "plan": {"x": 1}}
    assert added(one, other) == {"country": {"CH": 6, "AT": 3}, "plan": {"x": 1}}
    assert list(added(one, other)["country"]) == ["CH", "AT"]
    assert added({}, {}) == {}


def test_a_full_disk_is_one_message_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("csv", 2)
    message = r"data/\.leads\.\d+\.tmp/0000\d-.*\.npy: cannot be written: .*check the disk"
    with pytest.raises(OutputError, match=message), full_disk(200):
        score.main()
    assert not [*Path(FOLDER).glob("*"), *Path(FOLDER).parent.glob(".*")]


def test_a_run_does_not_remove_what_another_one_has_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("csv", 2)
    with one_run("score"), scratch_folder(Path(FOLDER)) as folder:
        with pytest.raises(EngineError, match="another run of score is at work"):
            score.main()
        assert folder.is_dir()
    assert not [*Path(FOLDER).glob("*"), *Path(FOLDER).parent.glob(".*")]
