"""The charts of a track record, each with a sentence on how to read it: for the page and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from conversion.pages.bars import Bar, bar_table, data_table, framed
from conversion.pages.charts import Line, Reliable, line_chart, over_weeks, reliability_chart, share_axis
from conversion.pages.svg import Axis, round_step
from conversion.pages.track_record import Estimate, Gains, Tier, TrackRecord, Week, Weeks
from conversion.pages.words import (
    count,
    decimal,
    long_day,
    month_of,
    of_hundred,
    percent,
    percent_interval,
    plural,
    short_day,
    tier_words,
)

MODEL: Final = "probability"
RULE_KIND: Final = 2
KINDS: Final = {MODEL: 1, "users_rule": RULE_KIND, "actions_rule": RULE_KIND, "oracle": 3}
"""Styles of ways to order a list."""
OTHER_KIND: Final = 5
MOST_MOVED: Final = 6
"""Facts of drift that are drawn, those that moved most."""
LONGEST_RATIO: Final = 3.0
"""Expected over observed conversions at the right end of their bars."""
NUMBERED_CALLS: Final = (10, 20, 50, 100, 200, 300, 400, 500)
"""Calls in the table beside the gains, as far as they go."""


def charts_of(record: TrackRecord) -> dict[str, Markup]:
    """Draw every chart but `over_time`, by its name in the templates."""
    drawn = (gains, compared, reliability, tiers, slices, importance, drift)
    return {draw.__name__: draw(record) for draw in drawn}


def over_time(record: TrackRecord, place: int = 0) -> Markup:
    """Draw the precision of each list of the backtest, beside the rule's.

    Parameters
    ----------
    record
        Of the model.
    place
        Which of ``record.lengths``.
    """
    weeks = record.weeks[place]
    days = [day.isoformat() for day in weeks.days]
    lines = [_line("the model", weeks.model, 1)]
    if record.rule is not None:
        lines.append(_line(_name(record, record.rule), weeks.rule, 2))
    title = f"Converted, of the first {weeks.length} of each list"
    seen = [value for line in lines for value in (*line.values, *line.high)]
    chart = over_weeks(
        f"{title}, list by list. {_average(record, weeks)}",
        days,
        _dates(days),
        share_axis("share that converted", seen),
        lines,
    )
    beside = ("The rule", "Its mean") if record.rule is not None else ()
    rows = [
        (
            long_day(day),
            percent(model.precision),
            percent(model.mean.value),
            percent_interval(model.mean.low, model.mean.high),
            *((percent(weeks.rule[at].precision), percent(weeks.rule[at].mean.value)) if beside else ()),
        )
        for at, (day, model) in enumerate(zip(days, weeks.model, strict=True))
    ]
    header = ("List of", "The model", "Mean around it", "95 % interval of the mean", *beside)
    numbers = data_table(title, header, rows)
    how = (
        "The lines are means of a few lists around each date, as single lists jump about; the bands are "
        "their 95 % intervals. Higher is better: look at how far the model's line is above the rule's."
    )
    return framed(title, chart, how, numbers)


def gains(record: TrackRecord) -> Markup:
    """Draw the share of all conversions among the first calls of each list."""
    drawn = [each for each in record.gains if each.key in {MODEL, record.rule, "random", "oracle"}]
    calls = drawn[0].calls
    end = float(max(calls[-1], 1))
    step = round_step(end, 5)
    ticks = tuple((at * step, count(at * step)) for at in range(int(end / step + 1e-9) + 1))
    title = "Conversions reached, by number of calls"
    chart = line_chart(
        f"{title}. {_gain_in_words(drawn, calls)}",
        Axis("calls from each list", 0.0, end, ticks),
        [float(call) for call in calls],
        share_axis("share of all conversions", [share.value for each in drawn for share in each.shares]),
        [_gain(each) for each in drawn],
    )
    places = [place for place, call in enumerate(calls) if call in NUMBERED_CALLS]
    rows = [(count(calls[place]), *(percent(each.shares[place].value) for each in drawn)) for place in places]
    how = (
        "Follow the number of calls your team can make to the line: that share of all conversions was among "
        "those called. It counts who converted, not who converted because of the call."
    )
    return framed(title, chart, how, data_table(title, ("Calls", *(each.name for each in drawn)), rows))


def compared(record: TrackRecord) -> Markup:
    """Draw how many of the first of each list converted, by each way to order it."""
    length = str(record.lengths[0])
    ends = [each.precision[length] for each in record.ranked]
    longest = max((end.high or end.value or 0.0 for end in ends), default=1.0)
    bars = [
        Bar(
            each.name,
            found.value,
            (of_hundred(found.value),),
            found.low,
            found.high,
            kind=KINDS.get(each.key, OTHER_KIND),
            note=f"95 % interval {percent_interval(found.low, found.high)}",
        )
        for each, found in zip(record.ranked, ends, strict=True)
    ]
    caption = f"Converted, of the first {length} of each list"
    table = bar_table(caption, ("Order of the list", "Converted"), bars, longest)
    how = (
        "A longer bar is a better order. The thin line is the 95 % interval: where those of two orders "
        "overlap, the difference may be luck."
    )
    return framed("The model beside simpler ways", table, how)


def reliability(record: TrackRecord) -> Markup:
    """Draw what share of prospects converted over what was predicted."""
    title = "Does 10 % mean 10 %?"
    bins = [Reliable(each.predicted, each.observed, each.low, each.high) for each in record.bins]
    ratio = record.probability["expected_over_observed"]
    label = f"Share that converted over the predicted probability. {_ratio_in_words(ratio)}"
    rows = [
        (
            percent(each.predicted),
            percent(each.observed),
            percent_interval(each.low, each.high),
            count(each.prospects),
            count(each.conversions),
        )
        for each in record.bins
    ]
    header = ("Predicted", "Converted", "95 % interval", "Prospects", "Conversions")
    how = (
        "Each point is a group of prospects with similar probabilities. On the dashed line, as many "
        f"converted as predicted; above it more, below it fewer. {_ratio_in_words(ratio)}"
    )
    return framed(title, reliability_chart(label, bins), how, data_table(title, header, rows))


def slices(record: TrackRecord) -> Markup:
    """Draw how predicted and actual conversions compare in each part of the prospects."""
    bars = [
        Bar(
            each.name,
            each.expected_over_observed.value,
            (decimal(each.expected_over_observed.value), percent(each.recall.value)),
            each.expected_over_observed.low,
            each.expected_over_observed.high,
            note=f"{plural(each.conversions, 'conversion')}, {percent(each.share_of_conversions)} of all",
        )
        for each in record.slices
    ]
    header = ("Prospects", "Predicted over actual", f"In the first {record.recall_length}")
    how = (
        "The mark is predicted over actual conversions: on the grey line at 1 the probabilities are right, "
        "to the right of it they are too high. The thin line is the 95 % interval. The last column is the "
        f"share of the part's conversions that were among the first {record.recall_length} of their list."
    )
    table = bar_table("Parts of the prospects", header, bars, LONGEST_RATIO, reference=1.0)
    return framed("Which prospects it works for", table, how)


def tiers(record: TrackRecord) -> Markup:
    """Draw what became of each tier."""
    longest = max((each.observed.high or each.predicted or 0.0 for each in record.tiers), default=1.0)
    bars = [
        Bar(
            tier_words(each.key),
            each.observed.value,
            (percent(each.observed.value), percent(each.predicted)),
            each.observed.low,
            each.observed.high,
            note=_size(each, record.lists.count),
        )
        for each in record.tiers
    ]
    how = (
        "The bar is the share of the tier that converted in the backtest, with its 95 % interval; beside it "
        "what was predicted. A company can count in several lists."
    )
    table = bar_table("What became of each tier", ("Tier", "Converted", "Predicted"), bars, longest)
    return framed("What a tier means", table, how)


def importance(record: TrackRecord) -> Markup:
    """Draw how much each fact moves scores."""
    longest = max((each.share for each in record.facts), default=1.0)
    bars = [
        Bar(
            each.title,
            each.share,
            (percent(each.share),),
            kind=1 if each.part == "activity" else 4,
            note=each.direction,
        )
        for each in record.facts
    ]
    how = (
        "A longer bar moves scores more, over all companies; blue is about what a company does, violet "
        "about what it is. The line below a name says in which direction, with the other facts as they "
        "are. It is what the model looks at, not what makes a company convert."
    )
    table = bar_table("Share of what moves scores", ("Fact", "Share"), bars, longest)
    return framed("How much each fact counts", table, how)


def drift(record: TrackRecord) -> Markup:
    """Draw how far the prospects of the week have moved from those the model learned from."""
    moved = record.drift.facts[:MOST_MOVED]
    bars = [Bar(each.title, each.index, (each.verdict, decimal(each.index, 3))) for each in moved]
    longest = max([0.3, *(each.index for each in moved)])
    how = (
        "Those that moved most. The index is 0 where this week's prospects are spread as those of earlier "
        "lists were; below 0.1 is no change, above 0.25 a shift, which calls for a look at the data before "
        "the list goes out."
    )
    caption = "How far each fact has moved (population stability index)"
    table = bar_table(caption, ("Fact", "Verdict", "Index"), bars, longest)
    return framed("What has changed since training", table, how)


def _dates(days: Sequence[str]) -> list[str]:
    """Write the days below a chart: months where it covers many, else days."""
    months = dict.fromkeys(day[:7] for day in days)
    return [month_of(day) if len(months) > 3 else short_day(day) for day in days]


def _size(tier: Tier, lists: int) -> str:
    return f"{decimal(tier.prospects / lists, 0)} a list, {plural(tier.conversions, 'conversion')}"


def _line(name: str, weeks: Sequence[Week], kind: int) -> Line:
    return _estimated(name, [week.mean for week in weeks], kind)


def _estimated(name: str, estimates: Sequence[Estimate], kind: int) -> Line:
    low, high = ([getattr(each, end) for each in estimates] for end in ("low", "high"))
    has_band = any(end is not None for end in low)
    values = [each.value for each in estimates]
    return Line(name, values, low, high, kind) if has_band else Line(name, values, kind=kind)


def _gain(of: Gains) -> Line:
    """Return a line with a band for the model and the rule; the others would only cover them."""
    kind = KINDS.get(of.key, OTHER_KIND)
    if kind <= RULE_KIND:
        return _estimated(of.name, of.shares, kind)
    return Line(of.name, [share.value for share in of.shares], kind=kind)


def _name(record: TrackRecord, key: str) -> str:
    ranked = record.ranked_by(key)
    assert ranked is not None, "the rule is one of the ways to order a list"
    return ranked.name


def _average(record: TrackRecord, weeks: Weeks) -> str:
    length = str(weeks.length)
    said = f"On average the model has {of_hundred(record.ranked[0].precision[length].value)}"
    rule = record.ranked_by(record.rule) if record.rule is not None else None
    return f"{said}." if rule is None else f"{said}, the rule {of_hundred(rule.precision[length].value)}."


def _gain_in_words(drawn: Sequence[Gains], calls: Sequence[int]) -> str:
    place = max(at for at, call in enumerate(calls) if call <= 50)
    reached = ", ".join(f"{each.name} {percent(each.shares[place].value)}" for each in drawn)
    return f"With {count(calls[place])} calls from each list: {reached}."


def _ratio_in_words(ratio: Estimate) -> str:
    if ratio.value is None:
        return "No conversion was observed."
    return (
        f"In all, {decimal(ratio.value)} conversions were predicted for each that happened "
        f"(95 % interval {decimal(ratio.low)} to {decimal(ratio.high)})."
    )
