"""Firmographics as numbers: rank, size and sector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.contract import EMPLOYEE_RANGES, UNRANKED
from conversion.data.industries import SECTORS, sector_of

_SIZES: Final[dict[object, float]] = {
    label: float(size) for size, label in enumerate(EMPLOYEE_RANGES, start=1)
}
_SECTOR_PLACES: Final = {sector: place for place, sector in enumerate(SECTORS)}


class Firmographics(NamedTuple):
    """What features read of companies themselves; arrays of length companies.

    Attributes
    ----------
    alexa_rank
        NaN where unranked or missing.
    unranked
        1.0 where Alexa did not rank the site, 0.0 where it did, NaN where missing.
    size
        Employee range, 1.0 (one) to 9.0 (10,001 or more), NaN where missing.
    sector
        Position in `conversion.data.industries.SECTORS`.
    """

    alexa_rank: np.ndarray
    unranked: np.ndarray
    size: np.ndarray
    sector: np.ndarray


def encode_firmographics(
    alexa_rank: NDArray[np.float64], employee_range: Iterable[object], industry: Iterable[object]
) -> Firmographics:
    """Encode companies' firmographics as numbers: of a table, or of one company in a request.

    Parameters
    ----------
    alexa_rank
        16000001 for unranked, NaN for missing.
    employee_range, industry
        Text; what is missing or not listed is not known.

    Examples
    --------
    >>> rank, unranked, size, sector = encode_firmographics(
    ...     np.array([50000.0]), ["26 to 50"], ["COMPUTER_SOFTWARE"]
    ... )
    >>> rank.item(), unranked.item(), size.item(), SECTORS[sector.item()]
    (50000.0, 0.0, 5.0, 'Software and IT')
    """
    return Firmographics(
        alexa_rank=np.where(alexa_rank < UNRANKED, alexa_rank, np.nan),
        unranked=np.where(np.isnan(alexa_rank), np.nan, alexa_rank >= UNRANKED),
        # Looked up label by label: labels are few and cached, and one company must not wait for pandas.
        size=np.array([_SIZES.get(label, np.nan) for label in employee_range], dtype=np.float64),
        sector=np.array([_SECTOR_PLACES[sector_of(label)] for label in industry], dtype=np.int64),
    )


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
        A copy with ``unranked``, ``size`` and ``sector`` as `encode_firmographics` returns them, the sector
        as a categorical of `SECTORS`; ``ALEXA_RANK`` is NaN where unranked.
    """
    encoded = encode_firmographics(
        companies["ALEXA_RANK"].to_numpy(dtype=np.float64), companies["EMPLOYEE_RANGE"], companies["INDUSTRY"]
    )
    return companies.assign(
        ALEXA_RANK=encoded.alexa_rank,
        unranked=encoded.unranked,
        size=encoded.size,
        sector=pd.Categorical.from_codes(encoded.sector, categories=pd.Index(SECTORS)),
    )
