from __future__ import annotations

import re
from typing import Any

from conversion.config.data_contract import Contract
from conversion.pages.model_card import escaped, model_card
from conversion.pages.track_record import TrackRecord
from tests.contract_files import hubspot, projects
from tests.records import LINE, SHA256, record

HOSTILE = "a|b <img src=x> [c](http://evil.example) `d` *e* #f"


def description(**changed: Any) -> dict[str, Any]:
    return {
        "features": {"users_max_4w": "float32"},
        "calibration": "none",
        "threshold": 0.05,
        "params": {"seed": 7, "model": {"max_depth": 3}},
        "data_sha256": {"data/features/train.parquet": "cd" * 32},
        "library_versions": {"numpy": "2.4.6", "python": "3.11.7"},
        "sha256": SHA256,
    } | changed


def card(of: TrackRecord | None = None, contract: Contract | None = None) -> str:
    return model_card(of or record(), description(), contract or hubspot())


def table_rows(text: str, heading: str) -> list[list[str]]:
    part = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_card_has_its_parts_in_order() -> None:
    assert re.findall(r"^## (.*)$", card(), flags=re.MULTILINE) == [
        "The model",
        "Intended use",
        "Data",
        "Rules of time",
        "Measures",
        "Calibration",
        "Tiers",
        "Slices",
        "What it looks at",
        "Limits",
        "Reproduce it",
    ]
    assert LINE in card()


def test_every_table_has_as_many_cells_in_each_row() -> None:
    for heading in (
        "The model",
        "Measures",
        "Calibration",
        "Tiers",
        "Slices",
        "What it looks at",
        "Reproduce it",
    ):
        rows = table_rows(card(), heading)
        assert len(rows) > 2
        assert len({len(row) for row in rows}) == 1, heading
        assert set("".join(rows[1])) <= set("- "), heading


def test_measures_stand_with_their_intervals_beside_the_rule_and_random_order() -> None:
    rows = {row[0]: row[1:] for row in table_rows(card(), "Measures")}
    assert list(rows)[2:] == ["the model", "the rule", "random order"]
    assert rows["the model"][0] == "50 % (25 % to 75 %)"
    assert rows["the model"][-1] == "0.900 (0.800 to 0.950)"
    assert "the base rate, 0.25 %" in card()


def test_tiers_and_slices() -> None:
    assert table_rows(card(), "Tiers")[2] == ["very high", "10.0", "10", "20 %", "25 %", "10 % to 40 %"]
    assert table_rows(card(), "Slices")[3] == ["never seen", "3,000", "0", "-", "- to -", "-"]


def test_what_it_takes_to_reproduce_the_model() -> None:
    text = card()
    assert "```yaml\nseed: 7\nmodel:\n  max_depth: 3\n```" in text
    assert f"| model | `{SHA256}` |" in text
    assert f"| `data/features/train.parquet` | `{'cd' * 32}` |" in text


def test_names_of_a_contract_cannot_change_the_page() -> None:
    slices = (record().slices[0].model_copy(update={"name": HOSTILE}),)
    text = card(record(slices=slices))
    (row,) = table_rows(text, "Slices")[2:]
    assert row[0] == escaped(HOSTILE)
    assert len(row) == 6
    assert "<img" not in text.replace("\\<img", "")


def test_a_line_break_in_a_name_stays_in_its_cell() -> None:
    assert escaped("a\n## b") == r"a \#\# b"


def test_the_card_of_another_contract_says_its_own_words() -> None:
    text = card(contract=projects())
    assert "Attributes: country, plan, employees and is\\_partner." in text
    assert "Projects, Automations and Invoices" in text
    assert "had not used the product" not in text


def test_without_attributes() -> None:
    contract = hubspot()
    bare = contract.model_copy(update={"companies": contract.companies.model_copy(update={"attributes": {}})})
    assert "Attributes: none." in card(contract=bare)


def test_the_same_results_give_the_same_bytes() -> None:
    assert card() == card()
    assert card().endswith("|\n")
    assert "\r" not in card()
