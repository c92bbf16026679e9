"""The generated blocks of pages: what the pipeline wrote, as tables between prose."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from conversion.runtime.errors import InputError
from conversion.runtime.files import read_json
from tools.docs.markdown import code, table
from tools.docs.pages import stages_table

BLOCK: Final = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.DOTALL
)

RANKERS: Final = {
    "probability": "**model**",
    "summary_only": "model, from lifetime totals only",
    "users_rule": "rule: most users, last 4 weeks",
    "actions_rule": "rule: most actions, last 4 weeks",
    "random": "random order",
    "oracle": "oracle (the sample's truth)",
}
MEASURES: Final = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "precision_at_10": "precision at 10",
    "recall_at_50": "recall at 50",
    "recall_at_250": "recall at 250",
}
WITHOUT: Final = ", without the never seen"
ORACLE_SHARE: Final = "share of the oracle's average precision"
LOG_LOSS: Final = "log loss over the base rate's"
LOG_LOSS_OF: Final = {"probability": "probability", "summary_only": "summary_only_probability"}
SLICES: Final = {
    "slice": "prospects",
    "share_of_prospects": "share of all prospects",
    "share_of_conversions": "share of all conversions",
    "expected_over_observed": "expected over observed conversions",
    "log_loss_ratio": LOG_LOSS,
    "roc_auc": "ROC AUC among them",
    "recall_at_50": "recall at 50 of the whole list",
    "recall_at_250": "recall at 250 of the whole list",
}
LEADS: Final = {
    "rank": "rank",
    "id": "id",
    "probability": "probability",
    "tier": "tier",
    "expected_mrr": "expected MRR",
    "EMPLOYEE_RANGE": "employees",
    "last_active_week": "last active week",
    "reason_1": "first reason",
}
LEAD_ROWS: Final = 10
RANDOM_SPLITS: Final = "docs/explanation/random_splits.json"
MODELLING: Final = "docs/explanation/modelling.json"
MODELLING_TABLES: Final = ("choices", "types-export", "types-sample", "groups", "calibration")
PACKAGES: Final = ("stages", "conversion", "commands", "benchmarks", "docs")


def makers(root: Path) -> dict[str, Callable[[], str]]:
    """Name what makes each generated block."""
    return {
        "stages": partial(stages_table, root),
        "results": partial(results_block, root),
        "slices": partial(slices_block, root),
        "leads": partial(leads_block, root),
        "random-splits": partial(random_splits_block, root),
        **{f"modelling-{name}": partial(modelling_block, root, name) for name in MODELLING_TABLES},
        "share-of-oracle": partial(share_of_oracle_block, root),
        "hazard": hazard_block,
        "make-targets": partial(make_targets_block, root),
        **{f"modules-{package}": partial(modules_block, root, package) for package in PACKAGES},
    }


def filled(root: Path, page: str, name: str) -> tuple[str, list[str]]:
    """Fill in every generated block of a page.

    Parameters
    ----------
    root
        The project's root.
    page
        Markdown.
    name
        Of the page, for messages.

    Returns
    -------
    str, list of str
        The page, and the files that were not there: what would be made of them is left as it is.

    Raises
    ------
    SystemExit
        The page has a block that nothing makes.
    """
    known = makers(root)
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        if match["name"] not in known:
            raise SystemExit(f"{name}: unknown block {match['name']}; known: {', '.join(known)}")
        try:
            body = known[match["name"]]()
        except FileNotFoundError as error:
            missing.append(str(error.filename))
            return match[0]
        except InputError as error:
            missing.append(str(error).partition(":")[0])
            return match[0]
        return f"{match['begin']}{body}{match['end']}"

    return BLOCK.sub(fill, page), missing


def results_block(root: Path) -> str:
    """Show the backtest's headline numbers with their intervals."""
    result = read_json(root / "metrics/evaluation.json")
    measures = [name for name in MEASURES if name in result["ranking"]["probability"]]
    without = result.get("without_never_seen", {})
    rows = _result_rows(result, measures)
    if "ranking" in without:
        rows += [[f"{name}{WITHOUT}", *cells] for name, *cells in _result_rows(without, measures)]
    header = ["list by", *(MEASURES[measure] for measure in measures), LOG_LOSS, ORACLE_SHARE]
    below = "\n".join([*_left_out(without), _margins(result), *_ceiling(result)])
    return f"{_setting(result)}\n{table(header, rows, right=len(header) - 1)}\n{below}"


def _result_rows(result: dict[str, Any], measures: list[str]) -> list[list[str]]:
    ranking = result["ranking"]
    oracle = ranking.get("oracle", {}).get("average_precision", {}).get("value")
    rows = []
    for ranker, name in RANKERS.items():
        if ranker not in ranking:
            continue
        cells = [_interval(ranking[ranker][measure]) for measure in measures]
        loss = _interval(result[LOG_LOSS_OF[ranker]]["log_loss_ratio"]) if ranker in LOG_LOSS_OF else "-"
        rows.append([name, *cells, loss, _share(ranking[ranker]["average_precision"]["value"], oracle)])
    return rows


