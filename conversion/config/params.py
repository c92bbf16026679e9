"""The sections of params.yaml as strict, frozen values: types, ranges and meanings."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from conversion.config.deliver_params import Deliver
from conversion.config.gate_params import Gate
from conversion.config.model_params import Model
from conversion.config.param_types import (
    IncreasingInts,
    IncreasingWeeks,
    Monday,
    Money,
    Names,
    PositiveInt,
    Section,
    Share,
    Weeks,
    as_tuple,
    must_not_repeat,
)

BASELINE_WEEKS: Final = 4
"""Weeks that the baseline rules of the backtest look back."""
SAMPLE: Final = "data/sample"
"""The export that the stage ``simulate`` writes."""
DEFAULT_CONTRACT: Final = "contracts/hubspot.yaml"
"""The contract of the sample."""
FeatureGroup = Literal["usage", "firmographics", "missingness"]


class Data(Section):
    """Where the export is, and the moment as of which it is read."""

    dir: str = Field(min_length=1, max_length=1024, description="folder with the export's tables")
    contract: str = Field(
        min_length=1,
        max_length=1024,
        description="YAML file that says what the export's tables and columns are called and mean",
    )
    as_of: Monday | None = Field(description="time travel: the Monday 00:00 the list is made; null: latest")
    max_orphan_share: float = Field(
        ge=0, le=1, description="largest share of usage rows whose company is in no company table"
    )
    part_rows: int = Field(
        ge=1000,
        le=10**9,
        description="about how many usage rows a part has; bounds memory, changes no result",
    )

    @property
    def is_sample(self) -> bool:
        """Return whether the export is the simulated one, however its folder is spelled."""
        return posixpath.normpath(self.dir) == SAMPLE


class EngineParams(Section):
    """What works on the parts of the tables."""

    type: Literal["local", "dask"] = Field(description="what works on parts; changes no result")
    workers: int = Field(ge=1, le=1024, description="processes that work on parts side by side")
    address: str | None = Field(
        max_length=1024, description="a Dask scheduler, e.g. tcp://10.0.0.1:8786; null: one on this machine"
    )


class Simulate(Section):
    """The size of the sample export."""

    companies: int = Field(ge=500, le=100_000_000, description="companies of the sample export")
    weeks: int = Field(ge=30, le=520, description="weeks of usage of the sample export")
    first_week: Monday = Field(description="first usage week of the sample export")
    format: Literal["csv", "parquet"] = Field(
        description="files of the sample export; in parquet, a large table is a folder of files"
    )


class Clean(Section):
    """How the export's tables are cleaned."""

    deduplication: Literal["most_complete", "first", "last"] = Field(
        description="which row of a company that is listed more than once is kept"
    )
    max_gap_weeks: Weeks = Field(
        description="longest gap between usage weeks; beyond it, only the part with the most rows is kept"
    )
    max_weeks: int = Field(ge=26, le=5_300, description="most weeks that usage may span; more is refused")
    stray_week: float = Field(
        ge=0, le=0.5, description="a first or last week below this share of the usual rows is left out"
    )
    max_stray_rows: float = Field(
        ge=0, le=0.5, description="largest share of usage rows left out as strays; more is refused"
    )
    partial_week: float = Field(
        ge=0, le=1, description="a last week below this share of the usual volume is incomplete; 0: never"
    )
    partial_week_rows: int = Field(
        ge=10,
        le=1_000_000,
        description="active usage rows a usual week needs before the last one is judged",
    )


class KeepNegatives(Section):
    """The shares of negative training snapshots that are kept."""

    seen: Share = Field(description="share kept of negatives with a usage row so far")
    never_seen: Share = Field(description="share kept of negatives without any usage row so far")
    shares_from: int = Field(
        ge=1,
        le=10**9,
        description="training snapshots, companies times weeks, from which on the shares hold; where there "
        "are fewer, more of them are kept, in proportion",
    )


def _must_have_the_baselines(values: tuple[int, ...]) -> tuple[int, ...]:
    if BASELINE_WEEKS not in values:
        raise ValueError(
            f"should have {BASELINE_WEEKS} among them, the weeks of the rules that the model is measured by"
        )
    return values


