from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import itertools
import json
import math
import random
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.params import ConfidenceOdds, FeatureGroup
from conversion.data.timeline import WEEK, week_number
from conversion.features.compute import (
    compute_features,
    feature_definitions,
    feature_settings,
    summary_definitions,
)
from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.modelling import ensemble
from conversion.modelling.tiers import cuts_by_probability, tier_of
from conversion.modelling.training import describe
from conversion.serving.message_types import MAX_WEEKS
from conversion.serving.messages import Prediction
from conversion.serving.predictor import (
    NO_USAGE,
    NOTHING_KNOWN,
    Predictor,
    confidence_of,
    make_predictor,
    predict,
    summary_arrays,
)
from conversion.serving.predictor import summary_values as values_of_summaries
from conversion.serving.refusals import MAX_FAULTS, RefusalError
from conversion.serving.request_arrays import week_of
from conversion.stats.losses import log_odds
from tests.contract_files import hubspot
from tests.exports import ACTIONS, MEASURES, USERS
from tests.lead_lists import lead_list
from tests.pipeline import MODEL_TYPES, Pipeline, small_params
from tests.serving import (
    EXAMPLE,
    SHA256,
    VERSION,
    History,
    Summary,
    firmographics,
    histories,
    history,
    predictor_of,
    small_pipeline,
    summary,
    week,
)

SETTINGS = feature_settings(small_params().featurize, hubspot())
SUMMARY = tuple(feature.name for feature in summary_definitions(SETTINGS))
NAN = float("nan")
BOUNDS = ConfidenceOdds(high=4.0, medium=2.0)


@pytest.fixture(scope="module", params=MODEL_TYPES)
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    return small_pipeline(request.param)


@pytest.fixture(scope="module")
def predictor(pipeline: Pipeline) -> Predictor:
    return predictor_of(pipeline)


@pytest.fixture(scope="module")
def logistic() -> Predictor:
    return predictor_of(small_pipeline())


def answers(predictor: Predictor, companies: Sequence[Any]) -> list[Prediction]:
    return predict(predictor, companies, [f"companies[{place}]." for place in range(len(companies))])


def read(body: dict[str, Any]) -> Any:
    return History.model_validate_json(json.dumps(body))


def faults_of(predictor: Predictor, *companies: Any) -> list[tuple[str, str]]:
    with pytest.raises(RefusalError) as caught:
        answers(predictor, companies)
    assert caught.value.status == 422
    assert caught.value.reason == "invalid_field"
    return [(fault.field, fault.given) for fault in caught.value.body.detail]


def assert_as_listed(found: Sequence[Prediction], leads: pd.DataFrame) -> None:
    assert [answer.company_id for answer in found] == leads["id"].tolist()
    probability = [answer.conversion_probability for answer in found]
    np.testing.assert_allclose(probability, leads["probability"], rtol=0, atol=1e-9)
    assert [answer.tier for answer in found] == leads["tier"].tolist()
    for name in ("fit", "activity"):
        added = [getattr(answer, name) for answer in found]
        np.testing.assert_allclose(added, leads[name], rtol=0, atol=1e-8)
    listed = leads.astype(object).where(leads.notna(), None)
    for answer, (_, lead) in zip(found, listed.iterrows(), strict=True):
        said = [answer.reasons, answer.caution, answer.evidence]
        reasons = [reason for reason in lead[list(REASON_COLUMNS)] if reason is not None]
        if said == [[NO_USAGE], None, None]:
            assert lead["last_active_week"] is None
            assert not lead[list(hubspot().companies.attributes)].any()
        else:
            assert said == [reasons, lead["caution"], lead["evidence"]]


# Histories are the lead list


