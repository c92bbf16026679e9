import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.evaluation.bootstrap import ONE_GROUP, Grouped, resample
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.probability_metrics import probability_measures
from conversion.evaluation.slice_metrics import calibration_by_group, drop_repeated_slices, slice_measures
from tests.predictions import TOP_K, make_predictions, one_week


class TestSliceMeasures:
    def test_by_hand(self) -> None:
        # On the list: a converter of "big", an other of "small", a converter of "small", an other of each.
        predictions = one_week([1, 0, 1, 0, 0], [0.5, 0.4, 0.3, 0.2, 0.1]).assign(
            size=["big", "small", "small", "big", "small"], base_rate=0.4
        )
        table = slice_measures(resample(predictions, 20, 1), ["size"], [1, 3])
        assert table["by"].tolist() == ["all", "size", "size"]
        table = table.set_index("slice")
        assert table.index.tolist() == ["all prospects", "big", "small"]
        assert table["prospects"].tolist() == [5, 2, 3]
        assert table["conversions"].tolist() == table["converters"].tolist() == [2, 1, 1]
        assert table["prevalence"].tolist() == pytest.approx([0.4, 1 / 2, 1 / 3])
        assert table["share_of_conversions"].tolist() == [1, 0.5, 0.5]
        assert table["mean_probability"].tolist() == pytest.approx([0.3, 0.35, 0.8 / 3])
        assert table["expected_over_observed"].tolist() == pytest.approx([0.75, 0.7, 0.8])
        assert table["roc_auc"].tolist() == pytest.approx([5 / 6, 1, 1 / 2])
        assert table["recall_at_1"].tolist() == [0.5, 1, 0]
        assert table["recall_at_3"].tolist() == [1, 1, 1]
        assert table["log_loss_ratio"].loc["big"] == pytest.approx(np.log(0.5 * 0.8) / np.log(0.4 * 0.6))

    def test_slices_are_in_the_order_of_their_categories_and_those_without_rows_are_left_out(self) -> None:
        size = pd.Categorical(["z", "a", "z", "a"], categories=["z", "none", "a"])
        predictions = one_week([1, 0, 0, 0], [0.4, 0.3, 0.2, 0.1]).assign(size=size, base_rate=0.25)
        table = slice_measures(resample(predictions, 20, 1), ["size"], [1])
        assert table["slice"].tolist() == ["all prospects", "z", "a"]
        without = table.iloc[2]
        assert (without["conversions"], without["converters"]) == (0, 0)
        undefined = ["expected_over_observed", "expected_over_observed_low", "roc_auc", "recall_at_1"]
        assert without[undefined].isna().all()
        assert without["log_loss_ratio"] > 0

    def test_all_prospects_are_measured_as_by_the_other_functions(self) -> None:
        predictions = make_predictions()
        table = slice_measures(resample(predictions, 30, 1), [], TOP_K).iloc[0]
        ranking = ranker_measures(resample(predictions, 30, 1), ["probability"], TOP_K)["rankers"][
            "probability"
        ]
        for name in ("roc_auc", *(f"recall_at_{k}" for k in TOP_K)):
            assert table[name] == pytest.approx(ranking[name]["value"], abs=1e-6)
        probability = probability_measures(resample(predictions, 30, 1))
        for name in ("expected_over_observed", "log_loss_ratio"):
            found = [table[name], table[f"{name}_low"], table[f"{name}_high"]]
            assert found == pytest.approx([*probability[name].values()], abs=1e-6)

    @given(st.integers(0, 1000))
    @settings(max_examples=15, deadline=None)
    def test_slices_part_the_whole_whatever_the_row_order(self, seed: int) -> None:
        predictions = make_predictions(seed=seed)
        part = np.random.default_rng(seed).integers(0, 4, len(predictions))
        predictions["part"] = part
        table = slice_measures(resample(predictions, 20, 1), ["part"], [5])
        whole, slices = table.iloc[0], table.iloc[1:]
        assert slices[["prospects", "conversions"]].sum().tolist() == [len(part), predictions["label"].sum()]
        assert slices["share_of_conversions"].sum() == pytest.approx(1)
        expected = (slices["mean_probability"] * slices["prospects"]).sum()
        assert expected == pytest.approx(whole["mean_probability"] * whole["prospects"])
        shuffled = predictions.sample(frac=1, random_state=seed)
        again = slice_measures(resample(shuffled, 20, 1), ["part"], [5])
        pd.testing.assert_frame_equal(again, table, check_exact=False, rtol=1e-9)


class TestDropRepeatedSlices:
    def test_the_same_prospects_are_one_slice(self) -> None:
        predictions = make_predictions().assign(by_use="seen", by_age="old")
        unseen = predictions["id"] % 3 == 0
        predictions.loc[unseen, ["by_use", "by_age"]] = ["never seen", "no age"]
        predictions.loc[~unseen & (predictions["id"] % 2 == 0), "by_age"] = "young"
        table = slice_measures(resample(predictions, 20, 1), ["by_use", "by_age"], [5])
        assert table["slice"].tolist() == ["all prospects", "never seen", "seen", "no age", "old", "young"]
        kept = drop_repeated_slices(table, predictions)
        assert kept["slice"].tolist() == ["all prospects", "never seen", "seen", "old", "young"]
        pd.testing.assert_frame_equal(kept, table.drop(index=3).reset_index(drop=True))

    def test_as_many_other_prospects_are_another_slice(self) -> None:
        predictions = one_week([1, 0, 1, 0], [0.5, 0.4, 0.3, 0.2]).assign(
            size=["a", "a", "b", "b"], sector=["c", "d", "d", "c"], base_rate=0.4
        )
        table = slice_measures(resample(predictions, 20, 1), ["size", "sector"], [1])
        pd.testing.assert_frame_equal(drop_repeated_slices(table, predictions), table)


class TestCalibrationByGroup:
    def test_by_hand(self) -> None:
        predictions = one_week([1, 0, 0, 1, 0], [0.5, 0.3, 0.1, 0.9, 0.2])
        table = calibration_by_group(
            resample(predictions, 200, 1), Grouped(3, lambda _: np.array([0, 0, 0, 2, 2]))
        )
        assert table["prospects"].tolist() == [3, 0, 2]
        assert table["conversions"].tolist() == [1, 0, 1]
        assert table["mean_probability"].tolist() == pytest.approx([0.3, np.nan, 0.55], nan_ok=True)
        assert table["observed_share"].tolist() == pytest.approx([1 / 3, np.nan, 0.5], nan_ok=True)
        assert table.loc[[0, 2], ["low", "high"]].to_numpy().tolist() == [[0, 1], [0, 1]]
        assert table.loc[1, ["low", "high"]].isna().all()

    def test_the_intervals_resample_companies_and_not_rows(self) -> None:
        # Fifty lists of the same companies with the same outcome are no more evidence than one.
        once = make_predictions(companies=200, cutoffs=1)
        weeks = [once.assign(as_of=once["as_of"] + pd.Timedelta(weeks=week)) for week in range(50)]
        one = calibration_by_group(resample(once, 100, 1), ONE_GROUP)
        many = calibration_by_group(resample(pd.concat(weeks), 100, 1), ONE_GROUP)
        shares = ["observed_share", "low", "high"]
        pd.testing.assert_frame_equal(many[shares], one[shares])
        assert one.loc[0, "low"] < one.loc[0, "observed_share"] < one.loc[0, "high"]
