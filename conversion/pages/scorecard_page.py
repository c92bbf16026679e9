"""The scorecard as one HTML file: what became of the delivered lists, to be opened, mailed or printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from conversion.pages.bars import Bar, bar_table, data_table, framed
from conversion.pages.charts import Line, over_weeks, share_axis
from conversion.pages.layout import embedded_styles, environment
from conversion.pages.words import (
    UNKNOWN,
    count,
    decimal,
    long_day,
    percent,
    percent_interval,
    plural,
    short_day,
    tier_words,
)
from conversion.scorecard.contacts import Override
from conversion.scorecard.results import (
    AtLength,
    Contacts,
    Contrast,
    Effect,
    Estimate,
    Group,
    ListResult,
    Part,
    Power,
    ScorecardResults,
)

RULE_KIND: Final = 2
BASE_KIND: Final = 5
NO_CONTROL_GROUP: Final = (
    "What calling adds is not known: no outcome of a control group is known yet. Set deliver.holdout in "
    "params.yaml to hold one back."
)


def scorecard_html(results: ScorecardResults) -> str:
    """Write the scorecard.

    Parameters
    ----------
    results
        Of `conversion.scorecard.scorecard`.

    Returns
    -------
    str
        HTML without scripts, and without anything from elsewhere. It is a function of the argument alone.
    """
    return (
        environment()
        .get_template("scorecard.html")
        .render(
            styles=embedded_styles(),
            as_of=long_day(results.as_of.isoformat()),
            line=results.line,
            waiting=_waiting(results),
            notes=_notes(results),
            lists=_lists(results) if results.overall else None,
            parts=_parts(results),
            trend=_trend(results),
            contacts=_contacts(results.contacts),
            effect=_effect(results.effect),
            power=_power(results.power),
        )
    )


def _waiting(results: ScorecardResults) -> str:
    if not results.waiting:
        return ""
    lists = plural(len(results.waiting), "delivered list is", "delivered lists are")
    first = min(each.mature_on for each in results.waiting)
    return f"{lists} not old enough to count; the next one is on {long_day(first.isoformat())}."


def _notes(results: ScorecardResults) -> list[str]:
    """Say who is left out, and what was corrected."""
    notes = []
    if results.overall is not None:
        out = results.overall.left_out
        if out.not_in_export:
            notes.append(
                f"In no share above: {plural(out.not_in_export, 'place')} on call lists. The newest export "
                "no longer has the company."
            )
        if out.no_prospect:
            notes.append(
                f"In no share above: {plural(out.no_prospect, 'place')} on call lists. The export now says "
                "that the company paid already on that day, or its conversion is faulty."
            )
    if results.forgotten:
        notes.append(
            f"In no number above: {plural(results.forgotten, 'place')} on call lists or in the control "
            "group. The company was removed from the ledger on request."
        )
    notes += [_correction(each) for each in results.lists if each.earlier]
    return notes


def _correction(each: ListResult) -> str:
    before = each.earlier[-1].call_list
    return (
        f"The list of {long_day(each.as_of.isoformat())} was corrected ({each.reason}); delivery "
        f"{each.number} counts. Of delivery {each.earlier[-1].number}, {before.conversions} of "
        f"{before.companies} converted."
    )


def _lists(results: ScorecardResults) -> Markup:
    """Draw the share of each call list that converted, beside the rule's and that of all prospects."""
    days = [each.as_of.isoformat() for each in results.lists]
    called = [each.call_list for each in results.lists]
    lines = [
        Line("the call list", [each.delivered.rate.value for each in called],
             [each.delivered.rate.low for each in called], [each.delivered.rate.high for each in called]),
        Line("the rule's list", [each.rule.rate.value for each in called], kind=RULE_KIND),
        Line("all prospects", [each.prospects.rate.value for each in results.lists], kind=BASE_KIND),
    ]  # fmt: skip
    title = "Converted, list by list"
    seen = [value for line in lines for value in (*line.values, *line.high)]
    axis = share_axis("share that converted", seen)
    chart = over_weeks(f"{title}. {results.line}", days, [short_day(day) for day in days], axis, lines)
    header = ("List of", "Called", "Converted", "Share", "95 % interval", "The rule's", "All", "Expected")
    rows = [
        (
            long_day(each.as_of.isoformat()),
            count(each.call_list.delivered.companies),
            count(each.call_list.delivered.conversions),
            percent(each.call_list.delivered.rate.value),
            _interval(each.call_list.delivered.rate),
            percent(each.call_list.rule.rate.value),
            percent(each.prospects.rate.value),
            decimal(each.expected, 1),
        )
        for each in results.lists
    ]
    how = (
        "Higher is better. A single list is short, so its band is wide: look at the lists together, and "
        "at how far the call list is above the rule's. The call list was called and the rule's was not."
    )
    return framed(title, chart, how, data_table(title, header, rows))


