from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.evaluation.comparison import (
    Comparison,
    Difference,
    Extent,
    common_rows,
    compare,
    comparison_text,
    extent,
    verdict,
)
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.runtime.errors import ComparisonError
from conversion.stats.losses import log_loss
from tests.backtests import backtest

SAMPLES, SEED = 200, 5


def test_the_better_one_is_found() -> None:
    poor, good = backtest(1, skill=0.5), backtest(2, skill=4.0)
    found = compare(poor, good, 20, SAMPLES, SEED)
    assert list(found.measures) == ["average_precision", "recall_at_20", "log_loss"]
    for name, measure in found.measures.items():
        assert measure.probability_better > 0.95
        assert measure.difference == pytest.approx(measure.second - measure.first, abs=2e-6)
        assert measure.low <= measure.difference <= measure.high
        assert (measure.difference < 0) == (name == "log_loss")
    assert verdict(found) == "B is better on average precision, recall at 20 and log loss."


def test_the_measures_are_those_of_the_evaluation() -> None:
    a, b = backtest(1), backtest(2)
    found = compare(a, b, 20, SAMPLES, SEED).measures
    weekly = weekly_measures(b, "probability", [20])
    assert found["average_precision"].second == pytest.approx(weekly["average_precision"].mean(), abs=1e-6)
    assert found["recall_at_20"].second == pytest.approx(weekly["recall_at_20"].mean(), abs=1e-6)
    assert found["log_loss"].first == pytest.approx(log_loss(a["label"], a["probability"]), abs=1e-6)


def test_the_same_backtest_twice_is_a_draw() -> None:
    found = compare(backtest(), backtest(), 20, SAMPLES, SEED)
    for measure in found.measures.values():
        assert (measure.difference, measure.low, measure.high) == (0, 0, 0)
        assert measure.probability_better == 0.5
    assert verdict(found) == "A and B cannot be told apart on average precision, recall at 20 or log loss."


@given(seed=st.integers(0, 50))
def test_turned_round_and_shuffled_it_says_the_opposite(seed: int) -> None:
    a, b = backtest(seed, companies=60), backtest(seed + 100, skill=1.0, companies=60)
    forth = compare(a, b, 5, 40, SEED)
    back = compare(b.sample(frac=1, random_state=seed), a.sample(frac=1, random_state=seed + 1), 5, 40, SEED)
    assert (forth.a, forth.b, forth.common) == (back.b, back.a, back.common)
    for name, one in forth.measures.items():
        other = back.measures[name]
        assert (one.first, one.second) == (other.second, other.first)
        assert one.difference == pytest.approx(-other.difference, abs=2e-6)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=2e-6)
        assert one.probability_better == pytest.approx(1 - other.probability_better, abs=2e-6)


def test_only_common_rows_are_compared() -> None:
    whole = backtest(1)
    later = backtest(2)[lambda table: (table["as_of"] > "2020-01-06") & (table["id"] > 10)]
    found = compare(whole, later, 20, SAMPLES, SEED)
    common = whole.merge(later[["id", "as_of"]])
    assert found.common == extent(common) == extent(later)
    assert (found.a, found.b) == (extent(whole), extent(later))
    assert (found.first_cutoff, found.last_cutoff) == ("2020-01-13", "2020-01-27")
    assert found.measures == compare(common, later, 20, SAMPLES, SEED).measures


def test_units_of_time_do_not_matter() -> None:
    other = backtest(2).astype({"as_of": "datetime64[s]"})
    assert len(common_rows(backtest(1), other)) == len(other)


def test_what_a_backtest_covers() -> None:
    rows = pd.DataFrame(
        {
            "id": [1, 2, 1, 2, 3],
            "as_of": pd.to_datetime(["2020-01-06", "2020-01-06", "2020-01-13", "2020-01-13", "2020-01-13"]),
            "label": [1, 0, 1, 0, 1],
        }
    )
    assert extent(rows) == Extent(cutoffs=2, companies=3, converters=2, rows=5)


# --- what cannot be compared -----------------------------------------------------------------------------


def test_no_common_list_is_refused() -> None:
    later = backtest().assign(as_of=lambda table: table["as_of"] + pd.Timedelta(weeks=10))
    with pytest.raises(ComparisonError) as caught:
        compare(backtest(), later, 20, SAMPLES, SEED)
    assert "A's are 4 from 2020-01-06 to 2020-01-27, B's 4 from 2020-03-16 to 2020-04-06" in str(caught.value)


