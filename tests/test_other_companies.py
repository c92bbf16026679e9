"""`make bench-other-companies`: the invented truth is right, and the page follows from the measurements."""

from __future__ import annotations

import copy
import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import default_learners, other_companies, other_companies_page
from benchmarks.export_copy import CONTRACT, figures_parser
from benchmarks.invented_behaviour import NO_DAY, Kind, State, first_state, invented_firms, true_probability
from benchmarks.invented_companies import KINDS, LISTS, Invented, Returns, invented, write_export
from benchmarks.pipeline import copy_project, measure
from conversion.config.contract_file import load_contract
from conversion.evaluation.backtest import backtest
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.modelling.families import make_model
from conversion.runtime.files import read_json
from tests.contract_files import hubspot, projects
from tests.exports import tiny_export
from tests.pipeline import Pipeline, small_params
from tools.docs.markdown import BLOCK

HORIZON = pd.Timedelta(days=30)
EVERY_KIND = pytest.mark.parametrize("name", sorted(KINDS))


@functools.cache
def small_draw(name: str, companies: int = 400, weeks: int = 30, seed: int = 3) -> Invented:
    return invented(replace(KINDS[name], companies=companies, weeks=weeks), seed)


def conversions(made: Invented) -> pd.DataFrame:
    """Return id and day of every conversion."""
    table, day = made.tables["accounts"], "paid_since"
    if "subscriptions" in made.tables:
        table, day = made.tables["subscriptions"], "started_on"
    found = table.loc[table[day] != "", ["account_id", day]].set_axis(["id", "day"], axis=1)
    return found.assign(day=pd.to_datetime(found["day"]))


def labels(made: Invented) -> pd.Series:
    """Return which rows of the truth convert within the horizon."""
    rows = made.truth.reset_index().merge(conversions(made), on="id")
    converts = (rows["day"] >= rows["as_of"]) & (rows["day"] < rows["as_of"] + HORIZON)
    return pd.Series(made.truth.index.isin(rows.loc[converts, "index"]), index=made.truth.index)


# The companies


@EVERY_KIND
def test_as_many_convert_as_the_truth_says(name: str) -> None:
    """Over some draws, by company: the error of a sum over companies is the root of its squares' sum."""
    errors = []
    for seed in range(4):
        made = small_draw(name, companies=1500, weeks=KINDS[name].weeks, seed=seed)
        error = labels(made) - made.truth["probability"]
        errors.append(error.groupby(made.truth["id"]).sum())
    by_company = pd.concat(errors)
    assert by_company.gt(0).sum() > 20, "companies convert"
    assert abs(by_company.sum()) < 4 * np.sqrt((by_company**2).sum())


@EVERY_KIND
def test_the_truth_tells_who_converts(name: str) -> None:
    made = small_draw(name, companies=1500, weeks=KINDS[name].weeks, seed=1)
    truth, converts = made.truth["probability"], labels(made)
    assert truth.between(0, 1).all()
    assert truth[converts].mean() > 1.2 * truth.mean()


@EVERY_KIND
def test_prospects_have_signed_up_and_do_not_pay(name: str) -> None:
    made = small_draw(name)
    signed_up = pd.to_datetime(made.tables["accounts"].set_index("account_id")["created_at"])
    truth = made.truth
    assert truth["as_of"].nunique() == LISTS
    assert (truth["id"].map(signed_up) < truth["as_of"]).all()
    assert not truth.duplicated(["id", "as_of"]).any()
    if "subscriptions" not in made.tables:
        paid = conversions(made).set_index("id")["day"]
        assert not (truth["id"].map(paid) < truth["as_of"]).any()


@EVERY_KIND
def test_the_same_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    kind = replace(KINDS[name], companies=60, weeks=20)
    for folder, seed in (("one", 5), ("two", 5), ("other", 6)):
        made = invented(kind, seed)
        write_export(made, tmp_path / folder)
        made.truth.to_csv(tmp_path / folder / "truth.csv")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "accounts.csv" in files
    for file in files:
        one, two, other = ((tmp_path / folder / file).read_bytes() for folder in ("one", "two", "other"))
        assert one == two != other


