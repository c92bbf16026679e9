"""The drawing of how data flow between the stages: its boxes are placed here, its arrows follow dvc.yaml."""

from __future__ import annotations

from html import escape
from typing import Any, Final, NamedTuple

WIDTH: Final = 860
HEIGHT: Final = 430
BOX: Final = (116, 40)
STYLE: Final = """\
.flow text { font: 14px sans-serif; fill: var(--color-foreground-primary, #222); text-anchor: middle; }
.flow .small { font-size: 11px; fill: var(--color-foreground-secondary, #555); }
.flow rect { fill: var(--color-background-secondary, #f6f6f6); stroke: var(--color-brand-primary, #06c); }
.flow .data { stroke: var(--color-foreground-border, #999); stroke-dasharray: 4 3; }
.flow path { fill: none; stroke: var(--color-foreground-muted, #777); }
.flow marker path { fill: var(--color-foreground-muted, #777); stroke: none; }"""


class Place(NamedTuple):
    """The middle of a box."""

    x: int
    y: int


# The stages in their order, left to right and back; what comes in and goes out beside them.
STAGES: Final = {
    "simulate": Place(80, 90),
    "load": Place(250, 90),
    "clean": Place(420, 90),
    "featurize": Place(590, 90),
    "train": Place(590, 220),
    "evaluate": Place(420, 220),
    "score": Place(770, 220),
    "track": Place(590, 350),
}
OUTSIDE: Final = {
    "your export": (Place(250, 25), "load"),
    "metrics, plots": (Place(250, 220), "evaluate"),
    "lead list": (Place(770, 350), "score"),
    "MLflow": (Place(420, 350), "track"),
}
INWARD: Final = ("your export",)


def data_flow(stages: dict[str, dict[str, Any]]) -> str:
    """Draw the stages and what flows between them as SVG.

    Parameters
    ----------
    stages
        Those of dvc.yaml.

    Returns
    -------
    str
        SVG that takes its colours from the page.

    Raises
    ------
    SystemExit
        A stage has no place in the drawing, or a place no stage.
    """
    if set(stages) != set(STAGES):
        raise SystemExit(f"docs/drawing.py: places for {', '.join(STAGES)}; dvc.yaml has {', '.join(stages)}")
    lines = [_arrow(STAGES[first], STAGES[second]) for first, second in edges(stages)]
    for name, (place, stage) in OUTSIDE.items():
        ends = (place, STAGES[stage])
        lines.append(_arrow(*ends) if name in INWARD else _arrow(*reversed(ends)))
        lines.append(_box(name, place, "data"))
    lines += [_box(name, place, "stage") for name, place in STAGES.items()]
    return (
        f'<svg class="flow" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">\n'
        "<title>The stages and what flows between them</title>\n"
        f"<style>\n{STYLE}\n</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def edges(stages: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """List which stage reads what another one writes; a folder contains its files.

    Examples
    --------
    >>> edges({"one": {"outs": ["data/a"]}, "two": {"deps": ["data/a/b.csv", "two.py"]}})
    [('one', 'two')]
    """
    written = {
        name: [
            path if isinstance(path, str) else next(iter(path))
            for part in ("outs", "metrics")
            for path in stage.get(part, [])
        ]
        for name, stage in stages.items()
    }
    return [
        (first, second)
        for second, stage in stages.items()
        for first, outputs in written.items()
        if first != second and any(_is_part(read, out) for read in stage["deps"] for out in outputs)
    ]


def _is_part(read: str, written: str) -> bool:
    if read == "${data.dir}":
        read = "data/sample"
    return read == written or read.startswith(f"{written}/")


def _box(name: str, place: Place, kind: str) -> str:
    width, height = BOX
    return (
        f'<rect class="{kind}" x="{place.x - width // 2}" y="{place.y - height // 2}" width="{width}" '
        f'height="{height}" rx="6"/><text x="{place.x}" y="{place.y + 5}">{escape(name)}</text>'
    )


def _arrow(start: Place, end: Place) -> str:
    """Draw a straight arrow between neighbours, and a bow around the boxes between others."""
    half_width, half_height = BOX[0] // 2, BOX[1] // 2
    right, down = end.x - start.x, end.y - start.y
    if abs(down) < BOX[1]:
        side = 1 if right > 0 else -1
        first, last = start.x + side * half_width, end.x - side * half_width
        if abs(right) > 2 * BOX[0]:
            rise = start.y - half_height
            middle = (start.x + end.x) // 2
            return _path(f"M{start.x},{rise} Q{middle},{rise - 70} {end.x},{end.y - half_height}")
        return _path(f"M{first},{start.y} L{last},{end.y}")
    side = 1 if down > 0 else -1
    first, last = start.y + side * half_height, end.y - side * half_height
    return _path(
        f"M{start.x},{first} C{start.x},{first + 45 * side} {end.x},{last - 45 * side} {end.x},{last}"
    )


def _path(d: str) -> str:
    return f'<path d="{d}" marker-end="url(#tip)"/>'
