"""The names of the features of usage, whatever windows params.yaml sets: no attribute may be called so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

SUMMARY_NAMES: Final = (
    *("actions_per_user", "seen", "recency_weeks", "tenure_weeks", "weeks_since_first_seen"),
    *("acceleration", "trend", "module_entropy"),
)
"""Features of all usage that have no window, beside those that clients may send as totals."""
WINDOWED_NAMES: Final = ("actions", "users_max", "active_weeks", "modules_used", "users_ewm")
"""How names of features with a window begin, such as ``users_max_4w``."""
OF_MODULES: Final = ("actions", "users_max")
"""Those that modules have, too, such as ``users_max_email_4w``."""
_WINDOW: Final = r"_(\d+w|lifetime)"
_WINDOWED: Final = re.compile(rf"({'|'.join(WINDOWED_NAMES)}|({'|'.join(OF_MODULES)})_\w+){_WINDOW}")


def is_usage_name(name: str, measures: Iterable[str] = ()) -> bool:
    """Return whether a feature of usage is, or may be, called so.

    Examples
    --------
    >>> is_usage_name("trend"), is_usage_name("users_max_email_4w"), is_usage_name("storage_4w", ["storage"])
    (True, True, True)
    >>> is_usage_name("actions"), is_usage_name("storage_4w")
    (False, False)
    """
    if name in SUMMARY_NAMES or _WINDOWED.fullmatch(name):
        return True
    return any(re.fullmatch(re.escape(measure.lower()) + _WINDOW, name) for measure in measures)
