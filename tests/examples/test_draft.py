"""The draft of a contract, made of an example's tables, is close to the contract of the example."""

from __future__ import annotations

from pathlib import Path

import pytest

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.ingest.draft import draft_contract
from conversion.ingest.draft_tables import read_samples
from conversion.ingest.export import read_export
from tests.examples.test_generate import contract as contract_of
from tests.examples.test_generate import generate_into

SIZE = ("--accounts", "800", "--weeks", "30")


def drafted(example: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    """Draft a contract and check that the export can be read by it."""
    generate_into(folder / "export", monkeypatch, example, *SIZE)
    samples, _ = read_samples(folder / "export")
    (folder / "draft.yaml").write_text(draft_contract(samples).text, encoding="utf-8")
    draft = load_contract(folder / "draft.yaml")
    tables = read_export(folder / "export", draft).tables
    assert set(tables) == set(draft.tables)
    return draft


def test_the_draft_of_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows neither ids that are no longer used nor who acts in an event."""
    draft, right = drafted("projects", tmp_path, monkeypatch), contract_of("projects")
    for key in ("tables", "id", "ids", "signed_up", "subscriptions", "shown"):
        assert getattr(draft.companies, key) == getattr(right.companies, key), key
    found, expected = (
        {name: (each.kind, each.history) for name, each in of.companies.attributes.items()}
        for of in (draft, right)
    )
    assert found.keys() == expected.keys()
    assert {name: kind for name, (kind, _) in found.items()} == {
        name: kind for name, (kind, _) in expected.items()
    }
    history = found["plan"][1]
    assert history is not None
    assert (history.table, history.id, history.valid_from) == ("plans", "account", "since")
    for key in ("table", "id", "time", "grain", "user", "event"):
        assert getattr(draft.usage, key) == getattr(right.usage, key), key
    patterns = {event for module in right.usage.modules.values() for event in module.events}
    assert patterns <= {event for module in draft.usage.modules.values() for event in module.events}


def test_the_draft_of_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes each count of actions for a module, with the users of the same name."""
    draft, right = drafted("documents", tmp_path, monkeypatch), contract_of("documents")
    for key in ("tables", "id", "ids", "signed_up", "converted", "ended", "value", "shown"):
        assert getattr(draft.companies, key) == getattr(right.companies, key), key
    assert draft.companies.attributes.keys() == right.companies.attributes.keys()
    for key in ("table", "id", "time", "grain"):
        assert getattr(draft.usage, key) == getattr(right.usage, key), key
    pairs = {(module.actions, module.users) for module in right.usage.modules.values()}
    assert pairs == {(module.actions, module.users) for module in draft.usage.modules.values()}
    measured = {each.column for each in right.usage.measures.values()}
    assert {each.column for each in draft.usage.measures.values()} == measured