def _left_out(without: dict[str, Any]) -> list[str]:
    """Describe who is left out of the second half of the table."""
    if "left_out" not in without:
        return []
    shares = without["left_out"]
    text = (
        "Without the never seen: the same lists without the companies that had not used the product by then, "
        f"{100 * shares['share_of_prospects']:.1f} % of the prospects, with "
        f"{100 * shares['share_of_conversions']:.1f} % of the conversions and "
        f"{100 * shares['share_of_expected_conversions']:.1f} % of those expected.\n"
    )
    return [text]


def slices_block(root: Path) -> str:
    """Show where the model is good and where it is not."""
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
    low, high = measures.get(f"{name}_low"), measures.get(f"{name}_high")
    return _interval({"value": float(measures[name]), "low": _float(low), "high": _float(high)})


def _float(text: str | None) -> float | None:
    return float(text) if text else None


def _setting(result: dict[str, Any]) -> str:
    return (
        f"`{result['model_type']}`, {result['cutoffs']} lists from {result['first_cutoff']} to "
        f"{result['last_cutoff']}; {result['converters']:,} companies converted within the horizon of one, "
        f"{100 * result['prevalence']:.2f} % of the prospects on a list. Means over the lists; in brackets "
        "95 % intervals by resampling companies.\n"
    )


def _margins(result: dict[str, Any]) -> str:
    parts = [
        f"{RANKERS[name].removeprefix('rule: ')}: {_interval(margins['average_precision'], 'difference')}"
        for name, margins in result["model_minus_baseline"].items()
        if name != "oracle" and "average_precision" in margins
    ]
    return f"Average precision of the model minus that of the list by {'; by '.join(parts)}.\n"


def _ceiling(result: dict[str, Any]) -> list[str]:
    """Say how much of the log loss that can be saved is saved, where the truth is known."""
    if "share_of_oracle" not in result:
        return []
    saved = _interval(result["share_of_oracle"]["log_loss_reduction"])
    return [f"Of what the oracle's log loss is below the base rate's, the model's is below it by {saved}.\n"]


def _interval(measure: dict[str, float | None], key: str = "value") -> str:
    value, low, high = measure[key], measure["low"], measure["high"]
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _share(value: float | None, oracle: float | None) -> str:
    return "-" if value is None or not oracle else f"{value / oracle:.2f}"


def leads_block(root: Path) -> str:
    """Show the first rows of the lead list, with some of its columns."""
    import pandas as pd  # needed here alone, and slow to import

    leads = pd.read_csv(root / "data/leads/top_leads.csv", dtype="str", keep_default_na=False)
    leads["probability"] = leads["probability"].astype(float).map("{:.3f}".format)
    leads["expected_mrr"] = leads["expected_mrr"].astype(float).map("{:,.2f}".format)
    rows = leads.head(LEAD_ROWS)[list(LEADS)].to_numpy().tolist()
    return table(list(LEADS.values()), rows)


def random_splits_block(root: Path) -> str:
    """Say what the usual recipe claims, and what is kept of it, as `make bench-leakage` last measured it."""
    from benchmarks.leakage_page import short  # needed here alone, and slow to import

    return short(read_json(root / RANDOM_SPLITS)) + "\n"


def modelling_block(root: Path, name: str) -> str:
    """Show one of the tables of the choice of model, as `make bench-modelling` last measured it."""
    from benchmarks.modelling_page import TABLES  # needed here alone, and slow to import

    return TABLES[name](read_json(root / MODELLING))


def share_of_oracle_block(root: Path) -> str:
    """Say how much of what can be known the model knows, on the sample."""
    shares = read_json(root / "metrics/evaluation.json").get("share_of_oracle", {})
    rows = [[name.replace("_", " "), _interval(measure)] for name, measure in shares.items()]
    return table(["share of the oracle's", "with its 95 % interval"], rows, right=1)


def hazard_block() -> str:
    """Quote how the sample is made from the module that makes it."""
    from stages import simulate

    hazard = str(simulate.__doc__).partition("The hazard\n----------\n")[2]
    return f"```text\n{hazard.strip()}\n```\n"


def make_targets_block(root: Path) -> str:
    """List the targets of the Makefile with what they say of themselves."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## (.*)$", makefile, flags=re.MULTILINE)
    return table(["command", "does"], [[code(f"make {name}"), does] for name, does in targets])


def modules_block(root: Path, package: str) -> str:
    """List a folder's modules, each with the first sentence of its docstring."""
    rows = [
        [code(path.name), _first_line(path)]
        for path in sorted((root / package).glob("*.py"))
        if path.name != "__init__.py"
    ]
    return table([code(f"{package}/"), "what is in it"], rows)


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path} has no docstring"
    return docstring.partition("\n")[0].removesuffix(".")
