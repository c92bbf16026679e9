r"""Who calls whom: the exact split of a call list among reps.

The split is a flow of companies through reps. Each company has an arc to each rep who may call it. Each rep
has a chain with one node for each block of the list, by probability: what flows from one block to the next
is the number of companies that the rep has so far. The matrix of a flow is totally unimodular and all
numbers are whole, so the linear program has a solution in whole numbers, and nothing is left to a gap.

Being fair is a cost on the chain. With $y_b$ the companies of a rep within the first $b$ blocks and $p_b$
the mean probability of a block, the rep's expected conversions are $\sum_b y_b (p_b - p_{b+1})$. So the
distance of each $y_b$ from the rep's share of these blocks costs $p_b - p_{b+1}$: the sum bounds how far
the expected conversions are from the rep's share of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

from conversion.delivery.assignment_faults import require_feasible
from conversion.delivery.reps import Reps, comparable
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import Bools, Floats, Ints
from conversion.stats.rank_order import rank_order

BLOCKS: Final = 40
"""Blocks of the list at most, in which each rep gets a fair share."""
FAIR: Final = 1000
"""Cost of the whole probability of the first block: its costs are whole numbers."""
TIES: Final = 2**20
"""Distinct costs of a tie. Two draws break all ties but for one list in thousands."""


@dataclass(frozen=True)
class Program:
    """A linear program in whole numbers: ``matrix @ x = right``, ``lower <= x <= upper``, least ``cost``."""

    cost: Floats
    matrix: csr_array
    right: Floats
    lower: Floats
    upper: Floats


def assign(call_list: pd.DataFrame, reps: Reps, owner: str | None, before: pd.Series[Any]) -> pd.Series[Any]:
    """Split a call list among reps.

    Each company has one rep, and each rep at most the capacity. A company whose owner is a rep goes to the
    owner, any other to a rep whose territory it is in. Of all such splits, in this order: most companies
    stay with the rep who had them last; the expected conversions are shared in proportion to the
    capacities; a hash of company and rep decides. The result does not depend on the order of rows.

    Parameters
    ----------
    call_list
        ``id``, ``probability`` and the columns of territories and owner.
    reps
        Who calls.
    owner
        Column that names the rep who owns a company; None: none.
    before
        The rep of each company on the last call list, by id.

    Returns
    -------
    pandas.Series of str, named ``rep``, with the index of the call list

    Raises
    ------
    RepsError
        There is no such split; the message says which companies are too many for whom.
    """
    order = rank_order(call_list["probability"], call_list["id"])
    listed = call_list.iloc[order]
    owned = _owned(listed, reps, owner)
    allowed = np.where(owned.any(axis=1, keepdims=True), owned, _in_territory(listed, reps))
    require_feasible(listed, reps, allowed, owned, owner)
    names = [rep.name for rep in reps.all]
    had = listed["id"].map(before).to_numpy()
    kept = np.array([[name == each for name in names] for each in had], dtype=bool).reshape(allowed.shape)
    chosen = _split(listed, np.array([rep.capacity for rep in reps.all]), names, allowed, kept & allowed)
    found = pd.Series(pd.array([names[each] for each in chosen], dtype="str"), index=listed.index, name="rep")
    return found.iloc[np.argsort(order)]


def _owned(listed: pd.DataFrame, reps: Reps, owner: str | None) -> Bools:
    """Tell for each company and rep whether the rep owns the company."""
    if owner is None:
        return np.zeros((len(listed), len(reps.all)), dtype=bool)
    owners = _texts(listed[owner])
    return np.column_stack([owners == comparable(rep.name) for rep in reps.all])


def _in_territory(listed: pd.DataFrame, reps: Reps) -> Bools:
    """Tell for each company and rep whether it is in the rep's territory; a missing value is in none."""
    texts = {name: _texts(listed[name]) for name in {name for rep in reps.all for name in rep.territory}}
    inside = np.ones((len(listed), len(reps.all)), dtype=bool)
    for place, rep in enumerate(reps.all):
        for column, values in rep.territory.items():
            inside[:, place] &= np.array([each in values for each in texts[column]], dtype=bool)
    return inside


def _texts(values: pd.Series[Any]) -> NDArray[Any]:
    return np.array([None if pd.isna(each) else comparable(str(each)) for each in values], dtype=object)


