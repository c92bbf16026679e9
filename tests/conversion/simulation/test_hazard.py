"""The truth of the sample: by hand, as often as it says, and as hard to find as it should be."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from conversion.simulation import vocabulary
from conversion.simulation.export import Sample
from tests.samples import START, WEEK, close_dates, firmographics, roc_auc

CUTOFFS = range(42, 78, 4)
"""Every four weeks in the second half of the default export, each with its 30 days observed."""


@pytest.fixture(scope="module")
def scored(default: Sample) -> dict[int, pd.DataFrame]:
    return {week: snapshot(default, week) for week in CUTOFFS}


class TestTruth:
    def test_truth_has_one_row_a_prospect_and_week(self, small: Sample) -> None:
        truth = small.truth
        assert truth.dtypes.astype(str).to_dict() == {
            "id": "int64",
            "as_of": "datetime64[us]",
            "probability": "float64",
        }
        assert not truth.duplicated(["id", "as_of"]).any()
        assert truth["as_of"].min() == START + WEEK
        assert truth["as_of"].max() == START + 40 * WEEK
        assert truth["probability"].between(0, 1, inclusive="neither").all()
        close = close_dates(small)
        for as_of, group in truth.groupby("as_of"):
            assert set(group["id"]) == set(close.index[close.isna() | (close >= as_of)])

    def test_formula_by_hand(self, small: Sample) -> None:
        firms = firmographics(small)
        busiest = small.usage_actions.groupby("id").size().sort_values().index
        chosen = [
            *busiest[-25:],
            *busiest[:15],
            *firms.index[:20],
            *firms.index[firms["ALEXA_RANK"].isna()][:5],
        ]
        truth = small.truth.set_index(["id", "as_of"])["probability"]
        usage = dict(list(small.usage_actions.groupby("id")))
        checked = 0
        for company in dict.fromkeys(chosen):
            for week in (1, 4, 9, 23, 40):
                as_of = START + week * WEEK
                if (company, as_of) in truth.index:
                    rows = usage.get(company, small.usage_actions.head(0))
                    expected = probability_by_hand(firms.loc[company], rows, as_of)
                    assert truth[company, as_of] == pytest.approx(expected, abs=1e-9)
                    checked += 1
        assert checked > 200

    def test_conversions_are_as_many_as_the_truth_says(self, default: Sample) -> None:
        observed = pd.concat([labelled(default, week) for week in range(1, 78, 5)])
        probability = observed["probability"]
        for low, high in ((0, 1), (0, 0.001), (0.001, 0.01), (0.01, 0.1), (0.1, 1)):
            part = observed[probability.between(low, high, inclusive="left")]
            sigma = math.sqrt((part["probability"] * (1 - part["probability"])).sum())
            assert abs(part["label"].sum() - part["probability"].sum()) < 4 * sigma


class TestDifficulty:
    def test_base_rate(self, scored: dict[int, pd.DataFrame]) -> None:
        assert 0.0018 < np.mean([table["label"].mean() for table in scored.values()]) < 0.0032

    def test_quarter_of_converters_without_usage(self, scored: dict[int, pd.DataFrame]) -> None:
        shares = [table.loc[table["label"], "weeks_since_first"].isna().mean() for table in scored.values()]
        assert 0.15 < np.mean(shares) < 0.35

    def test_users_rule(self, scored: dict[int, pd.DataFrame]) -> None:
        areas = [roc_auc(table["label"], table["users_4w"]) for table in scored.values()]
        assert 0.70 < np.mean(areas) < 0.82

    def test_oracle_is_good_but_not_perfect(self, scored: dict[int, pd.DataFrame]) -> None:
        areas = [roc_auc(table["label"], table["probability"]) for table in scored.values()]
        precisions = [average_precision(table["label"], table["probability"]) for table in scored.values()]
        assert 0.88 < np.mean(areas) < 0.95
        assert 0.10 < np.mean(precisions) < 0.28

    def test_shallow_trees_out_of_time(self, default: Sample, scored: dict[int, pd.DataFrame]) -> None:
        xgboost = pytest.importorskip("xgboost")
        train = pd.concat([snapshot(default, week) for week in range(3, CUTOFFS[0] - 4, 5)])
        drawn = np.random.default_rng(0).random(len(train)) < 0.25
        train = train[train["label"] | drawn]
        features = [name for name in train if name not in ("label", "probability")]
        model = xgboost.XGBClassifier(
            n_estimators=100, max_depth=3, learning_rate=0.08, min_child_weight=5, reg_lambda=5, n_jobs=2
        ).fit(train[features], train["label"])
        areas = [
            roc_auc(table["label"], model.predict_proba(table[features])[:, 1]) for table in scored.values()
        ]
        assert 0.85 < np.mean(areas) < 0.93


def probability_by_hand(firm: pd.Series, rows: pd.DataFrame, as_of: pd.Timestamp) -> float:
    weekday_shares = [0.10, 0.22, 0.20, 0.21, 0.20, 0.03, 0.04]
    hazards = [hazard_by_hand(firm, rows, as_of + (week - 4) * WEEK) for week in range(5)]
    survival = 1.0
    for day in range(30):
        survival *= math.exp(-hazards[day // 7] * weekday_shares[day % 7])
    return 1 - survival


def hazard_by_hand(firm: pd.Series, rows: pd.DataFrame, now: pd.Timestamp) -> float:
    known = rows[rows["WHEN_TIMESTAMP"] < now]
    ratio = 2 ** (-1 / 6)
    users = 0.0
    used = set()
    for row in known.to_dict("records"):
        ago = (now - row["WHEN_TIMESTAMP"]) // WEEK
        users += (1 - ratio) * ratio ** (ago - 1) * max(row[name] for name in vocabulary.USERS)
        used |= {name for name in vocabulary.USERS if row[name] > 0 and ago <= 13}
    log_hazard = -6.75 + 2.2 * math.log(1 + 2 * min(users, 8)) + 0.4 * len(used)
    if len(known):
        since = (now - known["WHEN_TIMESTAMP"].min()) // WEEK
        log_hazard += 1.2 * 2 ** (-since / 6) - 1.0
    if isinstance(firm["EMPLOYEE_RANGE"], str):
        log_hazard -= 0.13 * (vocabulary.EMPLOYEE_RANGES.index(firm["EMPLOYEE_RANGE"]) + 1 - 4.7) ** 2
    else:
        log_hazard -= 2.0
    if math.isnan(firm["ALEXA_RANK"]):
        log_hazard -= 1.5
    elif firm["ALEXA_RANK"] == vocabulary.UNRANKED:
        log_hazard -= 1.3
    else:
        log_hazard -= 0.40 * (math.log10(firm["ALEXA_RANK"]) - 6.0) ** 2
        log_hazard += 0.45 * min(users, 1)
    return math.exp(log_hazard)


def labelled(sample: Sample, week: int) -> pd.DataFrame:
    as_of = START + week * WEEK
    table = sample.truth[sample.truth["as_of"] == as_of].set_index("id")
    days = (close_dates(sample).reindex(table.index) - as_of).dt.days
    return table.assign(label=days.between(0, 29))


def snapshot(sample: Sample, week: int) -> pd.DataFrame:
    table = labelled(sample, week).drop(columns="as_of")
    as_of = START + week * WEEK
    known = sample.usage_actions[sample.usage_actions["WHEN_TIMESTAMP"] < as_of]
    ago = (as_of - known["WHEN_TIMESTAMP"]) // WEEK
    users = known[list(vocabulary.USERS)].max(axis=1)
    for weeks in (4, 13):
        recent = users[ago <= weeks].groupby(known["id"]).max()
        table[f"users_{weeks}w"] = recent.reindex(table.index).fillna(0)
    for half_life in (2, 6):
        decayed = (users * 2 ** (-ago / half_life)).groupby(known["id"]).sum()
        table[f"users_ewm_{half_life}w"] = decayed.reindex(table.index).fillna(0)
    used = (known.loc[ago <= 13, list(vocabulary.USERS)] > 0).groupby(known["id"]).any().sum(axis=1)
    table["modules_13w"] = used.reindex(table.index).fillna(0)
    table["weeks_since_first"] = ago.groupby(known["id"]).max().reindex(table.index)
    firms = firmographics(sample).reindex(table.index)
    unranked = firms["ALEXA_RANK"] == vocabulary.UNRANKED
    table["log_rank"] = np.log10(firms["ALEXA_RANK"].where(~unranked).clip(lower=1))
    table["unranked"] = unranked
    table["size"] = firms["EMPLOYEE_RANGE"].map(
        {name: i for i, name in enumerate(vocabulary.EMPLOYEE_RANGES, 1)}
    )
    return table


def average_precision(label: pd.Series, score: pd.Series) -> float:
    ordered = label.to_numpy()[np.argsort(-score.to_numpy(), kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].mean())
