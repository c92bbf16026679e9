"""Who calls whom: against brute force on small lists, and what holds of any split."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.delivery.assignment import BLOCKS, FAIR, TIES, assign
from conversion.delivery.reps import Rep, Reps, RepsError
from conversion.stats.hashing import uniform_hash
from conversion.stats.rank_order import rank_order

NAMES = ("Ann", "Bob", "Cid")
NONE = pd.Series(dtype="str")
OWNERS = ("Ann", "bob ", "Zoe", None, None)
Split = tuple[int, int, int, int]


def reps_of(capacities: list[int], territories: list[str]) -> Reps:
    """Make a rep of each capacity; an empty territory takes every country."""
    made = [
        Rep(name, capacity, {"country": frozenset(countries)} if countries else {})
        for name, capacity, countries in zip(NAMES, capacities, territories, strict=False)
    ]
    return Reps("reps.csv", tuple(made))


@st.composite
def problems(draw: st.DrawFn) -> tuple[pd.DataFrame, Reps, pd.Series[Any]]:
    """Draw a small list, reps, and who had the companies before."""
    size = draw(st.integers(0, 6))
    rows = {
        "id": list(range(100, 100 + size)),
        "probability": draw(st.lists(st.sampled_from([0.5, 0.4, 0.1, 0.01]), min_size=size, max_size=size)),
        "country": draw(st.lists(st.sampled_from(["x", "y", None]), min_size=size, max_size=size)),
        "owner": draw(st.lists(st.sampled_from(OWNERS), min_size=size, max_size=size)),
    }
    count = draw(st.integers(1, 3))
    capacities = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    territories = draw(st.lists(st.sampled_from(["", "", "x", "xy"]), min_size=count, max_size=count))
    before = draw(st.lists(st.sampled_from([*NAMES, "Gone", None]), min_size=size, max_size=size))
    had = pd.Series(before, index=rows["id"], dtype="str").dropna()
    return pd.DataFrame(rows), reps_of(capacities, territories), had


def may_call(company: Any, rep: Rep, reps: Reps) -> bool:
    """Tell whether a rep may call a company, as the documentation says."""
    owner = company.owner.strip().lower() if isinstance(company.owner, str) else None
    if owner in {each.name.lower() for each in reps.all}:
        return rep.name.lower() == owner
    return all(company.country in values for values in rep.territory.values())


def score(rows: list[Any], names: tuple[str, ...], reps: Reps, had: pd.Series[Any]) -> Split:
    """Return moved companies, unfairness, and the two draws of the ties, by their definition."""
    size, total = len(rows), sum(rep.capacity for rep in reps.all)
    may = [{rep.name for rep in reps.all if may_call(each, rep, reps)} for each in rows]
    moved = sum(
        had.get(each.id) in allowed and had.get(each.id) != name
        for each, name, allowed in zip(rows, names, may, strict=True)
    )
    blocks = min(size, BLOCKS)
    ends = [math.ceil(number * size / blocks) for number in range(1, blocks + 1)]
    starts = [0, *ends[:-1]]
    means = [np.mean([each.probability for each in rows[a:b]]) for a, b in zip(starts, ends, strict=True)]
    unfair = 0
    for number, end in enumerate(ends):
        fall = means[number] - (means[number + 1] if number + 1 < blocks else 0.0)
        cost = max(int(np.round(FAIR * fall / means[0])), 1)
        for rep in reps.all:
            has = names[:end].count(rep.name)
            fair = rep.capacity * end / total
            unfair += cost * max(has - math.ceil(round(fair, 9)), math.floor(round(fair, 9)) - has, 0)
    ids = np.array([each.id for each in rows])
    who = np.array(names, dtype=object)
    ties = [int(np.floor(uniform_hash(ids, who, seed=seed) * TIES).sum()) for seed in (1, 2)]
    return moved, unfair, ties[0], ties[1]


def brute_force(call_list: pd.DataFrame, reps: Reps, had: pd.Series[Any]) -> dict[int, str] | None:
    """Try every split; None if no one is allowed."""
    ordered = call_list.iloc[rank_order(call_list["probability"], call_list["id"])]
    rows = list(ordered.itertuples())
    choices = [[rep.name for rep in reps.all if may_call(each, rep, reps)] for each in rows]
    fits = [
        names
        for names in itertools.product(*choices)
        if all(names.count(rep.name) <= rep.capacity for rep in reps.all)
    ]
    if not fits:
        return None
    best = min(fits, key=lambda names: score(rows, names, reps, had)) if rows else ()
    return {each.id: name for each, name in zip(rows, best, strict=True)}


@settings(max_examples=150, deadline=None)
@given(problems(), st.randoms())
def test_the_split_is_the_best_of_all_in_any_order_of_rows(
    problem: tuple[pd.DataFrame, Reps, pd.Series[Any]], random: Any
) -> None:
    call_list, reps, had = problem
    rows = list(range(len(call_list)))
    random.shuffle(rows)
    shuffled = call_list.iloc[rows]
    best = brute_force(call_list, reps, had)
    if best is None:
        with pytest.raises(RepsError):
            assign(shuffled, reps, "owner", had)
        return
    found = assign(shuffled, reps, "owner", had)
    assert list(found.index) == list(shuffled.index)
    assert found.name == "rep"
    assert dict(zip(shuffled["id"], found, strict=True)) == best


def wide_list(size: int, reps: int) -> tuple[pd.DataFrame, Reps]:
    """Make a list that falls in probability, and reps without territories."""
    ids = np.array([f"c{number:03}" for number in range(size)], dtype=object)
    probability = 0.6 * np.exp(-np.arange(size) / size * 3)
    names = [f"rep {number:02}" for number in range(reps)]
    return pd.DataFrame({"id": ids, "probability": probability}), Reps(
        "reps.csv", tuple(Rep(name, 10 + number % 7, {}) for number, name in enumerate(names))
    )


def test_expected_conversions_are_shared_by_capacity() -> None:
    call_list, reps = wide_list(110, 9)
    found = assign(call_list, reps, None, NONE)
    for rep in reps.all:
        share = call_list["probability"].sum() * rep.capacity / reps.calls
        # In each prefix of blocks a rep is off by less than one company; a block hardly differs in itself.
        assert abs(call_list.loc[found == rep.name, "probability"].sum() - share) < 0.6
        assert (found == rep.name).sum() <= rep.capacity


def test_companies_stay_with_the_rep_that_had_them() -> None:
    call_list, reps = wide_list(100, 9)
    first = assign(call_list, reps, None, NONE)
    had = pd.Series(first.array, index=call_list["id"])
    again = assign(call_list.assign(probability=call_list["probability"].to_numpy()[::-1]), reps, None, had)
    assert again.equals(first)


def test_a_long_list_of_many_reps_is_split() -> None:
    call_list, reps = wide_list(380, 30)
    found = assign(call_list, reps, None, NONE)
    counts = found.value_counts()
    assert counts.sum() == 380
    assert all(counts[rep.name] <= rep.capacity for rep in reps.all)


def test_equal_capacities_take_no_longer() -> None:
    """Each block is shared evenly then, so that nearly all that is left to decide are ties."""
    call_list, _ = wide_list(2000, 1)
    reps = Reps("reps.csv", tuple(Rep(f"rep {number}", 50, {}) for number in range(40)))
    start = time.process_time()
    found = assign(call_list, reps, None, NONE)
    assert time.process_time() - start < 10
    assert set(found.value_counts()) == {50}


OF = "of the call list may only be called by"


@pytest.mark.parametrize(
    ("owners", "countries", "capacities", "territories", "message"),
    [
        ([None] * 4, ["x"] * 4, [1, 2], ["", ""],
         ("the call list has 4 companies, the reps together have a capacity of 3: raise capacities by 1, or "
          "call fewer")),
        (["Ann"] * 3, ["x"] * 3, [1, 9], ["", ""],
         (f"3 companies {OF} Ann (owner, column owner), who has a capacity of 1: give this rep 2 of the "
          "other reps' capacity, or give 2 of them another owner, or set deliver.owner to null")),
        ([None] * 3, ["x", "x", "y"], [1, 9], ["x", "y"],
         (f"2 companies {OF} Ann (territory), who has a capacity of 1: give this rep 1 of the other reps' "
          "capacity, or widen another rep's territory")),
        (["Ann", None, None], ["x", "x", "x"], [1, 1, 9], ["", "x", "y"],
         (f"3 companies {OF} Ann and Bob (1 by owner, column owner, 2 by territory), who have a capacity of "
          "2 together: give them 1 of the other reps' capacity, or widen another rep's territory, or set "
          "deliver.owner to null")),
        ([None, None], ["z", None], [5, 5], ["x", "y"],
         ("2 companies of the call list are in no rep's territory: 0 (country: z), 1 (country: missing); add "
          "the values to a rep's row, or leave country empty in one")),
    ],
)  # fmt: skip
def test_the_message_says_which_rule_to_relax(
    owners: list[Any], countries: list[Any], capacities: list[int], territories: list[str], message: str
) -> None:
    size = len(owners)
    call_list = pd.DataFrame(
        {"id": range(size), "probability": 0.5 - np.arange(size) / 10, "country": countries, "owner": owners}
    )
    with pytest.raises(RepsError) as raised:
        assign(call_list, reps_of(capacities, territories), "owner", NONE)
    assert str(raised.value) == f"reps.csv: {message}"


def test_capacity_moved_as_the_message_says_is_enough() -> None:
    """Added capacity would lengthen the list, with companies that may be of the same rep."""
    call_list = pd.DataFrame(
        {"id": range(6), "probability": np.linspace(0.6, 0.1, 6), "owner": ["Ann"] * 4 + [None] * 2}
    )
    with pytest.raises(RepsError, match="give this rep 3 of the other reps' capacity"):
        assign(call_list, reps_of([1, 5], ["", ""]), "owner", NONE)
    found = assign(call_list, reps_of([4, 2], ["", ""]), "owner", NONE)
    assert found.tolist() == ["Ann"] * 4 + ["Bob"] * 2


def test_groups_that_share_no_rep_get_a_line_each() -> None:
    call_list = pd.DataFrame(
        {"id": range(4), "probability": [0.4, 0.3, 0.2, 0.1], "country": ["x", "x", "y", "y"]}
    )
    with pytest.raises(RepsError) as raised:
        assign(call_list, reps_of([1, 1, 9], ["x", "y", "z"]), None, NONE)
    assert [line.split(" (")[0] for line in str(raised.value).splitlines()] == [
        "reps.csv: 2 companies of the call list may only be called by Ann",
        "reps.csv: 2 companies of the call list may only be called by Bob",
    ]
