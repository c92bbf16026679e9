"""The pages are right: generated parts are current, what is named exists, and plain Markdown is enough."""

from __future__ import annotations

import ast
import functools
import json
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from conversion.config.contract_file import load_contract
from conversion.data.cleaning import COMPANY_RULES, USAGE_RULES
from conversion.data.histories import HISTORY_RULES
from conversion.data.subscriptions import SUBSCRIPTION_RULES
from conversion.serving import login
from conversion.serving.middleware import BENTOML_PATHS, STATIC_FOLDER
from conversion.serving.routes import http_routes
from tools.docs import blocks, contract_blocks, generate, metric_names, pages, session
from tools.docs.markdown import BLOCK

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = tuple(generate.written_pages(ROOT))
PAGES = (*WRITTEN, *sorted(pages.makers(ROOT)))
PATH_ENDINGS = (".py", ".md", ".yaml", ".json", ".csv", ".txt", ".png", ".in", ".joblib", ".parquet", ".lock")
# Placeholders of the reader's own, what the service, MLflow and Sphinx write, and endings in a sentence.
NOT_OURS = {
    "logs/",
    ".dvc/tmp/rwlock",
    "mlflow.db",
    ".tracking/",
    "mlartifacts/",
    "models/registered.json",
    "docs/build/html/index.html",
    "/path/to/project",
    ".csv",
    ".parquet",
    ".in",
    ".txt",
    # made by a reader of CONTRIBUTING.md
    "conversion/modelling/lightgbm.py",
    "tests/conversion/modelling/test_lightgbm.py",
    ".venv/bin/activate",
    "/path/to/export",
    # written by a reader of own_export.md
    "contracts/mine.yaml",
    "/path/to/python3.11",
    # what a reader, `simulate_calls`, `deliver` and `scorecard` write, which no stage makes
    *("reps.csv", "contacts.csv", "reps/", "Ben.csv", "left.csv", "lists.csv", "scorecard.json"),
    *("_frozen/", "manifest.json", "leads.json", "delivery.json", "excel.csv"),
}
FOLDERS = (
    "examples/",
    "stages/",
    "commands/",
    "conversion/",
    "benchmarks/",
    "tools/docs/",
    "docs/explanation/",
    "models/",
)
FENCED = re.compile(r"^```(?P<kind>\{?\w*\}?).*?\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
PARSE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from dvc.cli.parser import get_main_parser
for arguments in json.load(sys.stdin):
    get_main_parser().parse_args(arguments)
"""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@functools.cache
def in_git() -> frozenset[str]:
    """List the files and folders that git has, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    files = [PurePosixPath(name) for name in listed.split("\0") if (ROOT / name).is_file()]
    return frozenset(str(path) for file in files for path in (file, *file.parents))


def code_of(text: str) -> list[str]:
    """Return what a page shows as code: commands by line, and spans in text."""
    lines = [line for step in session.steps(text) for line in step.command.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", FENCED.sub("", text))]


@pytest.fixture(scope="module")
def code() -> list[str]:
    return [line for name in WRITTEN for line in code_of(text_of(name))]


@pytest.fixture(scope="module")
def outputs() -> set[str]:
    """Return what the stages write, by dvc.yaml."""
    stages = yaml.safe_load(text_of("dvc.yaml"))["stages"].values()
    parts = [stage.get(part, []) for stage in stages for part in ("outs", "metrics", "plots")]
    return {path for entries in parts for path in pages.output_paths(entries)}


# --- what is generated -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(pages.makers(ROOT)))
def test_a_generated_page_is_current(name: str) -> None:
    assert text_of(name) == pages.makers(ROOT)[name](), "run: make docs"


@pytest.mark.parametrize("name", WRITTEN)
def test_generated_blocks_are_current(name: str) -> None:
    # The lead list is not in git; where there is none its block is left as it is.
    assert text_of(name) == blocks.filled(ROOT, text_of(name), name)[0], "run: make docs"


def test_every_block_is_on_a_page() -> None:
    found = [match["name"] for name in WRITTEN for match in BLOCK.finditer(text_of(name))]
    assert set(found) == set(blocks.makers(ROOT))
    comments = sum(len(re.findall("(?m)^<!-- generated: ", text_of(name))) for name in WRITTEN)
    assert len(found) == comments, "a block has no end"


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"README.md: unknown block nonsense"):
        blocks.filled(ROOT, "<!-- generated: nonsense -->\n<!-- end -->", "README.md")


def test_a_block_without_source_stays(tmp_path: Path) -> None:
    text = "<!-- generated: results -->\nnot yet\n<!-- end -->\n"
    filled, missing = blocks.filled(tmp_path, text, "README.md")
    assert filled == text
    assert missing == [str(tmp_path / "metrics/evaluation.json")]


def measured(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": value, "high": value}


def test_results_need_neither_oracle_nor_every_measure(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
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
    block = blocks.results_block(tmp_path)
    assert "| **model** | 0.250 (0.250 to 0.250) | - | 0.900 (0.900 to 0.900) | - |" in block
    assert "random order: 0.000 (-0.100 to 0.100)" in block
    assert "1 companies converted within 30 days of at least one list" in block
    assert "oracle (" not in block


def test_slices_are_shown_with_what_is_undefined_left_out(tmp_path: Path) -> None:
    generate.write_text(
        tmp_path / "metrics/slices.csv",
        "by,slice,prospects,share_of_conversions,expected_over_observed,expected_over_observed_low,"
        "expected_over_observed_high,roc_auc,recall_at_50\n"
        "all,all prospects,200,1.0,1.1,0.9,1.4,0.91,0.25\n"
        "usage_state,never seen,50,0.0,,,,,\n",
    )
    block = blocks.slices_block(tmp_path)
    assert "| all prospects | 100.0 % | 100.0 % | 1.100 (0.900 to 1.400) | 0.910 | 0.250 |" in block
    assert "| never seen | 25.0 % | 0.0 % | - | - | - |" in block
    assert "recall at 250" not in block, "not among evaluate.top_k"


@pytest.mark.parametrize("path", sorted(metric_names.FILES))
def test_every_metric_is_explained_once(path: str) -> None:
    names = [name.pattern for name in metric_names.FILES[path]]
    keys = metric_names.keys_of(ROOT / path)
    assert keys
    explained = {key: [name for name in names if metric_names.matches(name, key)] for key in keys}
    assert {key: found for key, found in explained.items() if len(found) != 1} == {}
    # What only shows when it is switched on, or when the contract has such days or tables.
    of_days = ("dates_out_of_order.", "usage_before_sign_up.")
    of_tables = ("subscriptions.", "histories.", "merged_ids.", "orphaned_<table>.")
    of_tables += ("contacts.", "contact_outcomes.", "objections.", "objecting_companies.")
    optional = ("cross_validation_not_out_of_time.", "business.no_revenue_because", *of_days, *of_tables)
    unused = {name for name in names if not any(metric_names.matches(name, key) for key in keys)}
    assert {name for name in unused if not name.startswith(optional)} == set()


def test_the_examples_of_a_contract_are_right_and_have_every_key() -> None:
    given: set[str] = set()
    for path in contract_blocks.EXAMPLES.values():
        load_contract(ROOT / path)
        given |= set(dotted(yaml.safe_load(text_of(path))))
    names = {key.rpartition(".")[2] for key in given}
    assert {key for model in contract_blocks.models().values() for key in model["properties"]} <= names


def test_what_follows_is_said_of_each_key_of_companies_and_usage_that_results_depend_on() -> None:
    rows = re.findall(r"(?m)^\| `((?:companies|usage)[.][\w.]+)` \| ", text_of("docs/reference/contract.md"))
    models = contract_blocks.models()
    keys = {f"{name.lower()}.{key}" for name in ("Companies", "Usage") for key in models[name]["properties"]}
    assert len(rows) == len(set(rows)) > 10
    assert set(rows) <= keys
    assert {key for key in keys if key.startswith("companies.")} - set(rows) == {"companies.id"}


def test_every_cleaning_rule_is_explained() -> None:
    rules = {*COMPANY_RULES, *USAGE_RULES, *SUBSCRIPTION_RULES, *HISTORY_RULES}
    explained = re.findall(r"(?m)^\| `(\w+)` \| ", text_of("docs/how-to/own_export.md"))
    assert rules <= set(explained)


def test_the_flow_has_every_stage_and_what_reads_its_outputs() -> None:
    lines = [line.strip() for line in blocks.flow_block(ROOT).splitlines()]
    assert lines[:2] == ["```mermaid", "flowchart TD"]
    assert "simulate --> load & evaluate" in lines
    assert "featurize --> train & evaluate & score & track" in lines
    assert set(re.findall(r"\w+", " ".join(lines[2:-1]))) == set(pages.stages_of(ROOT))


def test_every_wing_has_a_floor() -> None:
    wings = [wing for floor in blocks.floors(ROOT) for wing in floor]
    assert sorted(wings) == sorted(path.parent.name for path in (ROOT / "conversion").glob("*/__init__.py"))
    assert wings.index("config") < wings.index("data") < wings.index("modelling") < wings.index("serving")


# --- what is named ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    text = FENCED.sub("", text_of(name))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = {target for target in targets if target and "://" not in target}
    folder = PurePosixPath(name).parent
    assert {target for target in local if posixpath.normpath(folder / target) not in in_git()} == set()
    secure = {target for target in targets if "://" in target and not target.startswith("http://localhost")}
    assert all(target.startswith("https://") for target in secure)


@pytest.mark.parametrize("name", PAGES)
def test_plain_markdown_is_enough(name: str) -> None:
    """What Sphinx alone understands would be shown as code, or not at all, on a code host."""
    text = text_of(name)
    assert re.findall(r"^ *(?:```+|~~~+|:::+) *\{.*", text, flags=re.MULTILINE) == [], "a directive"
    prose = re.sub(r"`[^`\n]+`", "", FENCED.sub("", text))
    assert re.findall(r"\{[\w:-]+\}`|^\([\w-]+\)=$|<img|<svg", prose, flags=re.MULTILINE) == []
    assert len(re.sub(r"<!--.*?-->", "", prose, flags=re.DOTALL).split()) > 40, "a page of its own"


def test_the_start_page_leads_to_every_page() -> None:
    linked = re.findall(r"^- \[[^\]]+\]\(([^)#]+)\):", text_of("docs/index.md"), flags=re.MULTILINE)
    found = [posixpath.normpath(f"docs/{target}") for target in linked]
    assert len(found) == len(set(found))
    assert set(found) == set(PAGES) - {"docs/index.md"} | {"notebooks/demo.ipynb"}


def test_the_map_answers_what_newcomers_ask() -> None:
    rows = [line.split(" | ") for line in text_of("docs/reference/map.md").splitlines() if "| [" in line]
    opened = {
        what.removeprefix("| "): re.findall(r"\[([^\]]+)\]\(\.\./\.\./([^)]+)\)", files)
        for what, files in rows
    }
    wings = list((ROOT / "conversion").glob("*/__init__.py"))
    assert 30 <= len(opened) <= 4.3 * len(wings), "as many rows a wing as a reader can scan"
    for named in opened.values():
        assert named
        assert all(name == target and target in in_git() for name, target in named)

    def files(words: str) -> list[str]:
        (found,) = [named for what, named in opened.items() if words in what]
        return [name for name, _ in found]

    assert files("window of weeks") == ["conversion/features/catalogue.py"]
    assert files("recall and lift at k") == ["conversion/evaluation/ranking_metrics.py"]
    assert files("becomes a 422") == ["conversion/serving/refusals.py"]


def test_every_named_file_exists(code: list[str], outputs: set[str]) -> None:
    spans = [word for text in code for word in text.split() if re.fullmatch(r"[\w./*-]+", word)]
    paths = [word for word in spans if "/" in word or word.endswith(PATH_ENDINGS)]
    routes = {name for name in paths if name.startswith("/") and name not in NOT_OURS}
    shown = {*login.PAGES, f"{login.COMPANIES}ID", "/login", STATIC_FOLDER}
    known = {each.path for each in http_routes()} | {*BENTOML_PATHS} | shown
    assert {route.partition("?")[0] for route in routes} <= known
    named = set(paths) - NOT_OURS - routes
    assert len(named) > 20
    bare = {PurePosixPath(name).name for name in in_git() if name.startswith(FOLDERS)}
    bare |= {PurePosixPath(output).name for output in outputs}
    unknown = sorted(name for name in named if name not in bare and not is_there(outputs, name))
    assert not unknown, "\n".join(unknown)


def is_there(outputs: set[str], name: str) -> bool:
    path = PurePosixPath(name)
    made = {PurePosixPath(output) for output in outputs}
    made |= {parent for output in made for parent in output.parents}
    return (
        bool(list(ROOT.glob(name)))
        or bool(made & {path, *path.parents[:-1]})
        or any(output.match(name) for output in made)
    )


def test_every_make_target_exists(code: list[str]) -> None:
    makefile = text_of("Makefile")
    targets = {target for text in code for target in re.findall(r"^make ([a-z-]+)", text)}
    variables = {name for text in code for name in re.findall(r"^make .*?\b([A-Z_]+)=", text)}
    assert targets >= {"run", "test", "docs"}
    assert targets <= set(re.findall(r"(?m)^([a-z-]+):", makefile))
    assert variables <= set(re.findall(r"(?m)^([A-Z_]+) \?=", makefile))


def test_every_dvc_command_exists(code: list[str]) -> None:
    lines = [text for text in code if text.startswith("dvc ") and not text.endswith("\\")]
    commands = [shlex.split(re.split(r" [|#] ?", line)[0])[1:] for line in lines]
    assert ["repro"] in commands
    done = subprocess.run(
        [sys.executable, "-c", PARSE], input=json.dumps(commands), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_set_param_exists(code: list[str]) -> None:
    params = yaml.safe_load(text_of("params.yaml"))
    sections = "|".join(name for name, value in params.items() if isinstance(value, dict))
    named = {key for text in code for key in re.findall(r"-S '?([\w.]+)=", text)}
    named |= {text for text in code if re.fullmatch(rf"({sections})(\.\w+)+", text)}
    assert named >= {"model.type", "data.dir", "data.as_of"}
    known = set(dotted(params))
    assert {key for key in named - known if not key.endswith(PATH_ENDINGS)} == set()


def dotted(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{name}.")


# --- commands are run, here or where the page says ---------------------------------------------------------


def test_every_page_with_commands_is_run() -> None:
    asking = {name for name in WRITTEN if any(not step.run_by for step in session.steps(text_of(name)))}
    # CONTRIBUTING.md is carried out by tests/test_contributing.py
    assert asking - {"CONTRIBUTING.md"} <= set(generate.COMMAND_PAGES)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_run_elsewhere_is_run_there(name: str) -> None:
    for step in session.steps(text_of(name)):
        for place in (step.run_by or "").split():
            path, _, test = place.partition("::")
            source = text_of(path)
            if test:
                functions = {
                    node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)
                }
                assert test in functions, f"{path} has no {test}"
        if step.run_by and "::" not in step.run_by:
            # In a test a command is a list of words in quotes.
            sources = re.sub(r'[",\s]+', " ", " ".join(text_of(place) for place in step.run_by.split()))
            commands = [line.partition("#")[0].strip() for line in step.command.splitlines()]
            assert [command for command in commands if command not in sources] == []
