"""The gate's check for attributes that alone tell who has converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from conversion.delivery.gate_checks import Check, most

NAME: Final = "attribute_leaks"


def check_leaks(leaks: Mapping[str, str]) -> Check:
    """Check that `load` warned of no attribute.

    Parameters
    ----------
    leaks
        What was found, by attribute. It is watched, never stopped: only people know whether a value was set
        because a company paid.
    """
    bounds, number = most(0, len(leaks)), float(len(leaks))
    if not leaks:
        return Check(NAME, "ok", "No attribute alone tells which companies have converted.", number, bounds)
    told = "; ".join(f"{name} ({found})" for name, found in leaks.items())
    sentence = (
        f"These attributes alone tell which companies have converted: {told}. If one was set because they "
        "paid, leave it out of the contract, or name a table of its changes as its history."
    )
    return Check(NAME, "watch", sentence, number, bounds)
