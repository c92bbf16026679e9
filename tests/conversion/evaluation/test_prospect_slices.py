from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.evaluation.prospect_slices import slice_columns, slice_names, slice_sources, slicers
from conversion.evaluation.snapshot_source import SnapshotTable
from tests.contract_files import hubspot, projects

SLICES = ("usage_state", "tenure_group", "size_group", "sector_known")


def test_slices_say_what_was_known_at_the_cutoff() -> None:
    snapshots = pd.DataFrame(
        {
            "seen": [1.0, 1.0, 0.0, 1.0],
            "active_weeks_4w": [2.0, 0.0, 0.0, 4.0],
            "weeks_since_first_seen": [4.0, 30.0, np.nan, 5.0],
            "size": [1.0, 3.0, np.nan, 9.0],
            "sector": ["Education", "Unknown", "Unknown", "Health"],
        }
    )
    slices = pd.DataFrame(slice_columns(snapshots, slicers(SnapshotTable(snapshots), hubspot())))
    assert tuple(slices) == slice_names(hubspot()) == SLICES
    active = "active in the last 4 weeks"
    assert slices["usage_state"].tolist() == [
        active,
        "active before, not in the last 4 weeks",
        "never used the product",
        active,
    ]
    assert slices["tenure_group"].tolist() == [
        "first used up to 4 weeks ago",
        "first used over 26 weeks ago",
        "not used yet",
        "first used 5 to 13 weeks ago",
    ]
    assert slices["size_group"].tolist() == [
        "1 employee",
        "2 to 10 employees",
        "size unknown",
        "over 200 employees",
    ]
    known = ["sector known", "sector unknown", "sector unknown", "sector known"]
    assert slices["sector_known"].tolist() == known


def test_size_groups_hold_the_employee_ranges_that_they_name() -> None:
    ranges = hubspot().companies.attributes["EMPLOYEE_RANGE"].levels  # type: ignore[union-attr]
    snapshots = pd.DataFrame({"size": np.arange(1.0, len(ranges) + 1)})
    source = SnapshotTable(snapshots.assign(sector="Unknown"))
    (by_size,) = (each for each in slicers(source, hubspot()) if each.name == "size_group")
    groups = np.array(by_size.slices)[by_size.codes(snapshots)]
    by_range = dict(zip(ranges, groups.tolist(), strict=True))
    assert by_range == {
        "1": "1 employee",
        "2 to 5": "2 to 10 employees",
        "6 to 10": "2 to 10 employees",
        "11 to 25": "11 to 50 employees",
        "26 to 50": "11 to 50 employees",
        "51 to 200": "51 to 200 employees",
        "201 to 1000": "over 200 employees",
        "1001 to 10000": "over 200 employees",
        "10,001 or more": "over 200 employees",
    }


# Other contracts


def contract_with(attributes: dict[str, Any]) -> Contract:
    values = projects().model_dump(mode="json")
    values["companies"]["attributes"] = attributes
    return Contract.model_validate(values)


def slices_of(column: str, attribute: dict[str, Any], **features: Any) -> dict[str, list[str]]:
    """Split prospects by one attribute; by the slicer's name, each prospect's slice."""
    contract = contract_with({column: attribute})
    rows = len(next(iter(features.values())))
    usage = {"seen": 1.0, "active_weeks_4w": 1.0, "weeks_since_first_seen": 1.0}
    snapshots = pd.DataFrame(features, index=range(rows)).assign(**usage)
    assert set(slice_sources(contract)) == set(snapshots)
    by = slicers(SnapshotTable(snapshots), contract)
    assert tuple(each.name for each in by) == slice_names(contract)
    found = slice_columns(snapshots, by)
    assert all(set(each.dropna()) <= set(each.categories) for each in found.values())
    return {name: list(found[name]) for name in slice_names(contract)[2:]}


def test_a_category_has_slices_of_its_frequent_levels() -> None:
    levels = [f"L{number}" for number in range(12) for _ in range(12 - number)]
    found = slices_of("Land", {"kind": "category"}, land=[*levels, "Unknown", None])["land_group"]
    assert found[:12] == ["Land: L0"] * 12
    frequent = [f"Land: L{number}" for number in range(8)]
    assert set(found) == {*frequent, "Land: all others", "Land unknown"}
    assert found.count("Land: all others") == 4 + 3 + 2 + 1
    assert found[-2:] == ["Land unknown", "Land unknown"]


def test_a_level_that_is_called_like_the_others_is_one_of_them() -> None:
    found = slices_of("land", {"kind": "category"}, land=["all others", "A", "all others"])
    assert found == {"land_group": ["land: all others", "land: A", "land: all others"]}


