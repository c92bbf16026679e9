"""The sample export: same seed same bytes, an exact truth, the traps, and the real export's look."""

from __future__ import annotations

import datetime as dt
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.config import contract
from conversion.simulation import export
from conversion.simulation.export import Sample
from conversion.simulation.sample import simulate
from stages import simulate as stage

FIRST_WEEK = dt.date(2018, 10, 1)
START = pd.Timestamp(FIRST_WEEK)
WEEK = pd.Timedelta(days=7)
SEED = 20181001
CUTOFFS = range(42, 78, 4)
"""Every four weeks in the second half of the default export, each with its 30 days observed."""


@pytest.fixture(scope="module")
def default() -> Sample:
    return simulate(20_000, 82, FIRST_WEEK, SEED)


@pytest.fixture(scope="module")
def small() -> Sample:
    return simulate(600, 40, FIRST_WEEK, 5)


@pytest.fixture(scope="module")
def shorter_marginals() -> dict[str, float]:
    return sample_marginals(simulate(20_000, 68, FIRST_WEEK, SEED))


@pytest.fixture(scope="module")
def scored(default: Sample) -> dict[int, pd.DataFrame]:
    return {week: snapshot(default, week) for week in CUTOFFS}


class TestReproducible:
    def test_same_seed_same_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        text = (Path(stage.__file__).parents[1] / "params.yaml").read_text(encoding="utf-8")
        written = []
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            small_text = text.replace("companies: 20000", "companies: 500").replace("weeks: 82", "weeks: 30")
            (folder / "params.yaml").write_text(small_text, encoding="utf-8")
            monkeypatch.chdir(folder)
            stage.main()
            written.append({path.name: path.read_bytes() for path in sorted((folder / "data").rglob("*.*"))})
            shutil.rmtree(folder)
        assert sorted(written[0]) == [
            "customers.csv",
            "noncustomers.csv",
            "truth.parquet",
            "usage_actions.csv",
        ]
        assert written[0] == written[1]

    def test_another_seed_another_export(self, small: Sample) -> None:
        other = simulate(600, 40, FIRST_WEEK, 6)
        assert len(other.usage_actions) != len(small.usage_actions)
        assert not other.truth["probability"].head(500).equals(small.truth["probability"].head(500))

    @pytest.mark.parametrize(("companies", "weeks"), [(500, 30), (800, 100)])
    def test_any_size(self, companies: int, weeks: int) -> None:
        sample = simulate(companies, weeks, dt.date(2021, 3, 1), 0)
        assert len(sample.customers) + sample.noncustomers["id"].nunique() == companies
        assert sample.usage_actions["WHEN_TIMESTAMP"].nunique() == weeks
        assert sample.truth["as_of"].nunique() == weeks


