from __future__ import annotations

import pytest

from conversion.errors import ServiceError
from conversion.registered import RegisteredVersion, RegisteredVersions
from conversion.serving import TOKEN, registered_model_of, token_from


def test_without_the_variable_nobody_is_asked_for_a_token() -> None:
    assert token_from({}) is None


def test_the_token_is_taken_as_it_is() -> None:
    assert token_from({TOKEN: " s3cret ", "OTHER": "x"}) == " s3cret "


@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_an_empty_token_lets_nobody_in_by_mistake(empty: str) -> None:
    with pytest.raises(ServiceError, match=f"{TOKEN}: set, but empty"):
        token_from({TOKEN: empty})


def test_a_model_file_is_known_by_its_hash_alone() -> None:
    versions = {"aa": RegisteredVersion(version="3", aliases=["champion"], run_id="run")}
    registered = RegisteredVersions(model_name="conversion", versions=versions)
    found = registered_model_of("aa", registered)
    assert found is not None
    assert (found.name, found.version, found.aliases) == ("conversion", "3", ["champion"])
    assert registered_model_of("bb", registered) is None
    assert registered_model_of("aa", None) is None
