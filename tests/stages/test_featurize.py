from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from conversion.config.params_file import load_params
from conversion.data.timeline import WEEK
from conversion.features import snapshots
from conversion.features.compute import compute_features, feature_definitions, feature_frame, feature_settings
from conversion.features.definitions import FeatureSettings
from conversion.features.feature_tables import write_tables
from conversion.runtime.errors import ExportError, InputError
from conversion.runtime.files import write_json
from conversion.runtime.parts import part_path
from conversion.stats.hashing import part_of
from stages import clean, featurize
from tests.contract_files import projects
from tests.exports import projects_export
from tests.memberships import memberships, memberships_export
from tests.pipeline import Pipeline, dirty_export, lay_out_typed, small_params

HORIZON = pd.Timedelta(days=30)


@functools.cache
def export() -> Pipeline:
    return Pipeline(dirty_export(), small_params())


def settings_of(pipeline: Pipeline) -> FeatureSettings:
    return feature_settings(pipeline.params.featurize, pipeline.contract)


# Weeks


def test_training_weeks_are_mature_and_backtest_weeks_begin_half_way() -> None:
    pipeline = export()
    first = pipeline.usage["WHEN_TIMESTAMP"].min()
    assert pipeline.as_of == first + 40 * WEEK
    assert pipeline.weeks[0] == first + WEEK
    assert pipeline.weeks[-1] == pipeline.cutoffs[-1] == first + 35 * WEEK
    assert pipeline.cutoffs[0] == first + 20 * WEEK
    assert len(pipeline.cutoffs) == 16


def test_the_first_cutoff_can_be_given() -> None:
    pipeline = Pipeline(
        dirty_export(),
        small_params(evaluate__first_cutoff="2019-08-05", evaluate__spacing_weeks=2, evaluate__refit_weeks=4),
    )
    assert [f"{week:%m-%d}" for week in pipeline.cutoffs] == ["08-05", "08-19", "09-02"]


@pytest.mark.parametrize(
    ("as_of", "first_cutoff", "match"),
    [
        ("2019-02-04", None, r"^usage_actions: no label is mature at 2019-02-04; .*horizon_days \(30\)"),
        (
            "2019-10-14",
            "2019-09-16",
            r"^evaluate.first_cutoff: no cutoff .* at 2019-10-14; choose .* from 2019-01-14 to 2019-09-09",
        ),
    ],
)
def test_too_short_an_export_is_refused(as_of: str, first_cutoff: str | None, match: str) -> None:
    pipeline = Pipeline(dirty_export(), small_params(data__as_of=as_of, evaluate__first_cutoff=first_cutoff))
    with pytest.raises(ExportError, match=match):
        snapshots.check_weeks(pipeline.weeks, pipeline.cutoffs, pipeline.as_of, 30, pipeline.contract)


def test_one_mature_week_is_enough_for_the_check() -> None:
    pipeline = export()
    snapshots.check_weeks(pipeline.weeks[:1], pipeline.cutoffs[:1], pipeline.as_of, 30, pipeline.contract)


# Chunks


@pytest.mark.parametrize("size", [9, 119, 10_000])
def test_the_size_of_a_chunk_changes_nothing(size: int) -> None:
    pipeline = export()
    other = Pipeline(dirty_export(), small_params(featurize__chunk_companies=size))
    pd.testing.assert_frame_equal(other.train, pipeline.train)
    pd.testing.assert_frame_equal(other.backtest, pipeline.backtest)
    pd.testing.assert_frame_equal(other.latest, pipeline.latest)


def test_a_chunk_of_one_changes_nothing() -> None:
    other = Pipeline(dirty_export(), small_params(featurize__chunk_companies=1))
    pd.testing.assert_frame_equal(other.latest, export().latest)


def test_chunks_hold_each_company_with_its_usage() -> None:
    pipeline = export()
    parts = list(snapshots.chunks(pipeline.clean, 11))
    for table in ("companies", "usage", "periods"):
        whole = getattr(pipeline.clean, table)
        assert len(whole)
        pd.testing.assert_frame_equal(pd.concat([getattr(part, table) for part in parts]), whole)
    for part in parts:
        assert len(part.companies) <= 11
        assert part.usage["id"].isin(part.companies["id"]).all()
        assert part.periods["id"].isin(part.companies["id"]).all()
    assert any(part.usage["id"].nunique() < len(part.companies) for part in parts)


# Snapshots


def test_training_snapshots_by_definition() -> None:
    pipeline = export()
    train = pipeline.train.merge(pipeline.companies[["id", "CLOSEDATE", "conversion_valid"]], on="id")
    after = train["CLOSEDATE"] - train["as_of"]
    assert not (after < pd.Timedelta(0)).any(), "nobody is a prospect after the conversion"
    converts = (after >= pd.Timedelta(0)) & (after < HORIZON)
    np.testing.assert_array_equal(train["label"] == 1, converts)
    assert train.loc[converts, "conversion_valid"].all(), "no quarantined conversion is a positive"
    assert not train.loc[train["label"] == 0, "conversion_valid"].all(), "its company was a prospect before"
    assert not train.duplicated(["id", "as_of"]).any()
    assert set(train["as_of"]) <= set(pipeline.weeks)


