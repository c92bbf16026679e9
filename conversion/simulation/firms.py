"""The firmographics of the sample's companies: size, Alexa rank, industry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from conversion.simulation.vocabulary import UNRANKED
from conversion.stats.numeric import Bools, Floats, Ints
from conversion.stats.portable_math import log as ln
from conversion.stats.portable_math import power

FIRST_ID: Final = 100_001
SIZE_SHARES: Final = (0.115, 0.208, 0.185, 0.070, 0.108, 0.078, 0.061, 0.065, 0.007)
"""Share of the companies in each of the contract's employee ranges; the rest is missing."""
RANKED_SHARES: Final = (0.13, 0.08, 0.18, 0.36, 0.43, 0.51, 0.64, 0.78, 0.82, 0.84)
"""Share of the companies whose site is ranked, by size 0 (missing) to 9."""
MEDIAN_LOG_RANKS: Final = (6.50, 6.58, 6.57, 6.45, 6.35, 6.29, 6.09, 5.58, 4.85, 3.98)
"""Median of the log10 of their rank, by size."""
INDUSTRY_KNOWN_SHARES: Final = (0.02, 0.01, 0.05, 0.27, 0.24, 0.39, 0.54, 0.64, 0.75, 0.81)
"""Share of the companies whose industry is known, by size; see `_draw_industries`."""
LAST_LOG_RANK: Final = 7.03
"""Log10 of the last rank: sites beyond it are unranked."""
RANK_MISSING_SHARE: Final = 0.022
CAPITAL_INDUSTRIES: Final = (
    "COMPUTER_SOFTWARE",
    "MARKETING_AND_ADVERTISING",
    "HIGHER_EDUCATION",
    "INFORMATION_TECHNOLOGY_AND_SERVICES",
    "REAL_ESTATE",
    "CONSUMER_SERVICES",
    "FINANCIAL_SERVICES",
    "EDUCATION_MANAGEMENT",
    "CONSTRUCTION",
    "NON_PROFIT_ORGANIZATION_MANAGEMENT",
    "LEISURE_TRAVEL_TOURISM",
    "MANAGEMENT_CONSULTING",
    "RETAIL",
    "INSURANCE",
    "PUBLISHING",
    "HEALTH_WELLNESS_AND_FITNESS",
    "AUTOMOTIVE",
    "IMPORT_AND_EXPORT",
    "APPAREL_FASHION",
    "ELECTRICAL_ELECTRONIC_MANUFACTURING",
    "ARCHITECTURE_PLANNING",
    "CONSUMER_ELECTRONICS",
    "CONSUMER_GOODS",
    "RESTAURANTS",
    "HOSPITAL_HEALTH_CARE",
    "DESIGN",
    "BUILDING_MATERIALS",
    "ENTERTAINMENT",
    "HOSPITALITY",
    "OIL_ENERGY",
    "TELECOMMUNICATIONS",
    "FOOD_BEVERAGES",
    "PRINTING",
    "RELIGIOUS_INSTITUTIONS",
    "PROFESSIONAL_TRAINING_COACHING",
    "TRANSPORTATION_TRUCKING_RAILROAD",
    "E_LEARNING",
    "ACCOUNTING",
    "LEGAL_SERVICES",
    "GOVERNMENT_ADMINISTRATION",
    "BANKING",
    "WHOLESALE",
    "BIOTECHNOLOGY",
)
TITLE_INDUSTRIES: Final = (
    "Non-Profit/Educational Institution",
    "Technology - Software",
    "Other",
    "Consulting/Advisory",
    "Manufacturing",
    "Marketing Services",
    "Education",
    "Consumer Products",
    "Finance and Insurance",
    "Technology - Hardware and Equipment",
    "Healthcare",
    "eCommerce",
    "Media & Publishing",
)
CAPITAL_SHARE: Final = 0.755
"""Share of the known industries that are spelled in capitals, the CRM's own taxonomy."""


@dataclass(frozen=True)
class Firms:
    """Firmographics of each company as exported: 0 for a missing size, 0 for a missing Alexa rank."""

    id: Ints
    size: Ints
    rank: Ints
    industry: NDArray[np.object_]


def draw_firms(companies: int, rng: np.random.Generator, first_id: int = FIRST_ID) -> Firms:
    """Draw the firmographics, including their missing values.

    Parameters
    ----------
    companies
        How many.
    rng
        Source of randomness.
    first_id
        The smallest of their ids, which follow each other.

    Returns
    -------
    Firms
        One entry a company.
    """
    size = rng.choice(10, companies, p=[1 - sum(SIZE_SHARES), *SIZE_SHARES])
    gap = LAST_LOG_RANK - np.asarray(MEDIAN_LOG_RANKS)[size]
    # The distance to the last rank is a Weibull draw around its median, so that few are far ahead.
    shape = 0.9 + 0.55 * gap
    factor = power(rng.standard_exponential(companies) / ln(2), 1 / shape)
    log_rank = LAST_LOG_RANK - gap * factor
    rank = np.floor(power(10, np.maximum(log_rank, 0))).astype(np.int64)
    ranked = rng.random(companies) < np.asarray(RANKED_SHARES)[size]
    rank = np.where(ranked, rank, UNRANKED)
    rank[rng.random(companies) < RANK_MISSING_SHARE] = 0
    return Firms(
        id=first_id + rng.permutation(companies),
        size=size,
        rank=rank,
        industry=_draw_industries(size, ranked, rng),
    )


def _draw_industries(size: Ints, ranked: Bools, rng: np.random.Generator) -> NDArray[np.object_]:
    labels = np.asarray([*CAPITAL_INDUSTRIES, *TITLE_INDUSTRIES], dtype=object)
    shares = [
        CAPITAL_SHARE * _zipf(len(CAPITAL_INDUSTRIES)),
        (1 - CAPITAL_SHARE) * _zipf(len(TITLE_INDUSTRIES)),
    ]
    industry = labels[rng.choice(len(labels), len(size), p=np.concatenate(shares))]
    # The industry is known more often where the site is ranked.
    known = np.asarray(INDUSTRY_KNOWN_SHARES)[size] * np.where(ranked, 1.15, 0.8)
    industry[rng.random(len(size)) >= known] = None
    return industry


def _zipf(labels: int) -> Floats:
    weights = 1 / np.arange(2, labels + 2)
    return np.asarray(weights / weights.sum())
