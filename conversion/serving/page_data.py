"""What the pages show: the served list as a table, and what is known of one company of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from pydantic import ValidationError

from conversion.config.attribute_kinds import Category
from conversion.features.facts import Fact, facts_of
from conversion.leads.lead_columns import BASE
from conversion.leads.reasons import Explained
from conversion.pages.company_page import Answer, Company, Explanation, WhatIf
from conversion.pages.lead_table import LeadTable
from conversion.pages.list_page import AboutList
from conversion.pages.list_query import QueryError
from conversion.pages.similar import Converted, Similar
from conversion.pages.what_if import Json, attribute_fields, changed, count_fields, last_week
from conversion.serving.lead_pages import LeadList, usage_weeks
from conversion.serving.message_types import MAX_WEEKS
from conversion.serving.messages import History, Prediction
from conversion.serving.predictor import predict, predict_and_explain
from conversion.serving.refusals import RefusalError, refusal_of
from conversion.serving.state import ServiceState

OTHER_MODEL: Final = (
    "Another model made this list than the one that answers now, so nothing can be tried until the pipeline "
    "has run again."
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

    @property
    def table(self) -> LeadTable:
        """The list, as it is searched and sorted."""
        return self.leads.table

    @cached_property
    def about(self) -> AboutList:
        """What the list's page says of the list."""
        record = self.state.track_record
        served = self.state.served_list
        assert served is not None
        return AboutList(
            version=served.model_version,
            of_served_model=served.of_served_model,
            record=None if record is None else record.line,
            horizon_days=self.leads.files.evidence.horizon_days,
            currency="" if record is None else record.business.currency,
            scorecard=None if self.state.scorecard is None else self.state.scorecard.line,
            left=self.state.left or (),
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
        contributions = self._contributions(position)
        history = self._history(position) if self.about.of_served_model else None
        now = None if history is None else self._now(history)
        sentences: dict[str, str | None] = {}
        what_if: WhatIf | str = OTHER_MODEL
        if isinstance(now, str):
            what_if = now
        elif history is not None and now is not None:
            answer, sentences = now
            what_if = self._what_if(history, answer, given)
        return Company(
            explanation=self._explanation(position, contributions, sentences),
            similar=self._similar(position, contributions),
            what_if=what_if,
        )

    @cached_property
    def _facts(self) -> tuple[Fact, ...]:
        """The facts that the list's contributions are of; none if another model's."""
        model = self.state.predictor.model
        facts = facts_of(model.features, model.data_contract)
        columns = set(self.leads.contribution_columns)
        columns &= set(self.leads.files.converted_contributions.columns)
        return facts if columns.issuperset(fact.key for fact in facts) else ()

    @cached_property
    def _converted(self) -> Converted:
        files = self.leads.files
        return Converted(files.converted, files.converted_contributions, self._facts)

    def _contributions(self, position: int) -> list[float]:
        added = self.leads.contributions_of(position)
        return [added[fact.key] for fact in self._facts]

    def _explanation(
        self, position: int, contributions: Sequence[float], sentences: Mapping[str, str | None]
    ) -> Explanation | None:
        """Return what each fact adds to a score, with the sentences that there are."""
        if not self._facts:
            return None
        facts = zip(self._facts, contributions, strict=True)
        return Explanation(
            base=self.leads.contributions_of(position)[BASE],
            facts=tuple(Explained(fact, sentences.get(fact.key), added) for fact, added in facts),
        )

    def _similar(self, position: int, contributions: Sequence[float]) -> tuple[Similar, ...]:
        if not self._facts:
            return ()
        company_id = self.table.id_at(position)
        return self._converted.nearest(contributions, company_id)

    # What if

    def _now(self, history: Json) -> tuple[Answer, dict[str, str | None]] | str:
        """Predict a company as it is, with a sentence on each fact; or say why it cannot be predicted."""
        company = self._validated(history)
        if isinstance(company, str):
            return company
        try:
            prediction, explained = predict_and_explain(self.state.predictor, company)
        except RefusalError as error:
            return str(error)
        return _answer_of(prediction), {each.fact.key: each.sentence for each in explained}

    def _what_if(self, history: Json, now: Answer, given: Given) -> WhatIf:
        """Return the form and what came of it."""
        contract, as_of = self.table.contract, self.leads.as_of
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
        """The levels to choose from, by category: those of its groups, or those that the model knows."""
        predictor, found = self.state.predictor, {}
        for column, category in self.table.contract.attributes_of(Category).items():
            grouped = [level for levels in category.levels_by_group.values() for level in levels]
            known = grouped or [level for level in predictor.levels[column] if level != category.unknown]
            found[column] = tuple(sorted(dict.fromkeys(known), key=str.casefold))
        return found

    def _history(self, position: int) -> Json:
        """Return the request of a company as it is; a request has a limited number of weeks."""
        leads, contract = self.leads, self.table.contract
        (row,) = self.table.rows(np.array([position]))
        weeks = usage_weeks(self.table.usage_of(position), self.state.messages)
        return {
            "id": self.table.id_at(position),
            "as_of": leads.as_of.isoformat(),
            **{column: row[column] for column in contract.companies.attributes},
            "usage": [week.model_dump(mode="json") for week in weeks[-MAX_WEEKS:]],
        }

    def _validated(self, history: Json) -> History | str:
        """Read a request, or say what is wrong with it."""
        try:
            return self.state.messages.history.model_validate_json(json.dumps(history))
        except ValidationError as error:
            return str(refusal_of(error))

    def _answer(self, history: Json) -> Answer | str:
        """Predict a company, or say why it cannot be predicted."""
        company = self._validated(history)
        if isinstance(company, str):
            return company
        try:
            (prediction,) = predict(self.state.predictor, [company], [""])
        except RefusalError as error:
            return str(error)
        return _answer_of(prediction)


def _answer_of(prediction: Prediction) -> Answer:
    return Answer(
        probability=prediction.conversion_probability,
        tier=prediction.tier,
        reasons=tuple(prediction.reasons),
        caution=prediction.caution,
    )
