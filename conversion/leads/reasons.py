"""Reasons for a prospect's score, and what speaks against it, as sentences that a rep can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.features.definitions import Feature
from conversion.features.facts import Fact, fact_places, facts_of, summer_by_fact
from conversion.features.observations import Company, Observations, Totals
from conversion.features.sentences import Template, templates_of
from conversion.features.statements import Sentence, clash
from conversion.stats.numeric import Floats

REASONS: Final = 3
LEAST_LOG_ODDS: Final = 0.1
"""What moves the odds by less than a tenth is not worth a sentence."""
MOST_ALIKE: Final = 2
"""Sentences of one kind that a lead may have, such as how many people worked in a module."""
LEAST_DISTINCT: Final = 0.05
"""Weight of a fact that is true of nearly every company at the top of the list."""
_TIED: Final = 1e-6  # contributions that differ by less are the same one
_DECIMALS: Final = 9  # so that the order of equally strong facts does not depend on the last bits of a sum


class Scored(Protocol):
    """The part of `conversion.modelling.model.ConversionModel` that reasons depend on."""

    features: tuple[Feature, ...]

    def distinct(self, by_fact: Floats) -> Floats:
        """Return the share of companies at the top whose contribution is smaller, by fact."""


class Told(NamedTuple):
    """What to say of a lead, strongest first; nothing where nothing speaks for or against it."""

    reasons: tuple[str, ...]
    caution: str | None
    facts: tuple[str, ...]
    """Of each reason, the key of the fact that it states."""


class Explained(NamedTuple):
    """A fact of a lead, and what it adds to the log-odds; the sentence is None where none is true."""

    fact: Fact
    sentence: str | None
    contribution: float


class ReasonWriter:
    """Writes the reasons of leads; see `reason_writer`."""

    def __init__(self, model: Scored, contract: Contract, levels: Levels) -> None:
        self._distinct, self._contract, self._levels = model.distinct, contract, levels
        self.facts = facts_of(model.features, contract)
        self._by_fact = summer_by_fact(fact_places(model.features))
        self._prepared = (levels, templates_of(self.facts, contract, levels, levels))

    def write(self, observations: Observations, contributions: Floats) -> list[Told]:
        """Choose what to say of leads.

        At most three reasons, facts that raise the score, and one caution, a fact that lowers it, are chosen
        by their contribution and by how few companies at the top have as much. A sentence whose numbers
        suggest the opposite is not said, nor one that repeats or contradicts a stronger one.

        Parameters
        ----------
        observations
            Of the leads.
        contributions
            Of the model's features, shape (leads, features).
        """
        templates = self._templates(observations.levels)
        strength = self._strength(self._by_fact(contributions))
        order = np.argsort(-np.abs(strength), axis=1, kind="stable")
        rows = zip(observations.companies(), order.tolist(), strength.tolist(), strict=True)
        keys = [fact.key for fact in self.facts]
        return [_told(company, places, strengths, templates, keys) for company, places, strengths in rows]

    def explain(self, observations: Observations, contributions: Floats, row: int) -> tuple[Explained, ...]:
        """Return every fact of one lead, the largest contribution first, in either direction."""
        templates, company = self._templates(observations.levels), observations.company(row)
        (shares,) = self._by_fact(contributions[[row]])
        order = np.argsort(-np.abs(np.round(shares, _DECIMALS)), kind="stable")
        explained = []
        for place in order.tolist():
            sentence = templates[place](company)
            text = None if sentence is None else sentence.text
            explained.append(Explained(self.facts[place], text, float(shares[place])))
        return tuple(explained)

    def _strength(self, by_fact: Floats) -> Floats:
        """Weigh contributions by how many companies at the top have less, or of those that lower, more."""
        rows = len(by_fact)
        below = self._distinct(np.concatenate((by_fact, by_fact + _TIED)))
        weight = np.where(by_fact < 0, 1.0 - below[rows:], below[:rows])
        strength = np.round(by_fact * np.maximum(weight, LEAST_DISTINCT), _DECIMALS)
        strength[np.abs(by_fact) < LEAST_LOG_ODDS] = 0.0
        return np.asarray(strength)

    def _templates(self, levels: Levels) -> tuple[Template, ...]:
        prepared, templates = self._prepared
        if levels is not prepared and levels != prepared:
            templates = templates_of(self.facts, self._contract, levels, self._levels)
            self._prepared = levels, templates
        return templates


def reason_writer(model: Scored, contract: Contract, levels: Levels) -> ReasonWriter:
    """Prepare everything that depends only on the model, to write reasons for one score or many.

    Parameters
    ----------
    model
        Fitted; or its summary model.
    contract
        Says what reps call modules, measures and attributes.
    levels
        By category, the levels that the model distinguishes.
    """
    return ReasonWriter(model, contract, levels)


def _told(
    company: Company | Totals,
    order: Sequence[int],
    strengths: Sequence[float],
    templates: Sequence[Template],
    keys: Sequence[str],
) -> Told:
    said: list[Sentence] = []
    reasons: list[str] = []
    facts: list[str] = []
    caution: str | None = None
    for place in order:
        strength = strengths[place]
        if strength == 0 or (caution is not None and len(reasons) == REASONS):
            break
        if (caution is not None) if strength < 0 else len(reasons) == REASONS:
            continue
        sentence = templates[place](company)
        if sentence is None or sentence.leaning == ("good" if strength < 0 else "bad"):
            continue
        alike = sum(sentence.says[0] == other.says[0] for other in said)
        if alike == MOST_ALIKE or any(clash(sentence, other) for other in said):
            continue
        said.append(sentence)
        if strength < 0:
            caution = sentence.text
        else:
            reasons.append(sentence.text)
            facts.append(keys[place])
    return Told(tuple(reasons), caution, tuple(facts))
