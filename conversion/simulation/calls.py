"""What calling does to the sample: contacts, and the conversions that the calls add or prevent.

Nothing of the base sample is drawn again: every number follows from a hash of the company's id. The first
call from the lists multiplies a company's hazard of the horizon of its list by ``exp(effect + spread * z)``,
z normal by company; later calls change nothing. A prospect whose hazard of the horizon is H converts with
probability 1 - exp(-H), so of those that did not convert, a call makes 1 - exp(-(ratio - 1) H) convert; if
the ratio is below 1, a conversion after the call is put off with probability 1 - ratio. Reps prefer the
companies that are more likely to convert, by what is really so and not by the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from conversion.simulation.vocabulary import CUSTOMERS, EMPLOYEE_RANGES, NONCUSTOMERS
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import Floats, Ints
from conversion.stats.portable_math import exp, log

CONTACTS: Final = "contacts"
CONTACT_COLUMNS: Final = ("id", "when", "rep", "channel", "outcome", "reason")
OUTCOMES: Final = {
    "no answer": 0.30,
    "voicemail": 0.25,
    "talked": 0.20,
    "short call": 0.05,
    "meeting": 0.10,
    "not interested": 0.10,
}
REASONS: Final = ("too small", "no budget", "uses another product")
CHANNELS: Final = ("phone", "email")
PHONE_SHARE: Final = 0.8
LEAST_CALLED: Final = 0.5
MOST_CALLED: Final = 0.95
"""Chance of a call for the company of a list that is least, and most, likely to convert."""
WORKDAYS: Final = 5
PUT_OFF_DAYS: Final = 60
MEDIAN_MRR: Final = 285.0
_LISTED: Final = ("listed", "explored")
# Each use of a hash has its own number, so that the draws are independent.
_CALLED, _DAY, _OUTCOME, _REASON, _CHANNEL, _ADDED, _ADDED_DAY, _MRR, _RATIO = range(9)


@dataclass(frozen=True)
class CallSettings:
    """What calls do.

    Attributes
    ----------
    effect, spread
        Of the log-hazard ratio of a call, by company.
    horizon_days
        How long a call works.
    seed
        Another seed draws other calls.
    end
        Of the export: from then on nothing is known.
    """

    effect: float
    spread: float
    horizon_days: int
    seed: int
    end: pd.Timestamp


class TruthOfCalls(BaseModel):
    """The truth behind the calls: ``truth_of_calls.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    log_hazard_ratio: float
    spread: float
    companies: int
    """Within the cut of at least one list, offered for a call or held back."""
    effect: float | None
    """Mean of what being offered adds, in conversions a company within the horizon of its first list."""
    effect_of_call: float | None
    """The same over those that a rep called, or would have called, from that list."""
    contacts: int
    added: int
    put_off: int


@dataclass(frozen=True)
class CalledSample:
    """The sample after the calls.

    Attributes
    ----------
    tables
        The company tables with other conversions, and ``contacts``.
    truth
        Behind it.
    """

    tables: dict[str, pd.DataFrame]
    truth: TruthOfCalls


def simulate_calls(
    tables: Mapping[str, pd.DataFrame], lists: pd.DataFrame, truth: pd.DataFrame, settings: CallSettings
) -> CalledSample:
    """Draw who is called from the delivered lists, and what that changes.

    Parameters
    ----------
    tables
        Of the base sample, days as text: ``customers`` and ``noncustomers``.
    lists
        One row a list and company that was listed, held back or explored: ``id``, ``as_of``, ``status``,
        ``rep`` (missing: none).
    truth
        Of the base sample: ``id``, ``as_of``, ``probability``.
    settings
        What calls do.
    """
    base_day = _conversion_days(tables[CUSTOMERS])
    offers = _offers(lists, truth, base_day, settings)
    first = _first_calls(offers, settings)
    new_day = _changed_days(first, settings)
    contacts = _contacts(offers, new_day, settings)
    changed = new_day.dropna(subset="new_day")
    customers, noncustomers = _changed_tables(tables, changed, settings)
    put_off = changed["new_day"] > changed["base_day"]
    return CalledSample(
        tables={CUSTOMERS: customers, NONCUSTOMERS: noncustomers, CONTACTS: contacts},
        truth=_truth(offers, first, settings).model_copy(
            update={"contacts": len(contacts), "added": int((~put_off).sum()), "put_off": int(put_off.sum())}
        ),
    )


