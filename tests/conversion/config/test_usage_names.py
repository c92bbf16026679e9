"""The reserved names of usage are those of the features."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.data_contract import TOTALS, Contract
from conversion.config.params_file import load_params
from conversion.config.usage_names import SUMMARY_NAMES, WINDOWED_NAMES, is_usage_name
from conversion.features.compute import feature_settings
from conversion.features.name_checks import _features_by_key
from tests.contract_files import hubspot, projects

WEEKS = st.lists(st.integers(1, 200), min_size=1, max_size=4, unique=True).map(
    lambda each: tuple(sorted(each))
)


@pytest.mark.parametrize("contract", [hubspot(), projects()], ids=["hubspot", "projects"])
@given(windows=WEEKS, half_lives=WEEKS)
def test_every_feature_of_usage_is_reserved(
    contract: Contract, windows: tuple[int, ...], half_lives: tuple[int, ...]
) -> None:
    params = load_params().featurize.model_copy(update={"windows": windows, "half_lives": half_lives})
    settings = feature_settings(params, contract)
    for key, _, feature in _features_by_key(settings):
        if not key.startswith("companies."):
            assert feature.name in TOTALS or is_usage_name(feature.name, contract.usage.measures)


def test_no_name_is_reserved_for_nothing() -> None:
    features = [each for _, _, each in _features_by_key(feature_settings(load_params().featurize, hubspot()))]
    names = {each.name for each in features}
    assert {*SUMMARY_NAMES} <= names
    for stem in WINDOWED_NAMES:
        assert any(name.startswith(f"{stem}_") for name in names)