class TestFormat:
    def test_columns_and_cells_are_those_of_the_crm(self, small: Sample) -> None:
        text = export.as_text(small)
        for name, table in text.items():
            assert set(table.columns) == set(contract.COLUMNS[name])
            assert list(table.columns)[-1] == "id"
        assert text["usage_actions"]["WHEN_TIMESTAMP"].str.fullmatch(r"\d{4}-\d\d-\d\d 00:00:00\.000").all()
        assert text["customers"]["CLOSEDATE"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
        assert ",16000001.0," not in text["customers"].to_csv()
        assert ",16000001.0," in text["noncustomers"].to_csv()

    def test_every_week_is_a_monday_and_users_have_actions(self, small: Sample) -> None:
        usage = small.usage_actions
        assert (usage["WHEN_TIMESTAMP"].dt.day_name() == "Monday").all()
        assert not usage.duplicated(["id", "WHEN_TIMESTAMP"]).any()
        users = usage[list(contract.USERS)].to_numpy()
        actions = usage[list(contract.ACTIONS)].to_numpy()
        assert (actions >= users).all()
        assert ((actions > 0) == (users > 0)).all()

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


class TestTruth:
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


class TestTraps:
    def test_duplicates_are_one_complete_row_and_one_not(self, default: Sample) -> None:
        table = default.noncustomers
        doubles = table[table["id"].duplicated(keep=False)]
        share = (len(table) - table["id"].nunique()) / len(table)
        assert share == pytest.approx(3 / 5000, rel=0.1)
        assert (doubles.groupby("id").size() == 2).all()
        missing = doubles.isna().any(axis=1)
        assert (missing.groupby(doubles["id"]).sum() == 1).all()

    def test_bad_mrr(self, default: Sample) -> None:
        mrr = default.customers["MRR"]
        assert (mrr <= 0).mean() == pytest.approx(0.02, abs=0.005)
        assert (mrr == 0).any()
        assert (mrr < 0).any()

    def test_two_industry_taxonomies(self, default: Sample) -> None:
        labels = default.noncustomers["INDUSTRY"].dropna()
        capitals = labels == labels.str.upper()
        assert 0.7 < capitals.mean() < 0.8
        assert {"COMPUTER_SOFTWARE", "Technology - Software"} <= set(labels)

    def test_usage_jumps_at_the_conversion(self, default: Sample) -> None:
        usage = with_close_date(default.customers, default.usage_actions)
        after = usage["WHEN_TIMESTAMP"] >= usage["CLOSEDATE"]
        users = usage[list(contract.USERS)].max(axis=1)
        assert users[after].mean() > 1.5 * users[usage["CLOSEDATE"].notna() & ~after].mean()

    def test_ids_tell_nothing(self, default: Sample) -> None:
        prospects = default.noncustomers["id"].unique()
        ids = np.concatenate([default.customers["id"], prospects])
        customer = np.arange(len(ids)) < len(default.customers)
        assert roc_auc(customer, ids) == pytest.approx(0.5, abs=0.04)


MARGINALS = {
    # figure: (the real export's, cut at 68 weeks; how far the sample may be from it)
    "customers: industry missing": (0.633, 0.06),
    "non-customers: industry missing": (0.744, 0.03),
    "customers: range missing": (0.013, 0.025),
    "non-customers: range missing": (0.105, 0.02),
    "non-customers: rank missing": (0.023, 0.01),
    "customers: unranked": (0.327, 0.08),
    "non-customers: unranked": (0.639, 0.03),
    "size 1": (0.115, 0.02),
    "size 2": (0.208, 0.02),
    "size 3": (0.185, 0.02),
    "size 4": (0.070, 0.02),
    "size 5": (0.108, 0.02),
    "size 6": (0.078, 0.02),
    "size 7": (0.061, 0.02),
    "size 8": (0.065, 0.02),
    "size 9": (0.007, 0.005),
    "log10 rank, 5%": (3.78, 0.4),
    "log10 rank, 25%": (5.32, 0.2),
    "log10 rank, 50%": (6.15, 0.2),
    "log10 rank, 75%": (6.63, 0.2),
    "log10 rank, 95%": (6.92, 0.2),
    "median MRR": (289, 40),
    "prospects without rows": (0.449, 0.05),
    "rows a company": (3.76, 0.6),
    "rows a seen non-customer, 10%": (1, 0),
    "rows a seen non-customer, 50%": (2, 0),
    "rows a seen non-customer, 75%": (4, 1),
    "rows a seen non-customer, 90%": (12, 3),
    "rows a seen non-customer, 99%": (51, 10),
    "rows a customer": (39.7, 8),
    "weeks between rows, 50%": (1, 0),
    "weeks between rows, 90%": (3, 2),
    "non-customer rows all zero": (0.507, 0.05),
    "non-customer actions, 50%": (0, 1),
    "non-customer actions, 75%": (10, 8),
    "non-customer actions, 90%": (58, 20),
    "non-customer actions, 99%": (420, 150),
    "non-customer users, 75%": (1, 0),
    "non-customer users, 90%": (2, 1),
    "non-customer users, 99%": (7, 2),
    "zero share CRM_CONTACTS": (0.559, 0.06),
    "zero share CRM_COMPANIES": (0.801, 0.06),
    "zero share CRM_DEALS": (0.809, 0.06),
    "zero share EMAIL": (0.959, 0.04),
    "customers' rows after conversion": (0.648, 0.12),
    "customers first seen after conversion": (0.073, 0.04),
    "first seen in the first half": (0.45, 0.07),
    "rows in the first half": (0.40, 0.08),
    "conversions a 1000 companies and week": (0.424, 0.17),
    "conversions in the first half": (0.45, 0.1),
}


class TestMarginals:
    @pytest.mark.parametrize("figure", MARGINALS)
    def test_near_the_real_export(self, shorter_marginals: dict[str, float], figure: str) -> None:
        real, tolerance = MARGINALS[figure]
        assert abs(shorter_marginals[figure] - real) <= tolerance

    def test_near_the_real_export_now(self) -> None:
        folder = os.environ.get("CRM_EXPORT_DIR")
        if not folder:
            pytest.skip("CRM_EXPORT_DIR is not set: no real export to compare with")
        customers = pd.read_csv(Path(folder) / "customers.csv", parse_dates=["CLOSEDATE"])
        noncustomers = pd.read_csv(Path(folder) / "noncustomers.csv")
        usage = pd.read_csv(Path(folder) / "usage_actions.csv", parse_dates=["WHEN_TIMESTAMP"])
        weeks = 1 + (usage["WHEN_TIMESTAMP"].max() - usage["WHEN_TIMESTAMP"].min()) // WEEK
        real = marginals(customers, noncustomers, usage)
        sample = sample_marginals(simulate(20_000, weeks, FIRST_WEEK, SEED))
        far = {
            figure: (real[figure], sample[figure])
            for figure, (_, tolerance) in MARGINALS.items()
            if abs(real[figure] - sample[figure]) > tolerance
        }
        assert not far

    def test_full_length(self, default: Sample) -> None:
        figures = sample_marginals(default)
        assert figures["prospects without rows"] == pytest.approx(1 / 3, abs=0.04)
        assert figures["rows a company"] == pytest.approx(4.9, abs=0.6)
        assert 800 < len(default.customers) < 1050

    def test_heavy_tail(self, default: Sample) -> None:
        actions = default.usage_actions[list(contract.ACTIONS)].to_numpy()
        assert 10_000 < actions.max() < 100_000

    def test_conversions_are_steady(self, default: Sample) -> None:
        months = default.customers.groupby((default.customers["CLOSEDATE"] - START) // (4 * WEEK)).size()
        steady = months.loc[3:19]
        assert steady.min() > 0.6 * steady.mean()
        assert steady.max() < 1.5 * steady.mean()
        assert abs(np.polyfit(steady.index, steady, 1)[0]) < 0.02 * steady.mean()

    def test_most_conversions_on_weekdays(self, default: Sample) -> None:
        weekend = default.customers["CLOSEDATE"].dt.day_of_week >= 5
        assert 0.03 < weekend.mean() < 0.12


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


def close_dates(sample: Sample) -> pd.Series:
    prospects = pd.Series(pd.NaT, index=sample.noncustomers["id"].unique())
    return pd.concat([sample.customers.set_index("id")["CLOSEDATE"], prospects]).sort_index()


def firmographics(sample: Sample) -> pd.DataFrame:
    both = pd.concat([sample.customers.astype({"ALEXA_RANK": "float64"}), sample.noncustomers])
    complete = both.assign(gaps=both.isna().sum(axis=1)).sort_values(["id", "gaps"]).drop_duplicates("id")
    return complete.set_index("id")[list(contract.FIRMOGRAPHICS)]


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
        users += (1 - ratio) * ratio ** (ago - 1) * max(row[name] for name in contract.USERS)
        used |= {name for name in contract.USERS if row[name] > 0 and ago <= 13}
    log_hazard = -6.75 + 2.2 * math.log(1 + 2 * min(users, 8)) + 0.4 * len(used)
    if len(known):
        since = (now - known["WHEN_TIMESTAMP"].min()) // WEEK
        log_hazard += 1.2 * 2 ** (-since / 6) - 1.0
    if isinstance(firm["EMPLOYEE_RANGE"], str):
        log_hazard -= 0.13 * (contract.EMPLOYEE_RANGES.index(firm["EMPLOYEE_RANGE"]) + 1 - 4.7) ** 2
    else:
        log_hazard -= 2.0
    if math.isnan(firm["ALEXA_RANK"]):
        log_hazard -= 1.5
    elif firm["ALEXA_RANK"] == contract.UNRANKED:
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
    users = known[list(contract.USERS)].max(axis=1)
    for weeks in (4, 13):
        recent = users[ago <= weeks].groupby(known["id"]).max()
        table[f"users_{weeks}w"] = recent.reindex(table.index).fillna(0)
    for half_life in (2, 6):
        decayed = (users * 2 ** (-ago / half_life)).groupby(known["id"]).sum()
        table[f"users_ewm_{half_life}w"] = decayed.reindex(table.index).fillna(0)
    used = (known.loc[ago <= 13, list(contract.USERS)] > 0).groupby(known["id"]).any().sum(axis=1)
    table["modules_13w"] = used.reindex(table.index).fillna(0)
    table["weeks_since_first"] = ago.groupby(known["id"]).max().reindex(table.index)
    firms = firmographics(sample).reindex(table.index)
    unranked = firms["ALEXA_RANK"] == contract.UNRANKED
    table["log_rank"] = np.log10(firms["ALEXA_RANK"].where(~unranked).clip(lower=1))
    table["unranked"] = unranked
    table["size"] = firms["EMPLOYEE_RANGE"].map(
        {name: i for i, name in enumerate(contract.EMPLOYEE_RANGES, 1)}
    )
    return table


def roc_auc(label: np.ndarray | pd.Series, score: np.ndarray | pd.Series) -> float:
    positive = np.asarray(label, dtype=bool)
    ranks = pd.Series(np.asarray(score)).rank().to_numpy()
    wins = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))