class Featurize(Section):
    """Which snapshots and features are made."""

    horizon_days: int = Field(ge=1, le=365, description="days after as_of in which a conversion counts")
    windows: Annotated[IncreasingWeeks, AfterValidator(_must_have_the_baselines)] = Field(
        description="weeks of the window features"
    )
    half_lives: IncreasingWeeks = Field(description="half-lives in weeks of the exponentially weighted users")
    spacing_weeks: Weeks = Field(description="weeks between training snapshots")
    keep_negatives: KeepNegatives
    chunk_companies: PositiveInt = Field(description="companies in one block of the feature computation")


class Features(Section):
    """Which features the model may use."""

    groups: Annotated[
        tuple[FeatureGroup, ...],
        BeforeValidator(as_tuple),
        Field(min_length=1),
        AfterValidator(must_not_repeat),
    ] = Field(description="groups of features that the model may use")


class HyperparameterSearch(Section):
    """The search for hyperparameters inside the training period."""

    trials: int = Field(
        ge=0, le=1000, description="most hyperparameter settings to try, the given one first; 0: off"
    )


class Train(Section):
    """How the model is fitted."""

    history_weeks: Weeks | None = Field(description="weeks of training snapshots; null: all")
    max_snapshots: int = Field(
        ge=10_000,
        le=10**8,
        description="training snapshots to learn from at most; beyond it some are drawn, with weights",
    )
    recency_half_life_weeks: Weeks | None = Field(
        description="weeks in which a training snapshot's weight halves; null: all weigh the same"
    )
    imputation: Literal["auto", "mean", "median", "most_frequent", "zero", "constant"] = Field(
        description="how missing values are filled; auto: median, but most frequent for flags and levels"
    )
    fill_value: float = Field(ge=-1e9, le=1e9, description="what imputation: constant fills in")
    scaling: Literal["standard", "minmax", "robust", "none"] = Field(description="scaling of numbers")
    min_frequency: PositiveInt = Field(
        description="levels of a category with fewer training snapshots are grouped"
    )
    calibration: Literal["none", "sigmoid", "isotonic", "auto"] = Field(
        description="how probabilities are calibrated on out-of-time predictions; auto: by least log loss"
    )
    threshold: Literal["fixed", "f1", "precision", "recall"] = Field(
        description="how the decision threshold is chosen"
    )
    threshold_value: float = Field(
        gt=0, lt=1, description="fixed: the threshold; precision, recall: the floor"
    )
    folds: int = Field(ge=1, le=20, description="out-of-time folds inside the training period")
    search: HyperparameterSearch