def _split(listed: pd.DataFrame, capacity: Ints, names: list[str], allowed: Bools, kept: Bools) -> Ints:
    """Solve for the rep of each company, most probable first."""
    if not len(listed):
        return np.array([], dtype=np.int64)
    company, rep = np.nonzero(allowed)
    program = _program(np.asarray(listed["probability"], dtype=np.float64), capacity, allowed, kept)
    ids, who = listed["id"].to_numpy()[company], np.array(names, dtype=object)[rep]
    chain = np.zeros(len(program.cost) - len(company))
    for seed in (1, 2):
        ties = np.floor(uniform_hash(ids, who, seed=seed) * TIES)
        program = _best_face(program, np.concatenate([ties, chain]))
    solved = milp(
        program.cost,
        integrality=np.ones(len(program.cost)),
        bounds=Bounds(program.lower, program.upper),
        constraints=LinearConstraint(program.matrix, program.right, program.right),
        options={"mip_rel_gap": 0.0},
    )
    assert solved.success, f"a feasible split has a solution: {solved.message}"
    taken = solved.x[: len(company)] > 0.5
    assert np.array_equal(company[taken], np.arange(len(listed))), "each company has one rep"
    chosen: Ints = rep[taken]
    return chosen


def _program(probability: Floats, capacity: Ints, allowed: Bools, kept: Bools) -> Program:
    """Write the flow: first the arcs from companies to reps, then the chains of the reps.

    A chain holds within + over - under companies: ``within`` lies between the whole numbers around the fair
    number and is free, ``over`` and ``under`` are the distance from it.
    """
    companies, reps = allowed.shape
    blocks = min(companies, BLOCKS)
    ends = -(-np.arange(1, blocks + 1) * companies // blocks)
    company, rep = np.nonzero(allowed)
    block = np.searchsorted(ends, company, side="right")
    total = max(int(capacity.sum()), 1)
    shares = capacity[:, None] * ends[None, :]
    least, most = (shares // total).ravel(), (-(-shares // total)).ravel()
    chain = np.arange(reps * blocks)
    first, links = len(company), reps * blocks
    balance = companies + rep * blocks + block
    goes_on = chain[chain % blocks < blocks - 1]
    entries = [(company, np.arange(first), 1), (balance, np.arange(first), -1)]
    for part, sign in enumerate((1, 1, -1)):
        columns = first + part * links + chain
        entries.append((companies + chain, columns, sign))
        entries.append((companies + goes_on + 1, columns[goes_on], -sign))
    rows = np.concatenate([each[0] for each in entries])
    columns = np.concatenate([each[1] for each in entries])
    signs = np.concatenate([np.full(len(each[0]), each[2]) for each in entries])
    shape = (companies + links, first + 3 * links)
    fair = np.tile(_fairness(probability, ends), reps)
    over = np.where(chain % blocks == blocks - 1, np.repeat(capacity, blocks) - most, companies)
    moved = (kept.any(axis=1, keepdims=True) & ~kept)[company, rep]
    # One company that moves costs more than the least fair split.
    move = 2 * companies * int(_fairness(probability, ends).sum()) + 1
    return Program(
        cost=np.concatenate([moved * move, np.zeros(links), fair, fair]).astype(np.float64),
        matrix=csr_array(coo_array((signs.astype(np.float64), (rows, columns)), shape=shape)),
        right=np.concatenate([np.ones(companies), np.zeros(links)]),
        lower=np.concatenate([np.zeros(first), least, np.zeros(2 * links)]).astype(np.float64),
        upper=np.concatenate([np.ones(first), most, over, least]).astype(np.float64),
    )


def _fairness(probability: Floats, ends: Ints) -> Ints:
    """Return the cost of the distance from the fair number: how much the probability falls after a block."""
    starts = np.concatenate([[0], ends[:-1]])
    means = np.add.reduceat(probability, starts) / (ends - starts)
    falls = means - np.append(means[1:], 0.0)
    whole = np.round(FAIR * falls / max(float(means[0]), 1e-12)).astype(np.int64)
    least: Ints = whole.clip(min=1)
    return least


def _best_face(program: Program, next_cost: Floats) -> Program:
    """Restrict a program to its optimal solutions, and give it another cost.

    By complementary slackness the solutions that are optimal are those in which a variable with a reduced
    cost is at its bound. The bounds are all that changes, so the matrix stays that of a flow.
    """
    solved = linprog(
        program.cost,
        A_eq=program.matrix,
        b_eq=program.right,
        bounds=np.column_stack([program.lower, program.upper]),
        method="highs-ds",
        # Where all capacities are equal, presolve takes nearly all the time; elsewhere it saves none.
        options={"presolve": False},
    )
    assert solved.success, f"a feasible split has a solution: {solved.message}"
    dual = np.round(solved.eqlin.marginals)
    reduced = program.cost - program.matrix.T @ dual
    bound = np.where(reduced > 0, program.lower, program.upper)
    # Whole numbers, so both sums are exact: what the duals prove is what the solution has.
    proven = program.right @ dual + reduced @ np.where(reduced == 0, 0.0, bound)
    reached = program.cost @ np.round(solved.x)
    assert proven == reached, f"the solution costs {reached}, the duals prove {proven}"
    lower = np.where(reduced < 0, program.upper, program.lower)
    upper = np.where(reduced > 0, program.lower, program.upper)
    return Program(next_cost, program.matrix, program.right, lower, upper)
