"""What moved since the last delivery: rank, probability, and the change in log-odds split by its causes.

The change of a company is split along one path, from what the last list knew to what this one knows:

1. ``x_old``, the features of the last delivery, as they were frozen.
2. Attributes become those of now: **attributes**.
3. Usage of the same weeks becomes what is known of it now, corrected rows included: **activity**.
4. The list's moment moves on, without any new usage: **windows**.
5. Usage since then becomes known: **activity**.

Each step is the difference of a model's log-odds before and after it, the mean of the old and of the new
model. A new **model** is the difference of the two models, the mean over old and new features. The four parts
add up to ``f_new(x_new) - f_old(x_old)``, and a step in which nothing changes adds exactly nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.data.timeline import WEEK, known_at
from conversion.delivery.move_clauses import Seen
from conversion.delivery.move_path import ThisWeek, companies_of, comparable, path, rows_of
from conversion.delivery.move_sentences import Called, Change, MoveWriter, back, explorer, new
from conversion.delivery.standing import standing
from conversion.delivery.statuses import EXPLORED, OBJECTED, SUPPRESSED
from conversion.features.facts import Fact, fact_places, facts_of, sum_by_fact
from conversion.features.observations import Company, Observations, observe_table
from conversion.modelling.model import ConversionModel
from conversion.stats.numeric import Floats

PARTS: Final = ("activity", "windows", "attributes", "model")
"""What a change in log-odds is split into."""
COLUMNS: Final = (
    "id",
    "rank_before",
    "probability_before",
    "log_odds_change",
    *(f"moved_{part}" for part in PARTS),
    "moved",
)


class Delivered(Protocol):
    """The part of `conversion.delivery.ledger.Delivery` that moves depend on."""

    @property
    def as_of(self) -> dt.date:
        """Moment of the list."""

    def companies(self) -> pd.DataFrame:
        """Return every prospect of the list: ``id``, ``rank``, ``probability``, ``status``, ``place``."""

    def features(self) -> pd.DataFrame:
        """Return ``id`` and the model's features of each prospect."""

    def model(self) -> ConversionModel:
        """Return the model that scored the list."""


@dataclass(frozen=True)
class Split:
    """The changes of some companies.

    Attributes
    ----------
    ids
        Of the companies.
    parts
        By name of `PARTS`, one number a company.
    total
        What the parts add up to.
    facts
        That the new model's features measure.
    by_fact
        What each fact adds more, or less, because of what is known of the company; shape (companies, facts).
    """

    ids: pd.Index[Any]
    parts: Mapping[str, Floats]
    total: Floats
    facts: tuple[Fact, ...]
    by_fact: Floats


def moves(last: Delivered, now: ThisWeek) -> pd.DataFrame:
    """Say what changed for each company since the last delivery.

    Parameters
    ----------
    last
        The last delivery of an earlier week.
    now
        The list that goes out now.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`, in the order of the companies of now. ``rank_before`` is the place on the list
        as it was published, missing where the company was not on it; ``probability_before`` is missing where
        it was no prospect. Companies on neither call list have nothing else. The split is missing too where
        the company was no prospect, or where the two models cannot read each other's features; then
        ``log_odds_change`` alone is known, if both predict the same horizon.

    Raises
    ------
    ValueError
        The last delivery is not of an earlier moment.
    """
    if last.as_of >= now.as_of:
        raise ValueError(f"the last delivery is of {last.as_of}, which is not before {now.as_of}")
    before = last.companies()
    result, lists = _before(before, now.companies), _Lists.of(before, now)
    known = lists.ids[lists.was_prospect]
    old, frozen, snapshots = last.model(), rows_of(last.features(), known), rows_of(now.snapshots, known)
    split = None
    if comparable(old, now.model, frozen, snapshots):
        split = split_changes(old, now.model, path(frozen, snapshots, last.as_of, now))
        parts = {f"moved_{part}": values for part, values in split.parts.items()}
        result = _put(result, known, {"log_odds_change": split.total} | parts)
    elif old.horizon_days == now.model.horizon_days:
        change = _log_odds(now.model, snapshots) - _log_odds(old, frozen)
        result = _put(result, known, {"log_odds_change": change})
    texts = _sentences(last, now, lists, split)
    return _put(result, lists.ids, {"moved": pd.array(texts, dtype="str")})[list(COLUMNS)]


