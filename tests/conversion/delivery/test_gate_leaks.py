from __future__ import annotations

from pathlib import Path

import pytest

from conversion.delivery.gate_inputs import read_gate_inputs
from conversion.delivery.gate_leaks import check_leaks
from conversion.runtime.files import write_json
from tests.gates import lay_out_gate, sound

FOUND = "9 of 9 with plan=pro converted, 0 of 80 others"


def test_no_leak_is_ok() -> None:
    assert check_leaks({}).status == "ok"


def test_a_leak_is_watched_and_named() -> None:
    found = check_leaks({"plan": FOUND})
    assert found.status == "watch"
    assert found.value == 1
    assert f"plan ({FOUND})" in found.sentence


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        ({}, {}),
        (
            {"attribute_leaks": {"plan": {"warned": True, "found": FOUND}, "size": {"warned": False}}},
            {"plan": FOUND},
        ),
    ],
)
def test_leaks_are_those_that_load_warned_of(
    quality: dict[str, object], expected: dict[str, str], tmp_path: Path
) -> None:
    lay_out_gate(tmp_path, sound())
    write_json(tmp_path / "metrics" / "data_quality.json", quality)
    assert read_gate_inputs(tmp_path, sound().params).leaks == expected