def test_every_prospect_scores_as_on_the_list(pipeline: Pipeline, predictor: Predictor) -> None:
    leads = pipeline.leads
    found = answers(predictor, histories(pipeline, leads["id"]))
    assert_as_listed(found, leads)
    assert leads["last_active_week"].isna().any(), "some were never seen"
    assert {answer.basis for answer in found} == {"history"}
    assert {answer.as_of for answer in found} == {pipeline.as_of.date()}
    assert {answer.model_version for answer in found} == {VERSION}
    threshold = pipeline.model.threshold_
    for answer in found:
        probability = answer.conversion_probability
        assert answer.prediction == (probability >= threshold)
        expected = confidence_of(probability, threshold, predictor.confidence)
        assert answer.confidence == ("low" if answer.reasons == [NO_USAGE] else expected)
    assert sum(answer.reasons == [NO_USAGE] for answer in found) < len(found) / 2


def test_one_prospect_alone_scores_as_on_the_list(pipeline: Pipeline, predictor: Predictor) -> None:
    leads = pipeline.leads
    alone = [answers(predictor, [company])[0] for company in histories(pipeline, leads["id"])]
    assert_as_listed(alone, leads)


@pytest.mark.parametrize("model_type", ["logistic_regression", "ensemble"])
@pytest.mark.parametrize(
    "groups",
    [chosen for count in (1, 2) for chosen in itertools.combinations(get_args(FeatureGroup), count)],
    ids="+".join,
)
def test_every_choice_of_groups_scores_as_on_its_list(model_type: str, groups: tuple[str, ...]) -> None:
    pipeline = small_pipeline(model_type, groups=groups)
    leads = pipeline.leads
    assert_as_listed(answers(predictor_of(pipeline), histories(pipeline, leads["id"])), leads)


@pytest.mark.parametrize("as_of", ["2019-07-01", "2019-08-26"])
def test_a_list_of_the_past(pipeline: Pipeline, predictor: Predictor, as_of: str) -> None:
    """Whoever gives what was known then gets the list of then, whatever model makes it."""
    params = pipeline.params
    past = small_pipeline(params.model.type, as_of)
    assert past.usage["WHEN_TIMESTAMP"].max() + WEEK == pd.Timestamp(as_of)
    by_this = lead_list(pipeline.model, past.prospects, past.evidence, params.score)
    beside = predictor.beside(by_this.cuts, past.evidence)
    assert_as_listed(answers(beside, histories(past, by_this.leads["id"], as_of)), by_this.leads)
    # A model of then asks for no as_of.
    assert_as_listed(answers(predictor_of(past), histories(past, past.leads["id"])), past.leads)


def test_no_usage_is_a_company_never_seen(pipeline: Pipeline, predictor: Predictor) -> None:
    leads = pipeline.leads
    never = leads[~leads["id"].isin(pipeline.usage["id"])]
    assert len(never)
    bodies = [firmographics(pipeline, company) | {"usage": []} for company in never["id"]]
    assert_as_listed(answers(predictor, [read(body) for body in bodies]), never)


# What does not matter


def same(left: Sequence[Prediction], right: Sequence[Prediction]) -> None:
    for one, other in zip(left, right, strict=True):
        probability = other.conversion_probability
        assert one == other.model_copy(update={"conversion_probability": one.conversion_probability})
        assert one.conversion_probability == pytest.approx(probability, abs=2e-9)


def test_the_order_of_companies_and_weeks(pipeline: Pipeline, predictor: Predictor) -> None:
    bodies = [history(pipeline, company) for company in pipeline.leads["id"]]
    expected = answers(predictor, [read(body) for body in bodies])
    draw = random.Random(0)
    for body in bodies:
        draw.shuffle(body["usage"])
    order = draw.sample(range(len(bodies)), len(bodies))
    shuffled = answers(predictor, [read(bodies[place]) for place in order])
    same(shuffled, [expected[place] for place in order])


