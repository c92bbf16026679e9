"""From validated requests to predictions, through the features and the model of the lists, as arrays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from conversion.config.attribute_kinds import Category
from conversion.config.params import ConfidenceOdds, Params
from conversion.data.attribute_encoding import Levels, levels_of
from conversion.features.compute import (
    feature_definitions,
    feature_settings,
    features_of_block,
    summary_definitions,
    summary_features,
)
from conversion.features.definitions import FeatureSettings, LifetimeTotals
from conversion.features.observations import Observations, observe, observe_totals
from conversion.leads.contributions import ModelFacts
from conversion.leads.lead_list import PROBABILITY_DECIMALS
from conversion.leads.reasons import Explained, ReasonWriter, reason_writer
from conversion.modelling.evidence import Evidence, EvidenceLines
from conversion.modelling.model import ConversionModel
from conversion.modelling.tiers import TierCuts, cuts_by_probability, tier_of
from conversion.runtime.errors import ArtifactError
from conversion.serving.contract_messages import Messages, build_messages
from conversion.serving.messages import Company, Confidence, History, Prediction, Summary
from conversion.serving.model_description import read_description
from conversion.serving.request_arrays import Encoded, RequestReader, first_day_of, week_of
from conversion.stats.numeric import Floats

VERSION_DIGITS: Final = 12
NOTHING_KNOWN: Final = "Nothing but its id is known of this company; the probability is not specific to it"
NO_USAGE: Final = (
    "It never used the product, and nothing else is known; the probability is not specific to it"
)
"""The reason that stands for all, where a request says nothing of a company, or only that it has no usage."""


@dataclass(frozen=True)
class Answerer:
    """One of the two models, of histories or of summaries, and what goes with its probabilities.

    Attributes
    ----------
    model
        Fitted.
    facts
        Those of its features.
    writer
        Writes its reasons.
    lines
        Sentences of evidence; None: there is no evidence.
    """

    model: ConversionModel
    facts: ModelFacts
    writer: ReasonWriter
    lines: EvidenceLines | None


@dataclass(frozen=True)
class Predictor:
    """A loaded model and what its answers depend on.

    Attributes
    ----------
    model
        Fitted, with its summary model.
    version
        First 12 hex digits of the model file's sha256.
    trained_as_of
        Monday at which the model was trained; it predicts as of that Monday unless a request has another.
    settings
        What the features of the model depend on.
    confidence
        ``serve.confidence`` of params.yaml.
    messages
        Of the model's contract.
    cuts
        Of the tiers: those of the served list, or without one ``score.tiers.probability``.
    evidence
        Of the served list; None: there is no list.
    """

    model: ConversionModel
    version: str
    trained_as_of: dt.date
    settings: FeatureSettings
    confidence: ConfidenceOdds
    messages: Messages
    cuts: TierCuts
    evidence: Evidence | None = None

    def beside(self, cuts: TierCuts, evidence: Evidence) -> Predictor:
        """Return the predictor that answers beside a list, with the list's tiers and evidence."""
        return replace(self, cuts=cuts, evidence=evidence)

    @cached_property
    def reader(self) -> RequestReader:
        """Return what turns requests into arrays."""
        return RequestReader(self.messages, self.levels, self.model.rare_levels)

    @cached_property
    def levels(self) -> Levels:
        """Return the levels of every category, also of those that no feature of the model is made of."""
        categories = self.messages.contract.attributes_of(Category)
        own = {column: levels_of(category, ()) for column, category in categories.items()}
        return own | self.model.levels

    @cached_property
    def places(self) -> np.ndarray:
        """Return the columns of the model's features among all; ``features.groups`` may leave some out."""
        names = [feature.name for feature in feature_definitions(self.settings)]
        return np.array([names.index(feature.name) for feature in self.model.features])

    @cached_property
    def summary_places(self) -> np.ndarray:
        """Return the columns of the summary model's features among all that a summary may have."""
        names = [feature.name for feature in summary_definitions(self.settings)]
        return np.array([names.index(feature.name) for feature in self.model.summary_.features])

    @cached_property
    def answers(self) -> TypeAdapter[list[Prediction]]:
        """Return the validator of all answers of a request."""
        return TypeAdapter(list[self.messages.prediction])  # type: ignore[name-defined]

    @cached_property
    def of_histories(self) -> Answerer:
        """Return what answers for histories."""
        return self._answerer(self.model, None if self.evidence is None else self.evidence.lines)

    @cached_property
    def of_summaries(self) -> Answerer:
        """Return what answers for summaries."""
        lines = None if self.evidence is None else self.evidence.summary_lines
        return self._answerer(self.model.summary_, lines)

    def _answerer(self, model: ConversionModel, lines: EvidenceLines | None) -> Answerer:
        writer = reason_writer(model, self.messages.contract, self.levels)
        return Answerer(model, ModelFacts(model), writer, lines)


