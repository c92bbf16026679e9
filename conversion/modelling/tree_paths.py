"""Trees as arrays, to walk few rows down all of them at once and to share out what each split changes.

The libraries' walks are compiled, but it takes them up to milliseconds to start. Contributions are Saabas's,
by the splits that a row meets; Shapley values (TreeSHAP) took twelve times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from conversion.stats.portable_math import log

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """All trees of a forest or booster, node after node: one array operation takes all down a level.

    Attributes
    ----------
    roots
        The trees' first nodes, shape (trees,).
    depth
        Levels below the root of the deepest tree.
    column, threshold
        What each node asks: is the column at most the threshold? Shape (nodes,).
    children
        Where it leads: node ``i`` on yes to ``children[2 * i]``, on no to ``children[2 * i + 1]``; a leaf to
        itself.
    value
        Of each node: what its training snapshots' leaves are worth on average, shape (nodes,). In a forest
        the share of conversions, in a booster the log-odds that the tree adds.
    """

    roots: NDArray[np.intp]
    depth: int
    column: NDArray[np.intp]
    threshold: Floats
    children: NDArray[np.intp]
    value: Floats

    @classmethod
    def of_forest(cls, forest: RandomForestClassifier) -> Self:
        """Lay out scikit-learn's trees."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        values = np.concatenate([tree.value[:, 0, :] for tree in trees])
        return cls._laid_out(
            [(tree.children_left, tree.children_right) for tree in trees],
            column=np.concatenate([tree.feature for tree in trees]),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            value=values[:, 1] / values.sum(axis=1),
        )

    @classmethod
    def of_booster(cls, learner: dict[str, Any]) -> Self:
        """Lay out XGBoost's trees, from the ``learner`` of its model as JSON."""
        trees = learner["gradient_booster"]["model"]["trees"]
        asked = np.concatenate([tree["split_conditions"] for tree in trees]).astype(np.float32)
        return cls._laid_out(
            [(np.array(tree["left_children"]), np.array(tree["right_children"])) for tree in trees],
            column=np.concatenate([tree["split_indices"] for tree in trees]),
            # XGBoost asks whether the column is less than the threshold: at most the next smaller number.
            threshold=np.nextafter(asked, np.float32(-np.inf)).astype(np.float64),
            value=np.concatenate([_node_means(tree) for tree in trees]),
        )

    @classmethod
    def _laid_out(
        cls,
        children: list[tuple[np.ndarray, np.ndarray]],
        column: np.ndarray,
        threshold: np.ndarray,
        value: np.ndarray,
    ) -> Self:
        """Put trees, whose nodes are counted from each root on, behind each other."""
        roots = np.cumsum([0, *(len(left) for left, _ in children[:-1])])
        placed = [np.stack(both, axis=1) + root for both, root in zip(children, roots, strict=True)]
        leaf = np.concatenate([left for left, _ in children]) < 0
        nodes = np.arange(len(leaf))[:, None]
        return cls(
            roots=roots,
            depth=max(_depth(*both) for both in children),
            column=np.where(leaf, 0, column).astype(np.intp),
            threshold=threshold,
            children=np.where(leaf[:, None], nodes, np.concatenate(placed)).ravel(),
            value=value,
        )

    def paths(self, columns: Floats) -> NDArray[np.intp]:
        """Follow each row down each tree; shape (depth + 1, rows, trees)."""
        # As the libraries do: values in single precision.
        values = columns.astype(np.float32).ravel()
        rows = np.arange(len(columns))[:, None] * columns.shape[1]
        paths = np.empty((self.depth + 1, len(columns), len(self.roots)), dtype=np.intp)
        paths[0] = self.roots
        for level in range(self.depth):
            nodes = paths[level]
            above = values.take(self.column.take(nodes) + rows) > self.threshold.take(nodes)
            self.children.take(2 * nodes + above, out=paths[level + 1])
        return paths

    def leaf_values(self, paths: NDArray[np.intp]) -> Floats:
        """Give the values of the leaves that rows end in, shape (rows, trees)."""
        return np.asarray(self.value.take(paths[-1]))

    def contributions(self, paths: NDArray[np.intp], columns: int) -> Floats:
        """Add up over trees what each column changes: a split's change of the value is its (Saabas 2014)."""
        values = self.value.take(paths)
        rows = np.arange(paths.shape[1])[:, None] * columns
        places = self.column.take(paths[:-1]) + rows
        changes: Floats = np.bincount(
            places.ravel(), np.diff(values, axis=0).ravel(), paths.shape[1] * columns
        ).astype(np.float64, copy=False)
        return changes.reshape(-1, columns)


def _depth(left: np.ndarray, right: np.ndarray) -> int:
    """Count the levels below the root of a tree whose children come behind their parents."""
    depth = np.zeros(len(left), dtype=np.intp)
    for node in np.flatnonzero(left >= 0):
        depth[[left[node], right[node]]] = depth[node] + 1
    return int(depth.max())


def _node_means(tree: dict[str, Any]) -> Floats:
    """Average the leaves below each node of XGBoost's tree, weighted by their hessians."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    weight: Floats = np.array(tree["sum_hessian"], dtype=np.float64)
    value: Floats = np.array(tree["split_conditions"], dtype=np.float64)
    for node in np.flatnonzero(left >= 0)[::-1]:
        below = [left[node], right[node]]
        value[node] = np.average(value[below], weights=weight[below])
    return value


def margin_of(learner: dict[str, Any]) -> np.float32:
    """Read the log-odds that XGBoost's trees are added to."""
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    return np.float32(log(base / (1.0 - base)))
