from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

from conversion.features.compute import feature_definitions, features_of_block
from conversion.features.definitions import FeatureSettings
from conversion.features.usage_block import block_columns
from tests.contract_files import hubspot
from tests.conversion.features.cases import modules_of, settings_of, workspaces

OF_USERS = {"users_max", "users_ewm", "total_users", "actions_per_user"}
OF_MODULES = {"actions_m0", "actions_m1", "modules_used", "module_entropy"}
OF_USERS_BY_MODULE = {"users_max_m0", "users_max_m1"}
OF_SOME = OF_USERS | OF_MODULES | OF_USERS_BY_MODULE
EVERY = {
    "actions", "active_weeks", "total_actions", "days_active", "activity_frequency", "seen",
    "recency_weeks", "tenure_weeks", "weeks_since_first_seen", "acceleration", "trend",
}  # fmt: skip


def names_of(how: FeatureSettings) -> set[str]:
    """Name the features, without windows and half-lives."""
    return {re.sub(r"_(\d+w|lifetime)$", "", feature.name) for feature in feature_definitions(how)}


@pytest.mark.parametrize(
    ("modules", "users", "some"),
    [
        (1, 0, set()),
        (1, 1, OF_USERS),
        (2, 0, OF_MODULES),
        (2, 1, OF_MODULES | OF_USERS),
        (2, 2, OF_MODULES | OF_USERS | OF_USERS_BY_MODULE),
    ],
)
def test_features_that_take_several_modules_or_users_exist_only_with_them(
    modules: int, users: int, some: set[str]
) -> None:
    names = names_of(modules_of(modules, users))
    assert names >= EVERY
    assert names & OF_SOME == some


def test_fifty_modules_have_features_of_each() -> None:
    how = modules_of(50, 50)
    names = names_of(how)
    by_module = {f"{what}_m{place}" for place in range(50) for what in ("actions", "users_max")}
    assert {name for name in names if re.search(r"_m\d+$", name)} == by_module


def test_no_two_columns_are_the_same_in_general() -> None:
    """With any number of modules and users, even of few of them."""
    for modules, users in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 2)):
        how = modules_of(modules, users)
        rng = np.random.default_rng(users)
        block = rng.poisson(2.0, (400, 30, modules + users + 1)).astype(np.float64)
        block[..., -1] = rng.random((400, 30)) < rng.choice([0.0, 0.2], (400, 1))
        block *= block[..., -1:]
        values = features_of_block(np.empty((400, 1, 0)), block, np.array([30]), how, {})[:, 0]
        same = np.unique(values, axis=1, equal_nan=True).shape[1]
        assert same == values.shape[1]
        spread = np.nanmax(values, axis=0) > np.nanmin(values, axis=0)
        assert spread.all(), "a constant says nothing"


def test_the_only_module_is_named_in_place_of_all() -> None:
    described = {feature.name: feature.description for feature in feature_definitions(modules_of(1, 1))}
    assert described["actions_4w"] == described["total_actions"] == "actions in m0"
    assert described["users_max_4w"] == "most users of a week in m0"
    described = {feature.name: feature.description for feature in feature_definitions(modules_of(2, 1))}
    assert described["actions_4w"] == described["total_actions"] == "actions in all modules"
    assert described["users_max_4w"] == "most users of a week in m0"


def test_a_module_is_called_what_reps_call_it() -> None:
    described = {
        feature.name: feature.description for feature in feature_definitions(settings_of(workspaces()))
    }
    assert described["actions_chat_4w"] == "actions in Team chat"
    assert described["actions_forms_4w"] == "actions in forms"
    described = {feature.name: feature.description for feature in feature_definitions(settings_of(hubspot()))}
    assert described["users_max_email_26w"] == "most users of a week in email"


def test_a_block_has_actions_users_the_marker_of_rows_and_measures() -> None:
    assert block_columns(settings_of(workspaces())) == (
        "board_edits", "form_edits", "messages", "board_users", "writers",
        "ROWS",
        "stored", "Uploaded", "peak",
    )  # fmt: skip
    assert block_columns(settings_of(hubspot())) == (*hubspot().counts, "ROWS")


def test_settings_are_equal_and_hash_equally_also_after_they_travelled() -> None:
    how = settings_of(workspaces())
    hash(how)
    travelled = pickle.loads(pickle.dumps(how))
    assert "_hash" not in vars(travelled), "texts have other hashes in another process"
    assert travelled == how
    assert hash(travelled) == hash(how) == hash(settings_of(workspaces()))
    assert how != settings_of(workspaces(), windows=(1, 4))
