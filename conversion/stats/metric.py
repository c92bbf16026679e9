"""The meaning of a number in ``metrics/``, declared beside the code that computes it.

`docs` collects these declarations into the reference page of the metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

HIGHER: Final = "higher"
LOWER: Final = "lower"
NEITHER: Final = "-"


class Metric(NamedTuple):
    """A key of a metrics file, or a pattern of keys, such as ``recall_at_<k>``.

    Attributes
    ----------
    pattern
        The key, ``.`` between its levels.
    meaning
        One phrase, without a full stop at the end.
    better
        Which values are better: `HIGHER`, `LOWER`, `NEITHER`, or the ideal value.
    """

    pattern: str
    meaning: str
    better: str = NEITHER


def nested(prefix: str, metrics: Iterable[Metric], note: str = "") -> tuple[Metric, ...]:
    """Return the metrics under a key prefix, ``note`` added to each meaning."""
    return tuple(
        metric._replace(pattern=prefix + metric.pattern, meaning=metric.meaning + note) for metric in metrics
    )
