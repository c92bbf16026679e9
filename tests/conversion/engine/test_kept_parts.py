"""Where parts are kept, what that depends on, and how files come in place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from conversion.engine import kept_parts as module
from conversion.engine.kept_parts import NOTHING_KEPT, WORK, KeptParts, fingerprint, hash_of, kept_parts
from conversion.runtime.errors import InputError
from tests.pipeline import small_params


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out({"data/in/a.parquet/part-00000.parquet": "0", "data/in/b.json": "1"})


def lay_out(files: dict[str, str], below: Path = Path()) -> None:
    for name, text in files.items():
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).write_text(text, encoding="utf-8")


def contents(folder: str) -> dict[str, str]:
    files = sorted(each for each in Path(folder).rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_text() for each in files}


def ended_run(files: dict[str, str], done: int) -> KeptParts:
    """Begin a run that writes files, says that a part is done, and is ended by Ctrl-C."""
    run = keep()
    kept: KeptParts = run.__enter__()
    lay_out(files, kept.root)
    kept.mark("work", done, {"rows": 3})
    assert not run.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)  # Ctrl-C goes on
    return kept


def keep(parts: int = 2, **params: Any) -> Any:
    return kept_parts("stage", parts, params, ["data/in"])


def test_a_fingerprint_covers_all_that_the_files_follow_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"featurize": small_params().featurize, "as_of": dt.date(2020, 2, 24)}
    first = fingerprint("stage", 2, params, ["data/in"])
    assert fingerprint("stage", 2, dict(reversed(params.items())), ["data/in"]) == first
    found = {
        first,
        fingerprint("other", 2, params, ["data/in"]),
        fingerprint("stage", 3, params, ["data/in"]),
        fingerprint("stage", 2, params | {"as_of": dt.date(2020, 3, 2)}, ["data/in"]),
        fingerprint(
            "stage",
            2,
            params | {"featurize": small_params(featurize__spacing_weeks=9).featurize},
            ["data/in"],
        ),
        fingerprint("stage", 2, params, ["data/in/b.json"]),
    }
    Path("data/in/b.json").write_text("2")
    found.add(fingerprint("stage", 2, params, ["data/in"]))
    monkeypatch.setattr(module, "package_versions", lambda: {"numpy": "1"})
    found.add(fingerprint("stage", 2, params, ["data/in"]))
    lay_out({"code/conversion/a.py": "x = 1"})
    monkeypatch.setattr(module, "SOURCE", tmp_path / "code")
    found.add(fingerprint("stage", 2, params, ["data/in"]))
    lay_out({"code/conversion/a.py": "x = 2"})
    found.add(fingerprint("stage", 2, params, ["data/in"]))
    assert len(found) == 10


def test_the_hash_of_a_folder_covers_names_and_leaves_out_what_is_being_written() -> None:
    before = hash_of("data/in")
    lay_out({"data/in/.b.123.tmp.json": "half", "data/in/__pycache__/m.pyc": "compiled"})
    assert hash_of("data/in") == before
    Path("data/in/b.json").rename("data/in/c.json")
    assert hash_of("data/in") != before


def test_an_input_that_is_missing_is_named_with_its_stage() -> None:
    with pytest.raises(InputError, match=r"data/clean: not found; the stage clean writes it"):
        fingerprint("stage", 2, {}, ["data/clean"])


def test_a_param_without_a_fixed_text_is_refused() -> None:
    with pytest.raises(TypeError, match="no place in a fingerprint"):
        fingerprint("stage", 2, {"engine": object()}, [])


def test_one_part_is_written_in_place() -> None:
    with keep(parts=1) as kept:
        assert kept == NOTHING_KEPT
        assert kept.root / "data/x" == Path("data/x")
        kept.mark("work", 0, {})
        assert kept.done("work", range(1)) == {}
    assert not WORK.exists()


def test_files_come_in_place_when_all_is_done_and_tables_are_replaced_whole() -> None:
    lay_out(
        {
            "data/out/whole.parquet": "old, one part",
            "data/out/parts.parquet/part-00007.parquet": "old, more parts",
            "data/out/one.parquet/part-00000.parquet": "old, parts",
            "data/out/counts.json": "old",
            "data/out/other.json": "of somebody else",
        }
    )
    written = {
        "data/out/whole.parquet/part-00000.parquet": "a",
        "data/out/whole.parquet/part-00001.parquet": "b",
        "data/out/parts.parquet/part-00000.parquet": "c",
        "data/out/one.parquet": "d",
        "data/out/counts.json": "e",
        "data/new/deep/f.json": "f",
    }
    with keep() as kept:
        lay_out(written, kept.root)
        assert contents("data/out")["counts.json"] == "old"
    assert contents("data/out") | contents("data/new") == {
        **{name.removeprefix("data/out/"): text for name, text in written.items() if "/out/" in name},
        "other.json": "of somebody else",
        "deep/f.json": "f",
    }
    assert not WORK.exists()


def test_a_run_that_fails_keeps_its_parts_and_leaves_the_files_in_place() -> None:
    lay_out({"data/out/x.json": "old"})
    kept = ended_run({"data/out/x.json": "new"}, done=1)
    assert contents("data/out") == {"x.json": "old"}
    with keep() as again:
        assert again == kept
        assert again.done("work", range(2)) == {1: {"rows": 3}}
        assert again.done("other work", range(2)) == {}
    assert contents("data/out") == {"x.json": "new"}


@pytest.mark.parametrize(
    ("damaged", "text"),
    [
        ("files/data/out/x.parquet/part-00001.parquet", "one"),
        ("files/data/out/x.parquet/part-00001.parquet", None),
        ("files/data/out/y.parquet/part-00001.parquet", ""),
        ("done/work/part-00001.json", ""),
        ("done/work/part-00001.json", '{"part": 1, "summ'),
        ("done/work/part-00001.json", "[]"),
        ("done/work/part-00001.json", '{"part": 1, "summary": {"rows": 3}}'),
    ],
)
def test_a_part_that_is_damaged_or_lost_is_not_done(damaged: str, text: str | None) -> None:
    """As a machine that lost its power leaves it: what was written last may be empty or gone."""
    parts = {f"data/out/{name}.parquet/part-{part:05d}.parquet": "all" for name in "xy" for part in range(2)}
    kept = ended_run(parts, done=1)
    assert kept.folder is not None
    kept.mark("work", 0, {"rows": 2})
    file = kept.folder / damaged
    assert file.exists()
    if text is None:
        file.unlink()
    else:
        file.write_text(text, encoding="utf-8")
    assert kept.done("work", range(2)) == {0: {"rows": 2}}


def test_a_part_that_a_later_work_wrote_anew_is_made_again_from_the_first_work_on() -> None:
    """Or what the later work writes would be counted as what the first one wrote."""
    file = "data/out/x.parquet/part-00000.parquet"
    kept = ended_run({file: "first"}, done=0)
    lay_out({file: "second"}, kept.root)
    kept.mark("later work", 0, None)
    assert kept.done("later work", [0]) == {0: None}
    assert kept.done("work", [0]) == {}
    lay_out({file: "first"}, kept.root)
    kept.mark("work", 0, {"rows": 3})
    assert kept.done("later work", [0]) == {}


def test_other_runs_of_the_stage_are_removed_and_other_stages_stay() -> None:
    old, moving = WORK / f"stage-{'0' * 16}", WORK / f"stage-{'1' * 16}.moving"
    others = [WORK / f"stage-two-{'0' * 16}", WORK / f"load-{'0' * 16}"]
    for folder in (old, moving, *others):
        lay_out({"files/x": "x"}, folder)
    with keep() as kept:
        assert sorted(WORK.iterdir()) == sorted([kept.folder, *others])
    assert sorted(WORK.iterdir()) == sorted(others)


def test_a_run_that_is_ended_while_it_moves_files_leaves_no_part_that_looks_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move = module._move

    def ended(*_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_move", ended)
    with pytest.raises(KeyboardInterrupt), keep() as kept:
        kept.mark("work", 0, {})
    monkeypatch.setattr(module, "_move", move)
    with keep() as again:
        assert again.done("work", range(2)) == {}