def test_ordered_levels_are_slices_or_groups_of_neighbours() -> None:
    few = slices_of("plan", {"kind": "ordered", "levels": ["free", "team"]}, plan=[2.0, 1.0, np.nan])
    assert few == {"plan_group": ["plan: team", "plan: free", "plan unknown"]}
    levels = [str(number) for number in range(1, 21)]
    values = [float(level) for level in levels] + [np.nan]
    many = slices_of("age", {"kind": "ordered", "levels": levels}, age=values)["age_group"]
    groups = ["age: 1 to 4", "age: 5 to 9", "age: 10 to 14", "age: 15 to 20"]
    assert list(dict.fromkeys(many)) == [*groups, "age unknown"]
    assert [many.count(group) for group in groups] == [4, 5, 5, 6]


def test_numbers_are_cut_at_their_quantiles_and_named_as_they_are() -> None:
    values = np.log(np.arange(1.0, 101)).astype(np.float32)
    head_count = {"kind": "number", "whole": True, "minimum": 1, "log": True, "say": "employees"}
    found = slices_of("heads", head_count, log_heads=[*values, np.nan])["log_heads_group"]
    counts = pd.Series(found).value_counts(sort=False)
    assert counts.to_dict() == {
        "employees below 25": 24,
        "employees 25 to below 50": 25,
        "employees 50 to below 75": 25,
        "employees 75 or more": 26,
        "employees unknown": 1,
    }


def test_a_number_that_is_not_applicable_is_a_slice_of_its_own() -> None:
    rank = {
        "kind": "number",
        "not_applicable": 100,
        "counts_as": 100,
        "feature": {"name": "rank", "description": "x"},
    }
    found = slices_of(
        "SITE", rank, rank=[1.5, 2.5, 100, np.nan, 1.5], site_not_applicable=[0.0, 0.0, 1.0, np.nan, 0.0]
    )
    assert found == {
        "rank_group": [
            "rank below 2.5", "rank 2.5 or more", "rank not applicable", "rank unknown", "rank below 2.5",
        ]
    }  # fmt: skip


def test_numbers_without_a_value_or_of_one_value() -> None:
    number = {"kind": "number"}
    assert slices_of("n", number, n=[np.nan, np.nan]) == {"n_group": ["n unknown", "n unknown"]}
    assert slices_of("n", number, n=[7.0, np.nan, 7.0]) == {"n_group": ["n known", "n unknown", "n known"]}
    assert slices_of("n", number, n=[-7.0, 0.0]) == {"n_group": ["n below 0", "n 0 or more"]}


def test_flags_dates_and_attributes_that_are_only_known_or_not() -> None:
    assert slices_of("vip", {"kind": "flag"}, vip=[1.0, 0.0, np.nan]) == {
        "vip_group": ["vip: yes", "vip: no", "vip unknown"]
    }
    ages = slices_of("trial", {"kind": "date"}, trial=[1.0, 10.0, 100.0, 1000.0, np.nan])["trial_group"]
    assert ages == [
        "trial under 10 days ago", "trial 10 to under 100 days ago", "trial 100 days ago or more",
        "trial 100 days ago or more", "trial unknown",
    ]  # fmt: skip
    known = {"kind": "number", "slices": "known"}
    assert slices_of("n", known, n=[3.0, np.nan]) == {"n_known": ["n known", "n unknown"]}
    assert slice_names(contract_with({"n": {"kind": "number", "slices": "none"}})) == SLICES[:2]


def test_an_attribute_cannot_take_the_column_of_tenure() -> None:
    names = slice_names(contract_with({"tenure": {"kind": "number"}, "usage_state": {"kind": "flag"}}))
    assert names == ("usage_state", "tenure_group", "tenure_group_of_company", "usage_state_group")


def test_slices_do_not_depend_on_the_part_of_the_snapshots_that_is_split() -> None:
    snapshots = pd.DataFrame(
        {
            "seen": 1.0,
            "active_weeks_4w": 1.0,
            "weeks_since_first_seen": 1.0,
            "n": np.arange(9.0),
            "c": list("aabbbccca"),
        }
    ).astype({"c": "category"})
    by = slicers(
        SnapshotTable(snapshots), contract_with({"n": {"kind": "number"}, "c": {"kind": "category"}})
    )
    whole = pd.DataFrame(slice_columns(snapshots, by))
    parts = [pd.DataFrame(slice_columns(snapshots.iloc[part], by)) for part in (slice(0, 3), slice(3, 9))]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