class Evaluate(Section):
    """The backtest and its measures."""

    first_cutoff: Monday | None = Field(description="first week of the backtest; null: half-way")
    spacing_weeks: Weeks = Field(description="weeks between cutoffs")
    refit_weeks: Weeks = Field(description="weeks between refits, a multiple of spacing_weeks")
    top_k: IncreasingInts = Field(description="list lengths of precision, recall and lift")
    bootstrap_samples: int = Field(ge=20, le=10_000, description="bootstrap samples of the 95 % intervals")
    jobs: int = Field(ge=1, le=256, description="refits at once, in threads; changes no result")
    cross_validation_folds: int = Field(ge=0, le=100, description="stratified folds, NOT out of time; 0: off")
    value_per_conversion: Money | None = Field(
        description="revenue of one conversion; null: each conversion's monthly value, times value_months"
    )
    value_months: int = Field(
        ge=1, le=120, description="months for which a conversion's monthly value counts"
    )
    currency: str = Field(
        max_length=3, pattern=r"^[A-Z]{3}$", description="currency of values and costs, three letters"
    )
    cost_per_contact: Money = Field(description="cost of one call")
    contacts_per_week: PositiveInt = Field(description="calls the reps make from each list")

    @field_validator("refit_weeks")
    @classmethod
    def _refits_on_cutoffs(cls, refit_weeks: int, info: ValidationInfo) -> int:
        spacing_weeks = info.data.get("spacing_weeks")  # absent when it is itself at fault
        if spacing_weeks and refit_weeks % spacing_weeks:
            raise ValueError(f"should be a multiple of evaluate.spacing_weeks, which is {spacing_weeks}")
        return refit_weeks

    @field_validator("cross_validation_folds")
    @classmethod
    def _at_least_two_folds(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("should be 0 (off) or at least 2")
        return folds


RankShare = Annotated[float, Field(gt=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, le=1)]


class RankShares(Section):
    """The last rank of each tier, as a multiple of ``score.top_n``."""

    very_high: RankShare = Field(description="last rank of tier very_high, as a multiple of score.top_n")
    high: RankShare = Field(description="last rank of tier high, as a multiple of score.top_n")
    medium: RankShare = Field(description="last rank of tier medium, as a multiple of score.top_n")

    @model_validator(mode="after")
    def _ascending(self) -> RankShares:
        if not self.very_high < self.high < self.medium:
            raise ValueError("should be ascending: very_high < high < medium")
        return self


class TierProbabilities(Section):
    """The least probability of each tier, highest first."""

    very_high: Probability = Field(description="least probability of tier very_high")
    high: Probability = Field(description="least probability of tier high")
    medium: Probability = Field(description="least probability of tier medium")

    @model_validator(mode="after")
    def _descending(self) -> TierProbabilities:
        if not self.very_high > self.high > self.medium:
            raise ValueError("should be descending: very_high > high > medium")
        return self


class Tiers(Section):
    """Which prospects of a list are in which tier."""

    by: Literal["rank_share", "probability"] = Field(
        description="what decides the tiers of a list; the service without a list goes by probability"
    )
    rank_share: RankShares
    probability: TierProbabilities


class Score(Section):
    """The lead list."""

    format: Literal["csv", "json", "parquet"] = Field(description="file format of the lead list")
    top_n: PositiveInt = Field(description="rows of the short list")
    tiers: Tiers
    mrr_prior: float = Field(
        gt=0,
        le=1e9,
        description="conversions' worth of overall MRR in the estimate of each level of the first ordered "
        "attribute, such as the number of employees",
    )


class Tracking(Section):
    """What is logged to MLflow."""

    enabled: bool = Field(description="log each run to MLflow; changes no result")
    experiment: str = Field(min_length=1, max_length=200, description="name of the MLflow experiment")


class ConfidenceOdds(Section):
    """How far the odds must be from the threshold's, as a ratio either way, for each level of confidence."""

    high: float = Field(gt=1, le=1e9, description="least ratio of confidence high")
    medium: float = Field(gt=1, le=1e9, description="least ratio of confidence medium")

    @model_validator(mode="after")
    def _descending(self) -> ConfidenceOdds:
        if not self.high > self.medium:
            raise ValueError("should be descending: high > medium")
        return self


class Serve(Section):
    """The HTTP service."""

    max_companies: int = Field(ge=1, le=100_000, description="most companies in one POST /predict")
    max_body_bytes: int = Field(ge=1024, le=2**30, description="most bytes in a request's body")
    confidence: ConfidenceOdds
    root_path: str = Field(
        max_length=200,
        pattern=r"^(/[\w.~-]+)*$",
        description="prefix of the paths behind a proxy, like /crm/conversion; empty: none",
    )
    cors_origins: Names = Field(description="origins whose web pages may call the service; none: CORS is off")
    log_predictions: bool = Field(description="log inputs and answers as JSON lines in logs/")
    reload_seconds: float = Field(
        ge=0, le=3600, description="how often each worker looks for a new list or model; 0: never"
    )


def _must_be_a_measure(value: str) -> str:
    if not re.fullmatch(r"average_precision|log_loss|recall_at_[1-9]\d{0,5}", value, re.ASCII):
        raise ValueError("should be average_precision, log_loss or recall_at_ and a list length")
    return value


RegistryMeasure = Annotated[str, AfterValidator(_must_be_a_measure)]


class Registry(Section):
    """When a tracked run's model becomes the champion of the registered model."""

    model_name: str = Field(max_length=200, pattern=r"^[\w.-]+$", description="name of the registered model")
    measure: RegistryMeasure = Field(description="measure by which a model must beat the champion")
    least_probability: float = Field(
        ge=0.5, le=1, description="least probability that it is better than the champion"
    )


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, lt=2**32, description="seed of everything random")
    data: Data
    engine: EngineParams
    simulate: Simulate
    clean: Clean
    featurize: Featurize
    features: Features
    model: Model
    train: Train
    evaluate: Evaluate
    score: Score
    deliver: Deliver
    gate: Gate
    tracking: Tracking
    serve: Serve
    registry: Registry


def section_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the section at a path of keys; the empty path is `Params` itself."""
    section: type[BaseModel] = Params
    for name in location:
        section = section.model_fields[str(name)].annotation  # type: ignore[assignment]
    return section
