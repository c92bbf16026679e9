from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from conversion.config.param_types import Section
from conversion.config.params import Params
from conversion.config.params_file import load_params
from tests.broken_params import Mutation, case, check_that_loading_stops, with_key, with_keys, with_raw
from tests.contract_files import ROOT

# Each case: what is broken, and what the message must say (the key, what was given, what is allowed).
BROKEN = [
    case(
        "stopped_before_watched",
        with_key("gate.days_old", {"watch": 14, "stop": 13}),
        "gate.days_old",
        "should be ascending: watch <= stop",
    ),
    case("a_week_of_no_year", with_key("gate.holiday_weeks", [54]), "gate.holiday_weeks", "53"),
    case("no_attempt", with_key("gate.webhook.attempts", 0), "gate.webhook.attempts: given 0", "1"),
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
    case("int_for_text", with_key("data.dir", 7), "data.dir: given 7", "should be a valid string"),
    case(
        "a_copy_to_nowhere",
        with_key("deliver.copy_to", ""),
        "deliver.copy_to: given ''",
        "at least 1 character",
    ),
    case(
        "a_copy_to_a_page",
        with_key("deliver.copy_to", "https://example.com/lists"),
        "deliver.copy_to: given 'https://example.com/lists'",
        "the URL of one that can be written to, such as s3://bucket/lists",
    ),
    case(
        "a_copy_with_a_password",
        with_key("deliver.copy_to", "sftp://me:secret@host/lists"),
        "deliver.copy_to",
        "without credentials",
    ),
    case("a_copy_to_a_number", with_key("deliver.copy_to", 7), "deliver.copy_to: given 7", "valid string"),
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
        "negative",
        with_key("evaluate.cost_per_contact", -1.0),
        "evaluate.cost_per_contact: given -1.0",
        "equal to 0",
    ),
    case("negative_seed", with_key("seed", -1), "seed: given -1", "greater than or equal to 0"),
    case("nan", with_key("train.fill_value", float("nan")), "train.fill_value: given nan", "finite number"),
    case(
        "infinity",
        with_key("score.tiers.rank_share.very_high", float("inf")),
        "score.tiers.rank_share.very_high: given inf",
        "finite number",
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
        with_key("score.tiers.probability", {"very_high": 0.1, "high": 0.9, "medium": 0.02}),
        "score.tiers.probability",
        "'high': 0.9",
        "very_high > high > medium",
    ),
    case(
        "tier_above_one",
        with_key("score.tiers.probability.very_high", 40.0),
        "score.tiers.probability.very_high: given 40.0",
        "less than or equal to 1",
    ),
    case(
        "rank_shares_not_ascending",
        with_key("score.tiers.rank_share", {"very_high": 5.0, "high": 1.0, "medium": 0.2}),
        "score.tiers.rank_share",
        "'very_high': 5.0",
        "very_high < high < medium",
    ),
    case(
        "rank_share_of_nothing",
        with_key("score.tiers.rank_share.very_high", 0.0),
        "score.tiers.rank_share.very_high: given 0.0",
        "greater than 0",
    ),
    case(
        "tiers_by_lift",
        with_key("score.tiers.by", "lift"),
        "score.tiers.by: given 'lift'",
        "'rank_share' or 'probability'",
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
        with_key("score.tiers.probability", {"very_high": 0.9, "high": 0.8, "medium": 0.8}),
        "score.tiers.probability",
        "'medium': 0.8",
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
]


@pytest.mark.parametrize(("mutation", "says"), BROKEN)
def test_a_broken_file_is_explained_and_ends_with_exit_2(
    mutation: Mutation, says: tuple[str, ...], shipped: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_loading_stops(mutation, says, shipped, tmp_path, caplog)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("data/sample", True),
        ("./data/sample/", True),
        ("data//sample", True),
        ("data/samples", False),
        ("export", False),
        ("s3://data/sample", False),
    ],
)
def test_the_sample_is_known_however_its_folder_is_spelled(folder: str, expected: bool) -> None:
    data = load_params(ROOT / "params.yaml").data
    assert data.model_copy(update={"dir": folder}).is_sample is expected


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
