"""The track record of a model, put together from what the stages measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.evaluation.predictions import MODEL, RANKER_NAMES
from conversion.evaluation.ranking_metrics import middle
from conversion.features.definitions import Feature
from conversion.features.facts import facts_of
from conversion.features.rules import rules
from conversion.leads.drift import SHIFT
from conversion.modelling.doubts import RULE_NAMES, ahead_text, few_text, rules_ahead
from conversion.pages.quality_notes import quality_notes
from conversion.pages.track_record import (
    About,
    Bin,
    Business,
    Drift,
    Estimate,
    FactDrift,
    FactWeight,
    Gains,
    Lists,
    Note,
    Ranked,
    Slice,
    Tier,
    TrackRecord,
    Week,
    Weeks,
)
from conversion.pages.words import RANKERS, of_hundred, plural

SOME_CHANGE: Final = 0.1
"""An index of drift above it is some change, by Siddiqi's reading; see `conversion.leads.drift`."""
DAYS_A_WEEK: Final = 7


@dataclass(frozen=True)
class Results:
    """What the stages measured, as read from their files.

    Attributes
    ----------
    evaluation, quality, cleaning, drift
        metrics/evaluation.json, data_quality.json, cleaning.json and drift.json.
    model
        models/model.json.
    weekly
        plots/precision_over_time.csv.
    gains, reliability
        The tables of plots/.
    slices
        metrics/slices.csv.
    importance
        plots/importance_by_fact.csv.
    """

    evaluation: Mapping[str, Any]
    quality: Mapping[str, Any]
    cleaning: Mapping[str, Any]
    drift: Mapping[str, Any]
    model: Mapping[str, Any]
    weekly: pd.DataFrame
    gains: pd.DataFrame
    reliability: pd.DataFrame
    slices: pd.DataFrame
    importance: pd.DataFrame


def record_of(
    results: Results,
    features: Sequence[Feature],
    contract: Contract,
    top_k: Sequence[int],
) -> TrackRecord:
    """Put the track record together.

    Parameters
    ----------
    results
        Of one run.
    features
        Of the model.
    contract
        Of the export.
    top_k
        ``evaluate.top_k`` of params.yaml.
    """
    evaluation, lists = results.evaluation, _lists(results)
    ranked = _ranked(evaluation["ranking"], top_k)
    rule = next((key for key in rules(contract) if key in evaluation["ranking"]), None)
    length = middle(top_k)
    about = _about(results)
    ahead = [ahead_text(each) for each in rules_ahead(evaluation["ranking"])]
    few = few_text(about.converting_companies)
    doubts = [Note(text=text, is_warning=True) for text in (few, *ahead) if text is not None]
    return TrackRecord(
        line=". ".join([record_line(lists, ranked, rule, top_k[0], about.horizon_days), *ahead]),
        about=about,
        lists=lists,
        rule=rule,
        lengths=tuple(top_k),
        recall_length=length,
        ranked=ranked,
        weeks=_weeks(results.weekly, rule),
        gains=_gains(results.gains),
        bins=_bins(results.reliability),
        probability={
            name: _estimate(measure)
            for name, measure in evaluation["probability"].items()
            if isinstance(measure, dict) and "value" in measure
        },
        slices=_slices(results.slices, length),
        tiers=_tiers(evaluation["tiers"]),
        facts=_facts(results.importance, features, contract),
        business=_business(evaluation["business"], lists.count),
        never_seen=dict(evaluation["without_never_seen"]["left_out"]),
        quality=(*quality_notes(results.quality, results.cleaning, contract), *doubts),
        drift=_drift(results.drift, features, contract),
    )


def record_line(
    lists: Lists, ranked: Sequence[Ranked], rule: str | None, length: int, horizon_days: int
) -> str:
    """Say in one sentence what became of the first companies of past lists, beside the rule's.

    Parameters
    ----------
    lists
        Of the backtest.
    ranked
        The model first.
    rule
        Key of the rule to beat, None without one.
    length
        How many of each list count.
    horizon_days
        Days in which a conversion counts.
    """
    weekly = "weekly " if lists.are_weekly else ""
    past = f"In {plural(lists.count, f'{weekly}list')} of the past, "
    first = str(length)
    model = ranked[0].precision[first].value
    said = f"{past}{of_hundred(model)} among the first {first} converted within {plural(horizon_days, 'day')}"
    beside = next((each.precision[first].value for each in ranked if each.key == rule), None)
    if rule is None or beside is None:
        return said
    return f"{said}; the rule ({RULE_NAMES[rule]}) had {of_hundred(beside).removesuffix(' of 100')}"


def _about(results: Results) -> About:
    model, window = results.model, results.model["training_window"]
    return About(
        as_of=_day(results.evaluation["as_of"]),
        model_type=model["model_type"],
        model_sha256=model["sha256"],
        trained_as_of=_day(model["trained_as_of"]),
        first_snapshot=_day(window["first_snapshot"]),
        last_snapshot=_day(window["last_snapshot"]),
        snapshots=window["snapshots"],
        converting_companies=window["converting_companies"],
        base_rate=model["base_rate"],
        horizon_days=model["params"]["featurize"]["horizon_days"],
    )


def _lists(results: Results) -> Lists:
    evaluation = results.evaluation
    first, last = _day(evaluation["first_cutoff"]), _day(evaluation["last_cutoff"])
    number = results.weekly["as_of"].nunique()
    return Lists(
        count=number,
        first=first,
        last=last,
        are_weekly=(last - first).days == DAYS_A_WEEK * (number - 1),
        converters=evaluation["converters"],
        prevalence=evaluation["prevalence"],
    )


