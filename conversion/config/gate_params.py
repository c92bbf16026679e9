"""The section ``gate`` of params.yaml: what a list must look like before it goes out."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from conversion.config.param_types import Section, as_tuple, must_not_repeat


class _Ascending(Section):
    @model_validator(mode="after")
    def _watched_before_stopped(self) -> _Ascending:
        watch, stop = (getattr(self, name) for name in ("watch", "stop"))
        if watch > stop:
            raise ValueError("should be ascending: watch <= stop")
        return self


class AgeBound(_Ascending):
    """The most that is usual of an age."""

    watch: int = Field(ge=0, le=3_650, description="more is watched")
    stop: int = Field(ge=0, le=3_650, description="more stops the delivery")


class Bound(_Ascending):
    """The most that is usual of a number."""

    watch: float = Field(ge=0, le=1_000, description="more is watched")
    stop: float = Field(ge=0, le=1_000, description="more stops the delivery")


class Ratio(_Ascending):
    """By what factor a number may differ from what it is compared with, upwards or downwards."""

    watch: float = Field(gt=1, le=1_000, description="a larger factor is watched")
    stop: float = Field(gt=1, le=1_000, description="a larger factor stops the delivery")


class WebhookSettings(Section):
    """How the verdict is sent to the URL in CONVERSION_GATE_WEBHOOK."""

    timeout_seconds: float = Field(gt=0, le=60, description="for each attempt")
    attempts: int = Field(ge=1, le=10, description="attempts before a warning is logged")


class Gate(Section):
    """The checks before a delivery: beyond ``watch`` a list is watched, beyond ``stop`` it stays."""

    days_old: AgeBound = Field(description="days between the end of the last complete week and today")
    model_weeks: AgeBound = Field(description="weeks between the moment the model was trained and the list's")
    weeks: int = Field(ge=4, le=52, description="weeks or lists before this one that say what is usual")
    volume_spreads: Bound = Field(
        description="how many spreads a week's volume may differ from the median of the weeks before, on a "
        "logarithmic scale; the spread is 1.4826 times the median absolute deviation"
    )
    volume_floor: float = Field(
        ge=0.01, le=1, description="least spread of a volume, as a share of it, however steady the weeks were"
    )
    holiday_weeks: Annotated[
        tuple[Annotated[int, Field(ge=1, le=53)], ...],
        BeforeValidator(as_tuple),
        Field(max_length=53),
        AfterValidator(must_not_repeat),
    ] = Field(description="ISO weeks in which a volume, and drift of what a week holds, is at most watched")
    missing_rise: Bound = Field(
        description="rise of an attribute's share of missing values, from the companies of the weeks before "
        "to the new ones, and from the last delivery to this list"
    )
    missing_most: float = Field(
        gt=0, le=1, description="largest share of missing values of an attribute; more stops the delivery"
    )
    drift: Bound = Field(
        description="population stability index of a feature, against the week before or since training"
    )
    drift_features: float = Field(
        ge=0, le=1, description="share of features beyond drift.stop that stops; fewer are watched"
    )
    prospects: Ratio = Field(description="of the number of prospects to that of recent lists")
    expected: Ratio = Field(
        description="of expected conversions, and of the expected precision of the calls, to recent lists' "
        "and to what happened"
    )
    rewritten: Bound = Field(
        description="share of the companies of the delivery a week ago whose data of that time have changed"
    )
    webhook: WebhookSettings