def _parts(results: ScorecardResults) -> list[Markup]:
    whole = results.overall
    if whole is None:
        return []
    found = [_lengths(whole.call_list, whole.lengths)]
    named = [each.model_copy(update={"title": tier_words(each.name)}) for each in results.tiers]
    found.append(_bars("By tier", "Tier", named))
    if results.reps:
        found.append(_bars("By rep", "Rep", results.reps))
    if results.reasons:
        found.append(_bars("By first reason", "Fact", results.reasons))
    return found


def _lengths(call_list: AtLength, lengths: Sequence[AtLength]) -> Markup:
    bars = []
    named = [("The call list", call_list), *((f"First {count(each.length)}", each) for each in lengths)]
    for name, each in named:
        for who, part, kind in (("", each.delivered, 1), (", by the rule", each.rule, RULE_KIND)):
            bars.append(
                Bar(
                    f"{name}{who}",
                    part.rate.value,
                    (percent(part.rate.value), f"{count(part.conversions)} of {count(part.companies)}"),
                    part.rate.low,
                    part.rate.high,
                    kind=kind,
                    note=f"95 % interval {_interval(part.rate)}",
                )
            )
    caption = "Places on all lists whose horizon is over"
    table = bar_table(caption, ("First of each list", "Converted", "Places"), bars, _longest(bars))
    how = "A longer bar is better. Intervals are from resampling companies, as most stand on several lists."
    return framed("By length of the list", table, how)


def _bars(title: str, header: str, parts: Sequence[Part]) -> Markup:
    bars = [
        Bar(
            each.title,
            each.converted.rate.value,
            (
                percent(each.converted.rate.value),
                f"{count(each.converted.conversions)} of {count(each.converted.companies)}",
            ),
            each.converted.rate.low,
            each.converted.rate.high,
            note=f"expected {decimal(each.expected, 1)}; 95 % interval {_interval(each.converted.rate)}",
        )
        for each in parts
    ]
    table = bar_table(title, (header, "Converted", "Places"), bars, _longest(bars))
    how = "Expected is the sum of the probabilities: compare it with how many of the places converted."
    return framed(title, table, how)


def _longest(bars: Sequence[Bar]) -> float:
    return max((end for bar in bars for end in (bar.value, bar.high) if end is not None), default=1.0)


def _trend(results: ScorecardResults) -> str:
    whole, trend = results.overall, results.trend
    if whole is None:
        return ""
    ratio = whole.observed_over_expected
    said = (
        f"Expected were {decimal(whole.expected, 1)} conversions on the call lists, observed "
        f"{count(whole.call_list.delivered.conversions)}: {decimal(ratio.value)} times as many (95 % "
        f"interval {decimal(ratio.low)} to {decimal(ratio.high)})."
    )
    if trend is not None:
        said += (
            f" On the earlier {plural(trend.earlier_lists, 'list')}, {percent(trend.earlier)} converted; on "
            f"the later {trend.later_lists}, {percent(trend.later)}: {_points(trend.change)}."
        )
    return said


