from __future__ import annotations

import pandas as pd

from conversion.config.contacts_contract import Contacts, Outcomes
from conversion.data.contacts import CONTACT_COLUMNS, clean_contacts, clean_objections

AS_OF = pd.Timestamp("2020-04-27")
IDS = pd.Series([1, 2, 3], dtype="int64")
NAMED = Contacts(
    table="calls",
    id="company",
    when="day",
    outcome="said",
    outcomes=Outcomes(talking=("Talked",), refused=("No",), missed=("voicemail",)),
)


def test_contacts_by_hand() -> None:
    table = pd.DataFrame(
        [
            (2, "2020-04-26", "talked "),
            (1, "2020-04-20", "NO"),
            (1, "2020-04-20", "NO"),
            (1, "2020-04-27", "no"),
            (4, "2020-04-20", "no"),
            (3, "2020-04-20", None),
        ],
        columns=["id", "day", "said"],
    ).astype({"day": "datetime64[us]", "said": "str"})
    kept, left_out = clean_contacts(table, IDS, AS_OF, NAMED)
    assert list(kept) == list(CONTACT_COLUMNS)
    assert kept["id"].tolist() == [1, 2, 3]
    assert kept["meaning"].tolist() == ["refused", "talking", "missed"]
    assert kept[["who", "channel", "reason"]].isna().all(axis=None)
    rules = dict(zip(left_out["id"].astype(str) + left_out["day"].astype(str), left_out["rule"], strict=True))
    assert rules == {
        "12020-04-20": "duplicate_contact",
        "12020-04-27": "after_as_of",
        "42020-04-20": "orphan_contact",
    }
    shuffled, _ = clean_contacts(table.iloc[::-1], IDS, AS_OF, NAMED)
    pd.testing.assert_frame_equal(shuffled, kept)


def test_without_a_table_there_are_no_rows_of_the_same_types() -> None:
    kept, _ = clean_contacts(None, IDS, AS_OF, None)
    assert kept.empty
    assert kept.dtypes.astype(str).to_dict() == {
        "id": "int64", "when": "datetime64[us]", **dict.fromkeys(CONTACT_COLUMNS[2:], "str")
    }  # fmt: skip
    objections, _ = clean_objections(None, pd.Series(["a"], dtype="str"))
    assert objections.empty
    assert objections["id"].dtype == "str"


def test_each_company_objects_once() -> None:
    kept, left_out = clean_objections(pd.DataFrame({"id": [3, 1, 3, 9]}), IDS)
    assert kept["id"].tolist() == [1, 3]
    assert left_out[["id", "rule"]].to_numpy().tolist() == [
        [3, "duplicate_objection"],
        [9, "orphan_objection"],
    ]
