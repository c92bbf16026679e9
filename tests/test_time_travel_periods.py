"""Time travel where companies sign up, pay in several periods, are merged, and have attributes over time."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conversion.data.timeline import WEEK
from conversion.leads.lead_writers import write_leads
from tests.contract_files import projects
from tests.exports import projects_export
from tests.memberships import cut_memberships, memberships, memberships_export
from tests.pipeline import Pipeline, Tables, small_params

DATES = ("2019-05-06", "2019-06-17", "2019-08-05")
HORIZON = pd.Timedelta(days=30)
PARAMS = {
    "featurize__keep_negatives__seen": 1.0,
    "featurize__keep_negatives__never_seen": 1.0,
    "featurize__chunk_companies": 25,
    "model__logistic_regression__quadratic": [],
}


def travelled(tables: Tables, as_of: str | None) -> Pipeline:
    return Pipeline(tables, small_params(**PARAMS, data__as_of=as_of), memberships())


@functools.cache
def whole(as_of: str | None = None) -> Pipeline:
    return travelled(memberships_export(), as_of)


@pytest.mark.parametrize("as_of", DATES)
def test_time_travel_writes_the_bytes_of_an_export_cut_by_hand(as_of: str, tmp_path: Path) -> None:
    then, moment = whole(as_of), pd.Timestamp(as_of)
    tables = cut_memberships(memberships_export(), moment)
    cut = travelled(tables, None)
    assert cut.as_of == then.as_of == moment
    for name, table in tables.items():
        assert name == "merged" or len(table) < len(memberships_export()[name]), name
    for table in ("companies", "usage", "periods"):
        pd.testing.assert_frame_equal(getattr(cut.clean, table), getattr(then.clean, table))
    for column, history in then.clean.histories.items():
        pd.testing.assert_frame_equal(cut.clean.histories[column], history)
    for table in ("train", "latest", "previous"):
        pd.testing.assert_frame_equal(getattr(cut, table), getattr(then, table))
    assert cut.evidence == then.evidence
    pd.testing.assert_frame_equal(cut.converted.companies, then.converted.companies)
    for name, pipeline in (("then", then), ("cut", cut)):
        write_leads(pipeline.leads, tmp_path / f"{name}.csv")
    written = (tmp_path / "then.csv").read_bytes()
    assert written == (tmp_path / "cut.csv").read_bytes()
    assert len(written) > 1000


later = st.integers(0, 200).map(lambda days: pd.Timestamp(DATES[1]) + pd.Timedelta(days=days))


@st.composite
def other_futures(draw: st.DrawFn) -> Tables:
    """Draw exports that agree on what was known at the second date, and differ in the rest."""
    moment, tables = pd.Timestamp(DATES[1]), memberships_export()
    known = cut_memberships(tables, moment)
    teams = known["teams"]["team"].tolist()
    payments = known["payments"].copy()
    still = payments.index[payments["to_day"].isna()]
    payments.loc[still, "to_day"] = [draw(later | st.none()) for _ in still]
    new = [
        [draw(st.sampled_from(teams)), draw(later), draw(later | st.none()), draw(st.floats(-9, 99)), "paid"]
        for _ in range(draw(st.integers(1, 20)))
    ]
    payments = pd.concat(
        [payments, pd.DataFrame(new, columns=list(payments)).astype(payments.dtypes.to_dict())]
    )
    grades = pd.DataFrame(
        [[draw(st.sampled_from(teams)), draw(later), draw(st.sampled_from(["basic", "pro"])), "new"]],
        columns=list(known["grades"]),
    )
    created = known["teams"].tail(1).assign(team="new", created=draw(later))
    activity = tables["activity"]
    weeks = activity[activity["week"] + WEEK > moment]
    kept = weeks.sample(frac=draw(st.floats(0, 1)), random_state=draw(st.integers(0, 99)))
    return {
        "teams": pd.concat([created, known["teams"]], ignore_index=True),
        "payments": payments.reset_index(drop=True),
        "merged": tables["merged"],
        "grades": pd.concat([known["grades"], grades.astype(known["grades"].dtypes.to_dict())]),
        "activity": pd.concat([known["activity"], kept.assign(board_actions=900)], ignore_index=True),
    }


# An example takes half a second, so a failing one is not shrunk.
@settings(max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(tables=other_futures())
def test_what_is_not_known_changes_no_feature_and_no_label(tables: Tables) -> None:
    expected, found = whole(DATES[1]), travelled(tables, DATES[1])
    for table in ("train", "latest", "backtest"):
        pd.testing.assert_frame_equal(getattr(found, table), getattr(expected, table))


def test_the_backtest_has_the_prospects_and_features_of_the_lists_of_its_time() -> None:
    """But for merged companies, whose other row was their state until both were known."""
    backtest = whole().backtest
    merged = set(memberships_export()["merged"]["new"])
    for as_of in DATES[1:]:
        listed = whole(as_of).latest
        measured = backtest[backtest["as_of"] == pd.Timestamp(as_of)].drop(columns=["label", "MRR"])
        measured = measured.astype({"as_of": listed["as_of"].dtype})
        listed, measured = (
            table[~table["id"].isin(merged)].reset_index(drop=True) for table in (listed, measured)
        )
        assert len(listed) > 15
        # The levels of categories are those that have occurred.
        categories = [name for name in listed if isinstance(listed[name].dtype, pd.CategoricalDtype)]
        as_text = dict.fromkeys(categories, "str")
        pd.testing.assert_frame_equal(measured.astype(as_text), listed.astype(as_text))


# Sign-up


@pytest.mark.parametrize("name", ["memberships", "projects"])
def test_no_snapshot_is_of_a_company_before_its_sign_up(name: str) -> None:
    if name == "memberships":
        pipeline = whole()
    else:
        params = small_params(**PARAMS, evaluate__first_cutoff="2019-02-11")
        pipeline = Pipeline(projects_export(companies=80, weeks=30), params, projects())
    signed_up = pipeline.companies.set_index("id")["created"]
    for table in (pipeline.train, pipeline.backtest, pipeline.latest):
        assert not (table["id"].map(signed_up) >= table["as_of"]).any()
    # It would be many: the test does not hold because all had signed up before.
    early = [(signed_up >= week).mean() for week in pipeline.cutoffs]
    assert np.mean(early) > 0.05
    prospects = len(pipeline.backtest) + sum((signed_up >= week).sum() for week in pipeline.cutoffs)
    assert len(pipeline.backtest) / prospects < 0.95


def test_who_signs_up_is_a_prospect_from_the_next_list_on() -> None:
    pipeline = whole()
    company = pipeline.companies.set_index("id")
    paying = set(pipeline.clean.periods["id"])
    free = company[company["created"].notna() & ~company.index.isin(paying)]
    backtest = pipeline.backtest.groupby("id")["as_of"].agg(["min", "size"])
    checked = 0
    for team, created in free["created"].items():
        weeks = [week for week in pipeline.cutoffs if week > created]
        assert (team in backtest.index) == bool(weeks)
        if weeks:
            assert backtest.loc[team].tolist() == [weeks[0], len(weeks)]
            checked += created >= pipeline.cutoffs[0]
    assert checked > 3


# Conversions


def test_who_ended_is_a_prospect_again_and_may_convert_again() -> None:
    pipeline = whole()
    periods, backtest = pipeline.clean.periods, pipeline.backtest
    second = periods[periods.duplicated("id") & periods["conversion_valid"]]
    counted = 0
    for team, start, value in second[["id", "start", "value"]].itertuples(index=False):
        rows = backtest[(backtest["id"] == team) & (backtest["as_of"] > start - HORIZON)]
        rows = rows[rows["as_of"] <= start]
        assert (rows["label"] == 1).all()
        counted += len(rows)
        last = rows[rows["as_of"] > start - WEEK]
        assert (last["MRR"] == value).all()
    assert counted > 5
    assert (backtest.loc[backtest["label"] != 1, "MRR"] == 0).all()
