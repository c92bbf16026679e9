from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import levels_of
from conversion.features.compute import feature_definitions, levels_in, summary_definitions
from conversion.features.definitions import Feature, LifetimeTotals
from conversion.features.facts import fact_places, facts_of, sum_by_fact
from conversion.features.observations import Observations, observe_table, observe_totals
from conversion.features.sentences import templates_of
from conversion.features.statements import clash
from conversion.leads.reasons import LEAST_LOG_ODDS, REASONS, ReasonWriter, reason_writer
from conversion.simulation.sample import simulate
from tests.contract_files import hubspot, projects
from tests.conversion.features.cases import (
    AS_OF,
    CONTRACTS,
    Case,
    cases,
    companies_of,
    settings_of,
    usage_of,
)
from tests.exports import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params
from tests.reasons import Weighed, told
from tests.samples import FIRST_WEEK, SEED

by_contract = pytest.mark.parametrize("name", CONTRACTS)
SETTINGS = settings_of(hubspot())
SMALL_SETTINGS = settings_of(hubspot(), windows=(1, 4, 13), half_lives=(2,))
BY_NAME = {feature.name: feature for feature in feature_definitions(SETTINGS)}


def company(weeks: dict[int, list[float]], contract: Contract | None = None, **values: Any) -> Observations:
    """Observe a company with these counts, by how many weeks ago they began."""
    contract = contract or hubspot()
    identity: Any = 3 if contract.companies.ids == "whole" else "7"
    rows = [(identity, ago - 1, counts) for ago, counts in weeks.items()]
    companies = companies_of(contract, identity, **{column: [value] for column, value in values.items()})
    return observe_table(companies, usage_of(contract, *rows), AS_OF, settings_of(contract))


def levels_for(contract: Contract) -> dict[str, tuple[str, ...]]:
    return {column: levels_of(each, ()) for column, each in contract.attributes_of(Category).items()}


# Each feature


USAGE = {
    "grows": {1: 8, 2: 7, 5: 3, 20: 1},
    "falls": {2: 2, 6: 9, 9: 9, 20: 9},
    "stopped": {4: 3, 6: 9, 30: 2},
    "long ago": {30: 4},
    "never": {},
    "new": {1: 5, 2: 4},
    "began": {1: 5},
    "now and then": {1: 2, 12: 2, 30: 2},
    "long gone": {70: 4},
}
"""How many people and times ten actions in which week."""


def companies_like(contract: Contract) -> list[Observations]:
    """Observe companies of all sorts: some with known attributes, some with unknown ones."""
    values: dict[str, Any] = {}
    for column, attribute in contract.companies.attributes.items():
        examples = {"number": 120.0, "flag": True, "date": AS_OF - pd.Timedelta(days=40)}
        if attribute.kind == "ordered":
            values[column] = attribute.levels[1]
        elif attribute.kind == "category":
            values[column] = next(iter(attribute.levels_by_group.values()), ("DE",))[0]
        else:
            values[column] = examples[attribute.kind]
    modules, users = len(contract.actions), len(contract.users)
    found = []
    for people, known in itertools.product(USAGE.values(), (True, False)):
        weeks = {ago: [10.0 * n] * modules + [float(n)] * users for ago, n in people.items()}
        found.append(company(weeks, contract, **(values if known else {})))
    return found


@pytest.mark.parametrize("contract", [hubspot, projects], ids=["hubspot", "projects"])
def test_every_feature_in_both_directions(contract: Callable[[], Contract]) -> None:
    of_all = companies_like(contract())
    for feature in feature_definitions(settings_of(contract())):
        fact = facts_of((feature,), contract())
        reasons, cautions = set(), set()
        for observed in of_all:
            (write,) = templates_of(fact, contract(), observed.levels, observed.levels)
            sentence = write(observed.company(0))
            assert sentence is not None, "all that these companies did is known"
            raised = told(observed, {feature: 1.0}, contract())
            lowered = told(observed, {feature: -1.0}, contract())
            # It is not said where the numbers suggest the opposite.
            assert raised.reasons == (() if sentence.leaning == "bad" else (sentence.text,))
            assert lowered.caution == (None if sentence.leaning == "good" else sentence.text)
            assert (raised.caution, lowered.reasons) == (None, ())
            reasons.update(raised.reasons)
            cautions.add(lowered.caution)
        assert reasons, f"{feature.name} is a reason for no company"
        assert cautions - {None}, f"{feature.name} is a caution for no company"


