"""`make bench-leakage`: the usual recipe has the leak by construction, the out-of-time measures do not."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier

from benchmarks import export_copy, leakage, leakage_page, usual_recipe
from benchmarks import not_yet as benchmarks_not_yet
from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.data.attribute_encoding import with_attributes
from conversion.data.timeline import WEEK
from conversion.evaluation import backtest
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.modelling.training import known_training
from conversion.runtime.errors import UserError
from conversion.runtime.files import read_json, write_json
from tests.contract_files import hubspot, projects
from tests.exports import projects_export, tiny_export, typed, write_export
from tests.pipeline import Pipeline, cut_at, dirty_export, small_params
from tools.docs.markdown import BLOCK

END = pd.Timestamp("2019-02-04")
SETTINGS: dict[str, Any] = {
    "featurize__spacing_weeks": 2,
    "evaluate__spacing_weeks": 2,
    "evaluate__refit_weeks": 8,
    "evaluate__jobs": 1,
}


@functools.cache
def pipeline() -> Pipeline:
    return Pipeline(tiny_export(companies=200), small_params(**SETTINGS))


@functools.cache
def data() -> leakage.Data:
    made = pipeline()
    predictions = backtest.backtest(made.train, made.backtest, made.params, hubspot())
    truth = predictions["label"] * 0.3 + predictions["random"] * 0.01
    known = predictions.assign(**{ORACLE: truth})
    return leakage.Data(made.companies, made.usage, made.as_of, made.train, known, hubspot())


def small_forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=8, min_samples_leaf=2, random_state=seed)


# The usual recipe


def two_companies() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A customer with a week before, one across and one after its conversion, and a company without usage."""
    companies = with_attributes(
        pd.DataFrame(
            {
                "id": [7, 3],
                "CLOSEDATE": pd.to_datetime(["2019-01-16", None]),
                "MRR": [10.0, np.nan],
                "ALEXA_RANK": [5000.0, 16_000_001.0],
                "EMPLOYEE_RANGE": ["2 to 5", None],
                "INDUSTRY": [None, "COMPUTER_SOFTWARE"],
            }
        ),
        hubspot(),
    )
    usage = pd.DataFrame(
        {"id": 7, "WHEN_TIMESTAMP": pd.to_datetime(["2019-01-07", "2019-01-14", "2019-01-21"])}
    ).assign(**dict.fromkeys(hubspot().counts, 0))
    return companies, usage.assign(ACTIONS_EMAIL=[2, 4, 30], USERS_EMAIL=[1, 1, 3])


def test_usage_is_added_up_to_the_end_whatever_the_label() -> None:
    companies, usage = two_companies()
    table = usual_recipe.features(companies, usage, usual_recipe.up_to(companies, END), hubspot())
    customer, other = table.iloc[0], table.iloc[1]
    assert customer[["actions_email_sum", "actions_email_mean", "actions_email_max"]].tolist() == [36, 12, 30]
    assert customer[["actions", "users", "weeks"]].tolist() == [36, 5, 3]
    # From 7 January and 21 January to 4 February; three weeks of three.
    assert customer[["days_since_first", "days_since_last", "span_weeks", "frequency"]].tolist() == [
        28,
        14,
        3,
        1,
    ]
    assert other[["actions", "weeks", "span_weeks", "frequency"]].tolist() == [0, 0, 0, 0]
    assert other[["days_since_first", "days_since_last"]].tolist() == [-1, -1]
    assert customer[["alexa_rank", "employees_2 to 5", "industry_missing"]].tolist() == [5000, 1, 1]
    assert other[["alexa_rank", "employee_range_missing", "sector_Software and IT"]].tolist() == [
        16_000_001,
        1,
        1,
    ]
    assert table.notna().all(axis=None)
    assert not {"id", "CLOSEDATE", "MRR"} & set(table)


def test_cut_at_the_conversion_only_whole_weeks_before_it_count() -> None:
    companies, usage = two_companies()
    until = usual_recipe.up_to_conversion(companies, END, hubspot())
    customer = usual_recipe.features(companies, usage, until, hubspot()).iloc[0]
    # The week from 14 January was not over on the 16th.
    assert customer[["actions", "weeks", "days_since_first", "days_since_last"]].tolist() == [2, 1, 9, 9]