def test_a_batch_of_all_kinds_is_one_by_one(pipeline: Pipeline, predictor: Predictor) -> None:
    past = small_pipeline(pipeline.params.model.type, "2019-07-01")
    now = histories(pipeline, pipeline.leads["id"][:8])
    then = histories(past, past.leads["id"][:8], "2019-07-01")
    later = histories(pipeline, pipeline.leads["id"][:4], "2024-02-29")
    totals = [Summary(**EXAMPLE), Summary(id=5), Summary(**EXAMPLE | {"INDUSTRY": None})]
    companies: list[Any] = [*now, *then, *later, *totals, now[0], totals[1]]
    random.Random(1).shuffle(companies)
    together = answers(predictor, companies)
    same(together, [answers(predictor, [company])[0] for company in companies])
    assert [answer.basis for answer in together] == [
        "history" if isinstance(company, History) else "summary" for company in companies
    ]
    assert {answer.as_of for answer in together} == {
        None,
        pipeline.as_of.date(),
        dt.date(2019, 7, 1),
        dt.date(2024, 2, 26),
    }


def test_a_batch_of_none(logistic: Predictor) -> None:
    assert answers(logistic, []) == []


def test_any_day_counts_for_its_monday(logistic: Predictor) -> None:
    weeks = {"2019-06-03": 1, "2019-06-10": 5, "2019-08-05": 2}
    expected = answers(logistic, [read(within(weeks, "2019-08-12", days=0))])
    for days in range(1, 7):
        assert answers(logistic, [read(within(weeks, "2019-08-12", days=days))]) == expected


def within(weeks: dict[str, int], as_of: str, days: int) -> dict[str, Any]:
    """Make a history whose days are all so many days after the Mondays."""

    def moved(day: str) -> str:
        return (dt.date.fromisoformat(day) + dt.timedelta(days=days)).isoformat()

    usage = [week(moved(day), ACTIONS_EMAIL=count, USERS_EMAIL=1) for day, count in weeks.items()]
    return {"id": 1, "as_of": moved(as_of), "usage": usage}


def test_weeks_are_those_of_the_features() -> None:
    days = pd.date_range("1969-12-01", "2031-01-01", freq="D")
    assert [week_of(day.date()) for day in days] == week_number(days).tolist()
    assert week_of(dt.date(1970, 1, 5)) == 0
    assert week_of(dt.date.min) < week_of(dt.date.max)


def test_the_end_of_time(logistic: Predictor) -> None:
    """Nothing that a day may be is beyond the calendar."""
    for day in ("0001-01-01", "9999-12-31"):
        assert len(answers(logistic, [read({"id": 1, "as_of": day, "usage": []})])) == 1
        assert faults_of(logistic, read({"id": 1, "as_of": "0001-01-05", "usage": [week(day)]}))
    assert faults_of(logistic, read({"id": 1, "as_of": "9999-12-31", "usage": [week("0001-01-01")]}))
    assert answers(logistic, [read({"id": 1, "as_of": "9999-12-31", "usage": [week("9999-12-26")]})])


# Weeks that are refused


@pytest.mark.parametrize("day", ["2019-08-12", "2019-08-14", "2019-08-19", "9999-12-31"])
def test_weeks_that_are_not_over(logistic: Predictor, day: str) -> None:
    body = {"id": 1, "as_of": "2019-08-14", "usage": [week("2019-08-05"), week(day)]}
    assert faults_of(logistic, read(body)) == [("companies[0].usage[1].WHEN_TIMESTAMP", day)]


def test_the_refusal_says_which_week_would_do(logistic: Predictor) -> None:
    body = read({"id": 1, "as_of": "2019-08-14", "usage": [week("2019-08-13")]})
    with pytest.raises(RefusalError) as caught:
        predict(logistic, [body], [""])
    (fault,) = caught.value.body.detail
    assert fault.field == "usage[0].WHEN_TIMESTAMP"
    assert "2019-08-12" in fault.allowed
    assert "2019-08-05 at the latest" in fault.allowed


