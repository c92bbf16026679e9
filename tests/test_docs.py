"""The README and docs/ say what is there: generated parts are current, and what is named exists."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from conversion.http_api import http_routes
from conversion.middleware import BENTOML_PATHS
from docs import generate

PATH_ENDINGS = (".py", ".md", ".yaml", ".json", ".csv", ".txt", ".png", ".in", ".joblib", ".parquet", ".lock")
# Placeholders of the reader's own, what the service and MLflow write, and the endings a sentence is about.
NOT_OURS = {
    "logs/",
    ".tracking/",
    "mlartifacts/",
    ".csv",
    ".parquet",
    ".in",
    ".venv/bin/activate",
    "/path/to/export",
    "/path/to/python3.11",
}
FOLDERS = ("stages", "commands", "conversion", "models")
FENCED = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
PARSE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from dvc.cli.parser import get_main_parser
for arguments in json.load(sys.stdin):
    get_main_parser().parse_args(arguments)
"""


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def code(readme: str) -> list[str]:
    """Give what the README shows as code: blocks by line but for what commands said, and spans in text."""
    lines = [
        line.removeprefix("$ ")
        for block in FENCED.finditer(readme)
        for line in block["body"].splitlines()
        if block["kind"] != "console" or line.startswith("$ ")
    ]
    return [*lines, *re.findall(r"`([^`\n]+)`", FENCED.sub("", readme))]


