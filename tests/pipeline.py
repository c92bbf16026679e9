"""The pure pipeline in memory, for tests: tables in, every table between the stages out, no file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from conversion.config.data_contract import Contract
from conversion.config.model_params import model_types
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.data.clean_tables import clean_tables
from conversion.data.period import export_days, find_period
from conversion.data.timeline import WEEK
from conversion.evaluation.evidence import backtest_evidence
from conversion.features import snapshots
from conversion.leads.converted import ConvertedCompanies, converted_companies
from conversion.leads.lead_list import RankedLeads
from conversion.modelling.evidence import Evidence
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import fit_at
from conversion.runtime.cli import run
from conversion.runtime.files import write_json
from stages import clean, evaluate, featurize, load, report, score, train
from tests import exports
from tests.contract_files import hubspot
from tests.exports import CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS, lay_out_contracts, tiny_export
from tests.lead_lists import Prospects, lead_list

Tables = dict[str, pd.DataFrame]

PARAMS = Path(__file__).parents[1] / "params.yaml"
MODEL_TYPES = model_types()

SMALL: dict[str, Any] = {
    "featurize__windows": [1, 4, 13],
    "featurize__half_lives": [2],
    "featurize__keep_negatives__seen": 0.5,
    "featurize__keep_negatives__never_seen": 0.2,
    "featurize__keep_negatives__shares_from": 1,
    "featurize__chunk_companies": 50,
    "features__groups": ["usage", "firmographics", "missingness"],
    "model__type": "logistic_regression",
    "model__logistic_regression__quadratic": ["size", "recency_weeks", "users_max_4w"],
    "model__random_forest__n_estimators": 10,
    "model__random_forest__max_depth": 5,
    "model__random_forest__min_samples_leaf": 5,
    "model__xgboost__n_estimators": 15,
    "model__xgboost__learning_rate": 0.3,
    "model__xgboost__min_child_weight": 1.0,
    "train__threshold": "fixed",
    "train__folds": 1,
    "evaluate__top_k": [5, 10],
    "evaluate__bootstrap_samples": 20,
    "evaluate__contacts_per_week": 5,
    "score__top_n": 10,
}


@functools.cache
def _project_params() -> Params:
    return load_params(PARAMS)


def small_params(**overrides: Any) -> Params:
    """Return the project's params, made small, with keys like ``model__type="xgboost"`` replaced."""
    values = _project_params().model_dump(mode="json")
    for path, value in (SMALL | overrides).items():
        *sections, key = path.split("__")
        section = functools.reduce(lambda node, name: node[name], sections, values)
        assert key in section, path
        section[key] = value
    return Params.model_validate(values)


def typed(tables: Tables, contract: Contract | None = None) -> Tables:
    """Return tables with the types that ``stages.load`` writes."""
    return exports.typed(tables, contract or hubspot())


class Pipeline:
    """The tables of each stage for one export; each is computed when it is first used.

    Parameters
    ----------
    tables
        An export, as `tests.exports.tiny_export` returns it; usage by week.
    params
        As in params.yaml.
    contract
        Of the export.
    """

    def __init__(self, tables: Tables, params: Params, contract: Contract | None = None) -> None:
        self.params = params
        self.contract = contract or hubspot()
        self.typed = typed(tables, self.contract)
        given = None if params.data.as_of is None else pd.Timestamp(params.data.as_of)
        converted, days = export_days(self.typed, None, self.contract)
        rows = self.typed[self.contract.usage.table]
        self.period = find_period(rows, converted, given, params.clean, self.contract, days)
        # Seconds, as the stages read it from data/clean/export.json.
        self.as_of = self.period.as_of.as_unit("s")
        self.clean, self.quarantine = clean_tables(
            self.typed, self.period, params.clean.deduplication, self.contract
        )
        self.companies, self.company_quarantine = self.clean.companies, self.quarantine.companies
        self.usage, self.usage_quarantine = self.clean.usage, self.quarantine.usage
        first_week = self.usage[self.contract.usage.time].min()
        self.weeks = snapshots.training_weeks(first_week, self.as_of, params.featurize)
        self.cutoffs = snapshots.backtest_weeks(first_week, self.as_of, params)
        shares = snapshots.kept_shares(params.featurize.keep_negatives, len(self.companies), len(self.weeks))
        featurize = params.featurize.model_copy(update={"keep_negatives": shares})
        self.recipe = snapshots.recipe_of(self.companies, featurize, self.contract)
        self.encoded = snapshots.with_encoded_histories(self.clean, self.recipe)

    def _by_chunk(self, make: Any) -> pd.DataFrame:
        size = self.params.featurize.chunk_companies
        tables = snapshots.snapshots_by_chunk(self.encoded, size, make, "snapshots")
        return pd.concat(list(tables), ignore_index=True)

    @functools.cached_property
    def train(self) -> pd.DataFrame:
        """Training snapshots."""
        recipe, seed = self.recipe, self.params.seed
        return self._by_chunk(lambda some: snapshots.training_snapshots(some, self.weeks, recipe, seed))

    @functools.cached_property
    def backtest(self) -> pd.DataFrame:
        """Every prospect at every cutoff, labelled."""
        return self._by_chunk(lambda some: snapshots.backtest_snapshots(some, self.cutoffs, self.recipe))

    @functools.cached_property
    def latest(self) -> pd.DataFrame:
        """Snapshots to score."""
        return self._by_chunk(lambda some: snapshots.prospect_snapshots(some, self.as_of, self.recipe))

    @functools.cached_property
    def model(self) -> ConversionModel:
        """The fitted model."""
        return fit_at(self.train, self.as_of, self.params, self.contract)

    @functools.cached_property
    def previous(self) -> pd.DataFrame:
        """The snapshots to score of a week before."""
        before = self.as_of - WEEK
        return self._by_chunk(lambda some: snapshots.prospect_snapshots(some, before, self.recipe))

    @functools.cached_property
    def evidence(self) -> Evidence:
        """What became of the companies on past lists, scored by the one model: quicker than a backtest."""
        known = self.backtest.dropna(subset="label")
        scored = known[["id", "as_of", "label"]].assign(
            probability=self.model.predict_proba(known)[:, 1],
            summary_only=self.model.summary_.predict_proba(known)[:, 1],
        )
        return backtest_evidence(scored, self.params.featurize.horizon_days, self.params.seed)

    @functools.cached_property
    def prospects(self) -> Prospects:
        """What the list is made of."""
        return Prospects(self.latest, self.previous, self.encoded, self.recipe.settings)

    @functools.cached_property
    def ranked(self) -> RankedLeads:
        """The lead list and the contributions."""
        return lead_list(self.model, self.prospects, self.evidence, self.params.score)

    @property
    def leads(self) -> pd.DataFrame:
        """The lead list."""
        return self.ranked.leads

    @functools.cached_property
    def converted(self) -> ConvertedCompanies:
        """The companies of the past that converted."""
        return converted_companies(self.model, self.train, self.companies, self.clean.periods)


