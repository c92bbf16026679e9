"""Stand-ins for models whose contributions are given, and what tests ask of every sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.features.definitions import Feature
from conversion.features.observations import Observations
from conversion.leads.reasons import Told, reason_writer
from conversion.stats.numeric import Floats

MOST_CHARACTERS = 140


@dataclass(frozen=True)
class Weighed:
    """Stands in for a fitted model: at the top, every fact (or each) contributes ``typical``."""

    features: tuple[Feature, ...]
    typical: ArrayLike = (0.0,)

    def distinct(self, by_fact: Floats) -> Floats:
        """Return the share of ``typical`` strictly below each contribution."""
        return np.asarray((np.array(self.typical) < by_fact[:, :, None]).mean(axis=2))


def told(
    observations: Observations,
    contributions: dict[Feature, float],
    contract: Contract,
    levels: Levels | None = None,
) -> Told:
    """Return what is said of the one company observed, if these features contribute so much."""
    writer = reason_writer(
        Weighed(tuple(contributions)), contract, observations.levels if levels is None else levels
    )
    (said,) = writer.write(observations, np.array([list(contributions.values())]))
    return said


def faults_of(text: str) -> list[str]:
    """Name what is wrong with a sentence's English, as far as rules tell."""
    wrong = {
        "two spaces": "  " in text or text != text.strip(),
        "no capital": not (text[:1].isupper() or text[:1].isdigit()),
        "a formula": text[:1] in "=+-@\t\r",
        "not a number": re.search(r"\b(nan|inf|None)\b", text) is not None,
        "a decimal of a count": re.search(r"\d\.0\b", text) is not None,
        "a digit for a small count": re.search(
            r"(?<![\w.,])([0-9]|1[0-2]) (weeks|people|actions|modules)", text
        )
        is not None,
        "one of several": re.search(r"\b(one|1) (weeks|people|actions|modules|employees|days)\b", text)
        is not None,
        "several of one": re.search(
            r"\b(zero|two|three|four|\d\d+) (week|person|action|module|employee|day)\b", text
        )
        is not None,
        "too long": len(text) >= MOST_CHARACTERS,
        "a full stop": text.endswith(".") and not text.endswith("..."),
        "a line break": not text.isprintable(),
    }
    return [fault for fault, is_so in wrong.items() if is_so]
