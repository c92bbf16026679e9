from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.params import FeatureGroup
from conversion.data.timeline import WEEK
from conversion.features import compute
from conversion.features.compute import compute_features, feature_definitions, feature_frame, levels_in
from conversion.features.definitions import FeatureSettings, Group
from tests.contract_files import hubspot
from tests.conversion.features.cases import (
    AS_OF,
    CONTRACTS,
    Case,
    cases,
    companies_of,
    settings_of,
    usage_of,
)
from tests.conversion.features.reference import reference
from tests.exports import UNRANKED

HUBSPOT = settings_of(hubspot())
TINY = settings_of(hubspot(), (1,), (1,))
MODULES = ("crm_contacts", "crm_companies", "crm_deals", "email")
WINDOWS = {
    "default": {},
    "odd": {"windows": (3, 5, 7, 11), "half_lives": (1, 3)},
    "tiny": {"windows": (1,), "half_lives": (1,)},
}
by_contract = pytest.mark.parametrize("name", CONTRACTS)


def hubspot_companies(*ids: int, **columns: object) -> pd.DataFrame:
    given = {"ALEXA_RANK": 1000.0, "EMPLOYEE_RANGE": "1", "INDUSTRY": "RETAIL"}
    filled = {name: [value] * len(ids) for name, value in given.items()}
    return companies_of(hubspot(), *ids, **{**filled, **columns})


def hubspot_usage(*rows: tuple[int, int, list[int]]) -> pd.DataFrame:
    """Make usage rows of (id, weeks ago that the week was over, eight counts)."""
    return usage_of(hubspot(), *[(company, ago, list(map(float, counts))) for company, ago, counts in rows])


def frame_at(
    companies: pd.DataFrame, usage: pd.DataFrame, as_of: pd.Timestamp = AS_OF, how: FeatureSettings = HUBSPOT
) -> pd.DataFrame:
    values = compute_features(companies, usage, pd.DatetimeIndex([as_of]), how)
    return feature_frame(values[:, 0], how, levels_in(companies, how))