@pytest.mark.parametrize("contract", [hubspot, projects], ids=["hubspot", "projects"])
def test_every_feature_of_a_summary_in_both_directions(contract: Callable[[], Contract]) -> None:
    how, levels = settings_of(contract()), levels_for(contract())
    numbers = [[350.0, 40.0, 84.0, 0.1, 1.0], [0.0, 0.0, np.nan, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0, 1.0]]
    attributes = contract().companies.attributes
    columns = sum(len(encoded_names(column, attribute)) for column, attribute in attributes.items())
    totals = LifetimeTotals(*np.array(numbers).T)
    observed = observe_totals(totals, np.full((3, columns), np.nan), how, levels)
    for feature in summary_definitions(how):
        if feature.column is not None:
            continue  # as of a company with usage
        raised = [told(observed.take(np.array([row])), {feature: 1.0}, contract()) for row in range(3)]
        lowered = [told(observed.take(np.array([row])), {feature: -1.0}, contract()) for row in range(3)]
        assert any(each.reasons for each in raised), feature.name
        assert any(each.caution for each in lowered), feature.name


def test_what_is_not_known_of_a_summary_is_not_said() -> None:
    how, levels = SETTINGS, levels_for(hubspot())
    totals = LifetimeTotals(*np.full((5, 1), np.nan))
    attributes = np.array([[np.nan, np.nan, np.nan, len(levels["INDUSTRY"]) - 1.0]])
    observed = observe_totals(totals, attributes, how, levels)
    features = summary_definitions(how)
    assert told(observed, dict.fromkeys(features, 1.0), hubspot()) == ((), None, ())
    assert told(observed, dict.fromkeys(features, -1.0), hubspot()).caution == "Their Alexa rank is not known"


# What is chosen


GROWING = company(
    {
        **{ago: [40, 0, 10, 0, 8, 0, 4, 0] for ago in range(1, 5)},
        **{ago: [10, 0, 10, 0, 3, 0, 2, 0] for ago in range(5, 20)},
    },
    EMPLOYEE_RANGE="51 to 200",
)
CONTACTS, DEALS, PEOPLE, ACTIONS, GROWTH, RECENCY, TENURE, SIZE, COMPANIES = (
    BY_NAME[name]
    for name in (
        *("users_max_crm_contacts_4w", "actions_crm_deals_4w", "users_ewm_6w", "actions_4w", "acceleration"),
        *("recency_weeks", "tenure_weeks", "size", "actions_crm_companies_4w"),
    )
)
IN_CONTACTS = (
    "Up to eight people a week worked in contacts in the last four weeks, up from three in the four before"
)


def test_the_strongest_facts_are_said() -> None:
    shares = {TENURE: 0.3, CONTACTS: 2.0, RECENCY: 0.5, SIZE: 1.0, DEALS: 0.2, COMPANIES: -0.4}
    assert told(GROWING, shares, hubspot()) == (
        (IN_CONTACTS, "They have 51 to 200 employees", "They were active last week"),
        "They have not used companies yet",
        ("module:CRM_CONTACTS", "attribute:EMPLOYEE_RANGE", "recency"),
    )


def test_the_features_of_a_fact_speak_once() -> None:
    more = BY_NAME["actions_crm_contacts_1w"]
    assert told(GROWING, {CONTACTS: 0.6, SIZE: 1.0, more: 0.5}, hubspot()).reasons == (
        IN_CONTACTS,
        "They have 51 to 200 employees",
    )
    assert told(GROWING, {CONTACTS: 0.6, SIZE: 1.0, more: -0.7}, hubspot()).reasons == (
        "They have 51 to 200 employees",
    )


def test_the_same_numbers_are_said_once() -> None:
    shares = {PEOPLE: 2.0, CONTACTS: 1.0, ACTIONS: 0.9, GROWTH: 0.8}
    assert told(GROWING, shares, hubspot()).reasons == (
        IN_CONTACTS,
        "They took 200 actions in the last four weeks, up from 80 in the four before",
    )


def test_no_third_sentence_of_one_kind() -> None:
    weeks = {ago: [40, 30, 10, 0, 8, 6, 4, 0] for ago in range(1, 20)}
    companies = BY_NAME["users_max_crm_companies_4w"]
    shares = {CONTACTS: 2.0, companies: 1.5, DEALS: 1.0, TENURE: 0.2}
    reasons = told(company(weeks), shares, hubspot()).reasons
    assert [text.split(" in the last")[0] for text in reasons] == [
        "Up to eight people a week worked in contacts",
        "Up to six people a week worked in companies",
        "They started 19 weeks ago",
    ]


