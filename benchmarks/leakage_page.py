"""The page and the pictures of `benchmarks/leakage.py`, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.export_copy import EXPORT
from conversion.evaluation.drawing import save_png
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
    "rows": "a row a prospect and week, rows split at random",
    "companies": "the same, companies split at random",
    "time": "the same, split by time",
}
LADDER_MEASURES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "precision_at_10": "precision at 10",
}
# Okabe and Ito's palette, told apart by the colour-blind.
COLOURS: Final = {
    "claimed": "#D55E00",
    "usual": "#A66F00",
    RULE: "#777777",
    MODEL: "#0072B2",
    ORACLE: "#009E73",
}
LEARNER_STYLES: Final = {"forest": ("#D55E00", "o"), "xgboost": ("#0072B2", "s")}

TEMPLATE: Final = """\
# What a random split claims, and what time leaves of it

Written by `make bench-leakage` from the figures in `random_splits.json`; do not edit.

The usual solution to this problem has one row a company. Its features are the firmographics and all usage
of the export added up, its label is the file that the company stands in, customers or not, and a random
fifth of the companies is the test. This page fits that recipe, and reports what its author would. Then it
asks what a sales team would ask: had the list been made by it on a past Sunday, who of it would have
converted in the next 30 days?

## In short

{short}

For a sales lead: the first number tells how well the recipe *recognises* customers, who are known already.
The list is for those who are not customers yet, and for them it is worth the second number. Nobody need
have cheated: the test was taken with the answers among the questions.

For a data scientist: no row says of which day it is, features are from after the label, and the split is
random. No tuning, cross-validation or larger forest shows it, as all are measured on the same kind of test.

![what was claimed and what was kept](random_splits_claimed.png)

## Claimed and kept

*Claimed* is measured on the test fifth of random, stratified splits: the mean of {seeds} splits, in
brackets the least and the largest. *Kept* is measured on the lists of this project's backtest: the same
prospects, the same labels, the recipe fitted anew on the export as it stood then, whenever our model is,
and the means over the lists with 95 % intervals by resampling companies. A company is scored by a model of
the other four fifths of the companies, so that none is told by having been learned by heart as a
non-customer. *Expected over observed* is the sum of the probabilities over the conversions within 30 days;
the recipe does not say within what time its customers convert, which is a fault of its own.

{kept}
A part of the fall in average precision and in precision at 10 is no leak. Customers are a larger share of a
test fifth than conversions are of a month's prospects, and in random order either measure is that share.
ROC AUC does not depend on it, and neither does the comparison with the rule, which is measured on the same
lists.

## Which leak is worth what

1. **The label is the file.** A customer is whoever has converted at any time before the export was taken. A
   prospect that converts next month is a negative row, and what is learned is how customers look today.
2. **The usage is from after.** A company that pays uses the product more because it pays: {after} of
   customers' usage rows are from the conversion on. A sum over all weeks tells that a company paid.
3. **The same time, and the same companies, on both sides.** Where a row is a company and a week, a random
   split puts the weeks before and after a test row into training, with a label that looks at nearly the
   same 30 days.

Taken apart, with the same features and the same two models throughout:

{ladder}
- *The usual recipe* and *cut* have a row a company, measured on random test fifths as above.
- *Cut* leaves out what a customer used from its conversion on. Customers are now seen on the day of their
  conversion and the others at the end of the export: how long, and how recently, a company was seen still
  tells which.
- From *a row a prospect and week* on the question is the sales team's, and the measures are means over the
  lists: will this prospect convert within 30 days of this Monday? Features are of what was known on it.
  Fewer rows are positive (*share of label 1*), so average precision and precision at 10 compare with those
  of the rows below only.
- *Rows split at random* has five folds of rows, *companies split at random* five folds of companies. The
  difference is what it is worth to have seen other weeks of the company.
- *Split by time* learns from labels that were mature at the refit, and only from them. Against the folds of
  companies it has fewer rows, above all on the first lists, and knows nothing of later weeks; but it may
  know a prospect's own past, as any list may. The difference is the sum of the three, and can have either
  sign.
- *This project's model* is split by time too: what other features and settings are worth.

![what each step leaves](random_splits_leaks.png)

{rows}

## A random split of our own model

It is not the recipe alone. This project's model, by stratified folds of its own training snapshots, against
its backtest; all snapshots of the same weeks in one list, which is why the average precision is not that of
the lists:

{ours}
`evaluate.cross_validation_folds` measures this beside the backtest.

## How to see it in a project of your own

- **On which day is each row of the test set?** If there is no answer, there is no forecast.
- **Would each feature have had this value on that day?** Take a past day, cut the export there, make the
  features again and compare. Any difference is the future. Here a test does that for the whole list, byte
  for byte.
- **Can a row be negative because its time has not come yet?** Then its label is not mature and teaches
  nothing.
- **Is a company, or a week, on both sides of the split?** Split by company and see whether the measure
  falls; split by time, and see again.
- **What does a rule of one line achieve on the same rows?** A model that claims far more than the rule on a
  random split and not more than the rule out of time has a leak.
- **What share of the test rows is positive?** If it is more than the share of your prospects that convert
  in a month, the precision is not one that a sales team will see.
