"""From validated requests to predictions, through the features and the model of the lists, as arrays."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError

from conversion.config.contract import ACTIONS, MEASURES, UNKNOWN_SECTOR, UNRANKED, USERS
from conversion.config.params import ConfidenceOdds, Params, Tiers
from conversion.data.firmographics import SECTORS, firmographic_values, sector_of
from conversion.data.timeline import FIRST_MONDAY
from conversion.features.compute import (
    BLOCK_COLUMNS,
    FeatureSettings,
    Firmographics,
    feature_definitions,
    features_of_block,
)
from conversion.leads.lead_list import REASONS
from conversion.leads.reasons import Writer, reason_writer
from conversion.modelling.base import FAMILIES, ConversionModel
from conversion.modelling.tiers import tier_of
from conversion.runtime.errors import ArtifactError
from conversion.serving.messages import MAX_WEEKS, Company, Confidence, Fault, History, Prediction, Summary
from conversion.serving.refusals import invalid_fields
from conversion.stats.portable_math import log

VERSION_DIGITS: Final = 12
PROBABILITY_DECIMALS: Final = 9  # as in the lead list
NOTHING_KNOWN: Final = "nothing but its id is known of this company; the probability is not specific to it"

_FIRST_MONDAY: Final = FIRST_MONDAY.date().toordinal()
_COUNTS: Final = attrgetter(*MEASURES)


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
        Monday at which the model was trained, and at which it predicts unless a request says another.
    settings
        The windows and half-lives that the model was trained with.
    tiers, confidence
        ``score.tiers`` and ``serve.confidence`` of params.yaml.
    """

    model: ConversionModel
    version: str
    trained_as_of: dt.date
    settings: FeatureSettings
    tiers: Tiers
    confidence: ConfidenceOdds

    @cached_property
    def places(self) -> np.ndarray:
        """Where the model's features stand among all: ``features.groups`` may leave some out."""
        names = [feature.name for feature in feature_definitions(self.settings)]
        return np.array([names.index(feature.name) for feature in self.model.features])

    @cached_property
    def answers(self) -> TypeAdapter[list[Prediction]]:
        """Makes all answers of a request at once."""
        return TypeAdapter(list[Prediction])

    @cached_property
    def history_reasons(self) -> Writer:
        """Writes reasons for histories."""
        return reason_writer(self.model.features, REASONS)

    @cached_property
    def summary_reasons(self) -> Writer:
        """Writes reasons for summaries."""
        return reason_writer(self.model.summary_.features, REASONS)


class _Featurized(BaseModel):
    model_config = ConfigDict(strict=True)

    windows: tuple[PositiveInt, ...] = Field(min_length=1)
    half_lives: tuple[PositiveInt, ...]


class _MadeWith(BaseModel):
    model_config = ConfigDict(strict=True)

    featurize: _Featurized


class _Description(BaseModel):
    """What answers depend on of ``models/model.json``, which says more."""

    model_config = ConfigDict(strict=True)

    sha256: str
    model_type: str
    trained_as_of: dt.date
    features: dict[str, str]
    params: _MadeWith


def make_predictor(model: ConversionModel, description: dict[str, Any], params: Params) -> Predictor:
    """Put a loaded model, its description and the params of its answers together.

    Raises
    ------
    ArtifactError
        The description lacks something, or describes another model.
    """
    described = _read_description(description)
    made_with = described.params.featurize
    settings = FeatureSettings(made_with.windows, made_with.half_lives)
    names = [feature.name for feature in model.features]
    known = {feature.name for feature in feature_definitions(settings)}
    family = FAMILIES.get(described.model_type)
    if list(described.features) != names or not known.issuperset(names) or type(model) is not family:
        raise ArtifactError(
            f"models/model.json: describes another model than the {type(model).__name__} of {len(names)} "
            "features in models/model.joblib; run 'dvc repro -f train' to make both anew"
        )
    return Predictor(
        model=model,
        version=described.sha256[:VERSION_DIGITS],
        trained_as_of=described.trained_as_of,
        settings=settings,
        tiers=params.score.tiers,
        confidence=params.serve.confidence,
    )


