from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from conversion.config.data_contract import Contract
from conversion.features.compute import feature_definitions, summary_definitions
from conversion.features.facts import fact_places, facts_of, sum_by_fact, summer_by_fact
from conversion.features.sentences import templates_of
from tests.conversion.features.cases import CONTRACTS, settings_of

by_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
Make = Callable[[], Contract]


@by_contract
def test_sums_by_fact_are_the_sums_of_its_features(contract: Make) -> None:
    for define in (feature_definitions, summary_definitions):
        features = define(settings_of(contract()))
        facts, places = facts_of(features, contract()), fact_places(features)
        contributions = np.random.default_rng(0).normal(size=(7, len(features)))
        sums = sum_by_fact(contributions, places)
        assert sums.shape == (7, len(facts))
        np.testing.assert_allclose(sums.sum(axis=1), contributions.sum(axis=1), atol=1e-12)
        for place, fact in enumerate(facts):
            own = [at for at, feature in enumerate(features) if feature.fact == fact.key]
            np.testing.assert_allclose(sums[:, place], contributions[:, own].sum(axis=1), atol=1e-12)
        one_by_one = [summer_by_fact(places)(contributions[[row]])[0] for row in range(7)]
        assert np.array_equal(one_by_one, sums)


@by_contract
def test_every_fact_has_a_title_and_a_part_of_its_own(contract: Make) -> None:
    features = feature_definitions(settings_of(contract()))
    facts = facts_of(features, contract())
    assert len({fact.key for fact in facts}) == len({fact.title for fact in facts}) == len(facts)
    for feature in features:
        fact = next(fact for fact in facts if fact.key == feature.fact)
        assert fact.part == ("activity" if feature.column is None else "fit")
        assert fact.title[:1].isupper() or not fact.title[:1].isalpha()


@by_contract
def test_every_fact_has_a_template(contract: Make) -> None:
    facts = facts_of(feature_definitions(settings_of(contract())), contract())
    levels = dict.fromkeys(contract().companies.attributes, ("Unknown",))
    assert len(templates_of(facts, contract(), levels, levels)) == len(facts)
