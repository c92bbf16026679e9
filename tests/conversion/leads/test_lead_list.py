from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from conversion.data.timeline import WEEK
from conversion.features.facts import facts_of
from conversion.features.observations import observe_table
from conversion.leads.lead_columns import REASON_COLUMNS, lead_columns
from conversion.leads.lead_list import (
    last_activity,
    mrr_by_level,
    mrr_estimates,
    overall_mrr,
)
from conversion.leads.reasons import reason_writer
from conversion.modelling import ensemble
from conversion.modelling.tiers import tier_of
from conversion.stats.hashing import tie_break
from conversion.stats.losses import log_odds
from tests.contract_files import hubspot, projects
from tests.exports import CUSTOMERS, MEASURES, projects_export
from tests.lead_lists import lead_list
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params


@pytest.fixture(scope="module", params=MODEL_TYPES)
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    return Pipeline(dirty_export(), small_params(model__type=request.param, data__as_of="2019-08-26"))


# The list


def test_each_prospect_is_listed_once(pipeline: Pipeline) -> None:
    leads = pipeline.leads
    assert tuple(leads) == lead_columns(hubspot())
    closed = pipeline.typed[CUSTOMERS].set_index("id")["CLOSEDATE"]
    converted = set(closed.index[closed < pipeline.as_of])
    assert set(leads["id"]) == set(pipeline.companies["id"]) - converted
    assert leads["id"].is_unique
    assert converted


def test_ranks_follow_the_probabilities_and_ties_the_hash(pipeline: Pipeline) -> None:
    leads = pipeline.leads
    assert leads["rank"].tolist() == list(range(1, len(leads) + 1))
    assert leads["probability"].is_monotonic_decreasing
    order = np.lexsort((tie_break(leads["id"]), -leads["probability"].to_numpy()))
    assert order.tolist() == list(range(len(leads)))


def test_probabilities_are_the_models(pipeline: Pipeline) -> None:
    probability = pipeline.model.predict_proba(pipeline.latest)[:, 1]
    expected = pd.Series(probability, index=pipeline.latest["id"]).loc[pipeline.leads["id"]]
    np.testing.assert_allclose(pipeline.leads["probability"], expected, rtol=0, atol=5.1e-10)


def test_reasons_and_cautions_are_the_models(pipeline: Pipeline) -> None:
    latest, tables = pipeline.latest, pipeline.encoded
    companies = pipeline.companies.set_index("id", drop=False).loc[latest["id"]].reset_index(drop=True)
    seen = observe_table(companies, tables.usage, pipeline.as_of, pipeline.recipe.settings)
    model = pipeline.model
    told = reason_writer(model, pipeline.contract, model.levels).write(
        seen, model.contributions(model.values(latest))
    )
    leads = pipeline.leads.set_index("id").loc[latest["id"]]
    for each, (_, lead) in zip(told, leads.iterrows(), strict=True):
        assert lead[list(REASON_COLUMNS)].dropna().tolist() == list(each.reasons)
        assert (None if pd.isna(lead["caution"]) else lead["caution"]) == each.caution
    assert leads["reason_1"].notna().any()
    assert leads["caution"].notna().any()


def test_base_fit_and_activity_are_the_log_odds_before_calibration(pipeline: Pipeline) -> None:
    model, leads = pipeline.model, pipeline.leads.set_index("id").loc[pipeline.latest["id"]]
    raw = ensemble.raw_probability(list(model.members_.values()), model.values(pipeline.latest))
    total = model.base_log_odds_ + leads["fit"] + leads["activity"]
    np.testing.assert_allclose(total, log_odds(raw), rtol=0, atol=1e-6)
    assert leads["activity"].std() > 0


def test_the_facts_of_a_part_add_up_to_it(pipeline: Pipeline) -> None:
    leads, contributions = pipeline.leads, pipeline.ranked.contributions
    assert contributions["id"].tolist() == leads["id"].tolist()
    facts = facts_of(pipeline.model.features, pipeline.contract)
    assert list(contributions) == ["id", "base", *(fact.key for fact in facts)]
    assert set(contributions.drop(columns="id").dtypes) == {np.dtype("float64")}
    for part in ("fit", "activity"):
        of_part = contributions[[fact.key for fact in facts if fact.part == part]]
        np.testing.assert_allclose(of_part.sum(axis=1), leads[part], rtol=0, atol=1e-7)


def test_the_evidence_is_that_of_the_probability(pipeline: Pipeline) -> None:
    leads = pipeline.leads
    expected = [pipeline.evidence.lines.of(each) for each in leads["probability"]]
    assert leads["evidence"].tolist() == expected


