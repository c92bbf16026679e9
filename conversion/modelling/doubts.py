"""Reasons to doubt that a list by the model is better than one by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

FEW_CONVERTERS: Final = 100
"""With fewer converting companies to learn from, a rule may be as good as the model.

On the sample, whose truth is known, models that learn from 48 reach 0.42 to 0.57 of the oracle's average
precision, and the best rule 0.44; those that learn from 99 reach 0.49 to 0.64
(docs/explanation/learning_curve.md).
"""
RULE_NAMES: Final = {
    "users_rule": "most users in the last four weeks",
    "actions_rule": "most actions in the last four weeks",
}
"""The rules of the backtest, by what they rank by."""
MEASURES: Final = {"average_precision": "average precision", "roc_auc": "ROC AUC"}
"""Of whole lists: the first places of a few lists are too much of chance."""
DIGITS: Final = 3


class Ahead(NamedTuple):
    """A rule that ranks better than the model."""

    rule: str
    by: dict[str, tuple[float, float]]
    """By measure, its value of the rule and of the model."""


def rules_ahead(ranking: Mapping[str, Any]) -> list[Ahead]:
    """Return the rules that rank better than the model in some of `MEASURES`.

    Parameters
    ----------
    ranking
        That of metrics/evaluation.json: measures by ranker.
    """
    found = []
    for rule in (name for name in RULE_NAMES if name in ranking):
        pairs = {
            name: (_shown(ranking[rule][name]), _shown(ranking["probability"][name])) for name in MEASURES
        }
        by = {name: (ours, model) for name, (ours, model) in pairs.items() if ours > model}
        if by:
            found.append(Ahead(rule, by))
    return found


def _shown(measure: Mapping[str, Any]) -> float:
    value = measure["value"]
    return float("nan") if value is None else round(value, DIGITS)


def ahead_text(ahead: Ahead) -> str:
    """Say by how much a rule is ahead of the model.

    Examples
    --------
    >>> ahead_text(Ahead("actions_rule", {"roc_auc": (0.751, 0.62)}))
    'A rule ranks better than the model: most actions in the last four weeks, ROC AUC 0.751, the model 0.620'
    """
    by = "; ".join(
        f"{MEASURES[name]} {rule:.{DIGITS}f}, the model {model:.{DIGITS}f}"
        for name, (rule, model) in ahead.by.items()
    )
    return f"A rule ranks better than the model: {RULE_NAMES[ahead.rule]}, {by}"


def few_text(converting: int) -> str | None:
    """Say that the model learned from few companies that convert; None if they are enough."""
    if converting >= FEW_CONVERTERS:
        return None
    companies = "1 company" if converting == 1 else f"{converting} companies"
    return (
        f"The model learned from {companies} that converted: with fewer than {FEW_CONVERTERS}, a rule such "
        "as the most actions may rank as well or better"
    )
