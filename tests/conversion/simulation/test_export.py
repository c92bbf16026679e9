"""The sample as a CRM exports it: its format and its traps."""

from __future__ import annotations

import numpy as np
import pytest

from conversion.simulation import export, vocabulary
from conversion.simulation.export import Sample
from tests.samples import roc_auc, with_close_date


class TestFormat:
    def test_columns_and_cells_are_those_of_the_crm(self, small: Sample) -> None:
        text = export.as_text(small)
        for name, table in text.items():
            assert set(table.columns) == set(vocabulary.COLUMNS[name])
            assert list(table.columns)[-1] == "id"
        assert list(text["customers"])[:2] == ["CLOSEDATE", "MRR"]
        assert next(iter(text["usage_actions"])) == "WHEN_TIMESTAMP"
        assert text["usage_actions"]["WHEN_TIMESTAMP"].str.fullmatch(r"\d{4}-\d\d-\d\d 00:00:00\.000").all()
        assert text["customers"]["CLOSEDATE"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
        assert ",16000001.0," not in text["customers"].to_csv()
        assert ",16000001.0," in text["noncustomers"].to_csv()

    def test_every_week_is_a_monday_and_users_have_actions(self, small: Sample) -> None:
        usage = small.usage_actions
        assert (usage["WHEN_TIMESTAMP"].dt.day_name() == "Monday").all()
        assert not usage.duplicated(["id", "WHEN_TIMESTAMP"]).any()
        users = usage[list(vocabulary.USERS)].to_numpy()
        actions = usage[list(vocabulary.ACTIONS)].to_numpy()
        assert (actions >= users).all()
        assert ((actions > 0) == (users > 0)).all()


class TestTraps:
    def test_duplicates_are_one_complete_row_and_one_not(self, default: Sample) -> None:
        table = default.noncustomers
        doubles = table[table["id"].duplicated(keep=False)]
        share = (len(table) - table["id"].nunique()) / len(table)
        assert share == pytest.approx(3 / 5000, rel=0.1)
        assert (doubles.groupby("id").size() == 2).all()
        missing = doubles.isna().any(axis=1)
        assert (missing.groupby(doubles["id"]).sum() == 1).all()

    def test_bad_mrr(self, default: Sample) -> None:
        mrr = default.customers["MRR"]
        assert (mrr <= 0).mean() == pytest.approx(0.02, abs=0.005)
        assert (mrr == 0).any()
        assert (mrr < 0).any()

    def test_two_industry_taxonomies(self, default: Sample) -> None:
        labels = default.noncustomers["INDUSTRY"].dropna()
        capitals = labels == labels.str.upper()
        assert 0.7 < capitals.mean() < 0.8
        assert {"COMPUTER_SOFTWARE", "Technology - Software"} <= set(labels)

    def test_usage_jumps_at_the_conversion(self, default: Sample) -> None:
        usage = with_close_date(default.customers, default.usage_actions)
        after = usage["WHEN_TIMESTAMP"] >= usage["CLOSEDATE"]
        users = usage[list(vocabulary.USERS)].max(axis=1)
        assert users[after].mean() > 1.5 * users[usage["CLOSEDATE"].notna() & ~after].mean()

    def test_ids_reveal_nothing(self, default: Sample) -> None:
        prospects = default.noncustomers["id"].unique()
        ids = np.concatenate([default.customers["id"], prospects])
        customer = np.arange(len(ids)) < len(default.customers)
        assert roc_auc(customer, ids) == pytest.approx(0.5, abs=0.04)
