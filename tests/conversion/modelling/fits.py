"""Models fitted on a small export or on invented snapshots, for the tests of modelling's modules."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from conversion.data.attribute_encoding import levels_of
from conversion.data.timeline import WEEK
from conversion.features.compute import feature_definitions, feature_settings
from conversion.modelling.ensemble import raw_probability
from conversion.modelling.families import make_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.scorer import Scorer
from conversion.modelling.training import fit_at
from conversion.stats.losses import log_odds
from tests.contract_files import hubspot
from tests.pipeline import Pipeline, dirty_export, small_params

SECTORS = levels_of(hubspot().companies.attributes["INDUSTRY"], ())  # type: ignore[arg-type]


@functools.cache
def export() -> Pipeline:
    return Pipeline(dirty_export(), small_params())


@functools.cache
def fitted(**overrides: Any) -> ConversionModel:
    pipeline = export()
    return fit_at(pipeline.train, pipeline.as_of, small_params(**overrides), hubspot())


def scores(model: ConversionModel, frame: pd.DataFrame) -> np.ndarray:
    return model.predict_proba(frame)[:, 1]


def invented(rows: int = 1200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """Invent independent features of training snapshots; ``actions_4w`` alone decides the labels."""
    rng = np.random.default_rng(seed)
    settings = small_params().featurize
    columns: dict[str, Any] = {}
    for feature in feature_definitions(feature_settings(settings, hubspot())):
        if feature.kind == "category":
            columns[feature.name] = pd.Categorical(rng.choice(SECTORS[:4], rows), categories=list(SECTORS))
        elif feature.kind == "flag":
            columns[feature.name] = rng.integers(0, 2, rows).astype(np.float32)
        else:
            columns[feature.name] = rng.integers(1, 10, rows).astype(np.float32)
    frame = pd.DataFrame(columns)
    label = (frame["actions_4w"].to_numpy() + rng.normal(0, 1, rows) > 7).astype(np.int64)
    as_of = pd.Series(export().as_of - 20 * WEEK + pd.to_timedelta(7 * rng.integers(0, 14, rows), unit="D"))
    return frame, label, as_of


def fit_invented(rows: int = 1200, drop: tuple[str, ...] = (), **overrides: Any) -> ConversionModel:
    frame, label, as_of = invented(rows)
    frame[list(drop)] = np.nan
    return make_model(small_params(**overrides), hubspot()).fit(frame, label, np.ones(rows), as_of)


def mixed_up(model: ConversionModel, frame: pd.DataFrame, rows: int = 300) -> np.ndarray:
    """Draw the model's features independently of each other: any of a frame, none, and numbers far out."""
    rng = np.random.default_rng(5)
    values = model.values(frame)
    mixed = np.column_stack([rng.choice(column, rows) for column in values.T])
    numbers = np.array([feature.kind != "category" for feature in model.features])
    far = (rng.random(mixed.shape) < 0.1) & numbers
    mixed[far] *= rng.choice([-10.0, 1000.0], int(far.sum()))
    mixed[rng.random(mixed.shape) < 0.2] = np.nan
    mixed[0] = np.nan
    return mixed


def short_of_the_score(model: ConversionModel, values: np.ndarray) -> np.ndarray:
    """Return by how much the base and the contributions of each row miss its log-odds before calibration."""
    raw = raw_probability(list(model.members_.values()), values)
    return log_odds(raw) - model.base_log_odds_ - model.contributions(values).sum(axis=1)


def scorer_and_columns(model: ConversionModel, frame: pd.DataFrame) -> tuple[Scorer, np.ndarray]:
    """Return a single family's fitted scorer, and the design matrix of a feature frame."""
    (member,) = model.members_.values()
    return member.scorer, member.preprocessor.transform(model.values(frame))
