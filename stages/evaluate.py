"""Rolling-origin backtest: at each cutoff the list that would have been made, against what then happened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from conversion.config.contract import UNKNOWN_SECTOR
from conversion.config.params import BASELINE_WEEKS, Params, load_params
from conversion.data.timeline import WEEK, week_number
from conversion.evaluation import figures
from conversion.evaluation.decision_metrics import (
    business_measures,
    classification_measures,
    classification_report,
)
from conversion.evaluation.overall_metrics import headline
from conversion.evaluation.predictions import BASE_RATE, MODEL, ORACLE
from conversion.evaluation.probability_metrics import probability_measures
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.evaluation.slice_metrics import observed_shares, slice_measures, without_repeats
from conversion.modelling.artifact import load_model
from conversion.modelling.base import ConversionModel, make_model
from conversion.modelling.tiers import TIERS, tier_of
from conversion.modelling.training import fit_at, training_columns
from conversion.runtime.cli import run
from conversion.runtime.errors import ExportError
from conversion.runtime.files import (
    read_monday,
    read_parquet,
    write_csv,
    write_json,
    write_parquet,
    write_text,
)
from conversion.runtime.progress import progress_bar
from conversion.stats.arrays import rounded
from conversion.stats.hashing import uniform_hash

SAMPLE: Final = "data/sample"
SUMMARY: Final = "summary_only"
PROBABILITIES: Final = (MODEL, SUMMARY, BASE_RATE, ORACLE)
BASELINES: Final = (SUMMARY, "users_rule", "actions_rule", "random")
NEVER_SEEN: Final = "never seen"
SLICES: Final = ("usage_state", "tenure_group", "size_group", "sector_known")
SIZE_GROUPS: Final = {
    1: "1 employee",
    2: "2 to 10 employees",
    4: "11 to 50 employees",
    6: "51 to 200 employees",
    7: "over 200 employees",
}
"""Groups of employee ranges, by the number of their first."""

TENURE_GROUPS: Final = {
    0: "first seen up to 4 weeks ago",
    5: "first seen 5 to 13 weeks ago",
    14: "first seen 14 to 26 weeks ago",
    27: "first seen over 26 weeks ago",
}
"""Groups of the weeks since the company was first seen, by their first week."""

log = logging.getLogger(__name__)


def backtest(train: pd.DataFrame, snapshots: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Score every prospect at every cutoff with a model of what was known then.

    Parameters
    ----------
    train
        Training snapshots.
    snapshots
        One row a prospect and cutoff, with ``label``, ``MRR`` and the features.
    params
        The recipe is fitted anew every ``evaluate.refit_weeks``; between, the last fit is used.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of``, ``label``, ``MRR``, ``probability``, the baselines ``summary_only`` (the
        probability from firmographics and lifetime totals alone), ``users_rule`` (most users of the last 4
        weeks), ``actions_rule`` (actions of the last 4 weeks) and ``random``, and of the fit that was used
        ``fitted_as_of``, ``base_rate`` and ``threshold``; and the `slice_columns`. Rows whose label a
        quarantined conversion leaves open are scored, but left out here.
    """
    cutoffs = pd.DatetimeIndex(np.sort(snapshots["as_of"].unique()))
    span = params.evaluate.refit_weeks * WEEK
    refits = cutoffs[(cutoffs - cutoffs[0]) % span == pd.Timedelta(0)]
    jobs = Parallel(n_jobs=params.evaluate.jobs, backend="threading", return_as="generator")
    tables: Iterable[pd.DataFrame] = jobs(
        delayed(_score_until_refit)(
            train,
            snapshots[(snapshots["as_of"] >= refit) & (snapshots["as_of"] < refit + span)],
            refit,
            params,
        )
        for refit in refits
    )
    bar = progress_bar(tables, what="backtest", unit="refits", total=len(refits))
    return pd.concat(list(bar), ignore_index=True).astype({"label": np.int8})


def _score_until_refit(
    train: pd.DataFrame, rows: pd.DataFrame, refit: pd.Timestamp, params: Params
) -> pd.DataFrame:
    model = fit_at(train, refit, params)
    # Week by week, to bound the memory of the preprocessed rows.
    weeks = [week for _, week in rows.groupby("as_of", sort=True)]
    probability, summary_only = (
        np.concatenate([scorer.predict_proba(week)[:, 1] for week in weeks])
        for scorer in (model, model.summary_)
    )
    rows = rows.sort_values("as_of", kind="stable")
    scored = rows[["id", "as_of", "label", "MRR"]].assign(
        probability=np.round(probability, 9),
        summary_only=np.round(summary_only, 9),
        users_rule=rows["users_max_4w"],
        actions_rule=rows["actions_4w"],
        random=uniform_hash(rows["id"], week_number(rows["as_of"]), seed=params.seed),
        fitted_as_of=refit,
        base_rate=model.base_rate_,
        threshold=model.threshold_,
        **slice_columns(rows),
    )
    return scored.dropna(subset="label")


