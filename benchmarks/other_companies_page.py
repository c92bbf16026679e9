"""The generated blocks of docs/explanation/other_companies.md, from the figures of `other_companies.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean
from typing import Any, Final

from benchmarks.invented_companies import KINDS
from conversion.evaluation.predictions import MODEL, ORACLE
from tools.docs.markdown import fill, table
from tools.docs.results import MEASURES as RANKING

PAGE: Final = "other_companies.md"
RESULTS: Final = "other_companies.json"

BEST_RULE: Final = "best_rule"
RANKERS: Final = {
    MODEL: "**this project**",
    "xgboost": "xgboost",
    "logistic_regression": "logistic regression",
    BEST_RULE: "best rule",
    ORACLE: "truth",
}
MEASURES: Final = {
    "average_precision": (RANKING["average_precision"], "{:.3f}"),
    "precision_at_10": (RANKING["precision_at_10"], "{:.3f}"),
    "precision_at_50": ("precision at 50", "{:.3f}"),
    "gap_closed": ("log-loss gap closed", "{:.0%}"),
    "expected_over_true": ("expected over true", "{:.2f}"),
}

SIGN_UP: Final = "sign_up"
SHARES: Final = "shares_from"
LEVELS: Final = "levels"
WITHOUT: Final = {
    SIGN_UP: "without the day of sign-up",
    SHARES: "`shares_from: 1`",
    LEVELS: "levels not doubled",
}
COMPARED: Final = ("average_precision", "gap_closed")

Result = Mapping[str, Any]
"""What was measured of a kind, by the seed."""


def page(text: str, results: Mapping[str, Result]) -> str:
    """Fill in the blocks if all kinds have been measured; leave the prose unchanged."""
    makers = {name: partial(make, results) for name, make in BLOCKS.items()}
    return fill(text, PAGE, makers, unavailable=(KeyError,))[0]


def setting_block(results: Mapping[str, Result]) -> str:
    """Describe what was measured of each kind, and count the draws in which the summary warns."""
    head = [
        "",
        "companies",
        "weeks",
        "prospects a list",
        "companies that convert",
        "conversions over true",
        "draws with a warning",
    ]
    rows = []
    for name, kind in KINDS.items():
        found = [each["setting"] for each in results[name].values()]
        over_true = sum(each["conversions"] for each in found) / sum(
            each["true_conversions"] for each in found
        )
        rows.append(
            [
                kind.title,
                f"{kind.companies:,}",
                str(kind.weeks),
                f"{fmean(each['prospects'] for each in found):,.0f}",
                ", ".join(str(each["converters"]) for each in found),
                f"{over_true:.2f}",
                f"{sum(each['warns'] for each in found)} of {len(found)}",
            ]
        )
    return table(head, rows, right=len(head) - 1)


def results_block(results: Mapping[str, Result]) -> str:
    """Compare the project with learners, the best rule and the truth: a row a kind and ranker."""
    head = ["", "", *(title for title, _ in MEASURES.values())]
    rows = [
        [kind.title if ranker == MODEL else "", title, *_cells(results[name], ranker)]
        for name, kind in KINDS.items()
        for ranker, title in RANKERS.items()
    ]
    return table(head, rows, right=len(MEASURES))


def without_block(results: Mapping[str, Result]) -> str:
    """Compare the project with itself, one thing switched off at a time: a row a kind."""
    titles = ["as it is", *WITHOUT.values()]
    head = ["", *(f"{MEASURES[measure][0]}: {title}" for measure in COMPARED for title in titles)]
    rows = []
    for name, kind in KINDS.items():
        cells = [
            MEASURES[measure][1].format(value)
            for measure in COMPARED
            for value in (
                _mean(results[name], measure, "rankers", MODEL),
                *(_mean(results[name], measure, "without", each) for each in WITHOUT),
            )
        ]
        rows.append([kind.title, *cells])
    return table(head, rows, right=len(head) - 1)


BLOCKS: Final[Mapping[str, Callable[[Mapping[str, Result]], str]]] = {
    "other-companies-setting": setting_block,
    "other-companies": results_block,
    "other-companies-without": without_block,
}


def _cells(result: Result, ranker: str) -> list[str]:
    known = next(iter(result.values()))["rankers"][ranker]
    return [
        form.format(_mean(result, measure, "rankers", ranker)) if measure in known else "-"
        for measure, (_, form) in MEASURES.items()
    ]


def _mean(result: Result, measure: str, part: str, name: str) -> float:
    """Return the mean over the draws of a kind."""
    return fmean(each[part][name][measure] for each in result.values())
