from __future__ import annotations

from dataclasses import replace
from functools import cache
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from commands.simulate_calls import NUMBERS
from conversion.simulation.calls import (
    CONTACT_COLUMNS,
    OUTCOMES,
    CalledSample,
    CallSettings,
    normal_hash,
    simulate_calls,
)
from conversion.simulation.export import as_text
from conversion.simulation.sample import simulate
from conversion.stats.hashing import uniform_hash

FIRST = pd.Timestamp("2018-10-01")
WEEK = pd.Timedelta(days=7)
SETTINGS = CallSettings(effect=2.2, spread=0.0, horizon_days=30, seed=1, end=FIRST + 30 * WEEK)


@cache
def sample() -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    drawn = simulate(3000, 30, FIRST.date(), seed=4)
    text = as_text(drawn)
    return {name: as_read(text[name]) for name in ("customers", "noncustomers")}, drawn.truth


def as_read(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as the command reads it from its file."""
    read = pd.read_csv(
        StringIO(table.to_csv(index=False)), dtype="str", keep_default_na=False, na_values=[""]
    )
    return read.astype({name: kind for name, kind in NUMBERS.items() if name in read})


@cache
def lists() -> pd.DataFrame:
    """Return three lists of the 300 likeliest companies, a fifth of them held back."""
    truth = sample()[1]
    found = []
    for week in (10, 11, 16):
        rows = truth[truth["as_of"] == FIRST + week * WEEK].nlargest(300, "probability")
        held_back = uniform_hash(rows["id"].to_numpy(), seed=2) < 0.2
        found.append(
            rows[["id", "as_of"]].assign(status=np.where(held_back, "held_back", "listed"), rep="Ann")
        )
    return pd.concat(found, ignore_index=True)


@cache
def called(**changes: float) -> CalledSample:
    tables, truth = sample()
    return simulate_calls(tables, lists(), truth, replace(SETTINGS, **changes))


def days(customers: pd.DataFrame) -> pd.Series:
    return customers.set_index("id")["CLOSEDATE"]


def test_calls_without_an_effect_change_no_company() -> None:
    tables, found = sample()[0], called(effect=0.0)
    pd.testing.assert_frame_equal(found.tables["customers"], tables["customers"])
    pd.testing.assert_frame_equal(found.tables["noncustomers"], tables["noncustomers"])
    assert (found.truth.effect, found.truth.added, found.truth.put_off) == (0.0, 0, 0)
    assert found.truth.contacts == len(found.tables["contacts"]) > 300


def test_only_companies_that_were_called_convert_in_addition() -> None:
    tables, found = sample()[0], called()
    base, now = days(tables["customers"]), days(found.tables["customers"])
    assert (now.loc[base.index] <= base).all()
    added = now[now != base.reindex(now.index)]
    assert len(added) == found.truth.added > 20
    contacts = found.tables["contacts"]
    first = contacts.groupby("id")["when"].min()
    assert (added >= first.loc[added.index]).all()
    horizon = pd.to_datetime(added) - pd.to_datetime(first.loc[added.index])
    assert horizon.max() < pd.Timedelta(days=30)
    held_back = lists().loc[lists()["status"] == "held_back", "id"]
    assert not set(held_back) & (set(added.index) | set(contacts["id"]))


def test_every_company_stands_in_one_table_with_its_attributes() -> None:
    tables, found = sample()[0], called()
    customers, noncustomers = found.tables["customers"], found.tables["noncustomers"]
    assert not set(customers["id"]) & set(noncustomers["id"])
    assert set(customers["id"]) | set(noncustomers["id"]) == set(tables["customers"]["id"]) | set(
        tables["noncustomers"]["id"]
    )
    added = customers[~customers["id"].isin(tables["customers"]["id"])]
    assert (added["MRR"].astype(float) > 0).all()
    before = tables["noncustomers"].set_index("id")["EMPLOYEE_RANGE"]
    assert added.set_index("id")["EMPLOYEE_RANGE"].equals(before[~before.index.duplicated()].loc[added["id"]])


def test_the_contacts_are_what_the_contract_names() -> None:
    contacts = called().tables["contacts"]
    assert tuple(contacts) == CONTACT_COLUMNS
    assert set(contacts["outcome"]) == set(OUTCOMES)
    assert contacts["reason"].notna().equals(contacts["outcome"].eq("not interested"))
    assert contacts["when"].is_monotonic_increasing
    converted = contacts["id"].map(days(called().tables["customers"]))
    assert not (converted < contacts["when"]).any()


def test_more_of_the_offered_convert_by_the_true_effect() -> None:
    # Over many draws of the calls the realised difference is the true one.
    tables, truth = sample()
    gained, expected = [], []
    rows = lists().drop_duplicates("id")
    offered = rows[rows["status"] == "listed"]
    base = within(tables["customers"], offered)
    for seed in range(25):
        found = simulate_calls(tables, lists(), truth, replace(SETTINGS, seed=seed))
        gained.append(within(found.tables["customers"], offered) - base)
        expected.append(found.truth.effect)
    assert np.mean(gained) == pytest.approx(np.mean(expected), abs=0.01)
    assert np.mean(expected) > 0.05


def within(customers: pd.DataFrame, entries: pd.DataFrame) -> float:
    day = pd.to_datetime(entries["id"].map(days(customers)))
    return float(((day >= entries["as_of"]) & (day < entries["as_of"] + pd.Timedelta(days=30))).mean())


def test_a_call_that_hurts_puts_conversions_off() -> None:
    found = called(effect=-2.0)
    base, now = days(sample()[0]["customers"]), days(found.tables["customers"])
    assert found.truth.effect is not None
    assert found.truth.effect < 0
    assert found.truth.added == 0
    changed = base.index[base != now.reindex(base.index)]
    assert len(changed) == found.truth.put_off > 0
    later = now.reindex(changed).dropna()
    assert ((pd.to_datetime(later) - pd.to_datetime(base.loc[later.index])).dt.days == 60).all()


def test_another_list_does_not_change_what_earlier_ones_did() -> None:
    tables, truth = sample()
    early = lists()[lists()["as_of"] < FIRST + 16 * WEEK]
    found = simulate_calls(tables, early, truth, SETTINGS).tables["contacts"]
    all_of_them = called().tables["contacts"]
    until = str((FIRST + 16 * WEEK).date())
    pd.testing.assert_frame_equal(found, all_of_them[all_of_them["when"] < until].reset_index(drop=True))


def test_the_spread_makes_companies_differ() -> None:
    z = normal_hash(pd.Series(np.arange(20_000)), 8, seed=1)
    assert (z.mean(), z.std()) == pytest.approx((0.0, 1.0), abs=0.03)
    assert called(spread=1.0).truth.effect != called().truth.effect
