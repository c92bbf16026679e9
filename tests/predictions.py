"""Small tables of a backtest's predictions, see conversion/evaluation/predictions.py."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conversion.config.params import Params
from conversion.evaluation import curves, report
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.predictions import probability_counts
from conversion.evaluation.slice_intervals import with_ranking_intervals
from conversion.evaluation.slice_metrics import slice_measures
from conversion.stats.hashing import uniform_hash

RANKERS = ["probability", "users_rule", "actions_rule", "random"]
TOP_K = (2, 5, 100)


def make_predictions(companies: int = 120, cutoffs: int = 4, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ids = np.arange(1, companies + 1)
    weeks = []
    for week in range(cutoffs):
        label = (rng.random(companies) < 0.08).astype(int)
        weeks.append(
            pd.DataFrame(
                {
                    "id": ids,
                    "as_of": pd.Timestamp("2020-01-06") + pd.Timedelta(weeks=week),
                    "label": label,
                    "MRR": label * rng.uniform(50, 500, companies),
                    "probability": 1 / (1 + np.exp(4 - 2 * label - rng.normal(0, 1, companies))),
                    "users_rule": rng.integers(0, 4, companies) + label,
                    "actions_rule": rng.integers(0, 9, companies) * 1.0,
                    "random": uniform_hash(ids, week, seed=3),
                    "base_rate": 0.07,
                }
            )
        )
    return pd.concat(weeks, ignore_index=True)


def one_week(
    labels: list[int], scores: list[float], mrr: list[float] | None = None, ids: list[int] | None = None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ids or range(1, len(labels) + 1),
            "as_of": pd.Timestamp("2020-01-06"),
            "label": labels,
            "MRR": mrr or [100.0 * label for label in labels],
            "probability": scores,
        }
    )


def unranked_week(labels: list[int], scores: list[float]) -> pd.DataFrame:
    """Make one week in which the conversions have no revenue."""
    return one_week(labels, scores).assign(MRR=0.0)


def roc_of(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.roc_curve_table(probability_counts(predictions))


def precision_recall_of(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.precision_recall_table(probability_counts(predictions))


def histogram_of(predictions: pd.DataFrame) -> pd.DataFrame:
    return curves.probability_histogram_table(probability_counts(predictions))


def reliability_of(predictions: pd.DataFrame) -> pd.DataFrame:
    """Make a reliability table from few bootstrap samples."""
    return curves.reliability_table(resample(predictions, 50, 1), probability_counts(predictions))


def gains_of(predictions: pd.DataFrame, rankers: Sequence[str] | None = None) -> pd.DataFrame:
    """Make a table of gains from few bootstrap samples."""
    return curves.gains_table(resample(predictions, 20, 1), rankers)


def drawn_slices(predictions: pd.DataFrame) -> pd.DataFrame:
    """Measure all prospects and the slices of ``part``, with every interval."""
    slices = slice_measures(resample(predictions, 30, 1), ["part"], [10, 50])
    return with_ranking_intervals(slices, resample(predictions, 30, 1), [10, 50])


def sliced_by(predictions: pd.DataFrame, column: str) -> pd.DataFrame:
    """Measure the slices of a column, such as the ``month`` that is added."""
    months = predictions.assign(month=predictions["as_of"].dt.strftime("%Y-%m"))
    return slice_measures(resample(months, 30, 1), [column], [10, 50]).iloc[1:]


def evaluated(predictions: pd.DataFrame, params: Params, folder: Path | None = None) -> dict[str, Any]:
    """Take the measures of a whole backtest."""
    of = resample(predictions, params.evaluate.bootstrap_samples, params.seed)
    return report.evaluation_metrics(of, probability_counts(predictions), params, folder)


def is_in_a_file(values: Any) -> bool:
    """Return whether an array is a view of a mapped file."""
    while values is not None and not isinstance(values, mmap.mmap):
        values = getattr(values, "base", None)
    return values is not None
