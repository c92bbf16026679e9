"""The generated blocks of docs/explanation/modelling.md, from the figures of `benchmarks/modelling.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from benchmarks.export_copy import EXPORT
from conversion.evaluation.predictions import MODEL, ORACLE
from tools.docs.markdown import fill, interval, table
from tools.docs.results import EXPECTED, ORACLE_SHARE, RANKERS
from tools.docs.results import MEASURES as RANKING

PAGE: Final = "modelling.md"
RESULTS: Final = "modelling.json"

SAMPLE_DATA: Final = "sample"
SMALL: Final = {"small_1": 1, "small_2": 2}
"""The smaller samples' seeds."""

SAMPLES: Final = {"small_1": "small sample 1", "small_2": "small sample 2", SAMPLE_DATA: "sample"}
RULE: Final = "users_rule"
TYPES: Final = {
    "logistic_regression": "logistic regression",
    "random_forest": "random forest",
    "xgboost": "xgboost",
    "ensemble": "**ensemble** of logistic regression and xgboost",
}
OTHERS: Final = {RULE: RANKERS[RULE], ORACLE: "oracle"}
EVERYTHING: Final = ("usage", "firmographics", "missingness")
GROUPS: Final = {
    "usage": ("usage",),
    "**usage, firmographics**": ("usage", "firmographics"),
    "usage, firmographics, missingness": EVERYTHING,
}
MEASURES: Final = {
    **{name: RANKING[name] for name in ("roc_auc", *RANKING)},
    "log_loss_ratio": "log loss",
    "expected_over_observed": EXPECTED,
}
GROUP_MEASURES: Final = ("roc_auc", "average_precision", "recall_at_250", "log_loss_ratio")


class Choice(NamedTuple):
    """One row of the table of choices."""

    key: str
    title: str
    changes: Mapping[str, Any]  # to params.yaml; all feature groups unless it says otherwise
    on_sample: bool = False  # measured on the sample too, not only on the small ones


def _logistic(c: float) -> dict[str, Any]:
    return {"model.type": "logistic_regression", "model.logistic_regression.C": c}


def _boosted(penalty: float, **settings: Any) -> dict[str, Any]:
    given = {"reg_lambda": penalty, "colsample_bytree": 1.0} | settings
    return {"model.type": "xgboost"} | {f"model.xgboost.{name}": value for name, value in given.items()}


def _forest(**settings: Any) -> dict[str, Any]:
    return {"model.type": "random_forest"} | {
        f"model.random_forest.{name}": value for name, value in settings.items()
    }


def _ensemble(*members: str) -> dict[str, Any]:
    return {"model.type": "ensemble", "model.ensemble.members": list(members)}


BOTH: Final = ("logistic_regression", "xgboost")
WITHOUT_MISSINGNESS: Final = {"features.groups": ["usage", "firmographics"]}
DEFAULT: Final = _ensemble(*BOTH) | WITHOUT_MISSINGNESS
FEW_QUADRATIC: Final = ["log_alexa_rank", "size", "weeks_since_first_seen"]
CHOICES: Final = (
    Choice("lr_003", "logistic regression, `C` .003", _logistic(0.003), on_sample=True),
    Choice("lr_01", "**`C` .01**", _logistic(0.01), on_sample=True),
    Choice("lr_03", "`C` .03", _logistic(0.03)),
    Choice("xgb_5", "xgboost, `reg_lambda` 5", _boosted(5.0)),
    Choice("xgb_20", "20", _boosted(20.0)),
    Choice("xgb_50", "**50**", _boosted(50.0), on_sample=True),
    Choice("xgb_100", "100", _boosted(100.0)),
    Choice(
        "xgb_columns",
        "**50, each tree sees .3 of the features**",
        _boosted(50.0, colsample_bytree=0.3),
        on_sample=True,
    ),
    Choice("xgb_deep", "50, depth 4", _boosted(50.0, max_depth=4)),
    Choice("xgb_free", "50, without monotone constraints", _boosted(50.0, monotone=False)),
    Choice("rf_free", "random forest, without monotone constraints", _forest(monotone=False)),
    Choice("rf", "**random forest, with monotone constraints**", _forest()),
    Choice("rf_leaf", "the same, 50 snapshots per leaf", _forest(min_samples_leaf=50)),
    Choice(
        "ensemble_all",
        "ensemble of logistic regression and xgboost, all features",
        _ensemble(*BOTH),
        on_sample=True,
    ),
    Choice("ensemble_rf", "the same with the forest", _ensemble(*BOTH, "random_forest")),
    Choice(
        "ensemble",
        "**ensemble of logistic regression and xgboost, without missingness**",
        DEFAULT,
        on_sample=True,
    ),
    Choice(
        "xgb_alone",
        "xgboost alone, without missingness",
        _boosted(50.0, colsample_bytree=0.3) | WITHOUT_MISSINGNESS,
        on_sample=True,
    ),
    Choice(
        "quadratic",
        "the ensemble again, `quadratic` without recency and users",
        DEFAULT | {"model.logistic_regression.quadratic": FEW_QUADRATIC},
        on_sample=True,
    ),
    *(
        Choice(
            f"recency_{weeks}",
            f"the ensemble again, `recency_half_life_weeks` {weeks}",
            DEFAULT | {"train.recency_half_life_weeks": weeks},
        )
        for weeks in (52, 26, 13)
    ),
)


