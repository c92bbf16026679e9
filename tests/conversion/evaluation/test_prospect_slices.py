from __future__ import annotations

import numpy as np
import pandas as pd

from conversion.evaluation.prospect_slices import slice_columns, slice_names, slicers
from tests.contract_files import hubspot

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
    slices = pd.DataFrame(slice_columns(snapshots, slicers(snapshots, hubspot())))
    assert tuple(slices) == slice_names(hubspot()) == SLICES
    active = "active in the last 4 weeks"
    assert slices["usage_state"].tolist() == [active, "dormant", "never seen", active]
    assert slices["tenure_group"].tolist() == [
        "first seen up to 4 weeks ago",
        "first seen over 26 weeks ago",
        "not seen yet",
        "first seen 5 to 13 weeks ago",
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
    (by_size,) = (
        each for each in slicers(snapshots.assign(sector="Unknown"), hubspot()) if each.name == "size_group"
    )
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