def slice_columns(snapshots: pd.DataFrame) -> dict[str, pd.Categorical[str]]:
    """Part the prospects into slices by what was known of them at the cutoff.

    Parameters
    ----------
    snapshots
        Features, among them those of the last 4 weeks.

    Returns
    -------
    dict of pandas.Categorical
        By the names in `SLICES`; the categories say what the prospects have in common. Active is an action
        or a user in the last 4 weeks, dormant is usage before them alone.
    """
    active = snapshots[f"active_weeks_{BASELINE_WEEKS}w"].to_numpy() > 0
    seen = snapshots["seen"].to_numpy() > 0
    unknown = (snapshots["sector"] == UNKNOWN_SECTOR).to_numpy()
    states = (f"active in the last {BASELINE_WEEKS} weeks", "dormant", NEVER_SEEN)
    return {
        "usage_state": _categorical(np.where(active, 0, np.where(seen, 1, 2)), states),
        "tenure_group": _grouped(snapshots["weeks_since_first_seen"], TENURE_GROUPS, "not seen yet"),
        "size_group": _grouped(snapshots["size"], SIZE_GROUPS, "size unknown"),
        "sector_known": _categorical(unknown.astype(np.int64), ("sector known", "sector unknown")),
    }


def _grouped(values: pd.Series, groups: dict[int, str], missing: str) -> pd.Categorical[str]:
    """Give each value the group whose lower bound it reaches last."""
    numbers = values.to_numpy(dtype=np.float64)
    codes = np.searchsorted(list(groups), numbers, side="right") - 1
    return _categorical(np.where(np.isnan(numbers), len(groups), codes), (*groups.values(), missing))


def _categorical(codes: NDArray[np.int64], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))


