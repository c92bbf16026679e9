"""Run every command on README.md and the pages of docs/ as shown, page after page, in one small copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clone import ROOT, Clone
from tools.docs import generate, session

SMALL = {
    # As many weeks as the sample has, since the pages name its dates.
    "simulate.weeks": 82,
    # Fewer lists and fits than the default: one list every four weeks, of two fits.
    "evaluate.spacing_weeks": 4,
    "evaluate.refit_weeks": 24,
    "tracking.enabled": True,
    # The second example has other features than the sample.
    "model.logistic_regression.quadratic": ["auto"],
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    home = tmp_path_factory.mktemp("docs").resolve()
    clone = Clone.of_project(home / "project", home, SMALL)
    session.link_venv(clone.folder)
    return clone


# One test: a page may use what the pages before it made.
@pytest.mark.slow
def test_the_commands_of_every_page(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, clone.env[name])
    for name in generate.COMMAND_PAGES:
        page, done = ROOT / name, clone.folder / name
        generate.run_page(clone.folder, clone.home, page, done)
        shown = [step.command for step in session.steps(page.read_text(encoding="utf-8"))]
        assert [step.command for step in session.steps(done.read_text(encoding="utf-8"))] == shown
        assert clone.git("diff", "--name-only", "--", "params.yaml", "dvc.lock") == "", f"changed by {name}"
        # As in a clone of the project, the results that belong to params.yaml are committed.
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--allow-empty", "--message", name)


def test_steps_are_found() -> None:
    page = (
        "```sh\none\ntwo  # why\n```\n"
        "text\n<!-- exits: 3 -->\n```console\n$ three \\\n  -d '{\n}'\nsaid\n```\n"
        "<!-- run by: tests/test_x.py::test_y -->\n```sh\nfour\n```\n```python\nnot_a_command()\n```\n"
    )
    assert session.steps(page) == [
        session.Step("one\ntwo  # why", shown=False),
        session.Step("three \\\n  -d '{\n}'", shown=True, exits=3),
        session.Step("four", shown=False, run_by="tests/test_x.py::test_y"),
    ]


def test_outputs_are_put_back(tmp_path: Path) -> None:
    page = (
        "a\n```console\n$ echo 'one\ntwo'\nold\n```\n"
        "b\n<!-- exits: 1 -->\n```console\n$ echo no; false\n```\n"
    )
    outputs = session.run(page, tmp_path, session.environment(tmp_path), tmp_path)
    assert outputs == ["one\ntwo\n", "no\n"]
    assert session.with_outputs(page, outputs) == (
        "a\n```console\n$ echo 'one\ntwo'\none\ntwo\n```\n"
        "b\n<!-- exits: 1 -->\n```console\n$ echo no; false\nno\n```\n"
    )


def test_an_exit_code_that_the_page_does_not_expect_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=re.escape("exit 1, not 0")):
        session.run("```sh\nfalse\n```\n", tmp_path, session.environment(tmp_path), tmp_path)


def test_a_server_that_does_not_start_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"mlflow ui --port \d+ --no-such-option: no answer"):
        session.run(
            "```sh\nmlflow ui --port 5000 --no-such-option\n```\n",
            tmp_path, session.environment(tmp_path), tmp_path,
        )  # fmt: skip