def test_what_moves_the_odds_by_less_than_a_tenth_is_not_said() -> None:
    little = LEAST_LOG_ODDS * 0.99
    assert told(GROWING, {SIZE: little, COMPANIES: -little}, hubspot()) == ((), None, ())
    assert told(GROWING, {SIZE: LEAST_LOG_ODDS}, hubspot()).reasons == ("They have 51 to 200 employees",)


def test_a_sentence_that_says_the_opposite_is_not_said() -> None:
    stopped = company({4: [30, 0, 0, 0, 5, 0, 0, 0], 30: [1] * 8})
    assert told(stopped, {RECENCY: 1.0, TENURE: 0.5}, hubspot()) == (
        ("They started 30 weeks ago",),
        None,
        ("tenure",),
    )
    assert told(GROWING, {RECENCY: -1.0, CONTACTS: -1.0}, hubspot()) == ((), None, ())


def test_a_start_that_is_told_on_the_way_is_not_said_again() -> None:
    new = company({1: [30, 0, 0, 0, 5, 0, 0, 0], 2: [30, 0, 0, 0, 5, 0, 0, 0]})
    assert told(new, {CONTACTS: 1.0, TENURE: 0.5}, hubspot()).reasons == (
        "Up to five people a week have worked in contacts since they started two weeks ago",
    )


def write_with(typical: list[float], shares: dict[Feature, float]) -> tuple[str, ...]:
    writer = reason_writer(Weighed(tuple(shares), typical), hubspot(), GROWING.levels)
    return writer.write(GROWING, np.array([list(shares.values())]))[0].reasons


def test_a_fact_that_sets_the_company_apart_comes_first() -> None:
    shares = {CONTACTS: 1.0, SIZE: 1.2, RECENCY: 0.9}
    # Three of four at the top have at least 1 of each.
    assert write_with([0.0, 1.1, 1.1, 1.1], shares) == (
        "They have 51 to 200 employees",
        IN_CONTACTS,
        "They were active last week",
    )
    # 0.2 x 1.0 against the least weight of 0.05 x 1.2.
    assert write_with([0.9, 1.3, 1.3, 1.3, 1.3], {SIZE: 0.8, CONTACTS: 1.0}) == (
        IN_CONTACTS,
        "They have 51 to 200 employees",
    )


def test_what_lowers_the_score_of_all_at_the_top_gives_way_too() -> None:
    shares = {COMPANIES: -1.0, TENURE: -0.8}
    for typical, caution in (
        ([[0.0], [0.0]], "They have not used companies yet"),
        # All at the top have as much of the one, and less of the other.
        ([[-1.0], [-0.1]], "They started 19 weeks ago"),
        ([[-1.0], [-0.8]], "They have not used companies yet"),
    ):
        writer = reason_writer(Weighed(tuple(shares), typical), hubspot(), GROWING.levels)
        assert writer.write(GROWING, np.array([[-1.0, -0.8]]))[0].caution == caution


def test_equal_facts_keep_their_order_whatever_the_last_bits() -> None:
    exact = told(GROWING, {SIZE: 0.3, RECENCY: 0.3, CONTACTS: 0.3}, hubspot())
    assert exact.reasons == ("They have 51 to 200 employees", "They were active last week", IN_CONTACTS)
    assert told(GROWING, {SIZE: 0.3, RECENCY: 0.3 + 1e-16, CONTACTS: 0.3 + 5e-11}, hubspot()) == exact


def test_nothing_is_said_where_nothing_speaks_for_or_against() -> None:
    assert told(GROWING, dict.fromkeys(BY_NAME.values(), 0.0), hubspot()) == ((), None, ())


# Any usage, any contributions


def drawn(name: str, data: st.DataObject) -> tuple[Contract, Case, Observations, np.ndarray, ReasonWriter]:
    contract = CONTRACTS[name]()
    how, case = settings_of(contract), data.draw(cases(contract))
    features = feature_definitions(how)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    contributions = rng.normal(size=(len(case.companies), len(features)))
    observed = observe_table(case.companies, case.usage, AS_OF, how, case.histories)
    writer = reason_writer(Weighed(features, [-1.0, 0.5]), contract, levels_in(case.companies, how))
    return contract, case, observed, contributions, writer


