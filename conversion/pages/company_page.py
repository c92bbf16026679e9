"""The page of a company: its score, why, what it is and does, who was like it, and what if."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import pandas as pd
from markupsafe import Markup

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names, label
from conversion.config.data_contract import Contract
from conversion.features.facts import Fact
from conversion.features.words import listed
from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.leads.reasons import Explained
from conversion.pages import words
from conversion.pages.bars import Step, data_table, framed, waterfall
from conversion.pages.charts import Line, count_axis, over_weeks, share_bar
from conversion.pages.company_words import attribute_words
from conversion.pages.layout import Site, render
from conversion.pages.lead_table import LeadTable
from conversion.pages.list_page import AboutList, details_of, moved_of
from conversion.pages.similar import Similar
from conversion.pages.what_if import Field, ModuleFields
from conversion.pages.words import words_of
from conversion.stats.numeric import Floats
from conversion.stats.portable_math import exp

WEEKS: Final = 26
"""Weeks of usage in the chart and its table."""
LINES: Final = 5
"""Modules with a line of their own; others are added up."""
STEPS: Final = 8
"""Facts with a step of their own; others are added up."""
CLOSE: Final = 0.005
"""By how much the steps may miss the probability for them to say theirs: models may be calibrated after."""


@dataclass(frozen=True)
class Explanation:
    """How a score comes about: the log-odds of a typical company, and what each fact adds."""

    base: float
    facts: tuple[Explained, ...]


@dataclass(frozen=True)
class Answer:
    """What the model says of a company as it is, or as a visitor has changed it."""

    probability: float
    tier: str
    reasons: tuple[str, ...]
    caution: str | None


@dataclass(frozen=True)
class WhatIf:
    """The form, and what came of it.

    Attributes
    ----------
    attributes, modules
        Its fields.
    now
        What the model says of the company as it is.
    then
        What it says of the changed company; None: nothing was changed, or it was refused.
    refusal
        Why the change was refused, in one sentence; None: it was not.
    first_day
        Of the last week, as requests have it.
    weeks
        Weeks of history that a request may have, the last ones.
    """

    attributes: tuple[Field, ...]
    modules: tuple[ModuleFields, ...]
    now: Answer
    then: Answer | None
    refusal: str | None
    first_day: str
    weeks: int

    @property
    def difference(self) -> str:
        """By how much the probability changes, in words."""
        assert self.then is not None
        return difference_of(self.now.probability, self.then.probability)


@dataclass(frozen=True)
class Company:
    """What is known of a company beside its row of the list.

    Attributes
    ----------
    explanation
        None: the contributions are not known.
    similar
        Companies that converted, the most similar first.
    what_if
        Or why nothing can be tried, in one sentence.
    """

    explanation: Explanation | None
    similar: tuple[Similar, ...]
    what_if: WhatIf | str


def company_page(table: LeadTable, position: int, company: Company, about: AboutList, site: Site) -> str:
    """Render the page of the company at a position of the list."""
    (row,) = table.rows(np.array([position]))
    usage = usage_by_module(table, position)
    return render(
        "company.html",
        site,
        about=about,
        row=row,
        name=table.name_of(row),
        shown=table.shown,
        bar=share_bar(float(row["probability"])),
        prospects=len(table),
        was_delivered=table.was_delivered,
        moved=moved_of(row) if table.has_past else None,
        reasons=[row[name] for name in REASON_COLUMNS if row[name] is not None],
        details=details_of(table, row),
        attributes=attributes_of(table, row),
        parts=parts_of(table, row),
        activity=usage_figure(usage),
        last_active=row["last_active_week"],
        waterfall=None if company.explanation is None else waterfall_of(company.explanation, row),
        similar=[_similar(table, each) for each in company.similar],
        what_if=company.what_if if isinstance(company.what_if, WhatIf) else None,
        no_what_if=company.what_if if isinstance(company.what_if, str) else None,
        as_of=table.as_of.isoformat(),
        time=table.contract.usage.time,
    )


def difference_of(now: float, then: float) -> str:
    """Say by how much a probability changes, in points of a hundred.

    Examples
    --------
    >>> difference_of(0.25, 0.4), difference_of(0.4, 0.395), difference_of(0.1, 0.1)
    ('15 points more', '0.5 points fewer', 'no change')
    """
    points = round((then - now) * 100.0, 1)
    if not points:
        return "no change"
    return f"{abs(points):.15g} points {'more' if points > 0 else 'fewer'}"


# The company


def attributes_of(table: LeadTable, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of the company itself: its attributes, and the groups that they are in."""
    contract = table.contract
    found = []
    for name, attribute in contract.companies.attributes.items():
        text = attribute_words(row[name], attribute)
        if text is None:
            text = "not known" if row[name] is None else "not applicable"
        if isinstance(attribute, Category) and attribute.groups is not None and row[name] is not None:
            text = f"{row[encoded_names(name, attribute)[0]]} ({text})"
        found.append((words_of(label(name, attribute)), text))
    return found