def make_predictor(
    model: ConversionModel, description: dict[str, Any], params: Params, known: Messages | None = None
) -> Predictor:
    """Combine a loaded model, its description and the params that its answers depend on.

    Parameters
    ----------
    model, description
        As loaded.
    params
        Of params.yaml.
    known
        Messages that are taken again if they are of the model's contract.

    Raises
    ------
    ArtifactError
        The description lacks something, or describes another model.
    """
    described = read_description(description)
    contract = model.data_contract
    featurize = params.featurize.model_copy(update=vars(described.params.featurize))
    settings = feature_settings(featurize, contract)
    names = [feature.name for feature in model.features]
    computed = {feature.name for feature in feature_definitions(settings)}
    same = described.model_type == model.family and list(described.features) == names
    if not same or not computed.issuperset(names):
        raise ArtifactError(
            f"models/model.json: describes another model than the {model.family} of {len(names)} "
            "features in models/model.joblib; run 'dvc repro -f train' to write both again"
        )
    return Predictor(
        model=model,
        version=described.sha256[:VERSION_DIGITS],
        trained_as_of=described.trained_as_of,
        settings=settings,
        confidence=params.serve.confidence,
        messages=known if known is not None and known.contract == contract else build_messages(contract),
        cuts=cuts_by_probability(params.score.tiers),
    )


def predict(
    predictor: Predictor, companies: Sequence[Summary | History], where: Sequence[str]
) -> list[Prediction]:
    """Predict companies, each from what is known of it.

    Parameters
    ----------
    predictor
        What to predict with.
    companies
        Summaries and histories in any order; ids may repeat.
    where
        The prefix of each company's fields in the request, like ``companies[3].``.

    Returns
    -------
    list of Prediction
        In the order of ``companies``.

    Raises
    ------
    RefusalError
        A history has weeks that are not over at its ``as_of``, a week twice or out of range, or fewer actions
        than users. The error lists all such faults of all companies.
    """
    histories = {place: company for place, company in enumerate(companies) if isinstance(company, History)}
    summaries = {place: company for place, company in enumerate(companies) if isinstance(company, Summary)}
    predictions: dict[int, Prediction] = {}
    if histories:
        sent = _Histories(predictor, list(histories.values()), [where[place] for place in histories])
        answers = sent.answers()
        predictions.update(zip(histories, answers, strict=True))
    if summaries:
        answers = _of_summaries(predictor, list(summaries.values()))
        predictions.update(zip(summaries, answers, strict=True))
    return [predictions[place] for place in range(len(companies))]


def predict_and_explain(predictor: Predictor, company: History) -> tuple[Prediction, tuple[Explained, ...]]:
    """Predict a company; return what each fact adds to its score too, the strongest first.

    Raises
    ------
    RefusalError
        See `predict`.
    """
    sent = _Histories(predictor, [company], [""])
    (prediction,) = sent.answers()
    return prediction, predictor.of_histories.writer.explain(sent.seen, sent.scored[1], 0)


class _Histories:
    """Histories at their ``as_of``: how the model scores each of their features, and what a rep can see."""

    def __init__(self, predictor: Predictor, companies: Sequence[History], where: Sequence[str]) -> None:
        self.predictor, self.companies = predictor, companies
        self.weeks = [week_of(company.as_of or predictor.trained_as_of) for company in companies]
        self.encoded = predictor.reader.encoded(companies)
        block = predictor.reader.usage_block(companies, self.weeks, where)
        attributes = predictor.reader.attributes(self.encoded, self.weeks)
        settings, levels = predictor.settings, predictor.levels
        every = features_of_block(attributes, block, np.array([block.shape[1]]), settings, levels)[:, 0]
        self.scored = predictor.model.probability_with_contributions(every[:, predictor.places])
        self.seen = observe(block, attributes[:, 0], settings, levels)

    def answers(self) -> list[Prediction]:
        """Return the predictions."""
        by, as_ofs = self.predictor.of_histories, [first_day_of(week) for week in self.weeks]
        answers = _answers(self.predictor, by, self.companies, self.scored, self.seen, as_ofs)
        return _say_what_is_unknown(self.predictor, answers, self.companies, self.encoded, NO_USAGE)


