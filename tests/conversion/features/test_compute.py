from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.contract import (
    ACTIONS,
    CUSTOMERS,
    EMPLOYEE_RANGES,
    MEASURES,
    MODULES,
    NONCUSTOMERS,
    UNRANKED,
    USAGE_ACTIONS,
    USERS,
)
from conversion.config.params import FeatureGroup
from conversion.data.firmographics import Firmographics, with_firmographics
from conversion.data.industries import SECTORS
from conversion.data.timeline import WEEK
from conversion.features import compute
from conversion.features.compute import (
    compute_features,
    feature_definitions,
    feature_frame,
    features_of_block,
)
from conversion.features.definitions import FeatureSettings, Group
from conversion.features.usage_block import BLOCK_COLUMNS, TREND_WEEKS
from tests.exports import tiny_export

AS_OF = pd.Timestamp("2020-02-24")
SETTINGS = FeatureSettings(windows=(1, 2, 4, 8, 13, 26), half_lives=(2, 6))
ODD = FeatureSettings(windows=(3, 5, 7, 11), half_lives=(1, 3))
TINY = FeatureSettings(windows=(1,), half_lives=(1,))


def companies_of(*ids: int, **columns: Any) -> pd.DataFrame:
    table = {"id": ids, "ALEXA_RANK": 1000.0, "EMPLOYEE_RANGE": "1", "INDUSTRY": "RETAIL"} | columns
    return with_firmographics(pd.DataFrame(table, index=range(len(ids))))


def usage_of(*rows: tuple[int, int, list[int]]) -> pd.DataFrame:
    """Make usage rows of (id, weeks ago that the week was over, eight counts)."""
    table = pd.DataFrame([counts for _, _, counts in rows], columns=list(MEASURES), dtype="int64")
    stamps = [AS_OF - (ago + 1) * WEEK for _, ago, _ in rows]
    table.insert(0, "id", pd.Series([company for company, _, _ in rows], dtype="int64"))
    table.insert(1, "WHEN_TIMESTAMP", pd.Series(stamps, dtype="datetime64[us]"))
    return table


def frame_at(
    companies: pd.DataFrame, usage: pd.DataFrame, as_of: pd.Timestamp = AS_OF, how: FeatureSettings = SETTINGS
) -> pd.DataFrame:
    values = compute_features(companies, usage, pd.DatetimeIndex([as_of]), how)
    return feature_frame(values[:, 0], how)