def test_all_positives_are_kept_and_negatives_stand_for_the_rest() -> None:
    sampled, whole = (
        Pipeline(
            dirty_export(),
            small_params(featurize__keep_negatives__seen=seen, featurize__keep_negatives__never_seen=never),
        ).train
        for seen, never in ((0.5, 0.2), (1.0, 1.0))
    )
    assert (whole["weight"] == 1).all()
    positives = [table[table["label"] == 1] for table in (sampled, whole)]
    pd.testing.assert_frame_equal(*(table.reset_index(drop=True) for table in positives))
    negatives = sampled[sampled["label"] == 0]
    assert set(negatives.loc[negatives["seen"] == 1, "weight"]) == {2.0}
    assert set(negatives.loc[negatives["seen"] == 0, "weight"]) == {5.0}
    for seen in (0, 1):
        kept = negatives.loc[negatives["seen"] == seen, "weight"].sum()
        assert kept == pytest.approx(((whole["label"] == 0) & (whole["seen"] == seen)).sum(), rel=0.15)
    of_whole = sampled.drop(columns="weight").merge(whole.drop(columns="weight"))
    assert len(of_whole) == len(sampled), "a kept snapshot is the same snapshot"


def test_an_export_with_fewer_snapshots_than_the_shares_are_for_keeps_more_of_them() -> None:
    pipeline = export()
    half = 2 * len(pipeline.companies) * len(pipeline.weeks)
    train = Pipeline(
        dirty_export(),
        small_params(
            featurize__keep_negatives__seen=0.6,
            featurize__keep_negatives__never_seen=0.2,
            featurize__keep_negatives__shares_from=half,
        ),
    ).train
    negatives = train[train["label"] == 0]
    assert set(negatives.loc[negatives["seen"] == 1, "weight"]) == {1.0}
    assert set(negatives.loc[negatives["seen"] == 0, "weight"]) == {2.5}


def test_backtest_snapshots_are_all_prospects() -> None:
    pipeline = export()
    companies = pipeline.companies.set_index("id")
    for cutoff, rows in pipeline.backtest.groupby("as_of"):
        prospects = companies.index[~(companies["CLOSEDATE"] < cutoff)]
        assert sorted(rows["id"]) == sorted(prospects)
    rows = pipeline.backtest.merge(
        companies[["CLOSEDATE", "conversion_valid", "MRR"]], left_on="id", right_index=True
    )
    soon = rows["CLOSEDATE"] < rows["as_of"] + HORIZON
    np.testing.assert_array_equal(rows["label"].isna(), soon & ~rows["conversion_valid"])
    np.testing.assert_array_equal(rows["label"] == 1, soon & rows["conversion_valid"])
    np.testing.assert_array_equal(rows["MRR_x"], np.where(rows["label"] == 1, rows["MRR_y"], 0.0))
    assert rows["label"].isna().any()


def test_prospects_to_score() -> None:
    pipeline = export()
    latest = pipeline.latest
    free = pipeline.companies[pipeline.companies["CLOSEDATE"].isna()]
    assert latest["id"].tolist() == free["id"].tolist()
    assert (latest["as_of"] == pipeline.as_of).all()
    assert list(latest)[2:] == [feature.name for feature in feature_definitions(settings_of(pipeline))]


def test_every_kind_of_snapshot_has_the_same_features() -> None:
    pipeline, settings = export(), settings_of(export())
    names = [feature.name for feature in feature_definitions(settings)]
    week = pipeline.cutoffs[3]
    values = compute_features(pipeline.companies, pipeline.usage, pd.DatetimeIndex([week]), settings)[:, 0]
    expected = feature_frame(values, settings, pipeline.recipe.levels).set_index(pipeline.companies["id"])
    for table in (pipeline.train, pipeline.backtest):
        rows = table[table["as_of"] == week].set_index("id")[names]
        assert len(rows) > 20
        pd.testing.assert_frame_equal(rows, expected.loc[rows.index])


# Files