def average_precision(label: pd.Series, score: pd.Series) -> float:
    ordered = label.to_numpy()[np.argsort(-score.to_numpy(), kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].mean())


def with_close_date(customers: pd.DataFrame, usage: pd.DataFrame) -> pd.DataFrame:
    return usage.merge(customers[["id", "CLOSEDATE"]], on="id", how="left")


def sample_marginals(sample: Sample) -> dict[str, float]:
    return marginals(sample.customers, sample.noncustomers, sample.usage_actions)


def marginals(customers: pd.DataFrame, noncustomers: pd.DataFrame, usage: pd.DataFrame) -> dict[str, float]:
    usage = with_close_date(customers, usage)
    free = usage[usage["CLOSEDATE"].isna()]
    return {
        **company_marginals(customers, noncustomers),
        **row_marginals(noncustomers, usage, free),
        **count_marginals(free),
        **time_marginals(customers, noncustomers, usage, free),
    }


def company_marginals(customers: pd.DataFrame, noncustomers: pd.DataFrame) -> dict[str, float]:
    both = pd.concat([customers.astype({"ALEXA_RANK": "float64"}), noncustomers]).drop_duplicates("id")
    rank = np.log10(both["ALEXA_RANK"][both["ALEXA_RANK"] < contract.UNRANKED].clip(lower=1))
    sizes = both["EMPLOYEE_RANGE"].value_counts() / len(both)
    return {
        "customers: industry missing": customers["INDUSTRY"].isna().mean(),
        "non-customers: industry missing": noncustomers["INDUSTRY"].isna().mean(),
        "customers: range missing": customers["EMPLOYEE_RANGE"].isna().mean(),
        "non-customers: range missing": noncustomers["EMPLOYEE_RANGE"].isna().mean(),
        "non-customers: rank missing": noncustomers["ALEXA_RANK"].isna().mean(),
        "customers: unranked": (customers["ALEXA_RANK"] == contract.UNRANKED).mean(),
        "non-customers: unranked": (noncustomers["ALEXA_RANK"] == contract.UNRANKED).mean(),
        **{f"size {i}": sizes.get(name, 0.0) for i, name in enumerate(contract.EMPLOYEE_RANGES, 1)},
        **{f"log10 rank, {q}%": rank.quantile(q / 100) for q in (5, 25, 50, 75, 95)},
        "median MRR": customers["MRR"].median(),
    }


