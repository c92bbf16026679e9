"""The blocks of results: what the backtest measured, as tables between prose."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

import yaml

from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.runtime.files import read_json
from tools.docs.markdown import interval, table

SUMMARY_ONLY: Final = "summary_only"
RANKERS: Final = {
    MODEL: "**model**",
    SUMMARY_ONLY: "totals-only model",
    "users_rule": "rule: most users, last 4 weeks",
    "actions_rule": "rule: most actions, last 4 weeks",
    "random": "random order",
    ORACLE: "oracle (the sample's truth)",
}
MARGINS: Final = {
    SUMMARY_ONLY: "totals-only model",
    "users_rule": "most-users rule",
    "actions_rule": "most-actions rule",
    "random": "list in random order",
}
MEASURES: Final = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "precision_at_10": "precision at 10",
    "recall_at_50": "recall at 50",
    "recall_at_250": "recall at 250",
}
LOG_LOSS: Final = "log loss over the base rate's"
LOG_LOSS_OF: Final = {MODEL: "probability", SUMMARY_ONLY: "summary_only_probability"}
EXPECTED: Final = "expected over observed"
ORACLE_SHARE: Final = "share of the oracle's average precision"
SLICES: Final = {
    "slice": "prospects",
    "share_of_prospects": "share of all prospects",
    "share_of_conversions": "share of all conversions",
    "expected_over_observed": f"{EXPECTED} conversions",
    "log_loss_ratio": LOG_LOSS,
    "roc_auc": "ROC AUC among them",
    "recall_at_50": "recall at 50 of the whole list",
    "recall_at_250": "recall at 250 of the whole list",
}


def results_block(root: Path) -> str:
    """Return the backtest's headline numbers with their intervals."""
    result = read_json(root / "metrics/evaluation.json")
    days = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["featurize"]["horizon_days"]
    measures = [name for name in MEASURES if name in result["ranking"][MODEL]]
    without = result.get("without_never_seen", {})
    rows = _result_rows(result, measures)
    if "ranking" in without:
        rows += [
            [f"{name}, without never-seen companies", *cells]
            for name, *cells in _result_rows(without, measures)
        ]
    header = ["list by", *(MEASURES[measure] for measure in measures), LOG_LOSS, ORACLE_SHARE]
    shown = table(header, rows, right=len(header) - 1)
    below = [*_left_out(without), *_gains(result), *_ceiling(result)]
    return "\n".join([_setting(result, days), shown, *below])


def _setting(result: dict[str, Any], days: int) -> str:
    return (
        f"`{result['model_type']}`, {result['cutoffs']} lists from {result['first_cutoff']} to "
        f"{result['last_cutoff']}; {result['converters']:,} companies converted within {days} days of at "
        f"least one list, {100 * result['prevalence']:.2f} % of the prospects on a list. Numbers are means "
        "over the lists, with 95 % intervals from resampling companies in brackets.\n"
    )


def _result_rows(result: dict[str, Any], measures: list[str]) -> list[list[str]]:
    ranking = result["ranking"]
    oracle = ranking.get(ORACLE, {}).get("average_precision", {}).get("value")
    rows = []
    for ranker in (name for name in RANKERS if name in ranking):
        loss = result[LOG_LOSS_OF[ranker]]["log_loss_ratio"] if ranker in LOG_LOSS_OF else None
        precision = ranking[ranker]["average_precision"]["value"]
        share = "-" if precision is None or not oracle else f"{precision / oracle:.2f}"
        cells = [interval(ranking[ranker][measure]) for measure in measures]
        rows.append([RANKERS[ranker], *cells, interval(loss), share])
    return rows


def _left_out(without: dict[str, Any]) -> list[str]:
    """Describe who is left out of the second half of the table."""
    if "left_out" not in without:
        return []
    whats = ("prospects", "conversions", "expected_conversions")
    shares = (f"{100 * without['left_out'][f'share_of_{what}']:.1f} %" for what in whats)
    text = (
        "The rows *without never-seen companies* leave out companies that had not used the product by then: "
        "{} of the prospects, with {} of the conversions and {} of the expected conversions.\n"
    )
    return [text.format(*shares)]


def _gains(result: dict[str, Any]) -> list[str]:
    """Describe how much better the model ranks than each baseline."""
    gains = [
        f"{MARGINS[name]}: {interval(margins['average_precision'], 'difference')}"
        for name, margins in result["model_minus_baseline"].items()
        if name != ORACLE and "average_precision" in margins
    ]
    return [f"The model's gain in average precision over the {'; the '.join(gains)}.\n"]


def _ceiling(result: dict[str, Any]) -> list[str]:
    """Describe how much of the possible gain in log loss is achieved, where the truth is known."""
    if "share_of_oracle" not in result:
        return []
    share = interval(result["share_of_oracle"]["log_loss_reduction"], form="{:.1%}").replace("%", " %")
    text = "of the log-loss improvement over the base rate that is possible on the sample"
    return [f"The model achieves {share} {text}.\n"]


def slices_block(root: Path) -> str:
    """Return where the model is good and where it is not."""
    with (root / "metrics/slices.csv").open(newline="", encoding="utf-8") as file:
        slices = list(csv.DictReader(file))
    everyone = int(slices[0]["prospects"])
    for each in slices:
        each["share_of_prospects"] = str(int(each["prospects"]) / everyone)
    shown = [name for name in SLICES if name in slices[0]]
    rows = [[_slice_cell(each, name) for name in shown] for each in slices]
    return table([SLICES[name] for name in shown], rows, right=len(shown) - 1)


def _slice_cell(measures: dict[str, str], name: str) -> str:
    if name == "slice" or not measures[name]:
        return measures[name] or "-"
    if name.startswith("share"):
        return f"{100 * float(measures[name]):.1f} %"
    ends = {end: measures.get(f"{name}_{end}") for end in ("low", "high")}
    return interval(
        {"value": float(measures[name])} | {end: float(at) if at else None for end, at in ends.items()}
    )


def share_of_oracle_block(root: Path) -> str:
    """Return how much of what can be known on the sample the model knows."""
    shares = read_json(root / "metrics/evaluation.json").get("share_of_oracle", {})
    rows = [[name.replace("_", " "), interval(measure)] for name, measure in shares.items()]
    return table(["share of the oracle's", "with its 95 % interval"], rows, right=1)
