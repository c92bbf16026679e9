from __future__ import annotations

import numpy as np
import pandas as pd

from conversion.config.usage_contract import Module
from conversion.features.definitions import FeatureSettings
from conversion.features.usage_block import block_columns, usage_block


def test_a_column_may_be_called_as_the_mark_of_rows() -> None:
    modules = (("a", Module(actions="ROWS", users="people")), ("b", Module(actions="edits")))
    settings = FeatureSettings((1,), (2,), modules, measures=(), attributes=(), time="week")
    usage = pd.DataFrame({"id": [7, 5], "ROWS": [4, 0], "edits": [2, 9], "people": [3, 0]})
    block = usage_block(np.array([5, 7]), usage, np.array([0, 1]), 2, settings)
    assert block_columns(settings) == ("ROWS", "edits", "people", "ROWS")
    assert block[0].tolist() == [[0, 0, 0, 0], [0, 9, 0, 1]]
    assert block[1].tolist() == [[4, 2, 3, 1], [0, 0, 0, 0]]
