"""The blocks and pictures of docs/explanation/random_splits.md, from what `leakage.py` measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.export_copy import EXPORT
from conversion.evaluation.drawing import save_png
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.runtime.files import write_text
from tools.docs.markdown import fill, interval, table
from tools.docs.results import EXPECTED, LOG_LOSS, RANKERS
from tools.docs.results import MEASURES as RANKING

PAGE: Final = "random_splits.md"
RESULTS: Final = "random_splits.json"
CLAIMED_PICTURE: Final = "random_splits_claimed.png"
LADDER_PICTURE: Final = "random_splits_leaks.png"

SAMPLE_DATA: Final = "sample"
EXAMPLE: Final = "example"
"""An example product with days of sign-up, to measure the accounts that did not exist yet."""
DATA: Final = {SAMPLE_DATA: "The sample", EXPORT: "A real export"}
LEARNERS: Final = {"forest": "random forest", "xgboost": "xgboost"}
SHOWN: Final = "forest"
"""The learner of the pictures and of the text; the tables have both."""

RULE: Final = "users_rule"
OTHERS: Final = {name: RANKERS[name] for name in (MODEL, RULE, "actions_rule", "random", ORACLE)} | {
    MODEL: "**this project's model**"
}
MEASURES: Final = {
    name: RANKING[name] for name in ("roc_auc", "average_precision", "precision_at_10", "recall_at_50")
}
LADDER_MEASURES: Final = ("roc_auc", "average_precision", "precision_at_10")
STEPS: Final = {
    "claim": "the usual recipe",
    "cut": "a customer's usage cut at its conversion",
    "rows": "one row per prospect and week, rows split at random",
    "companies": "the same, companies split at random",
    "time": "the same, split by time",
}
WAYS: Final = {
    "everyone": "all accounts of the export, as if they had always been there",
    "same_model": "the same scores, without the accounts that did not exist yet",
    "existing": "this project: prospects from their sign-up on, in training too",
}
# Okabe and Ito's palette, which colour-blind readers can distinguish.
COLOURS: Final = {
    "claimed": "#D55E00",
    "usual": "#A66F00",
    RULE: "#777777",
    MODEL: "#0072B2",
    ORACLE: "#009E73",
}
LEARNER_STYLES: Final = {"forest": ("#D55E00", "o"), "xgboost": ("#0072B2", "s")}


def write_page(results: Mapping[str, Any], folder: Path) -> str:
    """Fill in the page and draw its pictures in a folder; return the page."""
    text = page((folder / PAGE).read_text(encoding="utf-8"), results)
    write_text(folder / PAGE, text)
    save_png(claimed_figure(results), folder / CLAIMED_PICTURE)
    save_png(ladder_figure(results), folder / LADDER_PICTURE)
    return text


def page(text: str, results: Mapping[str, Any]) -> str:
    """Fill in the generated blocks of the page; the prose stays.

    Parameters
    ----------
    text
        The page.
    results
        By `SAMPLE_DATA` and `EXPORT`, one or both, as `benchmarks.leakage.measure` returns them.
    """
    makers = {name: partial(make, results) for name, make in BLOCKS.items()}
    return fill(text, PAGE, makers, unavailable=())[0]


def _shown(results: Mapping[str, Any]) -> dict[str, Any]:
    return {name: results[name] for name in DATA if name in results}


def _lines(describe: Callable[[str, Mapping[str, Any]], str]) -> Callable[[Mapping[str, Any]], str]:
    """Return what makes one line per export."""
    return lambda results: "".join(f"{describe(name, each)}\n" for name, each in _shown(results).items())


def _sections(title: str, make: Callable[[Mapping[str, Any]], str]) -> Callable[[Mapping[str, Any]], str]:
    """Return what makes one section per export."""
    return lambda results: "\n".join(
        f"### {title.format(DATA[name])}\n\n{make(each)}" for name, each in _shown(results).items()
    )


def kept_table(result: Mapping[str, Any]) -> str:
    """Compare the reported results with those in practice, and with other rankings of the same lists."""
    ratio, expected = result["log_loss_ratio"], result["expected_over_observed"]
    head = ["", *MEASURES.values(), LOG_LOSS, EXPECTED]
    rows = []
    for name, learner in LEARNERS.items():
        claimed = result["claimed"][name]
        cells = [interval(claimed.get(measure)) for measure in MEASURES]
        rows.append([f"usual recipe, {learner}: reported", *cells, interval(claimed["log_loss_ratio"]), "-"])
    titles = {name: f"usual recipe, {learner}: in practice" for name, learner in LEARNERS.items()} | OTHERS
    for name, title in titles.items():
        if name in result["kept"]:
            cells = [interval(result["kept"][name][measure]) for measure in MEASURES]
            rows.append([title, *cells, interval(ratio.get(name)), interval(expected.get(name))])
    return table(head, rows, right=len(head) - 1) + "\n" + _below(result)


def _below(result: Mapping[str, Any]) -> str:
    parts = [
        f"{LEARNERS[name]} {interval(each, 'difference')}" for name, each in result["minus_rule"].items()
    ]
    ours = [
        f"{title} {interval(result['ours_minus'][name], 'difference')}"
        for name, title in {**LEARNERS, RULE: "the most-users rule"}.items()
    ]
    loss = [f"{LEARNERS[name]} {interval(each['log_loss'])}" for name, each in result["claimed"].items()]
    return (
        f"Gain in average precision of the usual recipe over the most-users rule: {'; '.join(parts)}. "
        f"Gain of this project's model over: {'; '.join(ours)}. Reported log loss, in nats: "
        f"{'; '.join(loss)}.\n"
    )


def ladder_table(result: Mapping[str, Any]) -> str:
    """Show the results after each step for both learners, and those of our model last."""
    titles = [f"{MEASURES[measure]}, {title}" for measure in LADDER_MEASURES for title in LEARNERS.values()]
    head = ["", "share of label 1", *titles]
    rows = []
    for step, title in STEPS.items():
        found = result["ladder"][step]
        cells = [interval(found[name][measure]) for measure in LADDER_MEASURES for name in LEARNERS]
        rows.append([title, f"{100 * found[SHOWN]['prevalence']['value']:.2f} %", *cells])
    ours = [interval(result["kept"][MODEL][measure]) for measure in LADDER_MEASURES]
    cells = [cell for each in ours for cell in (each, *["-"] * (len(LEARNERS) - 1))]
    rows.append(["this project's model, split by time", f"{100 * result['prevalence']:.2f} %", *cells])
    return table(head, rows, right=len(head) - 1)


def ours_block(results: Mapping[str, Any]) -> str:
    """Compare a random split of our own model with its backtest."""
    head = ["", "average precision: random split", "out of time", "ROC AUC: random split", "out of time"]
    rows = []
    for name, result in _shown(results).items():
        split = result["our_random_split"]
        ways = ("random_split", "out_of_time")
        cells = [f"{split[way][measure]:.3f}" for measure in ("average_precision", "roc_auc") for way in ways]
        rows.append([_lower(name), *cells])
    return table(head, rows, right=len(head) - 1)


def not_yet_block(results: Mapping[str, Any]) -> str:
    """Compare lists with and without accounts that did not exist yet; empty where that was not measured."""
    if EXAMPLE not in results:
        return ""
    found = results[EXAMPLE]
    head = ["", "prospects a list", *(MEASURES[measure] for measure in LADDER_MEASURES)]
    rows = [
        [
            title,
            f"{found[way]['prospects']:,.0f}",
            *(interval(found[way][measure]) for measure in LADDER_MEASURES),
        ]
        for way, title in WAYS.items()
    ]
    about = (
        f"{found['accounts']:,} accounts, {found['lists']} lists from {found['first']} to {found['last']}. "
        f"Without days of sign-up, {100 * found['share']:.1f} % of the rows on the lists, and "
        f"{100 * found['share_of_conversions']:.1f} % of their conversions, are of accounts that did not "
        "exist yet.\n\n"
    )
    return about + table(head, rows, right=len(head) - 1)


def after_block(results: Mapping[str, Any]) -> str:
    """Describe how much of the customers' usage comes from after the conversion."""
    shares = [
        f"on {_lower(name)} {100 * result['usage_after_conversion']:.0f} %"
        for name, result in _shown(results).items()
    ]
    return f"Of customers' usage rows, these are from the conversion on: {' and '.join(shares)}.\n"


