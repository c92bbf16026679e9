"""The model card as Markdown: what a model is for, what it learned from, how good it is, where it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml
from jinja2 import Environment

from conversion.config.attribute_names import label
from conversion.config.data_contract import Contract
from conversion.features.words import listed
from conversion.pages.caveats import caveats, time_rules
from conversion.pages.layout import environment
from conversion.pages.track_record import Bin, Estimate, Ranked, TrackRecord
from conversion.pages.words import (
    UNKNOWN,
    count,
    decimal,
    long_day,
    percent,
    percent_interval,
    plural,
)

PATH: Final = "models/model_card.md"
SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#&~])")


def model_card(record: TrackRecord, model: Mapping[str, Any], contract: Contract) -> str:
    """Write the model card.

    Parameters
    ----------
    record
        Of the model.
    model
        The content of models/model.json.
    contract
        Of the export.

    Returns
    -------
    str
        Markdown, a function of the arguments alone.
    """
    about, lists = record.about, record.lists
    return (
        _templates()
        .get_template("model_card.md")
        .render(
            record=record,
            about=about,
            facts=_facts(record, model),
            days=plural(about.horizon_days, "day"),
            tables=listed(list(contract.tables)),
            attributes=_names(contract.companies.attributes),
            modules=_names(contract.usage.modules),
            rules=time_rules(record, contract),
            lists=(
                f"{plural(lists.count, 'list')} from {_day(lists.first)} to {_day(lists.last)}, "
                f"{plural(lists.converters, 'company', 'companies')} that converted."
            ),
            base_rate=percent(lists.prevalence),
            measures=_measures(record),
            calibration=_calibration(record),
            caveats=caveats(record, contract),
            settings=yaml.safe_dump(model["params"], sort_keys=False, default_flow_style=False).rstrip(),
            inputs=sorted(model["data_sha256"].items()),
            versions=sorted(model["library_versions"].items()),
        )
    )


def escaped(text: str) -> str:
    r"""Write text so that Markdown shows it as it is, on one line.

    Examples
    --------
    >>> print(escaped("sent_mails | <b>"))
    sent\_mails \| \<b\>
    """
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _templates() -> Environment:
    # It is Markdown: texts pass through the filter md. An overlay shares its filters until it has its own.
    made = environment().overlay(autoescape=False, keep_trailing_newline=True)
    made.filters = made.filters | {"md": escaped, "decimal": decimal, "interval": _interval}
    return made


def _facts(record: TrackRecord, model: Mapping[str, Any]) -> list[tuple[str, str]]:
    about = record.about
    return [
        ("family", about.model_type),
        ("trained on what was known at", _day(about.trained_as_of)),
        (
            "training snapshots",
            f"{about.snapshots:,}, of {_day(about.first_snapshot)} to {_day(about.last_snapshot)}",
        ),
        ("companies that convert among them", count(about.converting_companies)),
        ("base rate", percent(about.base_rate)),
        ("features", count(len(model["features"]))),
        ("predicts", f"conversion within {plural(about.horizon_days, 'day')}"),
        ("calibration", str(model["calibration"])),
        ("threshold of a yes", percent(float(model["threshold"]))),
    ]


def _measures(record: TrackRecord) -> list[tuple[str, Callable[[Ranked], str]]]:
    """Return the columns of the table of measures: a title, and how to read the cell of an order."""

    def precision(length: str) -> Callable[[Ranked], str]:
        return lambda ranked: _share(ranked.precision[length])

    def recall(length: str) -> Callable[[Ranked], str]:
        return lambda ranked: _share(ranked.recall[length])

    lengths = [str(length) for length in record.lengths]
    return [
        *((f"converted, of the first {length}", precision(length)) for length in lengths),
        *((f"of all conversions, in the first {length}", recall(length)) for length in lengths),
        ("average precision", lambda ranked: _score(ranked.overall["average_precision"])),
        ("ROC AUC", lambda ranked: _score(ranked.overall["roc_auc"])),
    ]


def _calibration(record: TrackRecord) -> str:
    ratio, loss, error = (
        record.probability[name] for name in ("expected_over_observed", "log_loss_ratio", "ece")
    )
    return (
        f"Expected over observed conversions: {_score(ratio)}. Log loss over that of the base rate: "
        f"{_score(loss)}. Expected calibration error: {percent(error.value)}."
    )


def _names(named: Mapping[str, Any]) -> str:
    return listed([label(name, each) for name, each in named.items()]) or "none"


def _interval(of: Estimate | Bin) -> str:
    return percent_interval(of.low, of.high)


def _share(estimate: Estimate) -> str:
    if estimate.value is None:
        return UNKNOWN
    return f"{percent(estimate.value)} ({percent_interval(estimate.low, estimate.high)})"


def _score(estimate: Estimate) -> str:
    if estimate.value is None:
        return UNKNOWN
    return f"{decimal(estimate.value, 3)} ({decimal(estimate.low, 3)} to {decimal(estimate.high, 3)})"


def _day(day: Any) -> str:
    return long_day(day.isoformat())
