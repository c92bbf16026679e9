"""What tests of the sample read from it: days of conversion, firmographics, a ROC AUC of their own."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from conversion.simulation import vocabulary
from conversion.simulation.export import Sample

FIRST_WEEK = dt.date(2018, 10, 1)
START = pd.Timestamp(FIRST_WEEK)
WEEK = pd.Timedelta(days=7)
SEED = 20181001


def close_dates(sample: Sample) -> pd.Series:
    prospects = pd.Series(pd.NaT, index=sample.noncustomers["id"].unique())
    return pd.concat([sample.customers.set_index("id")["CLOSEDATE"], prospects]).sort_index()


def firmographics(sample: Sample) -> pd.DataFrame:
    both = pd.concat([sample.customers.astype({"ALEXA_RANK": "float64"}), sample.noncustomers])
    complete = both.assign(gaps=both.isna().sum(axis=1)).sort_values(["id", "gaps"]).drop_duplicates("id")
    return complete.set_index("id")[list(vocabulary.FIRMOGRAPHICS)]


def with_close_date(customers: pd.DataFrame, usage: pd.DataFrame) -> pd.DataFrame:
    return usage.merge(customers[["id", "CLOSEDATE"]], on="id", how="left")


def roc_auc(label: np.ndarray | pd.Series, score: np.ndarray | pd.Series) -> float:
    positive = np.asarray(label, dtype=bool)
    ranks = pd.Series(np.asarray(score)).rank().to_numpy()
    wins = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))