def test_other_labels_are_refused() -> None:
    other = backtest()
    changed = (other["id"] == 12) & (other["as_of"] >= "2020-01-20")
    other.loc[changed, "label"] = 1 - other.loc[changed, "label"]
    with pytest.raises(ComparisonError) as caught:
        compare(backtest(), other, 20, SAMPLES, SEED)
    message = "labels of 2 of 1200 common rows, the first is company 12 at 2020-01-20: they rest on different"
    assert message in str(caught.value)


def test_no_common_converter_is_refused() -> None:
    others = backtest()[lambda table: ~table["id"].isin(table.loc[table["label"] == 1, "id"])]
    with pytest.raises(ComparisonError, match=r"no company converts in the \d+ rows"):
        compare(backtest(), others, 20, SAMPLES, SEED)


def test_too_few_converters_for_intervals_are_refused() -> None:
    one = backtest().assign(
        label=lambda table: ((table["id"] == 7) & (table["as_of"] < "2020-01-13")).astype(int)
    )
    with pytest.raises(ComparisonError, match="too few companies convert"):
        compare(one, one, 20, samples=1, seed=1)  # this sample happens to leave the company out


def test_missing_columns_are_named() -> None:
    with pytest.raises(ComparisonError, match="B: the backtest lacks the columns label, probability"):
        compare(backtest(), backtest().drop(columns=["label", "probability"]), 20, SAMPLES, SEED)


def test_revenue_has_no_influence() -> None:
    with_revenue = compare(backtest(1), backtest(2), 20, SAMPLES, SEED)
    a, b = (backtest(seed).drop(columns="MRR") for seed in (1, 2))
    assert compare(a, b, 20, SAMPLES, SEED) == with_revenue


def test_text_ids_are_compared_like_numbers_but_not_with_them() -> None:
    numbered = compare(backtest(1), backtest(2), 300, SAMPLES, SEED)
    a, b = (backtest(seed).assign(id=lambda table: table["id"].map("{:06d}".format)) for seed in (1, 2))
    named = compare(a, b, 300, SAMPLES, SEED)
    assert named.measures == numbered.measures, "lists are whole, so ties do not matter"
    with pytest.raises(ComparisonError, match="ids of different kinds, whole numbers and text"):
        compare(a, backtest(2), 20, SAMPLES, SEED)


# --- what is said ----------------------------------------------------------------------------------------


def difference(low: float, high: float) -> Difference:
    return Difference(0.2, 0.2 + (low + high) / 2, (low + high) / 2, low, high, 0.75)


def comparison(**measures: Difference) -> Comparison:
    size = Extent(3, 100, 9, 280)
    return Comparison(size, size, size, "2020-01-06", "2020-01-20", measures)


UP, DOWN, OPEN = difference(0.01, 0.05), difference(-0.05, -0.01), difference(-0.01, 0.05)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ((UP, UP, UP), "B is better on average precision and recall at 50; A is better on log loss."),
        ((DOWN, DOWN, DOWN), "B is better on log loss; A is better on average precision and recall at 50."),
        (
            (UP, OPEN, OPEN),
            "B is better on average precision; the two cannot be told apart on recall at 50 or log loss.",
        ),
        (
            (OPEN, DOWN, UP),
            "A is better on recall at 50 and log loss; the two cannot be told apart on average precision.",
        ),
        ((OPEN,) * 3, "A and B cannot be told apart on average precision, recall at 50 or log loss."),
    ],
)
def test_the_verdict(found: tuple[Difference, Difference, Difference], says: str) -> None:
    average_precision, recall, loss = found
    measures = {"average_precision": average_precision, "recall_at_50": recall, "log_loss": loss}
    assert verdict(comparison(**measures)) == says


def test_the_text() -> None:
    text = comparison_text(comparison(average_precision=UP, log_loss=OPEN), "main", "boosted")
    assert text == (
        "A: main\n"
        "B: boosted\n"
        "compared on 3 lists, 100 companies, 9 converters, from 2020-01-06 to 2020-01-20\n"
        "\n"
        "measure                   A         B      B - A           95 % interval  probability B is better\n"
        "average precision    0.2000    0.2300    +0.0300      +0.0100 to +0.0500                    0.750\n"
        "log loss           0.200000  0.220000  +0.020000  -0.010000 to +0.050000                    0.750\n"
        "\n"
        "B is better on average precision; the two cannot be told apart on log loss.\n"
    )


def test_the_text_says_what_only_one_covers() -> None:
    text = comparison_text(compare(backtest(1), backtest(2, cutoffs=3), 20, SAMPLES, SEED), "main", "boosted")
    lines = text.splitlines()
    assert lines[2].startswith("compared on 3 lists, 300 companies, ")
    assert lines[3].startswith("of A's 4 lists, 300 companies, ")
    assert "; of B's 3 lists, 300 companies, " in lines[3]
