from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from xgboost import DMatrix, XGBClassifier

from conversion.modelling.tree_paths import Trees
from conversion.modelling.tree_shap import DEEPEST, ShapTables


def invented(columns: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Invent columns with ties, and labels that depend on pairs of them."""
    rng = np.random.default_rng(columns)
    values = rng.integers(0, 12, (rows, columns)).astype(np.float64)
    score = values[:, 0] * values[:, -1] / 20 + rng.normal(0, 1, rows)
    return values, (score > np.median(score)).astype(np.int64)


def boosted(columns: int, depth: int, trees: int = 12) -> tuple[Trees, XGBClassifier]:
    values, label = invented(columns)
    booster = XGBClassifier(
        n_estimators=trees, max_depth=depth, min_child_weight=0.1, reg_lambda=0.1, n_jobs=1, random_state=1
    ).fit(values, label)
    learner = json.loads(booster.get_booster().save_raw("json"))["learner"]
    return Trees.of_booster(learner), booster


def two_splits(*column: int) -> Trees:
    """Return a tree whose root asks the first column, and its left child the second; thresholds are 0.

    The leaves are 1, 5 and, on the right of the root, 8. The means above them are 4 and 6.
    """
    return Trees(
        roots=np.array([0]),
        depth=2,
        column=np.array([*column, 0, 0, 0]),
        threshold=np.zeros(5),
        children=np.array([1, 2, 3, 4, 2, 2, 3, 3, 4, 4]),
        value=np.array([6.0, 4.0, 8.0, 1.0, 5.0]),
        weight=np.array([4.0, 2.0, 2.0, 0.5, 1.5]),
    )


@pytest.mark.parametrize(
    ("row", "leaf", "expected"),
    [
        # Known alone, column 0 leads to 8 and column 1 changes 6 to (5 + 8) / 2; together they lead to 8.
        ([1.0, 1.0], 8.0, [(8 - 6 + 8 - 6.5) / 2, (6.5 - 6 + 8 - 8) / 2]),
        ([1.0, -1.0], 8.0, [(8 - 6 + 8 - 4.5) / 2, (4.5 - 6 + 8 - 8) / 2]),
        ([-1.0, 1.0], 5.0, [(4 - 6 + 5 - 6.5) / 2, (6.5 - 6 + 5 - 4) / 2]),
        ([-1.0, -1.0], 1.0, [(4 - 6 + 1 - 4.5) / 2, (4.5 - 6 + 1 - 4) / 2]),
        ([0.0, 0.0], 1.0, [(4 - 6 + 1 - 4.5) / 2, (4.5 - 6 + 1 - 4) / 2]),
    ],
)
def test_two_splits_by_hand(row: list[float], leaf: float, expected: list[float]) -> None:
    tables = ShapTables.of(two_splits(0, 1))
    leaves, contributions = tables.leaves_and_contributions(np.array([row]))
    assert leaves.sum() == leaf
    assert_allclose(contributions, [expected], rtol=0, atol=1e-12)


def test_a_column_that_is_asked_twice_is_one_player() -> None:
    """All that there is to know is column 0: it is credited with the whole difference."""
    tables = ShapTables.of(two_splits(0, 0))
    _, contributions = tables.leaves_and_contributions(np.array([[-1.0, 7.0], [1.0, 7.0]]))
    assert_allclose(contributions, [[1 - 6, 0], [8 - 6, 0]], rtol=0, atol=1e-12)


def expected_value(trees: Trees, node: int, row: np.ndarray, known: set[int]) -> float:
    """Return what a tree predicts where only some columns are known."""
    if trees.is_leaf(np.array(node)):
        return float(trees.value[node])
    below = trees.below(np.array(node))
    if int(trees.column[node]) in known:
        above = bool(np.float32(row[trees.column[node]]) > trees.threshold[node])
        return expected_value(trees, below[int(above)], row, known)
    weights = trees.weight[below] / trees.weight[below].sum()
    return float(
        sum(w * expected_value(trees, each, row, known) for w, each in zip(weights, below, strict=True))
    )


def shapley(trees: Trees, row: np.ndarray) -> np.ndarray:
    """Return Shapley values by their definition: the mean over all sets of what a column adds to them."""
    columns, values = range(len(row)), np.zeros(len(row))
    for root in trees.roots:
        for size in range(len(row)):
            for others in itertools.combinations(columns, size):
                before = expected_value(trees, root, row, set(others))
                share = 1 / (len(row) * math.comb(len(row) - 1, size))
                for column in set(columns) - set(others):
                    values[column] += share * (expected_value(trees, root, row, {*others, column}) - before)
    return values


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
def test_shapley_values_by_their_definition(depth: int) -> None:
    """With three columns, deep trees ask each of them again and again."""
    trees, _ = boosted(columns=3, depth=depth, trees=3)
    assert trees.depth == depth
    rows = np.random.default_rng(1).uniform(-1, 13, (6, 3))
    _, contributions = ShapTables.of(trees).leaves_and_contributions(rows)
    assert_allclose(contributions, [shapley(trees, row) for row in rows], rtol=0, atol=1e-12)


@pytest.mark.parametrize("columns", [2, 10])
@pytest.mark.parametrize("depth", range(1, DEEPEST + 1))
def test_the_library_computes_the_same_in_single_precision(depth: int, columns: int) -> None:
    trees, booster = boosted(columns, depth)
    values, _ = invented(columns)
    leaves, contributions = ShapTables.of(trees).leaves_and_contributions(values)
    expected = booster.get_booster().predict(DMatrix(values), pred_contribs=True)
    assert_allclose(contributions, expected[:, :-1], rtol=0, atol=5e-6)
    assert np.abs(contributions).max() > 0.1
    walked = trees.leaf_values(trees.paths(values))
    in_order = [np.add.accumulate(each.astype(np.float32), axis=1)[:, -1] for each in (leaves, walked)]
    assert_array_equal(*in_order)
    base = trees.value[trees.roots].sum()
    assert_allclose(base + contributions.sum(axis=1), walked.sum(axis=1), rtol=0, atol=1e-12)


def test_a_row_is_looked_up_the_same_among_any_others() -> None:
    trees, _ = boosted(columns=5, depth=4)
    values, _ = invented(5)
    tables = ShapTables.of(trees)
    leaves, contributions = tables.leaves_and_contributions(values)
    for row in (0, 7, 99):
        alone = tables.leaves_and_contributions(values[[row]])
        assert_array_equal(alone[0][0], leaves[row])
        assert_array_equal(alone[1][0], contributions[row])
