from __future__ import annotations

from typing import Any

import pytest

from conversion.modelling.doubts import FEW_CONVERTERS, Ahead, ahead_text, few_text, rules_ahead


def ranking(**roc_auc: float | None) -> dict[str, Any]:
    return {
        ranker: {"average_precision": {"value": 0.1}, "roc_auc": {"value": value}}
        for ranker, value in roc_auc.items()
    }


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({"probability": 0.62, "users_rule": 0.5, "actions_rule": 0.751}, ["actions_rule"]),
        ({"probability": 0.62, "users_rule": 0.7, "actions_rule": 0.751}, ["users_rule", "actions_rule"]),
        ({"probability": 0.62, "actions_rule": 0.62}, []),
        # The model of lifetime totals and the oracle are no rules; a measure may be unknown.
        ({"probability": 0.62, "summary_only": 0.9, "oracle": 1.0, "actions_rule": None}, []),
        ({"probability": None, "actions_rule": 0.9}, []),
    ],
)
def test_rules_that_rank_better_than_the_model(
    measured: dict[str, float | None], expected: list[str]
) -> None:
    assert [each.rule for each in rules_ahead(ranking(**measured))] == expected


def test_the_text_has_the_measures_in_which_the_rule_is_ahead() -> None:
    (ahead,) = rules_ahead(ranking(probability=0.62, actions_rule=0.751))
    assert ahead == Ahead("actions_rule", {"roc_auc": (0.751, 0.62)})
    assert ahead_text(ahead).endswith("most actions in the last four weeks, ROC AUC 0.751, the model 0.620")


def test_few_converters_are_named() -> None:
    assert few_text(FEW_CONVERTERS) is None
    assert "learned from 15 companies that converted: with fewer than 100" in str(few_text(15))
    assert "learned from 1 company that" in str(few_text(1))