def test_what_has_moved_is_the_list_of_a_week_before_by_the_same_model(pipeline: Pipeline) -> None:
    before = dataclasses.replace(pipeline.prospects, snapshots=pipeline.previous)
    earlier = lead_list(pipeline.model, before, pipeline.evidence, pipeline.params.score).leads.set_index(
        "id"
    )
    leads = pipeline.leads.set_index("id")
    known = leads.index.intersection(earlier.index)
    assert len(known)
    for now, then in (("rank_before", "rank"), ("probability_before", "probability")):
        assert leads.loc[known, now].tolist() == earlier.loc[known, then].tolist()
        assert leads.drop(known)[now].isna().all()
    assert (leads.loc[known, "rank_before"] != leads.loc[known, "rank"]).any()
    assert (pipeline.previous["as_of"] == pipeline.as_of - WEEK).all()


def test_a_lead_carries_its_company_and_its_revenue(pipeline: Pipeline) -> None:
    companies = pipeline.companies.set_index("id")
    companies["ALEXA_RANK"] = companies["ALEXA_RANK"].mask(companies["unranked"] == 1.0, 16_000_001.0)
    paid = pipeline.companies.loc[pipeline.companies["conversion_valid"], "MRR"]
    sizes = pipeline.companies.loc[paid.index, "size"]
    estimate = mrr_by_level(paid, sizes, pipeline.params.score.mrr_prior)
    overall = overall_mrr(paid)
    for _, lead in pipeline.leads.iterrows():
        company = companies.loc[lead["id"]]
        for name in ("ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY", "sector"):
            assert lead[name] == company[name] or (pd.isna(lead[name]) and pd.isna(company[name]))
        mrr = estimate.get(company["size"], overall)
        assert lead["expected_mrr"] == pytest.approx(lead["probability"] * mrr)
    assert pipeline.leads["EMPLOYEE_RANGE"].isna().any(), "one of unknown size is among them"
    assert (pipeline.leads["ALEXA_RANK"] == 16_000_001).any(), "and one that is not ranked"


def test_order_of_snapshots_and_usage_is_irrelevant(pipeline: Pipeline) -> None:
    prospects = pipeline.prospects
    tables = prospects.tables
    shuffled = dataclasses.replace(
        prospects,
        snapshots=prospects.snapshots.sample(frac=1, random_state=1),
        previous=prospects.previous.sample(frac=1, random_state=2),
        tables=tables._replace(usage=tables.usage.sample(frac=1, random_state=1)),
    )
    found = lead_list(pipeline.model, shuffled, pipeline.evidence, pipeline.params.score)
    pd.testing.assert_frame_equal(found.leads, pipeline.leads, rtol=0, atol=1e-9)
    pd.testing.assert_frame_equal(found.contributions, pipeline.ranked.contributions, rtol=0, atol=1e-8)


def test_one_prospect_alone_scores_the_same(pipeline: Pipeline) -> None:
    lead, latest = pipeline.leads.iloc[3], pipeline.latest
    one = dataclasses.replace(pipeline.prospects, snapshots=latest[latest["id"] == lead["id"]])
    alone = lead_list(pipeline.model, one, pipeline.evidence, pipeline.params.score).leads
    assert len(alone) == 1
    assert alone["rank"].iloc[0] == 1
    assert alone["tier"].iloc[0] == "very_high", "it is the first of its list"
    same = ["id", *REASON_COLUMNS, "caution", "evidence", "rank_before", "last_active_week"]
    assert alone[same].astype(object).iloc[0].fillna("-").tolist() == lead[same].fillna("-").tolist()
    for name in ("probability", "fit", "activity"):
        assert alone[name].iloc[0] == pytest.approx(lead[name], abs=2e-9)


# Tiers


def test_tiers_of_the_list(pipeline: Pipeline) -> None:
    """Of a short list of 10: the first 2, 10 and 50, and who is as probable as the last of these."""
    leads, cuts = pipeline.leads, pipeline.ranked.cuts
    last = [leads["probability"].iloc[rank - 1] for rank in (2, 10, 50)]
    assert [cuts.very_high, cuts.high, cuts.medium] == last
    assert leads["tier"].tolist() == tier_of(leads["probability"], cuts).tolist()
    assert leads["tier"].head(10).nunique() == 2
    assert (leads.loc[leads["tier"] == "low", "rank"] > 50).all()


# Revenue


def paying(*rows: tuple[float, float]) -> tuple[pd.Series, pd.Series]:
    """Return the MRR of conversions and their levels."""
    level, mrr = zip(*rows, strict=True)
    return pd.Series(mrr, dtype="float64"), pd.Series(level, dtype="float64")


def test_expected_mrr_by_hand() -> None:
    """Level 1 has 100, 200 and 900 (median 200), level 2 has 50; the overall median of the four is 150."""
    rows = ((1.0, 100.0), (1.0, 200.0), (1.0, 900.0), (2.0, 50.0), (3.0, np.nan))
    paid, level = paying(*rows)
    estimate = mrr_by_level(paid, level, 10.0)
    assert overall_mrr(paid) == 150
    assert estimate[1.0] == pytest.approx(200 ** (3 / 13) * 150 ** (10 / 13))
    assert estimate[2.0] == pytest.approx(50 ** (1 / 11) * 150 ** (10 / 11))
    assert list(estimate.index) == [1.0, 2.0]


