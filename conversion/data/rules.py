"""Which of several named rules each row of a table breaks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd


def first_rule(broken: Mapping[str, pd.Series], index: pd.Index) -> pd.Series:
    """Return the first rule that each row breaks.

    Parameters
    ----------
    broken
        By rule, whether each row breaks it; the rules in their order.
    index
        Of the table.

    Returns
    -------
    pandas.Series of str
        Missing where a row breaks none.
    """
    rule = pd.Series(pd.NA, index=index, dtype="str")
    for name, rows in broken.items():
        rule = rule.mask(rule.isna() & rows, name)
    return rule