def test_any_contract_is_described() -> None:
    """Numbers, flags and levels have columns of their own; a module without users adds none."""
    tables = typed(projects_export(), projects())
    companies = with_attributes(tables["accounts"], projects())
    until = usual_recipe.up_to(companies, pd.Timestamp("2019-06-03"))
    table = usual_recipe.features(companies, tables["weekly_usage"], until, projects())
    assert table.notna().all(axis=None)
    assert table["head_count"].eq(-1).equals(companies["head_count"].isna())
    assert table["is_partner_missing"].sum() == companies["is_partner"].isna().sum() > 0
    assert table[["plan_free", "plan_team", "plan_business", "plan_missing"]].sum(axis=1).eq(1).all()
    assert table[["country_DE", "country_US", "country_FR", "country_Unknown"]].sum(axis=1).eq(1).all()
    assert table["automation_runs_sum"].max() > 0
    assert table["users"].equals(table["projects_users_sum"] + table["invoices_users_sum"])
    assert not {"name", "owner", "arr", "paid_since"} & set(table)


def test_the_leak_is_there_by_construction() -> None:
    """What a customer does after its conversion changes the claim's features, unless it is cut off."""
    made = data()
    closed = made.usage["id"].map(made.companies.set_index("id")["CLOSEDATE"])
    after = made.usage["WHEN_TIMESTAMP"] >= closed
    assert after.sum() > 100
    more = made.usage.copy()
    more.loc[after, list(hubspot().counts)] *= 7
    for until, changes in (
        (usual_recipe.up_to(made.companies, made.as_of), True),
        (usual_recipe.up_to_conversion(made.companies, made.as_of, hubspot()), False),
    ):
        tables = [
            usual_recipe.features(made.companies, usage, until, hubspot()) for usage in (made.usage, more)
        ]
        assert tables[0].equals(tables[1]) != changes


def test_the_claim_finds_a_leak_that_tells_all_and_nothing_in_noise() -> None:
    label = pd.Series([0, 0, 0, 1] * 50)
    ids = pd.Series(range(200))
    told = usual_recipe.claim(pd.DataFrame({"leak": label}), label, ids, small_forest, seed=1)
    assert told["roc_auc"] == told["average_precision"] == told["precision_at_10"] == 1
    assert told["prevalence"] == 0.25
    assert told["log_loss"] == pytest.approx(0, abs=1e-9)
    noise = usual_recipe.claim(pd.DataFrame({"none": np.zeros(200)}), label, ids, small_forest, seed=1)
    assert noise["roc_auc"] == 0.5
    assert noise["log_loss_ratio"] == pytest.approx(1, abs=0.05)


# Out of time


@settings(max_examples=4)
@given(place=st.integers(0, len(pipeline().cutoffs) - 1))
def test_nothing_after_the_cutoff_changes_its_list(place: int) -> None:
    """The export as it stood at the cutoff gives the same scores as the whole one."""
    cutoff = pipeline().cutoffs[place]
    as_it_stood = Pipeline(cut_at(tiny_export(companies=200), cutoff), pipeline().params)
    assert len(as_it_stood.usage) < len(data().usage)
    whole, cut = (
        usual_recipe.out_of_time(made.companies, made.usage, {cutoff: [cutoff]}, small_forest, 3, hubspot())
        for made in (data(), as_it_stood)
    )
    assert whole["score"].nunique() > 2
    pd.testing.assert_frame_equal(whole, cut, check_dtype=False)


def test_the_lists_are_those_of_the_backtest() -> None:
    made, params = data(), pipeline().params
    scores = leakage.out_of_time(made, params, small_forest)
    assert not scores.duplicated(leakage.KEYS).any()
    keys = {tuple(row) for row in scores[leakage.KEYS].itertuples(index=False)}
    assert {tuple(row) for row in made.predictions[leakage.KEYS].itertuples(index=False)} <= keys
    assert scores["score"].between(0, 1).all()
    refits = leakage.refits_of(made, params)
    assert list(refits) == list(made.predictions["fitted_as_of"].unique())
    used = made.predictions.groupby("as_of")["fitted_as_of"].first()
    assert {cutoff: refit for refit, cutoffs in refits.items() for cutoff in cutoffs} == used.to_dict()


