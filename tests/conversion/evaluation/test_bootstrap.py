from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.evaluation.bootstrap import (
    Draws,
    Grouped,
    Measured,
    company_weights,
    difference,
    interval,
    resample,
    resampled_sums,
)
from conversion.stats.resampling import percentiles
from tests.predictions import is_in_a_file, make_predictions


def drawn(companies: int, samples: int, seed: int) -> np.ndarray:
    return np.concatenate(list(company_weights(companies, samples, seed)), axis=1)


class TestCompanyWeights:
    def test_a_sample_has_as_many_companies_as_there_are(self) -> None:
        weights = drawn(50, 30, seed=1)
        assert weights.shape == (50, 30)
        assert weights.sum(axis=0).tolist() == [50] * 30
        assert np.array_equal(weights, np.round(weights))

    def test_memory_does_not_decide_what_is_drawn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        at_once = drawn(50, 30, seed=1)
        monkeypatch.setattr("conversion.stats.resampling._CHUNK_WEIGHTS", 400)
        assert [part.shape[1] for part in company_weights(50, 30, seed=1)] == [8, 8, 8, 6]
        assert np.array_equal(drawn(50, 30, seed=1), at_once)
        assert not np.array_equal(drawn(50, 30, seed=2), at_once)


def test_draws_are_everyone_and_then_the_samples_however_often_they_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("conversion.evaluation.bootstrap.SAMPLES_AT_ONCE", 4)
    expected = np.concatenate((np.ones((9, 1)), drawn(9, 6, seed=1)), axis=1)
    draws = Draws(9, 6, seed=1)
    for _ in range(2):
        places, weights = zip(*draws.blocks(), strict=True)
        assert places == (slice(0, 4), slice(4, 7))
        assert all(each.flags.c_contiguous for each in weights)
        assert np.concatenate(weights, axis=1).tolist() == expected.tolist()
    assert draws.samples == 7


def test_the_more_companies_the_fewer_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversion.evaluation.bootstrap.WEIGHTS_AT_ONCE", 29)
    assert [places for places, _ in Draws(9, 6, seed=1).blocks()] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert [places for places, _ in Draws(30, 1, seed=1).blocks()] == [slice(0, 1), slice(1, 2)]


def test_a_company_that_is_drawn_very_often(monkeypatch: pytest.MonkeyPatch) -> None:
    often = np.array([[300.0], [0.0]], dtype=np.float32)
    monkeypatch.setattr("conversion.evaluation.bootstrap.company_weights", lambda *_: [often, often])
    ((_, weights),) = Draws(2, 2, seed=1).blocks()
    assert weights.tolist() == [[1, 300, 300], [1, 0, 0]]