def test_tables_become_row_groups_of_one_file(tmp_path: Path) -> None:
    train = export().train
    path = tmp_path / "features" / "train.parquet"
    parts: Iterator[pd.DataFrame] = (train.iloc[start : start + 500] for start in range(0, len(train), 500))
    chunks = ({"train": part, "latest": part[:7]} for part in parts)
    paths = {"train": path, "latest": path.with_name("latest.parquet")}
    assert write_tables(paths, chunks) == {"train": len(train), "latest": 7 * -(-len(train) // 500)}
    assert pq.ParquetFile(path).num_row_groups == -(-len(train) // 500)
    pd.testing.assert_frame_equal(pd.read_parquet(path), train)


def test_sectors_keep_their_codes_in_a_file(tmp_path: Path) -> None:
    """Also where the first rows show one sector only."""
    train = export().train
    path = tmp_path / "train.parquet"
    unknown = train["sector"] == "Unknown"
    write_tables({"train": path}, iter([{"train": train[unknown]}, {"train": train[~unknown]}]))
    read = pd.read_parquet(path)["sector"]
    assert read.cat.categories.equals(train["sector"].cat.categories)
    assert read.cat.codes.tolist() == [
        *train["sector"][unknown].cat.codes,
        *train["sector"][~unknown].cat.codes,
    ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and the clean tables of a dirty export."""
    monkeypatch.chdir(tmp_path)
    lay_out_typed(tmp_path)
    clean.main()
    return tmp_path


def test_the_stage_writes_the_same_bytes_again(project: Path) -> None:
    written = []
    for _ in range(2):
        featurize.main()
        written.append({path.name: path.read_bytes() for path in (project / "data/features").iterdir()})
    assert set(written[0]) == {"train.parquet", "backtest.parquet", "latest.parquet", "previous.parquet"}
    assert written[0] == written[1]


@pytest.mark.parametrize("parts", [2, 5])
def test_parts_give_the_same_snapshots(parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a part lacks a level, or has no usage in the first week; with text ids and histories."""
    monkeypatch.chdir(tmp_path)
    lay_out_typed(tmp_path, memberships_export(), memberships())
    clean.main()
    featurize.main()
    names = ("train", "backtest", "latest", "previous")
    whole = {name: pd.read_parquet(f"data/features/{name}.parquet") for name in names}
    split(Path("data/clean"), parts)
    shutil.rmtree("data/features")
    featurize.main()
    for name, expected in whole.items():
        assert len(list(Path(f"data/features/{name}.parquet").iterdir())) == parts
        found = pd.read_parquet(f"data/features/{name}.parquet")
        in_order = found.sort_values(["id", "as_of"], ignore_index=True)
        pd.testing.assert_frame_equal(in_order, expected)


def test_a_part_may_have_no_company(project: Path) -> None:
    split(project / "data/clean", 3)
    first = [path / "part-00000.parquet" for path in (project / "data/clean").glob("*.parquet")]
    for path in first:
        pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    featurize.main()
    tables = [pd.read_parquet(path) for path in sorted((project / "data/features/latest.parquet").iterdir())]
    assert [len(table) > 0 for table in tables] == [False, True, True]
    assert tables[0].dtypes.astype(str).equals(tables[1].dtypes.astype(str))


def split(folder: Path, parts: int) -> None:
    """Replace clean tables by their parts; a category has only the levels of its part."""
    for path in [path for path in folder.rglob("*.parquet") if path.is_file()]:
        table = pd.read_parquet(path)
        path.unlink()
        path.mkdir()
        part = part_of(table["id"].to_numpy(), parts)
        for number in range(parts):
            rows = table[part == number].copy()
            for name in rows.select_dtypes("category"):
                unknown = rows[name].cat.categories[-1]
                there = {*rows[name].dropna(), unknown}
                rows[name] = rows[name].cat.set_categories(
                    [x for x in rows[name].cat.categories if x in there]
                )
            rows.to_parquet(part_path(path, number, parts), index=False)


def test_the_stage_follows_any_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With text ids, paid periods and histories of attributes."""
    monkeypatch.chdir(tmp_path)
    lay_out_typed(tmp_path, memberships_export(), memberships())
    clean.main()
    featurize.main()
    pipeline = Pipeline(memberships_export(), load_params(), memberships())
    for name in ("train", "backtest", "latest", "previous"):
        written = pd.read_parquet(tmp_path / f"data/features/{name}.parquet")
        expected = getattr(pipeline, name)
        pd.testing.assert_frame_equal(written, expected.astype({"as_of": written["as_of"].dtype}))
        assert "grade" in written
        assert written["id"].dtype == "str"


def test_without_a_value_there_is_no_revenue() -> None:
    tables = projects_export(companies=80, weeks=30)
    companies = projects().companies.model_copy(update={"value": None})
    bare = projects().model_copy(update={"companies": companies})
    tables["accounts"] = tables["accounts"].drop(columns="arr")
    without, valued = (
        Pipeline(table, small_params(), contract).backtest
        for table, contract in ((tables, bare), (projects_export(companies=80, weeks=30), projects()))
    )
    assert "MRR" in valued
    pd.testing.assert_frame_equal(valued.drop(columns="MRR"), without)


def test_clean_tables_of_another_contract_stop_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where ``load`` ran after the contract was changed, and ``clean`` did not."""
    monkeypatch.chdir(tmp_path)
    lay_out_typed(tmp_path)
    clean.main()
    write_json(Path("data/contract.json"), projects().model_dump(mode="json"))
    with pytest.raises(InputError, match=r"companies\.parquet.* lacks the columns .*run 'dvc repro clean'"):
        featurize.main()
    assert not Path("data/features").exists()