def test_without_as_of_the_moment_of_training_counts(logistic: Predictor) -> None:
    last = logistic.trained_as_of - dt.timedelta(days=1)
    (answer,) = answers(logistic, [read({"id": 1, "usage": [week(last.isoformat())]})])
    assert answer.as_of == logistic.trained_as_of
    first = logistic.trained_as_of.isoformat()
    assert faults_of(logistic, read({"id": 1, "usage": [week(first)]})) == [
        ("companies[0].usage[0].WHEN_TIMESTAMP", first)
    ]


@pytest.mark.parametrize("again", ["2019-08-05", "2019-08-07", "2019-08-11"])
def test_a_week_twice(logistic: Predictor, again: str) -> None:
    body = {"id": 1, "usage": [week("2019-07-29"), week("2019-08-05"), week("2019-07-22"), week(again)]}
    assert faults_of(logistic, read(body)) == [("companies[0].usage[3].WHEN_TIMESTAMP", again)]


def test_weeks_out_of_reach(logistic: Predictor) -> None:
    as_of = dt.date(2019, 8, 12)
    first, before = (as_of - dt.timedelta(weeks=MAX_WEEKS + more) for more in (0, 1))
    body = {"id": 1, "as_of": as_of.isoformat(), "usage": [week(first.isoformat())]}
    assert len(answers(logistic, [read(body)])) == 1
    body["usage"] = [week(first.isoformat()), week(before.isoformat())]
    assert faults_of(logistic, read(body)) == [("companies[0].usage[1].WHEN_TIMESTAMP", before.isoformat())]


@pytest.mark.parametrize(("actions", "users"), list(zip(ACTIONS, USERS, strict=True)))
def test_fewer_actions_than_users(logistic: Predictor, actions: str, users: str) -> None:
    good, bad = week("2019-08-05", **{actions: 2, users: 2}), week("2019-07-29", **{actions: 2, users: 3})
    assert len(answers(logistic, [read({"id": 1, "usage": [good]})])) == 1
    assert faults_of(logistic, read({"id": 1, "usage": [good, bad]})) == [
        (f"companies[0].usage[1].{users}", "3")
    ]


def test_all_faults_of_all_companies_are_told(logistic: Predictor) -> None:
    late = read({"id": 1, "as_of": "2019-08-12", "usage": [week("2019-08-12"), week("2019-08-12")]})
    few = read({"id": 2, "usage": [week("2019-08-05", USERS_EMAIL=1, USERS_CRM_DEALS=4)]})
    good = read({"id": 3, "usage": [week("2019-08-05")]})
    assert faults_of(logistic, Summary(id=9), late, good, few) == [
        ("companies[1].usage[0].WHEN_TIMESTAMP", "2019-08-12"),
        ("companies[1].usage[1].WHEN_TIMESTAMP", "2019-08-12"),
        ("companies[3].usage[0].USERS_CRM_DEALS", "4"),
        ("companies[3].usage[0].USERS_EMAIL", "1"),
    ]
    assert len(faults_of(logistic, *[late] * 100)) == MAX_FAULTS


# Summaries


def test_a_summary_is_predicted_from_totals(pipeline: Pipeline, predictor: Predictor) -> None:
    (answer,) = answers(predictor, [Summary(**EXAMPLE)])
    model = pipeline.model.summary_
    values = summary_values([Summary(**EXAMPLE)], predictor)
    assert answer.company_id == 123
    assert answer.conversion_probability == pytest.approx(model.probability(values)[0], abs=1e-9)
    assert answer.prediction == (answer.conversion_probability >= model.threshold_)
    assert (answer.basis, answer.as_of, answer.model_version) == ("summary", None, VERSION)
    assert 1 <= len(answer.reasons) == len(set(answer.reasons)) <= 3
    assert answer.evidence == pipeline.evidence.summary_lines.of(answer.conversion_probability)
    raw = ensemble.raw_probability(list(model.members_.values()), values)
    total = model.base_log_odds_ + answer.fit + answer.activity
    assert total == pytest.approx(float(log_odds(raw)[0]), abs=1e-6)
    assert answer.tier == tier_of(answer.conversion_probability, pipeline.ranked.cuts)