def _on_call_list(companies: pd.DataFrame) -> list[Any]:
    ids: list[Any] = companies.loc[companies["place"].notna(), "id"].tolist()
    return ids


def _with_status(companies: pd.DataFrame, *statuses: str) -> list[Any]:
    ids: list[Any] = companies.loc[companies["status"].isin(statuses), "id"].tolist()
    return ids


def _before(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return each company's rank and probability on the last list, and empty columns for the rest."""
    ids = now["id"]
    probability = before.set_index("id")["probability"].reindex(ids)
    return pd.DataFrame(
        {
            "id": ids.array,
            "rank_before": standing(before).reindex(ids).array,
            "probability_before": probability.to_numpy(dtype=np.float64),
            "log_odds_change": np.nan,
            **{f"moved_{part}": np.nan for part in PARTS},
            "moved": pd.Series(None, index=range(len(ids)), dtype="str"),
        }
    )


def _put(table: pd.DataFrame, ids: pd.Index[Any], columns: Mapping[str, Any]) -> pd.DataFrame:
    """Put values of some companies into their rows."""
    rows = pd.Index(table["id"]).get_indexer(ids)
    filled = {}
    for name, values in columns.items():
        column = table[name].copy()
        column.iloc[rows] = values
        filled[name] = column
    return table.assign(**filled)


# The split


def split_changes(old: ConversionModel, new: ConversionModel, points: tuple[pd.DataFrame, ...]) -> Split:
    """Split the change of each company's log-odds among `PARTS`.

    Parameters
    ----------
    old, new
        Comparable models.
    points
        From `path`.
    """
    (old_at, old_by_fact, _), (new_at, new_by_fact, facts) = (_along(model, points) for model in (old, new))
    steps = 0.5 * (np.diff(old_at, axis=0) + np.diff(new_at, axis=0))
    model = 0.5 * ((new_at[-1] - old_at[-1]) + (new_at[0] - old_at[0]))
    by_fact = [
        0.5 * (new_by_fact[fact.key] + old_by_fact.get(fact.key, new_by_fact[fact.key])) for fact in facts
    ]
    parts = {
        "activity": steps[1] + steps[3],
        "windows": steps[2],
        "attributes": steps[0],
        "model": model,
    }
    return Split(
        ids=pd.Index(points[0]["id"]),
        parts=parts,
        total=new_at[-1] - old_at[0],
        facts=facts,
        by_fact=np.array(by_fact).T.reshape(len(points[0]), len(facts)),
    )


def _along(
    model: ConversionModel, points: tuple[pd.DataFrame, ...]
) -> tuple[Floats, dict[str, Floats], tuple[Fact, ...]]:
    """Score a path at once: log-odds, shape (points, companies), and each fact's change from end to end."""
    companies, values = len(points[0]), [model.values(point) for point in points]
    contributions = model.contributions(np.concatenate(values))
    log_odds = model.base_log_odds_ + np.add.reduce(contributions, axis=1)
    facts = facts_of(model.features, model.data_contract)
    ends = contributions[-companies:] - contributions[:companies] if companies else contributions[:0]
    summed = sum_by_fact(ends, fact_places(model.features))
    by_fact = {fact.key: summed[:, place] for place, fact in enumerate(facts)}
    return log_odds.reshape(len(points), companies), by_fact, facts


def _log_odds(model: ConversionModel, features: pd.DataFrame) -> Floats:
    contributions = model.contributions(model.values(features))
    return np.asarray(model.base_log_odds_ + np.add.reduce(contributions, axis=1))


# The sentences


def _sentences(last: Delivered, now: ThisWeek, lists: _Lists, split: Split | None) -> list[str | None]:
    """Write the sentence of each company on this or the last call list; None where there is nothing to say.

    Reps do not see some companies. Explorers stand where they do by chance; their sentences keep it secret.
    """
    ids, model = lists.ids, now.model
    seen = [_observed(ids, pd.Timestamp(day), now) for day in (last.as_of, now.as_of)]
    weeks = (now.as_of - last.as_of).days // WEEK.days
    writer = MoveWriter(model.data_contract, seen[1].levels, model.levels)
    changes = {} if split is None else dict(zip(split.ids, _changes(split), strict=True))
    texts: list[str | None] = []
    for row, company in enumerate(ids):
        rank, before, reason = lists.rank[row], lists.before[row], lists.reason[row]
        called = Called(bool(lists.was_called[row]), bool(lists.is_called[row]))
        if rank is None:
            texts.append(None)
        elif not lists.was_prospect[row]:
            texts.append(new(reason, bool(lists.was_customer[row])))
        elif before is None:
            texts.append(back(reason) if lists.rested[row] else new(reason, was_customer=False))
        elif lists.explored[row]:
            texts.append(explorer(rank, before, reason, called))
        else:
            known = Seen(_weeks_of(seen[0], row), _weeks_of(seen[1], row), weeks)
            texts.append(writer.moved(rank, before, changes.get(company), known, called))
    return texts


@dataclass(frozen=True)
class _Lists:
    """Companies on this or the last call list, and where they stand on both as reps see them."""

    ids: pd.Index[Any]
    rank: list[int | None]
    before: list[int | None]
    was_prospect: NDArray[np.bool_]
    was_customer: NDArray[np.bool_]
    was_called: NDArray[np.bool_]
    is_called: NDArray[np.bool_]
    rested: NDArray[np.bool_]
    """Suppressed, or objected, at the last list."""
    explored: NDArray[np.bool_]
    """On this call list, or on the last one and no longer on this, by a draw."""
    reason: list[str | None]

    @classmethod
    def of(cls, before: pd.DataFrame, now: ThisWeek) -> _Lists:
        last_called, now_called = _on_call_list(before), _on_call_list(now.companies)
        ids = pd.Index(now.companies["id"])
        ids = ids[ids.isin([*last_called, *now_called])]
        was_called, is_called = ids.isin(last_called), ids.isin(now_called)
        drawn_before = ids.isin(_with_status(before, EXPLORED))
        rows = rows_of(now.companies, ids)
        periods = now.tables.periods
        return cls(
            ids=ids,
            rank=_plain(standing(now.companies).reindex(ids)),
            before=_plain(standing(before).reindex(ids)),
            was_prospect=ids.isin(before["id"]),
            was_customer=ids.isin(periods.loc[periods["end"].notna(), "id"]),
            was_called=was_called,
            is_called=is_called,
            rested=ids.isin(_with_status(before, SUPPRESSED, OBJECTED)),
            explored=ids.isin(_with_status(now.companies, EXPLORED)) | (drawn_before & ~is_called),
            reason=_plain(rows["reason_1"]) if "reason_1" in rows else [None] * len(ids),
        )


def _plain(values: pd.Series[Any]) -> list[Any]:
    return [None if pd.isna(value) else value for value in values.tolist()]


def _changes(split: Split) -> Iterator[Change]:
    keys = [fact.key for fact in split.facts]
    for row, by_fact in enumerate(split.by_fact.tolist()):
        parts = {name: float(values[row]) for name, values in split.parts.items()}
        yield Change(float(split.total[row]), parts, dict(zip(keys, by_fact, strict=True)))


def _observed(ids: pd.Index[Any], at: pd.Timestamp, now: ThisWeek) -> Observations:
    """Return what could be seen of companies at a moment."""
    tables = now.tables
    companies = companies_of(ids, tables)
    rows = tables.usage[tables.usage["id"].isin(ids)]
    rows = rows[known_at(rows[now.settings.time], at)]
    return observe_table(companies, rows, at, now.settings, tables.histories or None)


def _weeks_of(seen: Observations, row: int) -> Company:
    company = seen.company(row)
    assert isinstance(company, Company), "tables have weeks of usage"
    return company
