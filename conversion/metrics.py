"""How good lists and probabilities are, with 95 % bootstrap intervals that resample companies.

``predictions`` is one row a (company, cutoff): ``id``, ``as_of``, ``label`` (0 or 1), ``MRR`` (monthly
revenue of the conversion if the label is 1, else 0) and one float column for each ranker: ``probability``
(the model) and the baselines beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from conversion.errors import UserError
from conversion.hashing import tie_break

MODEL: Final = "probability"
"""The column with the model's probability; every other ranker is a baseline."""

ORACLE: Final = "oracle"
"""The column with the true probability, where it is known: the ceiling."""

BASE_RATE: Final = "base_rate"
"""The column with the prevalence that was known when the model was fitted, the same for all at a cutoff."""

CLASSES: Final = ("no conversion", "conversion")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Strategy = Literal["fixed", "f1", "precision", "recall"]

_INTERVAL: Final = (2.5, 97.5)
_LESS_IS_BETTER: Final = ("log_loss", "brier_score")
_CHUNK_WEIGHTS: Final = 8_000_000
_SMALLEST_SHARE: Final = 1e-4


def rank_order(score: ArrayLike, ids: ArrayLike) -> Ints:
    """Positions of the rows from the highest score to the lowest, ties by `conversion.hashing.tie_break`.

    Parameters
    ----------
    score
        Higher is called earlier.
    ids
        Company ids, each once.

    Returns
    -------
    ndarray of int64
        ``score[rank_order(score, ids)]`` descends.
    """
    return np.lexsort((tie_break(ids), -_finite(score)))


def measure_names(top_k: Sequence[int]) -> tuple[str, ...]:
    """Names of the ranking measures, in the order of the columns of `weekly_measures`.

    Parameters
    ----------
    top_k
        List lengths.

    Returns
    -------
    tuple of str
        The names.
    """
    at_k = ("precision_at_{}", "recall_at_{}", "lift_at_{}", "mrr_recall_at_{}")
    return ("average_precision", "roc_auc", *(name.format(k) for k in top_k for name in at_k))


def weekly_measures(predictions: pd.DataFrame, ranker: str, top_k: Sequence[int]) -> pd.DataFrame:
    """Ranking measures of each cutoff's list.

    ROC AUC counts tied pairs half; average precision and the top k follow `rank_order`. A list shorter than k
    is taken whole.

    Parameters
    ----------
    predictions
        See the module.
    ranker
        The column to rank by.
    top_k
        List lengths.

    Returns
    -------
    DataFrame
        One row a cutoff in time order; NaN where a measure is undefined (no conversion that week).
    """
    companies = _companies(predictions)
    everyone = np.ones((companies.count, 1), dtype=np.float32)
    rows = []
    for cutoff in _cutoffs(predictions, companies.index):
        measures = _ranking_measures(_ranked(cutoff, ranker), everyone, top_k)[:, 0]
        prospects, conversions = len(cutoff.label), int(cutoff.label.sum())
        rows.append((cutoff.as_of, prospects, conversions, conversions / prospects, *measures))
    columns = ["as_of", "prospects", "conversions", "prevalence", *measure_names(top_k)]
    return pd.DataFrame(rows, columns=columns)


def headline(
    predictions: pd.DataFrame,
    rankers: Sequence[str],
    top_k: Sequence[int],
    samples: int,
    seed: int,
    probabilities: Sequence[str] = (),
) -> dict[str, Any]:
    """Ranking measures over the whole backtest, and how surely the model beats each baseline.

    A measure is the mean over the cutoffs where it is defined (those with conversions). Intervals are 95 %
    percentile intervals of a bootstrap of companies: a company is on many lists, so its rows are no
    independent evidence; all its rows get the one weight that it drew.

    Parameters
    ----------
    predictions
        See the module.
    rankers
        Columns to rank by.
    top_k
        List lengths.
    samples
        Bootstrap samples.
    seed
        Of the bootstrap.
    probabilities
        The columns that are probabilities; they need not rank.

    Returns
    -------
    dict
        ``cutoffs``, ``cutoffs_with_conversions``; ``rankers``: by ranker and measure ``value``, ``low`` and
        ``high``; ``differences``: by baseline and measure (average precision, ROC AUC, recall at k; log loss
        and Brier score where the baseline is a probability), the model minus the baseline on the same
        samples: ``difference``, ``low``, ``high`` and ``probability_better`` (equal counts half; less is
        better for log loss and Brier score). Where ``oracle`` ranks and is a probability, as the model and
        ``base_rate`` are, ``share_of_oracle``: ``value``, ``low`` and ``high`` of ``average_precision`` (the
        model's over the oracle's) and ``log_loss_reduction``: how much the model's log loss is below the
        base rate's, over how much the oracle's is; 0 is no better than the base rate, 1 as good as the truth.
    """
    measured = _bootstrap(predictions, rankers, probabilities, top_k, samples, seed)
    columns = list(dict.fromkeys([*rankers, *probabilities]))
    recalls = [f"recall_at_{k}" for k in top_k]
    compared = ("average_precision", "roc_auc", *recalls, *_LESS_IS_BETTER)
    conversions = predictions.groupby("as_of")["label"].sum()
    return {
        "cutoffs": len(conversions),
        "cutoffs_with_conversions": int((conversions > 0).sum()),
        "rankers": {
            ranker: {name: _interval(*measured[ranker, name]) for name in measure_names(top_k)}
            for ranker in rankers
        },
        "differences": {
            baseline: {
                name: _difference(name, measured[baseline, name], measured[MODEL, name])
                for name in compared
                if (baseline, name) in measured and (MODEL, name) in measured
            }
            for baseline in columns
            if baseline != MODEL and MODEL in columns
        },
        **_shares_of_oracle(measured),
    }