@pytest.mark.parametrize(
    "known", [{}, {"INDUSTRY": "Sorcery"}, {"INDUSTRY": "Other"}, dict.fromkeys(EXAMPLE)]
)
def test_where_nothing_is_known_the_answer_says_so(
    pipeline: Pipeline, predictor: Predictor, known: dict[str, Any]
) -> None:
    """However far from the threshold the probability is: nothing says that it is this company's."""
    eager = dataclasses.replace(predictor, confidence=ConfidenceOdds(high=1.00002, medium=1.00001))
    (answer,) = answers(eager, [summary(**known | {"id": 7})])
    threshold = pipeline.model.summary_.threshold_
    assert confidence_of(answer.conversion_probability, threshold, eager.confidence) == "high"
    assert answer.confidence == "low"
    assert answer.reasons == [
        "Nothing but its id is known of this company; the probability is not specific to it"
    ]
    assert (answer.caution, answer.evidence) == (None, None)


def test_a_history_without_usage_and_attributes_says_so(predictor: Predictor) -> None:
    company = read({"id": 1, "usage": []})
    (answer,) = answers(predictor, [company])
    assert (answer.confidence, answer.basis) == ("low", "history")
    assert answer.reasons == [
        "It never used the product, and nothing else is known; the probability is not specific to it"
    ]
    assert (answer.caution, answer.evidence) == (None, None)
    for more in ({"ALEXA_RANK": 5}, {"usage": [week("2019-06-03", ACTIONS_EMAIL=1)]}):
        (known,) = answers(predictor, [read({"id": 1, "usage": []} | more)])
        assert known.reasons != answer.reasons
        assert known.evidence is not None


def test_without_a_list_there_is_no_evidence_and_tiers_go_by_probability(pipeline: Pipeline) -> None:
    description = describe(pipeline.model, pipeline.train, pipeline.as_of, pipeline.params)
    alone = make_predictor(pipeline.model, description | {"sha256": SHA256}, pipeline.params)
    cuts = cuts_by_probability(pipeline.params.score.tiers)
    found = answers(alone, histories(pipeline, pipeline.leads["id"]))
    assert {answer.evidence for answer in found} == {None}
    assert [answer.tier for answer in found] == [
        str(tier_of(answer.conversion_probability, cuts)) for answer in found
    ]


@pytest.mark.parametrize("known", [{"total_actions": 0}, {"ALEXA_RANK": 16_000_001}, {"EMPLOYEE_RANGE": "1"}])
def test_where_anything_is_known_the_reasons_are_given(predictor: Predictor, known: dict[str, Any]) -> None:
    unknown, answer = answers(predictor, [summary(), summary(**known)])
    assert unknown.reasons == [NOTHING_KNOWN]
    assert answer.reasons != [NOTHING_KNOWN]
    assert answer.evidence is not None


def summary_values(companies: Sequence[Any], predictor: Predictor | None = None) -> Any:
    """Return the features of summaries, for a model of all that a summary has unless one is given."""
    predictor = predictor_of(small_pipeline()) if predictor is None else predictor
    arrays = summary_arrays(predictor, companies, predictor.reader.encoded(companies))
    return values_of_summaries(predictor, *arrays)


