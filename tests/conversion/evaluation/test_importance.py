from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from conversion.evaluation.importance import NO_DIRECTION, importance_by_fact_table, importance_table
from conversion.evaluation.importance_figures import FACT_BARS, importance_by_fact_figure
from conversion.features.facts import TITLES
from conversion.modelling.model import ConversionModel
from tests.backtests import backtest_export


@pytest.fixture(scope="module")
def model() -> ConversionModel:
    return backtest_export().model


def test_facts_are_those_of_the_model_in_words(model: ConversionModel) -> None:
    table = importance_by_fact_table(model)
    assert list(table) == ["key", "fact", "importance", "direction", "effect"]
    assert table["importance"].sum() == pytest.approx(1, abs=1e-5)
    assert table["importance"].is_monotonic_decreasing
    assert {"How many people use it", "Last active"} <= set(table["fact"])
    assert table["fact"].is_unique
    found = model.importance_by_fact()
    assert table["key"].tolist() == [each.fact.key for each in found]
    assert table["fact"].tolist() == [each.fact.title for each in found]
    assert table["importance"].tolist() == [round(each.share, 6) for each in found]
    assert table["direction"].tolist() == [each.direction for each in found]


def test_the_effect_says_the_direction(model: ConversionModel) -> None:
    table = importance_by_fact_table(model)
    for row in table.itertuples():
        assert str(row.effect).endswith(
            ("lowers the score", NO_DIRECTION, "raises the score")[row.direction + 1]
        )
    (sector,) = table.loc[table["fact"] == "Sector", "effect"]
    assert sector.startswith(("not known", NO_DIRECTION)), "levels have no order, but may be missing"
    recency = table.loc[(table["fact"] == TITLES["recency"]) & (table["direction"] != 0), "effect"]
    assert recency.str.startswith(("longer ago", "used at all", "not known")).all()


def test_what_contradicts_the_definition_is_said_to_be_with_all_else_the_same(
    model: ConversionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = importance_by_fact_table(model).set_index("fact")
    turned = [each._replace(direction=-1) for each in model.importance_by_fact()]
    monkeypatch.setattr(ConversionModel, "importance_by_fact", lambda _: turned)
    table = importance_by_fact_table(model).set_index("fact")
    assert table.loc[TITLES["people"], "effect"] == "more, with all else the same: lowers the score"
    assert "with all else the same" not in str(table.loc[TITLES["recency"], "effect"])
    pd.testing.assert_series_equal(table["importance"], expected["importance"])


def test_the_longest_effect_of_the_longest_bar_is_within_the_figure(model: ConversionModel) -> None:
    table = importance_by_fact_table(model)
    table.loc[0, "effect"] = "not applicable, with all else the same: lowers the score"
    figure = importance_by_fact_figure(table)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert set(table["effect"].head(FACT_BARS)) <= {text.get_text() for text in texts}
    for text in texts:
        box = text.get_window_extent(canvas.get_renderer())
        assert (box.x0 >= 0) & (box.x1 <= figure.bbox.x1), text.get_text()


def test_features_have_their_description_and_weeks(model: ConversionModel) -> None:
    table = importance_table(model)
    assert table["feature"].tolist() == model.get_feature_importance().index.tolist()
    said = table.set_index("feature")["description"]
    assert said["users_max_4w"] == "most users of a week in any module, last 4 weeks"
    assert said["users_max_lifetime"].endswith(", ever")
    assert said["recency_weeks"] == "weeks since the last active week was over"
    assert said.is_unique