def test_a_conversion_in_quarantine_has_no_mrr_to_learn_from() -> None:
    companies = pd.DataFrame(
        [(1.0, 100.0, True), (1.0, 200.0, True), (1.0, 900.0, True), (2.0, 50.0, True), (2.0, 9e9, False)],
        columns=["size", "MRR", "conversion_valid"],
    )
    prospects = pd.DataFrame({"size": [2.0, np.nan, 1.0]})
    expected = [50 ** (1 / 11) * 150 ** (10 / 11), 150, 200 ** (3 / 13) * 150 ** (10 / 13)]
    assert mrr_estimates(companies, 10.0, hubspot()).of(prospects).tolist() == pytest.approx(expected)


def test_shrinkage_fades_with_data() -> None:
    paid, level = paying((1.0, 100.0), *[(2.0, 900.0)] * 40)
    few, many = (mrr_by_level(paid, level, prior) for prior in (1e-9, 1e9))
    assert few[1.0] == pytest.approx(100)
    assert many[1.0] == pytest.approx(900)
    assert mrr_by_level(paid, level, 5.0)[1.0] > 500, "one conversion says little"


def test_without_any_conversion_nothing_is_expected() -> None:
    paid, level = paying((1.0, np.nan))
    assert overall_mrr(paid) == 0
    assert mrr_by_level(paid, level, 10.0).empty


# Last activity


def test_last_activity() -> None:
    monday = pd.Timestamp("2020-02-03")
    rows = [
        (1, monday, [1, 2, 0, 4, 1, 0, 0, 3]),
        (1, monday - WEEK, [99] * 8),
        (1, monday + WEEK, [0] * 8),
        (2, monday, [0] * 8),
        (3, monday - 5 * WEEK, [0, 0, 0, 0, 0, 2, 0, 0]),
    ]
    usage = pd.DataFrame([(company, when, *counts) for company, when, counts in rows])
    usage.columns = ["id", "WHEN_TIMESTAMP", *MEASURES]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        last = last_activity(usage.iloc[order], hubspot()).sort_values("id")
        assert last.to_numpy().tolist() == [[1, "2020-02-03", 7, 3], [3, "2019-12-30", 0, 2]]


def test_the_list_says_when_a_prospect_was_last_active(pipeline: Pipeline) -> None:
    usage = pipeline.usage
    leads = pipeline.leads.set_index("id")
    active = usage[(usage[list(MEASURES)] > 0).any(axis=1)]
    expected = active.groupby("id")["WHEN_TIMESTAMP"].max().reindex(leads.index).dt.strftime("%Y-%m-%d")
    assert leads["last_active_week"].fillna("").tolist() == expected.fillna("").tolist()
    assert leads["last_active_week"].isna().any()
    assert (leads["last_active_week"].dropna() < f"{pipeline.as_of:%Y-%m-%d}").all()
    assert leads["last_week_users"].isna().equals(leads["last_active_week"].isna())


# Another contract, from its export to its list


@pytest.fixture(scope="module", params=MODEL_TYPES)
def of_projects(request: pytest.FixtureRequest) -> Pipeline:
    params = small_params(model__type=request.param, model__logistic_regression__quadratic=["plan"])
    return Pipeline(projects_export(companies=200, weeks=40), params, projects())


def test_prospects_of_another_contract_are_listed(of_projects: Pipeline) -> None:
    """Signed up by now, and not paying: never converted, or ended."""
    leads, accounts = of_projects.leads, of_projects.typed["accounts"].set_index("id")
    as_of = of_projects.as_of
    is_there = accounts["created"] < as_of
    free = ~(accounts["paid_since"] < as_of) | (accounts["cancelled"] < as_of)
    assert set(leads["id"]) == set(accounts.index[is_there & free])
    assert tuple(leads) == lead_columns(projects())
    assert leads["id"].str.startswith("0").any()
    again = accounts.loc[leads["id"], "paid_since"] < as_of
    assert again.any(), "one that has ended is among them"


def test_a_lead_of_another_contract_carries_what_is_shown(of_projects: Pipeline) -> None:
    leads = of_projects.leads.set_index("id")
    accounts = of_projects.typed["accounts"].set_index("id").loc[leads.index]
    for name in ("name", "owner", "country", "plan", "head_count", "is_partner"):
        pd.testing.assert_series_equal(leads[name], accounts[name], check_dtype=False)
    reasons = leads[[*REASON_COLUMNS, "caution"]].fillna("")
    for text in (*accounts["name"].dropna(), "Ann", "Bé"):
        assert not reasons.map(lambda reason, text=text: text in reason).any(axis=None)


def test_sentences_of_another_contract_say_what_its_reps_do(of_projects: Pipeline) -> None:
    sentences = of_projects.leads[[*REASON_COLUMNS, "caution"]].melt()["value"].dropna()
    said = " ".join(sentences)
    assert "employees" in said, "as reps call the head count"
    for name in ("ACTIONS", "head_count", "automation_runs"):
        assert name not in said
