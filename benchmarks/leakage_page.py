"""The page and the pictures of `benchmarks/leakage.py`, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.export_copy import EXPORT
from conversion.evaluation.figures import save_png
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.runtime.files import write_text

PAGE: Final = "random_splits.md"
RESULTS: Final = "random_splits.json"
CLAIMED_PICTURE: Final = "random_splits_claimed.png"
LADDER_PICTURE: Final = "random_splits_leaks.png"

SAMPLE_DATA: Final = "sample"
DATA: Final = {SAMPLE_DATA: "The sample", EXPORT: "A real export"}
LEARNERS: Final = {"forest": "random forest", "xgboost": "xgboost"}
SHOWN: Final = "forest"
"""The learner of the pictures and of the text; the tables have both."""

RULE: Final = "users_rule"
OTHERS: Final = {
    MODEL: "**this project's model**",
    RULE: "rule: most users, last 4 weeks",
    "actions_rule": "rule: most actions, last 4 weeks",
    "random": "random order",
    ORACLE: "oracle (the sample's truth)",
}
MEASURES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "precision_at_10": "precision at 10",
    "recall_at_50": "recall at 50",
}
LOG_LOSS: Final = "log loss over the base rate's"
EXPECTED: Final = "expected over observed"
STEPS: Final = {
    "claim": "the usual recipe",
    "cut": "a customer's usage cut at its conversion",
    "rows": "one row per prospect and week, rows split at random",
    "companies": "the same, companies split at random",
    "time": "the same, split by time",
}
LADDER_MEASURES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "precision_at_10": "precision at 10",
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

TEMPLATE: Final = """\
# Random splits and out-of-time results

Written by `make bench-leakage` from the figures in `random_splits.json`; do not edit.

The usual solution to this problem has one row per company. Its features are the firmographics and the sums
of all usage in the export. Its label is the file that contains the company, customers or not. A random
fifth of the companies is the test set. This page fits that recipe and reports what its author would. Then
it measures what a sales team needs: if the recipe had made the list on a past Sunday, which companies on
it would have converted in the next 30 days?

## In short

{short}

For a sales lead: the first number measures how well the recipe *recognises* customers, who are known
already. The list is for companies that are not customers yet, and the second number measures how useful it
is for them. Nobody has to cheat for this to happen: the test data contain the answers.

For a data scientist: no row has a date, features come from after the label, and the split is random.
Tuning, cross-validation or a larger forest do not reveal the problem, because all are measured on the same
kind of test set.

![reported results and results in practice](random_splits_claimed.png)

## Reported results and results in practice

*Reported* results are measured on the test fifth of random, stratified splits: the mean of {seeds} splits,
with the smallest and largest in brackets. Results *in practice* are measured on the lists of this
project's backtest: the same prospects and labels, with the recipe fitted anew on the export as it stood
then, whenever our model is. They are means over the lists with 95 % intervals from resampling companies.
Each company is scored by a model of the other four fifths of the companies, so that the model cannot have
memorised it as a non-customer. *Expected over observed* is the sum of the probabilities over the
conversions within 30 days. The recipe does not say within what time its customers convert, which is a
separate problem.

{kept}
Part of the decrease in average precision and in precision at 10 is no leak. Customers are a larger share
of a test fifth than conversions are of a month's prospects, and in random order either measure equals that
share. ROC AUC does not depend on it. Neither does the comparison with the rule, which is measured on the
same lists.

## The effect of each leak

1. **The label is the file.** A customer is a company that converted at any time before the export was
   taken. A prospect that converts next month is a negative row, and the model learns how customers look
   today.
2. **The usage comes from after the conversion.** A company that pays uses the product more because it
   pays: {after} of customers' usage rows are from the conversion on. A sum over all weeks reveals that a
   company paid.
3. **The same time, and the same companies, are on both sides.** If a row is a company and a week, a random
   split puts the weeks before and after a test row into training, with a label that covers nearly the same
   30 days.

The next tables remove the leaks one by one, with the same features and the same two models throughout:

{ladder}
- *The usual recipe* and *cut* have one row per company, measured on random test fifths as above.
- *Cut* leaves out what a customer used from its conversion on. Customers are then seen on the day of their
  conversion and the others at the end of the export. How long, and how recently, a company was seen still
  separates them.
- From *one row per prospect and week* on, the question is the sales team's: will this prospect convert
  within 30 days of this Monday? Features use what was known on that day, and the measures are means over
  the lists. Fewer rows are positive (*share of label 1*), so compare average precision and precision at 10
  only with the rows below.
- *Rows split at random* has five folds of rows, *companies split at random* five folds of companies. The
  difference is the value of having seen other weeks of the company.
- *Split by time* learns only from labels that were mature at the refit. Compared with the folds of
  companies, it has fewer rows, above all on the first lists, and does not know later weeks. But it may
  know a prospect's own past, as any list may. The difference is the sum of the three effects and can have
  either sign.
- *This project's model* is split by time too: the difference is the value of other features and settings.

![results after each step](random_splits_leaks.png)

{rows}

## A random split of this project's model

