"""The table and the figure of `benchmarks/scale.py`, and its block of docs/how-to/scale.md."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"(<!-- measured: scale -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """What one stage used at one size: millions of usage rows asked for, and how many there are."""

    size: float
    stage: str
    engine: str
    usage_rows: int
    companies: int
    exit_code: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    data_bytes: int
    start_seconds: float = 0.0  # of the CPU seconds, those until all was imported; 0 where not measured

    @property
    def key(self) -> tuple[float, str, str]:
        return self.size, self.stage, self.engine

    @classmethod
    def of(cls, cells: dict[str, str]) -> Row:
        """Read a row of the CSV file."""
        texts = ("stage", "engine")
        reals = ("size", "wall_seconds", "cpu_seconds", "start_seconds")
        kinds: dict[str, Any] = dict.fromkeys(FIELDS, int)
        kinds |= dict.fromkeys(texts, str) | dict.fromkeys(reals, float)
        return cls(**{name: kinds[name](cells[name]) for name in FIELDS if name in cells})

    def cells(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def said(self) -> str:
        ended = "" if self.exit_code == 0 else f", exit {self.exit_code}"
        return (
            f"{self.size:g} million rows, {self.engine}, {self.stage}: {self.cpu_seconds:.1f} CPU s, "
            f"{self.peak_bytes / 1e9:.2f} GB{ended}"
        )


FIELDS = [field.name for field in dataclasses.fields(Row)]
HEAD = (
    "stage",
    "engine",
    "usage rows",
    "companies",
    "wall s",
    "CPU s",
    "of it start",
    "peak GB",
    "rows a second",
    "data GB",
    "exponent",
)


def exponent(points: list[tuple[float, float]]) -> float | None:
    """Fit cost = c * rows ** exponent by least squares of the logarithms; None for fewer than two sizes.

    Examples
    --------
    >>> round(exponent([(1e5, 2.0), (1e6, 20.0), (1e7, 200.0)]), 6)
    1.0
    """
    logs = [(math.log(rows), math.log(cost)) for rows, cost in points if rows > 0 and cost > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    mean_x, mean_y = (sum(each) / len(logs) for each in zip(*logs, strict=True))
    return float(sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs))


def series(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group the rows that ended well by stage and engine, smallest size first."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.size):
        found[row.stage, row.engine].append(row)
    return found


def table(rows: list[Row]) -> str:
    """Return all rows as Markdown, with the exponent of CPU seconds in the last row of each stage."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * 2}{' --: |' * (len(HEAD) - 2)}"]
    for found in series(rows).values():
        ended = [row for row in found if row.exit_code == 0]
        fitted = exponent([(row.usage_rows, row.cpu_seconds - row.start_seconds) for row in ended])
        for row in found:
            last = fitted is not None and row is found[-1]
            lines.append(_line(row, f"{fitted:.2f}" if last else ""))
    return "\n".join(lines) + "\n"


def _line(row: Row, fitted: str) -> str:
    if row.exit_code:
        costs = [f"exit {row.exit_code}", "", "", f"{row.peak_bytes / 1e9:.2f}", "", ""]
    else:
        costs = [
            f"{row.wall_seconds:.1f}",
            f"{row.cpu_seconds:.1f}",
            f"{row.start_seconds:.1f}" if row.start_seconds else "",
            f"{row.peak_bytes / 1e9:.2f}",
            f"{row.usage_rows / row.wall_seconds:,.0f}",
            f"{row.data_bytes / 1e9:.2f}",
        ]
    cells = [row.stage, row.engine, f"{row.usage_rows:,}", f"{row.companies:,}", *costs, fitted]
    return f"| {' | '.join(cells)} |"


def page(text: str, rows: list[Row]) -> str:
    """Replace the block of a page between its two marks with the table."""
    if not BLOCK.search(text):
        raise SystemExit("the page lacks the lines <!-- measured: scale --> and <!-- end -->")
    return BLOCK.sub(lambda match: f"{match[1]}{table(rows)}{match[2]}", text)


def write_figure(rows: list[Row], path: Path) -> None:
    """Draw CPU seconds and peak memory by usage rows, a line for each stage and engine."""
    # Imported here: a process that is measured starts with what its parent has in memory.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    cpu, memory = figure.subplots(1, 2)
    for (stage, engine), found in series([row for row in rows if row.exit_code == 0]).items():
        label = stage if engine == "local" else f"{stage}, {engine}"
        style = {"marker": "o", "linestyle": "-" if engine == "local" else "--", "label": label}
        sizes = [row.usage_rows for row in found]
        cpu.plot(sizes, [row.cpu_seconds for row in found], **style)
        memory.plot(sizes, [row.peak_bytes / 1e9 for row in found], **style)
    for axes, says in ((cpu, "CPU seconds"), (memory, "peak memory, GB")):
        axes.set(xscale="log", yscale="log", xlabel="usage rows", ylabel=says)
        axes.grid(visible=True, which="both", alpha=0.3)
    figure.legend(*cpu.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=130)
