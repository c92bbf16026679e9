from __future__ import annotations

import datetime as dt
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from conversion.config.params import MemberType, ModelType, Params, Section, model_types
from conversion.config.params_file import load_params
from conversion.runtime import cli
from conversion.runtime.errors import ParamsError

Mutation = Callable[[str], str | bytes]


def holder(params: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The section that a dotted key is in, and its name there."""
    *sections, name = key.split(".")
    for section in sections:
        params = params[section]
    return params, name


def with_key(key: str, value: Any) -> Mutation:
    """The shipped params with one key set to a value."""
    return with_keys({key: value})


def with_keys(values: dict[str, Any]) -> Mutation:
    def mutate(text: str) -> str:
        params = yaml.safe_load(text)
        for key, value in values.items():
            section, name = holder(params, key)
            section[name] = value
        return yaml.safe_dump(params, sort_keys=False)

    return mutate


def with_raw(key: str, raw: str) -> Mutation:
    """The shipped params with one key set to what is literally written."""
    return lambda text: str(with_key(key, "PLACEHOLDER")(text)).replace("PLACEHOLDER", raw)


def without_key(key: str) -> Mutation:
    def mutate(text: str) -> str:
        params = yaml.safe_load(text)
        section, name = holder(params, key)
        del section[name]
        return yaml.safe_dump(params, sort_keys=False)

    return mutate


def only(content: str | bytes) -> Mutation:
    return lambda _: content


def one_of(kind: Any) -> str:
    """The choices of a key, as the message lists them."""
    *first, last = map(repr, get_args(kind))
    return f"{', '.join(first)} or {last}"


def case(name: str, mutation: Mutation, *says: str) -> Any:
    return pytest.param(mutation, says, id=name)


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
        "allowed here: dir, as_of",
    ),
    case("negative_trials", with_key("train.search.trials", -1), "train.search.trials: given -1", "0: off"),
    case("a_gap_of_no_weeks", with_key("clean.max_gap_weeks", 0), "clean.max_gap_weeks: given 0", "greater"),
    case(
        "all_rows_are_strays", with_key("clean.max_stray_rows", 0.9), "clean.max_stray_rows: given 0.9", "0.5"
    ),
    case("no_first_week_is_usual", with_key("clean.stray_week", 1.0), "clean.stray_week: given 1.0", "0.5"),
    case("no_week_is_complete", with_key("clean.partial_week", 1.5), "clean.partial_week: given 1.5", "1"),
    case(
        "weeks_of_no_calendar",
        with_key("clean.max_weeks", 10**9),
        "clean.max_weeks: given 1000000000",
        "5300",
    ),
    case("a_row_is_enough", with_key("clean.partial_week_rows", 1), "clean.partial_week_rows: given 1", "10"),
    case("missing_key", without_key("train.folds"), "train.folds: given nothing", "out-of-time folds"),
    case("missing_top_key", without_key("seed"), "seed: given nothing", "seed of everything random"),
    case("missing_section", without_key("clean"), "clean: given nothing", "keys deduplication"),
    case(
        "section_is_null", with_key("data", None), "data: given null, should be a section", "keys dir, as_of"
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
    case("text_for_int", with_key("seed", "lucky"), "seed: given 'lucky'", "should be a valid integer"),
    case(
        "quoted_int",
        with_key("simulate.weeks", "82"),
        "simulate.weeks: given '82'",
        "should be a valid integer",
    ),
    case(
        "bool_for_int", with_key("train.folds", True), "train.folds: given true", "should be a valid integer"
    ),
    case(
        "bool_for_float",
        with_key("score.mrr_prior", False),
        "score.mrr_prior: given false",
        "should be a valid number",
    ),
    case(
        "float_for_int",
        with_key("evaluate.refit_weeks", 4.0),
        "evaluate.refit_weeks: given 4.0",
        "valid integer",
    ),
    case(
        "int_for_bool",
        with_key("model.xgboost.monotone", 1),
        "model.xgboost.monotone: given 1",
        "valid boolean",
    ),
    case("int_for_text", with_key("data.dir", 7), "data.dir: given 7", "should be a valid string"),
    case("empty_text", with_key("data.dir", ""), "data.dir: given ''", "at least 1 character"),
    case(
        "null_for_int", with_key("score.top_n", None), "score.top_n: given null", "should be a valid integer"
    ),
    case(
        "too_small",
        with_key("simulate.companies", 10),
        "simulate.companies: given 10",
        "greater than or equal to 500",
    ),
    case("too_large", with_key("seed", 2**32), "seed: given 4294967296", "less than 4294967296"),
    case(
        "zero_rate",
        with_key("model.xgboost.learning_rate", 0),
        "model.xgboost.learning_rate: given 0",
        "greater than or equal to 0.000001",
    ),
    case(
        "share_above_one",
        with_key("model.xgboost.subsample", 1.5),
        "model.xgboost.subsample: given 1.5",
        "equal to 1",
    ),
    case(
        "negative",
        with_key("evaluate.cost_per_contact", -1.0),
        "evaluate.cost_per_contact: given -1.0",
        "equal to 0",
    ),
    case("negative_seed", with_key("seed", -1), "seed: given -1", "greater than or equal to 0"),
    case("nan", with_key("train.fill_value", float("nan")), "train.fill_value: given nan", "finite number"),
    case(
        "infinity",
        with_key("score.tiers.very_high", float("inf")),
        "score.tiers.very_high: given inf",
        "finite number",
    ),
    case(
        "float_overflow",
        with_raw("model.logistic_regression.C", "1e999"),
        "model.logistic_regression.C: given inf",
        "finite number",
    ),
    case(
        "unknown_model_type",
        with_key("model.type", "catboost"),
        "model.type: given 'catboost'",
        one_of(ModelType),
    ),
    case(
        "ensemble_of_an_ensemble",
        with_key("model.ensemble.members", ["xgboost", "ensemble"]),
        "model.ensemble.members.1: given 'ensemble'",
        one_of(MemberType),
    ),
    case(
        "ensemble_of_one",
        with_key("model.ensemble.members", ["xgboost"]),
        "model.ensemble.members: given ['xgboost'], should have at least 2 items (",
    ),
    case(
        "ensemble_of_more_than_dvc_can_name",
        with_key("model.ensemble.members", ["xgboost", "random_forest", "logistic_regression", "xgboost"]),
        "model.ensemble.members: given ['xgboost'",
        "at most 3 items",
    ),
    case(
        "ensemble_of_one_twice",
        with_key("model.ensemble.members", ["xgboost", "xgboost"]),
        "model.ensemble.members",
        "should not name anything twice",
    ),
    case(
        "unknown_group",
        with_key("features.groups", ["usage", "revenue"]),
        "features.groups.1: given 'revenue'",
        "'usage', 'firmographics' or 'missingness'",
    ),
    case("no_group", with_key("features.groups", []), "features.groups: given []", "at least 1 item"),
    case(
        "no_half_life",
        with_key("train.recency_half_life_weeks", 0),
        "train.recency_half_life_weeks: given 0",
        "greater than or equal to 1",
    ),
    case(
        "choice_in_capitals",
        with_key("train.scaling", "Standard"),
        "train.scaling: given 'Standard'",
        "'minmax'",
    ),
    case(
        "choice_that_yaml_reads_as_false",
        with_raw("train.calibration", "off"),
        "given false",
        "'sigmoid'",
    ),
    case(
        "choice_is_a_list",
        with_key("score.format", ["csv", "json"]),
        "score.format: given ['csv', 'json']",
        "'parquet'",
    ),
    case(
        "as_of_a_tuesday",
        with_key("data.as_of", "2020-02-25"),
        "data.as_of",
        "2020-02-25",
        "Tuesday",
        "a Monday like",
    ),
    case(
        "as_of_a_sunday",
        with_raw("data.as_of", "'2020-02-23'"),
        "data.as_of",
        "'2020-02-23'",
        "Sunday",
    ),
    case(
        "as_of_no_date",
        with_key("data.as_of", "yesterday"),
        "data.as_of: given 'yesterday'",
        "a Monday like 2020-02-24",
    ),
    case(
        "as_of_no_such_day",
        with_raw("data.as_of", "'2020-02-30'"),
        "data.as_of: given '2020-02-30'",
        "a Monday",
    ),
    case(
        "as_of_with_time",
        with_raw("data.as_of", "'2020-02-24 08:00:00'"),
        "data.as_of",
        "08:00:00",
        "a Monday",
    ),
    case(
        "as_of_of_the_far_future",
        with_key("evaluate.first_cutoff", "9999-12-27"),
        "evaluate.first_cutoff: given '9999-12-27', should be a Monday from 2000-01-03 to 2100-12-27",
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
        "as_of_without_dashes",
        with_raw("data.as_of", "20200224"),
        "data.as_of: given 20200224",
        "valid date",
    ),
    case(
        "windows_unsorted",
        with_key("featurize.windows", [4, 1]),
        "featurize.windows",
        "[4, 1]",
        "increasing order",
    ),
    case(
        "windows_without_those_of_the_rules",
        with_key("featurize.windows", [1, 2, 8]),
        "featurize.windows: given [1, 2, 8], should have 4 among them",
    ),
    case(
        "windows_repeated",
        with_key("featurize.windows", [1, 4, 4]),
        "featurize.windows",
        "[1, 4, 4]",
        "without repeats",
    ),
    case(
        "quadratic_repeated",
        with_key("model.logistic_regression.quadratic", ["size", "size"]),
        "model.logistic_regression.quadratic",
        "['size', 'size']",
        "anything twice",
    ),
    case(
        "windows_empty",
        with_key("featurize.windows", []),
        "featurize.windows: given []",
        "should have at least 1 item",
    ),
    case(
        "windows_a_number", with_key("featurize.windows", 4), "featurize.windows: given 4", "should be a list"
    ),
    case(
        "windows_with_zero",
        with_key("featurize.windows", [0, 4]),
        "featurize.windows.0: given 0",
        "equal to 1",
    ),
    case(
        "windows_too_long",
        with_key("featurize.windows", [9, 10**9]),
        "featurize.windows.1",
        "1000000000",
        "equal to 520",
    ),
    case(
        "top_k_unsorted",
        with_key("evaluate.top_k", [50, 10]),
        "evaluate.top_k: given [50, 10]",
        "increasing order",
    ),
    case(
        "root_path_without_its_slash",
        with_key("serve.root_path", "crm"),
        "serve.root_path: given 'crm'",
    ),
    case(
        "root_path_with_a_slash_at_its_end",
        with_key("serve.root_path", "/crm/"),
        "serve.root_path: given '/crm/'",
    ),
    case(
        "confidence_not_descending",
        with_key("serve.confidence", {"high": 2.0, "medium": 2.0}),
        "serve.confidence: given {'high': 2.0, 'medium': 2.0}",
        "should be descending: high > medium",
    ),
    case(
        "tiers_not_descending",
        with_key("score.tiers", {"very_high": 9.0, "high": 99.0, "medium": 2.0}),
        "score.tiers",
        "'high': 99.0",
        "very_high > high > medium",
    ),
    case(
        "unknown_measure",
        with_key("registry.measure", "recall_at_0"),
        "registry.measure: given 'recall_at_0', should be average_precision, log_loss or recall_at_ and",
    ),
    case(
        "measure_is_no_text", with_key("registry.measure", 50), "registry.measure: given 50", "valid string"
    ),
    case(
        "name_of_a_model_with_a_slash",
        with_key("registry.model_name", "crm/conversion"),
        "registry.model_name: given 'crm/conversion'",
    ),
    case(
        "probability_below_a_half",
        with_key("registry.least_probability", 0.4),
        "registry.least_probability: given 0.4",
        "equal to 0.5",
    ),
    case(
        "tiers_equal",
        with_key("score.tiers", {"very_high": 9.0, "high": 8.0, "medium": 8.0}),
        "score.tiers",
        "'medium': 8.0",
        "very_high > high > medium",
    ),
    case(
        "refit_weeks_no_multiple",
        with_keys({"evaluate.spacing_weeks": 3, "evaluate.refit_weeks": 4}),
        "evaluate.refit_weeks: given 4",
        "multiple of evaluate.spacing_weeks, which is 3",
    ),
    case(
        "one_fold",
        with_key("evaluate.cross_validation_folds", 1),
        "evaluate.cross_validation_folds: given 1",
        "0 (off) or at least 2",
    ),
    case(
        "huge_value",
        with_key("model.type", "x" * 100_000),
        "model.type: given 'xxx",
        "...",
        "'random_forest'",
    ),
    case("value_of_many_lines", with_key("model.type", "a\n\nb"), "model.type: given", "'random_forest'"),
    *(
        case(f"absurd_{key}", with_key(key, value), f"{key}: given {value!r}", f"than or equal to {bound} (")
        for key, value, bound in (
            ("evaluate.refit_weeks", 10**9, 520),
            ("train.history_weeks", 10**5, 520),
            ("model.xgboost.reg_lambda", 1e300, 1000000),
            ("model.logistic_regression.C", 1e-300, "0.00000001"),
            ("model.xgboost.n_estimators", 10**18, 10000),
            ("evaluate.bootstrap_samples", 10**12, 10000),
            ("evaluate.jobs", 10**6, 256),
            ("train.fill_value", 1e300, 1000000000),
            ("model.xgboost.subsample", 1e-300, "0.000001"),
        )
    ),
    case(
        "absurd_folder",
        with_key("data.dir", "x" * 5000),
        "data.dir: given 'xxx",
        "at most 1024 characters",
    ),
    case(
        "absurd_number_of_windows",
        with_key("featurize.windows", list(range(1, 521))),
        "featurize.windows: given [1, 2, 3",
        "at most 20 items",
    ),
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


@pytest.fixture
def shipped(root: Path) -> str:
    return (root / "params.yaml").read_text(encoding="utf-8")


def broken_file(folder: Path, mutation: Mutation, shipped: str) -> Path:
    path = folder / "params.yaml"
    content = mutation(shipped)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("mutation", "says"), BROKEN)
def test_a_broken_file_is_explained_and_ends_with_exit_2(
    mutation: Mutation, says: tuple[str, ...], shipped: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = broken_file(tmp_path, mutation, shipped)

    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as exit_:
        cli.run(lambda: load_params(path) and None)

    assert exit_.value.code == 2
    (record,) = caplog.records  # one fault, one line
    message = record.getMessage()
    assert message.startswith(f"{path}: ")
    for part in says:
        assert part in message
    assert len(message) < len(str(path)) + 500
    assert "\n" not in message
    assert record.exc_info is None


def test_all_faults_are_told_at_once(shipped: str, tmp_path: Path) -> None:
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


def test_params_are_frozen_at_every_level(root: Path) -> None:
    params = load_params(root / "params.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        params.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        params.model.xgboost.max_depth = 1
    assert isinstance(params.featurize.windows, tuple)
    assert hash(params) == hash(load_params(root / "params.yaml"))


def test_every_key_says_what_it_is_for() -> None:
    undescribed = [key for key, description in leaves(Params) if not description]
    assert undescribed == []


def leaves(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description


def test_every_number_text_and_list_is_bounded() -> None:
    """What is allowed must come to an end, and not in a library's traceback."""
    schema = Params.model_json_schema()
    unbounded = {
        f"{section}.{key}"
        for section, definition in schema["$defs"].items()
        for key, field in definition["properties"].items()
        if not all(map(bounded, field.get("anyOf", [field])))
    }
    assert unbounded == {"Registry.measure"}, "its pattern has six digits at most"


def bounded(field: dict[str, Any]) -> bool:
    if field.get("type") in ("integer", "number"):
        low, high = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
        return bool(low & set(field)) and bool(high & set(field))
    if field.get("type") == "string":
        return bool({"maxLength", "enum", "format"} & set(field))
    if field.get("type") == "array":  # of choices, each once, or so many
        return "enum" in field["items"] or ("maxLength" in field and bounded(field["items"]))
    return True