A random split affects more than the usual recipe. The table compares this project's model, measured by
stratified folds of its own training snapshots, with its backtest. All snapshots of the same weeks form one
list, so the average precision differs from that of the lists:

{ours}
`evaluate.cross_validation_folds` measures this beside the backtest.

## How to check your own project

- **What is the date of each row of the test set?** If there is no answer, there is no forecast.
- **Would each feature have had this value on that day?** Take a past day, cut the export there, compute
  the features again and compare. Any difference comes from the future. In this project, a test does that
  for the whole list, byte for byte.
- **Can a row be negative because its time has not come yet?** Then its label is not mature and teaches
  nothing.
- **Is a company, or a week, on both sides of the split?** Split by company and see whether the measure
  falls. Then split by time, and check again.
- **What does a one-line rule achieve on the same rows?** A model that beats the rule by far on a random
  split but not out of time has a leak.
- **What share of the test rows is positive?** If it is more than the share of your prospects that convert
  in a month, a sales team will not see that precision.
- **Do the probabilities add up** to the conversions of a past month?
- A sales lead needs only one question: *show me the list that you would have given me three months ago,
  and which companies on it have bought since.*

## How it was measured

{setting}
The models are scikit-learn's `RandomForestClassifier` and `XGBClassifier` with their defaults. The recipe
is in `benchmarks/usual_recipe.py`. Its features are one column for each value of the employee range and
the sector, flags for missing values, the sum, mean and maximum of each of the eight usage measures, the
number of weeks with usage, the days since the first and the last of them, and their frequency. It works on
the same cleaned tables as our model.

