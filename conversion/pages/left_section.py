"""The section of the list's page on the companies that left the call list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from conversion.delivery.leavers import WHY, Leaver
from conversion.features.words import listed
from conversion.pages.layout import Site
from conversion.pages.lead_filters import NONE
from conversion.pages.lead_table import LeadTable
from conversion.pages.list_query import ListQuery
from conversion.pages.words import plural

_BECAME: Final = {
    "converted": ("became a customer", "became customers"),
    "gone": ("is no prospect any more", "are no prospects any more"),
    "objected": ("is not to be called any more", "are not to be called any more"),
    "contacted": ("was contacted and rests", "were contacted and rest"),
    "cooled": ("is no longer at the top", "are no longer at the top"),
}
"""What became of one company, and of several, by why they left."""


@dataclass(frozen=True)
class Gone:
    """A company that left, as the page shows it; it has no address where it is not on the list."""

    name: str
    address: str | None
    place_before: int
    rep: str | None
    sentence: str


@dataclass(frozen=True)
class LeftSection:
    """What the section says: how many left, what became of them, and each of them."""

    summary: str
    reasons: str
    companies: tuple[Gone, ...]


def left_section(
    left: Sequence[Leaver], query: ListQuery, table: LeadTable, site: Site
) -> LeftSection | None:
    """Return the section for a query; None: nothing is to be shown.

    It belongs to the first page of the whole list, and of the companies of one rep.
    """
    if query.page > 1 or query.search or set(query.filters) - {"rep"}:
        return None
    rep = query.filters.get("rep")
    found = [each for each in left if rep is None or (NONE if each.rep is None else each.rep) == rep]
    if not found:
        return None
    summary = f"Left the call list since the last one: {plural(len(found), 'company', 'companies')}"
    return LeftSection(summary, reasons_of(found), tuple(_gone(each, table, site) for each in found))


def reasons_of(left: Sequence[Leaver]) -> str:
    """Say what became of companies that left, the reasons in the order of `WHY`.

    Examples
    --------
    >>> one = Leaver(7, None, 3, None, "converted", "Became a customer on 3 May 2020")
    >>> reasons_of([one]), reasons_of([one, one])
    ('1 became a customer', '2 became customers')
    """
    counts = Counter(each.why for each in left)
    said = [f"{counts[why]:,} {_BECAME[why][counts[why] > 1]}" for why in WHY if counts[why]]
    return listed(said)


def _gone(leaver: Leaver, table: LeadTable, site: Site) -> Gone:
    is_there = table.position(leaver.id) is not None
    return Gone(
        name=leaver.name or str(leaver.id),
        address=site.company(leaver.id) if is_there else None,
        place_before=leaver.place_before,
        rep=leaver.rep,
        sentence=leaver.sentence,
    )