def _read_description(description: dict[str, Any]) -> _Description:
    try:
        return _Description.model_validate_json(json.dumps(description))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ArtifactError(
            f"models/model.json: {where}: {fault['msg'].lower()}; run 'dvc repro -f train' to make it anew"
        ) from error


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
        What stands before each company's fields in the request, like ``companies[3].``.

    Returns
    -------
    list of Prediction
        In the order of ``companies``.

    Raises
    ------
    RefusalError
        A history has weeks that are not over at its ``as_of``, a week twice or out of reach, or fewer actions
        than users; all such faults of all companies are told.
    """
    histories = {place: company for place, company in enumerate(companies) if isinstance(company, History)}
    summaries = {place: company for place, company in enumerate(companies) if isinstance(company, Summary)}
    predictions: dict[int, Prediction] = {}
    if histories:
        answers = _of_histories(predictor, list(histories.values()), [where[place] for place in histories])
        predictions.update(zip(histories, answers, strict=True))
    if summaries:
        answers = _of_summaries(predictor, list(summaries.values()))
        predictions.update(zip(summaries, answers, strict=True))
    return [predictions[place] for place in range(len(companies))]


def places_of(companies: Sequence[Summary | History]) -> list[str]:
    """Say what stands before the fields of each company of a batch."""
    return [f"companies[{place}]." for place in range(len(companies))]


def _of_histories(predictor: Predictor, companies: Sequence[History], where: list[str]) -> list[Prediction]:
    weeks = [week_of(company.as_of or predictor.trained_as_of) for company in companies]
    block = usage_block(companies, weeks, where)
    at_the_end = np.array([block.shape[1]])
    every = features_of_block(_firmographics(companies), block, at_the_end, predictor.settings)[:, 0]
    values = every[:, predictor.places]
    as_ofs = [_monday(week) for week in weeks]
    return _answers(predictor, predictor.model, predictor.history_reasons, companies, values, as_ofs)


def _of_summaries(predictor: Predictor, companies: Sequence[Summary]) -> list[Prediction]:
    model = predictor.model.summary_
    values = summary_values(companies, tuple(feature.name for feature in model.features))
    as_ofs = [None] * len(companies)
    answers = _answers(predictor, model, predictor.summary_reasons, companies, values, as_ofs)
    # Far from the threshold as the probability may be: nothing says that it is this company's.
    unknown: dict[str, Any] = {"confidence": "low", "reasons": [NOTHING_KNOWN]}
    return [
        answer if is_anything_known(company) else answer.model_copy(update=unknown)
        for company, answer in zip(companies, answers, strict=True)
    ]


def is_anything_known(company: Summary) -> bool:
    """Tell whether a summary has more than an id; an industry of neither taxonomy is as good as none.

    Examples
    --------
    >>> is_anything_known(Summary(id=1)), is_anything_known(Summary(id=1, INDUSTRY="x"))
    (False, False)
    >>> is_anything_known(Summary(id=1, total_actions=0.0))
    True
    """
    totals = (company.total_actions, company.total_users, company.days_active, company.activity_frequency)
    return (
        any(value is not None for value in (*totals, company.ALEXA_RANK, company.EMPLOYEE_RANGE))
        or sector_of(company.INDUSTRY) != UNKNOWN_SECTOR
    )


def _answers(
    predictor: Predictor,
    model: ConversionModel,
    write_reasons: Writer,
    companies: Sequence[Company],
    values: np.ndarray,
    as_ofs: Sequence[dt.date | None],
) -> list[Prediction]:
    probability, contributions = model.probability_with_contributions(values)
    probability = np.round(probability, PROBABILITY_DECIMALS)
    tiers = tier_of(probability, model.base_rate_, predictor.tiers)
    return predictor.answers.validate_python(
        [
            {
                "company_id": company.id,
                "conversion_probability": value,
                "prediction": 1 if value >= model.threshold_ else 0,
                "confidence": confidence_of(value, model.threshold_, predictor.confidence),
                "tier": tier,
                "reasons": reasons,
                "basis": "summary" if as_of is None else "history",
                "as_of": as_of,
                "model_version": predictor.version,
            }
            for company, value, tier, reasons, as_of in zip(
                companies,
                probability.tolist(),
                tiers.tolist(),
                write_reasons(values, contributions),
                as_ofs,
                strict=True,
            )
        ]
    )


def confidence_of(probability: float, threshold: float, bounds: ConfidenceOdds) -> Confidence:
    """Say how sure the decision is: how many times the odds are those of the threshold, or the reverse.

    Parameters
    ----------
    probability
        From 0 to 1.
    threshold
        The decision threshold, between 0 and 1.
    bounds
        Least ratio of each level.

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


def week_of(day: dt.date) -> int:
    """Count weeks since Monday 1970-01-05; a day belongs to the week that it lies in."""
    return (day.toordinal() - _FIRST_MONDAY) // 7


def _monday(week: int) -> dt.date:
    """Give a week's Monday, or where there is none the first day of the calendar."""
    return dt.date.fromordinal(max(_FIRST_MONDAY + 7 * week, 1))


