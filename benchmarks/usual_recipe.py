"""The usual recipe for this problem, leaks and all, for `benchmarks/leakage.py` to measure.

One row a company: its attributes and all of its usage added up; the label is the file that it stands in; a
random fifth of the companies is the test. Nothing here is used by the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, train_test_split

from conversion.config.attribute_kinds import AnyAttribute, Category, Number, Ordered
from conversion.config.attribute_names import encoded_names, label, slug
from conversion.config.data_contract import Contract
from conversion.data.timeline import WEEK, known_at, prospects_at
from conversion.evaluation.predictions import BASE_RATE, MODEL
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.stats.losses import log_loss
from conversion.stats.numeric import Floats

Learner = Callable[[int], Any]

TEST_SHARE: Final = 0.2
FOLDS: Final = 5
TOP: Final = 10
NEVER: Final = -1.0
"""Days since the first and the last usage row, where there is none."""
ABSENT: Final = -1.0
"""A number that is missing, unless the contract says what it counts as."""


def forest(seed: int) -> RandomForestClassifier:
    """Return scikit-learn's random forest as it comes out of the box."""
    return RandomForestClassifier(random_state=seed, n_jobs=2)


def xgboost(seed: int) -> Any:
    """Return xgboost as it comes out of the box."""
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=1)


LEARNERS: Final[Mapping[str, Learner]] = {"forest": forest, "xgboost": xgboost}


def is_customer(companies: pd.DataFrame, as_of: pd.Timestamp, contract: Contract) -> pd.Series:
    """Label a company by whether the export of ``as_of`` has it among the customers."""
    return (companies[contract.companies.converted] < as_of).astype(np.int64)


def up_to(companies: pd.DataFrame, as_of: pd.Timestamp) -> pd.Series:
    """Add up every company's usage until the export was taken, as is usual; ``moments`` of `features`."""
    return pd.Series(as_of, index=companies.index)


def up_to_conversion(companies: pd.DataFrame, as_of: pd.Timestamp, contract: Contract) -> pd.Series:
    """Add up a customer's usage until its conversion only, that of the others until the export was taken."""
    converted = companies[contract.companies.converted]
    return converted.where(converted < as_of).fillna(as_of)


def features(
    companies: pd.DataFrame, usage: pd.DataFrame, moments: pd.Series, contract: Contract
) -> pd.DataFrame:
    """Describe each company by one row.

    Parameters
    ----------
    companies
        Clean companies, each once.
    usage
        Clean usage rows.
    moments
        Until when each company's usage is added up; index as ``companies``.
    contract
        Names the attributes and the columns of usage.

    Returns
    -------
    pandas.DataFrame of float32
        Index as ``companies``: attributes with a column a level and flags of what is missing, and for each
        measure of usage the sum, the mean and the maximum, with the number of weeks and days.
    """
    moment = pd.Series(moments.to_numpy(), index=companies["id"].to_numpy())
    used = totals(usage, moment, contract).set_axis(companies.index)
    return pd.concat([attributes(companies, contract), used], axis=1).astype(np.float32)