- **Do the probabilities add up** to the conversions of a past month?
- For a sales lead, one question will do: *show me the list that you would have given me three months ago,
  and who of it bought since.*

## How it was measured

{setting}
The models are scikit-learn's `RandomForestClassifier` and `XGBClassifier` with their defaults. The recipe
stands in `benchmarks/usual_recipe.py`: the employee range and the sector a column a value, flags of what is
missing, of each of the eight measures of usage the sum, the mean and the maximum, the number of weeks with
usage, days since the first and the last of them, and their frequency. It works on the same cleaned tables
as our model.

`make bench-leakage` measures the sample; `LEAKAGE_ARGS="--data-dir FOLDER"` or `CRM_EXPORT_DIR` adds an
export, whose figures then stay on this page until one is given again. Only means and intervals are kept of
it.
"""


def write_page(results: Mapping[str, Any], folder: Path) -> str:
    """Write the page and its pictures into a folder; give the page."""
    text = page(results)
    write_text(folder / PAGE, text)
    save_png(claimed_figure(results), folder / CLAIMED_PICTURE)
    save_png(ladder_figure(results), folder / LADDER_PICTURE)
    return text


def page(results: Mapping[str, Any]) -> str:
    """Put the page together.

    Parameters
    ----------
    results
        By `SAMPLE_DATA` and `EXPORT`, one or both, as `benchmarks.leakage.measure` gives them.
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
    """Say in a sentence an export what is claimed and what is kept, as a list in Markdown."""
    return "\n".join(_short(title, results[name]) for name, title in DATA.items() if name in results)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as a Markdown table, the first as its head."""
    lines = [rows[0], ["---", *["--:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kept_table(result: Mapping[str, Any]) -> str:
    """Set what is claimed beside what is kept, and beside what others achieve on the same lists."""
    ratio, expected = result["log_loss_ratio"], result["expected_over_observed"]
    rows = [["", *MEASURES.values(), LOG_LOSS, EXPECTED]]
    for name, learner in LEARNERS.items():
        claimed = result["claimed"][name]
        cells = [_interval(claimed.get(measure)) for measure in MEASURES]
        rows.append([f"usual recipe, {learner}: claimed", *cells, _interval(claimed["log_loss_ratio"]), "-"])
    titles = {name: f"usual recipe, {learner}: kept" for name, learner in LEARNERS.items()} | OTHERS
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
        for name, title in {**LEARNERS, RULE: "rule of most users"}.items()
    ]
    loss = [f"{LEARNERS[name]} {_interval(each['log_loss'])}" for name, each in result["claimed"].items()]
    return (
        f"Average precision of the usual recipe minus that of the rule of most users: {'; '.join(parts)}. "
        f"Of this project's model minus that of: {'; '.join(ours)}. Claimed log loss, in nats: "
        f"{'; '.join(loss)}.\n"
    )


def ladder_table(result: Mapping[str, Any]) -> str:
    """Show what is left after each step, for both learners, and our model last."""
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
    """Set a random split of our own model beside its backtest."""
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
        f"- **{title}.** Claimed: {_of_ten(claimed)} of the first ten are customers, ROC AUC "
        f"{_value(claimed['roc_auc'])}. Kept: of the first ten of a list {_of_ten(kept[SHOWN])} converted "
        f"within 30 days, ROC AUC {_value(kept[SHOWN]['roc_auc'])}. Calling those with the most users gave "
        f"{_of_ten(kept[RULE])} and {_value(kept[RULE]['roc_auc'])}; this project's model "
        f"{_of_ten(kept[MODEL])} and {_value(kept[MODEL]['roc_auc'])}. The recipe's probabilities added up "
        f"to {result['expected_over_observed'][SHOWN]['value']:.1f} times the conversions, ours to "
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
        f"On {_lower(name)} splitting by companies in place of rows, with all else the same, takes the "
        f"average precision from {_joined(parts)}: that is what other weeks of the same companies were worth."
    )


def _setting(title: str, result: Mapping[str, Any]) -> str:
    return (
        f"- {title}: {result['companies']:,} companies, {result['customers']:,} of them customers on "
        f"{result['as_of']}; {result['lists']} lists from {result['first']} to {result['last']}, "
        f"{result['converters']} companies converted within the horizon of one, "
        f"{100 * result['prevalence']:.2f} % of the prospects on a list."
    )


def claimed_figure(results: Mapping[str, Any]) -> Figure:
    """Draw what is claimed and what is kept: a row of panels an export, a panel a measure."""
    shown = [name for name in DATA if name in results]
    names = ("roc_auc", "average_precision", "precision_at_10")
    figure = Figure(figsize=(11.0, 0.6 + 2.3 * len(shown)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(shown), len(names), squeeze=False)
    for name, row in zip(shown, panels, strict=True):
        claimed, kept = results[name]["claimed"][SHOWN], results[name]["kept"]
        lines = {
            "usual recipe: claimed": (claimed, COLOURS["claimed"]),
            "usual recipe: kept": (kept[SHOWN], COLOURS["usual"]),
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
    """Draw what each step of the ladder leaves: a row of panels an export, ROC AUC and average precision."""
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
            axes.axhline(1.5, color="#777777", linestyle=":")  # another question, another share of positives
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
