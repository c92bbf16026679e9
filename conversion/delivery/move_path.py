"""Whether the models of two lists can be compared, and the features along the path between the lists."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from conversion.config.attribute_kinds import Date
from conversion.config.attribute_names import feature_name
from conversion.config.data_contract import Contract
from conversion.data.clean_tables import CleanTables
from conversion.data.timeline import known_at
from conversion.features.compute import compute_features, feature_definitions, feature_frame, levels_in
from conversion.features.definitions import FeatureSettings
from conversion.modelling.model import ConversionModel

_WORDING: Final = frozenset({"say", "sentence", "sentence_no", "unit", "decimals", "description"})
"""Keys of a contract that say what things are called, and change no feature."""


@dataclass(frozen=True)
class ThisWeek:
    """The list that goes out now.

    Attributes
    ----------
    as_of
        Its moment.
    companies
        Every prospect: ``id``, ``rank``, ``probability``, ``status``, ``place``, and where there are reasons
        ``reason_1``.
    snapshots
        ``id`` and the features of each prospect: at least the model's, better all, so that an older model
        can score them too.
    model
        That scored it.
    tables
        Clean tables as of the same moment, with encoded histories.
    settings
        What features depend on.
    """

    as_of: dt.date
    companies: pd.DataFrame
    snapshots: pd.DataFrame
    model: ConversionModel
    tables: CleanTables
    settings: FeatureSettings


def rows_of(table: pd.DataFrame, ids: pd.Index[Any]) -> pd.DataFrame:
    """Return the rows of some companies, in the order of their ids."""
    rows: pd.DataFrame = table.iloc[pd.Index(table["id"]).get_indexer(ids)].reset_index(drop=True)
    return rows


# Whether models can be compared


def comparable(
    old: ConversionModel, new: ConversionModel, frozen: pd.DataFrame, snapshots: pd.DataFrame
) -> bool:
    """Return whether each model can score what the other one read, with the same meaning of every column."""
    return (
        old.horizon_days == new.horizon_days
        and meaning(old.data_contract) == meaning(new.data_contract)
        and {feature.name for feature in new.features} <= set(frozen.columns)
        and {feature.name for feature in old.features} <= set(snapshots.columns)
    )


def meaning(contract: Contract) -> Any:
    """Return what features depend on of a contract: its usage and attributes without their wording."""
    content = contract.model_dump(mode="json")
    return _without_wording([content["usage"], content["companies"]["attributes"]])


def _without_wording(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_wording(each) for key, each in value.items() if key not in _WORDING}
    return [_without_wording(each) for each in value] if isinstance(value, list) else value


# The path


def path(
    frozen: pd.DataFrame, snapshots: pd.DataFrame, last_as_of: dt.date, now: ThisWeek
) -> tuple[pd.DataFrame, ...]:
    """Return the features at the five points from the last list to this one.

    Parameters
    ----------
    frozen, snapshots
        ``id`` and features of the same companies, in the same order, of the last list and of this one.
    last_as_of
        Moment of the last list.
    now
        This list.

    Returns
    -------
    tuple of DataFrame
        See `conversion.delivery.moves`. Days since a date grow by themselves; that is part of the fourth
        point.
    """
    then, moment = pd.Timestamp(last_as_of), pd.Timestamp(now.as_of)
    features = [each for each in feature_definitions(now.settings) if each.name in frozen]
    of_attributes = [each.name for each in features if each.column is not None]
    of_usage = [each.name for each in features if each.column is None]
    with_attributes = frozen.assign(
        **{name: _changed(frozen[name], snapshots[name], moment - then, name, now) for name in of_attributes}
    )
    ids = frozen["id"]
    corrected = _usage_features(ids, then, then, now)
    shifted = _usage_features(ids, then, moment, now)
    known = with_attributes.assign(**{name: corrected[name].array for name in of_usage})
    later = snapshots.assign(**{name: shifted[name].array for name in of_usage})
    return frozen, with_attributes, known, later, snapshots


def _changed(
    old: pd.Series[Any], new: pd.Series[Any], elapsed: pd.Timedelta, name: str, now: ThisWeek
) -> pd.Series[Any]:
    """Return the new values; of days that only time has made more, the old ones."""
    dates = now.model.data_contract.attributes_of(Date)
    if name not in {feature_name(column, date) for column, date in dates.items()}:
        return new
    return new.where(new != old + elapsed.days, old)


def _usage_features(
    ids: pd.Series[Any], known: pd.Timestamp, at: pd.Timestamp, now: ThisWeek
) -> pd.DataFrame:
    """Compute features at a moment from the usage that was over at another one."""
    tables, settings = now.tables, now.settings
    companies = companies_of(ids, tables)
    rows = tables.usage[tables.usage["id"].isin(ids)]
    rows = rows[known_at(rows[settings.time], known)]
    values = compute_features(companies, rows, pd.DatetimeIndex([at]), settings, tables.histories or None)
    return feature_frame(values[:, 0], settings, levels_in(tables.companies, settings))


def companies_of(ids: pd.Series[Any] | pd.Index[Any], tables: CleanTables) -> pd.DataFrame:
    """Return the clean rows of some companies, in the order of their ids."""
    return rows_of(tables.companies, pd.Index(ids))