def _contacts(contacts: Contacts | None) -> list[str]:
    """Say who was called, and where the team and the list differ."""
    if contacts is None:
        return []
    reach = contacts.reach
    said = (
        f"Of {plural(reach.listed, 'place')} on call lists, {count(reach.called)} were called in the week of "
        f"the list ({percent(reach.called_rate)}), and {count(reach.reached)} of these were reached "
        f"({percent(reach.reach_rate)})."
    )
    if reach.days_to_first_touch is not None:
        said += f" The median of the days to the first call is {decimal(reach.days_to_first_touch, 0)}."
    return [said, *(_override(each) for each in contacts.overrides if each.listed or each.contacted)]


def _override(each: Override) -> str:
    return (
        f"Tier {tier_words(each.tier)}: {count(each.not_called)} of {count(each.listed)} places were not "
        f"called ({percent(each.not_called_rate)}), and {count(each.not_listed)} of "
        f"{count(each.contacted)} calls were to companies that were not on the call list."
    )


def _effect(effect: Effect) -> list[str]:
    """Say what calling adds, as far as it can be said."""
    if effect.offered is None:
        said = [NO_CONTROL_GROUP]
    else:
        groups = _groups(effect.offered, "offered for a call", "held back")
        said = [f"{groups} What calling adds: {_points(effect.offered.difference)}.", effect.estimand]
    if effect.per_call is not None:
        said.append(f"For each company that was called because it was offered: {_points(effect.per_call)}.")
    if effect.naive is not None:
        beside = ""
        if effect.naive_excess is not None:
            way = "more" if effect.naive_excess >= 0 else "less"
            beside = f" That is {decimal(abs(effect.naive_excess) * 100, 1)} {way} than what a call adds."
        said.append(
            f"A report without a control group would compare who was called with who was not: "
            f"{_groups(effect.naive, 'called', 'not called')} Difference: "
            f"{_points(effect.naive.difference)}.{beside} Reps choose whom to call, so this is no effect."
        )
    if effect.explored is not None:
        groups = _groups(effect.explored, "offered as explorers", "not offered")
        said.append(
            f"Below the cut, list by list: {groups} What calling adds: {_points(effect.explored.difference)}."
        )
    return said


def _groups(found: Contrast, first: str, second: str) -> str:
    return f"Of {_of(found.first, first)}; of {_of(found.second, second)}."


def _of(group: Group, name: str) -> str:
    companies = plural(group.companies, "company", "companies")
    return f"{companies} {name}, {percent(group.rate.value)} converted ({_interval(group.rate)})"


def _power(power: Power | None) -> Markup | None:
    if power is None:
        return None
    shares = [f"{percent(each)} held back" for each in power.shares]
    smallest = data_table(
        "Smallest effect that is seen with 80 % power, in conversions a company",
        ("Weeks of lists", *shares),
        [(count(weeks), *(percent(each) for each in row))
         for weeks, row in zip(power.weeks, power.smallest_effect, strict=True)],
    )  # fmt: skip
    needed = data_table(
        "Weeks of lists until an effect is seen",
        ("Effect", *shares),
        [(percent(effect), *(UNKNOWN if each is None else count(each) for each in row))
         for effect, row in zip(power.effects, power.weeks_needed, strict=True)],
    )  # fmt: skip
    return Markup("").join(
        Markup('<div class="scroll" tabindex="0" role="region" aria-label="{}">{}</div>').format(name, table)
        for name, table in (("Smallest effects", smallest), ("Weeks needed", needed))
    )


def _interval(found: Estimate) -> str:
    return percent_interval(found.low, found.high)


def _points(found: Estimate) -> str:
    """Write a difference of shares as conversions per 100 companies."""
    ends = [each for each in (found.value, found.low, found.high) if each is not None]
    if len(ends) < 3:
        return "not known"
    value, low, high = (f"{each * 100:+.1f}".replace("-", "\u2212") for each in ends)
    luck = ", which may be luck" if ends[1] <= 0.0 <= ends[2] else ""
    return f"{value} conversions per 100 companies (95 % interval {low} to {high}{luck})"
