"""The files of a sample: block after block, one format at a time, complete or as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from conversion.runtime.files import write_csv, write_parquet
from conversion.simulation.blocks import draw_blocks
from conversion.simulation.export import Sample, as_text
from conversion.simulation.sample_files import write_csv_sample, write_parquet_sample, write_together
from conversion.simulation.vocabulary import COLUMNS, NONCUSTOMERS, USAGE_ACTIONS
from tests.samples import FIRST_WEEK


@pytest.fixture(scope="module")
def three() -> list[Sample]:
    return list(draw_blocks(1500, 30, FIRST_WEEK, 3, most=500))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestCsv:
    def test_one_block_has_the_bytes_of_whole_tables(self, small: Sample, tmp_path: Path) -> None:
        rows = write_csv_sample([small], tmp_path / "sample", tmp_path / "truth.parquet")
        for name, table in as_text(small).items():
            write_csv(tmp_path / "whole.csv", table)
            assert (tmp_path / f"sample/{name}.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
            assert rows[name] == len(table)
        write_parquet(tmp_path / "whole.parquet", small.truth)
        assert (tmp_path / "truth.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()

    def test_blocks_follow_each_other_under_one_header(self, three: list[Sample], tmp_path: Path) -> None:
        rows = write_csv_sample(three, tmp_path / "sample", tmp_path / "truth.parquet")
        for name, columns in COLUMNS.items():
            read = pd.read_csv(tmp_path / f"sample/{name}.csv")
            expected = pd.concat([as_text(block)[name] for block in three])
            assert set(read.columns) == set(columns)
            assert read["id"].tolist() == expected["id"].tolist()
            assert rows[name] == len(read)
        truth = pd.read_parquet(tmp_path / "truth.parquet")
        assert len(truth) == rows["truth"] == sum(len(block.truth) for block in three)
        assert pq.read_metadata(tmp_path / "truth.parquet").num_row_groups == 3

    def test_a_block_is_written_before_the_next_is_drawn(self, three: list[Sample], tmp_path: Path) -> None:
        sizes = []

        def drawn() -> Iterator[Sample]:
            for block in three:
                sizes.append(sum(path.stat().st_size for path in tmp_path.rglob("*.tmp.csv")))
                yield block

        write_csv_sample(drawn(), tmp_path, tmp_path / "truth.parquet")
        assert sizes[0] == 0
        assert sizes[2] > sizes[1] > 0

    def test_an_error_leaves_the_last_sample(self, three: list[Sample], tmp_path: Path) -> None:
        def broken() -> Iterator[Sample]:
            yield three[1]
            raise RuntimeError("drawing failed")

        write_csv_sample(three[:1], tmp_path / "sample", tmp_path / "truth.parquet")
        before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
        with pytest.raises(RuntimeError, match="drawing failed"):
            write_csv_sample(broken(), tmp_path / "sample", tmp_path / "truth.parquet")
        assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


class TestParquet:
    def test_one_block_is_a_file_a_table(self, small: Sample, tmp_path: Path) -> None:
        write_parquet_sample([small], 1, tmp_path / "sample", tmp_path / "truth.parquet")
        assert names(tmp_path / "sample") == sorted(f"{name}.parquet" for name in COLUMNS)
        read = pd.read_parquet(tmp_path / "sample/usage_actions.parquet")
        pd.testing.assert_frame_equal(read, small.usage_actions)

    def test_several_blocks_are_a_folder_a_table(self, three: list[Sample], tmp_path: Path) -> None:
        rows = write_parquet_sample(three, 3, tmp_path / "sample", tmp_path / "truth.parquet")
        assert names(tmp_path / "sample") == sorted(
            f"{name}/part-{number:05d}.parquet" for name in COLUMNS for number in range(3)
        )
        read = pd.read_parquet(tmp_path / "sample/noncustomers/part-00001.parquet")
        pd.testing.assert_frame_equal(read, three[1].noncustomers.astype(read.dtypes))
        assert rows[NONCUSTOMERS] == sum(len(block.noncustomers) for block in three)

    def test_only_the_last_run_s_files_remain(self, three: list[Sample], tmp_path: Path) -> None:
        folder, truth = tmp_path / "sample", tmp_path / "truth.parquet"
        write_csv_sample(three, folder, truth)
        write_parquet_sample(three, 3, folder, truth)
        write_parquet_sample(three[:2], 2, folder, truth)
        assert len(names(folder)) == 2 * len(COLUMNS)
        write_parquet_sample(three[:1], 1, folder, truth)
        assert names(folder) == sorted(f"{name}.parquet" for name in COLUMNS)
        assert not (folder / USAGE_ACTIONS).exists()
        (folder / "notes.txt").write_text("of a user", encoding="utf-8")
        write_csv_sample(three, folder, truth)
        assert names(folder) == sorted(["notes.txt", *(f"{name}.csv" for name in COLUMNS)])


def test_written_together_or_not_at_all(tmp_path: Path) -> None:
    def half(temporaries: tuple[Path, ...]) -> None:
        temporaries[0].write_text("new", encoding="utf-8")
        raise RuntimeError("no second file")

    (tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no second file"):
        write_together((tmp_path / "a", tmp_path / "b"), half)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"a": "old"}