class ByHeart:
    """Knows the rows that it was fitted on, by their first column."""

    def fit(self, table: np.ndarray, _: np.ndarray) -> ByHeart:
        self.known = set(table[:, 0])
        return self

    def predict_proba(self, table: np.ndarray) -> np.ndarray:
        known = np.array([value in self.known for value in table[:, 0]], dtype=float)
        return np.column_stack((1 - known, known))


def test_no_company_is_scored_by_a_model_that_has_seen_it() -> None:
    made = data()
    # The first column is the rank: here it names the company.
    companies = made.companies.assign(ALEXA_RANK=np.arange(1.0, len(made.companies) + 1))
    cutoff = pipeline().cutoffs[-1]
    scores = usual_recipe.out_of_time(
        companies, made.usage, {cutoff: [cutoff]}, lambda _: ByHeart(), 0, hubspot()
    )
    assert scores["score"].eq(0).all()


# The ladder


@pytest.mark.parametrize("of", ["rows", "companies"])
def test_folds_part_what_they_should(of: str) -> None:
    made = data()
    parts = leakage.folds_of(made.train, made.predictions, of, seed=pipeline().params.seed)
    assert np.sum([test for _, test in parts], axis=0).tolist() == [1] * len(made.predictions)
    negative = (made.train["label"] == 0).to_numpy()
    for learn, test in parts:
        # Left out is about a fifth of the negatives too: sampling them and splitting draw independently.
        assert (~learn[negative]).mean() == pytest.approx(0.2, abs=0.1)
        tested = made.predictions[test]
        seen = set(made.train.loc[learn, "id"]) & set(tested["id"])
        rows = made.train.loc[learn, leakage.KEYS].merge(tested[leakage.KEYS], on=leakage.KEYS)
        assert rows.empty
        assert bool(seen) == (of == "rows")


def test_split_by_time_learns_from_mature_labels_only() -> None:
    made, params = data(), pipeline().params
    parts = leakage.refit_parts(made, made.train, made.predictions, params)
    assert np.sum([test for _, test in parts], axis=0).tolist() == [1] * len(made.predictions)
    for (learn, test), refit in zip(parts, leakage.refits_of(made, params), strict=True):
        assert (made.train.loc[learn, "as_of"] + pd.Timedelta(days=30) <= refit).all()
        assert learn.tolist() == known_training(made.train, refit, 30, None).tolist()
        assert made.predictions.loc[test, "as_of"].between(refit, refit + 7 * WEEK).all()


def test_a_rows_features_are_those_of_its_own_week() -> None:
    made = data()
    keys = made.train[leakage.KEYS].sample(40, random_state=0).reset_index(drop=True)
    rows = leakage.snapshot_rows(made, keys)
    for row, (company, as_of) in zip(rows, keys.itertuples(index=False), strict=True):
        some = made.companies[made.companies["id"] == company]
        before = made.usage[made.usage["WHEN_TIMESTAMP"] + WEEK <= as_of]
        expected = usual_recipe.features(some, before, usual_recipe.up_to(some, as_of), hubspot())
        np.testing.assert_array_equal(row, expected.to_numpy()[0])


# The page


