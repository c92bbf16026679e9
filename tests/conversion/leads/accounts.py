"""A few accounts of a tool for project work, and a model of them whose scores and contributions are given."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import with_attributes
from conversion.data.clean_tables import CleanTables
from conversion.features.compute import feature_settings
from conversion.features.definitions import Feature
from conversion.features.facts import attribute_fact, module_fact
from conversion.modelling.evidence import Evidence
from tests.contract_files import projects
from tests.lead_lists import Prospects
from tests.pipeline import small_params

Edit = Callable[[dict[str, Any]], object]

IDS = ("007", "acme-1", "=1+1", "0042", "p-1", "p-2", "p-3")
"""Four prospects, then three customers."""
PROSPECTS = IDS[:4]
MONDAY = pd.Timestamp("2020-02-03")
LEVELS: dict[str, tuple[str, ...]] = {"country": ("DE", "US", "Other", "Unknown")}

HEAD_COUNT = Feature(
    "log_head_count", "log of the head count", "log", "-", "ordinal", 0, "firmographics", "head_count",
    attribute_fact("head_count"),
)  # fmt: skip
HEAD_COUNT_MISSING = Feature(
    "head_count_missing", "the head count is missing", "0 or 1", "-", "flag", 0, "missingness", "head_count",
    attribute_fact("head_count"),
)  # fmt: skip
PLAN = Feature("plan", "plan", "level", "-", "ordinal", 0, "firmographics", "plan", attribute_fact("plan"))
COUNTRY = Feature(
    "country", "country", "level", "-", "category", 0, "firmographics", "country", attribute_fact("country")
)
PARTNER = Feature(
    "is_partner", "is_partner", "0 or 1", "-", "flag", 0, "firmographics", "is_partner",
    attribute_fact("is_partner"),
)  # fmt: skip
INVOICES = Feature(
    "actions_invoices_4w", "actions in Invoices", "actions", "4", "count", 1, fact=module_fact("invoices")
)


def changed(*edits: Edit) -> Contract:
    """Return the contract of the project tool, edited."""
    values = projects().model_dump(mode="json")
    for edit in edits:
        edit(values)
    return Contract.model_validate_json(json.dumps(values))


def accounts(contract: Contract | None = None, **columns: Any) -> pd.DataFrame:
    """Return a clean company table; ``columns`` are added before attributes are encoded."""
    converted = ["2019-05-01", "2019-06-01", "2019-07-01"]
    table = pd.DataFrame(
        {
            "id": list(IDS),
            "paid_since": pd.to_datetime(pd.Series([*[None] * 4, *converted])),
            "arr": [*[np.nan] * 4, 100.0, 400.0, 900.0],
            "conversion_valid": True,
            "name": ['Müller, Söhne & Co. "M"', "=SUM(A1)", " kept ", None, "a", "b", "c"],
            "owner": pd.Series([None, "Ann", "007", "-", None, None, None], dtype="str"),
            "country": pd.Series(["DE", None, "FR", "DE", "US", "US", None], dtype="str"),
            "plan": pd.Series(["free", "team", None, "business", "team", "team", "free"], dtype="str"),
            "head_count": [12.0, np.nan, 4000.0, 1.0, 5.0, 6.0, 7.0],
            "is_partner": pd.array([True, False, None, False, None, None, None], dtype="boolean"),
        }
    ).assign(**columns)
    return with_attributes(table, projects() if contract is None else contract)


def weekly_usage() -> pd.DataFrame:
    """Return clean usage: one prospect was last active without users, one never, one has no row."""
    rows = [
        ("007", MONDAY, 3, 1, 0, 2, 0),
        ("007", MONDAY - pd.Timedelta(days=7), 9, 9, 9, 9, 9),
        ("acme-1", MONDAY, 0, 4, 0, 0, 0),
        ("=1+1", MONDAY, 0, 0, 0, 0, 0),
    ]
    return pd.DataFrame(rows, columns=["id", "week", *projects().counts])


@dataclass(frozen=True)
class GivenModel:
    """Stands in for a fitted model: its probabilities and contributions are given."""

    data_contract: Contract
    features: tuple[Feature, ...]
    given_values: np.ndarray
    given_probability: np.ndarray
    given_contributions: np.ndarray
    levels: dict[str, tuple[str, ...]]
    base_log_odds_: float = -3.0

    def values(self, snapshots: pd.DataFrame) -> np.ndarray:
        """Return the values of the snapshots' companies."""
        return self.given_values[[PROSPECTS.index(each) for each in snapshots["id"]]]

    def probability_with_contributions(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is given for the rows with these values."""
        rows = [
            next(at for at, each in enumerate(self.given_values) if np.array_equal(each, row, equal_nan=True))
            for row in values
        ]
        return self.given_probability[rows], self.given_contributions[rows]

    def probability(self, values: np.ndarray) -> np.ndarray:
        """Return what is given for the rows with these values."""
        return self.probability_with_contributions(values)[0]

    def distinct(self, by_fact: np.ndarray) -> np.ndarray:
        """Return that each fact sets each company apart."""
        return np.ones_like(by_fact)


ALL = (HEAD_COUNT, HEAD_COUNT_MISSING, PLAN, COUNTRY, PARTNER, INVOICES)
VALUES = np.array(
    [
        [np.log(12.0), 0.0, 1.0, 0.0, 1.0, 1234.0],
        [np.nan, 1.0, 2.0, 3.0, 0.0, 0.0],
        [np.log(4000.0), 0.0, np.nan, 2.0, np.nan, 2.5],
        [np.log(1.0), 0.0, 3.0, 0.0, 0.0, 7.0],
    ],
    dtype=np.float32,
)
CONTRIBUTIONS = np.array(
    [
        [0.5, 0.0, -0.4, 0.3, 0.2, 0.1],
        [-0.1, 0.9, 0.3, -0.5, 0.2, 0.0],
        [-0.6, 0.0, 0.4, 0.1, -0.5, 0.2],
        [0.0, 0.1, 0.2, 0.0, 0.0, 0.8],
    ]
)


def prospects(
    companies: pd.DataFrame, previous: Sequence[str] = PROSPECTS, contract: Contract | None = None
) -> Prospects:
    """Return the four prospects a week after their last usage, with those of a week before."""
    snapshots, before = (
        pd.DataFrame({"id": pd.Series(ids, dtype="str"), "as_of": MONDAY + pd.Timedelta(days=7)})
        for ids in (PROSPECTS, previous)
    )
    tables = CleanTables(companies, weekly_usage(), pd.DataFrame(), {})
    return Prospects(
        snapshots, before, tables, feature_settings(small_params().featurize, contract or projects())
    )


EVIDENCE = Evidence.model_validate(
    {
        "horizon_days": 30,
        "lists": 9,
        "bins": [
            {"from": 0.5, "to": 1.0, "companies": 40, "converted": 10},
            {"from": 0.0, "to": 0.5, "companies": 900, "converted": 3},
        ],
        "summary_bins": [{"from": 0.0, "to": 1.0, "companies": 940, "converted": 13}],
    }
)


def given_model(contract: Contract | None = None, features: tuple[Feature, ...] = ALL) -> Any:
    """Return a model of some of the features; each prospect has other strongest reasons."""
    places = [ALL.index(feature) for feature in features]
    return GivenModel(
        data_contract=projects() if contract is None else contract,
        features=features,
        given_values=VALUES[:, places],
        given_probability=np.array([0.5, 0.02, 0.25, 0.9]),
        given_contributions=CONTRIBUTIONS[:, places],
        levels=LEVELS,
    )
