"""The sentence of every fact: from what can be seen of a company to what a rep can say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.features.attribute_sentences import attribute_templates
from conversion.features.facts import Fact
from conversion.features.observations import Company, Totals
from conversion.features.statements import Sentence
from conversion.features.totals_sentences import TOTALS_TEMPLATES
from conversion.features.usage_sentences import usage_templates

Template = Callable[[Company | Totals], Sentence | None]


def templates_of(
    facts: Sequence[Fact], contract: Contract, levels: Levels, own: Levels
) -> tuple[Template, ...]:
    """Return what writes the sentence of each fact, of a company with weeks of usage or with totals alone.

    Parameters
    ----------
    facts
        From `conversion.features.facts.facts_of`.
    contract
        Says what reps call modules, measures and attributes.
    levels
        By category, its levels in the order of their codes in observations.
    own
        By category, the levels that the model tells apart.

    Returns
    -------
    tuple of callable
        Each returns None where nothing true can be said.
    """
    usage = usage_templates(contract)
    attributes = attribute_templates(contract, levels, own)

    def template(key: str) -> Template:
        if key in attributes:
            write = attributes[key]
            return lambda company: write(company.attributes)
        of_weeks, of_totals = usage[key], TOTALS_TEMPLATES.get(key)

        def choose(company: Company | Totals) -> Sentence | None:
            if isinstance(company, Company):
                return of_weeks(company)
            return None if of_totals is None else of_totals(company)

        return choose

    return tuple(template(fact.key) for fact in facts)