def interval(value: float, spread: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": round(value - spread, 6), "high": round(value + spread, 6)}


def measures(roc_auc: float, average_precision: float, at_10: float) -> dict[str, Any]:
    return {
        "roc_auc": interval(roc_auc),
        "average_precision": interval(average_precision),
        "precision_at_10": interval(at_10),
        "recall_at_50": interval(0.3),
        "prevalence": interval(0.002, 0.0),
        "log_loss": interval(0.07),
        "log_loss_ratio": interval(0.5),
    }


def figures() -> dict[str, Any]:
    both = ("forest", "xgboost")
    gap = {"difference": -0.02, "low": -0.04, "high": -0.01, "probability_better": 0.0}
    steps = {"claim": 0.97, "cut": 0.9, "rows": 0.95, "companies": 0.76, "time": 0.75}
    return {
        "as_of": "2020-04-27",
        "companies": 5200,
        "customers": 150,
        "usage_after_conversion": 0.65,
        "seeds": 5,
        "lists": 37,
        "first": "2019-07-15",
        "last": "2020-03-23",
        "converters": 89,
        "prevalence": 0.0019,
        "claimed": dict.fromkeys(both, measures(0.97, 0.78, 0.92)),
        "kept": {
            **dict.fromkeys(both, measures(0.78, 0.06, 0.06)),
            MODEL: measures(0.89, 0.12, 0.16),
            "users_rule": measures(0.79, 0.09, 0.12),
        },
        "ours_minus": dict.fromkeys((*both, "users_rule"), gap),
        "minus_rule": dict.fromkeys(both, gap),
        "expected_over_observed": {**dict.fromkeys(both, interval(5.4)), MODEL: interval(1.0)},
        "log_loss_ratio": {**dict.fromkeys(both, interval(2.9)), MODEL: interval(0.74)},
        "ladder": {
            step: dict.fromkeys(both, measures(value, value / 2, 0.1)) for step, value in steps.items()
        },
        "our_random_split": {
            "random_split": {"average_precision": 0.2, "roc_auc": 0.9},
            "out_of_time": {"average_precision": 0.07, "roc_auc": 0.89},
        },
    }


def not_yet() -> dict[str, Any]:
    some = {**measures(0.8, 0.25, 0.3), "prospects": 2914.1}
    return {
        "accounts": 3000,
        "lists": 26,
        "first": "2024-07-29",
        "last": "2025-01-20",
        "share": 0.2437,
        "share_of_conversions": 0.125,
        "everyone": some,
        "same_model": {**some, "prospects": 2204.0},
        "existing": {**measures(0.9, 0.35, 0.4), "prospects": 2204.0},
    }


PAGE = "# A page\n\n" + "".join(
    f"<!-- generated: {name} -->\n<!-- end -->\n\n" for name in leakage_page.BLOCKS
)


def test_the_page_says_what_the_figures_say() -> None:
    text = leakage_page.page(PAGE, {"export": figures()})
    assert "The sample" not in text
    assert (
        "- **A real export.** Reported: 9.2 of the first ten companies are customers, ROC AUC 0.97. In "
        "practice: 0.6 of the first ten on a list converted within 30 days, ROC AUC 0.78. Calling the "
        "companies with the most users achieved 1.2 and 0.79, this project's model 1.6 and 0.89. The "
        "recipe's probabilities added up to 5.4 times the conversions, ours to 1.0 times."
    ) in text
    assert (
        "| usual recipe, random forest: in practice | 0.780 (0.770 to 0.790) | 0.060 (0.050 to 0.070) | "
        "0.060 (0.050 to 0.070) | 0.300 (0.290 to 0.310) | 2.900 (2.890 to 2.910) | 5.400 (5.390 to 5.410) |"
    ) in text
    assert "| rule: most users, last 4 weeks | 0.790 (0.780 to 0.800) |" in text
    assert "| the same, companies split at random | 0.20 % | 0.760 (0.750 to 0.770) |" in text
    assert "from 0.475 to 0.380 (random forest)" in text
    assert "| a real export | 0.200 | 0.070 | 0.900 | 0.890 |" in text
    assert "oracle (" not in text
    assert "conversion on: on a real export" in text
    both = leakage_page.page(PAGE, {"export": figures(), "sample": figures()})
    assert both.index("**The sample.**") < both.index("**A real export.**")


def test_the_page_tells_of_accounts_that_did_not_exist_yet() -> None:
    text = leakage_page.page(PAGE, {"example": not_yet(), "export": figures()})
    assert "3,000 accounts, 26 lists from 2024-07-29 to 2025-01-20." in text
    assert "24.4 % of the rows on the lists, and 12.5 % of their conversions, are of accounts that" in text
    assert "without the accounts that did not exist yet | 2,204 | 0.800 (0.790 to 0.810) |" in text
    assert "in training too | 2,204 | 0.900 (0.890 to 0.910) | 0.350 (0.340 to 0.360) |" in text


def test_a_contract_without_days_of_sign_up_has_the_same_features_but_the_age() -> None:
    known = load_contract(benchmarks_not_yet.CONTRACT)
    blind = benchmarks_not_yet.without_sign_up(known)
    assert blind.companies.signed_up is None
    assert blind.usage == known.usage
    assert known.companies.signed_up is not None
    assert known.companies.signed_up in known.companies.attributes
    others = {
        name: each for name, each in known.companies.attributes.items() if name != known.companies.signed_up
    }
    assert blind.companies.attributes == others


def test_the_pictures_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / leakage_page.PAGE).write_text(PAGE, encoding="utf-8")
        leakage_page.write_page({"sample": figures()}, tmp_path / name)
    for picture in (leakage_page.CLAIMED_PICTURE, leakage_page.LADDER_PICTURE):
        first, second = ((tmp_path / name / picture).read_bytes() for name in ("one", "two"))
        assert first.startswith(b"\x89PNG")
        assert first == second


