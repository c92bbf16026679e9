"""Contracts, companies and usage that tests of features are about."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number, Ordered
from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.data.attribute_block import encode_history
from conversion.data.attributes import with_attributes
from conversion.data.timeline import WEEK
from conversion.features.compute import feature_settings, levels_in
from conversion.features.definitions import FeatureSettings
from tests.contract_files import ROOT, hubspot, projects

AS_OF = pd.Timestamp("2020-02-24")
WHOLE_IDS = (3, 8, 20, 21)
TEXT_IDS = ("007", "7", "acme-2", "zz")


@cache
def workspaces() -> Contract:
    """Return a contract with every kind of attribute, histories, measures, and a module without users."""
    history = {"id": "account", "valid_from": "since"}
    attributes: dict[str, Any] = {
        "seats": {"kind": "number", "direction": 1},
        "traffic": {
            "kind": "number",
            "minimum": 1.0,
            "log": True,
            "not_applicable": 900.0,
            "counts_as": 900.0,
        },
        "spend": {"kind": "number", "not_applicable": 1e6, "history": {"table": "spend", **history}},
        "staff": {"kind": "ordered", "cuts": [10.0, 100.0], "direction": -1},
        "level": {
            "kind": "ordered",
            "levels": ["free", "team", "business"],
            "history": {"table": "levels", "value": "became", **history},
        },
        "region": {"kind": "category", "history": {"table": "regions", **history}},
        "source": {"kind": "category"},
        "partner": {"kind": "flag", "direction": 1, "history": {"table": "partners", **history}},
        "first_invoice": {"kind": "date", "direction": -1},
        "last_call": {"kind": "date", "history": {"table": "calls", **history}},
    }
    measures = {
        "stored": {"column": "gigabytes", "combine": "last", "say": "storage", "unit": "GB"},
        "Uploaded": {"column": "uploads", "combine": "sum", "direction": 1},
        "peak": {"column": "peak_load", "combine": "max"},
    }
    modules = {
        "boards": {"actions": "board_edits", "users": "board_users"},
        "forms": {"actions": "form_edits"},
        "chat": {"actions": "messages", "users": "writers", "say": "Team chat"},
    }
    return Contract.model_validate(
        {
            "companies": {
                "tables": ["accounts"],
                "id": "account",
                "ids": "text",
                "converted": "paid",
                "attributes": attributes,
            },
            "usage": {
                "table": "weeks",
                "id": "account",
                "time": "monday",
                "modules": modules,
                "measures": measures,
            },
        }
    )


CONTRACTS: dict[str, Callable[[], Contract]] = {
    "hubspot": hubspot,
    "projects": projects,
    "workspaces": workspaces,
}


class Case(NamedTuple):
    """Companies with their usage, as they stand in the clean tables, and histories as features read them."""

    companies: pd.DataFrame
    usage: pd.DataFrame
    histories: dict[str, pd.DataFrame]
    raw: pd.DataFrame  # companies before they were encoded
    raw_histories: dict[str, pd.DataFrame]  # id, since and value, before they were encoded


def settings_of(
    contract: Contract, windows: tuple[int, ...] = (1, 2, 4, 8, 13, 26), half_lives: tuple[int, ...] = (2, 6)
) -> FeatureSettings:
    """Return the settings that some windows and a contract lead to."""
    params = load_params(ROOT / "params.yaml").featurize
    return feature_settings(
        params.model_copy(update={"windows": windows, "half_lives": half_lives}), contract
    )


def modules_of(count: int, users: int) -> FeatureSettings:
    """Return settings with so many modules, the first ``users`` of them with users, and nothing else."""
    modules = {
        f"m{place}": {"actions": f"actions_m{place}", "users": f"users_m{place}" if place < users else None}
        for place in range(count)
    }
    companies = {"tables": ["accounts"], "id": "id", "ids": "whole", "converted": "paid"}
    usage = {"table": "weeks", "id": "id", "time": "week", "modules": modules}
    return settings_of(Contract.model_validate({"companies": companies, "usage": usage}))


def usage_of(contract: Contract, *rows: tuple[Any, int, list[float]]) -> pd.DataFrame:
    """Make usage rows of (id, weeks ago that the week was over, counts and measures)."""
    counts, measures = list(contract.counts), list(contract.usage.measures)
    table = pd.DataFrame([numbers for _, _, numbers in rows], columns=counts + measures, dtype="float64")
    ids = pd.Series([company for company, _, _ in rows])
    stamps = [AS_OF - (ago + 1) * WEEK for _, ago, _ in rows]
    table.insert(0, "id", ids.astype("int64" if contract.companies.ids == "whole" else "str"))
    table.insert(1, contract.usage.time, pd.Series(stamps, dtype="datetime64[us]"))
    return table.astype(dict.fromkeys(counts, "int64"))


def companies_of(contract: Contract, *ids: Any, **columns: Any) -> pd.DataFrame:
    """Make a clean table of companies; an attribute without values is missing."""
    return with_attributes(raw_companies(contract, *ids, **columns), contract)


def raw_companies(contract: Contract, *ids: Any, **columns: Any) -> pd.DataFrame:
    """Make a table of companies whose attributes are not encoded."""
    table = pd.DataFrame({"id": list(ids)})
    for name, attribute in contract.companies.attributes.items():
        values = pd.Series(columns.get(name, [None] * len(ids)), dtype=object)
        table[name] = values.astype(_dtype(attribute))
    return table


def _dtype(attribute: AnyAttribute) -> str:
    if isinstance(attribute, Number) or (isinstance(attribute, Ordered) and attribute.cuts):
        return "float64"
    if isinstance(attribute, Date):
        return "datetime64[us]"
    return "boolean" if isinstance(attribute, Flag) else "object"


@st.composite
def cases(draw: st.DrawFn, contract: Contract) -> Case:
    """Draw companies, histories, and usage in any order, some of it later than `AS_OF`."""
    ids: tuple[Any, ...] = WHOLE_IDS if contract.companies.ids == "whole" else TEXT_IDS
    count = st.sampled_from([0, 0, 0, 1, 2, 3, 40, 27_936])
    counts = st.lists(count, min_size=len(contract.counts), max_size=len(contract.counts))
    number = st.sampled_from([np.nan, np.nan, 0.0, -1.5, 2.25, 1e9])
    places = len(contract.usage.measures)
    measures = st.lists(number, min_size=places, max_size=places)
    keys = draw(st.lists(st.tuples(st.sampled_from(ids), st.integers(-4, 40)), unique=True, max_size=25))
    usage = usage_of(contract, *[(company, ago, draw(counts) + draw(measures)) for company, ago in keys])
    attributes = contract.companies.attributes
    columns = {name: [draw(_values(each)) for _ in ids] for name, each in attributes.items()}
    raw = {name: draw(_histories(ids, each)) for name, each in attributes.items() if each.history is not None}
    earlier = {name: table["value"] for name, table in raw.items()}
    companies = raw_companies(contract, *ids, **columns)
    clean = with_attributes(companies, contract, earlier)
    return Case(clean, usage, encoded(clean, raw, contract), companies, raw)


def encoded(
    companies: pd.DataFrame, raw: dict[str, pd.DataFrame], contract: Contract
) -> dict[str, pd.DataFrame]:
    """Encode histories as features read them."""
    levels = levels_in(companies, settings_of(contract))
    found = {}
    for column, table in raw.items():
        attribute = contract.companies.attributes[column]
        assert attribute.history is not None
        named = table.rename(columns={"value": attribute.history.value or column})
        named[attribute.history.value or column] = table["value"].astype(_dtype(attribute))
        found[column] = encode_history(named, column, attribute, levels)
    return found


@st.composite
def _histories(draw: st.DrawFn, ids: tuple[Any, ...], attribute: AnyAttribute) -> pd.DataFrame:
    days = st.integers(-20, 300)
    keys = draw(st.lists(st.tuples(st.sampled_from(ids), days), unique=True, max_size=8))
    return pd.DataFrame(
        {
            "id": pd.Series([company for company, _ in keys], dtype=object),
            "since": pd.Series([AS_OF - pd.Timedelta(days=ago) for _, ago in keys], dtype="datetime64[us]"),
            "value": pd.Series([draw(_values(attribute)) for _ in keys], dtype=object),
        }
    )


def _values(attribute: AnyAttribute) -> st.SearchStrategy[Any]:
    if isinstance(attribute, Number):
        beyond = 7.0 if attribute.not_applicable is None else attribute.not_applicable
        return st.sampled_from([1.0, 250.0, beyond, beyond + 1.0, np.nan])
    if isinstance(attribute, Date):
        return st.sampled_from([None, *(AS_OF - pd.Timedelta(days=ago) for ago in (-3, 0, 1, 7, 200))])
    if isinstance(attribute, Flag):
        return st.sampled_from([True, False, None])
    if isinstance(attribute, Ordered):
        return st.sampled_from([9.0, 10.0, 5e3, np.nan] if attribute.cuts else [*attribute.levels, None])
    assert isinstance(attribute, Category)
    return st.sampled_from(["BANKING", "retail", "DE", None, "??"])
