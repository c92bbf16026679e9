"""Firmographics as numbers: rank, size and sector."""

from __future__ import annotations

import numpy as np
import pandas as pd

from conversion.config.contract import EMPLOYEE_RANGES, UNKNOWN_SECTOR, UNRANKED
from conversion.data.industries import SECTORS, sector_of


def with_firmographics(companies: pd.DataFrame) -> pd.DataFrame:
    """Add what the model reads of a company: its rank, whether it is ranked, its size and its sector.

    Parameters
    ----------
    companies
        Has ``ALEXA_RANK`` (float, 16000001 for unranked, NaN for missing), ``EMPLOYEE_RANGE`` and
        ``INDUSTRY`` (text or missing).

    Returns
    -------
    pandas.DataFrame
        A copy with ``unranked`` (1.0, 0.0, NaN where the rank is missing), ``size`` (1.0 to 9.0, NaN where
        the range is missing) and ``sector`` (categorical of `SECTORS`); ``ALEXA_RANK`` is NaN where unranked.
    """
    rank = companies["ALEXA_RANK"].astype(np.float64)
    size_by_range = {label: float(size) for size, label in enumerate(EMPLOYEE_RANGES, start=1)}
    sector_by_industry = {label: sector_of(label) for label in companies["INDUSTRY"].dropna().unique()}
    sector = companies["INDUSTRY"].map(sector_by_industry).astype(object).fillna(UNKNOWN_SECTOR)
    return companies.assign(
        ALEXA_RANK=rank.where(rank < UNRANKED),
        unranked=(rank >= UNRANKED).astype(np.float64).where(rank.notna()),
        size=companies["EMPLOYEE_RANGE"].map(size_by_range).astype(np.float64),
        sector=pd.Categorical(sector, categories=list(SECTORS)),
    )


def firmographic_values(
    alexa_rank: float | None, employee_range: str | None, industry: str | None
) -> tuple[float, float, float, int]:
    """Read one company's firmographics as `with_firmographics` reads a table's; None is missing.

    Returns
    -------
    alexa_rank, unranked, size
        As there.
    sector
        Position in `SECTORS`.

    Examples
    --------
    >>> firmographic_values(50000, "26 to 50", "COMPUTER_SOFTWARE")
    (50000.0, 0.0, 5.0, 0)
    """
    unranked = alexa_rank is not None and alexa_rank >= UNRANKED
    return (
        np.nan if alexa_rank is None or unranked else float(alexa_rank),
        np.nan if alexa_rank is None else float(unranked),
        np.nan if employee_range is None else EMPLOYEE_RANGES.index(employee_range) + 1.0,
        SECTORS.index(sector_of(industry)),
    )