def values_of(company: Any) -> dict[str, float]:
    return dict(zip(SUMMARY, summary_values([company])[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            EXAMPLE,
            {
                "total_actions": 150, "total_users": 5, "days_active": 30, "activity_frequency": 1,
                "actions_per_user": 30, "seen": 1, "log_alexa_rank": math.log(50000), "unranked": 0,
                "size": 5, "sector": 0,
            },
        ),
        (
            {},
            {
                "total_actions": NAN, "total_users": NAN, "days_active": NAN, "activity_frequency": NAN,
                "actions_per_user": NAN, "seen": NAN, "log_alexa_rank": NAN, "unranked": NAN,
                "size": NAN, "sector": 13,
            },
        ),
        (
            {"total_actions": 0, "total_users": 0, "days_active": 0, "activity_frequency": 0},
            {
                "total_actions": 0, "total_users": 0, "days_active": NAN, "activity_frequency": NAN,
                "actions_per_user": 0, "seen": 0,
            },
        ),
        ({"activity_frequency": 0}, {"activity_frequency": NAN, "days_active": NAN, "seen": 0}),
        # One row of zeros: seen, without an action.
        (
            {"total_actions": 0, "total_users": 0, "days_active": 0, "activity_frequency": 1},
            {"days_active": 0, "activity_frequency": 1, "actions_per_user": 0, "seen": 1},
        ),
        ({"total_actions": 0, "total_users": 0, "days_active": 0}, {"days_active": 0, "seen": NAN}),
        ({"total_actions": 3}, {"total_actions": 3, "actions_per_user": NAN, "seen": 1, "total_users": NAN}),
        ({"total_users": 0}, {"actions_per_user": 0, "seen": NAN}),
        ({"total_actions": 9, "total_users": 4}, {"actions_per_user": 2.25}),
        ({"activity_frequency": 0.25}, {"activity_frequency": 0.25, "seen": 1}),
        ({"ALEXA_RANK": 16_000_001}, {"log_alexa_rank": math.log(16_000_001), "unranked": 1}),
        ({"ALEXA_RANK": 1}, {"log_alexa_rank": 0, "unranked": 0}),
        ({"INDUSTRY": "Travel", "EMPLOYEE_RANGE": "10,001 or more"}, {"sector": 10, "size": 9}),
    ],
)  # fmt: skip
def test_values_of_totals_by_hand(given: dict[str, Any], expected: dict[str, float]) -> None:
    found = values_of(summary(**given))
    assert tuple(found) == SUMMARY
    single = {name: float(np.float32(value)) for name, value in expected.items()}
    assert {name: found[name] for name in expected} == pytest.approx(single, rel=1e-6, nan_ok=True)


def test_columns_are_found_by_name() -> None:
    company = Summary(**EXAMPLE)
    forward = summary_values([company])
    predictor = predictor_of(small_pipeline())
    model, of_summary = copy.copy(predictor.model), copy.copy(predictor.model.summary_)
    of_summary.features = of_summary.features[::-1]
    model.summary_ = of_summary
    backward = summary_values([company], dataclasses.replace(predictor, model=model))
    np.testing.assert_array_equal(forward, backward[:, ::-1])
    assert forward.dtype == np.float32


def totals_of(rows: pd.DataFrame) -> dict[str, float | None]:
    """Sum a company's usage rows as the contract describes the totals; no row is no usage at all."""
    if rows.empty:
        return dict.fromkeys(("total_actions", "total_users", "days_active", "activity_frequency"), 0)
    days = (rows["WHEN_TIMESTAMP"].max() - rows["WHEN_TIMESTAMP"].min()).days
    return {
        "total_actions": int(rows[list(ACTIONS)].to_numpy().sum()),
        "total_users": int(rows[list(USERS)].to_numpy().sum()),
        "days_active": days,
        "activity_frequency": len(rows) / (days + 1),
    }


def test_totals_of_real_prospects_give_the_features_of_the_list(pipeline: Pipeline) -> None:
    settings = feature_settings(pipeline.params.featurize, pipeline.contract)
    prospects = pipeline.companies[pipeline.companies["id"].isin(pipeline.leads["id"])].sort_values("id")
    usage = pipeline.usage[pipeline.usage["id"].isin(prospects["id"])]
    computed = compute_features(prospects, usage, pd.DatetimeIndex([pipeline.as_of]), settings)[:, 0]
    names = [feature.name for feature in feature_definitions(settings)]
    expected = computed[:, [names.index(name) for name in SUMMARY]]
    requests = [
        Summary(**firmographics(pipeline, company), **totals_of(usage[usage["id"] == company]))
        for company in prospects["id"]
    ]
    np.testing.assert_array_equal(summary_values(requests), expected)