def export_end(usage: pd.DataFrame) -> pd.Timestamp:
    """Return when the last week of usage is over; ``usage`` is the sample's table, as text."""
    return pd.Timestamp(usage["WHEN_TIMESTAMP"].max()) + pd.Timedelta(days=7)


def normal_hash(ids: pd.Series, number: int, seed: int) -> Floats:
    """Return numbers that are close to normal: the sum of twelve uniform ones, less six.

    Sums are the same on every processor, and so is what follows from them.
    """
    draws = [uniform_hash(ids.to_numpy(), number, place, seed=seed) for place in range(12)]
    return np.asarray(sum(draws) - 6.0)


def _conversion_days(customers: pd.DataFrame) -> pd.Series:
    days = pd.to_datetime(customers["CLOSEDATE"]).astype("datetime64[us]")
    return pd.Series(days.to_numpy(), index=customers["id"].to_numpy())


def _offers(
    lists: pd.DataFrame, truth: pd.DataFrame, base_day: pd.Series, settings: CallSettings
) -> pd.DataFrame:
    """Return the rows of the lists with the hazard of the horizon and who would be called when.

    Held back companies get the call that they would have had, so that the truth is known of them too.
    """
    rows = lists.merge(truth, on=["id", "as_of"], how="inner").sort_values(["as_of", "id"], ignore_index=True)
    rows["hazard"] = -log(1 - rows["probability"].to_numpy(dtype=np.float64))
    rows["base_day"] = rows["id"].map(base_day)
    keys = (rows["id"].to_numpy(), _week_numbers(rows))
    place = rows.groupby("as_of")["hazard"].rank(pct=True)
    chance = LEAST_CALLED + (MOST_CALLED - LEAST_CALLED) * place
    rows["day"] = rows["as_of"] + pd.to_timedelta(
        np.floor(WORKDAYS * uniform_hash(*keys, _DAY, seed=settings.seed)), unit="D"
    )
    # Who has converted by then is not called any more.
    open_still = ~(rows["base_day"] < rows["day"])
    rows["called"] = (uniform_hash(*keys, _CALLED, seed=settings.seed) < chance) & open_still
    return rows


