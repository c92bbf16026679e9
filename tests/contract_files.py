"""Contracts that tests use: the default one, and that of another product."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract

ROOT = Path(__file__).resolve().parents[1]


@cache
def hubspot() -> Contract:
    """Return the default contract."""
    return load_contract(ROOT / "contracts/hubspot.yaml")


@cache
def projects() -> Contract:
    """Return the contract of a tool for project work."""
    return load_contract(ROOT / "tests/contracts/projects.yaml")