def row_marginals(noncustomers: pd.DataFrame, usage: pd.DataFrame, free: pd.DataFrame) -> dict[str, float]:
    rows = free.groupby("id").size()
    paying = usage[usage["CLOSEDATE"].notna()].groupby("id").size()
    ordered = usage.sort_values(["id", "WHEN_TIMESTAMP"])
    gaps = (ordered.groupby("id")["WHEN_TIMESTAMP"].diff() / WEEK).dropna()
    free_companies = noncustomers["id"].nunique()
    return {
        "prospects without rows": 1 - len(rows) / free_companies,
        "rows a company": len(usage) / (free_companies + len(paying)),
        **{f"rows a seen non-customer, {q}%": rows.quantile(q / 100) for q in (10, 50, 75, 90, 99)},
        "rows a customer": paying.mean(),
        "weeks between rows, 50%": gaps.quantile(0.5),
        "weeks between rows, 90%": gaps.quantile(0.9),
    }


def count_marginals(free: pd.DataFrame) -> dict[str, float]:
    actions = free[list(contract.ACTIONS)].sum(axis=1)
    users = free[list(contract.USERS)].max(axis=1)
    return {
        "non-customer rows all zero": (users == 0).mean(),
        **{f"non-customer actions, {q}%": actions.quantile(q / 100) for q in (50, 75, 90, 99)},
        **{f"non-customer users, {q}%": users.quantile(q / 100) for q in (75, 90, 99)},
        **{f"zero share {module}": (free[f"USERS_{module}"] == 0).mean() for module in contract.MODULES},
    }


def time_marginals(
    customers: pd.DataFrame, noncustomers: pd.DataFrame, usage: pd.DataFrame, free: pd.DataFrame
) -> dict[str, float]:
    start, last = usage["WHEN_TIMESTAMP"].min(), usage["WHEN_TIMESTAMP"].max()
    middle = start + (last - start) / 2
    paying = usage[usage["CLOSEDATE"].notna()]
    first_paying = paying.groupby("id")["WHEN_TIMESTAMP"].min()
    close = customers.set_index("id")["CLOSEDATE"]
    companies_weeks = (len(customers) + noncustomers["id"].nunique()) * ((last - start) / WEEK + 1)
    return {
        "customers' rows after conversion": (paying["WHEN_TIMESTAMP"] >= paying["CLOSEDATE"]).mean(),
        "customers first seen after conversion": (first_paying >= close.reindex(first_paying.index)).mean(),
        "first seen in the first half": (free.groupby("id")["WHEN_TIMESTAMP"].min() < middle).mean(),
        "rows in the first half": (usage["WHEN_TIMESTAMP"] < middle).mean(),
        "conversions a 1000 companies and week": 1000 * len(customers) / companies_weeks,
        "conversions in the first half": (close < middle).mean(),
    }
