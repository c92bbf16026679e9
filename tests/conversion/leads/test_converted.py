from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from conversion.leads.converted import converted_companies
from conversion.leads.lead_columns import converted_columns
from conversion.modelling import ensemble
from conversion.stats.losses import log_odds
from tests.memberships import memberships, memberships_export
from tests.pipeline import Pipeline, dirty_export, small_params
from tests.serving import projects_pipeline, small_pipeline


@functools.cache
def members() -> Pipeline:
    return Pipeline(
        memberships_export(), small_params(model__logistic_regression__quadratic=["auto"]), memberships()
    )


@pytest.fixture(scope="module", params=[small_pipeline, projects_pipeline, members])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    found: Pipeline = request.param()
    return found


def test_each_converted_company_is_there_once_at_its_last_snapshot(pipeline: Pipeline) -> None:
    found, train = pipeline.converted.companies, pipeline.train
    assert tuple(found) == converted_columns(pipeline.contract)
    last = train[train["label"] == 1].groupby("id")["as_of"].max()
    assert found["id"].tolist() == last.index.tolist()
    assert found["as_of"].tolist() == last.dt.strftime("%Y-%m-%d").tolist()
    assert len(found) > 3


def test_the_day_is_that_of_the_conversion_that_the_snapshot_counts(pipeline: Pipeline) -> None:
    found, horizon = pipeline.converted.companies, pd.Timedelta(days=pipeline.params.featurize.horizon_days)
    periods = pipeline.clean.periods[pipeline.clean.periods["conversion_valid"]]
    for _, company in found.iterrows():
        as_of, starts = pd.Timestamp(company["as_of"]), periods.loc[periods["id"] == company["id"], "start"]
        first = starts[(starts >= as_of) & (starts < as_of + horizon)].min()
        assert company["converted"] == f"{first:%Y-%m-%d}"
    waited = pd.to_datetime(found["converted"]) - pd.to_datetime(found["as_of"])
    assert (waited < pd.Timedelta(days=7)).any(), "some are seen at the last Monday before"


@pytest.mark.parametrize("made", [projects_pipeline, members])
def test_they_are_shown_as_leads_are(made: Callable[[], Pipeline]) -> None:
    pipeline = made()
    found = pipeline.converted.companies.set_index("id")
    exported = pipeline.companies.set_index("id").loc[found.index]
    shown = pipeline.contract.companies.shown
    assert shown, "else nothing is compared"
    for name in shown:
        assert found[name].fillna("").tolist() == exported[name].fillna("").tolist()


def test_base_and_facts_are_the_log_odds_at_that_snapshot(pipeline: Pipeline) -> None:
    contributions, model = pipeline.converted.contributions, pipeline.model
    assert list(contributions) == list(pipeline.ranked.contributions)
    companies = pipeline.converted.companies
    assert contributions["id"].tolist() == companies["id"].tolist()
    rows = pipeline.train.assign(day=pipeline.train["as_of"].dt.strftime("%Y-%m-%d")).set_index(["id", "day"])
    rows = rows.loc[list(zip(companies["id"], companies["as_of"], strict=True))].reset_index()
    raw = ensemble.raw_probability(list(model.members_.values()), model.values(rows))
    total = contributions.drop(columns="id").sum(axis=1)
    np.testing.assert_allclose(total, log_odds(raw), rtol=0, atol=1e-6)


def test_the_order_of_snapshots_is_irrelevant() -> None:
    pipeline = small_pipeline()
    shuffled = pipeline.train.sample(frac=1, random_state=1)
    found = converted_companies(pipeline.model, shuffled, pipeline.companies, pipeline.clean.periods)
    pd.testing.assert_frame_equal(found.companies, pipeline.converted.companies)


def test_a_conversion_in_quarantine_is_none() -> None:
    pipeline = Pipeline(dirty_export(), small_params())
    periods = pipeline.clean.periods
    assert not set(pipeline.converted.companies["id"]) & set(periods.loc[~periods["conversion_valid"], "id"])
    assert (~periods["conversion_valid"]).any()