@dataclass(frozen=True)
class Part:
    """How a company's fit, or activity, compares with the list."""

    title: str
    what: str
    text: str
    bar: Markup


def parts_of(table: LeadTable, row: Mapping[str, Any]) -> list[Part]:
    """Compare a company's fit and activity with those of the whole list."""
    said = {"fit": ("Fit", "what the company is"), "activity": ("Activity", "what it does")}
    parts = []
    for name, (title, what) in said.items():
        ordered = table.ordered(name)
        if ordered is not None and row[name] is not None:
            share = float(np.searchsorted(ordered, row[name], side="left")) / max(len(ordered), 1)
            parts.append(Part(title, what, better_than(share), share_bar(share)))
    return parts


def better_than(share: float) -> str:
    """Say how a company compares with a list.

    Examples
    --------
    >>> better_than(0.931), better_than(0.9995), better_than(0.0)
    ('stronger than 93 % of the list', 'among the strongest 1 % of the list', 'among the weakest of the list')
    """
    if share >= 0.99:
        return "among the strongest 1 % of the list"
    whole = int(share * 100.0)
    return f"stronger than {whole} % of the list" if whole else "among the weakest of the list"


# Usage


@dataclass(frozen=True)
class WeeklyUsage:
    """A company's usage of the last weeks, oldest first.

    Attributes
    ----------
    days
        Mondays.
    actions, users
        By module, one a week.
    """

    days: tuple[dt.date, ...]
    actions: Mapping[str, Floats]
    users: Mapping[str, Floats]


def usage_by_module(table: LeadTable, position: int) -> WeeklyUsage:
    """Return a lead's usage of the last weeks by module."""
    usage = table.contract.usage
    first = pd.Timestamp(table.as_of) - pd.Timedelta(weeks=WEEKS)
    days = pd.date_range(first, periods=WEEKS, freq="7D")
    rows = table.usage_of(position).set_index(usage.time)[list(table.contract.counts)]
    rows = rows.reindex(days, fill_value=0)
    said = {name: words_of(label(name, module)) for name, module in usage.modules.items()}
    actions = {said[name]: rows[module.actions].to_numpy(dtype=np.float64)
               for name, module in usage.modules.items()}  # fmt: skip
    users = {said[name]: rows[module.users].to_numpy(dtype=np.float64)
             for name, module in usage.modules.items() if module.users is not None}  # fmt: skip
    return WeeklyUsage(tuple(day.date() for day in days), actions, users)


def usage_figure(usage: WeeklyUsage) -> Markup | None:
    """Draw the usage by module, with its numbers to unfold; None: there was none."""
    lines = _lines(usage.actions)
    if not lines:
        return None
    days = [day.isoformat() for day in usage.days]
    shown = [words.short_day(day) for day in days]
    up = count_axis("actions a week", list(chain.from_iterable(usage.actions.values())))
    chart = over_weeks(f"Actions a week by module over {len(days)} weeks", days, shown, up, lines)
    caption = "Actions of each week" + (", and in brackets how many people did them" if usage.users else "")
    numbers = data_table(caption, ["Week of", *usage.actions], _numbers(usage, days))
    how = "Each point is the week that begins on that Monday; a line that rises is a team that does more."
    return framed("Use of the product, week by week", chart, how, numbers, level=2)


