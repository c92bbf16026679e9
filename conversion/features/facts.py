"""Facts about a company: what several features measure together, and a person would say once.

Windows, averages and totals of the same thing are one fact, as are an attribute's value, its flag and whether
it is missing. Contributions are summed over facts, so that each fact speaks once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from conversion.config.attribute_names import label
from conversion.config.data_contract import Contract
from conversion.features.definitions import Feature
from conversion.features.words import capitalised
from conversion.stats.numeric import Floats

ACTIONS: Final = "actions"
PEOPLE: Final = "people"
GROWTH: Final = "growth"
RECENCY: Final = "recency"
REGULARITY: Final = "regularity"
TENURE: Final = "tenure"
MODULES: Final = "modules"
TITLES: Final = {
    ACTIONS: "How much they do",
    PEOPLE: "How many people use it",
    GROWTH: "Growth",
    RECENCY: "Last active",
    REGULARITY: "How regularly they use it",
    TENURE: "How long they have used it",
    MODULES: "How many modules they use",
}
"""What each fact of usage is called; facts of modules, measures and attributes have the contract's words."""

Part = Literal["activity", "fit"]
"""Whether a fact is about what a company does (activity), or what it is (fit)."""


@dataclass(frozen=True)
class Fact:
    """One fact about a company.

    Attributes
    ----------
    key
        One of `TITLES`, or from `module_fact`, `measure_fact` or `attribute_fact`.
    title
        A few words for people.
    part
        What it is about.
    """

    key: str
    title: str
    part: Part


def module_fact(name: str) -> str:
    """Return the key of the fact of a module's use."""
    return f"module:{name}"


def measure_fact(name: str) -> str:
    """Return the key of the fact of a weekly measure."""
    return f"measure:{name}"


def attribute_fact(column: str) -> str:
    """Return the key of the fact of an attribute."""
    return f"attribute:{column}"


def facts_of(features: Sequence[Feature], contract: Contract) -> tuple[Fact, ...]:
    """List the facts that features measure, each once, in the order of its first feature."""
    return tuple(fact_of(key, contract) for key in dict.fromkeys(feature.fact for feature in features))


def fact_places(features: Sequence[Feature]) -> NDArray[np.intp]:
    """Return the place of each feature's fact among those of `facts_of`."""
    keys = list(dict.fromkeys(feature.fact for feature in features))
    return np.array([keys.index(feature.fact) for feature in features], dtype=np.intp)


def sum_by_fact(contributions: Floats, places: NDArray[np.intp]) -> Floats:
    """Sum contributions, shape (rows, features), over the features of each fact; shape (rows, facts)."""
    return summer_by_fact(places)(contributions)


def summer_by_fact(places: NDArray[np.intp]) -> Callable[[Floats], Floats]:
    """Prepare `sum_by_fact` for many calls."""
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    return lambda contributions: np.asarray(
        np.add.reduceat(contributions.take(order, axis=1), starts, axis=1)
    )


def fact_of(key: str, contract: Contract) -> Fact:
    """Return the fact of a key; KeyError if the contract does not have it."""
    if key in TITLES:
        return Fact(key, TITLES[key], "activity")
    kind, _, name = key.partition(":")
    if kind == "module":
        return Fact(key, f"Use of {label(name, contract.usage.modules[name])}", "activity")
    if kind == "measure":
        return Fact(key, capitalised(label(name, contract.usage.measures[name])), "activity")
    return Fact(key, capitalised(label(name, contract.companies.attributes[name])), "fit")