# Worked out by hand: three weeks of one company. The counts are actions, then users, of contacts, companies,
# deals, e-mail.
GOLDEN_USAGE = hubspot_usage(
    (1, 0, [4, 0, 0, 6, 2, 0, 0, 1]),
    (1, 3, [3, 5, 0, 0, 1, 3, 0, 0]),
    (1, 5, [0, 0, 0, 0, 0, 0, 0, 0]),
    (1, 9, [20, 0, 0, 0, 5, 0, 0, 0]),
)
ROOT = 0.5**0.5
SHARES = [27 / 38, 5 / 38, 6 / 38]
GOLDEN = {
    "actions_crm_contacts_1w": 4, "actions_crm_contacts_2w": 4, "actions_crm_contacts_4w": 7,
    "actions_crm_contacts_8w": 7, "actions_crm_contacts_13w": 27, "actions_crm_contacts_lifetime": 27,
    "actions_crm_companies_2w": 0, "actions_crm_companies_4w": 5, "actions_crm_deals_lifetime": 0,
    "actions_email_1w": 6, "actions_email_26w": 6,
    "actions_1w": 10, "actions_4w": 18, "actions_8w": 18, "actions_13w": 38,
    "users_max_crm_contacts_1w": 2, "users_max_crm_contacts_8w": 2, "users_max_crm_contacts_13w": 5,
    "users_max_crm_companies_2w": 0, "users_max_crm_companies_4w": 3, "users_max_email_lifetime": 1,
    "users_max_1w": 2, "users_max_2w": 2, "users_max_4w": 3, "users_max_8w": 3, "users_max_13w": 5,
    "users_max_lifetime": 5,
    "active_weeks_1w": 1, "active_weeks_2w": 1, "active_weeks_4w": 2, "active_weeks_8w": 2,
    "active_weeks_13w": 3, "active_weeks_lifetime": 3,
    "modules_used_1w": 2, "modules_used_4w": 3, "modules_used_lifetime": 3,
    # Most users of a module: 5 nine weeks before the last, 3 three weeks before it, 2 in it.
    "users_ewm_2w": (1 - ROOT) * (2 + 3 * ROOT**3 + 5 * ROOT**9),
    "total_actions": 38, "total_users": 12,
    "days_active": 63, "activity_frequency": 4 / 64, "actions_per_user": 38 / 12, "seen": 1,
    "recency_weeks": 0, "tenure_weeks": 10, "weeks_since_first_seen": 10,
    "acceleration": math.log(19) - math.log(1),
    # Slots -6 ... 6 of the last 13 weeks; the sum of their squares is 182.
    "trend": (6 * math.log(11) + 3 * math.log(9) - 3 * math.log(21)) / 182,
    "module_entropy": -sum(share * math.log(share) for share in SHARES),
    "log_alexa_rank": math.log(1000), "unranked": 0, "size": 1,
    "alexa_missing": 0, "size_missing": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    row = frame_at(hubspot_companies(1), GOLDEN_USAGE).iloc[0]
    assert row[name] == pytest.approx(GOLDEN[name], rel=1e-6)


def test_a_row_without_activity_is_seen_but_not_active() -> None:
    """A row of zeros begins the time since first seen and the days active, not the tenure."""
    row = frame_at(hubspot_companies(1), hubspot_usage((1, 2, [1] + [0] * 7), (1, 6, [0] * 8))).iloc[0]
    assert row["weeks_since_first_seen"] == 7
    assert row["tenure_weeks"] == 3
    assert row["days_active"] == 28
    assert row["activity_frequency"] == pytest.approx(2 / 29)


def test_a_single_row_was_active_on_no_more_than_a_day() -> None:
    row = frame_at(hubspot_companies(1), hubspot_usage((1, 4, [2, 0, 0, 0, 1, 0, 0, 0]))).iloc[0]
    assert row["days_active"] == 0
    assert row["activity_frequency"] == 1
    assert row["recency_weeks"] == 4
    assert row["tenure_weeks"] == 5


def test_falling_activity_decelerates() -> None:
    usage = hubspot_usage((1, 4, [8, 0, 0, 0, 0, 0, 0, 0]), (1, 3, [2, 0, 0, 0, 0, 0, 0, 0]))
    row = frame_at(hubspot_companies(1), usage).iloc[0]
    assert row["acceleration"] == pytest.approx(math.log(3) - math.log(9), rel=1e-6)
    assert row["actions_per_user"] == 0, "no user, no ratio"


def test_even_use_of_all_modules_has_the_highest_entropy() -> None:
    usage = hubspot_usage((1, 1, [7, 7, 7, 7, 1, 1, 1, 1]), (2, 1, [7, 0, 0, 0, 1, 0, 0, 0]))
    entropy = frame_at(hubspot_companies(1, 2), usage)["module_entropy"]
    assert entropy.iloc[0] == pytest.approx(math.log(len(MODULES)))
    assert entropy.iloc[1] == 0


def test_never_seen_is_not_known_rather_than_zero() -> None:
    frame = frame_at(hubspot_companies(1, 2), hubspot_usage((1, 0, [1] * 8)))
    never = frame.iloc[1]
    unknown = {
        "days_active", "activity_frequency", "recency_weeks", "tenure_weeks", "weeks_since_first_seen",
    }  # fmt: skip
    assert set(frame.columns[never.isna()]) == unknown
    usage_features = [feature.name for feature in feature_definitions(HUBSPOT) if feature.window != "-"]
    assert (never[[name for name in usage_features if name not in unknown]] == 0).all()


def test_firmographics() -> None:
    companies = hubspot_companies(
        1, 2, 3,
        ALEXA_RANK=[250.0, float(UNRANKED), np.nan],
        EMPLOYEE_RANGE=["51 to 200", None, "1"],
        INDUSTRY=["BANKING", None, "??"],
    )  # fmt: skip
    frame = frame_at(companies, hubspot_usage())
    np.testing.assert_allclose(
        frame["log_alexa_rank"], [math.log(250), math.log(UNRANKED), np.nan], rtol=1e-6
    )
    np.testing.assert_array_equal(frame["unranked"], [0, 1, np.nan])
    np.testing.assert_array_equal(frame["size"], [6, np.nan, 1])
    assert list(frame["sector"]) == ["Finance and insurance", "Unknown", "Unknown"]
    assert tuple(frame["sector"].cat.categories) == tuple(companies["sector"].cat.categories)
    np.testing.assert_array_equal(frame["alexa_missing"], [0, 0, 1])
    np.testing.assert_array_equal(frame["size_missing"], [0, 1, 0])
    np.testing.assert_array_equal(frame["sector_missing"], [0, 1, 1])


def test_groups_are_by_what_a_feature_is_made_of() -> None:
    by_group: dict[str, list[str]] = {}
    for feature in feature_definitions(HUBSPOT):
        by_group.setdefault(feature.group, []).append(feature.name)
    assert tuple(by_group) == get_args(FeatureGroup) == get_args(Group)
    assert by_group["firmographics"] == ["log_alexa_rank", "unranked", "size", "sector"]
    assert by_group["missingness"] == ["alexa_missing", "size_missing", "sector_missing"]


def test_the_order_of_the_columns() -> None:
    """The models' files and params go by it."""
    by_module = {
        suffix: [f"{what}_{module}_{suffix}" for module in MODULES for what in ("actions", "users_max")]
        for suffix in ("1w", "lifetime")
    }
    assert [feature.name for feature in feature_definitions(TINY)] == [
        *by_module["1w"], "actions_1w", "users_max_1w", "active_weeks_1w", "modules_used_1w",
        *by_module["lifetime"], "users_max_lifetime", "active_weeks_lifetime", "modules_used_lifetime",
        "users_ewm_1w",
        "total_actions", "total_users", "days_active", "activity_frequency", "actions_per_user", "seen",
        "recency_weeks", "tenure_weeks", "weeks_since_first_seen",
        "acceleration", "trend", "module_entropy",
        "log_alexa_rank", "unranked", "size", "sector",
        "alexa_missing", "size_missing", "sector_missing",
    ]  # fmt: skip
    windows = [feature.window for feature in feature_definitions(HUBSPOT)]
    assert windows[: 12 * 6] == [str(window) for window in HUBSPOT.windows for _ in range(12)]
    more_windows, more_half_lives = len(HUBSPOT.windows) - 1, len(HUBSPOT.half_lives) - 1
    assert len(windows) == len(feature_definitions(TINY)) + 12 * more_windows + more_half_lives


@pytest.mark.parametrize("group", ["totals", "usage", "attributes", "windowed"])
@pytest.mark.parametrize("kept", [1, -1])
def test_columns_that_their_definitions_do_not_match_are_refused(
    group: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = compute._plan(HUBSPOT)
    fewer = plan._replace(**{group: getattr(plan, group)[:kept]})
    monkeypatch.setattr(compute, "_plan", lambda _: fewer)
    with pytest.raises(ValueError, match=r"argument 2 is (shorter|longer)"):
        compute_features(hubspot_companies(1), GOLDEN_USAGE, pd.DatetimeIndex([AS_OF]), HUBSPOT)


def test_a_group_of_more_columns_than_are_defined_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = compute._plan(HUBSPOT)
    (places, columns, _), *others = plan.windowed
    more = plan._replace(windowed=((places, columns, lambda inside: inside.sums), *others))
    monkeypatch.setattr(compute, "_plan", lambda _: more)
    with pytest.raises(ValueError, match="cannot reshape"):
        compute_features(hubspot_companies(1), GOLDEN_USAGE, pd.DatetimeIndex([AS_OF]), HUBSPOT)


@by_contract
@pytest.mark.parametrize("windows", WINDOWS)
@settings(max_examples=8)
@given(data=st.data(), weeks_back=st.lists(st.integers(-2, 45), min_size=1, max_size=3, unique=True))
def test_features_equal_the_plain_reference(
    name: str, windows: str, data: st.DataObject, weeks_back: list[int]
) -> None:
    contract = CONTRACTS[name]()
    how = settings_of(contract, **WINDOWS[windows])  # type: ignore[arg-type]
    case: Case = data.draw(cases(contract))
    as_ofs = pd.DatetimeIndex([AS_OF - back * WEEK for back in weeks_back])
    computed = compute_features(case.companies, case.usage, as_ofs, how, case.histories)
    levels = levels_in(case.companies, how)
    for place, as_of in enumerate(as_ofs):
        frame = feature_frame(computed[:, place], how, levels)
        for position in range(len(case.companies)):
            expected = reference(case, position, as_of, contract, how)
            assert set(expected) == set(frame.columns)
            row = frame.iloc[position].to_dict()
            for column, value in expected.items():
                found = row[column]
                if isinstance(value, str):
                    assert found == value
                else:
                    assert found == pytest.approx(value, rel=2e-6, abs=1e-6, nan_ok=True), column


@by_contract
def test_definitions_name_the_columns(name: str) -> None:
    contract = CONTRACTS[name]()
    for windows in WINDOWS.values():
        how = settings_of(contract, **windows)  # type: ignore[arg-type]
        definitions = feature_definitions(how)
        names = [feature.name for feature in definitions]
        ids = (1,) if contract.companies.ids == "whole" else ("a",)
        companies = companies_of(contract, *ids)
        frame = frame_at(companies, usage_of(contract), how=how)
        assert names == list(frame.columns)
        assert len(set(names)) == len(names)
        assert all(feature.description and feature.unit and feature.window for feature in definitions)
        assert not {"id", "MRR", "CLOSEDATE", "label", "weight", "as_of"} & set(names)
        assert {feature.window for feature in definitions} >= {str(window) for window in how.windows}
        categories = {feature.name for feature in definitions if feature.kind == "category"}
        numbers = [column for column in frame.columns if column not in categories]
        assert set(frame.dtypes[numbers]) == {np.dtype("float32")}
        for feature in definitions:
            if feature.column is not None:
                assert feature.window == "-"
                assert feature.column in contract.companies.attributes