def _numbers(usage: WeeklyUsage, days: Sequence[str]) -> list[list[str]]:
    """Return the rows of the chart's table, the last week first."""
    rows = []
    for at in range(len(days) - 1, -1, -1):
        cells = [words.long_day(days[at])]
        for title, actions in usage.actions.items():
            users = usage.users.get(title)
            people = f" ({users[at]:,.0f})" if users is not None and users[at] else ""
            cells.append(f"{actions[at]:,.0f}{people}")
        rows.append(cells)
    return rows


def _lines(by_module: Mapping[str, Floats]) -> list[Line]:
    """Return a line for each module in use, the busiest first, and one for the others together."""
    used = sorted(
        (title for title, values in by_module.items() if values.any()),
        key=lambda title: -by_module[title].sum(),
    )
    lines = [
        Line(title, by_module[title].tolist(), kind=kind) for kind, title in enumerate(used[:LINES], start=1)
    ]
    if len(used) > LINES:
        others = np.sum([by_module[title] for title in used[LINES:]], axis=0)
        lines.append(Line("other modules", others.tolist(), kind=LINES + 1))
    return lines


# How the score comes about


def waterfall_of(explanation: Explanation, row: Mapping[str, Any]) -> Markup:
    """Draw how the score of a typical company becomes this one's, fact by fact."""
    ordered = sorted(explanation.facts, key=lambda fact: -abs(fact.contribution))
    notes = _said_once(ordered[:STEPS])
    steps = [(fact.fact.title, fact.contribution, note) for fact, note in zip(ordered, notes, strict=False)]
    if rest := ordered[STEPS:]:
        steps.append(("Everything else", sum(fact.contribution for fact in rest), ""))
    stands = explanation.base + np.cumsum([0.0, *(value for _, value, _ in steps)])
    shares = 1.0 / (1.0 + exp(-stands))
    probability = float(row["probability"])
    exact = abs(float(shares[-1]) - probability) <= CLOSE
    texts = [words.percent(float(share)) if exact else "" for share in shares]
    drawn = [
        Step(name, value, text if exact else "raises" if value > 0 else "lowers", note)
        for (name, value, note), text in zip(steps, texts[1:], strict=True)
    ]
    return waterfall(
        "From a typical company to this one",
        ("What is known", "Probability then" if exact else "What it does"),
        Step("A typical company", float(stands[0]), texts[0]),
        drawn,
        Step("This company", float(stands[-1]), words.percent(probability)),
    )


def _said_once(facts: Sequence[Explained]) -> list[str]:
    """Return each fact's sentence, or nothing where a fact before it has the same one.

    How many people use the product is said of the module with the most people, and so is that module's use.
    """
    sentences = [fact.sentence or "" for fact in facts]
    return ["" if sentence in sentences[:place] else sentence for place, sentence in enumerate(sentences)]


# Similar companies


@dataclass(frozen=True)
class SimilarRow:
    """What the page says of a similar company."""

    name: str
    converted: str
    shared: str


def _similar(table: LeadTable, each: Similar) -> SimilarRow:
    titles = [_in_a_sentence(fact, table.contract) for fact in each.shared]
    shared = f"Alike in {listed(titles)}" if titles else "Alike as a whole"
    return SimilarRow(
        table.name_of(each.row),
        words.long_day(pd.Timestamp(each.row["converted"]).date().isoformat()),
        shared,
    )


def _in_a_sentence(fact: Fact, contract: Contract) -> str:
    """Write the title of a fact as it stands within a sentence; what an attribute is called may be a name."""
    of, _, name = fact.key.partition(":")
    attribute = contract.companies.attributes.get(name) if of == "attribute" else None
    title = fact.title[:1].lower() + fact.title[1:] if attribute is None else label(name, attribute)
    return title.replace("_", " ")
