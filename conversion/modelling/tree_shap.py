"""SHAP values of shallow trees, looked up in tables.

TreeSHAP (Lundberg et al. 2020, From local explanations to global understanding with explainable AI for trees,
Nature Machine Intelligence 2) averages what a column changes of a tree's prediction over all orders in which
the columns could become known; where a column is not known yet, the prediction is the mean of both sides, by
their weight in training. A tree's SHAP values depend on nothing but the answers to its splits, so they are
computed once for all answers. A row then takes comparisons, one look-up and one sum.

One table for all splits of a tree would be large: 128 answers at depth 3, 32,768 at depth 4. But SHAP values
add up over leaves, so the leaves of each twig have a table of their own, see `ShapTables`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from conversion.modelling.tree_paths import Trees
from conversion.stats.numeric import Bools, Floats, Indices

DEEPEST: Final = 6
"""Depth of the deepest trees with tables.

With each level tables grow fivefold and a look-up takes twice as long. 150 trees of depth 3 have 0.2 MB, of
depth 6 about 13 MB, and of depth 7 above 60 MB, which take longer to compute than the trees to fit.
"""
TWIG: Final = 2
"""Levels of splits from a twig's node down."""


@dataclass(frozen=True)
class ShapTables:
    """SHAP values by the answers to splits.

    A twig is a node `TWIG` levels above the deepest leaves, with what is below. Its questions are the splits
    on the way to it, its own and its two children's: one more than the trees are deep. The answer to a
    question is yes if the column is above the threshold.

    Attributes
    ----------
    questions
        Number of questions of each twig.
    column, threshold
        Of each twig's questions, shape (twigs * questions,). Where a tree is shallower, the answer is no.
    first
        Row of the tables at which each twig's part begins, shape (twigs,). The answers, the first question's
        as the lowest bit, are the number of the row in that part.
    shares
        What the twig's leaves contribute, by question, shape (rows of the tables, questions).
    leaf
        Value of the twig's leaf that the answers lead to, 0 if they lead to another twig, shape (rows of the
        tables,).
    """

    questions: int
    column: Indices
    threshold: NDArray[np.float32]
    first: Indices
    shares: Floats
    leaf: Floats

    @classmethod
    def of(cls, trees: Trees) -> Self:
        """Compute the tables of trees that are at most `DEEPEST` deep."""
        asked, sides = twigs_of(trees)
        twigs, questions = asked.shape
        leaf = trees.is_leaf(asked)
        first = np.arange(twigs) << questions
        shares, values = np.zeros((twigs << questions, questions)), np.zeros(twigs << questions)
        patterns = (np.arange(1 << questions)[:, None] >> np.arange(questions) & 1).astype(np.bool_)
        for ways in ways_to_leaves(trees, asked, sides):
            rows = first[ways.twig][:, None] + np.arange(1 << questions)
            met = ways.met(patterns)
            values[rows] += np.where(met.all(axis=0), ways.value[:, None], 0.0)
            for question, contribution in zip(ways.question, ways.contributions(met), strict=True):
                shares[rows, question] += contribution
        return cls(
            questions=questions,
            column=np.where(leaf, 0, trees.column[asked]).ravel(),
            threshold=np.where(leaf, np.inf, trees.threshold[asked]).astype(np.float32).ravel(),
            first=first,
            shares=shares,
            leaf=values,
        )

    def leaves_and_contributions(self, columns: Floats) -> tuple[Floats, Floats]:
        """Look rows up.

        Parameters
        ----------
        columns
            The design matrix, shape (rows, columns).

        Returns
        -------
        leaves : numpy.ndarray of float64, shape (rows, twigs)
            Values of the leaves that rows end in, tree after tree, and zeros.
        contributions : numpy.ndarray of float64, shape (rows, columns)
            SHAP values, summed over trees.
        """
        cells = self.column + np.arange(len(columns))[:, None] * columns.shape[1]
        # In single precision, as the libraries compare.
        above = columns.astype(np.float32).ravel().take(cells) > self.threshold
        answers = above.reshape(len(columns), len(self.first), self.questions)
        rows = self.first + np.packbits(answers, axis=2, bitorder="little")[:, :, 0]
        shares = self.shares.take(rows, axis=0)
        sums = np.bincount(cells.ravel(), shares.ravel(), columns.size).astype(np.float64, copy=False)
        return self.leaf.take(rows), sums.reshape(columns.shape)