def test_the_committed_page_is_that_of_the_committed_figures(root: Path) -> None:
    folder = root / "docs/explanation"
    results = read_json(folder / leakage_page.RESULTS)
    text = (folder / leakage_page.PAGE).read_text(encoding="utf-8")
    assert [match["name"] for match in BLOCK.finditer(text)] == list(leakage_page.BLOCKS)
    assert text == leakage_page.page(text, results), (
        "run: make bench-leakage, or python -m benchmarks.leakage --of"
    )


# The command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pipeline made of a small sample."""
    made = data()
    for name, table in (
        ("clean/companies", made.companies),
        ("clean/usage", made.usage),
        ("features/train", made.train),
        ("backtest/predictions", made.predictions),
    ):
        path = tmp_path / f"data/{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path, index=False)
    write_json(tmp_path / "data/clean/export.json", {"as_of": f"{made.as_of:%Y-%m-%d}"})
    write_json(tmp_path / "data/contract.json", hubspot().model_dump(mode="json"))
    params = pipeline().params.model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.setattr(leakage, "ROOT", tmp_path)
    for name in usual_recipe.LEARNERS:
        monkeypatch.setitem(usual_recipe.LEARNERS, name, small_forest)
    monkeypatch.delenv("CRM_EXPORT_DIR", raising=False)
    return tmp_path


def command(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["leakage", *options])
    leakage.main()


def test_the_command_measures_the_sample_and_leaves_the_export_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project / "out"
    out.mkdir()
    (out / leakage_page.PAGE).write_text(PAGE, encoding="utf-8")
    write_json(out / leakage_page.RESULTS, {"export": figures()})
    monkeypatch.setattr(leakage, "measure_not_yet", not_yet)
    command(monkeypatch, "--seeds", "2", "--out", str(out))
    printed = capsys.readouterr().out
    assert (out / leakage_page.PAGE).read_text(encoding="utf-8") == printed
    results = read_json(out / leakage_page.RESULTS)
    assert results["export"] == figures()
    sample = results["sample"]
    # The export is made so that usage grows by far after the conversion.
    assert sample["claimed"]["forest"]["roc_auc"]["value"] > 0.9
    assert sample["claimed"]["forest"]["roc_auc"]["value"] > sample["kept"]["forest"]["roc_auc"]["value"]
    assert sample["kept"]["oracle"]["roc_auc"]["value"] == 1
    assert sample["customers"] == data().companies["CLOSEDATE"].notna().sum()
    assert sample["ladder"]["claim"]["forest"]["roc_auc"] == sample["claimed"]["forest"]["roc_auc"]
    assert sample["ladder"]["rows"]["forest"]["average_precision"]["value"] > 0
    assert "oracle (the sample's truth)" in printed

    command(monkeypatch, "--of", "--out", str(out))
    assert capsys.readouterr().out == printed, "nothing measured: the same page from the same figures"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--of", "export"],
            "--of export: no export is given; name its folder by --data-dir or CRM_EXPORT_DIR",
        ),
        (["--of", "sample"], "companies.parquet: not found; `make run` makes it"),
    ],
)
def test_what_is_missing_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    (project / "data/clean/companies.parquet").unlink()
    with pytest.raises(UserError, match=message):
        command(monkeypatch, *options, "--out", str(project / "out"))
    assert not (project / "out").exists()


@pytest.mark.slow
def test_an_export_is_measured_in_a_copy_of_the_project(tmp_path: Path) -> None:
    export = write_export(dirty_export(), tmp_path / "it's an export")
    copy = tmp_path / "copy"
    copy.mkdir()
    export_copy.make_snapshots(copy, export, {"first_cutoff": "2019-06-03"})
    params = load_params(copy / "params.yaml")
    assert (params.data.dir, str(params.evaluate.first_cutoff)) == (str(export), "2019-06-03")
    assert leakage.read_data(copy).predictions["as_of"].min() == pd.Timestamp("2019-06-03")
