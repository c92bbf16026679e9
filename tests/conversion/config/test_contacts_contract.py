from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from conversion.config.contacts_contract import TEAM_CONTACTS
from conversion.config.contract_file import load_contract
from conversion.runtime.errors import ParamsError
from tests.contract_files import ROOT, hubspot


def written(folder: Path, **changes: Any) -> Path:
    values = yaml.safe_load((ROOT / "contracts/hubspot_contacts.yaml").read_text(encoding="utf-8"))
    values["companies"]["attributes"] = {}
    values["contacts"] |= changes
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_the_contract_of_the_sample_with_contacts_adds_contacts_alone() -> None:
    contract = load_contract(ROOT / "contracts/hubspot_contacts.yaml")
    assert contract.tables == (*hubspot().tables, "contacts")
    assert contract.of_model() == hubspot().of_model() == hubspot().model_dump(mode="json")
    assert {*contract.model_dump()} - {*hubspot().model_dump()} == {"contacts"}
    assert contract.contacts is not None
    assert contract.contacts.outcomes.meanings()["not interested"] == "refused"


def test_as_a_feature_contacts_are_a_measure_that_the_export_does_not_have(tmp_path: Path) -> None:
    contract = load_contract(written(tmp_path, feature=True))
    assert list(contract.usage.measures) == [TEAM_CONTACTS]
    assert not contract.exported.usage.measures
    resolved = tmp_path / "contract.json"
    resolved.write_text(json.dumps(contract.model_dump(mode="json")), encoding="utf-8")
    assert load_contract(resolved) == contract


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcomes": {"missed": ["A", "b"], "reached": ["a"]}}, "contacts.outcomes: a is there twice"),
        ({"outcomes": {}}, "contacts.outcomes: none of the words is given"),
        ({"outcomes": {"mised": ["a"]}}, "contacts.outcomes.mised: unknown key, given .*did you mean missed"),
        ({"table": "customers"}, "customers: a table stands for two things"),
        ({"outcome": None}, "contacts.outcome: given null, should be a valid string"),
    ],
)
def test_mistakes(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        load_contract(written(tmp_path, **changes))