def attributes(companies: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Spread the attributes over numbers and 0-1 columns: numbers, what is missing, levels."""
    numbers: dict[str, pd.Series] = {}
    missing: dict[str, pd.Series] = {}
    levels: dict[str, pd.Series] = {}
    for column, attribute in contract.companies.attributes.items():
        encoded = companies[encoded_names(column, attribute)[-1]]
        known = companies[column] if isinstance(attribute, Category) else encoded
        missing[f"{slug(column)}_missing"] = known.isna()
        if isinstance(attribute, Category | Ordered):
            levels |= _levels(label(column, attribute), attribute, encoded)
        else:
            numbers[slug(column)] = _number(companies[encoded_names(column, attribute)[0]], attribute)
    return pd.DataFrame(numbers | missing | levels, index=companies.index).astype(np.float64)


def _number(encoded: pd.Series, attribute: AnyAttribute) -> pd.Series:
    counts_as = attribute.counts_as if isinstance(attribute, Number) else None
    return encoded.fillna(ABSENT if counts_as is None else counts_as)


def _levels(name: str, attribute: Category | Ordered, encoded: pd.Series) -> dict[str, pd.Series]:
    if isinstance(attribute, Category):
        return {f"{name}_{level}": encoded == level for level in encoded.cat.categories}
    return {f"{name}_{level}": encoded == place for place, level in enumerate(attribute.levels, start=1)}


def totals(usage: pd.DataFrame, moment: pd.Series, contract: Contract) -> pd.DataFrame:
    """Add up the usage that is known at each company's moment (index: ``id``), one row a moment, in order."""
    week = contract.usage.time
    known = usage[usage["id"].isin(moment.index)]
    known = known[known_at(known[week], known["id"].map(moment))]
    by_company = known.groupby("id")
    table = by_company[[*contract.counts, *contract.usage.measures]].agg(["sum", "mean", "max"])
    table.columns = table.columns.map(lambda column: f"{column[0].lower()}_{column[1]}")
    table["actions"] = table[[f"{name.lower()}_sum" for name in contract.actions]].sum(axis=1)
    table["users"] = table[[f"{name.lower()}_sum" for name in contract.users]].sum(axis=1)
    table["weeks"] = by_company.size()
    table = table.reindex(moment.index).fillna(0.0)
    for name, day in (
        ("first", by_company[week].min()),
        ("last", by_company[week].max()),
    ):
        table[f"days_since_{name}"] = (moment - day.reindex(moment.index)).dt.days.fillna(NEVER)
    span = (table["days_since_first"] - table["days_since_last"]) / WEEK.days + 1
    return table.assign(span_weeks=span.where(table["weeks"] > 0, 0.0), frequency=table["weeks"] / span)


def claim(
    table: pd.DataFrame, label: pd.Series, ids: pd.Series, learner: Learner, seed: int
) -> dict[str, float]:
    """Fit on a random four fifths of the rows and measure on the rest, as the recipe's author does.

    Returns
    -------
    dict
        ``roc_auc``, ``average_precision``, ``precision_at_10``, ``log_loss``, ``log_loss_ratio`` (over that
        of the learned share of customers) and ``prevalence``, of the test rows.
    """
    learn, test = train_test_split(
        np.arange(len(table)), test_size=TEST_SHARE, stratify=label, random_state=seed
    )
    model = fitted(learner, seed, table.iloc[learn], label.iloc[learn])
    scored = pd.DataFrame(
        {
            "id": ids.iloc[test],
            "as_of": pd.Timestamp(0),
            "label": label.iloc[test],
            "MRR": 0.0,
            MODEL: model.predict_proba(table.to_numpy()[test])[:, 1],
            BASE_RATE: label.iloc[learn].mean(),
        }
    )
    measures = weekly_measures(scored, MODEL, (TOP,)).iloc[0]
    names = ("roc_auc", "average_precision", f"precision_at_{TOP}", "prevalence")
    loss, base = (log_loss(scored["label"], scored[column]) for column in (MODEL, BASE_RATE))
    return {name: float(measures[name]) for name in names} | {"log_loss": loss, "log_loss_ratio": loss / base}


def fitted(learner: Learner, seed: int, table: pd.DataFrame, label: pd.Series) -> Any:
    """Fit what a learner gives."""
    return learner(seed).fit(table.to_numpy(), label.to_numpy())


def out_of_time(
    companies: pd.DataFrame,
    usage: pd.DataFrame,
    refits: Mapping[pd.Timestamp, Sequence[pd.Timestamp]],
    learner: Learner,
    seed: int,
    contract: Contract,
) -> pd.DataFrame:
    """Rank the prospects of past weeks, as the recipe's author would have done then.

    At each refit the recipe is fitted on the export as it stood: who was a customer, and usage known, by
    then. A company is scored by a model of the other four fifths of the companies: as in the claim, none is
    scored by a model that has seen it.

    Parameters
    ----------
    companies, usage
        Clean tables.
    refits
        The cutoffs whose prospects are scored, by the moment of the fit.
    learner
        Gives the unfitted model.
    seed
        Of the folds and the model.
    contract
        Names the columns.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``as_of`` and ``score``, a row a prospect and cutoff.
    """
    return pd.concat(
        [
            scores
            for refit, cutoffs in refits.items()
            for scores in _scores_until_refit(companies, usage, refit, cutoffs, learner, seed, contract)
        ],
        ignore_index=True,
    )


def _scores_until_refit(
    companies: pd.DataFrame,
    usage: pd.DataFrame,
    refit: pd.Timestamp,
    cutoffs: Sequence[pd.Timestamp],
    learner: Learner,
    seed: int,
    contract: Contract,
) -> Iterator[pd.DataFrame]:
    label = is_customer(companies, refit, contract)
    table = features(companies, usage, up_to(companies, refit), contract)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    held_out = np.empty(len(companies), dtype=np.int64)
    models = []
    for number, (learn, test) in enumerate(folds.split(table, label)):
        models.append(fitted(learner, seed, table.iloc[learn], label.iloc[learn]))
        held_out[test] = number
    for cutoff in cutoffs:
        on_list = prospects_at(companies, cutoff, contract).to_numpy()
        prospects = companies[on_list]
        rows = features(prospects, usage, up_to(prospects, cutoff), contract)
        score = scored_by_fold(models, held_out[on_list], rows)
        yield pd.DataFrame({"id": prospects["id"].to_numpy(), "as_of": cutoff, "score": score})


def scored_by_fold(models: Sequence[Any], held_out: NDArray[np.int64], rows: pd.DataFrame) -> Floats:
    """Score each row by the model of the fold that it was held out of."""
    score = np.empty(len(rows))
    for number, model in enumerate(models):
        of_fold = held_out == number
        if of_fold.any():
            score[of_fold] = model.predict_proba(rows.to_numpy()[of_fold])[:, 1]
    return score
