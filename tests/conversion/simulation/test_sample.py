"""The sample: same seed same export, any size, and marginals like the real export's."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.simulation import vocabulary
from conversion.simulation.export import Sample
from conversion.simulation.sample import simulate
from tests.samples import FIRST_WEEK, SEED, START, WEEK, with_close_date


class TestReproducible:
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


@pytest.fixture(scope="module")
def shorter_marginals() -> dict[str, float]:
    return sample_marginals(simulate(20_000, 68, FIRST_WEEK, SEED))


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
        actions = default.usage_actions[list(vocabulary.ACTIONS)].to_numpy()
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
    rank = np.log10(both["ALEXA_RANK"][both["ALEXA_RANK"] < vocabulary.UNRANKED].clip(lower=1))
    sizes = both["EMPLOYEE_RANGE"].value_counts() / len(both)
    return {
        "customers: industry missing": customers["INDUSTRY"].isna().mean(),
        "non-customers: industry missing": noncustomers["INDUSTRY"].isna().mean(),
        "customers: range missing": customers["EMPLOYEE_RANGE"].isna().mean(),
        "non-customers: range missing": noncustomers["EMPLOYEE_RANGE"].isna().mean(),
        "non-customers: rank missing": noncustomers["ALEXA_RANK"].isna().mean(),
        "customers: unranked": (customers["ALEXA_RANK"] == vocabulary.UNRANKED).mean(),
        "non-customers: unranked": (noncustomers["ALEXA_RANK"] == vocabulary.UNRANKED).mean(),
        **{f"size {i}": sizes.get(name, 0.0) for i, name in enumerate(vocabulary.EMPLOYEE_RANGES, 1)},
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
    actions = free[list(vocabulary.ACTIONS)].sum(axis=1)
    users = free[list(vocabulary.USERS)].max(axis=1)
    return {
        "non-customer rows all zero": (users == 0).mean(),
        **{f"non-customer actions, {q}%": actions.quantile(q / 100) for q in (50, 75, 90, 99)},
        **{f"non-customer users, {q}%": users.quantile(q / 100) for q in (75, 90, 99)},
        **{f"zero share {module}": (free[f"USERS_{module}"] == 0).mean() for module in vocabulary.MODULES},
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
