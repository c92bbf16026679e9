from __future__ import annotations

import pandas as pd

from conversion.data.rules import first_rule


def test_the_first_rule_that_a_row_breaks_counts() -> None:
    index = pd.Index([7, 3, 5])
    broken = {
        "late": pd.Series([True, False, False], index),
        "small": pd.Series([True, True, False], index),
    }
    expected = pd.Series(["late", "small", pd.NA], index, dtype="str")
    pd.testing.assert_series_equal(first_rule(broken, index), expected)
    assert first_rule({}, index).isna().all()
