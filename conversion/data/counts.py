"""Counts of the parts of tables, added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def added(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up mappings of the same shape: numbers are added, mappings in them too, a text is the same in all.

    Examples
    --------
    >>> added([{"kept": 1, "left_out": {"late": 2}}, {"kept": 3, "left_out": {"late": 4, "early": 5}}])
    {'kept': 4, 'left_out': {'late': 6, 'early': 5}}
    """
    total: dict[str, Any] = {}
    for each in counts:
        for name, value in each.items():
            if isinstance(value, Mapping):
                total[name] = added([total.get(name, {}), value])
            elif isinstance(value, str):
                if total.setdefault(name, value) != value:
                    raise ValueError(f"{name}: {total[name]} and {value}")
            else:
                total[name] = total.get(name, 0) + value
    return total
