from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from conversion.runtime.cli import held_params, run
from conversion.runtime.errors import ParamsError

PIPELINE = """
stages:
  test_cli:
    cmd: "true"
    params: [seed, data.as_of, "model.${model.type}", "model.${model.both[-1]}"]
"""
PARAMS = """
seed: 1
data: {dir: here, as_of: null}
model: {type: a, both: [a, b], a: {depth: 3}, b: {depth: 4}, c: {depth: 5}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(old: str, new: str) -> Callable[[], None]:
    """What a user does to params.yaml while the stage runs."""

    def main() -> None:
        text = Path("params.yaml").read_text(encoding="utf-8")
        assert old in text
        Path("params.yaml").write_text(text.replace(old, new), encoding="utf-8")

    return main


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("old", "new", "key", "was", "now"),
    [
        ("seed: 1", "seed: 2", "seed", "1", "2"),
        ("as_of: null", "as_of: '2020-02-24'", "data.as_of", "null", "'2020-02-24'"),
        ("a: {depth: 3}", "a: {depth: 9}", "model.a.depth", "3", "9"),
        ("b: {depth: 4}", "b: {}", "model.b.depth", "4", "nothing"),
        ("a: {depth: 3}", "a: {depth: 3, trees: 7}", "model.a.trees", "nothing", "7"),
    ],
)
def test_a_param_that_is_edited_while_the_stage_runs_ends_it_with_one_message(
    old: str, new: str, key: str, was: str, now: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as exit_:
        run(edit(old, new))
    assert exit_.value.code == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        f"params.yaml: {key}: was {was} when test_cli began and is {now} now; what it wrote was made with "
        f"{was}, and DVC does not record it: run 'dvc repro' again"
    )


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 1", "seed:   1  # a comment"),
        ("dir: here", "dir: there"),  # another stage's
        ("c: {depth: 5}", "c: {depth: 6}"),  # of an inactive family
        ("a: {depth: 3}", "a: {depth: 3.0}"),  # the same number
    ],
)
def test_an_edit_that_dvc_does_not_record_for_the_stage_is_none(old: str, new: str) -> None:
    run(edit(old, new))


@pytest.mark.usefixtures("project")
def test_a_file_that_is_broken_or_gone_at_the_end_is_named() -> None:
    with pytest.raises(ParamsError, match=r"params.yaml: not valid YAML"), held_params("test_cli"):
        Path("params.yaml").write_text("seed: [", encoding="utf-8")
    Path("params.yaml").write_text(PARAMS, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"params.yaml: not found"), held_params("test_cli"):
        Path("params.yaml").unlink()


@pytest.mark.usefixtures("project")
def test_a_stage_s_own_fault_comes_first() -> None:
    def main() -> None:
        edit("seed: 1", "seed: 2")()
        raise ParamsError("its own")

    with pytest.raises(ParamsError, match="its own"), held_params("test_cli"):
        main()


@pytest.mark.parametrize("text", [None, "stages: {}\n", "stages: [\n", "7\n"])
def test_what_is_no_stage_needs_no_params(text: str | None, project: Path) -> None:
    (project / "params.yaml").unlink()
    (project / "dvc.yaml").unlink()
    if text:
        (project / "dvc.yaml").write_text(text, encoding="utf-8")
    with held_params("test_cli"):
        pass