@pytest.fixture(scope="module")
def written(root: Path) -> set[str]:
    """Give what the stages write, by dvc.yaml."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    parts = [stage.get(part, []) for stage in stages for part in ("outs", "metrics", "plots")]
    return {path for entries in parts for path in generate._paths(entries)}


def is_there(root: Path, written: set[str], name: str) -> bool:
    path = PurePosixPath(name)
    made = {PurePosixPath(output) for output in written}
    made |= {parent for output in made for parent in output.parents}
    return (
        bool(list(root.glob(name)))
        or bool(made & {path, *path.parents[:-1]})
        or any(output.match(name) for output in made)
    )


def test_features_page_is_current(root: Path) -> None:
    committed = (root / generate.FEATURES).read_text(encoding="utf-8")
    assert committed == generate.features_page(root), "run: make docs"


def test_readme_blocks_are_current(root: Path, readme: str) -> None:
    # The lead list is not in git; where there is none its block is left as it is.
    assert readme == generate.readme(root, readme), "run: make docs"


def test_readme_has_every_block_once(root: Path, readme: str) -> None:
    names = [match["name"] for match in generate.BLOCK.finditer(readme)]
    assert sorted(names) == sorted(generate.blocks(root))
    assert readme.count("<!--") == 2 * len(names)


def test_unknown_block_is_refused(root: Path) -> None:
    with pytest.raises(SystemExit, match="unknown block nonsense"):
        generate.readme(root, "<!-- generated: nonsense -->\n<!-- end -->")


def test_block_without_source_stays(tmp_path: Path) -> None:
    text = "<!-- generated: results -->\nnot yet\n<!-- end -->\n"
    assert generate.readme(tmp_path, text) == text


def measured(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": value, "high": value}


def test_results_need_neither_oracle_nor_every_measure(tmp_path: Path) -> None:
    by_ranker: dict[str, Any] = {"average_precision": measured(0.25), "roc_auc": measured(None)}
    generate.write_text(
        tmp_path / "metrics/evaluation.json",
        json.dumps(
            {
                "model_type": "xgboost",
                "cutoffs": 3,
                "first_cutoff": "2019-01-07",
                "last_cutoff": "2019-01-21",
                "converters": 1,
                "prevalence": 0.0025,
                "ranking": {"probability": by_ranker, "random": by_ranker},
                "model_minus_baseline": {
                    "random": {"average_precision": {"difference": 0.0, "low": -0.1, "high": 0.1}}
                },
                "probability": {"log_loss_ratio": measured(0.9)},
            }
        ),
    )
    block = generate.results_block(tmp_path)
    assert "| **model** | 0.250 (0.250 to 0.250) | - | 0.900 (0.900 to 0.900) | - |" in block
    assert "random order: 0.000 (-0.100 to 0.100)" in block
    assert "oracle (" not in block


def test_slices_are_shown_with_what_is_undefined_left_out(tmp_path: Path) -> None:
    generate.write_text(
        tmp_path / "metrics/slices.csv",
        "by,slice,prospects,share_of_conversions,expected_over_observed,expected_over_observed_low,"
        "expected_over_observed_high,roc_auc,recall_at_50\n"
        "all,all prospects,200,1.0,1.1,0.9,1.4,0.91,0.25\n"
        "usage_state,never seen,50,0.0,,,,,\n",
    )
    block = generate.slices_block(tmp_path)
    assert "| all prospects | 100.0 % | 100.0 % | 1.100 (0.900 to 1.400) | 0.910 | 0.250 |" in block
    assert "| never seen | 25.0 % | 0.0 % | - | - | - |" in block
    assert "recall at 250" not in block, "not among evaluate.top_k"


def test_every_named_file_exists(root: Path, readme: str, code: list[str], written: set[str]) -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in target]
    spans = [word for text in code for word in text.split() if re.fullmatch(r"[\w./*-]+", word)]
    paths = [word for word in spans if "/" in word or word.endswith(PATH_ENDINGS)]
    routes = {name for name in paths if name.startswith("/") and name not in NOT_OURS}
    assert routes <= {each.path for each in http_routes()} | set(BENTOML_PATHS)
    named = {*links, *paths} - NOT_OURS - routes
    assert len(named) > 20
    bare = {path.name for folder in FOLDERS for path in (root / folder).glob("*")}
    bare |= {PurePosixPath(output).name for output in written}
    missing = sorted(name for name in named if name not in bare and not is_there(root, written, name))
    assert missing == []


def test_the_tree_is_the_tree(root: Path, readme: str, written: set[str]) -> None:
    block = next(found["body"] for found in FENCED.finditer(readme) if not found["kind"])
    folder, named = "", set()
    for line in block.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name
        named.add(folder + name if line.startswith(" ") else name)
    missing = sorted(name for name in named if not is_there(root, written, name.rstrip("/")))
    assert missing == []
    for package in ("stages", "commands", "conversion"):
        modules = {f"{package}/{path.name}" for path in (root / package).glob("*.py")}
        assert modules - {f"{package}/__init__.py"} <= named


def test_every_make_target_exists(root: Path, code: list[str]) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = {target for text in code for target in re.findall(r"^make ([a-z-]+)", text)}
    variables = {name for text in code for name in re.findall(r"^make .*?\b([A-Z_]+)=", text)}
    assert targets >= {"run", "test", "lock", "docs"}
    assert targets <= set(re.findall(r"(?m)^([a-z-]+):", makefile))
    assert variables <= set(re.findall(r"(?m)^([A-Z_]+) \?=", makefile))


def test_every_dvc_command_exists(code: list[str]) -> None:
    lines = [text for text in code if text.startswith("dvc ")]
    lines += [command for command in generate.COMMANDS.values() if command.startswith("dvc ")]
    commands = [shlex.split(line.partition(" | ")[0])[1:] for line in lines]
    assert ["repro"] in commands
    done = subprocess.run(
        [sys.executable, "-c", PARSE], input=json.dumps(commands), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_set_param_exists(root: Path, code: list[str]) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    sections = "|".join(name for name, value in params.items() if isinstance(value, dict))
    lines = [*code, *generate.COMMANDS.values()]
    named = {key for text in lines for key in re.findall(r"-S ([\w.]+)=", text)}
    named |= {text for text in code if re.fullmatch(rf"({sections})(\.\w+)+", text)}
    assert named >= {"model.type", "data.dir", "data.as_of"}
    known = set(dotted(params))
    assert {key for key in named - known if not key.endswith(PATH_ENDINGS)} == set()


def dotted(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{name}.")