def _short(name: str, result: Mapping[str, Any]) -> str:
    claimed, kept = result["claimed"][SHOWN], result["kept"]
    return (
        f"- **{DATA[name]}.** Reported: {_of_ten(claimed)} of the first ten companies are customers, ROC AUC "
        f"{_value(claimed['roc_auc'])}. In practice: {_of_ten(kept[SHOWN])} of the first ten on a list "
        f"converted within 30 days, ROC AUC {_value(kept[SHOWN]['roc_auc'])}. Calling the companies with "
        f"the most users achieved {_of_ten(kept[RULE])} and {_value(kept[RULE]['roc_auc'])}, this project's "
        f"model {_of_ten(kept[MODEL])} and {_value(kept[MODEL]['roc_auc'])}. The recipe's probabilities "
        f"added up to {result['expected_over_observed'][SHOWN]['value']:.1f} times the conversions, ours to "
        f"{result['expected_over_observed'][MODEL]['value']:.1f} times."
    )


def _companies(name: str, result: Mapping[str, Any]) -> str:
    ladder = result["ladder"]
    parts = [
        f"{ladder['rows'][learner]['average_precision']['value']:.3f} to "
        f"{ladder['companies'][learner]['average_precision']['value']:.3f} ({title})"
        for learner, title in LEARNERS.items()
    ]
    return (
        f"On {_lower(name)}, splitting by companies instead of rows, with all else the same, changes "
        f"the average precision from {' and '.join(parts)}: that is the value of other weeks of the same "
        "companies."
    )