@pytest.mark.parametrize("written", [1, 7, 16, 1000])
def test_how_many_samples_are_written_at_a_time_changes_none(
    written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = drawn(50, 30, seed=1)
    monkeypatch.setattr("conversion.stats.resampling._CHUNK_WEIGHTS", 250)
    monkeypatch.setattr("conversion.evaluation.bootstrap.SAMPLES_WRITTEN", written)
    ((_, weights),) = Draws(50, 30, seed=1).blocks()
    assert (weights[:, 1:] == expected).all()


def test_many_draws_are_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("conversion.evaluation.columns_on_disk.LARGE", 50 * 30)
    in_file, in_memory = (
        next(Draws(50, 30, seed=1, folder=folder).blocks())[1] for folder in (tmp_path, None)
    )
    assert is_in_a_file(in_file)
    assert not is_in_a_file(in_memory)
    assert (in_file == in_memory).all()


class TestResampledSums:
    COMPANIES = 30

    def sums(
        self,
        cells: int,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path | None = None,
        order: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
    ) -> tuple[np.ndarray, np.ndarray]:
        monkeypatch.setattr("conversion.evaluation.bootstrap.CELLS", cells)
        predictions = order(make_predictions(self.COMPANIES, cutoffs=3))
        groups = Grouped(3, lambda rows: (rows["id"] % 3).to_numpy())
        return resampled_sums(resample(predictions, 20, seed=1, folder=folder), self.columns_of, groups)

    @staticmethod
    def columns_of(rows: pd.DataFrame) -> list[np.ndarray]:
        return [rows[name].to_numpy(dtype=np.float64) for name in ("label", "probability")]

    def test_are_those_of_tables_in_which_companies_are_as_often_as_drawn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        total, sampled = self.sums(1 << 20, monkeypatch)
        predictions = make_predictions(self.COMPANIES, cutoffs=3)
        group = predictions["id"] % 3
        for weights, sums in zip(
            [np.ones(self.COMPANIES), *drawn(self.COMPANIES, 20, seed=1).T], [total, *sampled], strict=True
        ):
            copies = predictions.loc[predictions.index.repeat(weights[predictions["id"] - 1].astype(int))]
            expected = copies.groupby(group.loc[copies.index])[["label", "probability"]].sum()
            assert sums == pytest.approx(expected.to_numpy())

    @pytest.mark.parametrize("cells", [1, 100, 200, 1 << 20])
    @pytest.mark.parametrize("on_disk", [False, True])
    def test_of_several_ways_to_group_come_one_after_the_other(
        self, cells: int, on_disk: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("CELLS", "CELLS_ON_DISK"):
            monkeypatch.setattr(f"conversion.evaluation.bootstrap.{name}", cells)
        folder = tmp_path if on_disk else None
        of = resample(make_predictions(self.COMPANIES, cutoffs=3), 20, seed=1, folder=folder)
        by = [Grouped(each, lambda rows, each=each: (rows["id"] % each).to_numpy()) for each in (3, 1, 2)]
        total, sampled = resampled_sums(of, self.columns_of, *by)
        apart = [resampled_sums(of, self.columns_of, each) for each in by]
        assert (total == np.concatenate([each for each, _ in apart])).all()
        assert (sampled == np.concatenate([each for _, each in apart], axis=1)).all()

    @pytest.mark.parametrize("cells", [1, 50, 70, 100])
    def test_memory_does_not_decide_what_they_are(self, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
        at_once = self.sums(1 << 20, monkeypatch)
        some = self.sums(cells, monkeypatch)
        assert some[0] == pytest.approx(at_once[0], rel=1e-15)
        assert (some[1] == at_once[1]).all()

    @pytest.mark.parametrize("cells", [1, 1 << 20])
    def test_nor_do_files(self, cells: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        at_once = self.sums(1 << 20, monkeypatch)
        monkeypatch.setattr("conversion.evaluation.columns_on_disk.LARGE", 1)
        for found, expected in zip(self.sums(cells, monkeypatch, tmp_path), at_once, strict=True):
            assert (found == expected).all()
        assert not list(tmp_path.iterdir()), "the files have no name"

    @pytest.mark.parametrize("cells", [1, 50, 1 << 20])
    @pytest.mark.parametrize("by", [["as_of", "probability"], ["probability"]])
    def test_nor_does_the_order_of_rows(
        self, cells: int, by: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_once = self.sums(1 << 20, monkeypatch)
        for found, expected in zip(
            self.sums(cells, monkeypatch, order=lambda rows: rows.sort_values(by)), at_once, strict=True
        ):
            assert found == pytest.approx(expected, rel=1e-15)

    @pytest.mark.parametrize("rows", [1, 7])
    def test_nor_do_the_rows_that_are_summed_at_a_time(
        self, rows: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_once = self.sums(1 << 20, monkeypatch)
        monkeypatch.setattr("conversion.evaluation.bootstrap.ROWS_AT_ONCE", rows)
        for found, expected in zip(self.sums(1 << 20, monkeypatch), at_once, strict=True):
            assert (found == expected).all()


class TestIntervals:
    def test_by_hand(self) -> None:
        # 0 to 40 with what is undefined among them: 2.5 % of the way is 1, 97.5 % is 39.
        sampled = np.array([*range(41), np.nan, np.nan], dtype=np.float64)
        assert percentiles(sampled) == (1, 39)
        assert interval(20.1234567, sampled) == {"value": 20.123457, "low": 1, "high": 39}

    def test_undefined_in_every_sample_is_null(self) -> None:
        assert interval(np.nan, np.full(3, np.nan)) == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize(("less_is_better", "better"), [(False, 0.625), (True, 0.375)])
def test_difference_by_hand(less_is_better: bool, better: float) -> None:
    # Sample by sample 1, 1, 0, -1 and undefined: two are better, one is even, one is worse.
    first = Measured(0.5, np.array([0.0, 1.0, 2.0, 3.0, np.nan]))
    second = Measured(0.75, np.array([1.0, 2.0, 2.0, 2.0, 4.0]))
    assert difference(first, second, less_is_better=less_is_better) == {
        "difference": 0.25,
        "low": -0.925,
        "high": 1,
        "probability_better": better,
    }
