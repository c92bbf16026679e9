import numpy as np

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
