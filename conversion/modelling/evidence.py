"""Evidence: what became of companies that the backtest scored like this one."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

EVIDENCE: Final = "data/backtest/evidence.json"
"""The file that the stage `evaluate` writes."""


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EvidenceBin(_Read):
    """Companies of the backtest whose probabilities were alike."""

    least: float = Field(alias="from", ge=0, le=1, description="least probability")
    below: float = Field(alias="to", ge=0, le=1, description="the `from` of the bin above; 1 for the first")
    companies: int = Field(ge=0, description="companies, each once in a horizon's time")
    converted: int = Field(ge=0, description="those of them that converted within the horizon")


class Evidence(_Read):
    """What became of the companies on the lists of the backtest, by their probability there."""

    horizon_days: int = Field(ge=1, description="days after a list in which a conversion counts")
    lists: int = Field(ge=1, description="lists of the backtest")
    bins: list[EvidenceBin] = Field(min_length=1, description="by probability, highest first; from 1 to 0")
    summary_bins: list[EvidenceBin] = Field(
        min_length=1, description="the same by the probability from lifetime totals alone"
    )

    @model_validator(mode="after")
    def _from_one_to_zero(self) -> Evidence:
        for bins in (self.bins, self.summary_bins):
            bounds = [1.0, *(each.least for each in bins)]
            if bounds[1:-1] != sorted(set(bounds[1:-1]), reverse=True) or bounds[-1] != 0.0:
                raise ValueError("bins should descend from 1 to 0")
            if [each.below for each in bins] != bounds[:-1]:
                raise ValueError("a bin should begin where the one above ends")
        return self

    @cached_property
    def lines(self) -> EvidenceLines:
        """Return the sentences of `bins`."""
        return _lines(self.bins, self.horizon_days)

    @cached_property
    def summary_lines(self) -> EvidenceLines:
        """Return the sentences of `summary_bins`."""
        return _lines(self.summary_bins, self.horizon_days)


@dataclass(frozen=True)
class EvidenceLines:
    """The sentence of each bin.

    Attributes
    ----------
    least
        Each bin's least probability, ascending from 0.
    sentences
        One a bin.
    """

    least: tuple[float, ...]
    sentences: tuple[str, ...]

    def of(self, probability: float) -> str:
        """Return the sentence for one probability.

        Examples
        --------
        >>> bins = [{"from": 0.0, "to": 1.0, "companies": 112, "converted": 31}]
        >>> found = {"horizon_days": 30, "lists": 37, "bins": bins, "summary_bins": bins}
        >>> Evidence.model_validate(found).lines.of(0.3)
        'Of 112 companies on past lists, 31 converted within 30 days'
        """
        return self.sentences[bisect_right(self.least, probability) - 1]

    def of_each(self, probability: ArrayLike) -> list[str]:
        """Return the sentence for each of many probabilities."""
        places = np.searchsorted(self.least, np.asarray(probability), side="right") - 1
        return [self.sentences[place] for place in places.tolist()]


def _lines(bins: list[EvidenceBin], horizon_days: int) -> EvidenceLines:
    ascending = bins[::-1]
    return EvidenceLines(
        tuple(each.least for each in ascending), tuple(_sentence(each, horizon_days) for each in ascending)
    )


def _sentence(found: EvidenceBin, horizon_days: int) -> str:
    if not found.companies:
        return "No company was scored like this in the past"
    companies = "company" if found.companies == 1 else "companies"
    scored = _scored(found.least, found.below)
    converted = f"{found.converted:,}" if found.converted else "none"
    days = "1 day" if horizon_days == 1 else f"{horizon_days} days"
    return f"Of {found.companies:,} {companies} {scored}, {converted} converted within {days}"


def _scored(least: float, below: float) -> str:
    """Say between which probabilities a bin is: a lead's own may be far from its middle."""
    low, high = _percent(least), _percent(below)
    if least > 0.0 and low == high:
        return f"scored about {low} %"
    if below < 1.0:
        return f"scored {low} % to {high} %" if least > 0.0 else f"scored below {high} %"
    return f"scored {low} % or more" if least > 0.0 else "on past lists"


def _percent(probability: float) -> str:
    """Write two digits of a percentage, rounded down: what reaches a bound reaches its text too."""
    digits, _, exponent = f"{100.0 * probability:.12e}".partition("e")
    return np.format_float_positional(float(f"{digits[:3]}e{exponent}"), trim="-")