`make bench-leakage` measures the sample. `LEAKAGE_ARGS="--data-dir FOLDER"` or `CRM_EXPORT_DIR` adds an
export, whose figures then stay on this page until you give another one. Only its means and intervals are
kept.
"""


def write_page(results: Mapping[str, Any], folder: Path) -> str:
    """Write the page and its pictures into a folder; return the page."""
    text = page(results)
    write_text(folder / PAGE, text)
    save_png(claimed_figure(results), folder / CLAIMED_PICTURE)
    save_png(ladder_figure(results), folder / LADDER_PICTURE)
    return text


def page(results: Mapping[str, Any]) -> str:
    """Assemble the page.

    Parameters
    ----------
    results
        By `SAMPLE_DATA` and `EXPORT`, one or both, as `benchmarks.leakage.measure` returns them.
    """
    shown = {name: results[name] for name in DATA if name in results}
    return TEMPLATE.format(
        short=short(results),
        seeds=_joined(dict.fromkeys(str(each["seeds"]) for each in shown.values())),
        kept="\n".join(f"### {DATA[name]}\n\n{kept_table(each)}" for name, each in shown.items()),
        after=_joined(
            f"on {_lower(name)} {100 * each['usage_after_conversion']:.0f} %" for name, each in shown.items()
        ),
        ladder="\n".join(
            f"### {DATA[name]}, step by step\n\n{ladder_table(each)}" for name, each in shown.items()
        ),
        rows="\n".join(_rows_sentence(name, each) for name, each in shown.items()),
        ours=ours_table(shown),
        setting="\n".join(_setting(DATA[name], each) for name, each in shown.items()) + "\n",
    )


def short(results: Mapping[str, Any]) -> str:
    """Describe the reported results and those in practice, one item per export, as a Markdown list."""
    return "\n".join(_short(title, results[name]) for name, title in DATA.items() if name in results)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Format rows as a Markdown table with the first one as its header."""
    lines = [rows[0], ["---", *["--:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kept_table(result: Mapping[str, Any]) -> str:
    """Compare the reported results with those in practice, and with other rankings of the same lists."""
    ratio, expected = result["log_loss_ratio"], result["expected_over_observed"]
    rows = [["", *MEASURES.values(), LOG_LOSS, EXPECTED]]
    for name, learner in LEARNERS.items():
        claimed = result["claimed"][name]
        cells = [_interval(claimed.get(measure)) for measure in MEASURES]
        rows.append([f"usual recipe, {learner}: reported", *cells, _interval(claimed["log_loss_ratio"]), "-"])
    titles = {name: f"usual recipe, {learner}: in practice" for name, learner in LEARNERS.items()} | OTHERS
    for name, title in titles.items():
        if name in result["kept"]:
            cells = [_interval(result["kept"][name][measure]) for measure in MEASURES]
            rows.append([title, *cells, _interval(ratio.get(name)), _interval(expected.get(name))])
    return table(rows) + "\n" + _below(result)


def _below(result: Mapping[str, Any]) -> str:
    parts = [
        f"{LEARNERS[name]} {_interval(each, 'difference')}" for name, each in result["minus_rule"].items()
    ]
    ours = [
        f"{title} {_interval(result['ours_minus'][name], 'difference')}"
        for name, title in {**LEARNERS, RULE: "the most-users rule"}.items()
    ]
    loss = [f"{LEARNERS[name]} {_interval(each['log_loss'])}" for name, each in result["claimed"].items()]
    return (
        f"Gain in average precision of the usual recipe over the most-users rule: {'; '.join(parts)}. "
        f"Gain of this project's model over: {'; '.join(ours)}. Reported log loss, in nats: "
        f"{'; '.join(loss)}.\n"
    )


def ladder_table(result: Mapping[str, Any]) -> str:
    """Show the results after each step for both learners, and those of our model last."""
    head = [f"{title}, {LEARNERS[name]}" for title in LADDER_MEASURES.values() for name in LEARNERS]
    rows = [["", "share of label 1", *head]]
    for step, title in STEPS.items():
        found = result["ladder"][step]
        cells = [_interval(found[name][measure]) for measure in LADDER_MEASURES for name in LEARNERS]
        rows.append([title, f"{100 * found[SHOWN]['prevalence']['value']:.2f} %", *cells])
    ours = [_interval(result["kept"][MODEL][measure]) for measure in LADDER_MEASURES]
    cells = [cell for each in ours for cell in (each, *["-"] * (len(LEARNERS) - 1))]
    rows.append(["this project's model, split by time", f"{100 * result['prevalence']:.2f} %", *cells])
    return table(rows)


def ours_table(shown: Mapping[str, Any]) -> str:
    """Compare a random split of our own model with its backtest."""
    rows = [["", "average precision: random split", "out of time", "ROC AUC: random split", "out of time"]]
    for name, result in shown.items():
        split = result["our_random_split"]
        ways = ("random_split", "out_of_time")
        cells = [f"{split[way][measure]:.3f}" for measure in ("average_precision", "roc_auc") for way in ways]
        rows.append([_lower(name), *cells])
    return table(rows)


def _short(title: str, result: Mapping[str, Any]) -> str:
    claimed, kept = result["claimed"][SHOWN], result["kept"]
    return (
        f"- **{title}.** Reported: {_of_ten(claimed)} of the first ten companies are customers, ROC AUC "
        f"{_value(claimed['roc_auc'])}. In practice: {_of_ten(kept[SHOWN])} of the first ten on a list "
        f"converted within 30 days, ROC AUC {_value(kept[SHOWN]['roc_auc'])}. Calling the companies with "
        f"the most users achieved {_of_ten(kept[RULE])} and {_value(kept[RULE]['roc_auc'])}, this project's "
        f"model {_of_ten(kept[MODEL])} and {_value(kept[MODEL]['roc_auc'])}. The recipe's probabilities "
        f"added up to {result['expected_over_observed'][SHOWN]['value']:.1f} times the conversions, ours to "
        f"{result['expected_over_observed'][MODEL]['value']:.1f} times."
    )


def _rows_sentence(name: str, result: Mapping[str, Any]) -> str:
    ladder = result["ladder"]
    parts = [
        f"{ladder['rows'][learner]['average_precision']['value']:.3f} to "
        f"{ladder['companies'][learner]['average_precision']['value']:.3f} ({title})"
        for learner, title in LEARNERS.items()
    ]
    return (
        f"On {_lower(name)}, splitting by companies instead of rows, with all else the same, changes the "
        f"average precision from {_joined(parts)}: that is the value of other weeks of the same companies."
    )


def _setting(title: str, result: Mapping[str, Any]) -> str:
    return (
        f"- {title}: {result['companies']:,} companies, {result['customers']:,} of them customers on "
        f"{result['as_of']}; {result['lists']} lists from {result['first']} to {result['last']}, "
        f"{result['converters']} companies converted within the horizon of at least one list, "
        f"{100 * result['prevalence']:.2f} % of the prospects on a list."
    )


def claimed_figure(results: Mapping[str, Any]) -> Figure:
    """Draw the reported results and those in practice: a row of panels per export, a panel per measure."""
    shown = [name for name in DATA if name in results]
    names = ("roc_auc", "average_precision", "precision_at_10")
    figure = Figure(figsize=(11.0, 0.6 + 2.3 * len(shown)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(shown), len(names), squeeze=False)
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
        for measure, axes in zip(names, row, strict=True):
            for place, (found, colour) in enumerate(lines.values()):
                _mark(axes, found[measure], place, colour)
            _finish(axes, list(lines) if measure == names[0] else [""] * len(lines))
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
    text = {"textcoords": "offset points", "ha": "center", "va": side, "fontsize": 8, "color": colour}
    axes.annotate(f"{value:.2f}", (value, place), shift, **text)


def _finish(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _interval(measure: Mapping[str, float | None] | None, key: str = "value") -> str:
    if measure is None or measure[key] is None:
        return "-"
    if measure["low"] is None or measure["high"] is None:
        return f"{measure[key]:.3f}"
    return f"{measure[key]:.3f} ({measure['low']:.3f} to {measure['high']:.3f})"


def _value(measure: Mapping[str, float | None]) -> str:
    return "-" if measure["value"] is None else f"{measure['value']:.2f}"


def _of_ten(measures: Mapping[str, Any]) -> str:
    share = measures["precision_at_10"]["value"]
    return "-" if share is None else f"{10 * share:.1f}"


def _lower(name: str) -> str:
    return DATA[name][0].lower() + DATA[name][1:]


def _joined(words: Any) -> str:
    return " and ".join(words)
