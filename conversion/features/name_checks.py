"""The check that each feature has a name and a description of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from conversion.features.attribute_catalogue import attribute_features
from conversion.features.catalogue import (
    average_features,
    measure_features,
    totals_features,
    usage_features,
    windowed_groups,
)
from conversion.features.definitions import Feature, FeatureSettings
from conversion.runtime.errors import ParamsError

_OWN: Final = "a feature of all usage"


def check_names(settings: FeatureSettings) -> None:
    """Check that no two features have the same name or description.

    The contract itself refuses features that are called as other columns of snapshots. Features that differ
    only in window have one description and count as one reason, so no others may.

    Raises
    ------
    ParamsError
        Some do; the message names the keys of the contract that lead to them.
    """
    names: dict[str, str] = {}
    described: dict[str, tuple[str, str]] = {}
    faults: dict[str, str] = {}
    for key, stem, feature in _features_by_key(settings):
        other = described.setdefault(feature.description, (key, stem))
        if feature.name in names:
            faults.setdefault(key, f"called {feature.name}, as {names[feature.name]} is; rename one of them")
        elif other != (key, stem):
            meaning = f"described as {feature.description!r}, as one of {other[0]} is"
            faults.setdefault(key, f"{meaning}; change what one of them is called or says")
        names.setdefault(feature.name, key)
    if faults:
        raise ParamsError(
            "\n".join(
                f"the contract: {key}: a feature of it would be {fault}" for key, fault in faults.items()
            )
        )


def _features_by_key(settings: FeatureSettings) -> Iterator[tuple[str, str, Feature]]:
    """Yield each feature with the key of the contract that leads to it, and its name without the window.

    Those of all usage come first, so that a key of the contract is named where one has their name.
    """
    windows, (columns, _) = (*settings.windows, None), windowed_groups(settings)
    in_windows = [(each, window) for each in columns for window in windows if each.lifetime or window]
    yield from _own(each.feature(window) for each, window in in_windows if each.module is None)
    yield from _own(average_features(settings))
    yield from _own(each.feature for each in totals_features(settings))
    yield from _own(each.feature for each in usage_features(settings))
    for each, window in in_windows:
        if each.module is not None:
            yield f"usage.modules.{each.module}", each.name, each.feature(window)
    measures = [name for name, _ in settings.measures] * len(windows)
    for name, feature in zip(measures, measure_features(settings), strict=True):
        yield f"usage.measures.{name}", name, feature
    for computed in attribute_features(settings):
        yield f"companies.attributes.{computed.feature.column}", computed.feature.name, computed.feature


def _own(features: Iterable[Feature]) -> Iterator[tuple[str, str, Feature]]:
    return ((_OWN, "", feature) for feature in features)