def _week_numbers(rows: pd.DataFrame) -> Ints:
    return np.asarray(rows["as_of"].to_numpy(dtype="datetime64[D]").astype(np.int64) // 7)


def _first_calls(offers: pd.DataFrame, settings: CallSettings) -> pd.DataFrame:
    """Return the first call of each company, made or not, with what it does.

    ``gain`` is the change of the probability of converting within the horizon of the call's list, given the
    base sample.
    """
    first = offers[offers["called"]].drop_duplicates("id").reset_index(drop=True)
    z = normal_hash(first["id"], _RATIO, settings.seed)
    ratio = exp(settings.effect + settings.spread * z)
    hazard = first["hazard"].to_numpy()
    end = first["as_of"] + pd.Timedelta(days=settings.horizon_days)
    converts = first["base_day"] < end
    adds = 1 - exp(-np.maximum(ratio - 1, 0) * hazard)
    prevents = np.minimum(ratio - 1, 0)
    first["end"] = end
    first["gain"] = np.where(converts, prevents, adds)
    return first.assign(converts=converts)


def _changed_days(first: pd.DataFrame, settings: CallSettings) -> pd.DataFrame:
    """Add the day of conversion that a call leads to, missing where it changes nothing."""
    ids = first["id"].to_numpy()
    changes = (uniform_hash(ids, _ADDED, seed=settings.seed) < first["gain"].abs()) & first["status"].isin(
        _LISTED
    )
    left = (first["end"] - first["day"]).dt.days
    share = uniform_hash(ids, _ADDED_DAY, seed=settings.seed)
    added = first["day"] + pd.to_timedelta(np.floor(share * left), unit="D")
    put_off = first["base_day"] + pd.Timedelta(days=PUT_OFF_DAYS)
    return first.assign(new_day=added.where(~first["converts"], put_off).where(changes))


def _contacts(offers: pd.DataFrame, first: pd.DataFrame, settings: CallSettings) -> pd.DataFrame:
    """Return the calls that were made, until the company converted."""
    made = offers[offers["called"] & offers["status"].isin(_LISTED)]
    added = made["id"].map(first.set_index("id")["new_day"])
    made = made[~(added < made["day"])]
    keys = (made["id"].to_numpy(), _week_numbers(made))

    def uniform(number: int) -> Floats:
        return uniform_hash(*keys, number, seed=settings.seed)

    ends = np.cumsum(list(OUTCOMES.values()))
    place = np.minimum(np.searchsorted(ends, uniform(_OUTCOME), side="right"), len(OUTCOMES) - 1)
    outcome = np.array(list(OUTCOMES), dtype=object)[place]
    reason = np.array(REASONS, dtype=object)[np.floor(len(REASONS) * uniform(_REASON)).astype(np.int64)]
    contacts = pd.DataFrame(
        {
            "id": made["id"].to_numpy(),
            "when": made["day"].dt.strftime("%Y-%m-%d").to_numpy(),
            "rep": made["rep"].to_numpy(),
            "channel": np.where(uniform(_CHANNEL) < PHONE_SHARE, *CHANNELS),
            "outcome": outcome,
            "reason": pd.Series(reason).where(outcome == "not interested"),
        }
    )
    return contacts.sort_values(["when", "id"], ignore_index=True)[list(CONTACT_COLUMNS)]


def _changed_tables(
    tables: Mapping[str, pd.DataFrame], changed: pd.DataFrame, settings: CallSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the company tables with the new days of conversion; the other rows as they were."""
    customers, noncustomers = tables[CUSTOMERS], tables[NONCUSTOMERS]
    day = pd.Series(changed["new_day"].to_numpy(), index=changed["id"].to_numpy())
    is_over = customers["id"].isin(day.index[day >= settings.end])
    lost = customers[is_over][list(noncustomers.columns)]
    day = day[day < settings.end].dt.strftime("%Y-%m-%d")
    kept = customers[~is_over]
    other_day = kept["id"].isin(day.index)
    kept = kept.assign(CLOSEDATE=kept["CLOSEDATE"].mask(other_day, kept["id"].map(day).astype("str")))
    new = noncustomers[noncustomers["id"].isin(day.index)]
    # Of rows that are there twice, the one with the fewest gaps.
    new = new.iloc[np.argsort(new.isna().sum(axis=1).to_numpy(), kind="stable")].drop_duplicates("id")
    new = new.sort_values("id")
    added = new.assign(CLOSEDATE=new["id"].map(day).astype("str"), MRR=_mrr(new, settings))
    stay = noncustomers[~noncustomers["id"].isin(new["id"])]
    return pd.concat([kept, added[list(kept)]], ignore_index=True), pd.concat([stay, lost], ignore_index=True)


def _mrr(companies: pd.DataFrame, settings: CallSettings) -> pd.Series:
    """Draw amounts as `conversion.simulation.export.draw_mrr` does, by hash."""
    size = companies["EMPLOYEE_RANGE"].map({name: place + 1 for place, name in enumerate(EMPLOYEE_RANGES)})
    z = normal_hash(companies["id"], _MRR, settings.seed)
    # Amounts are numbers: as a text, a negative one would be written as what a spreadsheet must not run.
    mrr = np.round(MEDIAN_MRR * exp(0.08 * (size.fillna(0).to_numpy() - 4) + 0.62 * z), 2)
    return pd.Series(mrr, index=companies.index)


def _truth(offers: pd.DataFrame, first: pd.DataFrame, settings: CallSettings) -> TruthOfCalls:
    """Average what calls do over the companies within a cut, from their first list on."""
    cut = offers[offers["status"] != "explored"].drop_duplicates("id")
    entry = cut[["id", "as_of"]].merge(first, on="id", how="left", suffixes=("", "_call"))
    over = entry["as_of"] + pd.Timedelta(days=settings.horizon_days)
    days_left = (entry["end"] - entry["day"]).dt.days
    within = ((over - entry["day"]).dt.days / days_left).clip(0, 1)
    # A conversion that is put off counts only if it would have been within the horizon of the first list.
    counts = within.where(~entry["converts"].eq(True), (entry["base_day"] < over).astype(np.float64))
    # An explorer's call came before its company was within the cut.
    gain = (entry["gain"] * counts).where(entry["as_of_call"] >= entry["as_of"], 0.0)
    called = entry["as_of_call"] == entry["as_of"]
    return TruthOfCalls(
        log_hazard_ratio=settings.effect,
        spread=settings.spread,
        companies=len(entry),
        effect=_mean(gain),
        effect_of_call=_mean(gain[called]),
        contacts=0,
        added=0,
        put_off=0,
    )


def _mean(values: pd.Series) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None