def page(text: str, results: Mapping[str, Any]) -> str:
    """Fill in the blocks whose figures exist; leave the prose and the other blocks unchanged."""
    makers = {name: partial(make, results) for name, make in BLOCKS.items()}
    return fill(text, PAGE, makers, unavailable=(KeyError,))[0]


def choices_block(results: Mapping[str, Any]) -> str:
    """Show every choice's log loss on the samples."""
    found = results["choices"]
    rows = [[each.title, *(_value(found[each.key].get(name)) for name in SAMPLES)] for each in CHOICES]
    return table(["", *SAMPLES.values()], rows, right=len(SAMPLES))


def types_block(measured: Mapping[str, Any]) -> str:
    """Show the measures of each type, of the rule, and of the oracle if there is one."""
    rankers = {name: measured[name]["rankers"][MODEL] for name in TYPES}
    others = measured["ensemble"]["rankers"]
    rankers |= {name: others[name] for name in OTHERS if name in others}
    oracle = others.get(ORACLE)
    rows = []
    for name, title in (TYPES | OTHERS).items():
        if name in rankers:
            cells = [_value(rankers[name].get(measure, {}).get("value")) for measure in MEASURES]
            rows.append([title, *cells, *_share(rankers[name], oracle)])
    head = ["", *MEASURES.values(), *([ORACLE_SHARE] if oracle else [])]
    setting, ensemble = measured["ensemble"]["setting"], rankers["ensemble"]
    intervals = " and ".join(
        f"{MEASURES[name]} {interval(ensemble[name])}" for name in ("roc_auc", "average_precision")
    )
    return (
        f"{setting['companies']:,} companies, {setting['lists']} lists from {setting['first']}, "
        f"{setting['converters']} companies that convert within the horizon of at least one list.\n\n"
        + table(head, rows, right=len(head) - 1)
        + f"\nThe ensemble: {intervals}. Its gain in average precision over the rule: "
        f"{interval(measured['ensemble']['minus_rule'], 'difference')}.\n"
    )


def _share(measures: Mapping[str, Any], oracle: Mapping[str, Any] | None) -> list[str]:
    if oracle is None:
        return []
    return [f"{measures['average_precision']['value'] / oracle['average_precision']['value']:.2f}"]


def groups_block(results: Mapping[str, Any]) -> str:
    """Show the measures of each feature group on the sample, and on the export if there is one."""
    measured = {"sample": results["groups"]}
    if EXPORT in results:
        measured = {"real export": results[EXPORT]["groups"]} | measured
    head = [f"{name}: {MEASURES[each]}" for name in measured for each in GROUP_MEASURES]
    rows = []
    for group in GROUPS:
        found = [each[group]["rankers"][MODEL] for each in measured.values()]
        rows.append([group, *(_value(each[name]["value"]) for each in found for name in GROUP_MEASURES)])
    return table(["feature groups of the ensemble", *head], rows, right=len(head))


def calibration_block(results: Mapping[str, Any]) -> str:
    """Show how each calibration changes the log loss."""
    found = {title: results["calibration"][name] for name, title in SAMPLES.items()}
    if EXPORT in results:
        found["real export"] = results[EXPORT]["calibration"]
    rows = [
        [method, *(_value(each[method]) for each in found.values())] for method in ("sigmoid", "isotonic")
    ]
    return table(["log loss over that without calibration", *found], rows, right=len(found))


BLOCKS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "modelling-choices": choices_block,
    "modelling-types-export": lambda results: types_block(results[EXPORT]["types"]),
    "modelling-types-sample": lambda results: types_block(results["types"]),
    "modelling-groups": groups_block,
    "modelling-calibration": calibration_block,
}


def _value(value: float | None) -> str:
    return interval({"value": value, "low": None, "high": None})
