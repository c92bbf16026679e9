"""The checks before a commit: clean on the project, and each fails on what it is there to find."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.clone import Clone
from tools.docs import session

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}
# `make lint` runs these two on the project itself: types take half a minute without mypy's cache, and in the
# middle of work dvc.lock is rightly behind. tests/commands/test_check_lock.py has the lock's own tests.
LEFT_TO_LINT = "mypy,dvc-lock"

TYPED_WRONG = '"""A module."""\n\nANSWER: int = "many"\n'


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy of the project that commits with the hooks on, and has no way into the network."""
    clone = Clone(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home"))
    clone.copy_project()
    clone.start("the project")
    (clone.folder / ".git/info/exclude").write_text(".venv\n", encoding="utf-8")
    session.link_venv(clone.folder)
    clone.env |= {
        "PRE_COMMIT_HOME": str(clone.home / "pre-commit"),
        "GIT_ALLOW_PROTOCOL": "file",
        "PIP_NO_INDEX": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    clone.run("make", "hooks")
    return clone


@pytest.fixture(autouse=True)
def leave_as_it_was(request: pytest.FixtureRequest) -> None:
    if "clone" in request.fixturenames:
        clone: Clone = request.getfixturevalue("clone")
        clone.git("reset", "--quiet", "--hard")
        clone.git("clean", "-d", "--force", "--quiet")


def put(clone: Clone, name: str, text: str | bytes) -> None:
    """Write a file and stage it."""
    path = clone.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    clone.git("add", name)


def notebook(*, ran: bool) -> str:
    cell = nbformat.v4.new_code_cell("1 + 1")
    if ran:
        cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=1)]
    return nbformat.writes(nbformat.v4.new_notebook(cells=[cell])) + "\n"


def test_every_hook_is_a_tool_of_the_environment() -> None:
    assert {repo["repo"] for repo in CONFIG["repos"]} == {"local"}
    for name, hook in HOOKS.items():
        assert hook["language"] == "unsupported", f"{name}: any other language makes an environment"
        assert hook["entry"].startswith(".venv/bin/"), name


def test_what_is_checked() -> None:
    assert set(HOOKS) == {
        "ruff-check", "ruff-format", "mypy", "imports", "end-of-file", "trailing-whitespace", "yaml",
        "large-files", "merge-conflict", "notebook-outputs", "dvc-lock",
    }  # fmt: skip


def test_the_project_is_clean(clone: Clone) -> None:
    output = clone.run("env", f"SKIP={LEFT_TO_LINT}", "pre-commit", "run", "--all-files", "--color=never")
    assert output.count("Passed") >= len(HOOKS) - 3, "a hook may have no file to check, e.g. no notebook"
    assert [path.name for path in (clone.home / "pre-commit").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("hook", "name", "text", "message"),
    [
        ("ruff-check", "conversion/bad.py", "import os\n", "F401"),
        ("ruff-format", "conversion/bad.py", "x = {  }\n", "1 file would be reformatted"),
        (
            "imports",
            "conversion/stats/bad.py",
            "from conversion.config import params\n",
            "stats.bad -> conversion.config",
        ),
        (
            "imports",
            "stages/bad.py",
            "def f():\n    from stages import train\n",
            "stages.bad -> stages.train",
        ),
        ("imports", "stages/bad.py", "def f():\n    import mlflow\n", "stages.bad -> mlflow"),
        ("imports", "commands/bad.py", "import bentoml\n", "commands.bad -> bentoml"),
        (
            "imports",
            "conversion/leads/bad.py",
            "import commands.compare\n",
            "conversion.leads.bad -> commands.compare",
        ),
        ("end-of-file", "docs/bad.md", "no end", "Fixing docs/bad.md"),
        ("trailing-whitespace", "docs/bad.md", "spaces  \n", "Fixing docs/bad.md"),
        ("yaml", "bad.yaml", "a: [\n", "bad.yaml"),
        ("large-files", "docs/bad.bin", b"\0" * 501 * 1024, "docs/bad.bin (501 KB) exceeds 500 KB"),
        ("merge-conflict", "docs/bad.md", "<<<<<<< HEAD\n", "Merge conflict string '<<<<<<<'"),
        ("notebook-outputs", "notebooks/bad.ipynb", notebook(ran=True), "notebooks/bad.ipynb"),
    ],
)
def test_a_hook_fails_on_what_it_is_there_for(
    clone: Clone, hook: str, name: str, text: str | bytes, message: str
) -> None:
    put(clone, name, text)
    output = clone.run("pre-commit", "run", hook, "--files", name, fails=True)
    assert message in output


def test_mypy_fails_on_a_wrong_type(clone: Clone) -> None:
    """On that module alone: without mypy's cache the whole project would take half a minute."""
    put(clone, "commands/bad.py", TYPED_WRONG)
    settings = (clone.folder / "pyproject.toml").read_text(encoding="utf-8")
    files = re.sub(r'(?m)^files = \["conversion".*$', 'files = ["commands/bad.py"]', settings)
    assert files != settings
    put(clone, "pyproject.toml", files)
    output = clone.run("pre-commit", "run", "mypy", fails=True)
    assert "commands/bad.py:3: error: Incompatible types" in output


def test_dvc_lock_fails_on_a_changed_param(clone: Clone) -> None:
    clone.set_params({"simulate.companies": 777})
    clone.git("add", "params.yaml")
    output = clone.run("pre-commit", "run", "dvc-lock", fails=True)
    assert "simulate.companies: dvc.lock has 20000, params.yaml has 777 (simulate); run: dvc repro" in output


def test_a_notebook_without_outputs_is_committed_and_one_with_is_not(clone: Clone) -> None:
    put(clone, "notebooks/new.ipynb", notebook(ran=True))
    output = clone.run("git", "commit", "--message", "with outputs", fails=True)
    assert "notebooks/new.ipynb" in output
    put(clone, "notebooks/new.ipynb", notebook(ran=False))
    clone.git("commit", "--message", "without")
    assert clone.git("log", "-1", "--format=%s").strip() == "without"
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