def paired_differences(
    predictions: pd.DataFrame, first: str, second: str, top_k: Sequence[int], samples: int, seed: int
) -> dict[str, dict[str, float | None]]:
    """Ask whether the second of two columns of probabilities is better, by a paired bootstrap of companies.

    Both are measured on the same rows and on the same samples of companies, so what makes a sample easy or
    hard for both cancels out of the difference.

    Parameters
    ----------
    predictions
        See the module; with the columns ``first`` and ``second`` (``probability`` is not needed).
    first, second
        Columns of probabilities.
    top_k
        List lengths.
    samples
        Bootstrap samples of companies.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        For ``average_precision``, each ``recall_at_<k>`` (means over the cutoffs with conversions) and
        ``log_loss`` (over all rows, in nats): the values ``first`` and ``second``, ``difference`` (second
        minus first) with the bounds ``low`` and ``high`` of its 95 % percentile interval, and
        ``probability_better``: the share of samples where the second is better (higher; lower for log
        loss), equal counting half. None where undefined: no conversion.

    Raises
    ------
    ValueError
        A column holds something that is no probability.
    """
    columns = (first, second)
    measured = _bootstrap(predictions, columns, columns, top_k, samples, seed)
    names = ("average_precision", *(f"recall_at_{k}" for k in top_k), "log_loss")
    return {
        name: {
            "first": _rounded(measured[first, name].value),
            "second": _rounded(measured[second, name].value),
        }
        | _difference(name, measured[first, name], measured[second, name])
        for name in names
    }


