import numpy as np
import pandas as pd
import pytest

from conversion.stats import hashing


class TestTieBreak:
    def test_is_splitmix64(self) -> None:
        # First outputs of the published generator for the seeds 0 and 1234567.
        assert hashing.tie_break([0, 1234567]).tolist() == [16294208416658607535, 6457827717110365317]

    def test_no_two_ids_tie_and_low_ids_are_not_first(self) -> None:
        hashed = hashing.tie_break(np.arange(10_000))
        assert len(np.unique(hashed)) == 10_000
        first = np.argsort(hashed)[:1000]
        assert 4_500 < first.mean() < 5_500

    def test_text_has_the_same_hash_on_every_machine(self) -> None:
        # blake2b digests of 8 bytes as big-endian numbers, then splitmix64.
        ids = ["0042", "42", "a5f1c0de-Ärger"]
        assert hashing.tie_break(ids).tolist() == [
            2637498303956544334,
            5958186734663304263,
            11337946146568547726,
        ]

    @pytest.mark.parametrize("make", [list, np.array, pd.Series, lambda ids: np.array(ids, dtype=object)])
    def test_any_array_of_text_will_do(self, make: object) -> None:
        ids = ["0042", "42", "0042"]
        hashed = hashing.tie_break(make(ids))  # type: ignore[operator]
        assert hashed[0] == hashed[2] != hashed[1]
        assert hashed[1] == hashing.tie_break("42")
        assert hashed.dtype == np.uint64

    def test_whole_numbers_keep_their_hash_in_any_array(self) -> None:
        ids = [3, 2**40]
        for array in (np.array(ids), pd.Series(ids), np.array(ids, dtype=object), pd.array(ids, "Int64")):
            np.testing.assert_array_equal(hashing.tie_break(array), hashing.tie_break(ids))

    def test_no_two_texts_tie_and_early_ones_are_not_first(self) -> None:
        ids = np.array([f"{number:05}" for number in range(10_000)], dtype=object)
        hashed = hashing.tie_break(ids)
        assert len(np.unique(hashed)) == 10_000
        first = np.argsort(hashed)[:1000]
        assert 4_500 < first.mean() < 5_500

    @pytest.mark.parametrize("none", [[], np.array([], dtype=object), pd.Series([], dtype="str")])
    def test_nothing_has_no_hash(self, none: object) -> None:
        assert hashing.tie_break(none).shape == (0,)  # type: ignore[arg-type]

    def test_half_of_a_surrogate_pair_is_text_too(self) -> None:
        assert hashing.tie_break("\ud800") != hashing.tie_break("\ud801")


class TestUniformHash:
    def test_is_uniform_and_independent_of_its_keys(self) -> None:
        ids, weeks = np.arange(20_000)[:, None], np.arange(5)
        numbers = hashing.uniform_hash(ids, weeks, seed=7)
        assert numbers.shape == (20_000, 5)
        assert numbers.min() >= 0
        assert numbers.max() < 1
        histogram = np.histogram(numbers, 20, (0, 1))[0]
        assert np.abs(histogram / 5_000 - 1).max() < 0.06
        assert np.abs(np.corrcoef(numbers.T) - np.eye(5)).max() < 0.03

    def test_depends_on_every_key_their_order_and_the_seed(self) -> None:
        same = hashing.uniform_hash(np.array([5]), 9, seed=1)
        assert same == hashing.uniform_hash(np.array([5]), 9, seed=1)
        others = [
            hashing.uniform_hash(np.array([9]), 5, seed=1),
            hashing.uniform_hash(np.array([5]), 8, seed=1),
            hashing.uniform_hash(np.array([5]), 9, seed=2),
            hashing.uniform_hash(np.array([5]), seed=1),
        ]
        assert all(other != same for other in others)

    def test_takes_negative_and_scalar_keys(self) -> None:
        assert 0 <= float(hashing.uniform_hash(-3, seed=2**32 - 1)) < 1

    def test_takes_text(self) -> None:
        ids, weeks = np.array([f"c{number}" for number in range(20_000)], dtype=object)[:, None], np.arange(5)
        numbers = hashing.uniform_hash(ids, weeks, seed=7)
        assert numbers.shape == (20_000, 5)
        histogram = np.histogram(numbers, 20, (0, 1))[0]
        assert np.abs(histogram / 5_000 - 1).max() < 0.06
        assert np.abs(np.corrcoef(numbers.T) - np.eye(5)).max() < 0.03
        assert numbers[7, 3] == hashing.uniform_hash("c7", 3, seed=7)
