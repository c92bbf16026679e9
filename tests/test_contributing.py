"""Follow the worked examples of CONTRIBUTING.md in a copy of the project, step by step."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.clone import ALL, ROOT, SMALL, Clone, stages_run

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"<!-- start: (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- end: (?P=name) -->", re.DOTALL)
STEP = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = {match["name"]: match["text"] for match in EXAMPLE.finditer(PAGE)}

pytestmark = pytest.mark.slow


def follow(clone: Clone, example: str) -> list[str]:
    """Apply the diffs and run the commands of an example in order; return the output of each command."""
    said = []
    # The diffs apply to the project's own params; the commands run with small ones.
    shutil.copyfile(ROOT / "params.yaml", clone.folder / "params.yaml")
    for step in STEP.finditer(EXAMPLES[example]):
        if step["kind"] == "diff":
            patch = clone.home / "step.diff"
            patch.write_text(step["body"], encoding="utf-8")
            clone.git("apply", str(patch))
            continue
        assert step["kind"] == "sh", "a step is a diff or commands"
        if not said:
            clone.set_params(SMALL)
        said += [clone.run("sh", "-c", line) for line in step["body"].splitlines()]
    return said


@pytest.fixture
def clone(first_run: Clone, tmp_path: Path) -> Clone:
    return first_run.copy_to(tmp_path / "project")


def test_the_examples_are_the_two() -> None:
    assert set(EXAMPLES) == {"new-model-family", "new-feature"}
    kinds = {name: {step["kind"] for step in STEP.finditer(text)} for name, text in EXAMPLES.items()}
    assert kinds == {name: {"diff", "sh"} for name in EXAMPLES}


def test_a_new_model_family(clone: Clone) -> None:
    before = clone.read("data/leads/leads.csv")
    tests, experiment, comparison = follow(clone, "new-model-family")
    assert "passed" in tests
    assert "failed" not in tests
    assert stages_run(experiment) == ALL, "every stage reads conversion/config/params.py"
    described = json.loads(clone.read("models/model.json"))
    assert described["model_type"] == "lightgbm"
    assert described["params"]["model"]["num_leaves"] == 8
    assert "lightgbm" in described["library_versions"]
    assert json.loads(clone.read("metrics/evaluation.json"))["model_type"] == "lightgbm"
    assert clone.read("data/leads/leads.csv") != before
    assert comparison.startswith("A: HEAD\nB: lightgbm\n")
    assert re.search(r"average precision +0\.\d+ +0\.\d+ +[+-]0\.\d+", comparison)
    assert comparison.splitlines()[-1].endswith(".")


def test_a_new_feature(clone: Clone) -> None:
    assert b"top_module_share" not in clone.read("docs/reference/features.md")
    tests, repro, docs, comparison = follow(clone, "new-feature")
    assert "passed" in tests
    assert "failed" not in tests
    assert stages_run(repro) == ALL[3:]
    assert "Traceback" not in docs
    row = "| `top_module_share` | share of the module used most | usage | share | lifetime | share | either |"
    assert row in clone.read("docs/reference/features.md").decode().splitlines()
    assert "top_module_share" in json.loads(clone.read("models/model.json"))["features"]
    assert comparison.startswith("A: HEAD\nB: workspace\n")
    assert comparison.splitlines()[-1].endswith(".")
