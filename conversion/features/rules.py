"""The rules that a model has to beat: the most users, or actions, of the last four weeks."""

from __future__ import annotations

from conversion.config.data_contract import Contract
from conversion.config.params import BASELINE_WEEKS


def rules(contract: Contract) -> dict[str, str]:
    """Return the rankers that are a rule, each with its feature; users are known in some contracts only."""
    users = {"users_rule": f"users_max_{BASELINE_WEEKS}w"} if contract.users else {}
    return users | {"actions_rule": f"actions_{BASELINE_WEEKS}w"}


def rule_feature(contract: Contract) -> str:
    """Name the feature of the rule that a call list is compared with: users where they are known."""
    return next(iter(rules(contract).values()))
