"""Quality of clusterings, held to their definitions."""

import numpy as np
import pytest
from cluster_worlds import cloud
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import clusters as oracle

from state.population.quality import adjusted_rand, davies_bouldin, silhouette

# few distinct places, so that points and centroids coincide now and then
places = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=14)


class TestDefinitions:
    @given(places)
    @settings(max_examples=300, deadline=None, derandomize=True)
    def test_as_one_pair_at_a_time(self, found: list[tuple[int, int, int]]) -> None:
        points = np.array([[x, y] for x, y, _ in found], dtype=np.float64)
        labels = [label for _, _, label in found]
        assert silhouette(points, np.array(labels)) == pytest.approx(oracle.silhouette(points, labels), abs=1e-9)
        assert davies_bouldin(points, np.array(labels)) == pytest.approx(
            oracle.davies_bouldin(points, labels), abs=1e-9
        )

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=16))
    @settings(max_examples=300, deadline=None, derandomize=True)
    def test_the_rand_index_from_the_kinds_of_pairs(self, pairs: list[tuple[int, int]]) -> None:
        a, b = [one for one, _ in pairs], [other for _, other in pairs]
        assert adjusted_rand(a, b) == pytest.approx(oracle.adjusted_rand(a, b), abs=1e-12)


class TestMeaning:
    def test_far_blobs_are_good_and_shuffled_labels_are_not(self) -> None:
        points, labels = cloud([[0, 0], [20, 0], [0, 20]], 40, 1.0)
        mixed = np.roll(labels, 40)[np.argsort(np.sin(np.arange(120.0)))]
        assert silhouette(points, np.array(labels)) > 0.8 > 0.2 > silhouette(points, mixed)
        assert davies_bouldin(points, np.array(labels)) < 0.3 < davies_bouldin(points, mixed)

    def test_names_do_not_matter(self) -> None:
        assert adjusted_rand([0, 0, 1, 1, 2], [9, 9, 4, 4, 0]) == 1.0

    def test_labels_of_other_things_are_refused(self) -> None:
        with pytest.raises(ValueError, match="same things"):
            adjusted_rand([1, 2], [1])
