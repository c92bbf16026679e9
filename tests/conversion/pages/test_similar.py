from __future__ import annotations

import pandas as pd

from conversion.features.facts import Fact
from conversion.pages.similar import Converted

FACTS = (
    Fact("people", "How many people use it", "activity"),
    Fact("x", "Size", "fit"),
    Fact("y", "Sector", "fit"),
)


def converted(rows: list[tuple[str, float, float, float]]) -> Converted:
    companies = pd.DataFrame({"id": [row[0] for row in rows], "name": None, "converted": "2020-01-02"})
    contributions = pd.DataFrame([row[1:] for row in rows], columns=["people", "x", "y"])
    return Converted(companies, contributions, FACTS)


def test_the_nearest_come_first() -> None:
    found = converted([("far", 9, 0, 0), ("near", 1, 1, 0), ("same", 1, 0, 0), ("farther", -9, 0, 0)])
    nearest = found.nearest([1.0, 0.0, 0.0], "new")
    assert [each.row["id"] for each in nearest] == ["same", "near", "far"]
    assert nearest[0].row["name"] is None


def test_no_company_is_similar_to_itself() -> None:
    found = converted([("a", 1, 0, 0), ("b", 5, 0, 0)])
    assert [each.row["id"] for each in found.nearest([1.0, 0.0, 0.0], "a")] == ["b"]


def test_shared_is_what_speaks_for_both_the_strongest_first() -> None:
    (other,) = converted([("a", 2.0, 0.5, -3.0)]).nearest([0.2, 4.0, -3.0], "b")
    assert [fact.key for fact in other.shared] == ["x", "people"], "what speaks against both is not told"
    (other,) = converted([("a", 0.0, 0.05, 5.0)]).nearest([1.0, 1.0, -1.0], "b")
    assert other.shared == ()


def test_none_is_known() -> None:
    assert converted([]).nearest([0.0, 0.0, 0.0], 1) == ()
