"""What the numbers say and do not say, and which rules of time hold: sentences of all that people read."""

from __future__ import annotations

from typing import Final

from conversion.config.data_contract import Contract
from conversion.pages.track_record import TrackRecord
from conversion.pages.words import money, percent, plural

CONTROL_GROUP: Final = (
    "Conversions among those called are gross: some of these companies would have converted without a "
    "call. Only a control group, companies from the top of the list that are left uncalled by chance, can "
    "tell what calling adds."
)
BACKTEST: Final = (
    "The track record is a backtest: what lists of the past would have been, had the same recipe been "
    "fitted on what was known then. It is not a record of lists that went out."
)
NO_CAUSES: Final = (
    "Reasons say which of a company's numbers move its score. They are not causes: making a company do "
    "more of it need not make it convert."
)
LUCK: Final = (
    "The intervals resample companies: they say how much luck is in the numbers, and not whether the coming "
    "months will be like the past ones."
)
FEEDBACK: Final = (
    "Once reps call by such lists, calls change what the next export shows, and the model learns from it. "
    "Write down who was called."
)

BACKTEST_RULE: Final = (
    "The backtest fits the whole recipe anew on what was known at each date, and scores every prospect of "
    "that date."
)
NO_LEAKS: Final = (
    "Neither the id, nor columns that are only shown, nor anything that exists because a company converted "
    "is a feature."
)


def caveats(record: TrackRecord, contract: Contract) -> list[str]:
    """Say what the numbers do not say."""
    days = plural(record.about.horizon_days, "day")
    later = (
        f"A probability is about the next {days}. A company that is low on this list may well convert later."
    )
    said = [BACKTEST, CONTROL_GROUP, later, NO_CAUSES, LUCK, FEEDBACK]
    if contract.companies.signed_up is None:
        said.append(_unborn(record))
    return said


def time_rules(record: TrackRecord, contract: Contract) -> list[str]:
    """Say which rules of time hold for features, labels and the backtest."""
    companies, days = contract.companies, plural(record.about.horizon_days, "day")
    prospect = "has not converted yet"
    if companies.signed_up is not None:
        prospect = f"has signed up and {prospect}"
    if companies.ended is not None:
        prospect += ", or has ended its subscription"
    label = (
        f"Its label says whether it converts within {days} of that date. A label is used in training only "
        "once these days have passed."
    )
    return [
        "A week of usage is known once it is over.",
        f"A company is a prospect at a date if, by then, it {prospect}.",
        label,
        BACKTEST_RULE,
        NO_LEAKS,
    ]


def business_line(record: TrackRecord) -> str:
    """Say in gross terms what calling the first of each list of the backtest comes to."""
    found = record.business
    called = plural(found.companies_called, "company", "companies")
    said = (
        f"{plural(found.calls, 'call')} to {called}: {found.conversions_among_called:,} of them converted "
        f"within {plural(record.about.horizon_days, 'day')}, and {found.conversions_not_called:,} companies "
        "converted that would not have been called."
    )
    cost = money(found.cost, found.currency)
    if found.gross_revenue is None:
        return f"{said} The calls cost {cost}; {found.value_of_a_conversion}."
    revenue = money(found.gross_revenue, found.currency)
    return (
        f"{said} Gross revenue of the conversions among those called: {revenue} "
        f"({found.value_of_a_conversion}); cost of the calls: {cost}. Gross means that it counts what would "
        "have come without the calls too."
    )


def drift_line(record: TrackRecord) -> str:
    """Say how the week's prospects differ from those that the model learned from."""
    moved = [each.title for each in record.drift.facts if each.verdict == "shift"]
    if not moved:
        return "This week's prospects are like those that the model learned from: no fact has shifted."
    return (
        f"This week's prospects differ from those that the model learned from in: {', '.join(moved)}. Look "
        "at the data before the list goes out."
    )


def _unborn(record: TrackRecord) -> str:
    left_out = record.never_seen
    return (
        "The export does not say when companies signed up, so lists of the past contain companies that had "
        f"not signed up yet. {percent(left_out.get('share_of_prospects'))} of their rows, and "
        f"{percent(left_out.get('share_of_conversions'))} of the conversions, are of companies that had not "
        "used the product by then."
    )
