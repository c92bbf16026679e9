"""What the default contract names stands in that contract: modules follow any contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conversion.config.attribute_kinds import AnyAttribute, Category, Number, Ordered
from conversion.config.attribute_names import encoded_names, feature_name, flag_name, missing_name
from tests.contract_files import ROOT, hubspot

FREE = ("conversion/config/", "conversion/simulation/", "stages/simulate.py")
"""Where they may be named: the default contract is chosen there, and its sample is drawn."""

ORDINARY = frozenset(
    {
        # English, or words of this project with any contract: the MRR of a conversion.
        *("id", "MRR", "size", "customers", "noncustomers"),
        # Levels that are a number or that any category has.
        *("1", "Unknown", "Other"),
    }
)
"""Names of the contract that are no vendor's own."""

VENDOR = ("HubSpot", "hubspot", "Alexa", "alexa", "sectors")
"""Names of the vendor, of the ranking in its export, and of the groups of its industries."""


CRM_FILES = re.compile(r"conversion/delivery/crm_\w+\.py")
"""Modules that write the file of a CRM; they name it, and no more of what is above."""
OF_CRMS = frozenset({"HubSpot", "hubspot"})
"""Names of CRMs among those of the vendor: one that exports tables also imports files."""


def names_of(column: str, attribute: AnyAttribute) -> set[str]:
    """Name an attribute's columns, features and levels."""
    names = {
        *encoded_names(column, attribute),
        feature_name(column, attribute),
        missing_name(column, attribute),
    }
    if isinstance(attribute, Number):
        names.add(flag_name(column, attribute))
    if isinstance(attribute, Ordered):
        names.update(attribute.levels)
    if isinstance(attribute, Category) and isinstance(attribute.groups, dict):
        names.update(attribute.groups, *attribute.groups.values())
    return names


def vendor_names() -> set[str]:
    """Name the default contract's tables, columns, modules, features and levels.

    Left out is what any text may say: `ORDINARY`, and levels of one word as English writes it (Education,
    Media).
    """
    contract = hubspot()
    names = {*contract.tables, *contract.company_columns(), contract.usage.time, *contract.counts}
    names.update(contract.modules)
    for column, attribute in contract.companies.attributes.items():
        names |= names_of(column, attribute)
    return {name for name in names - ORDINARY if not re.fullmatch(r"[A-Z][a-zé]+", name)} | {*VENDOR}


def pattern_of(name: str) -> str:
    """Find a name as a whole word; a feature's also where underscores join words, as in _sector_codes."""
    inside = r"[^\W_]" if re.fullmatch(r"[a-z_]+", name) else r"\w"
    return rf"(?<!{inside}){re.escape(name)}(?!{inside})"


NAMES = re.compile("|".join(map(pattern_of, sorted(vendor_names(), reverse=True))))


def modules() -> list[str]:
    """List the modules that may name none of them."""
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("conversion", "stages", "commands")
        for path in (ROOT / folder).rglob("*.py")
    ]
    return sorted(path for path in found if not path.startswith(FREE))


def named_in(path: Path) -> list[str]:
    """List the names in a module's code, strings, docstrings and comments, each with its line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        f"line {number}: {found}"
        for number, line in enumerate(lines, start=1)
        for found in NAMES.findall(line)
    ]


@pytest.mark.parametrize("module", modules())
def test_no_module_names_what_a_contract_says(module: str) -> None:
    found = named_in(ROOT / module)
    if CRM_FILES.fullmatch(module):
        found = [each for each in found if each.partition(": ")[2] not in OF_CRMS]
    assert found == []


def test_only_modules_of_files_for_crms_may_name_one() -> None:
    free = [module for module in modules() if CRM_FILES.fullmatch(module)]
    naming = {module for module in free if named_in(ROOT / module)}
    assert naming == {"conversion/delivery/crm_files.py", "conversion/delivery/crm_hubspot.py"}


def test_the_names_are_the_contracts() -> None:
    names = vendor_names()
    assert {"CLOSEDATE", "ALEXA_RANK", "WHEN_TIMESTAMP", "USERS_EMAIL", "CRM_DEALS", "usage_actions"} <= names
    assert {"log_alexa_rank", "unranked", "size_missing", "sector", "10,001 or more"} <= names
    assert {"Software and IT", "COMPUTER_SOFTWARE", "Asesoría de Marketing", "RETAIL"} <= names
    assert not {"Education", "Media", "Unknown", "MRR", "id"} & names
    assert len(names) > 200


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('table["EMPLOYEE_RANGE"]', ["EMPLOYEE_RANGE"]),
        ('"""Such as `ACTIONS_EMAIL`."""', ["ACTIONS_EMAIL"]),
        ("self._sector_codes(X)", ["sector"]),
        ("'2 to 5'  # employees", ["2 to 5"]),
        ("emails = EMAILS, EMAIL_2", []),
        ("a private-sector company", ["sector"]),
        ("bisector", []),
    ],
)
def test_whole_words_are_found_in_any_text(text: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(f"{text}\n", encoding="utf-8")
    assert named_in(tmp_path / "module.py") == [f"line 1: {name}" for name in found]