def with_oracle(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Add the sample's true probability as the ranker ``oracle``."""
    oracle = truth.rename(columns={"probability": "oracle"})
    oracle["as_of"] = oracle["as_of"].astype(predictions["as_of"].dtype)
    return predictions.merge(oracle, on=["id", "as_of"], how="left", validate="one_to_one")


def evaluation(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Put the measures of the whole backtest together; JSON-ready."""
    settings = params.evaluate
    decided = predictions["probability"] >= predictions["threshold"]
    return {
        "model_type": params.model.type,
        "first_cutoff": f"{predictions['as_of'].min():%Y-%m-%d}",
        "last_cutoff": f"{predictions['as_of'].max():%Y-%m-%d}",
        **list_measures(predictions, params),
        "without_never_seen": without_never_seen(predictions, params),
        "tiers": tier_measures(predictions, params),
        "decision": classification_measures(predictions["label"], decided)
        | {"threshold": round(float(predictions["threshold"].iloc[-1]), 8)},
        "business": business_measures(
            predictions, settings.contacts_per_week, settings.value_per_conversion, settings.cost_per_contact
        ),
    }


def list_measures(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Measure the lists of some or all prospects: their order, and their probabilities."""
    settings = params.evaluate
    samples, seed = settings.bootstrap_samples, params.seed
    probabilities = [name for name in PROBABILITIES if name in predictions]
    ranking = headline(predictions, rankers_of(predictions), settings.top_k, samples, seed, probabilities)
    by_ranker = ranking.pop("rankers")
    totals_only = predictions.assign(probability=predictions[SUMMARY])
    return {
        "converters": int(predictions.loc[predictions["label"] == 1, "id"].nunique()),
        "prevalence": round(float(predictions["label"].mean()), 8),
        "ranking": by_ranker,
        "model_minus_baseline": ranking.pop("differences"),
        **ranking,
        "probability": probability_measures(predictions, samples, seed),
        "summary_only_probability": probability_measures(totals_only, samples, seed),
    }


def without_never_seen(predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Measure the lists again without the companies that had not used the product by the cutoff.

    An export without sign-up dates has companies whose first usage is still to come on the lists of the
    past, where nobody could have called them. Some are there only because they convert later.

    Returns
    -------
    dict
        ``left_out``: the shares of rows, of conversions and of expected conversions that those companies
        have; and what `list_measures` gives for the others, where one of these converts.
    """
    never = predictions["usage_state"] == NEVER_SEEN
    shares = {
        "share_of_prospects": np.ones(len(predictions)),
        "share_of_conversions": predictions["label"].to_numpy(dtype=np.float64),
        "share_of_expected_conversions": predictions[MODEL].to_numpy(),
    }
    left_out = {name: round(float(each[never].sum() / each.sum()), 6) for name, each in shares.items()}
    others = predictions[~never]
    measured = list_measures(others, params) if others["label"].any() else {}
    return {"left_out": left_out} | measured


def tier_measures(predictions: pd.DataFrame, params: Params) -> dict[str, dict[str, Any]]:
    """Compare what each tier of the past lists promised with what came of it.

    Returns
    -------
    dict
        By tier, highest first: ``prospects`` and ``conversions`` over all lists, ``mean_probability``, and
        the ``observed_rate``, the share that converted. None where no prospect was in the tier.
    """
    tier = tier_of(predictions[MODEL], predictions["base_rate"], params.score.tiers)
    group = pd.Categorical(tier, categories=TIERS).codes.astype(np.int64)
    samples = params.evaluate.bootstrap_samples
    table = observed_shares(predictions, group, len(TIERS), samples, params.seed)
    return {
        name: {
            "prospects": int(row["prospects"]),
            "conversions": int(row["conversions"]),
            "mean_probability": rounded(row["mean_probability"]),
            "observed_rate": {
                key: rounded(row[column])
                for key, column in (("value", "observed_share"), ("low", "low"), ("high", "high"))
            },
        }
        for name, (_, row) in zip(TIERS, table.iterrows(), strict=True)
    }


def headline_numbers(result: dict[str, Any], top_k: tuple[int, ...]) -> dict[str, float]:
    """Choose the few numbers that tell one run from another, under names without dots.

    Parameters
    ----------
    result
        From `evaluation`.
    top_k
        List lengths: precision is of the first, recall of the middle and the last one.

    Returns
    -------
    dict
        Without what is undefined, such as the oracle's share on an export whose truth is not known.
    """
    first, middle, last = top_k[0], top_k[len(top_k) // 2], top_k[-1]
    model, probability, seen = result["ranking"][MODEL], result["probability"], result["without_never_seen"]
    seen_model = seen.get("ranking", {}).get(MODEL, {})
    chosen = {
        "converters": result["converters"],
        "average_precision": model["average_precision"],
        "roc_auc": model["roc_auc"],
        f"precision_at_{first}": model[f"precision_at_{first}"],
        f"recall_at_{middle}": model[f"recall_at_{middle}"],
        f"recall_at_{last}": model[f"recall_at_{last}"],
        f"mrr_recall_at_{middle}": model[f"mrr_recall_at_{middle}"],
        "average_precision_over_users_rule": result["model_minus_baseline"]["users_rule"][
            "average_precision"
        ],
        "average_precision_without_never_seen": seen_model.get("average_precision"),
        "roc_auc_without_never_seen": seen_model.get("roc_auc"),
        "share_of_oracle": result.get("share_of_oracle", {}).get("average_precision"),
        **{
            name: probability[name]
            for name in ("log_loss", "log_loss_ratio", "ece", "expected_over_observed")
        },
    }
    numbers = {name: _estimate(measure) for name, measure in chosen.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _estimate(measure: dict[str, float | None] | float | None) -> float | None:
    """Take the number of a measure, without its interval."""
    if isinstance(measure, dict):
        return measure.get("value", measure.get("difference"))
    return measure


def by_month(predictions: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Measure each month of cutoffs, to see whether the base rate moves away from what was learned.

    Returns
    -------
    pandas.DataFrame
        One row a month in time order, as `conversion.evaluation.slice_metrics.slice_measures` gives it.
    """
    months = predictions.assign(month=predictions["as_of"].dt.strftime("%Y-%m"))
    settings = params.evaluate
    measures = slice_measures(months, ["month"], settings.top_k, settings.bootstrap_samples, params.seed)
    return measures[measures["by"] == "month"].reset_index(drop=True)


def monthly_drift(months: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Give expected over observed conversions by month, JSON-ready; None where undefined."""
    name = "expected_over_observed"
    bounds = months[[name, f"{name}_low", f"{name}_high"]].round(6).to_numpy().tolist()
    return {
        month: {
            key: None if np.isnan(bound) else bound
            for key, bound in zip(("value", "low", "high"), row, strict=True)
        }
        for month, row in zip(months["slice"], bounds, strict=True)
    }


def summary(result: dict[str, Any], top_k: tuple[int, ...]) -> str:
    """Write the measures for a person: each ranker's, without the never seen too, and what tiers came to."""
    title = (
        f"{result['model_type']}: {result['cutoffs']} weekly lists from {result['first_cutoff']} to "
        f"{result['last_cutoff']}, {result['converters']} converters,\n"
        f"{result['prevalence']:.2%} of prospects convert within the horizon; means [95 % intervals]"
    )
    seen = result["without_never_seen"]
    shares = seen["left_out"]
    without = (
        f"without the companies that were never seen by then: {shares['share_of_prospects']:.1%} of the "
        f"prospects,\n{shares['share_of_conversions']:.1%} of the conversions, "
        f"{shares['share_of_expected_conversions']:.1%} of those expected"
    )
    parts = [title, _ranking_table(result["ranking"], top_k), without]
    if "ranking" in seen:
        parts.append(_ranking_table(seen["ranking"], top_k))
    parts += ["what became of each tier, over all lists", _tier_table(result["tiers"], result["cutoffs"])]
    return "\n\n".join(parts) + "\n"


def _ranking_table(ranking: dict[str, Any], top_k: tuple[int, ...]) -> str:
    measures = ["average_precision", "roc_auc", f"precision_at_{top_k[0]}", f"recall_at_{top_k[-1]}"]
    lines = [" " * 14 + "".join(f"{name:>24}" for name in measures)]
    for ranker, values in ranking.items():
        name = "model" if ranker == MODEL else ranker
        lines.append(f"{name:<14}" + "".join(f"{_with_interval(values[name]):>24}" for name in measures))
    return "\n".join(lines)


def _tier_table(tiers: dict[str, Any], cutoffs: int) -> str:
    header = ("prospects a list", "conversions", "mean probability", "observed rate")
    widths = (18, 13, 18, 28)
    lines = [" " * 14 + "".join(f"{name:>{width}}" for name, width in zip(header, widths, strict=True))]
    for name, tier in tiers.items():
        cells = (
            f"{tier['prospects'] / cutoffs:.1f}",
            f"{tier['conversions']}",
            _percent(tier["mean_probability"]),
            _with_interval(tier["observed_rate"], _percent),
        )
        lines.append(
            f"{name:<14}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        )
    return "\n".join(lines)


def _with_interval(
    measure: dict[str, float | None], show: Callable[[float | None], str] | None = None
) -> str:
    show = show or _three_digits
    return f"{show(measure['value'])} [{show(measure['low'])}, {show(measure['high'])}]"


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def rankers_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Name the columns to rank by, the model first."""
    oracle = ("oracle",) if "oracle" in predictions else ()
    return ("probability", *BASELINES, *oracle)


def cross_validation(train: pd.DataFrame, predictions: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Measure the model by stratified folds, as is common, NOT out of time, and by how much that flatters.

    Snapshots of one company fall on both sides of a fold, and later weeks teach about earlier ones. Both
    ways are measured on the weeks of the backtest, all snapshots in one list; negatives that were left out
    of the training snapshots are weighted back.

    Parameters
    ----------
    train
        Training snapshots.
    predictions
        Of the backtest.
    params
        ``evaluate.cross_validation_folds`` is the number of folds.

    Returns
    -------
    dict
        ``average_precision`` and ``roc_auc`` of the ``random_split``, of the backtest (``out_of_time``),
        and the ``gap``, the first minus the second: what a random split promises and time does not keep.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    folds = StratifiedKFold(params.evaluate.cross_validation_folds, shuffle=True, random_state=params.seed)
    label, weight = train["label"].to_numpy(dtype=np.int64), train["weight"].to_numpy(dtype=np.float64)
    probability = np.empty(len(train))
    splits = list(folds.split(train, label))
    for learn, test in progress_bar(splits, what="cross-validation", unit="folds"):
        model = make_model(params)
        model.fit(train.iloc[learn], label[learn], weight[learn], train["as_of"].iloc[learn])
        probability[test] = model.predict_proba(train.iloc[test])[:, 1]
    tested = (train["as_of"] >= predictions["as_of"].min()).to_numpy()
    measures = {"average_precision": average_precision_score, "roc_auc": roc_auc_score}
    random_split = {
        name: float(measure(label[tested], probability[tested], sample_weight=weight[tested]))
        for name, measure in measures.items()
    }
    out_of_time = {
        name: float(measure(predictions["label"], predictions[MODEL])) for name, measure in measures.items()
    }
    return {
        "folds": params.evaluate.cross_validation_folds,
        "warning": "random_split is stratified folds of snapshots, not out of time: no list will be so good",
        "random_split": {name: round(value, 6) for name, value in random_split.items()},
        "out_of_time": {name: round(value, 6) for name, value in out_of_time.items()},
        "gap": {name: round(random_split[name] - out_of_time[name], 6) for name in measures},
    }


def write_plots(
    predictions: pd.DataFrame,
    weekly: pd.DataFrame,
    months: pd.DataFrame,
    slices: pd.DataFrame,
    importance: pd.Series,
    params: Params,
) -> None:
    """Write each plot's data for ``dvc plots``, and its picture."""
    decided = predictions["probability"] >= predictions["threshold"]
    named = importance.rename_axis("feature").reset_index()
    drawings: dict[str, tuple[pd.DataFrame, Callable[[pd.DataFrame], Figure]]] = {
        "roc": (figures.roc_curve_table(predictions), figures.roc_figure),
        "precision_recall": (figures.precision_recall_table(predictions), figures.precision_recall_figure),
        "reliability": (
            figures.reliability_table(predictions, params.evaluate.bootstrap_samples, params.seed),
            figures.reliability_figure,
        ),
        "expected_over_observed": (
            figures.expected_over_observed_table(months),
            figures.expected_over_observed_figure,
        ),
        "slices": (figures.slices_table(slices), figures.slices_figure),
        "gains": (figures.gains_table(predictions), figures.gains_figure),
        "precision_over_time": (
            figures.precision_over_time_table(weekly),
            figures.precision_over_time_figure,
        ),
        "probability_histogram": (
            figures.probability_histogram_table(predictions),
            figures.probability_histogram_figure,
        ),
        "confusion": (figures.confusion_table(predictions["label"], decided), figures.confusion_figure),
        "importance": (named, figures.importance_figure),
    }
    for name, (table, draw) in progress_bar(drawings.items(), what="plots", unit="plots"):
        write_csv(f"plots/{name}.csv", table, float_format="%.6g")
        figures.save_png(draw(table), f"plots/{name}.png")


def read_backtest(path: str, training: list[str]) -> pd.DataFrame:
    """Read the largest table column by column, so that it is never in memory twice."""
    needed = [name for name in (*training, "MRR") if name != "weight"]
    return read_parquet(path, needed, split_blocks=True, self_destruct=True)


def main() -> None:
    """Read snapshots, model and (for the sample) the truth; write metrics/ and plots/."""
    params = load_params()
    columns = training_columns(params)
    train = read_parquet("data/features/train.parquet", columns)
    snapshots = read_backtest("data/features/backtest.parquet", columns)
    model, _ = load_model(ConversionModel)
    as_of = read_monday("data/clean/export.json", "as_of")
    predictions = backtest(train, snapshots, params)
    del snapshots
    if not predictions["label"].any():
        raise ExportError(
            "customers: no conversion follows any cutoff of the backtest; set an earlier "
            "evaluate.first_cutoff or give a longer export"
        )
    log.info("backtested", extra={"cutoffs": predictions["as_of"].nunique(), "rows": len(predictions)})
    if params.data.dir == SAMPLE:
        predictions = with_oracle(predictions, read_parquet("data/truth.parquet"))
    log.info("measuring", extra={"bootstrap_samples": params.evaluate.bootstrap_samples})
    result = {"as_of": as_of.isoformat()} | evaluation(predictions, params)
    if params.evaluate.cross_validation_folds:
        result["cross_validation_not_out_of_time"] = cross_validation(train, predictions, params)
    settings = params.evaluate
    weekly = weekly_measures(predictions, MODEL, settings.top_k)
    samples = settings.bootstrap_samples
    slices = without_repeats(slice_measures(predictions, SLICES, settings.top_k, samples, params.seed))
    months = by_month(predictions, params)
    result["probability"]["expected_over_observed_by_month"] = monthly_drift(months)
    decided = predictions["probability"] >= predictions["threshold"]

    write_parquet("data/backtest/predictions.parquet", predictions)
    write_csv("metrics/backtest.csv", weekly, float_format="%.6f")
    write_csv("metrics/slices.csv", slices, float_format="%.6f")
    write_text("metrics/classification_report.txt", classification_report(predictions["label"], decided))
    write_json("metrics/evaluation.json", result)
    write_json("metrics/headline.json", headline_numbers(result, settings.top_k))
    write_text("metrics/summary.txt", summary(result, settings.top_k))
    write_plots(predictions, weekly, months, slices, model.get_feature_importance(), params)
    log.info("evaluated", extra={"cutoffs": len(weekly), "converters": result["converters"]})


if __name__ == "__main__":
    run(main)