def _setting(name: str, result: Mapping[str, Any]) -> str:
    return (
        f"- {DATA[name]}: {result['companies']:,} companies, {result['customers']:,} of them customers on "
        f"{result['as_of']}; {result['lists']} lists from {result['first']} to {result['last']}, "
        f"{result['converters']} companies converted within the horizon of at least one list, "
        f"{100 * result['prevalence']:.2f} % of the prospects on a list. Reported results are those of "
        f"{result['seeds']} random splits."
    )


BLOCKS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "random-splits": _lines(_short),
    "random-splits-kept": _sections("{}", kept_table),
    "random-splits-after": after_block,
    "random-splits-ladder": _sections("{}, step by step", ladder_table),
    "random-splits-companies": _lines(_companies),
    "random-splits-not-yet": not_yet_block,
    "random-splits-ours": ours_block,
    "random-splits-setting": _lines(_setting),
}


def claimed_figure(results: Mapping[str, Any]) -> Figure:
    """Draw the reported results and those in practice: a row of panels per export, a panel per measure."""
    shown = [name for name in DATA if name in results]
    figure = Figure(figsize=(11.0, 0.6 + 2.3 * len(shown)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(shown), len(LADDER_MEASURES), squeeze=False)
    for name, row in zip(shown, panels, strict=True):
        claimed, kept = results[name]["claimed"][SHOWN], results[name]["kept"]
        lines = {
            "usual recipe: reported": (claimed, COLOURS["claimed"]),
            "usual recipe: in practice": (kept[SHOWN], COLOURS["usual"]),
            "rule: most users": (kept[RULE], COLOURS[RULE]),
            "this project's model": (kept[MODEL], COLOURS[MODEL]),
        }
        if ORACLE in kept:
            lines["oracle (true probability)"] = (kept[ORACLE], COLOURS[ORACLE])
        for measure, axes in zip(LADDER_MEASURES, row, strict=True):
            for place, (found, colour) in enumerate(lines.values()):
                _mark(axes, found[measure], place, colour)
            _finish(axes, list(lines) if measure == LADDER_MEASURES[0] else [""] * len(lines))
            axes.set_xlim(0.5 if measure == "roc_auc" else 0.0, 1.06)
            axes.set_title(f"{DATA[name]}: {MEASURES[measure]}", fontsize=10)
    return figure


def ladder_figure(results: Mapping[str, Any]) -> Figure:
    """Draw ROC AUC and average precision after each step of the ladder: one row of panels per export."""
    shown = [name for name in DATA if name in results]
    figure = Figure(figsize=(11.0, 1.0 + 3.4 * len(shown)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(shown), 2, squeeze=False)
    titles = [*STEPS.values(), "this project's model, split by time"]
    for name, row in zip(shown, panels, strict=True):
        for measure, axes in zip(("roc_auc", "average_precision"), row, strict=True):
            for learner, (colour, marker) in LEARNER_STYLES.items():
                above = learner == SHOWN
                for place, step in enumerate(STEPS):
                    found = results[name]["ladder"][step][learner][measure]
                    _mark(axes, found, place + (-0.12 if above else 0.12), colour, marker, above)
            _mark(axes, results[name]["kept"][MODEL][measure], len(STEPS), COLOURS[ORACLE], "D")
            axes.axhline(1.5, color="#777777", linestyle=":")  # below, another share of positives
            _finish(axes, titles if measure == "roc_auc" else [""] * len(titles))
            axes.set_xlim(0.5 if measure == "roc_auc" else 0.0, 1.06)
            axes.set_title(f"{DATA[name]}: {MEASURES[measure]}", fontsize=10)
    handles = [
        panels[0][0].plot([], [], color=colour, marker=marker, linestyle="none", label=LEARNERS[learner])[0]
        for learner, (colour, marker) in LEARNER_STYLES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _mark(
    axes: Axes,
    measure: Mapping[str, float | None],
    place: float,
    colour: str,
    marker: str = "o",
    label_above: bool = True,
) -> None:
    value, low, high = measure["value"], measure["low"], measure["high"]
    if value is None:
        return
    if low is not None and high is not None:
        axes.hlines(place, low, high, color=colour, linewidth=2.0)
    axes.plot([value], [place], color=colour, marker=marker, markersize=5, linestyle="none", clip_on=False)
    shift, side = ((0, 4), "bottom") if label_above else ((0, -4), "top")
    axes.annotate(
        f"{value:.2f}", (value, place), shift,
        textcoords="offset points", ha="center", va=side, fontsize=8, color=colour,
    )  # fmt: skip


def _finish(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _value(measure: Mapping[str, float | None]) -> str:
    return "-" if measure["value"] is None else f"{measure['value']:.2f}"


def _of_ten(measures: Mapping[str, Any]) -> str:
    share = measures["precision_at_10"]["value"]
    return "-" if share is None else f"{10 * share:.1f}"


def _lower(name: str) -> str:
    return DATA[name][0].lower() + DATA[name][1:]
