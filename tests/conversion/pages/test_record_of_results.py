from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.evaluation.predictions import RANKER_NAMES
from conversion.features.compute import feature_definitions, feature_settings
from conversion.features.facts import facts_of
from conversion.pages.record_of_results import Results, record_line, record_of
from conversion.pages.track_record import Estimate, Lists, TrackRecord
from tests.contract_files import ROOT, hubspot, projects
from tests.records import SHA256, ranked

TOP_K = (10, 50)


def measure(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": None if value is None else value / 2, "high": value}


def ranking(*keys: str) -> dict[str, Any]:
    names = (
        "average_precision",
        "roc_auc",
        *(f"{at}_at_{k}" for k in TOP_K for at in ("precision", "recall")),
    )
    return {key: {name: measure(0.5 / place) for name in names} for place, key in enumerate(keys, start=1)}


def evaluation(**changed: Any) -> dict[str, Any]:
    return {
        "as_of": "2020-04-27",
        "first_cutoff": "2020-01-06",
        "last_cutoff": "2020-01-20",
        "converters": 9,
        "prevalence": 0.01,
        "ranking": ranking("probability", "users_rule", "actions_rule", "random"),
        "probability": {
            **{name: measure(0.7) for name in ("expected_over_observed", "log_loss_ratio", "ece")},
            "expected_over_observed_by_month": {"2020-01": measure(1.0)},
        },
        "tiers": {
            tier: {"prospects": 3, "conversions": 1, "mean_probability": 0.3, "observed_rate": measure(0.33)}
            for tier in ("very_high", "low")
        },
        "business": {
            "contacts": 30,
            "companies_called": 12,
            "conversions_among_called": 4,
            "conversions_not_called": 5,
            "currency": "EUR",
            "cost": 750.0,
            "no_revenue_because": "revenue is not known",
        },
        "without_never_seen": {"left_out": {"share_of_prospects": 0.5, "share_of_conversions": 0.2}},
    } | changed


def weekly(rankers: tuple[str, ...] = ("probability", "users_rule", "random")) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (length, RANKER_NAMES[ranker], f"2020-01-{day:02}", share, share / 2, 0.0, share)
            for length in TOP_K
            for ranker, share in zip(rankers, (0.4, 0.2, 0.01), strict=False)
            for day in (6, 13, 20)
        ],
        columns=["calls", "ranker", "as_of", "precision", "mean", "low", "high"],
    )


def results(**changed: Any) -> Results:
    gains = pd.DataFrame(
        [
            (RANKER_NAMES[key], call, call / 50, 0.0, 1.0)
            for key in ("probability", "random")
            for call in (0, 50)
        ],
        columns=["ranker", "calls", "share_of_conversions", "low", "high"],
    )
    reliability = pd.DataFrame(
        [(0.01, 0.0, 0.0, 0.02, 90, 0)],
        columns=["mean_probability", "observed_share", "low", "high", "prospects", "conversions"],
    )
    ratio = ("expected_over_observed", "expected_over_observed_low", "expected_over_observed_high")
    slices = pd.DataFrame(
        [("all prospects", 99, 0, 1.0, None, None, None, 0.5, 0.4, 0.6)],
        columns=["slice", "prospects", "conversions", "share_of_conversions", *ratio]
        + [f"recall_at_50{end}" for end in ("", "_low", "_high")],
    )
    cleaning = {"companies": {"kept": 99, "conversions": 9, "quarantined": {}}, "usage": {"kept": 5}}
    given = Results(
        evaluation=evaluation(),
        quality={},
        cleaning=cleaning,
        drift={"as_of": "2020-04-27", "shifted_features": 0, "population_stability_index": {}},
        model={
            "model_type": "xgboost",
            "sha256": SHA256,
            "trained_as_of": "2020-04-27",
            "training_window": {
                "first_snapshot": "2019-01-07",
                "last_snapshot": "2020-03-23",
                "snapshots": 77,
                "converting_companies": 8,
            },
            "base_rate": 0.02,
            "params": {"featurize": {"horizon_days": 30}},
        },
        weekly=weekly(),
        gains=gains,
        reliability=reliability,
        slices=slices,
        importance=importance(hubspot()),
    )
    return dataclasses.replace(given, **changed)


def importance(contract: Contract) -> pd.DataFrame:
    return pd.DataFrame(
        [(fact.key, fact.title, 0.1, 1, "more raises it") for fact in facts_of(features(contract), contract)],
        columns=["key", "fact", "importance", "direction", "effect"],
    )


def features(contract: Contract) -> Any:
    return feature_definitions(feature_settings(load_params(ROOT / "params.yaml").featurize, contract))


def made(of: Results | None = None, contract: Contract | None = None) -> TrackRecord:
    contract = contract or hubspot()
    given = dataclasses.replace(of or results(), importance=importance(contract))
    return record_of(given, features(contract), contract, TOP_K)


RULE = "the rule (most users in the last four weeks)"


def test_the_line_of_the_record() -> None:
    assert made().line == (
        f"In 3 weekly lists of the past, 50 of 100 among the first 10 converted within 30 days; {RULE} had 25"
    )