@by_contract
@settings(max_examples=25)
@given(data=st.data())
def test_no_lead_has_a_fact_twice_or_a_contradiction(name: str, data: st.DataObject) -> None:
    contract, _, observed, contributions, writer = drawn(name, data)
    templates = templates_of(writer.facts, contract, observed.levels, observed.levels)
    for row, each in enumerate(writer.write(observed, contributions)):
        texts = [*each.reasons, *([] if each.caution is None else [each.caution])]
        assert len(each.reasons) <= REASONS
        assert len(set(texts)) == len(texts)
        written = [write(observed.company(row)) for write in templates]
        said = [next(one for one in written if one is not None and one.text == text) for text in texts]
        assert not any(clash(one, other) for one, other in itertools.combinations(said, 2))
        assert all(one.leaning != "bad" for one in said[: len(each.reasons)])
        assert all(one.leaning != "good" for one in said[len(each.reasons) :])
        if each.caution is not None and each.caution.startswith("No activity"):
            assert not any("active last week" in text or " every one " in text for text in each.reasons)
            assert not any("up from" in text or "since they started" in text for text in each.reasons)


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_one_lead_alone_is_told_the_same(name: str, data: st.DataObject) -> None:
    _, _, observed, contributions, writer = drawn(name, data)
    together = writer.write(observed, contributions)
    for row in range(len(observed)):
        alone = observed.take(np.array([row]))
        assert writer.write(alone, contributions[[row]]) == [together[row]]
        assert writer.explain(alone, contributions[[row]], 0) == writer.explain(observed, contributions, row)
    assert writer.write(observed.take(np.arange(0)), contributions[:0]) == []


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_every_fact_is_explained_and_they_add_up(name: str, data: st.DataObject) -> None:
    _, _, observed, contributions, writer = drawn(name, data)
    explained = writer.explain(observed, contributions, 1)
    assert {each.fact for each in explained} == set(writer.facts)
    shares = [each.contribution for each in explained]
    assert [abs(share) for share in shares] == sorted(map(abs, shares), reverse=True)
    np.testing.assert_allclose(sum(shares), contributions[1].sum(), atol=1e-9)
    (said,) = writer.write(observed.take(np.array([1])), contributions[[1]])
    # Two facts may be told by one sentence, and pull in opposite directions.
    assert set(said.reasons) <= {each.sentence for each in explained if each.contribution > 0}


@by_contract
@settings(max_examples=10)
@given(data=st.data())
def test_levels_of_the_table_are_those_of_the_model(name: str, data: st.DataObject) -> None:
    """The list has a table's levels in its codes, the service those of the model."""
    _, case, observed, contributions, writer = drawn(name, data)
    turned = {column: (*levels[:-1][::-1], levels[-1]) for column, levels in observed.levels.items()}
    other = reason_writer(Weighed(writer_features(name), [-1.0, 0.5]), CONTRACTS[name](), turned)
    assert other.write(observed, contributions) == writer.write(observed, contributions)
    assert len(case.companies) == len(observed)


def writer_features(name: str) -> tuple[Feature, ...]:
    return feature_definitions(settings_of(CONTRACTS[name]()))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_reasons_of_a_fitted_model(model_type: str) -> None:
    pipeline = Pipeline(dirty_export(), small_params(model__type=model_type))
    latest, model = pipeline.latest, pipeline.model
    companies = pipeline.companies.set_index("id").loc[latest["id"]].reset_index()
    observed = observe_table(companies, pipeline.usage, pipeline.as_of, SMALL_SETTINGS)
    contributions = model.contributions(model.values(latest))
    writer = reason_writer(Weighed(model.features), pipeline.contract, model.levels)
    said = writer.write(observed, contributions)
    assert len(said) == len(latest)
    assert any(each.reasons for each in said)
    assert any(each.caution for each in said)
    assert writer.write(observed.take(np.array([7])), contributions[[7]]) == [said[7]]


def test_the_first_sentences_of_fifty_leads_differ() -> None:
    sample = simulate(2_000, 60, FIRST_WEEK, SEED)
    tables = {
        CUSTOMERS: sample.customers,
        NONCUSTOMERS: sample.noncustomers,
        USAGE_ACTIONS: sample.usage_actions,
    }
    pipeline = Pipeline(tables, small_params())
    latest, model = pipeline.latest, pipeline.model
    probability, contributions = model.probability_with_contributions(model.values(latest))
    top = np.argsort(-probability, kind="stable")[:50]
    companies = pipeline.companies.set_index("id").loc[latest["id"]].reset_index()
    observed = observe_table(companies, pipeline.usage, pipeline.as_of, SMALL_SETTINGS).take(top)
    by_fact = sum_by_fact(contributions[top], fact_places(model.features))
    usual = np.quantile(by_fact, np.linspace(0.025, 0.975, 20), axis=0).T
    writer = reason_writer(Weighed(model.features, usual), pipeline.contract, model.levels)
    said = writer.write(observed, contributions[top])
    assert len({each.reasons[:1] for each in said}) >= 12
    assert sum(len(each.reasons) >= 2 for each in said) >= 40