def log_loss(label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean negative log likelihood of the labels; probabilities of 0 and 1 are moved inside by one epsilon.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Of label 1.
    weight
        Of each row in the mean; None: the same for all.

    Returns
    -------
    float
        In nats.
    """
    losses = _log_losses(np.asarray(label), _finite(probability))
    return float(np.average(losses, weights=None if weight is None else np.asarray(weight)))


def brier_score(label: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference of probability and label.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Of label 1.

    Returns
    -------
    float
        0 is perfect.
    """
    return float(np.mean(np.square(_finite(probability) - np.asarray(label))))


def expected_calibration_error(label: ArrayLike, probability: ArrayLike, bins: int = 10) -> float:
    """Mean distance of predicted and observed share over `quantile_bins`, weighted by the bins' rows.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Of label 1.
    bins
        Quantile bins.

    Returns
    -------
    float
        0 is perfect.
    """
    excess = _finite(probability) - np.asarray(label)
    by_bin = np.bincount(quantile_bins(probability, bins), weights=excess)
    return float(np.abs(by_bin).sum() / len(excess))


def quantile_bins(values: ArrayLike, levels: int | Sequence[float] = 10) -> Ints:
    """Give each value the number of its quantile bin: equal values share a bin, whatever their order.

    Parameters
    ----------
    values
        Finite numbers.
    levels
        How many bins of about equal count, or the increasing levels in (0, 1) that part the bins.

    Returns
    -------
    ndarray of int64
        From 0 (lowest); ties can leave fewer bins.

    Examples
    --------
    >>> quantile_bins([5, 1, 1, 1, 9, 7], 3).tolist()
    [1, 0, 0, 0, 2, 2]
    """
    array = _finite(values)
    cuts = np.arange(1, levels) / levels if isinstance(levels, int) else np.asarray(levels, dtype=np.float64)
    return np.searchsorted(_bin_edges(array, np.ones_like(array), cuts), array, side="left")


def probability_measures(predictions: pd.DataFrame, samples: int, seed: int) -> dict[str, Any]:
    """How good the probabilities are, as probabilities, over all rows.

    Parameters
    ----------
    predictions
        See the module; the optional column ``base_rate`` is the prevalence known when the model was fitted.
    samples
        Bootstrap samples of companies.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        ``value``, ``low`` and ``high`` (95 %) of ``log_loss``, ``brier_score``, ``ece`` (its bins are those
        of all rows), ``expected_over_observed``, and of the model that says the base rate to everyone
        (``base_rate_log_loss``, ``base_rate_brier_score``), and ``log_loss_ratio`` (below 1 is better than
        the base rate). None where undefined: no column ``base_rate``, no conversion.
    """
    label = predictions["label"].to_numpy(dtype=np.float64)
    probability = _finite(predictions[MODEL])
    base = _finite(predictions[BASE_RATE]) if BASE_RATE in predictions else np.full(len(label), np.nan)
    bins = quantile_bins(probability)
    excess = (probability - label)[:, None] * (bins[:, None] == np.arange(bins.max() + 1))
    sums = [
        np.ones_like(label),
        label,
        probability,
        _log_losses(label, probability),
        np.square(probability - label),
        _log_losses(label, base),
        np.square(base - label),
        *excess.T,
    ]
    companies = _companies(predictions)
    by_company = np.stack([np.bincount(companies.index, column, companies.count) for column in sums], axis=1)
    sampled = [
        _probability_measures(weights.T.astype(np.float64) @ by_company)
        for weights in _company_weights(companies.count, samples, seed)
    ]
    value = _probability_measures(by_company.sum(axis=0, keepdims=True))
    return {
        name: _interval(value[name][0], np.concatenate([part[name] for part in sampled])) for name in value
    }


def slice_measures(
    predictions: pd.DataFrame, columns: Sequence[str], top_k: Sequence[int], samples: int, seed: int
) -> pd.DataFrame:
    """Measure the model on parts of the prospects, beside all of them.

    Parameters
    ----------
    predictions
        See the module; with ``base_rate`` and the ``columns``.
    columns
        Each parts the prospects into slices, in the order of its categories or values.
    top_k
        List lengths.
    samples
        Bootstrap samples of companies.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        ``by`` (the column; ``all`` in the first row), ``slice``; ``prospects`` (one a company and cutoff),
        ``conversions``, ``converters`` (companies), ``prevalence``, ``share_of_conversions`` (of all),
        ``mean_probability``; ``expected_over_observed`` conversions and ``log_loss_ratio`` (over the base
        rate's: below 1 is better) with the bounds ``_low`` and ``_high`` of their 95 % intervals;
        ``roc_auc`` among the slice's own prospects, and ``recall_at_<k>``, the share of the slice's
        conversions that the first k of the whole list catch, both means over the cutoffs with conversions
        in the slice. NaN where undefined.
    """
    companies = _companies(predictions)
    parts = [pd.Series("all prospects", index=predictions.index, name="all")]
    parts += [predictions[column] for column in columns]
    place = _places(predictions)
    tables = [_slices(predictions, part, place, top_k).assign(by=str(part.name)) for part in parts]
    table = pd.concat(tables, ignore_index=True)
    sums = np.concatenate([_slice_sums(predictions, part, companies) for part in parts], axis=1)
    flat = sums.reshape(companies.count, -1)
    sampled = np.concatenate(
        [
            (weights.T.astype(np.float64) @ flat).reshape(-1, *sums.shape[1:])
            for weights in _company_weights(companies.count, samples, seed)
        ]
    )
    for name, value, each in zip(
        ("expected_over_observed", "log_loss_ratio"),
        _slice_ratios(sums.sum(axis=0)),
        _slice_ratios(sampled),
        strict=True,
    ):
        bounds = [_percentiles(each[:, number]) for number in range(len(table))]
        table[[name, f"{name}_low", f"{name}_high"]] = np.column_stack((value, bounds))
    first = ["by", "slice", "prospects", "conversions", "converters", "prevalence", "share_of_conversions"]
    last = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    middle = [name for name in table if name not in {*first, *last}]
    return table[[*first, *middle, *last]]


def classification_measures(label: ArrayLike, predicted: ArrayLike) -> dict[str, float | int | None]:
    """Take the familiar measures of yes-or-no decisions.

    Parameters
    ----------
    label
        0 or 1.
    predicted
        0 or 1.

    Returns
    -------
    dict
        ``accuracy``, ``precision``, ``recall``, ``f1`` (None where undefined) and the four counts.
    """
    actual, decided = np.asarray(label).astype(bool), np.asarray(predicted).astype(bool)
    hits, alarms = int((actual & decided).sum()), int((~actual & decided).sum())
    missed, quiet = int((actual & ~decided).sum()), int((~actual & ~decided).sum())
    return {
        "accuracy": _ratio(hits + quiet, len(actual)),
        "precision": _ratio(hits, hits + alarms),
        "recall": _ratio(hits, hits + missed),
        "f1": _ratio(2 * hits, 2 * hits + alarms + missed),
        "true_positives": hits,
        "false_positives": alarms,
        "false_negatives": missed,
        "true_negatives": quiet,
    }


def classification_report(label: ArrayLike, predicted: ArrayLike) -> str:
    """Write the familiar text table of precision, recall, F1 and support by class.

    Parameters
    ----------
    label
        0 or 1.
    predicted
        0 or 1.

    Returns
    -------
    str
        The table; ``n/a`` where a measure is undefined.
    """
    actual, decided = np.asarray(label).astype(bool), np.asarray(predicted).astype(bool)
    by_class = [classification_measures(~actual, ~decided), classification_measures(actual, decided)]
    names = ("precision", "recall", "f1")
    table = np.array([[_or_nan(measures[name]) for name in names] for measures in by_class])
    support = np.array([(~actual).sum(), actual.sum()])
    weighted = support @ table / max(len(actual), 1)
    titles = ("precision", "recall", "f1-score", "support")
    lines = [f"{'':>15}" + "".join(f"{title:>11}" for title in titles), ""]
    lines += [_report_line(*line) for line in zip(CLASSES, table, support, strict=True)]
    accuracy = _or_nan(by_class[1]["accuracy"])
    lines += ["", f"{'accuracy':>15}{'':>22}{_cell(accuracy)}{len(actual):>11}"]
    lines += [_report_line("macro avg", table.mean(axis=0), len(actual))]
    lines += [_report_line("weighted avg", weighted, len(actual))]
    return "\n".join(lines) + "\n"


def choose_threshold(
    label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None, strategy: Strategy, value: float
) -> float:
    """Choose the probability from which on a prospect counts as a predicted conversion.

    A decision is ``probability >= threshold``; every threshold but a fixed one is a probability that occurs.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Out-of-time predictions.
    weight
        How many prospects each row stands for; None: one.
    strategy
        ``fixed``: ``value`` itself. ``f1``: the best F1 (the highest threshold of several). ``precision``:
        the lowest threshold with at least this precision; where none reaches it, the one with the best
        precision (the lowest of several). ``recall``: the highest threshold with at least this recall.
    value
        The threshold or the floor; not used by ``f1``.

    Returns
    -------
    float
        The threshold.

    Raises
    ------
    UserError
        There is no conversion to choose by.
    """
    if strategy == "fixed":
        return float(value)
    threshold, hits, called, conversions = cumulative_decisions(label, probability, weight)
    if not conversions > 0:
        raise UserError(
            f"train.threshold: {strategy} needs conversions among the out-of-time predictions, found none; "
            "use fixed"
        )
    precision = hits / called
    if strategy == "f1":
        return float(threshold[np.argmax(2 * hits / (called + conversions))])
    if strategy == "precision":
        floor = min(value, precision.max())
        return float(threshold[np.flatnonzero(precision >= floor)[-1]])
    # Sums of weights in another order may miss the whole by a rounding error.
    return float(threshold[np.flatnonzero(hits >= conversions * min(value, 1 - 1e-12))[0]])


def cumulative_decisions(
    label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats, float]:
    """Count what each threshold would call and hit.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Or any score.
    weight
        How many prospects each row stands for; None: one.

    Returns
    -------
    thresholds : ndarray of float64
        Every distinct probability, descending.
    hits, called : ndarray of float64
        Conversions and all prospects with at least that probability.
    conversions : float
        All conversions.
    """
    score = _finite(probability)
    share = np.ones_like(score) if weight is None else np.asarray(weight, dtype=np.float64)
    counted = share > 0
    score, share, actual = score[counted], share[counted], np.asarray(label)[counted]
    threshold, group = np.unique(-score, return_inverse=True)
    hits: Floats = np.cumsum(np.bincount(group, share * actual, len(threshold)), dtype=np.float64)
    called: Floats = np.cumsum(np.bincount(group, share, len(threshold)), dtype=np.float64)
    return -threshold, hits, called, float(hits[-1]) if len(hits) else 0.0


def business_measures(
    predictions: pd.DataFrame, contacts_per_week: int, value_per_conversion: float, cost_per_contact: float
) -> dict[str, float | int | None]:
    """Count what it brings when reps call the first ``contacts_per_week`` of each cutoff's list.

    Parameters
    ----------
    predictions
        See the module.
    contacts_per_week
        Calls from each list.
    value_per_conversion
        Revenue of a conversion that was called in time.
    cost_per_contact
        Cost of one call.

    Returns
    -------
    dict
        ``contacts`` (calls), ``companies_called``; ``conversions_reached``: converters called at a cutoff
        with label 1, each once however often it was called; ``conversions_missed``: those that never were;
        ``revenue``, ``cost``, ``profit`` and ``return_on_investment`` (profit over cost, None without cost).
    """
    companies = _companies(predictions)
    called = [
        np.column_stack((cutoff.company, cutoff.label))[
            rank_order(cutoff.score(MODEL), cutoff.ids)[:contacts_per_week]
        ]
        for cutoff in _cutoffs(predictions, companies.index)
    ]
    calls = np.concatenate(called) if called else np.empty((0, 2), dtype=np.int64)
    converters = np.unique(companies.index[predictions["label"].to_numpy() == 1])
    reached = len(np.unique(calls[calls[:, 1] == 1, 0]))
    revenue, cost = reached * value_per_conversion, len(calls) * cost_per_contact
    return {
        "contacts": len(calls),
        "companies_called": len(np.unique(calls[:, 0])),
        "conversions_reached": reached,
        "conversions_missed": len(converters) - reached,
        "revenue": round(float(revenue), 6),
        "cost": round(float(cost), 6),
        "profit": round(float(revenue - cost), 6),
        "return_on_investment": _ratio(revenue - cost, cost),
    }


def population_stability_index(
    expected: ArrayLike, actual: ArrayLike, expected_weight: ArrayLike | None = None, bins: int = 10
) -> float:
    """How far the distribution of a feature or a score has moved: the sum of (a - e) ln(a / e) over bins.

    The measure is that of N. Siddiqi, *Credit Risk Scorecards* (Wiley 2006); it is the symmetric
    Kullback-Leibler divergence of the binned shares. His reading: below 0.10 no change, to 0.25 some, above
    it a shift. Bins are quantiles of ``expected`` (its values themselves when there are at most ``bins``),
    and missing values are a bin of their own. Shares below 0.0001 count as that, so an empty bin is finite.

    Parameters
    ----------
    expected
        Values at training time; NaN is missing.
    actual
        Values now.
    expected_weight
        How many rows each expected value stands for; None: one.
    bins
        Bins for values that are not missing.

    Returns
    -------
    float
        0 where nothing moved; NaN where one side is empty.
    """
    old, new = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    weight = np.ones_like(old) if expected_weight is None else np.asarray(expected_weight, dtype=np.float64)
    if not weight.sum() > 0 or not len(new):
        return float("nan")
    known = ~np.isnan(old)
    edges = _bin_edges(old[known], weight[known], np.arange(1, bins) / bins)
    before = _shares(old, weight, edges)
    after = _shares(new, np.ones_like(new), edges)
    return float(np.sum((after - before) * np.log(after / before)))


@dataclass(frozen=True)
class _Companies:
    """``index`` is each row's company, from 0 to ``count`` - 1."""

    index: Ints
    count: int


@dataclass(frozen=True)
class _Cutoff:
    """The rows of one cutoff."""

    as_of: pd.Timestamp
    ids: Ints
    company: Ints
    label: Ints
    mrr: Floats
    rows: pd.DataFrame

    def score(self, ranker: str) -> Floats:
        return _finite(self.rows[ranker])


@dataclass(frozen=True)
class _Ranked:
    """One cutoff's list: companies in rank order, and for each conversion its place, MRR and tie group."""

    company: Ints
    position: Ints
    mrr: Floats
    tie_start: Ints
    tie_stop: Ints


class _Measured(NamedTuple):
    """A measure of all companies, and of each bootstrap sample of them."""

    value: float
    sampled: Floats


def _bootstrap(
    predictions: pd.DataFrame,
    rankers: Sequence[str],
    probabilities: Sequence[str],
    top_k: Sequence[int],
    samples: int,
    seed: int,
) -> dict[tuple[str, str], _Measured]:
    """By column and measure: the rankers' ranking measures, the probabilities' log loss and Brier score."""
    companies = _companies(predictions)
    cutoffs = _cutoffs(predictions, companies.index)
    lists = {ranker: [_ranked(cutoff, ranker) for cutoff in cutoffs] for ranker in rankers}
    losses = {column: _losses_by_company(predictions, column, companies) for column in probabilities}

    def measure(weights: NDArray[np.float32]) -> dict[tuple[str, str], Floats]:
        ranking = {
            (ranker, name): values
            for ranker in rankers
            for name, values in zip(
                measure_names(top_k), _mean_measures(lists[ranker], weights, top_k), strict=True
            )
        }
        exact = weights.T.astype(np.float64)
        return ranking | {
            (column, name): values
            for column in probabilities
            for name, values in zip(_LESS_IS_BETTER, _mean_losses(exact @ losses[column]), strict=True)
        }

    value = measure(np.ones((companies.count, 1), dtype=np.float32))
    parts = [measure(weights) for weights in _company_weights(companies.count, samples, seed)]
    return {
        key: _Measured(float(value[key][0]), np.concatenate([part[key] for part in parts])) for key in value
    }


def _shares_of_oracle(measured: dict[tuple[str, str], _Measured]) -> dict[str, Any]:
    needed = [(column, "average_precision") for column in (MODEL, ORACLE)]
    needed += [(column, "log_loss") for column in (MODEL, BASE_RATE, ORACLE)]
    if not all(key in measured for key in needed):
        return {}

    def shares(*of: Floats) -> tuple[Floats, Floats]:
        precision, best_precision, loss, base_loss, least_loss = of
        return _divide(precision, best_precision), _divide(base_loss - loss, base_loss - least_loss)

    values = shares(*(np.array([measured[key].value]) for key in needed))
    samples = shares(*(measured[key].sampled for key in needed))
    names = ("average_precision", "log_loss_reduction")
    return {
        "share_of_oracle": {
            name: _interval(value[0], sampled)
            for name, value, sampled in zip(names, values, samples, strict=True)
        }
    }


def _losses_by_company(predictions: pd.DataFrame, column: str, companies: _Companies) -> Floats:
    """Companies by sums over their rows: of the rows, of the log losses, of the squared differences."""
    label = predictions["label"].to_numpy(dtype=np.float64)
    probability = _finite(predictions[column])
    if len(probability) and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(f"{column} is no probability: from {probability.min():g} to {probability.max():g}")
    sums = (np.ones_like(label), _log_losses(label, probability), np.square(probability - label))
    return np.stack([np.bincount(companies.index, each, companies.count) for each in sums], axis=1)


def _mean_losses(sums: Floats) -> Floats:
    rows, log_losses, squares = sums.T
    return np.stack((_divide(log_losses, rows), _divide(squares, rows)))


def _companies(predictions: pd.DataFrame) -> _Companies:
    ids, index = np.unique(predictions["id"].to_numpy(dtype=np.int64), return_inverse=True)
    return _Companies(index.astype(np.int64), len(ids))


def _cutoffs(predictions: pd.DataFrame, company: Ints) -> list[_Cutoff]:
    numbered = predictions.assign(_company=company)
    return [
        _Cutoff(
            as_of=pd.Timestamp(as_of),  # type: ignore[arg-type]
            ids=rows["id"].to_numpy(dtype=np.int64),
            company=rows["_company"].to_numpy(dtype=np.int64),
            label=rows["label"].to_numpy(dtype=np.int64),
            mrr=rows["MRR"].to_numpy(dtype=np.float64),
            rows=rows,
        )
        for as_of, rows in numbered.groupby("as_of", sort=True)
    ]


def _ranked(cutoff: _Cutoff, ranker: str) -> _Ranked:
    score = cutoff.score(ranker)
    order = rank_order(score, cutoff.ids)
    position = np.flatnonzero(cutoff.label[order] == 1)
    descending = -score[order]
    at = descending[position]
    return _Ranked(
        company=cutoff.company[order],
        position=position,
        mrr=cutoff.mrr[order][position],
        tie_start=np.searchsorted(descending, at, side="left"),
        tie_stop=np.searchsorted(descending, at, side="right"),
    )


def _mean_measures(lists: Sequence[_Ranked], weights: NDArray[np.float32], top_k: Sequence[int]) -> Floats:
    """Mean over the cutoffs where a measure is defined: measures by samples."""
    total = np.zeros((len(measure_names(top_k)), weights.shape[1]))
    defined = np.zeros_like(total)
    for ranked in lists:
        measures = _ranking_measures(ranked, weights, top_k)
        known = ~np.isnan(measures)
        total += np.where(known, measures, 0.0)
        defined += known
    return _divide(total, defined)


def _ranking_measures(ranked: _Ranked, weights: NDArray[np.float32], top_k: Sequence[int]) -> Floats:
    """Measures by samples of one list in which each company stands as often as its weight says.

    Only the conversions' places matter, so weights are cumulated to those alone. Average precision takes the
    precision at a company's first copy: its further copies are no other converters, and counting them would
    double the average precision of a poor ranker in every bootstrap sample.
    """
    position = ranked.position
    if not len(position):
        return np.full((len(measure_names(top_k)), weights.shape[1]), np.nan)
    cuts, cumulated = _cumulated(ranked, weights)
    total = cumulated[-1]
    upto = cumulated[np.searchsorted(cuts, position + 1)]
    weight = upto - cumulated[np.searchsorted(cuts, position)]
    hits = np.concatenate((np.zeros((1, weights.shape[1])), np.cumsum(weight, axis=0)))
    conversions = hits[-1]
    precision = (hits[:-1] + 1) / (upto - weight + 1)
    average_precision = _divide(np.sum(weight * precision, axis=0), conversions)

    hits_above = hits[np.searchsorted(position, ranked.tie_start)]
    hits_through = hits[np.searchsorted(position, ranked.tie_stop)]
    above = cumulated[np.searchsorted(cuts, ranked.tie_start)] - hits_above
    through = cumulated[np.searchsorted(cuts, ranked.tie_stop)] - hits_through
    others = total - conversions
    roc_auc = _divide(np.sum(weight * (others - (above + through) / 2), axis=0), conversions * others)

    measures = [average_precision, roc_auc]
    revenue = ranked.mrr @ weight
    for k in top_k:
        caught = np.clip(k - (upto - weight), 0.0, weight)
        precision_at_k = _divide(caught.sum(axis=0), np.minimum(k, total))
        measures += [
            np.where(conversions > 0, precision_at_k, np.nan),
            _divide(caught.sum(axis=0), conversions),
            _divide(precision_at_k * total, conversions),
            _divide(ranked.mrr @ caught, revenue),
        ]
    return np.stack(measures)


def _cumulated(ranked: _Ranked, weights: NDArray[np.float32]) -> tuple[Ints, Floats]:
    """Places where something is asked, and the weight of all rows before each of them, by samples."""
    ends = (np.array([0, len(ranked.company)]),)
    places = (ranked.position, ranked.position + 1, ranked.tie_start, ranked.tie_stop)
    cuts = np.unique(np.concatenate(ends + places))
    between = np.add.reduceat(np.take(weights, ranked.company, axis=0), cuts[:-1], axis=0)
    cumulated = np.zeros((len(cuts), weights.shape[1]))
    np.cumsum(between, axis=0, dtype=np.float64, out=cumulated[1:])
    return cuts, cumulated


def _company_weights(companies: int, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """How often each company was drawn, companies by samples, so many samples at a time as memory allows.

    float32 counts exactly to 16 million, and is what numpy sums fastest.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_WEIGHTS // max(companies, 1))
    for start in range(0, samples, chunk):
        weights = np.empty((companies, min(chunk, samples - start)), dtype=np.float32)
        for sample in range(weights.shape[1]):
            drawn = rng.integers(0, companies, companies)
            weights[:, sample] = np.bincount(drawn, minlength=companies)
        yield weights


def _probability_measures(sums: Floats) -> dict[str, Floats]:
    """Measures from the weighted sums of each sample (samples by columns of `probability_measures`)."""
    rows, observed, expected, loss, square, base_loss, base_square = sums.T[:7]
    return {
        "log_loss": _divide(loss, rows),
        "brier_score": _divide(square, rows),
        "ece": _divide(np.abs(sums[:, 7:]).sum(axis=1), rows),
        "expected_over_observed": _divide(expected, observed),
        "base_rate_log_loss": _divide(base_loss, rows),
        "base_rate_brier_score": _divide(base_square, rows),
        "log_loss_ratio": _divide(loss, base_loss),
    }


def _bin_edges(values: Floats, weight: Floats, levels: Floats) -> Floats:
    """Values that close a bin from above; few distinct values are a bin each."""
    distinct, group = np.unique(values, return_inverse=True)
    if len(distinct) <= len(levels) + 1:
        return distinct[:-1]
    cumulated = np.cumsum(np.bincount(group, weight, len(distinct)))
    at = np.searchsorted(cumulated / cumulated[-1], levels, side="left")
    return np.unique(distinct[at[at < len(distinct) - 1]])


def _shares(values: Floats, weight: Floats, edges: Floats) -> Floats:
    group = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    counts = np.bincount(group, weight, len(edges) + 2)
    shares: Floats = np.maximum(counts / counts.sum(), _SMALLEST_SHARE)
    return shares


def _log_losses(label: NDArray[Any], probability: Floats) -> Floats:
    epsilon = np.finfo(np.float64).eps
    inside = np.clip(probability, epsilon, 1 - epsilon)
    losses: Floats = -np.log(np.where(label == 1, inside, 1 - inside))
    return losses


def _finite(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"scores must be finite, {int((~np.isfinite(array)).sum())} of {array.size} are not")
    return array


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def _interval(value: float, sampled: Floats) -> dict[str, float | None]:
    low, high = _percentiles(sampled)
    return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}


def _difference(name: str, first: _Measured, second: _Measured) -> dict[str, float | None]:
    """Second minus first."""
    sampled = second.sampled - first.sampled
    low, high = _percentiles(sampled)
    gain = -sampled if name in _LESS_IS_BETTER else sampled
    known = gain[~np.isnan(gain)]
    better = np.mean((known > 0) + 0.5 * (known == 0)) if len(known) else np.nan
    return {
        "difference": _rounded(second.value - first.value),
        "low": _rounded(low),
        "high": _rounded(high),
        "probability_better": _rounded(better),
    }


def _percentiles(sampled: Floats) -> tuple[float, float]:
    known = sampled[~np.isnan(sampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)


def _places(predictions: pd.DataFrame) -> Ints:
    """Each row's place on the model's list of its cutoff, from 0."""
    place = np.empty(len(predictions), dtype=np.int64)
    for rows in predictions.groupby("as_of", sort=False).indices.values():
        order = rank_order(predictions[MODEL].to_numpy()[rows], predictions["id"].to_numpy()[rows])
        place[rows[order]] = np.arange(len(rows))
    return place


def _slices(
    predictions: pd.DataFrame, part: pd.Series[Any], place: Ints, top_k: Sequence[int]
) -> pd.DataFrame:
    """One row a slice of ``part``: what needs no bootstrap."""
    part = part.rename("slice")
    converted = predictions["label"] == 1
    weekly = _weekly_slices(predictions, part, place, top_k)
    by_slice = weekly.groupby(level="slice", observed=True)
    table = by_slice[["prospects", "conversions"]].sum()
    converters = predictions["id"][converted].groupby(part[converted], observed=True).nunique()
    table["converters"] = converters.reindex(table.index).fillna(0).astype(np.int64)
    table["prevalence"] = table["conversions"] / table["prospects"]
    table["share_of_conversions"] = table["conversions"] / max(int(converted.sum()), 1)
    table["mean_probability"] = predictions[MODEL].groupby(part, observed=True).mean()
    means = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    table[means] = by_slice[means].mean()
    return table.reset_index().astype({"slice": str})


def _weekly_slices(
    predictions: pd.DataFrame, part: pd.Series[Any], place: Ints, top_k: Sequence[int]
) -> pd.DataFrame:
    """One row a cutoff and slice: its prospects, conversions, ROC AUC and recall at each k."""
    keys = [predictions["as_of"], part]
    converted = predictions["label"] == 1
    rank = predictions[MODEL].groupby(keys, observed=True).rank()  # equal ones share the mean of theirs
    rows = pd.DataFrame({"prospects": 1, "conversions": converted, "rank": rank.where(converted, 0.0)})
    for k in top_k:
        rows[f"recall_at_{k}"] = converted & (place < k)
    weekly = rows.groupby(keys, observed=True).sum()
    conversions = weekly["conversions"]
    pairs = conversions * (weekly["prospects"] - conversions)
    won = weekly.pop("rank") - conversions * (conversions + 1) / 2
    weekly["roc_auc"] = won / pairs.replace(0, np.nan)
    for k in top_k:
        weekly[f"recall_at_{k}"] /= conversions.replace(0, np.nan)
    return weekly


def _slice_sums(predictions: pd.DataFrame, part: pd.Series[Any], companies: _Companies) -> Floats:
    """Companies by slices by sums: of labels, probabilities, and the log losses of model and base rate."""
    slices, _ = pd.factorize(part, sort=True)
    count = int(slices.max()) + 1
    label = predictions["label"].to_numpy(dtype=np.float64)
    probability, base_rate = _finite(predictions[MODEL]), _finite(predictions[BASE_RATE])
    sums = (label, probability, _log_losses(label, probability), _log_losses(label, base_rate))
    cell = companies.index * count + slices
    by_cell = np.empty((companies.count * count, len(sums)))
    for number, each in enumerate(sums):
        by_cell[:, number] = np.bincount(cell, each, len(by_cell))
    return by_cell.reshape((companies.count, count, len(sums)))


def _slice_ratios(sums: Floats) -> tuple[Floats, Floats]:
    """Divide expected by observed conversions, and log loss by the base rate's; sums are on the last axis."""
    observed, expected, loss, base_loss = np.moveaxis(sums, -1, 0)
    return _divide(expected, observed), _divide(loss, base_loss)


def _ratio(numerator: float, denominator: float) -> float | None:
    return round(float(numerator / denominator), 6) if denominator else None


def _rounded(value: float | np.floating[Any]) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _cell(value: float) -> str:
    return f"{'n/a':>11}" if np.isnan(value) else f"{value:>11.4f}"


def _report_line(name: str, measures: Floats, support: int) -> str:
    return f"{name:>15}" + "".join(map(_cell, measures)) + f"{support:>11}"
