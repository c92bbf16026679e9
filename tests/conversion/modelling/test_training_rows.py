from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.modelling.training import fit_at, training_columns
from conversion.modelling.training_rows import count_training, read_training
from conversion.runtime.errors import InputError
from conversion.runtime.parts import part_path
from conversion.stats.hashing import part_of
from tests.exports import tiny_export
from tests.pipeline import Pipeline, small_params

SEED = 7
MOST = 2500
"""Well below the number of snapshots of `pipeline`."""


@functools.cache
def pipeline(model_type: str = "logistic_regression") -> Pipeline:
    """Of a sample whose training snapshots have two kinds of negatives."""
    return Pipeline(
        tiny_export(companies=400),
        small_params(
            model__type=model_type,
            featurize__keep_negatives__seen=1.0,
            featurize__keep_negatives__never_seen=0.5,
        ),
    )


def columns() -> list[str]:
    return training_columns(pipeline().params, pipeline().contract)


def write(path: Path, table: pd.DataFrame, parts: int = 1) -> Path:
    """Write a table in row groups, in parts by company."""
    part = part_of(table["id"].to_numpy(), parts)
    for number in range(parts):
        target = part_path(path, number, parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        table[part == number].to_parquet(target, index=False, row_group_size=701)
    return path


def by_kind(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Count the rows and add up the weights of negatives never seen and seen, and of positives."""
    kind = np.where(rows["label"] == 1, 2, rows["seen"] == 1)
    return np.bincount(kind), np.bincount(kind, rows["weight"])


@pytest.mark.parametrize("parts", [1, 3])
def test_below_the_maximum_all_snapshots_are_read(parts: int, tmp_path: Path) -> None:
    train = pipeline().train
    path = write(tmp_path / "train.parquet", train, parts)
    read = read_training(path, columns(), len(train), SEED)
    pd.testing.assert_frame_equal(read, train[columns()].astype({"as_of": read["as_of"].dtype}))
    assert count_training(path) == len(train)


def test_the_number_of_parts_does_not_change_what_is_drawn(tmp_path: Path) -> None:
    one, five = (
        read_training(
            write(tmp_path / f"{parts}/train.parquet", pipeline().train, parts), columns(), MOST, SEED
        )
        for parts in (1, 5)
    )
    pd.testing.assert_frame_equal(one, five)
    pd.testing.assert_frame_equal(one, one.sort_values(["id", "as_of"]))


@pytest.mark.parametrize("seed", range(5))
def test_positives_are_kept_and_the_weighted_count_of_each_kind(seed: int, tmp_path: Path) -> None:
    train = pipeline().train
    drawn = read_training(write(tmp_path / "train.parquet", train), columns(), MOST, seed)
    assert len(drawn) == MOST < len(train) / 2
    (rows, weights), (kept_rows, kept_weights) = by_kind(train), by_kind(drawn)
    assert kept_rows[2] == rows[2] > 0
    np.testing.assert_allclose(kept_weights, weights, rtol=1e-6)
    never, seen, _ = kept_rows / rows
    assert abs(never - seen) < 0.01, "negatives of each kind are kept at the same rate"
    same = drawn.drop(columns="weight").merge(train.drop(columns="weight"))
    assert len(same) == MOST, "a kept snapshot is the same snapshot"


def test_weighted_counts_of_any_group_are_unbiased_over_seeds(tmp_path: Path) -> None:
    train = pipeline().train
    path = write(tmp_path / "train.parquet", train)
    late = train["as_of"] > train["as_of"].median()
    counted = []
    for seed in range(40):
        rows = read_training(path, ["id", "as_of", "label", "weight"], MOST, seed)
        counted.append(float(rows.loc[rows["as_of"] > train["as_of"].median(), "weight"].sum()))
    error = np.std(counted, ddof=1) / np.sqrt(len(counted))
    assert error > 0
    assert abs(np.mean(counted) - train.loc[late, "weight"].sum()) < 3 * error


def test_too_many_positives_are_drawn_too(tmp_path: Path) -> None:
    train = pipeline().train
    positives = int((train["label"] == 1).sum())
    most = positives
    drawn = read_training(write(tmp_path / "train.parquet", train), columns(), most, SEED)
    assert len(drawn) == most
    assert (drawn["label"] == 1).sum() == most // 2
    whole, kept = (rows.groupby("label")["weight"].sum() for rows in (train, drawn))
    np.testing.assert_allclose(kept, whole, rtol=1e-6)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_snapshots_of_one_class_are_drawn_too(label: float, tmp_path: Path) -> None:
    rows = pipeline().train.assign(label=label, weight=np.float32(1.0))
    drawn = read_training(write(tmp_path / "train.parquet", rows), columns(), MOST, SEED)
    assert len(drawn) == MOST
    assert drawn["weight"].sum() == pytest.approx(len(rows), rel=1e-6)


@pytest.mark.parametrize("model_type", ["logistic_regression", "xgboost"])
def test_a_model_of_drawn_snapshots_has_the_probabilities_of_one_of_all(
    model_type: str, tmp_path: Path
) -> None:
    """The expected conversions of a list differ by less than their number does by chance."""
    whole = pipeline(model_type)
    drawn = read_training(write(tmp_path / "train.parquet", whole.train), columns(), MOST, SEED)
    unweighted = drawn.assign(weight=np.float32(1.0))

    def probability(rows: pd.DataFrame) -> np.ndarray:
        model = fit_at(rows, whole.as_of, whole.params, whole.contract)
        return np.asarray(model.predict_proba(whole.latest)[:, 1])

    full = probability(whole.train)
    interval = 1.96 * np.sqrt((full * (1 - full)).sum())
    assert abs(probability(drawn).sum() - full.sum()) < interval
    assert abs(probability(unweighted).sum() - full.sum()) > interval, "without the weights it is off"


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", pipeline().train.drop(columns="weight"))
    with pytest.raises(InputError, match=r"train\.parquet.* lacks the columns weight"):
        read_training(path, columns(), MOST, SEED)