def _of_summaries(predictor: Predictor, companies: Sequence[Summary]) -> list[Prediction]:
    encoded = predictor.reader.encoded(companies)
    totals, attributes = summary_arrays(predictor, companies, encoded)
    values = summary_values(predictor, totals, attributes)
    seen = observe_totals(totals, attributes[:, 0], predictor.settings, predictor.levels)
    as_ofs = [None] * len(companies)
    scored = predictor.of_summaries.model.probability_with_contributions(values)
    answers = _answers(predictor, predictor.of_summaries, companies, scored, seen, as_ofs)
    return _say_what_is_unknown(predictor, answers, companies, encoded, NOTHING_KNOWN)


def _say_what_is_unknown(
    predictor: Predictor,
    answers: list[Prediction],
    companies: Sequence[Company],
    encoded: Encoded,
    reason: str,
) -> list[Prediction]:
    """Replace what would be said of a company of which nothing is known.

    However far from the threshold the probability is, nothing makes it specific to this company.
    """
    known = predictor.reader.anything_known(companies, encoded)
    if all(known):
        return answers
    unknown: dict[str, Any] = {"confidence": "low", "reasons": [reason], "caution": None, "evidence": None}
    return [
        answer if is_known else answer.model_copy(update=unknown)
        for answer, is_known in zip(answers, known, strict=True)
    ]


def summary_arrays(
    predictor: Predictor, companies: Sequence[Summary], encoded: Encoded
) -> tuple[LifetimeTotals, Floats]:
    """Return the totals of summaries, and their attributes, which `RequestReader.encoded` returned.

    A summary has no moment of its own: a date's age is that at the moment of training.
    """
    weeks = [week_of(predictor.trained_as_of)] * len(companies)
    return predictor.reader.totals(companies), predictor.reader.attributes(encoded, weeks)


def summary_values(predictor: Predictor, totals: LifetimeTotals, attributes: Floats) -> np.ndarray:
    """Compute the summary model's features, rounded as those of the lists are; what is not known is NaN.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, features)
    """
    values = summary_features(totals, attributes, predictor.settings, predictor.levels)
    return values[:, predictor.summary_places]


def _answers(
    predictor: Predictor,
    by: Answerer,
    companies: Sequence[Company],
    scored: tuple[Floats, Floats],
    seen: Observations,
    as_ofs: Sequence[dt.date | None],
) -> list[Prediction]:
    model, lines = by.model, by.lines
    probability, contributions = np.round(scored[0], PROBABILITY_DECIMALS), scored[1]
    fit, activity = by.facts.parts(contributions)
    rows = zip(
        companies,
        probability.tolist(),
        tier_of(probability, predictor.cuts).tolist(),
        by.writer.write(seen, contributions),
        fit.tolist(),
        activity.tolist(),
        as_ofs,
        strict=True,
    )
    return predictor.answers.validate_python(
        [
            {
                "company_id": company.id,
                "conversion_probability": value,
                "prediction": 1 if value >= model.threshold_ else 0,
                "confidence": confidence_of(value, model.threshold_, predictor.confidence),
                "tier": tier,
                **told._asdict(),
                "evidence": None if lines is None else lines.of(value),
                "fit": of_fit,
                "activity": of_activity,
                "basis": "summary" if as_of is None else "history",
                "as_of": as_of,
                "model_version": predictor.version,
            }
            for company, value, tier, told, of_fit, of_activity, as_of in rows
        ]
    )


def confidence_of(probability: float, threshold: float, bounds: ConfidenceOdds) -> Confidence:
    """Return how sure the decision is: how far the odds are from the threshold's, in either direction.

    Parameters
    ----------
    probability
        From 0 to 1.
    threshold
        The decision threshold, between 0 and 1.
    bounds
        Least ratio of the larger to the smaller odds for each level.

    Returns
    -------
    str
        ``high``, ``medium`` or ``low``.

    Examples
    --------
    >>> bounds = ConfidenceOdds(high=4.0, medium=2.0)
    >>> confidence_of(0.5, 0.2, bounds), confidence_of(0.35, 0.2, bounds), confidence_of(0.19, 0.2, bounds)
    ('high', 'medium', 'low')
    """
    of, against = probability * (1.0 - threshold), threshold * (1.0 - probability)
    smaller, larger = min(of, against), max(of, against)
    if larger >= bounds.high * smaller:
        return "high"
    return "medium" if larger >= bounds.medium * smaller else "low"
