"""The two industry taxonomies, and the sector of each label."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from conversion.config.contract import UNKNOWN_SECTOR

# The CRM's own taxonomy (upper case) and the free one (as typed), by sector. Labels are compared by
# `_normalize`, so case, punctuation and spacing do not matter.
INDUSTRIES_BY_SECTOR: Final[dict[str, tuple[str, ...]]] = {
    "Software and IT": (
        "COMPUTER_SOFTWARE", "COMPUTER_HARDWARE", "COMPUTER_NETWORKING", "COMPUTER_NETWORK_SECURITY",
        "COMPUTER_GAMES", "INFORMATION_SERVICES", "INFORMATION_TECHNOLOGY_AND_SERVICES", "INTERNET",
        "PROGRAM_DEVELOPMENT", "SEMICONDUCTORS", "NANOTECHNOLOGY", "TELECOMMUNICATIONS", "WIRELESS",
        "Computers, Networking, Software, Technol", "Information Technology & Services", "SaaS", "Software",
        "Software / IT", "Technology", "Technology - Hardware & Equipment",
        "Technology - Hardware and Equipment", "Technology - Software", "Telecom & Mobile Communications",
    ),
    "Marketing and media": (
        "ANIMATION", "BROADCAST_MEDIA", "DESIGN", "GRAPHIC_DESIGN", "MARKETING_AND_ADVERTISING",
        "MARKET_RESEARCH", "MEDIA_PRODUCTION", "MOTION_PICTURES_AND_FILM", "NEWSPAPERS", "ONLINE_MEDIA",
        "PHOTOGRAPHY", "PRINTING", "PUBLIC_RELATIONS_AND_COMMUNICATIONS", "PUBLISHING",
        "WRITING_AND_EDITING", "Advertising", "Advertising & Marketing Services",
        "Advertising and Marketing", "Asesoría de Marketing", "Marketing Services", "Media",
        "Media & Publishing", "Mktg / PR / Web / SEO",
    ),
    "Professional services": (
        "ACCOUNTING", "ALTERNATIVE_DISPUTE_RESOLUTION", "EVENTS_SERVICES", "EXECUTIVE_OFFICE",
        "FACILITIES_SERVICES", "HUMAN_RESOURCES", "LAW_PRACTICE", "LEGAL_SERVICES",
        "MANAGEMENT_CONSULTING", "OUTSOURCING_OFFSHORING", "PROFESSIONAL_TRAINING_COACHING",
        "SECURITY_AND_INVESTIGATIONS", "STAFFING_AND_RECRUITING", "THINK_TANKS",
        "TRANSLATION_AND_LOCALIZATION", "Business Consulting", "Business Services - General",
        "Coaching/Business Services", "Consulting", "Consulting/Advisory", "Legal",
        "Recruiting/Staffing",
    ),
    "Finance and insurance": (
        "BANKING", "CAPITAL_MARKETS", "FINANCIAL_SERVICES", "INSURANCE", "INVESTMENT_BANKING",
        "INVESTMENT_MANAGEMENT", "VENTURE_CAPITAL_PRIVATE_EQUITY", "Banking and Finance",
        "Banking/Financial Services", "Finance", "Finance & Insurance", "Finance and Insurance",
        "Insurance",
    ),
    "Education": (
        "EDUCATION_MANAGEMENT", "E_LEARNING", "HIGHER_EDUCATION", "LIBRARIES",
        "PRIMARY_SECONDARY_EDUCATION", "RESEARCH", "Education",
    ),
    "Health": (
        "ALTERNATIVE_MEDICINE", "BIOTECHNOLOGY", "HEALTH_WELLNESS_AND_FITNESS", "HOSPITAL_HEALTH_CARE",
        "MEDICAL_DEVICES", "MEDICAL_PRACTICE", "MENTAL_HEALTH_CARE", "PHARMACEUTICALS", "VETERINARY",
        "Cannabinoid", "Health, Medical, & Wellness", "Health/Fitness", "Healthcare",
        "Healthcare - Services/Providers", "Heath Care (Products or Services)",
    ),
    "Non-profit and government": (
        "CIVIC_SOCIAL_ORGANIZATION", "DEFENSE_SPACE", "FUND_RAISING", "GOVERNMENT_ADMINISTRATION",
        "GOVERNMENT_RELATIONS", "INDIVIDUAL_FAMILY_SERVICES", "INTERNATIONAL_AFFAIRS", "JUDICIARY",
        "INTERNATIONAL_TRADE_AND_DEVELOPMENT", "LAW_ENFORCEMENT", "LEGISLATIVE_OFFICE", "MILITARY",
        "MUSEUMS_AND_INSTITUTIONS", "NON_PROFIT_ORGANIZATION_MANAGEMENT", "PHILANTHROPY",
        "POLITICAL_ORGANIZATION", "PUBLIC_POLICY", "PUBLIC_SAFETY", "RELIGIOUS_INSTITUTIONS",
        "Government, Public Admin", "Non Profit", "Non Profit/EDU/.gov", "Non-Profit",
        "Non-Profit/Educational Institution",
    ),
    "Manufacturing": (
        "AUTOMOTIVE", "AVIATION_AEROSPACE", "BUSINESS_SUPPLIES_AND_EQUIPMENT", "CHEMICALS",
        "ELECTRICAL_ELECTRONIC_MANUFACTURING", "FURNITURE", "GLASS_CERAMICS_CONCRETE",
        "INDUSTRIAL_AUTOMATION", "MACHINERY", "MECHANICAL_OR_INDUSTRIAL_ENGINEERING",
        "PACKAGING_AND_CONTAINERS", "PAPER_FOREST_PRODUCTS", "PLASTICS", "RAILROAD_MANUFACTURE",
        "SHIPBUILDING", "TEXTILES", "Manufacturing", "Manufacturing & Wholesale",
    ),
    "Construction and real estate": (
        "ARCHITECTURE_PLANNING", "BUILDING_MATERIALS", "CIVIL_ENGINEERING", "COMMERCIAL_REAL_ESTATE",
        "CONSTRUCTION", "REAL_ESTATE", "Architecture", "Building, Construction And Architecture",
        "Real Estate & Construction",
    ),
    "Retail and consumer goods": (
        "APPAREL_FASHION", "ARTS_AND_CRAFTS", "CONSUMER_ELECTRONICS", "CONSUMER_GOODS",
        "CONSUMER_SERVICES", "COSMETICS", "FOOD_BEVERAGES", "IMPORT_AND_EXPORT",
        "LUXURY_GOODS_JEWELRY", "RETAIL", "SPORTING_GOODS", "SUPERMARKETS", "TOBACCO", "WHOLESALE",
        "WINE_AND_SPIRITS", "B2C Services", "Comercio Electrónico", "Consumer Products",
        "E- Commerce", "Tiendas", "eCommerce",
    ),
    "Travel and leisure": (
        "ENTERTAINMENT", "FINE_ART", "GAMBLING_CASINOS", "HOSPITALITY", "LEISURE_TRAVEL_TOURISM",
        "MUSIC", "PERFORMING_ARTS", "RECREATIONAL_FACILITIES_AND_SERVICES", "RESTAURANTS", "SPORTS",
        "Reise", "Travel",
    ),
    "Transport and logistics": (
        "AIRLINES_AVIATION", "LOGISTICS_AND_SUPPLY_CHAIN", "MARITIME", "PACKAGE_FREIGHT_DELIVERY",
        "TRANSPORTATION_TRUCKING_RAILROAD", "WAREHOUSING", "Automotive & Transport",
    ),
    "Energy and agriculture": (
        "DAIRY", "ENVIRONMENTAL_SERVICES", "FARMING", "FISHERY", "FOOD_PRODUCTION", "MINING_METALS",
        "OIL_ENERGY", "RANCHING", "RENEWABLES_ENVIRONMENT", "UTILITIES", "Agriculture",
    ),
}  # fmt: skip
SECTORS: Final = (*INDUSTRIES_BY_SECTOR, UNKNOWN_SECTOR)


def _normalize(industry: str) -> str:
    return re.sub(r"[\W_]+", " ", industry).strip().casefold()


_SECTOR_BY_INDUSTRY: Final = {
    _normalize(industry): sector
    for sector, industries in INDUSTRIES_BY_SECTOR.items()
    for industry in industries
}


def is_listed(industry: str) -> bool:
    """Return whether a label is in one of the taxonomies, or ``Other``, which means as little as no label.

    Examples
    --------
    >>> is_listed("Computer software"), is_listed("Other"), is_listed("Enterprise")
    (True, True, False)
    """
    label = _normalize(industry)
    return label in _SECTOR_BY_INDUSTRY or label == "other"


@lru_cache(maxsize=4096)  # labels repeat, and the service looks up one at a time
def sector_of(industry: object) -> str:
    """Return the sector of an ``INDUSTRY`` label of either taxonomy.

    Parameters
    ----------
    industry
        The label; missing and unlisted ones, and ``Other``, are unknown.

    Returns
    -------
    str
        One of `SECTORS`.

    Examples
    --------
    >>> sector_of("COMPUTER_SOFTWARE"), sector_of("Technology - Software"), sector_of(None)
    ('Software and IT', 'Software and IT', 'Unknown')
    """
    if not isinstance(industry, str):
        return UNKNOWN_SECTOR
    return _SECTOR_BY_INDUSTRY.get(_normalize(industry), UNKNOWN_SECTOR)
