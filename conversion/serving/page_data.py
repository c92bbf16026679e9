"""What the pages show: the served list as a table, and what is known of one company of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pydantic import ValidationError

from conversion.config.attribute_kinds import Category
from conversion.features.facts import Fact, facts_of
from conversion.pages.company_page import Answer, Company, Explanation, WhatIf, explanation_of
from conversion.pages.lead_table import LeadTable
from conversion.pages.list_page import About
from conversion.pages.list_query import QueryError
from conversion.pages.similar import Converted, Similar
from conversion.pages.what_if import History, attribute_fields, changed, count_fields, last_week
from conversion.serving.lead_pages import LeadList, find_lead
from conversion.serving.predictor import predict
from conversion.serving.refusals import RefusalError, refusal_of
from conversion.serving.message_types import MAX_WEEKS
from conversion.serving.state import ServiceState

OTHER_MODEL: Final = (
    "Another model made this list than the one that answers now, so nothing can be tried until the pipeline has "
    "run again."
)

Given = Sequence[tuple[str, str]]
"""The parameters of a query."""


@dataclass(frozen=True)
class PageData:
    """What the pages of a served list show.

    Attributes
    ----------
    state
        What the service answers from.
    leads
        Its list.
    """

    state: ServiceState
    leads: LeadList

    @cached_property
    def table(self) -> LeadTable:
        """The list, as it is searched and sorted."""
        leads = self.leads
        return LeadTable(leads.leads, leads.usage, leads.messages.contract, leads.as_of)

    @cached_property
    def about(self) -> About:
        """What the list's page says of the list."""
        record = self.state.track_record
        served = self.state.served_list
        assert served is not None
        return About(
            version=served.model_version,
            of_served_model=served.of_served_model,
            record=None if record is None else record.line,
            horizon_days=self.leads.evidence.horizon_days,
            currency="" if record is None else record.business.currency,
        )

    # One company

    def position(self, text: str) -> int | None:
        """Return the position of the company that a path names; None: it is not on the list."""
        try:
            company_id = self.state.messages.lead_path.model_validate_strings({"id": text}).id
        except ValidationError:
            return None
        return self.table.position(company_id)

    def company(self, position: int, given: Given) -> Company:
        """Return what is known of a company beside its row, and what becomes of it with the given changes."""
        return Company(
            explanation=self._explanation(position),
            similar=self._similar(position),
            what_if=self._what_if(position, given),
        )

    @cached_property
    def _facts(self) -> tuple[Fact, ...]:
        """The facts that the list's contributions are of; none if another model's."""
        model = self.state.predictor.model
        facts = facts_of(model.features, model.data_contract)
        columns = set(self.leads.contributions.columns) & set(self.leads.converted_contributions.columns)
        return facts if columns.issuperset(fact.key for fact in facts) else ()

    @cached_property
    def _converted(self) -> Converted:
        leads = self.leads
        return Converted(leads.converted, leads.converted_contributions, self._facts)

    def _contributions(self, position: int) -> list[float]:
        row = self.leads.contributions[[fact.key for fact in self._facts]].iloc[position]
        return [float(value) for value in row]

    def _explanation(self, position: int) -> Explanation | None:
        if not self._facts:
            return None
        base = float(self.leads.contributions["base"].iloc[position])
        titles = [fact.title for fact in self._facts]
        return explanation_of(base, titles, [None] * len(titles), self._contributions(position))

    def _similar(self, position: int) -> tuple[Similar, ...]:
        if not self._facts:
            return ()
        company_id = self.leads.leads["id"].iloc[position]
        return self._converted.nearest(self._contributions(position), company_id)

    # What if

    def _what_if(self, position: int, given: Given) -> WhatIf | str:
        """Return the form and what came of it, or why there is none."""
        if not self.about.of_served_model:
            return OTHER_MODEL
        contract, as_of = self.table.contract, self.leads.as_of
        history = self._history(position)
        now = self._answer(history)
        if isinstance(now, str):
            return now
        then: Answer | str | None = None
        if given:
            try:
                history = changed(history, given, contract, as_of)
                then = self._answer(history)
            except QueryError as error:
                then = str(error)
        return WhatIf(
            attributes=attribute_fields(contract, history, self._levels),
            modules=count_fields(contract, history, as_of),
            now=now,
            then=then if isinstance(then, Answer) else None,
            refusal=then if isinstance(then, str) else None,
            first_day=last_week(contract, as_of),
            weeks=MAX_WEEKS,
        )

    @cached_property
    def _levels(self) -> dict[str, tuple[str, ...]]:
        """The levels that visitors choose from, by category: those of its groups, or those that the model knows."""
        predictor, found = self.state.predictor, {}
        for column, category in self.table.contract.attributes_of(Category).items():
            grouped = [level for levels in category.levels_by_group.values() for level in levels]
            known = grouped or [level for level in predictor.levels[column] if level != category.unknown]
            found[column] = tuple(sorted(dict.fromkeys(known), key=str.casefold))
        return found

    def _history(self, position: int) -> History:
        """Return the request of a company as it is."""
        leads, contract = self.leads, self.table.contract
        lead = find_lead(leads, self.table.id_at(position))
        assert lead is not None, "the position is on the list"
        values = lead.model_dump(mode="json")
        first = (leads.as_of - dt.timedelta(weeks=MAX_WEEKS + 1)).isoformat()
        return {
            "id": values["id"],
            "as_of": leads.as_of.isoformat(),
            **{column: values[column] for column in contract.companies.attributes},
            "usage": [week for week in values["usage"] if week[contract.usage.time] > first],
        }

    def _answer(self, history: History) -> Answer | str:
        """Predict a company, or say why it cannot be predicted."""
        try:
            company = self.state.messages.history.model_validate_json(json.dumps(history))
            (prediction,) = predict(self.state.predictor, [company], [""])
        except ValidationError as error:
            return str(refusal_of(error))
        except RefusalError as error:
            return str(error)
        return Answer(
            probability=prediction.conversion_probability,
            tier=prediction.tier,
            reasons=tuple(prediction.reasons),
            caution=getattr(prediction, "caution", None),
        )
