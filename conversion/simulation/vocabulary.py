"""The words of the sample: tables, columns, modules, employee ranges and what stands for unranked."""

from __future__ import annotations

from typing import Final

CUSTOMERS: Final = "customers"
NONCUSTOMERS: Final = "noncustomers"
"""The tables with a row for each company."""
USAGE_ACTIONS: Final = "usage_actions"
MODULES: Final = ("CRM_CONTACTS", "CRM_COMPANIES", "CRM_DEALS", "EMAIL")
ACTIONS: Final = tuple(f"ACTIONS_{module}" for module in MODULES)
USERS: Final = tuple(f"USERS_{module}" for module in MODULES)
MEASURES: Final = ACTIONS + USERS
FIRMOGRAPHICS: Final = ("ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY")
COLUMNS: Final = {
    CUSTOMERS: ("id", "CLOSEDATE", "MRR", *FIRMOGRAPHICS),
    NONCUSTOMERS: ("id", *FIRMOGRAPHICS),
    USAGE_ACTIONS: ("id", "WHEN_TIMESTAMP", *MEASURES),
}
EMPLOYEE_RANGES: Final = (
    "1",
    "2 to 5",
    "6 to 10",
    "11 to 25",
    "26 to 50",
    "51 to 200",
    "201 to 1000",
    "1001 to 10000",
    "10,001 or more",
)
UNRANKED: Final = 16_000_001
"""``ALEXA_RANK`` of a site that Alexa did not rank."""
