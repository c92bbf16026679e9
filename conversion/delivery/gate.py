"""The gate: checks of what a list was made from and of what it promises, with one verdict."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.gate_params import WebhookSettings
from conversion.config.params import Params
from conversion.data.timeline import WEEK
from conversion.delivery.gate_checks import Check, Status, worst
from conversion.delivery.gate_drift import (
    check_missing_features,
    check_past,
    check_training_drift,
    check_weekly_drift,
)
from conversion.delivery.gate_forecast import check_expected, check_precision, check_prospects
from conversion.delivery.gate_inputs import GateInputs, read_gate_inputs, week_before
from conversion.delivery.gate_leaks import check_leaks
from conversion.delivery.gate_volumes import check_age, check_missing, check_model_age, check_volumes
from conversion.delivery.gate_webhook import notify
from conversion.runtime.files import write_json

__all__ = ["FILE", "STOPPED", "Check", "Gate", "GateInputs", "check", "read_gate_inputs", "tell"]

FILE: Final = "data/gate.json"
"""What monitoring reads."""
STOPPED: Final = 3
"""The exit code of a command that the gate stopped."""


@dataclass(frozen=True)
class Gate:
    """The verdict on a list.

    Attributes
    ----------
    as_of
        The moment of the list.
    status
        The worst of the checks.
    checks
        All of them.
    """

    as_of: dt.date
    status: Status
    checks: tuple[Check, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what is written for monitoring."""
        return {
            "status": self.status,
            "as_of": self.as_of.isoformat(),
            "checks": [each.as_json() for each in self.checks],
        }

    def verdict(self) -> str:
        """Return the verdict in one sentence."""
        notable = [each.name for each in self.checks if each.status == self.status]
        if self.status == "ok":
            return f"The list of {self.as_of} may go out: all {len(self.checks)} checks are ok."
        names = ", ".join(notable)
        if self.status == "watch":
            return f"The list of {self.as_of} may go out, but look at: {names}."
        return f"The list of {self.as_of} must not go out: {names}."


def check(inputs: GateInputs, params: Params, now: dt.datetime) -> Gate:
    """Check a list before it goes out.

    Parameters
    ----------
    inputs
        What it was made from, and what is known of earlier lists.
    params
        Of params.yaml; section ``gate`` has the bounds.
    now
        The moment of the delivery, with its zone. Its day is that of the contract's zone, where weeks begin.
    """
    zone = inputs.contract.usage.time_zone
    # UTC is known even where the system has no zones.
    today = now.astimezone(dt.UTC if zone == "UTC" else zoneinfo.ZoneInfo(zone)).date()
    checks = tuple(_checks(inputs, params, today))
    return Gate(inputs.as_of, worst(each.status for each in checks), checks)


def tell(gate: Gate, root: Path, environment: Mapping[str, str], webhook: WebhookSettings) -> None:
    """Write the verdict for monitoring, and send it; see `conversion.delivery.gate_webhook.notify`."""
    write_json(root / FILE, gate.as_json())
    notify(environment, gate.as_json(), webhook)


def _checks(inputs: GateInputs, params: Params, today: dt.date) -> Iterator[Check]:
    settings, as_of = params.gate, pd.Timestamp(inputs.as_of)
    tables = inputs.companies, inputs.usage, as_of, inputs.contract, settings
    yield check_age(inputs.as_of, today, settings, _ageless(params))
    yield check_model_age(inputs.as_of, inputs.trained_as_of, settings)
    yield from check_volumes(*tables)
    yield from check_missing(*tables)
    yield check_leaks(inputs.leaks)
    in_holidays = (as_of - WEEK).isocalendar().week in settings.holiday_weeks
    at_worst: Status = "watch" if in_holidays else "stop"
    yield check_weekly_drift(inputs.latest, inputs.previous, inputs.features, settings, at_worst)
    yield check_training_drift(inputs.drift, settings)
    yield from check_past(week_before(inputs), inputs.previous, settings)
    yield check_missing_features(inputs.delivered, inputs.latest, settings)
    yield check_prospects(len(inputs.latest), *_last_length(inputs), settings)
    yield check_expected(inputs.probability, inputs.past, settings)
    yield check_precision(inputs.probability, inputs.calls, inputs.past, settings)


def _last_length(inputs: GateInputs) -> tuple[int, dt.date]:
    """Return how many prospects the last delivery had, else how many there were a week before; and when."""
    if inputs.delivered is not None:
        return len(inputs.delivered.features), inputs.delivered.as_of
    return len(inputs.previous), inputs.as_of - dt.timedelta(days=7)


def _ageless(params: Params) -> str | None:
    """Return why the age of the export says nothing; None: it does."""
    if params.data.as_of is not None:
        return f"data.as_of is set to {params.data.as_of}, so the list is of the past on purpose"
    if params.data.is_sample:
        return "the export is the project's sample, whose dates are always the same"
    return None