def test_totals_of_prospects_score_as_the_summary_model(pipeline: Pipeline, predictor: Predictor) -> None:
    ids = pipeline.latest["id"]
    requests = [
        Summary(
            **firmographics(pipeline, company), **totals_of(pipeline.usage[pipeline.usage["id"] == company])
        )
        for company in ids
    ]
    expected = pipeline.model.summary_.predict_proba(pipeline.latest)[:, 1]
    found = [answer.conversion_probability for answer in answers(predictor, requests)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


totals = st.none() | st.floats(0, 1e12)


@given(st.tuples(totals, totals, totals, totals))
def test_any_totals_are_predicted(given: tuple[float | None, ...]) -> None:
    names = ("total_actions", "total_users", "days_active", "activity_frequency")
    (answer,) = answers(predictor_of(small_pipeline()), [summary(**dict(zip(names, given, strict=True)))])
    assert 0 <= answer.conversion_probability <= 1


counts = st.integers(0, 10**9)


@given(
    st.dictionaries(st.integers(1, MAX_WEEKS), st.tuples(*[counts] * len(ACTIONS)), max_size=6),
    st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1)),
    st.none() | st.floats(0.01, 1e12),
)
def test_any_usage_is_predicted(
    weeks: dict[int, tuple[int, ...]], as_of: dt.date, rank: float | None
) -> None:
    monday = as_of - dt.timedelta(days=as_of.weekday())
    usage = [
        week((monday - dt.timedelta(weeks=back)).isoformat())
        | dict(zip(MEASURES, [*actions, *(count // 2 for count in actions)], strict=True))
        for back, actions in weeks.items()
    ]
    body = {"id": 1, "ALEXA_RANK": rank, "as_of": as_of.isoformat(), "usage": usage}
    (answer,) = answers(predictor_of(small_pipeline()), [read(body)])
    assert 0 <= answer.conversion_probability <= 1
    assert answer.as_of == monday
    assert len(set(answer.reasons)) == len(answer.reasons) <= 3
    assert (answer.reasons == [NO_USAGE]) == (not weeks and rank is None)


# Confidence


@pytest.mark.parametrize(
    ("probability", "threshold", "confidence"),
    [
        (0.2, 0.2, "low"), (0.0, 0.2, "high"), (1.0, 0.2, "high"),
        (0.8, 0.5, "high"), (0.79, 0.5, "medium"), (0.67, 0.5, "medium"), (0.66, 0.5, "low"),
        (0.5, 0.5, "low"), (0.34, 0.5, "low"), (0.33, 0.5, "medium"), (0.21, 0.5, "medium"),
        (0.19, 0.5, "high"), (0.5, 0.2, "high"), (0.49, 0.2, "medium"), (0.05, 0.2, "high"),
        (0.0004, 0.001, "medium"), (0.0002, 0.001, "high"), (0.004, 0.001, "high"),
    ],
)  # fmt: skip
def test_confidence_by_hand(probability: float, threshold: float, confidence: str) -> None:
    assert confidence_of(probability, threshold, BOUNDS) == confidence


@given(st.integers(0, 1024), st.integers(1, 1023))
def test_confidence_is_symmetric(probability: int, threshold: int) -> None:
    """Odds twice the threshold's are as sure a yes as half of them are a no."""
    one, other = probability / 1024, threshold / 1024
    assert confidence_of(one, other, BOUNDS) == confidence_of(1 - one, 1 - other, BOUNDS)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.999))
def test_confidence_grows_away_from_the_threshold(one: float, other: float, threshold: float) -> None:
    levels = ("low", "medium", "high")
    near, far = sorted((one, other), key=lambda probability: abs(probability - threshold))
    if (near - threshold) * (far - threshold) >= 0:
        of_near, of_far = (levels.index(confidence_of(p, threshold, BOUNDS)) for p in (near, far))
        assert of_near <= of_far
