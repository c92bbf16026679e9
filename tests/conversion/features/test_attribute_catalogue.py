from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from conversion.features.compute import (
    compute_features,
    feature_definitions,
    feature_frame,
    levels_in,
    summary_definitions,
)
from conversion.features.definitions import Feature
from tests.contract_files import hubspot, projects
from tests.conversion.features.cases import (
    AS_OF,
    companies_of,
    encoded,
    settings_of,
    usage_of,
    workspaces,
)

HOW = settings_of(workspaces())
BY_NAME = {feature.name: feature for feature in feature_definitions(HOW)}
NAN = float("nan")


def test_the_order_is_values_with_their_flags_then_what_is_missing() -> None:
    of_attributes = [feature for feature in feature_definitions(HOW) if feature.column is not None]
    assert [feature.name for feature in of_attributes] == [
        "seats", "log_reach", "reach_not_applicable", "spend", "spend_not_applicable", "staff", "package",
        "region", "source", "partner", "first_invoice", "last_call",
        "seats_missing", "reach_missing", "spend_missing", "staff_missing", "package_missing",
        "region_missing", "source_missing", "partner_missing", "first_invoice_missing", "last_call_missing",
    ]  # fmt: skip
    groups = [feature.group for feature in of_attributes]
    assert groups == ["firmographics"] * 12 + ["missingness"] * 10
    assert summary_definitions(HOW)[-22:] == tuple(of_attributes)
    assert [feature.name for feature in summary_definitions(HOW)[:-22]] == [
        "total_actions", "total_users", "days_active", "activity_frequency", "actions_per_user", "seen",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "unit", "monotone", "description"),
    [
        ("seats", "change", "seats", 1, "seats"),
        ("log_reach", "ordinal", "log reach", 0, "log of reach"),
        ("reach_not_applicable", "flag", "0 or 1", 0, "reach not applicable"),
        ("spend", "change", "spend", 0, "spend"),
        ("staff", "ordinal", "staff", -1, "staff, 1 (below 10) to 3 (100 or more)"),
        ("package", "ordinal", "package", 0, "package, 1 (free) to 3 (business)"),
        ("region", "category", "region", 0, "region"),
        ("partner", "flag", "0 or 1", 1, "partner"),
        ("first_invoice", "duration", "days", -1, "days since first_invoice"),
        ("partner_missing", "flag", "0 or 1", 0, "partner not known"),
    ],
)
def test_definitions_follow_from_the_kind(
    name: str, kind: str, unit: str, monotone: int, description: str
) -> None:
    feature = BY_NAME[name]
    found = (feature.kind, feature.unit, feature.monotone, feature.description)
    assert found == (kind, unit, monotone, description)


def test_a_contract_may_name_and_describe_features_itself() -> None:
    by_name = {feature.name: feature for feature in feature_definitions(settings_of(hubspot()))}
    expected = Feature(
        "log_alexa_rank",
        "log of the Alexa rank (unranked: 16000001)",
        "log rank",
        "-",
        "ordinal",
        -1,
        "firmographics",
        "ALEXA_RANK",
        "attribute:ALEXA_RANK",
    )
    assert by_name["log_alexa_rank"] == expected
    assert by_name["size"].description == "employee range, 1 (one) to 9 (10,001 or more)"
    assert by_name["sector_missing"].description == "no sector is known"


def test_what_reps_call_an_attribute_describes_its_features() -> None:
    by_name = {feature.name: feature for feature in feature_definitions(settings_of(projects()))}
    assert by_name["log_head_count"].description == "log of employees"
    assert by_name["head_count_missing"].description == "employees not known"


def frame_of(**columns: list[object]) -> pd.DataFrame:
    companies = companies_of(workspaces(), "a", "b", "c", "d", **columns)
    # Attributes with a history are read from it.
    histories = {
        column: pd.DataFrame(
            {
                "id": companies["id"],
                "since": AS_OF - pd.Timedelta(days=30),
                "value": pd.Series(columns[column], dtype=object),
            }
        )
        for column in ("spend", "package", "region", "partner", "last_call")
        if column in columns
    }
    known = encoded(companies, histories, workspaces())
    values = compute_features(companies, usage_of(workspaces()), pd.DatetimeIndex([AS_OF]), HOW, known)
    return feature_frame(values[:, 0], HOW, levels_in(companies, HOW))


def test_numbers() -> None:
    frame = frame_of(seats=[5.0, 0.0, -2.0, NAN], reach=[1.0, 899.0, 900.0, NAN], spend=[2.0, 1e6, 2e6, NAN])
    np.testing.assert_array_equal(frame["seats"], [5, 0, -2, NAN])
    np.testing.assert_array_equal(frame["seats_missing"], [0, 0, 0, 1])
    logs = [0, math.log(899), math.log(900), NAN]
    np.testing.assert_allclose(frame["log_reach"], logs, rtol=1e-6, err_msg="unranked counts as 900")
    np.testing.assert_array_equal(frame["reach_not_applicable"], [0, 0, 1, NAN])
    np.testing.assert_array_equal(frame["reach_missing"], [0, 0, 0, 1])
    np.testing.assert_array_equal(frame["spend"], [2, NAN, NAN, NAN])
    np.testing.assert_array_equal(frame["spend_not_applicable"], [0, 1, 1, NAN])
    np.testing.assert_array_equal(frame["spend_missing"], [0, 0, 0, 1])


def test_levels_and_flags() -> None:
    frame = frame_of(
        staff=[9.9, 10.0, 100.0, NAN],
        package=["free", "team", "business", None],
        source=["ads", "fairs", None, "ads"],
        region=["EU", "US", "EU", None],
        partner=[True, False, None, True],
    )
    np.testing.assert_array_equal(frame["staff"], [1, 2, 3, NAN])
    np.testing.assert_array_equal(frame["package"], [1, 2, 3, NAN])
    assert list(frame["source"]) == ["ads", "fairs", "Unknown", "ads"]
    assert tuple(frame["source"].cat.categories) == ("ads", "fairs", "Unknown")
    np.testing.assert_array_equal(frame["source_missing"], [0, 0, 1, 0])
    assert list(frame["region"]) == ["EU", "US", "EU", "Unknown"]
    np.testing.assert_array_equal(frame["region_missing"], [0, 0, 0, 1])
    np.testing.assert_array_equal(frame["partner"], [1, 0, NAN, 1])
    np.testing.assert_array_equal(frame["partner_missing"], [0, 0, 1, 0])


def test_a_date_is_an_age_and_not_known_from_the_day_of_as_of_on() -> None:
    day = pd.Timedelta(days=1)
    dates = [AS_OF - 30 * day, AS_OF - day, AS_OF, None]
    frame = frame_of(first_invoice=dates, last_call=dates)
    for name in ("first_invoice", "last_call"):
        np.testing.assert_array_equal(frame[name], [30, 1, NAN, NAN])
        np.testing.assert_array_equal(frame[f"{name}_missing"], [0, 0, 1, 1])
