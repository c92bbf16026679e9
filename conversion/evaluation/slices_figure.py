"""The slices of the prospects as a picture."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conversion.evaluation.curves import LEAST_CONVERTERS, SLICE_TITLES
from conversion.evaluation.drawing import BLUE, GREY, name_axes, panels, percent_axis, ratio_axis, wrapped
from conversion.evaluation.slice_counts import ALL

_RATIO: Final = SLICE_TITLES["expected_over_observed"]
_EVEN: Final = {_RATIO: 1.0, SLICE_TITLES["roc_auc"]: 0.5}
"""Where a measure is neither good nor bad: a dashed line."""
_GAP: Final = 0.7
"""Space between the slices of two columns, in slices."""


def slices_figure(table: pd.DataFrame) -> Figure:
    """Draw `conversion.evaluation.curves.slices_table`: a panel for each measure, a line for each slice."""
    places = _places(table)
    measures = table.groupby("measure", sort=False)
    title = (
        "How the model does on groups of companies, with 95 % intervals\n"
        f"(only the share where fewer than {LEAST_CONVERTERS} of them converted)"
    )
    size = (3.1 + 3.0 * len(measures), 2.3 + 0.32 * (max(places.values()) + 1))
    figure, found = panels(title, len(measures), *size, share_y=True)
    for axes, (measure, rows) in zip(found, measures, strict=True):
        _draw_measure(axes, rows, places)
        name_axes(axes, wrapped(str(measure), 30))
    found[0].set_yticks(list(places.values()), [name for _, name in places])
    found[0].set_ylim(max(places.values()) + 0.6, -0.6)
    return figure


def _places(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return where each slice is drawn, those of a column together."""
    places: dict[tuple[str, str], float] = {}
    slices = table[["by", "slice"]].drop_duplicates()
    # The first measure may have no row for the whole, which is above all others.
    slices = slices.sort_values("by", key=lambda by: by != ALL, kind="stable")
    columns = list(dict.fromkeys(slices["by"]))
    for number, (by, name) in enumerate(slices.itertuples(index=False)):
        places[by, name] = number + _GAP * columns.index(by)
    return places


def _draw_measure(axes: Axes, rows: pd.DataFrame, places: dict[tuple[str, str], float]) -> None:
    measure = str(rows["measure"].iloc[0])
    place = [places[key] for key in zip(rows["by"], rows["slice"], strict=True)]
    axes.hlines(place, rows["low"], rows["high"], color=BLUE, linewidth=1.8)
    axes.plot(rows["value"], place, color=BLUE, marker="o", linestyle="none", clip_on=False)
    if measure == _RATIO:
        ratio_axis(axes, "x", rows)
    else:
        percent_axis(axes.xaxis)
        axes.locator_params(axis="x", nbins=5)
    if measure in _EVEN:
        axes.axvline(_EVEN[measure], color=GREY, linestyle="--")
    else:
        axes.set_xlim(0, None)