def usage_block(companies: Sequence[History], as_ofs: Sequence[int], where: Sequence[str]) -> np.ndarray:
    """Lay usage out so that each company's ``as_of`` is at the end, whatever its date.

    Parameters
    ----------
    companies
        With their usage.
    as_ofs
        Their ``as_of``, as `week_of` counts.
    where
        What stands before each company's fields in the request.

    Returns
    -------
    numpy.ndarray of float64, shape (companies, weeks, measures + 1)
        See `conversion.features.compute.features_of_block`.

    Raises
    ------
    RefusalError
        See `predict`.
    """
    faults: list[Fault] = []
    laid: list[tuple[list[int], np.ndarray]] = []
    for company, as_of, start in zip(companies, as_ofs, where, strict=True):
        back = [as_of - week_of(week.WHEN_TIMESTAMP) for week in company.usage]
        counts = np.array([_COUNTS(week) for week in company.usage], dtype=np.float64)
        counts = counts.reshape(len(back), len(MEASURES))
        if (back and not 0 < min(back) <= max(back) <= MAX_WEEKS) or len(set(back)) < len(back):
            faults += _week_faults(company, as_of, back, start)
        if (counts[:, : len(ACTIONS)] < counts[:, len(ACTIONS) :]).any():
            faults += _count_faults(counts, start)
        laid.append((back, counts))
    if faults:
        raise invalid_fields(faults)
    weeks = max((max(back) for back, _ in laid if back), default=0)
    block = np.zeros((len(companies), weeks, len(BLOCK_COLUMNS)))
    for rows, (back, counts) in zip(block, laid, strict=True):
        if back:
            places = weeks - np.array(back)
            rows[places, : len(MEASURES)] = counts
            rows[places, len(MEASURES)] = 1.0
    return block


def _week_faults(company: History, as_of: int, back: list[int], start: str) -> list[Fault]:
    monday, first, last = _monday(as_of), _monday(as_of - MAX_WEEKS), _monday(as_of - 1)
    faults = []
    for place, (week, weeks_back) in enumerate(zip(company.usage, back, strict=True)):
        field, given = f"{start}usage[{place}].WHEN_TIMESTAMP", week.WHEN_TIMESTAMP.isoformat()
        if weeks_back <= 0:
            allowed = f"a week that is over at as_of {monday}, so {last} at the latest; or give a later as_of"
            faults.append(Fault(field=field, given=given, allowed=allowed))
        elif weeks_back > MAX_WEEKS:
            allowed = f"a week in the {MAX_WEEKS} weeks before as_of {monday}, so {first} at the earliest"
            faults.append(Fault(field=field, given=given, allowed=allowed))
        elif weeks_back in back[:place]:
            allowed = f"each week once; usage[{back.index(weeks_back)}] is of the same week"
            faults.append(Fault(field=field, given=given, allowed=allowed))
    return faults


def _count_faults(counts: np.ndarray, start: str) -> list[Fault]:
    actions, users = counts[:, : len(ACTIONS)], counts[:, len(ACTIONS) :]
    return [
        Fault(
            field=f"{start}usage[{row}].{USERS[module]}",
            given=f"{users[row, module]:.0f}",
            allowed=f"at most {ACTIONS[module]}, which is {actions[row, module]:.0f}",
        )
        for row, module in np.argwhere(actions < users).tolist()
    ]


def _firmographics(companies: Sequence[Company]) -> Firmographics:
    values = [
        firmographic_values(company.ALEXA_RANK, company.EMPLOYEE_RANGE, company.INDUSTRY)
        for company in companies
    ]
    alexa_rank, unranked, size, sector = np.array(values).T
    return Firmographics(alexa_rank, unranked, size, sector.astype(np.int64))


def summary_values(companies: Sequence[Summary], names: Sequence[str]) -> np.ndarray:
    """Make the features that totals give; what is not known is NaN.

    Parameters
    ----------
    companies
        With what is known of them.
    names
        The features, in order; see `conversion.modelling.base.SUMMARY_FEATURES`.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, features)
        Rounded as the features of the lists are.
    """
    in_order = itemgetter(*names)
    return np.array([in_order(_summary_features(company)) for company in companies], dtype=np.float32)


def _summary_features(company: Summary) -> dict[str, float]:
    rank, unranked, size, sector = firmographic_values(
        company.ALEXA_RANK, company.EMPLOYEE_RANGE, company.INDUSTRY
    )
    totals = (company.total_actions, company.total_users, company.days_active, company.activity_frequency)
    actions, users, days, frequency = [math.nan if total is None else total for total in totals]
    used = any(total is not None and total > 0 for total in totals)
    # Without a usage row there is no first day: the features of a company that was never seen.
    never = not used and frequency == 0
    # As in the lists, where users are counts: 0 without users. NaN where they are not known.
    per_user = actions / max(users, 1.0) if users > 0 else users * 0.0
    return {
        "total_actions": actions,
        "total_users": users,
        "days_active": math.nan if never else days,
        "activity_frequency": math.nan if never else min(frequency, 1.0),
        "actions_per_user": per_user,
        "seen": 1.0 if used else 0.0 if never else math.nan,
        "log_alexa_rank": float(log(UNRANKED if unranked == 1.0 else rank)),
        "unranked": unranked,
        "size": size,
        "sector": float(sector),
        "alexa_missing": float(math.isnan(unranked)),
        "size_missing": float(math.isnan(size)),
        "sector_missing": float(sector == SECTORS.index(UNKNOWN_SECTOR)),
    }