def cut_at(tables: Tables, as_of: pd.Timestamp) -> Tables:
    """Cut an export by hand: the tables as they were at ``as_of``, when later customers were free.

    A company that converts more than once is listed once until its second conversion.
    """
    customers, others = tables[CUSTOMERS], tables[NONCUSTOMERS]
    usage = tables[USAGE_ACTIONS]
    known = customers["CLOSEDATE"] < as_of
    first = customers["CLOSEDATE"] == customers.groupby("id")["CLOSEDATE"].transform("min")
    free = customers.loc[~known & first, list(others)]
    return {
        CUSTOMERS: customers[known].reset_index(drop=True),
        NONCUSTOMERS: pd.concat([others, free], ignore_index=True),
        USAGE_ACTIONS: usage[usage["WHEN_TIMESTAMP"] + WEEK <= as_of].reset_index(drop=True),
    }


def dirty_export(seed: int = 0, companies: int = 120, weeks: int = 40) -> Tables:
    """Return a tiny export with something for each cleaning rule, spread over its whole period."""
    tables = tiny_export(seed, companies, weeks)
    customers, others = tables[CUSTOMERS].copy(), tables[NONCUSTOMERS]
    usage = tables[USAGE_ACTIONS].reset_index(drop=True)
    by_close = customers["CLOSEDATE"].sort_values().index
    customers.loc[by_close[4::6], "MRR"] = [0.0, -5.0, 0.0, -1.0, 0.0][: len(by_close[4::6])]
    again = customers.loc[by_close[1::6]].assign(MRR=900.0, EMPLOYEE_RANGE="51 to 200")
    again["CLOSEDATE"] += pd.Timedelta(days=40)
    poorer = others.iloc[3:6].assign(INDUSTRY=None, EMPLOYEE_RANGE=None)
    orphan = usage.iloc[::97].assign(id=999_999_000)
    repeated = usage.iloc[5::60].assign(ACTIONS_EMAIL=lambda table: table["ACTIONS_EMAIL"] + 3)
    stray = usage.iloc[[3]].assign(WHEN_TIMESTAMP=pd.Timestamp("2009-06-01"))
    fewer, negative = usage.index[7::70], usage.index[11::80]
    usage.loc[fewer, "USERS_EMAIL"] = usage.loc[fewer, "ACTIONS_EMAIL"] + 2
    usage.loc[negative, "ACTIONS_CRM_DEALS"] = -1
    return {
        CUSTOMERS: pd.concat([again, customers], ignore_index=True),
        NONCUSTOMERS: pd.concat([poorer, others], ignore_index=True),
        USAGE_ACTIONS: pd.concat([usage, orphan, repeated, stray], ignore_index=True),
    }


def run_stages(folder: Path, params: Params) -> str | None:
    """Run the stages after ``simulate`` in ``folder``, the working directory; return the one that stopped."""
    lay_out_contracts(folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    for stage in (load, clean, featurize, train, evaluate, score, report):
        try:
            run(stage.main)
        except SystemExit as stopped:
            return f"{stage.__name__.removeprefix('stages.')} exits {stopped.code}"
    return None


def lay_out_typed(folder: Path, tables: Tables | None = None, contract: Contract | None = None) -> None:
    """Put params.yaml, contract and typed tables (of `dirty_export`, unless given) into ``folder``."""
    contract = contract or hubspot()
    (folder / "params.yaml").write_bytes(PARAMS.read_bytes())
    (folder / "data" / "typed").mkdir(parents=True, exist_ok=True)
    for name, table in typed(dirty_export() if tables is None else tables, contract).items():
        table.to_parquet(folder / "data" / "typed" / f"{name}.parquet", index=False)
    write_json(folder / "data" / "contract.json", contract.model_dump(mode="json"))