@pytest.mark.parametrize("kind", [replace(each, companies=50) for each in KINDS.values()], ids=sorted(KINDS))
def test_looking_ahead_changes_nothing(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    firms, state = invented_firms(kind, rng), first_state(kind, rng)
    before: State = copy.deepcopy(state)
    one, two = (true_probability(kind, firms, state, 20, seed=4) for _ in range(2))
    assert (one == two).all()
    for name, values in vars(before).items():
        np.testing.assert_array_equal(values, getattr(state, name))


def test_who_returns_has_left() -> None:
    periods = small_draw("returns", companies=1500, weeks=80).tables["subscriptions"]
    again = periods[periods.duplicated("account_id")]
    assert len(again) > 5
    before = periods.groupby("account_id")["ended_on"].shift()[again.index]
    assert (before <= again["started_on"]).all()
    assert (before != "").all()
    assert Returns.ending > 0 > NO_DAY


@EVERY_KIND
def test_an_export_passes_load_with_the_drafted_contract(name: str, tmp_path: Path) -> None:
    export, project, contract = tmp_path / "export", tmp_path / "project", tmp_path / "contract.yaml"
    project.mkdir()
    write_export(small_draw(name), export)
    other_companies.draft(export, contract)
    copy_project(project, export)
    params = (project / "params.yaml").read_text(encoding="utf-8")
    assert "contract: contracts/hubspot.yaml" in params
    params = params.replace("contract: contracts/hubspot.yaml", f"contract: '{contract}'")
    (project / "params.yaml").write_text(params, encoding="utf-8")
    measure([sys.executable, "-m", "stages.load"], project)
    known = load_contract(project / CONTRACT).companies
    assert known.signed_up == "created_at"
    assert {"created_at", "country", "employees"} <= set(known.attributes)
    assert len([each for each in known.attributes if each.startswith("score_")]) == 15 * (
        name == "attributes"
    )


# The measures


@given(truth=st.lists(st.floats(1e-6, 1), min_size=1, max_size=30), seed=st.integers(0, 1000))
def test_nothing_beats_the_truth(truth: list[float], seed: int) -> None:
    score = np.random.default_rng(seed).random(len(truth))
    rows = pd.DataFrame({ORACLE: truth, "as_of": pd.Timestamp("2024-01-01")})
    ours, best = (other_companies.list_measures(rows, each) for each in (score, np.array(truth)))
    assert all(ours[name] <= best[name] + 1e-6 for name in best)
    losses = [other_companies.expected_log_loss(each, np.array(truth)) for each in (score, np.array(truth))]
    assert losses[1] <= losses[0] + 1e-9


def test_the_gap_is_from_the_base_rate_to_the_truth() -> None:
    truth = np.array([0.5, 0.1, 0.2, 0.01])
    rows = pd.DataFrame({ORACLE: truth, "base_rate": 0.2, "as_of": pd.Timestamp("2024-01-01")})
    rows["half"] = 2 * truth
    assert other_companies.measures(rows, ORACLE)["gap_closed"] == 1
    assert other_companies.measures(rows, "base_rate")["gap_closed"] == 0
    doubled = other_companies.measures(rows, "half")
    assert doubled["expected_over_true"] == 2
    assert doubled["average_precision"] == other_companies.measures(rows, ORACLE)["average_precision"]


# What is compared


@functools.cache
def pipeline() -> Pipeline:
    params = {"featurize__spacing_weeks": 2, "evaluate__spacing_weeks": 2, "evaluate__refit_weeks": 8}
    return Pipeline(tiny_export(companies=200), small_params(evaluate__jobs=1, **params))


@settings(max_examples=3)
@given(seed=st.integers(0, 100))
def test_learners_at_their_defaults_learn_from_mature_labels_only(seed: int) -> None:
    made = pipeline()
    predictions = backtest(made.train, made.backtest, made.params, hubspot())
    last = predictions["fitted_as_of"].max()
    rng = np.random.default_rng(seed)
    young = made.train["as_of"] + HORIZON > last
    changed = made.train.assign(label=made.train["label"].where(~young, rng.integers(0, 2, len(made.train))))
    assert young.any()
    one, two = (
        default_learners.probabilities(train, made.backtest, predictions, made.params, hubspot())
        for train in (made.train, changed)
    )
    for name, scores in one.items():
        np.testing.assert_array_equal(scores, two[name])
        assert ((scores >= 0) & (scores <= 1)).all()
        assert len(np.unique(scores)) > 10


def test_only_the_attribute_of_the_day_of_sign_up_is_deleted() -> None:
    contract = projects()
    signed_up = contract.companies.signed_up
    assert signed_up is not None
    without = other_companies.without_age(contract)
    assert without.companies.signed_up == signed_up
    expected = {name for name in contract.companies.attributes if name != signed_up}
    assert set(without.companies.attributes) == expected


def test_levels_are_not_doubled_while_that_is_switched_off() -> None:
    def own_levels() -> tuple[str, ...]:
        found: tuple[str, ...] = make_model(small_params(), projects()).preparation["own_levels"]
        return found

    before = own_levels()
    assert before
    with other_companies.levels_not_doubled():
        assert own_levels() == ()
    assert own_levels() == before


# The page


def figures(value: float, warns: bool = False) -> dict[str, Any]:
    lists = {"average_precision": value, "precision_at_10": value / 2, "precision_at_50": value / 4}
    both = {**lists, "gap_closed": 2 * value, "expected_over_true": 1.5}
    ours = (MODEL, *default_learners.LEARNERS, ORACLE)
    return {
        "setting": {
            "lists": 12,
            "prospects": 3000.0,
            "converters": 80,
            "true_conversions": 300.0,
            "conversions": 330,
            "snapshots": 50_000,
            "warns": warns,
        },
        "rankers": {**dict.fromkeys(ours, both), other_companies_page.BEST_RULE: lists},
        "without": dict.fromkeys(other_companies_page.WITHOUT, both),
    }


PAGE = "Before.\n\n" + "".join(
    f"<!-- generated: {name} -->\n<!-- end -->\n\n" for name in other_companies_page.BLOCKS
)


def test_the_page_shows_means_over_draws() -> None:
    draws = {"1": figures(0.1), "2": figures(0.3, warns=True)}
    text = other_companies_page.page(PAGE, dict.fromkeys(KINDS, draws))
    assert text.startswith("Before.\n")
    assert "| small | 600 | 80 | 3,000 | 80, 80 | 1.10 | 1 of 2 |\n" in text
    assert "| small | **this project** | 0.200 | 0.100 | 0.050 | 40% | 1.50 |\n" in text
    assert "|  | best rule | 0.200 | 0.100 | 0.050 | - | - |\n" in text
    assert "| small | 0.200 | 0.200 | 0.200 | 0.200 | 40% | 40% | 40% | 40% |\n" in text


def test_a_page_without_all_kinds_stays_as_it_is() -> None:
    assert other_companies_page.page(PAGE, {"small": {"1": figures(0.1)}}) == PAGE


def test_the_committed_page_is_that_of_the_committed_figures(root: Path) -> None:
    folder = root / "docs/explanation"
    text = (folder / other_companies_page.PAGE).read_text(encoding="utf-8")
    assert [match["name"] for match in BLOCK.finditer(text)] == list(other_companies_page.BLOCKS)
    results = read_json(folder / other_companies_page.RESULTS)
    assert set(results) == set(KINDS)
    assert text == other_companies_page.page(text, results), "run: python -m benchmarks.other_companies --of"
    assert not [line for line in BLOCK.sub("", text).splitlines() if line.startswith("|")], "no table by hand"


# The command


def test_the_command_measures_the_kinds_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def measured(kind: Kind, seed: int) -> dict[str, Any]:
        asked.append((kind.title, seed))
        return figures(0.1 * seed)

    monkeypatch.setattr(other_companies, "measured", measured)
    (tmp_path / other_companies_page.PAGE).write_text(PAGE, encoding="utf-8")
    run_command(monkeypatch, "--of", "small", "returns", "--seeds", "1", "2", "--out", str(tmp_path))
    assert asked == [("small", 1), ("small", 2), ("returns", 1), ("returns", 2)]
    assert set(read_json(tmp_path / other_companies_page.RESULTS)) == {"small", "returns"}
    run_command(
        monkeypatch, "--of", "season", "attributes", "self_serve", "--seeds", "3", "--out", str(tmp_path)
    )
    text = (tmp_path / other_companies_page.PAGE).read_text(encoding="utf-8")
    assert "| small | **this project** | 0.150 |" in text
    assert "| by attributes | **this project** | 0.300 |" in text
    run_command(monkeypatch, "--of", "--out", str(tmp_path))
    assert (tmp_path / other_companies_page.PAGE).read_text(encoding="utf-8") == text


def run_command(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["other_companies", *options])
    other_companies.main()


def test_it_takes_no_export_whose_truth_nobody_knows() -> None:
    with pytest.raises(SystemExit):
        figures_parser("", ("a",), Path()).parse_args(["--data-dir", "x"])


@pytest.mark.slow
def test_a_small_draw_is_measured_from_tables_to_figures() -> None:
    found = other_companies.measured(replace(KINDS["attributes"], companies=500, weeks=40), seed=1)
    assert found["setting"]["lists"] == LISTS
    rankers = found["rankers"]
    assert rankers[ORACLE]["gap_closed"] == rankers[ORACLE]["expected_over_true"] == 1
    for each in rankers.values():
        assert each["average_precision"] <= rankers[ORACLE]["average_precision"]
    assert set(found["without"]) == set(other_companies_page.WITHOUT)
    assert found["without"][other_companies_page.LEVELS] != rankers[MODEL]
