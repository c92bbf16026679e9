from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conversion.config.model_params import model_types
from conversion.config.params_file import load_params
from conversion.runtime.errors import ParamsError
from tests.broken_params import (
    Mutation,
    broken_file,
    case,
    check_that_loading_stops,
    only,
    with_key,
    with_raw,
    without_key,
)

ALIASES = [f"&a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(15)]


# Each case: what is broken, and what the message must say (the key, what was given, what is allowed).
BROKEN = [
    case(
        "unknown_key_at_top",
        with_key("sead", 1),
        "sead: unknown key",
        "given 1",
        "allowed here: seed, data",
        "mean seed?",
    ),
    case(
        "unknown_section",
        with_key("deploy", {"port": 80}),
        "deploy: unknown key",
        "'port': 80",
        "allowed here: seed",
    ),
    case(
        "unknown_key_in_a_section",
        with_key("clean.deduplicate", "first"),
        "clean.deduplicate: unknown key",
        "given 'first'",
        "allowed here: deduplication",
    ),
    case(
        "unknown_key_two_deep",
        with_key("model.xgboost.trees", 9),
        "model.xgboost.trees: unknown key",
        "given 9",
        "allowed here: n_estimators, max_depth",
    ),
    case(
        "a_key_that_is_no_text",
        lambda text: f"{text}\n7: 8\n",
        "7: unknown key",
        "given 7",
    ),
    case(
        "a_key_that_yaml_reads_as_true",
        with_key("data.on", 1),
        "data.on: unknown key",
        "allowed here: dir, contract, as_of",
    ),
    case("missing_key", without_key("train.folds"), "train.folds: given nothing", "out-of-time folds"),
    case("missing_top_key", without_key("seed"), "seed: given nothing", "seed of everything random"),
    case("missing_section", without_key("clean"), "clean: given nothing", "keys deduplication"),
    case(
        "section_is_null",
        with_key("data", None),
        "data: given null, should be a section",
        "keys dir, contract, as_of",
    ),
    case(
        "section_is_a_list",
        with_key("score.tiers", [9, 4, 2]),
        "score.tiers: given [9, 4, 2], should be a section",
    ),
    case(
        "section_is_a_number",
        with_key("train", 3),
        "train: given 3, should be a section",
        "keys history_weeks",
    ),
    *(
        case(
            f"{key}_without_quotes",
            with_raw(key, "2020-02-24"),
            f"{key}: given 2020-02-24, should be in quotes: '2020-02-24'; DVC cannot read a date without",
        )
        for key in ("data.as_of", "simulate.first_week", "evaluate.first_cutoff", "tracking.experiment")
    ),
    case(
        "a_time_without_quotes",
        with_raw("data.as_of", "2020-02-24 08:00:00"),
        "data.as_of: given 2020-02-24 08:00:00, should be in quotes: '2020-02-24 08:00:00'",
    ),
    case(
        "a_date_without_quotes_in_a_list",
        with_raw("serve.cors_origins", "[a, 2020-02-24]"),
        "serve.cors_origins: given 2020-02-24, should be in quotes: '2020-02-24'",
    ),
    case(
        "nested_2000_levels",
        lambda text: f"{text}\ndeep: {'[' * 2000}{']' * 2000}\n",
        "not valid YAML: line ",
        "nested deeper than 20 levels",
    ),
    case(
        "sections_nested_2000_levels",
        only("{seed: " * 2000 + "1" + "}" * 2000),
        "nested deeper than 20 levels",
    ),
    case("an_alias_of_itself", lambda text: f"{text}\ndeep: &deep [*deep]\n", "deep: unknown key"),
    case(
        "aliases_of_aliases",  # 9 ** 15 words, if each was looked at
        lambda text: f"{text}\ndeep: [&a0 [1], {', '.join(ALIASES)}]\n",
        "deep: unknown key",
    ),
    case(
        "huge_value",
        with_key("model.type", "x" * 100_000),
        "model.type: given 'xxx",
        "...",
        "'random_forest'",
    ),
    case("value_of_many_lines", with_key("model.type", "a\n\nb"), "model.type: given", "'random_forest'"),
    case("empty_file", only(""), "given an empty file", "should have the keys seed, data"),
    case("only_comments", only("# nothing\n"), "given an empty file", "should have the keys seed, data"),
    case("a_list", only("- seed\n- data\n"), "given ['seed', 'data']", "should have the keys seed, data"),
    case("a_word", only("seed"), "given 'seed'", "should have the keys seed, data"),
    case("tabs", lambda text: f"{text}\nmore:\n\tkey: 1\n", "not valid YAML", "'\\t'", "line "),
    case(
        "tab",
        lambda text: text.replace("  dir:", "\tdir:"),
        "line 5, column 1: ",
        "with spaces, not",
    ),
    case("seed_twice", lambda text: f"{text}\nseed: 2\n", "not valid YAML", "seed is given twice"),
    case(
        "key_of_a_section_twice",
        lambda text: text.replace("data:\n", "data:\n  dir: a\n", 1),
        "line 6, column 3: dir is given twice; keep one of them",
    ),
    case("not_yaml", only("seed: [1, 2\ndata: }"), "not valid YAML", "line 2"),
    case("two_documents", only("seed: 1\n---\nseed: 2\n"), "not valid YAML", "expected a single document"),
    case(
        "a_python_object", only("seed: !!python/object/apply:os.getpid []"), "not valid YAML", "python/object"
    ),
    case("not_utf_8", only("seed: 1 # caf\xe9".encode("latin-1")), "not valid YAML", "utf-8"),
    case("binary", only(b"\x00\x01\x02\x03"), "not valid YAML"),
    case("utf_16", lambda text: text.encode("utf-16"), "not valid YAML", "utf-8"),
]


@pytest.mark.parametrize(("mutation", "says"), BROKEN)
def test_a_broken_file_is_explained_and_ends_with_exit_2(
    mutation: Mutation, says: tuple[str, ...], shipped: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_loading_stops(mutation, says, shipped, tmp_path, caplog)


def test_all_faults_are_reported_at_once(shipped: str, tmp_path: Path) -> None:
    params = yaml.safe_load(shipped)
    params["seed"] = "x"
    params["model"]["type"] = "y"
    del params["score"]["top_n"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))

    with pytest.raises(ParamsError) as error:
        load_params(path)

    keys = [line.removeprefix(f"{path}: ").split(":")[0] for line in str(error.value).splitlines()]
    assert keys == ["seed", "model.type", "score.top_n"]


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        case("wrong_value", with_key("model.type", "catboost"), "model.type: given 'catboost'", "'xgboost'"),
        case("not_yaml", only("{"), "not valid YAML"),
        case("no_file", None, "params.yaml: not found; run from the root of the project"),
    ],
)
def test_a_stage_prints_one_line_and_exits_2(
    mutation: Mutation | None, says: tuple[str, ...], shipped: str, root: Path, tmp_path: Path
) -> None:
    if mutation:
        broken_file(tmp_path, mutation, shipped)

    result = subprocess.run(
        [sys.executable, "-m", "stages.load"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert " ERROR " in line
    assert all(part in line for part in says)


def test_a_folder_instead_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="cannot be read"):
        load_params(tmp_path)


def test_the_shipped_file_loads_from_the_current_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    params = load_params()
    assert params == load_params(root / "params.yaml")
    assert params.model.type in model_types()
    assert set(model_types()) == set(type(params.model).model_fields) - {"type"}


@pytest.mark.parametrize("text", ["'2020-02-24'", '"2020-02-24"'])
def test_a_date_is_in_quotes(text: str, shipped: str, tmp_path: Path) -> None:
    path = broken_file(tmp_path, with_raw("data.as_of", text), shipped)
    assert load_params(path).data.as_of == dt.date(2020, 2, 24)


def test_the_shipped_file_shows_dates_as_they_have_to_be_written(shipped: str) -> None:
    assert re.findall(r"'\d{4}-\d\d-\d\d'", shipped)
    assert not re.findall(r"(?<!')\d{4}-\d\d-\d\d(?!')", shipped)


@pytest.mark.parametrize(("text", "number"), [("1e-05", 1e-5), ("2E3", 2e3), ("1.5e-2", 0.015), ("3", 3.0)])
def test_numbers_are_read_as_dvc_writes_them(text: str, number: float, shipped: str, tmp_path: Path) -> None:
    path = broken_file(tmp_path, with_raw("model.logistic_regression.C", text), shipped)
    strength = load_params(path).model.logistic_regression.C
    assert strength == number
    assert isinstance(strength, float)


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(
    shipped: str, root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + shipped.replace("\n", "\r\n").encode())
    assert load_params(path) == load_params(root / "params.yaml")
