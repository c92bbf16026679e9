"""Reasons as a table, as tests read them."""

from __future__ import annotations

import pandas as pd

from conversion.leads.reasons import reason_writer
from conversion.modelling.model import ConversionModel


def top_reasons(model: ConversionModel, features: pd.DataFrame, count: int) -> pd.DataFrame:
    """Name the ``count`` strongest signed contributions to each score, as `reason_writer` does.

    Parameters
    ----------
    model
        Fitted.
    features
        Feature frame.
    count
        Reasons for each row.

    Returns
    -------
    pandas.DataFrame of str
        Columns ``reason_1`` to ``reason_<count>``, strongest first; ``+`` raises the score, ``-`` lowers it.
    """
    values = model.values(features)
    write = reason_writer(model.features, count, model.data_contract, model.levels)
    texts = write(values, model.contributions(values))
    names = [f"reason_{place}" for place in range(1, count + 1)]
    return pd.DataFrame(texts, columns=names, index=features.index, dtype="str")