@pytest.mark.parametrize(
    ("model", "rule", "line"),
    [
        (0.001, 0.0, f"fewer than 1 of 100 among the first 10 converted within 1 day; {RULE} had 0"),
        (0.5, None, "50 of 100 among the first 10 converted within 1 day"),
    ],
)
def test_lines_of_other_records(model: float, rule: float | None, line: str) -> None:
    lists = Lists(
        count=1,
        first=dt.date(2020, 1, 6),
        last=dt.date(2020, 1, 6),
        are_weekly=False,
        converters=1,
        prevalence=0.1,
    )
    ways = [ranked("probability", "the model", model)]
    ways += [] if rule is None else [ranked("users_rule", "the rule", rule)]
    key = None if rule is None else "users_rule"
    assert record_line(lists, ways, key, 10, 1) == f"In 1 list of the past, {line}"


def test_a_rule_that_ranks_better_and_few_converters_are_said() -> None:
    worse = ranking("actions_rule", "probability")
    found = record_of(results(evaluation=evaluation(ranking=worse)), features(hubspot()), hubspot(), TOP_K)
    ahead = (
        "A rule ranks better than the model: most actions in the last four weeks, average precision 0.500, "
        "the model 0.250; ROC AUC 0.500, the model 0.250"
    )
    assert found.line.endswith(f". {ahead}")
    few, beaten = found.quality[-2:]
    assert few.text.startswith("The model learned from 8 companies that converted: with fewer than 100")
    assert beaten.text == ahead
    assert few.is_warning
    assert beaten.is_warning


def test_a_model_that_is_ahead_and_learned_from_many_has_no_such_note() -> None:
    model = dict(results().model)
    model["training_window"] = model["training_window"] | {"converting_companies": 100}
    found = record_of(results(model=model), features(hubspot()), hubspot(), TOP_K)
    assert "rule ranks better" not in found.line
    assert not any(note.is_warning for note in found.quality)


def test_lists_of_every_second_week_are_not_called_weekly() -> None:
    record = made(results(evaluation=evaluation(last_cutoff="2020-02-03")))
    assert not record.lists.are_weekly
    assert record.line.startswith("In 3 lists of the past")


def test_the_weeks_of_the_model_and_of_the_rule() -> None:
    record = made()
    assert [weeks.length for weeks in record.weeks] == [10, 50]
    first = record.weeks[0]
    assert first.days == (dt.date(2020, 1, 6), dt.date(2020, 1, 13), dt.date(2020, 1, 20))
    assert [week.precision for week in first.model] == [0.4, 0.4, 0.4]
    assert first.rule[0].mean == Estimate(value=0.1, low=0.0, high=0.2)


def test_where_users_are_not_known_the_rule_counts_actions() -> None:
    measured = results(
        evaluation=evaluation(ranking=ranking("probability", "actions_rule")),
        weekly=weekly(("probability", "actions_rule")),
    )
    record = made(measured)
    assert record.rule == "actions_rule"
    assert len(record.weeks[0].rule) == 3


def test_without_a_rule_there_is_none_beside_the_model() -> None:
    measured = results(evaluation=evaluation(ranking=ranking("probability")), weekly=weekly(("probability",)))
    record = made(measured)
    assert record.rule is None
    assert record.weeks[0].rule == ()
    assert "the rule" not in record.line


def test_what_is_not_defined_is_none() -> None:
    record = made()
    assert record.slices[0].expected_over_observed == Estimate(value=None, low=None, high=None)
    assert record.business.gross_revenue is None
    assert record.business.value_of_a_conversion == "revenue is not known"
    assert "expected_over_observed_by_month" not in record.probability


def test_a_precision_that_is_not_defined_is_told_as_unknown() -> None:
    undefined = evaluation()
    undefined["ranking"]["probability"]["precision_at_10"] = measure(None)
    assert "the past, - among the first 10" in made(results(evaluation=undefined)).line


def test_gains_have_the_names_that_people_read() -> None:
    assert [(each.key, each.name, each.calls) for each in made().gains] == [
        ("probability", "the model", (0, 50)),
        ("random", "random order", (0, 50)),
    ]


def test_a_fact_has_moved_as_far_as_its_feature_that_moved_most() -> None:
    contract = hubspot()
    drift = {
        "shifted_features": 1,
        "population_stability_index": {
            "users_max_1w": 0.3,
            "users_max_4w": 0.05,
            "size": 0.15,
            "sector": 0.0,
        },
    }
    found = made(results(drift=drift), contract).drift
    assert found.shifted == 1
    assert [(each.title, each.index, each.verdict) for each in found.facts] == [
        ("How many people use it", 0.3, "shift"),
        ("Employees", 0.15, "some change"),
        ("Sector", 0.0, "no change"),
    ]


def test_another_contract_has_its_own_facts() -> None:
    titles = {fact.title for fact in made(contract=projects()).facts}
    assert {"Use of Projects", "Country", "Employees"} <= titles


def test_the_business_is_of_so_many_calls_a_list() -> None:
    assert made().business.calls_a_list == 10
