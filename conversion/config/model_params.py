"""The section ``model`` of params.yaml: the model families, their hyperparameters and search spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from conversion.config.param_types import Names, PositiveInt, Section, Share, as_tuple, must_not_repeat

MemberType = Literal["logistic_regression", "random_forest", "xgboost"]
ModelType = Literal[MemberType, "ensemble"]
Rounds = Annotated[int, Field(ge=1, le=10_000)]
Depth = Annotated[int, Field(ge=1, le=32)]
AUTO: Final = "auto"
"""Stands in ``quadratic`` for features that are chosen by the contract."""


@dataclass(frozen=True)
class Span:
    """The range in which searches and sweeps look for a hyperparameter; whole numbers if both ends are.

    Attributes
    ----------
    low, high
        The ends, both included.
    log
        Whether to draw on a log scale: as many draws between 1 and 10 as between 10 and 100.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Return whether the hyperparameter is a whole number."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class LogisticRegression(Section):
    """Hyperparameters of the family ``logistic_regression``."""

    C: Annotated[float, Span(0.0001, 1.0, log=True)] = Field(
        ge=1e-8, le=1e8, description="inverse strength of the L2 penalty"
    )
    max_iter: Rounds = Field(description="most iterations of the solver")
    quadratic: Names = Field(
        description="features whose squares and products are added; auto: the contract's numbers and ordered "
        "levels, and four of usage"
    )


class RandomForest(Section):
    """Hyperparameters of the family ``random_forest``."""

    n_estimators: Rounds = Field(description="trees")
    max_depth: Annotated[Depth | None, Span(3, 15)] = Field(
        description="largest depth of a tree; null: unbounded"
    )
    min_samples_leaf: Annotated[PositiveInt, Span(5, 100, log=True)] = Field(
        description="fewest snapshots in a leaf"
    )
    max_features: Annotated[Share, Span(0.05, 0.6, log=True)] = Field(
        description="share of features tried at a split"
    )
    monotone: bool = Field(description="hold each feature to the direction of its definition")


class XGBoost(Section):
    """Hyperparameters of the family ``xgboost``."""

    n_estimators: Annotated[Rounds, Span(50, 400, log=True)] = Field(description="boosting rounds")
    max_depth: Annotated[Depth, Span(2, 6)] = Field(description="largest depth of a tree")
    learning_rate: Annotated[Share, Span(0.01, 0.3, log=True)] = Field(description="shrinkage of each tree")
    min_child_weight: Annotated[float, Span(0.5, 50.0, log=True)] = Field(
        ge=0, le=1e6, description="smallest sum of instance hessians in a leaf"
    )
    subsample: Annotated[Share, Span(0.5, 1.0)] = Field(description="share of snapshots a tree sees")
    colsample_bytree: Annotated[Share, Span(0.2, 1.0)] = Field(description="share of features a tree sees")
    reg_lambda: Annotated[float, Span(0.1, 100.0, log=True)] = Field(
        ge=0, le=1e6, description="L2 penalty on leaf weights"
    )
    monotone: bool = Field(description="hold each feature to the direction of its definition")


class Ensemble(Section):
    """The members of the model type ``ensemble``, which averages their log-odds."""

    members: Annotated[
        tuple[MemberType, ...],
        BeforeValidator(as_tuple),
        Field(min_length=2, max_length=3),  # as many as dvc.yaml can name
        AfterValidator(must_not_repeat),
    ] = Field(description="families whose log-odds are averaged, each with its own block")


class Model(Section):
    """The model type, and the hyperparameters of each family."""

    type: ModelType = Field(description="the model family, or ensemble")
    logistic_regression: LogisticRegression
    random_forest: RandomForest
    xgboost: XGBoost
    ensemble: Ensemble

    def hyperparameters(self) -> dict[str, Any]:
        """Return the block of the chosen type; for the ensemble a dict ``members`` of its members' blocks."""
        if self.type != "ensemble":
            return dict(getattr(self, self.type).model_dump())
        return {"members": {name: getattr(self, name).model_dump() for name in self.ensemble.members}}


def model_types() -> tuple[str, ...]:
    """Return the model types that params.yaml may choose."""
    return get_args(ModelType)


def search_space(family: str) -> dict[str, Span]:
    """Return the hyperparameters of a family that can be searched, each with its range.

    Examples
    --------
    >>> search_space("logistic_regression")
    {'C': Span(low=0.0001, high=1.0, log=True)}
    """
    block: type[Section] = Model.model_fields[family].annotation  # type: ignore[assignment]
    return {
        name: span
        for name, field in block.model_fields.items()
        for span in field.metadata
        if isinstance(span, Span)
    }