def _ranked(ranking: Mapping[str, Any], top_k: Sequence[int]) -> tuple[Ranked, ...]:
    return tuple(
        Ranked(
            key=key,
            name=RANKERS[key],
            precision={str(length): _estimate(measures[f"precision_at_{length}"]) for length in top_k},
            recall={str(length): _estimate(measures[f"recall_at_{length}"]) for length in top_k},
            overall={name: _estimate(measures[name]) for name in ("average_precision", "roc_auc")},
        )
        for key, measures in ranking.items()
    )


def _weeks(weekly: pd.DataFrame, rule: str | None) -> tuple[Weeks, ...]:
    def weeks(length: int, key: str) -> tuple[Week, ...]:
        rows = weekly[(weekly["calls"] == length) & (weekly["ranker"] == RANKER_NAMES[key])]
        return tuple(
            Week(precision=_number(row["precision"]), mean=_interval(row, "mean"))
            for _, row in rows.iterrows()
        )

    days = tuple(_day(day) for day in dict.fromkeys(weekly["as_of"].astype(str)))
    return tuple(
        Weeks(length=length, days=days, model=weeks(length, MODEL), rule=weeks(length, rule) if rule else ())
        for length in sorted({int(calls) for calls in weekly["calls"]})
    )


def _gains(gains: pd.DataFrame) -> tuple[Gains, ...]:
    keys = {name: key for key, name in RANKER_NAMES.items()}
    return tuple(
        Gains(
            key=(key := keys[str(named)]),
            name=RANKERS[key],
            calls=tuple(int(calls) for calls in rows["calls"]),
            shares=tuple(_interval(row, "share_of_conversions") for _, row in rows.iterrows()),
        )
        for named, rows in gains.groupby("ranker", sort=False)
    )


def _bins(reliability: pd.DataFrame) -> tuple[Bin, ...]:
    return tuple(
        Bin(
            predicted=float(row["mean_probability"]),
            observed=float(row["observed_share"]),
            low=_number(row["low"]),
            high=_number(row["high"]),
            prospects=int(row["prospects"]),
            conversions=int(row["conversions"]),
        )
        for _, row in reliability.iterrows()
    )


def _slices(slices: pd.DataFrame, length: int) -> tuple[Slice, ...]:
    ratio, recall = "expected_over_observed", f"recall_at_{length}"
    return tuple(
        Slice(
            name=str(row["slice"]),
            prospects=int(row["prospects"]),
            conversions=int(row["conversions"]),
            share_of_conversions=_number(row["share_of_conversions"]),
            expected_over_observed=_interval(row, ratio, f"{ratio}_"),
            recall=_interval(row, recall, f"{recall}_"),
        )
        for _, row in slices.iterrows()
    )


def _tiers(tiers: Mapping[str, Any]) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            key=key,
            prospects=found["prospects"],
            conversions=found["conversions"],
            predicted=found["mean_probability"],
            observed=_estimate(found["observed_rate"]),
        )
        for key, found in tiers.items()
    )


def _facts(
    importance: pd.DataFrame, features: Sequence[Feature], contract: Contract
) -> tuple[FactWeight, ...]:
    part_of = {fact.key: fact.part for fact in facts_of(features, contract)}
    return tuple(
        FactWeight(
            key=row["key"],
            title=row["fact"],
            part=part_of[row["key"]],
            share=row["importance"],
            direction=row["effect"],
        )
        for row in importance.to_dict("records")
    )


def _business(business: Mapping[str, Any], lists: int) -> Business:
    return Business(
        calls_a_list=round(business["contacts"] / max(lists, 1)),
        calls=business["contacts"],
        companies_called=business["companies_called"],
        conversions_among_called=business["conversions_among_called"],
        conversions_not_called=business["conversions_not_called"],
        currency=business["currency"],
        cost=business["cost"],
        gross_revenue=business.get("gross_revenue"),
        value_of_a_conversion=business.get("value_of_a_conversion") or business["no_revenue_because"],
    )


def _drift(drift: Mapping[str, Any], features: Sequence[Feature], contract: Contract) -> Drift:
    """Return each fact's largest index among its features."""
    index = drift["population_stability_index"]
    largest: dict[str, float] = {}
    for feature in features:
        moved = index.get(feature.name)
        if moved is not None:
            largest[feature.fact] = max(moved, largest.get(feature.fact, 0.0))
    facts = sorted(
        (fact for fact in facts_of(features, contract) if fact.key in largest),
        key=lambda fact: -largest[fact.key],
    )
    return Drift(
        shifted=drift["shifted_features"],
        facts=tuple(
            FactDrift(
                title=fact.title,
                index=largest[fact.key],
                verdict="shift"
                if largest[fact.key] > SHIFT
                else "some change"
                if largest[fact.key] > SOME_CHANGE
                else "no change",
            )
            for fact in facts
        ),
    )


def _estimate(measure: Mapping[str, Any]) -> Estimate:
    return Estimate(value=measure["value"], low=measure["low"], high=measure["high"])


def _interval(row: pd.Series[Any], name: str, ends: str = "") -> Estimate:
    """Read a measure of a row and its interval, whose columns begin with ``ends``."""
    return Estimate(
        value=_number(row[name]), low=_number(row[f"{ends}low"]), high=_number(row[f"{ends}high"])
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text[:10])