@dataclass(frozen=True)
class Ways:
    """Ways from roots to leaves, at most one for each twig.

    Attributes
    ----------
    twig
        That each way leads to, shape (ways,).
    question
        Numbers of the questions on the way among the twig's, the same for all ways.
    side
        The answers that lead along the way, shape (ways, steps).
    merged
        The first step that asks the same column as each step: one column is one player. Shape (ways, steps).
    share
        Share of the training snapshots that meet all that a player is asked; 1 where a step is merged into an
        earlier one. Shape (ways, steps).
    value
        Of the leaf, shape (ways,).
    """

    twig: Indices
    question: Indices
    side: Indices
    merged: Indices
    share: Floats
    value: Floats

    def met(self, answers: Bools) -> Bools:
        """Return whether answers meet all that a player is asked.

        Parameters
        ----------
        answers
            To each twig's questions, shape (ways, answers, questions), or (answers, questions) for all twigs.

        Returns
        -------
        numpy.ndarray of bool, shape (steps, ways, answers)
        """
        every = np.arange(len(self.twig))
        met = np.ones((len(self.question), len(every), answers.shape[-2]), dtype=np.bool_)
        for step, players in enumerate(self.merged.T):
            met[players, every] &= answers[..., self.question[step]] == self.side[:, [step]]
        return met

    def contributions(self, met: Bools) -> Iterator[Floats]:
        """Yield each player's Shapley values, shape (ways, answers); the leaf's value is the prize.

        All players that are known have to meet what they are asked, or there is no prize. Each that is not
        known multiplies the prize by its share. ``prizes[n]`` sums the prizes over all sets of ``n`` other
        players that are known.
        """
        steps = len(met)
        for player in range(steps):
            prizes: list[Floats] = [np.ones(met.shape[1:])]
            for other in range(steps):
                if other != player:
                    known = [np.where(met[other], prize, 0.0) for prize in prizes]
                    unknown = [prize * self.share[:, [other]] for prize in prizes]
                    prizes = [unknown[0], *map(np.add, unknown[1:], known), known[-1]]
            total = sum(prize / (steps * math.comb(steps - 1, size)) for size, prize in enumerate(prizes))
            yield self.value[:, None] * (met[player] - self.share[:, [player]]) * total


def twigs_of(trees: Trees) -> tuple[Indices, Indices]:
    """Return the nodes of twigs' questions, and the answers that lead to each twig, tree after tree.

    Where a tree is shallower the leaf stands in for what is below: both its children are itself.
    """
    nodes = trees.roots
    asked = sides = np.empty((len(nodes), 0), dtype=np.intp)
    for _ in range(trees.depth - TWIG):
        # From a leaf one way leads to itself, and the other nowhere.
        there = np.column_stack([np.ones(len(nodes), dtype=np.bool_), ~trees.is_leaf(nodes)]).ravel()
        asked = np.column_stack([asked, nodes]).repeat(2, axis=0)[there]
        sides = np.column_stack([sides.repeat(2, axis=0), np.tile([0, 1], len(nodes))])[there]
        nodes = trees.below(nodes).ravel()[there]
    return np.column_stack([asked, nodes, trees.below(nodes)]), sides


def ways_to_leaves(trees: Trees, asked: Indices, sides: Indices) -> Iterator[Ways]:
    """Yield the ways to the first leaf of each twig, then to the second, and so on."""
    steps = sides.shape[1]
    for side, last in itertools.product((0, 1), repeat=TWIG):
        question = np.array([*range(steps), steps, steps + 1 + side])
        nodes = asked[:, question]
        leaf = trees.is_leaf(nodes[:, steps:])
        twig = np.flatnonzero(~(leaf & np.array([side, last], dtype=np.bool_)).any(axis=1))
        nodes = nodes[twig]
        after = np.column_stack([nodes[:, 1:], trees.below(nodes[:, -1])[:, last]])
        along = np.column_stack([sides[twig], np.tile([side, last], (len(twig), 1))])
        merged, share = _players(trees, nodes, after)
        yield Ways(twig, question, along, merged, share, trees.value[after[:, -1]])


def _players(trees: Trees, nodes: Indices, after: Indices) -> tuple[Indices, Floats]:
    """Return `Ways.merged` and `Ways.share` of ways through nodes, each with the node after it."""
    leaf = trees.is_leaf(nodes)
    # A leaf that stands in for a split asks no column.
    column = np.where(leaf, -1 - np.arange(nodes.shape[1]), trees.column[nodes])
    merged = (column[:, :, None] == column[:, None, :]).argmax(axis=2)
    both = trees.weight[trees.below(nodes)].sum(axis=2)
    shares = np.where(leaf, 1.0, trees.weight[after] / both)
    share, every = np.ones(nodes.shape), np.arange(len(nodes))
    for step, players in enumerate(merged.T):
        share[every, players] *= shares[:, step]
    return merged, share
