"""``params.yaml`` as strict, frozen, typed values; a wrong key stops the run with one clear message."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from conversion.errors import ParamsError

ModelType = Literal["logistic_regression", "random_forest", "xgboost"]


def _as_date(value: object) -> object:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _must_be_monday(value: dt.date) -> dt.date:
    if value.weekday() != 0:
        raise ValueError(f"must be a Monday (weeks start on Monday), {value:%Y-%m-%d} is a {value:%A}")
    return value


def _must_increase(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("must be in increasing order without repeats")
    return values


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Monday = Annotated[dt.date, BeforeValidator(_as_date), AfterValidator(_must_be_monday)]
PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
IncreasingInts = Annotated[
    tuple[PositiveInt, ...], BeforeValidator(_as_tuple), Field(min_length=1), AfterValidator(_must_increase)
]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Section(BaseModel):
    """A section of params.yaml: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Section):
    dir: str = Field(min_length=1, description="folder with the export's three tables")
    as_of: Monday | None = Field(description="time travel: the Monday 00:00 the list is made; null: latest")


class Simulate(Section):
    companies: int = Field(ge=500, le=1_000_000, description="companies of the sample export")
    weeks: int = Field(ge=30, le=520, description="weeks of usage of the sample export")
    first_week: Monday = Field(description="first usage week of the sample export")


class Clean(Section):
    deduplication: Literal["most_complete", "first", "last"] = Field(
        description="which row of a company that is listed more than once is kept"
    )


class KeepNegatives(Section):
    seen: Share = Field(description="share kept of negatives with a usage row so far")
    never_seen: Share = Field(description="share kept of negatives without any usage row so far")


class Featurize(Section):
    horizon_days: int = Field(ge=1, le=365, description="days after as_of in which a conversion counts")
    windows: IncreasingInts = Field(description="weeks of the window features")
    half_lives: IncreasingInts = Field(description="weeks, of the exponentially weighted users")
    spacing_weeks: PositiveInt = Field(description="weeks between training snapshots")
    keep_negatives: KeepNegatives
    chunk_companies: PositiveInt = Field(description="companies a block of the feature computation")


class LogisticRegression(Section):
    C: float = Field(gt=0, description="inverse strength of the L2 penalty")
    max_iter: PositiveInt = Field(description="iterations of the solver at most")
    quadratic: Names = Field(description="features whose squares and products are added")


class RandomForest(Section):
    n_estimators: PositiveInt = Field(description="trees")
    max_depth: PositiveInt | None = Field(description="depth of a tree at most; null: unbounded")
    min_samples_leaf: PositiveInt = Field(description="snapshots in a leaf at least")
    max_features: Share = Field(description="share of features tried at a split")


class XGBoost(Section):
    n_estimators: PositiveInt = Field(description="boosting rounds")
    max_depth: PositiveInt = Field(description="depth of a tree at most")
    learning_rate: Share = Field(description="shrinkage of each tree")
    min_child_weight: float = Field(ge=0, description="sum of instance hessians in a leaf at least")
    subsample: Share = Field(description="share of snapshots a tree sees")
    colsample_bytree: Share = Field(description="share of features a tree sees")
    reg_lambda: float = Field(ge=0, description="L2 penalty on leaf weights")
    monotone: bool = Field(description="hold each feature to the direction of its definition")


class Model(Section):
    type: ModelType = Field(description="the model family")
    logistic_regression: LogisticRegression
    random_forest: RandomForest
    xgboost: XGBoost