# Worked out by hand: three weeks of one company. The counts are actions, then users, of contacts, companies,
# deals, e-mail.
GOLDEN_USAGE = usage_of(
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
    row = frame_at(companies_of(1), GOLDEN_USAGE).iloc[0]
    assert row[name] == pytest.approx(GOLDEN[name], rel=1e-6)


def test_a_row_without_activity_is_seen_but_not_active() -> None:
    """A row of zeros begins the time since first seen and the days active, not the tenure."""
    row = frame_at(companies_of(1), usage_of((1, 2, [1] + [0] * 7), (1, 6, [0] * 8))).iloc[0]
    assert row["weeks_since_first_seen"] == 7
    assert row["tenure_weeks"] == 3
    assert row["days_active"] == 28
    assert row["activity_frequency"] == pytest.approx(2 / 29)


def test_a_single_row_was_active_on_no_more_than_a_day() -> None:
    row = frame_at(companies_of(1), usage_of((1, 4, [2, 0, 0, 0, 1, 0, 0, 0]))).iloc[0]
    assert row["days_active"] == 0
    assert row["activity_frequency"] == 1
    assert row["recency_weeks"] == 4
    assert row["tenure_weeks"] == 5


def test_falling_activity_decelerates() -> None:
    usage = usage_of((1, 4, [8, 0, 0, 0, 0, 0, 0, 0]), (1, 3, [2, 0, 0, 0, 0, 0, 0, 0]))
    row = frame_at(companies_of(1), usage).iloc[0]
    assert row["acceleration"] == pytest.approx(math.log(3) - math.log(9), rel=1e-6)
    assert row["actions_per_user"] == 0, "no user, no ratio"


def test_even_use_of_all_modules_has_the_highest_entropy() -> None:
    usage = usage_of((1, 1, [7, 7, 7, 7, 1, 1, 1, 1]), (2, 1, [7, 0, 0, 0, 1, 0, 0, 0]))
    entropy = frame_at(companies_of(1, 2), usage)["module_entropy"]
    assert entropy.iloc[0] == pytest.approx(math.log(len(MODULES)))
    assert entropy.iloc[1] == 0


def test_never_seen_is_not_known_rather_than_zero() -> None:
    frame = frame_at(companies_of(1, 2), usage_of((1, 0, [1] * 8)))
    never = frame.iloc[1]
    unknown = {
        "days_active", "activity_frequency", "recency_weeks", "tenure_weeks", "weeks_since_first_seen",
    }  # fmt: skip
    assert set(frame.columns[never.isna()]) == unknown
    usage_features = [feature.name for feature in feature_definitions(SETTINGS) if feature.window != "-"]
    assert (never[[name for name in usage_features if name not in unknown]] == 0).all()


def test_firmographics() -> None:
    companies = companies_of(
        1, 2, 3,
        ALEXA_RANK=[250.0, float(UNRANKED), np.nan],
        EMPLOYEE_RANGE=["51 to 200", None, "1"],
        INDUSTRY=["BANKING", None, "??"],
    )  # fmt: skip
    frame = frame_at(companies, usage_of())
    np.testing.assert_allclose(
        frame["log_alexa_rank"], [math.log(250), math.log(UNRANKED), np.nan], rtol=1e-6
    )
    np.testing.assert_array_equal(frame["unranked"], [0, 1, np.nan])
    np.testing.assert_array_equal(frame["size"], [6, np.nan, 1])
    assert list(frame["sector"]) == ["Finance and insurance", "Unknown", "Unknown"]
    assert tuple(frame["sector"].cat.categories) == SECTORS
    np.testing.assert_array_equal(frame["alexa_missing"], [0, 0, 1])
    np.testing.assert_array_equal(frame["size_missing"], [0, 1, 0])
    np.testing.assert_array_equal(frame["sector_missing"], [0, 1, 1])


def test_groups_are_by_what_a_feature_is_made_of() -> None:
    by_group: dict[str, list[str]] = {}
    for feature in feature_definitions(SETTINGS):
        by_group.setdefault(feature.group, []).append(feature.name)
    assert tuple(by_group) == get_args(FeatureGroup) == get_args(Group)
    assert by_group["firmographics"] == ["log_alexa_rank", "unranked", "size", "sector"]
    assert by_group["missingness"] == ["alexa_missing", "size_missing", "sector_missing"]


@pytest.mark.parametrize("how", [SETTINGS, ODD, TINY])
def test_definitions_name_the_columns(how: FeatureSettings) -> None:
    definitions = feature_definitions(how)
    names = [feature.name for feature in definitions]
    frame = frame_at(companies_of(1), GOLDEN_USAGE, how=how)
    assert names == list(frame.columns)
    assert len(set(names)) == len(names)
    assert all(feature.description and feature.unit and feature.window for feature in definitions)
    assert not {"id", "MRR", "CLOSEDATE", "label", "weight", "as_of"} & set(names)
    assert {feature.window for feature in definitions} >= {str(window) for window in how.windows}
    assert set(frame.dtypes[frame.columns != "sector"]) == {np.dtype("float32")}


def test_the_order_of_the_columns() -> None:
    """The models' files and params go by it."""
    modules = [module.lower() for module in MODULES]
    by_module = {
        suffix: [f"{what}_{module}_{suffix}" for module in modules for what in ("actions", "users_max")]
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
    windows = [feature.window for feature in feature_definitions(SETTINGS)]
    assert windows[: 12 * 6] == [str(window) for window in SETTINGS.windows for _ in range(12)]
    more_windows, more_half_lives = len(SETTINGS.windows) - 1, len(SETTINGS.half_lives) - 1
    assert len(windows) == len(feature_definitions(TINY)) + 12 * more_windows + more_half_lives


@pytest.mark.parametrize("kept", [1, -1])
@pytest.mark.parametrize("group", ["TOTALS_FEATURES", "USAGE_FEATURES", "FIRMOGRAPHIC_FEATURES"])
def test_columns_that_their_definitions_do_not_match_are_refused(
    group: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature_definitions(SETTINGS)
    monkeypatch.setattr(compute, group, getattr(compute, group)[:kept])
    with pytest.raises(AssertionError, match="one column"):
        frame_at(companies_of(1), GOLDEN_USAGE)


# A slow reference, one company and one moment at a time, in plain loops


def reference(
    company: pd.Series, usage: pd.DataFrame, as_of: pd.Timestamp, how: FeatureSettings
) -> dict[str, Any]:
    rows = usage[(usage["id"] == company["id"]) & (usage["WHEN_TIMESTAMP"] + WEEK <= as_of)]
    by_ago = {int((as_of - row["WHEN_TIMESTAMP"]) / WEEK) - 1: row for _, row in rows.iterrows()}
    actions = {ago: [int(row[name]) for name in ACTIONS] for ago, row in by_ago.items()}
    users = {ago: [int(row[name]) for name in USERS] for ago, row in by_ago.items()}
    active = [ago for ago in by_ago if sum(actions[ago]) + sum(users[ago]) > 0]
    values: dict[str, Any] = {}
    for window in (*how.windows, None):
        suffix = "lifetime" if window is None else f"{window}w"
        inside = [ago for ago in by_ago if window is None or ago < window]
        sums = [sum(actions[ago][module] for ago in inside) for module in range(4)]
        most = [max([users[ago][module] for ago in inside], default=0) for module in range(4)]
        for module, name in enumerate(MODULES):
            values[f"actions_{name.lower()}_{suffix}"] = sums[module]
            values[f"users_max_{name.lower()}_{suffix}"] = most[module]
        if window is not None:
            values[f"actions_{suffix}"] = sum(sums)
        values[f"users_max_{suffix}"] = max(most)
        values[f"active_weeks_{suffix}"] = len([ago for ago in active if ago in inside])
        values[f"modules_used_{suffix}"] = len([total for total in sums if total > 0])
    for half_life in how.half_lives:
        decay = 0.5 ** (1 / half_life)
        values[f"users_ewm_{half_life}w"] = (1 - decay) * sum(decay**ago * max(users[ago]) for ago in by_ago)
    totals = [sum(actions[ago][module] for ago in by_ago) for module in range(4)]
    total_users = sum(sum(users[ago]) for ago in by_ago)
    nan = float("nan")
    span = 7 * (max(by_ago) - min(by_ago)) if by_ago else nan
    weekly = [sum(actions.get(ago, [0])) for ago in range(max(TREND_WEEKS, 8))]
    slots = [TREND_WEEKS // 2 - ago for ago in range(TREND_WEEKS)]
    rank = UNRANKED if company["unranked"] == 1 else company["ALEXA_RANK"]
    shares = [total / sum(totals) for total in totals if total > 0]
    return values | {
        "total_actions": sum(totals),
        "total_users": total_users,
        "days_active": span,
        "activity_frequency": len(by_ago) / (span + 1),
        "actions_per_user": sum(totals) / total_users if total_users else 0,
        "seen": float(bool(by_ago)),
        "recency_weeks": min(active) if active else nan,
        "tenure_weeks": max(active) + 1 if active else nan,
        "weeks_since_first_seen": max(by_ago) + 1 if by_ago else nan,
        "acceleration": math.log1p(sum(weekly[:4])) - math.log1p(sum(weekly[4:8])),
        "trend": sum(
            slot * math.log1p(count) for slot, count in zip(slots, weekly[:TREND_WEEKS], strict=True)
        ) / sum(slot**2 for slot in slots),
        "module_entropy": -sum(share * math.log(share) for share in shares),
        "log_alexa_rank": math.log(rank),
        "unranked": company["unranked"],
        "size": company["size"],
        "sector": company["sector"],
        "alexa_missing": float(math.isnan(company["unranked"])),
        "size_missing": float(math.isnan(company["size"])),
        "sector_missing": float(company["sector"] == "Unknown"),
    }  # fmt: skip


IDS = (3, 8, 20, 21)


@st.composite
def exports(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw companies and their usage, some of it later than `AS_OF`, in any order."""
    counts = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 40, 27_936]), min_size=8, max_size=8)
    keys = draw(st.lists(st.tuples(st.sampled_from(IDS), st.integers(-4, 40)), unique=True, max_size=25))
    usage = usage_of(*[(company, ago, draw(counts)) for company, ago in keys])
    ranks = st.sampled_from([1.0, 99_999.0, float(UNRANKED), np.nan])
    companies = companies_of(
        *IDS,
        ALEXA_RANK=[draw(ranks) for _ in IDS],
        EMPLOYEE_RANGE=[draw(st.sampled_from([*EMPLOYEE_RANGES, None])) for _ in IDS],
    )
    return companies, usage


@pytest.mark.parametrize("how", [SETTINGS, ODD, TINY])
@settings(max_examples=15)
@given(export=exports(), weeks_back=st.lists(st.integers(-2, 45), min_size=1, max_size=3, unique=True))
def test_features_equal_the_plain_reference(
    how: FeatureSettings, export: tuple[pd.DataFrame, pd.DataFrame], weeks_back: list[int]
) -> None:
    companies, usage = export
    as_ofs = pd.DatetimeIndex([AS_OF - back * WEEK for back in weeks_back])
    computed = compute_features(companies, usage, as_ofs, how)
    for place, as_of in enumerate(as_ofs):
        frame = feature_frame(computed[:, place], how)
        for position, (_, company) in enumerate(companies.iterrows()):
            expected = reference(company, usage, as_of, how)
            assert set(expected) == set(frame.columns)
            for name, value in expected.items():
                found = frame[name].iloc[position]
                if name == "sector":
                    assert found == value
                else:
                    assert found == pytest.approx(value, rel=2e-6, abs=1e-6, nan_ok=True), name


@settings(max_examples=25)
@given(export=exports(), data=st.data())
def test_order_of_rows_and_company_of_others_change_no_bit(
    export: tuple[pd.DataFrame, pd.DataFrame], data: st.DataObject
) -> None:
    companies, usage = export
    as_ofs = pd.DatetimeIndex([AS_OF - 20 * WEEK, AS_OF - WEEK, AS_OF])
    whole = compute_features(companies, usage, as_ofs, SETTINGS)
    shuffled = usage.iloc[data.draw(st.permutations(range(len(usage))))]
    np.testing.assert_array_equal(compute_features(companies, shuffled, as_ofs, SETTINGS), whole)
    for position, company in enumerate(IDS):
        alone = compute_features(companies.iloc[[position]], usage[usage["id"] == company], as_ofs, SETTINGS)
        assert alone.tobytes() == whole[[position]].tobytes()
    for place in range(len(as_ofs)):
        one_week = compute_features(companies, usage, as_ofs[[place]], SETTINGS)
        assert one_week.tobytes() == whole[:, [place]].tobytes()


@settings(max_examples=25)
@given(export=exports(), other=exports(), back=st.integers(0, 30))
def test_rows_that_are_not_known_change_no_bit(
    export: tuple[pd.DataFrame, pd.DataFrame], other: tuple[pd.DataFrame, pd.DataFrame], back: int
) -> None:
    """Whatever stands in the weeks from ``as_of`` on: none, these rows, or any others."""
    companies, usage = export
    as_of = AS_OF - back * WEEK
    known = usage[usage["WHEN_TIMESTAMP"] + WEEK <= as_of]
    later = other[1][other[1]["WHEN_TIMESTAMP"] + WEEK > as_of]
    expected = compute_features(companies, known, pd.DatetimeIndex([as_of]), SETTINGS)
    for rows in (usage, pd.concat([known, later], ignore_index=True), pd.concat([later, known])):
        found = compute_features(companies, rows, pd.DatetimeIndex([as_of]), SETTINGS)
        assert found.tobytes() == expected.tobytes()


def test_before_the_first_usage_week_nobody_was_seen() -> None:
    as_ofs = pd.DatetimeIndex([AS_OF - 80 * WEEK, AS_OF - 10 * WEEK, AS_OF - 9 * WEEK])
    values = compute_features(companies_of(1), GOLDEN_USAGE, as_ofs, SETTINGS)
    seen = [feature_frame(values[:, place], SETTINGS)["seen"].iloc[0] for place in range(3)]
    assert seen == [0, 0, 1]
    nothing = compute_features(companies_of(1), usage_of(), as_ofs[:1], SETTINGS)
    np.testing.assert_array_equal(values[:, :1], nothing)


def test_a_company_without_usage_among_active_ones() -> None:
    companies = companies_of(1, 5, 9)
    values = compute_features(companies, usage_of((5, 0, [1] * 8)), pd.DatetimeIndex([AS_OF]), SETTINGS)
    assert feature_frame(values[:, 0], SETTINGS)["seen"].tolist() == [0, 1, 0]


# The core, as the online service calls it: one company, its block made without pandas


def firmographics_of(company: pd.Series) -> Firmographics:
    numbers = (company["ALEXA_RANK"], company["unranked"], company["size"], SECTORS.index(company["sector"]))
    return Firmographics(*(np.array([number], dtype=np.float64) for number in numbers))


def block_of(rows: pd.DataFrame, end: pd.Timestamp, weeks: int) -> np.ndarray:
    """Lay one company's rows out in the last ``weeks`` weeks before ``end``."""
    block = np.zeros((1, weeks, len(BLOCK_COLUMNS)))
    for row in rows.to_dict("records"):
        week = weeks - int((end - row["WHEN_TIMESTAMP"]) / WEEK)
        block[0, week] = [1 if column == "ROWS" else row[column] for column in BLOCK_COLUMNS]
    return block


def weeks_of(rows: pd.DataFrame, end: pd.Timestamp) -> int:
    """Count the weeks from the first row's to ``end``; none without rows."""
    return 0 if rows.empty else int((end - rows["WHEN_TIMESTAMP"].min()) / WEEK)


@pytest.mark.parametrize("how", [SETTINGS, ODD, TINY])
@settings(max_examples=20)
@given(export=exports(), back=st.integers(-5, 45), before=st.sampled_from([0, 0, 1, 2, 30]))
def test_a_company_alone_at_the_end_of_its_block_is_the_same_as_in_a_chunk(
    how: FeatureSettings, export: tuple[pd.DataFrame, pd.DataFrame], back: int, before: int
) -> None:
    companies, usage = export
    as_of = AS_OF - back * WEEK
    chunk = compute_features(companies, usage, pd.DatetimeIndex([as_of]), how)
    for place, (_, company) in enumerate(companies.iterrows()):
        rows = usage[(usage["id"] == company["id"]) & (usage["WHEN_TIMESTAMP"] + WEEK <= as_of)]
        block = block_of(rows, as_of, weeks_of(rows, as_of) + before)
        alone = features_of_block(firmographics_of(company), block, np.array([block.shape[1]]), how)
        assert alone.dtype == np.float32
        assert alone.tobytes() == chunk[[place]].tobytes()


@settings(max_examples=20)
@given(export=exports(), data=st.data())
def test_weeks_after_the_position_change_no_bit(
    export: tuple[pd.DataFrame, pd.DataFrame], data: st.DataObject
) -> None:
    companies, usage = export
    company, end = companies.iloc[0], AS_OF + 5 * WEEK
    rows = usage[usage["id"] == company["id"]]
    block = block_of(rows, end, weeks_of(rows, end))
    positions = np.array(data.draw(st.lists(st.integers(0, block.shape[1]), min_size=1, max_size=4)))
    firmographics = firmographics_of(company)
    whole = features_of_block(firmographics, block, positions, SETTINGS)
    for place, position in enumerate(positions):
        cut = features_of_block(firmographics, block[:, :position], positions[[place]], SETTINGS)
        assert cut.tobytes() == whole[:, [place]].tobytes()


@pytest.mark.parametrize("weeks", [0, 1, 40])
def test_a_block_without_rows_is_a_company_without_usage(weeks: int) -> None:
    companies = companies_of(1, 2, ALEXA_RANK=[250.0, float(UNRANKED)], EMPLOYEE_RANGE=["51 to 200", None])
    chunk = compute_features(companies, usage_of((2, 3, [1] * 8)), pd.DatetimeIndex([AS_OF]), SETTINGS)
    block = np.zeros((1, weeks, len(BLOCK_COLUMNS)))
    alone = features_of_block(firmographics_of(companies.iloc[0]), block, np.array([weeks]), SETTINGS)
    assert alone.tobytes() == chunk[[0]].tobytes()


def test_any_number_of_companies_gives_the_bits_of_each_alone() -> None:
    """Also where a chunk is computed in several parts."""
    tables = tiny_export(seed=3, companies=2 * compute._COMPANIES_AT_ONCE + 1)
    companies = with_firmographics(pd.concat([tables[CUSTOMERS], tables[NONCUSTOMERS]])).sort_values("id")
    usage = tables[USAGE_ACTIONS]
    as_ofs = pd.date_range(usage["WHEN_TIMESTAMP"].min(), periods=8, freq=6 * WEEK)
    chunk = compute_features(companies, usage, as_ofs, SETTINGS)
    for place, company in enumerate(companies["id"]):
        alone = companies[companies["id"] == company], usage[usage["id"] == company]
        assert compute_features(*alone, as_ofs, SETTINGS).tobytes() == chunk[[place]].tobytes()
    nobody = compute_features(companies.iloc[:0], usage.iloc[:0], as_ofs, SETTINGS)
    assert nobody.shape == (0, *chunk.shape[1:])
