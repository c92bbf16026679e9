"""Trees as arrays, to walk few rows down all of them at once and to credit each split's change to a column.

The libraries' walks are compiled, but take up to milliseconds to start.

Contributions are by Saabas's method (2014): walking down a tree, each split changes the mean of the training
snapshots below, and that change is credited to the column that the split asks. Shallow trees have SHAP values
instead, see `conversion.modelling.tree_shap`. Both add up to the score, but Saabas credits a split less the
nearer it is to the root.

The forest of params.yaml is nine levels deep. There SHAP values by the shap library take about 9 ms a company
and minutes for the sample's list. How far Saabas's contributions are from them on the sample, by fact and in
log-odds (``python -m benchmarks.tree_contributions``):

- over the list 0.02 on average, at most 0.63; rank correlations between companies from 0.63 to 0.99; the
  strongest fact is the same for 91 %;
- among the 200 highest scores 0.12 on average, at most 0.96; from 0.65 to 0.99, and 0.38 for recency, which
  hardly counts there; the strongest fact is the same for 86 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from conversion.stats.numeric import Bools, Floats, Indices
from conversion.stats.portable_math import log


@dataclass(frozen=True)
class Trees:
    """All trees of a forest or booster, node after node: one array operation moves all down a level.

    Attributes
    ----------
    roots
        The trees' first nodes, shape (trees,).
    depth
        Levels below the root of the deepest tree.
    column, threshold
        What each node asks: is the column at most the threshold? Shape (nodes,).
    children
        The next nodes: of node ``i`` on yes ``children[2 * i]``, on no ``children[2 * i + 1]``; a leaf's is
        itself, so that a row that has arrived stays.
    value
        Mean of the leaves below each node over its training snapshots, shape (nodes,). In a forest the
        share of conversions, in a booster the log-odds that the tree adds.
    weight
        Of the training snapshots at each node, as the library averages them, shape (nodes,).
    """

    roots: Indices
    depth: int
    column: Indices
    threshold: Floats
    children: Indices
    value: Floats
    weight: Floats

    @classmethod
    def of_forest(cls, forest: RandomForestClassifier) -> Self:
        """Return scikit-learn's trees as arrays."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        values = np.concatenate([tree.value[:, 0, :] for tree in trees])
        return cls._laid_out(
            [(tree.children_left, tree.children_right) for tree in trees],
            column=np.concatenate([tree.feature for tree in trees]),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            value=values[:, 1] / values.sum(axis=1),
            weight=np.concatenate([tree.weighted_n_node_samples for tree in trees]),
        )

    @classmethod
    def of_booster(cls, learner: dict[str, Any]) -> Self:
        """Return XGBoost's trees as arrays, from the ``learner`` of its model as JSON."""
        trees = learner["gradient_booster"]["model"]["trees"]
        asked = np.concatenate([tree["split_conditions"] for tree in trees]).astype(np.float32)
        return cls._laid_out(
            [(np.array(tree["left_children"]), np.array(tree["right_children"])) for tree in trees],
            column=np.concatenate([tree["split_indices"] for tree in trees]),
            # XGBoost asks whether the column is less than the threshold: at most the next smaller number.
            threshold=np.nextafter(asked, np.float32(-np.inf)).astype(np.float64),
            value=np.concatenate([_node_means(tree) for tree in trees]),
            weight=np.concatenate([tree["sum_hessian"] for tree in trees]).astype(np.float64),
        )

    @classmethod
    def _laid_out(
        cls,
        children: list[tuple[np.ndarray, np.ndarray]],
        column: np.ndarray,
        threshold: np.ndarray,
        value: np.ndarray,
        weight: np.ndarray,
    ) -> Self:
        """Concatenate trees whose nodes are numbered from each root on."""
        roots = np.cumsum([0, *(len(left) for left, _ in children[:-1])])
        placed = [np.stack(both, axis=1) + root for both, root in zip(children, roots, strict=True)]
        leaf = np.concatenate([left for left, _ in children]) < 0
        nodes = np.arange(len(leaf))[:, None]
        return cls(
            roots=roots,
            depth=max(_depth(*both) for both in children),
            # A leaf asks nothing; any column will do, as both answers lead to the leaf itself.
            column=np.where(leaf, 0, column).astype(np.intp),
            threshold=threshold,
            children=np.where(leaf[:, None], nodes, np.concatenate(placed)).ravel(),
            value=value,
            weight=weight,
        )

    def below(self, nodes: Indices) -> Indices:
        """Return both children of each node, on a new last axis."""
        return np.asarray(self.children.reshape(-1, 2)[nodes])

    def is_leaf(self, nodes: Indices) -> Bools:
        """Return which nodes ask nothing."""
        return np.asarray(self.children[2 * nodes] == nodes)

    def paths(self, columns: Floats) -> Indices:
        """Return the nodes on each row's way down each tree, shape (depth + 1, rows, trees)."""
        # In single precision, as the libraries compare. Flat, so that one `take` finds row and column.
        values = columns.astype(np.float32).ravel()
        rows = np.arange(len(columns))[:, None] * columns.shape[1]
        paths = np.empty((self.depth + 1, len(columns), len(self.roots)), dtype=np.intp)
        paths[0] = self.roots
        for level in range(self.depth):
            nodes = paths[level]
            above = values.take(self.column.take(nodes) + rows) > self.threshold.take(nodes)
            self.children.take(2 * nodes + above, out=paths[level + 1])
        return paths

    def leaf_values(self, paths: Indices) -> Floats:
        """Return the values of the leaves that rows end in, shape (rows, trees)."""
        return np.asarray(self.value.take(paths[-1]))

    def contributions(self, paths: Indices, columns: int) -> Floats:
        """Sum over trees what the splits on each row's way change, by the column that the split asks.

        Parameters
        ----------
        paths
            From `paths`.
        columns
            Number of columns of the design matrix.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, columns)
        """
        values = self.value.take(paths)
        # One sum for all: `bincount` adds each change to the cell of its row and column. From a leaf to
        # itself nothing changes, so shallow trees add zeros.
        rows = np.arange(paths.shape[1])[:, None] * columns
        places = self.column.take(paths[:-1]) + rows
        changes: Floats = np.bincount(
            places.ravel(), np.diff(values, axis=0).ravel(), paths.shape[1] * columns
        ).astype(np.float64, copy=False)
        return changes.reshape(-1, columns)


def _depth(left: np.ndarray, right: np.ndarray) -> int:
    """Count the levels below a tree's root; children are numbered after their parents."""
    depth = np.zeros(len(left), dtype=np.intp)
    for node in np.flatnonzero(left >= 0):
        depth[[left[node], right[node]]] = depth[node] + 1
    return int(depth.max())


def _node_means(tree: dict[str, Any]) -> Floats:
    """Return the mean of the leaves below each node of XGBoost's tree, weighted by their hessians."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    weight: Floats = np.array(tree["sum_hessian"], dtype=np.float64)
    value: Floats = np.array(tree["split_conditions"], dtype=np.float64)
    for node in np.flatnonzero(left >= 0)[::-1]:  # from the leaves up: children have their means first
        below = [left[node], right[node]]
        value[node] = np.average(value[below], weights=weight[below])
    return value


def margin_of(learner: dict[str, Any]) -> np.float32:
    """Return the log-odds that XGBoost's trees are added to."""
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    return np.float32(log(base / (1.0 - base)))