class Train(Section):
    history_weeks: PositiveInt | None = Field(description="weeks of training snapshots; null: all")
    imputation: Literal["auto", "mean", "median", "most_frequent", "zero", "constant"] = Field(
        description="how missing values are filled; auto: median of numbers, most frequent of flags and ranges"
    )
    fill_value: float = Field(description="what imputation: constant fills in")
    scaling: Literal["standard", "minmax", "robust", "none"] = Field(description="scaling of numbers")
    min_frequency: PositiveInt = Field(description="sectors with fewer training snapshots are grouped")
    calibration: Literal["none", "sigmoid", "isotonic"] = Field(
        description="how probabilities are calibrated on out-of-time predictions"
    )
    threshold: Literal["fixed", "f1", "precision", "recall"] = Field(
        description="how the decision threshold is chosen"
    )
    threshold_value: float = Field(gt=0, lt=1, description="fixed: the threshold; precision, recall: the floor")
    folds: PositiveInt = Field(description="out-of-time folds inside the training period")


class Evaluate(Section):
    first_cutoff: Monday | None = Field(description="first week of the backtest; null: half-way")
    spacing_weeks: PositiveInt = Field(description="weeks between cutoffs")
    refit_weeks: PositiveInt = Field(description="weeks between refits, a multiple of spacing_weeks")
    top_k: IncreasingInts = Field(description="list lengths of precision, recall and lift")
    bootstrap_samples: int = Field(ge=20, description="bootstrap samples of the 95 % intervals")
    cross_validation_folds: int = Field(ge=0, description="stratified folds, NOT out of time; 0: off")
    value_per_conversion: float = Field(ge=0, description="revenue of one conversion that was called in time")
    cost_per_contact: float = Field(ge=0, description="cost of one call")
    contacts_per_week: PositiveInt = Field(description="calls the reps make from each list")

    @model_validator(mode="after")
    def _refits_on_cutoffs(self) -> Evaluate:
        if self.refit_weeks % self.spacing_weeks:
            raise ValueError(
                f"refit_weeks must be a multiple of spacing_weeks ({self.spacing_weeks}), given {self.refit_weeks}"
            )
        if self.cross_validation_folds == 1:
            raise ValueError("cross_validation_folds must be 0 (off) or at least 2, given 1")
        return self


class Tiers(Section):
    very_high: float = Field(gt=0, description="least lift of tier very_high")
    high: float = Field(gt=0, description="least lift of tier high")
    medium: float = Field(gt=0, description="least lift of tier medium")

    @model_validator(mode="after")
    def _descending(self) -> Tiers:
        if not self.very_high > self.high > self.medium:
            raise ValueError("tiers must satisfy very_high > high > medium")
        return self


class Score(Section):
    format: Literal["csv", "json", "parquet"] = Field(description="file format of the lead list")
    top_n: PositiveInt = Field(description="rows of the short list")
    tiers: Tiers
    mrr_prior: float = Field(gt=0, description="conversions' worth of overall MRR in each size's estimate")


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, lt=2**32, description="seed of everything random")
    data: Data
    simulate: Simulate
    clean: Clean
    featurize: Featurize
    model: Model
    train: Train
    evaluate: Evaluate
    score: Score


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check the params file.

    Parameters
    ----------
    path
        The YAML file.

    Returns
    -------
    Params
        The checked, frozen values.

    Raises
    ------
    ParamsError
        The file is missing, is not YAML, or some keys are unknown, missing, of the wrong type or out of
        range; the message lists every such key, what was given and what is allowed.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: not found; run from the root of the project") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected the sections {', '.join(Params.model_fields)}, found {raw!r}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(dict(fault)) for fault in error.errors(include_url=False)]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from error


def _describe(fault: dict[str, Any]) -> str:
    location = tuple(fault["loc"])
    key = ".".join(map(str, location)) or "the file"
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(location[:-1]))}"
    if fault["type"] == "missing":
        return f"{key}: missing; add it"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    given = "" if isinstance(fault["input"], dict) else f"given {fault['input']!r}, "
    return f"{key}: {given}{message}"


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Params
    for name in location:
        section = section.model_fields[str(name)].annotation  # type: ignore[assignment]
    return list(section.model_fields)


def model_types() -> tuple[str, ...]:
    """Names of the model families that params.yaml may choose."""
    return get_args(ModelType)
